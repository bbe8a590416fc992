/* submit_rows.c - rows of a file as jobs or records on a topic; see submit.h.
 *
 * How far it has come is noted at moments when all that was sent is delivered, so a run
 * that is killed sends at most the rows of --save seconds again. */
#include <signal.h>
#include <stdlib.h>

#include "base/clock.h"
#include "tools/progress.h"
#include "tools/submit_sender.h"

#define POLL_EVERY 256 /* rows between two looks at delivery reports */

static volatile sig_atomic_t signalled;

static void note_signal(int number) {
    (void)number;
    signalled = 1;
}

bool submit_is_stopped(void) {
    return signalled != 0;
}

/* Serves delivery reports until the row is due at the wanted rate. */
static void pace(struct sender *s) {
    int64_t sent = s->row - s->resumed;
    if (s->options->rate <= 0.0) {
        if (sent % POLL_EVERY == 0) {
            kafka_writer_poll(s->writer, 0);
        }
        return;
    }
    int64_t due_us = s->started_us + (int64_t)((double)sent / s->options->rate * 1e6);
    for (int64_t wait_us = due_us - clock_now_us(); wait_us > 0 && !signalled;
         wait_us = due_us - clock_now_us()) {
        kafka_writer_poll(s->writer, (int)(wait_us / 1000) + 1);
    }
}

/* A row that a run before has sent. */
static enum status pass_over(struct sender *s, const struct rows_row *row) {
    size_t size = 0;
    s->skip--;
    s->behind++;
    if (!row->open) {
        return STATUS_OK;
    }
    if (rows_measure(s->reader, row->record, &size, s->err) != STATUS_OK) {
        return s->err->status;
    }
    rows_took(&s->chunk, size);
    return STATUS_OK;
}

static void show(struct sender *s, struct progress *progress) {
    double share = (double)s->chunk.end / (double)rows_reader_size(s->reader);
    progress->total = (int64_t)((double)s->row / share) - s->resumed;
    progress_update(progress, kafka_writer_delivered(s->writer));
}

static enum status send_chunk(struct sender *s, struct progress *progress) {
    struct rows_row row;
    enum status status = rows_decode(s->reader, &s->chunk, s->err);
    s->offset = s->chunk.begin;
    s->behind = 0;
    while (status == STATUS_OK && !signalled && rows_next(s->reader, &s->chunk, &row)) {
        if (s->skip > 0) {
            status = pass_over(s, &row);
            continue;
        }
        pace(s);
        status = submit_row(s, &row);
        s->behind++;
        if (status == STATUS_OK && (s->row % POLL_EVERY == 0 || s->options->rate > 0.0)) {
            show(s, progress);
            if ((double)(clock_now_us() - s->saved_us) >= s->options->save_s * 1e6) {
                status = submit_save(s);
            }
        }
    }
    if (status == STATUS_OK && !signalled) {
        s->offset = s->chunk.end;
        s->behind = 0;
    }
    return status;
}

/* Nothing more to read: is that the end?  Waits a little where it is not. */
static bool is_end(struct sender *s, int64_t last_us) {
    double idle_s = (double)(clock_now_us() - last_us) / 1e6;
    if (!s->options->follow || signalled ||
        (s->options->timeout_s > 0.0 && idle_s >= s->options->timeout_s)) {
        return true;
    }
    kafka_writer_poll(s->writer, SUBMIT_WAIT_MS);
    return false;
}

static enum status send_all(struct sender *s) {
    struct progress progress;
    int64_t last_us = clock_now_us();
    enum status status = STATUS_OK;
    s->started_us = s->saved_us = last_us;
    progress_start(&progress, "submit", "rows", 0);
    while (status == STATUS_OK && !signalled) {
        status = rows_reader_read(s->reader, &s->chunk, s->err);
        if (status != STATUS_OK) {
            break;
        }
        if (s->chunk.begin == s->chunk.end) {
            if (is_end(s, last_us)) {
                break;
            }
        } else {
            status = send_chunk(s, &progress);
            last_us = clock_now_us();
        }
    }
    progress_end(&progress);
    return status == STATUS_OK ? submit_save(s) : status;
}

static void report(const struct sender *s, double seconds) {
    const struct submit_options *o = s->options;
    int64_t delivered = s->writer == NULL ? 0 : kafka_writer_delivered(s->writer);
    double rate = seconds > 0.0 ? (double)delivered / seconds : 0.0;
    if (o->json) {
        printf("{\"rows\":%lld,\"delivered\":%lld,\"bad\":%lld,\"resumed\":%lld,"
               "\"seconds\":%.3f,\"jobs_per_s\":%.1f}\n",
               (long long)s->row, (long long)delivered, (long long)s->bad,
               (long long)s->resumed, seconds, rate);
        return;
    }
    printf("%lld rows delivered to %s in %.2f s (%.0f rows/s)", (long long)delivered,
           o->topic, seconds, rate);
    if (s->bad > 0) {
        printf("; %lld bad ones left out", (long long)s->bad);
    }
    if (s->resumed > 0) {
        printf("; %lld were before", (long long)s->resumed);
    }
    putchar('\n');
}

int submit_rows(const struct cli_command *command, const struct submit_options *options) {
    struct sigaction action = {.sa_handler = note_signal};
    struct error err = {0};
    struct sender *s = calloc(1, sizeof(*s)); /* too large for the stack */
    enum status status;
    if (s == NULL) {
        (void)error_set(&err, STATUS_NO_MEMORY, "no memory");
        return cli_fail(command, &err);
    }
    s->options = options;
    s->err = &err;
    s->progress.fd = -1;
    (void)sigaction(SIGINT, &action, NULL); /* fails on misuse alone */
    (void)sigaction(SIGTERM, &action, NULL);
    status = submit_open(s);
    if (status == STATUS_OK) {
        status = send_all(s);
        report(s, (double)(clock_now_us() - s->started_us) / 1e6);
    }
    bool stopped = signalled && !options->follow;
    submit_close(s);
    free(s);
    if (status != STATUS_OK) {
        return cli_fail(command, &err);
    }
    if (stopped) {
        fprintf(stderr, "millrace submit: stopped before the file's end\n");
    }
    return stopped ? EXIT_FAILED : EXIT_FINE;
}
