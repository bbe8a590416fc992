/* score_run.c - the threads of millrace score; see score.h.
 *
 *     reader ──► work ──► compute 1..N ──► done ──► writer, in order ──► unused ──►
 * reader
 *
 * Chunks go round; there are as many as keep everyone busy, so memory is bounded whatever
 * the file's size.  The first failure ends all of it: the lowest row's, since the writer
 * takes chunks in order. */
#include <signal.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/thread.h"
#include "tools/progress.h"
#include "tools/score_run.h"

#define CHUNKS_PER_THREAD 2
#define CHUNKS_MORE 3 /* one is read, one written, one waits */

static volatile sig_atomic_t signalled;

static void note_signal(int number) {
    (void)number;
    signalled = 1;
}

/* ---- the reader and the computers --------------------------------------------------
 */

static void *reader_main(void *argument) {
    struct score_runner *run = argument;
    int64_t sequence = 0;
    thread_name("score-read");
    while (!atomic_load(&run->stop)) {
        struct score_chunk *chunk = queue_pop(&run->unused, SCORE_POLL_US);
        if (chunk == NULL) {
            continue;
        }
        chunk->sequence = sequence;
        chunk->status = rows_reader_read(run->plan->reader, &chunk->rows, &chunk->err);
        if (chunk->status == STATUS_OK && chunk->rows.begin == chunk->rows.end) {
            break;
        }
        sequence++;
        bool failed = chunk->status != STATUS_OK;
        if (!queue_push(&run->work, chunk, QUEUE_FOREVER) || failed) {
            break;
        }
    }
    atomic_store(&run->sequences, sequence);
    queue_close(&run->work);
    return NULL;
}

struct computer {
    struct score_runner *run;
    struct score_batch *batch;
};

static void *computer_main(void *argument) {
    struct computer *self = argument;
    struct score_chunk *chunk;
    thread_name("score-compute");
    while ((chunk = queue_pop(&self->run->work, QUEUE_FOREVER)) != NULL) {
        if (chunk->status == STATUS_OK) {
            score_batch_run(self->batch, chunk);
        } else { /* it could not be read */
            chunk->bad.size = chunk->out.size = 0;
            chunk->row_count = chunk->good_count = 0;
        }
        if (!queue_push(&self->run->done, chunk, QUEUE_FOREVER)) {
            break;
        }
    }
    free(self);
    return NULL;
}

/* ---- all of it ----------------------------------------------------------------------
 */

/* Standard output leaves nothing behind. */
static void forget(const struct score_runner *run) {
    if (!rows_is_stream(run->plan->opts->output)) {
        part_file_forget(&run->output);
    }
}

static void discard(const struct score_runner *run) {
    if (!rows_is_stream(run->plan->opts->output)) {
        part_file_discard(&run->output);
    }
    if (run->has_errors) {
        part_file_discard(&run->errors);
    }
}

static enum status open_files(struct score_runner *run, struct error *err) {
    const struct score_opts *opts = run->plan->opts;
    struct rows_buffer header = {.data = NULL};
    uint64_t keep[2];
    bool stream = rows_is_stream(opts->output);
    enum status status = stream ? part_file_init_stream(&run->output, err)
                                : part_file_init(&run->output, opts->output, err);
    run->has_errors =
        strcmp(opts->on_error, "fail") != 0 && strcmp(opts->on_error, "skip") != 0;
    if (status == STATUS_OK && run->has_errors) {
        status = part_file_init(&run->errors, opts->on_error, err);
    }
    if (status == STATUS_OK && run->plan->goes_on) {
        run->setup = score_setup(run->plan, err);
        status = run->setup == NULL ? err->status : STATUS_OK;
    }
    if (status != STATUS_OK) {
        return status;
    }
    run->offset = rows_reader_offset(run->plan->reader);
    score_take_up(run, keep);
    status = part_file_open(&run->output, keep[0], err);
    if (status == STATUS_OK && run->has_errors) {
        status = part_file_open(&run->errors, keep[1], err);
    }
    if (status == STATUS_OK && keep[0] == 0) {
        forget(run);
        status = rows_writer_header(run->plan->writer, 0, &header, err);
        if (status == STATUS_OK) {
            status =
                part_file_write(&run->output, span_of(header.data, header.size), err);
        }
    }
    rows_buffer_release(&header);
    return status;
}

/* Starts the computers; returns how many run. */
static int64_t start_computers(struct score_runner *run, struct error *err) {
    int64_t i;
    for (i = 0; i < run->threads; i++) {
        struct computer *self = calloc(1, sizeof(*self));
        if (self == NULL) {
            break;
        }
        *self = (struct computer){run, run->batches[i]};
        if (pthread_create(&run->computers[i], NULL, computer_main, self) != 0) {
            free(self);
            break;
        }
    }
    if (i < run->threads) {
        (void)error_set(err, STATUS_NO_MEMORY, "cannot start thread %lld", (long long)i);
    }
    return i;
}

/* The file's rows, guessed from those that are done and their bytes. */
static void show(struct score_runner *run, struct progress *progress, uint64_t first) {
    int64_t rows = atomic_load(&run->rows_done) - run->result->resumed;
    uint64_t size = rows_reader_size(run->plan->reader);
    uint64_t done = (uint64_t)atomic_load(&run->offset_done);
    done = done > first ? done - first : 0;
    progress->total =
        done == 0 ? 0 : (int64_t)((double)rows * (double)(size - first) / (double)done);
    progress_update(progress, rows);
}

static void wait_for_writer(struct score_runner *run, uint64_t first) {
    struct timespec nap = {.tv_nsec = SCORE_POLL_US / 4 * 1000L};
    struct progress progress;
    progress_start(&progress, "score", "rows", 0);
    while (!atomic_load(&run->over)) {
        if (signalled) {
            atomic_store(&run->stop, true);
        }
        show(run, &progress, first);
        (void)nanosleep(&nap, NULL); /* a signal ends it early */
    }
    progress_end(&progress);
}

static enum status run_threads(struct score_runner *run, struct error *err) {
    const uint64_t first = run->offset; /* the writer's own from here on */
    int64_t started;
    atomic_store(&run->sequences, -1);
    atomic_store(&run->rows_done, run->result->rows);
    atomic_store(&run->offset_done, (long long)run->offset);
    run->saved_us = clock_now_us();
    for (size_t i = 0; i < run->chunk_count; i++) {
        score_give_back(run, &run->chunks[i]);
    }
    started = start_computers(run, err);
    bool writes = started == run->threads &&
                  pthread_create(&run->writer, NULL, score_writer_main, run) == 0;
    bool reads = writes && pthread_create(&run->reader, NULL, reader_main, run) == 0;
    if (writes && !reads) {
        atomic_store(&run->sequences, 0);
    }
    if (writes) {
        wait_for_writer(run, first);
        (void)pthread_join(run->writer, NULL); /* fails on misuse alone; so below */
    }
    queue_close(&run->work);
    queue_close(&run->done);
    queue_close(&run->unused);
    if (reads) {
        (void)pthread_join(run->reader, NULL);
    }
    for (int64_t i = 0; i < started; i++) {
        (void)pthread_join(run->computers[i], NULL);
    }
    return reads ? STATUS_OK
                 : error_set(err, STATUS_NO_MEMORY, "cannot start the threads");
}

/* The count of rows stands in the header of a .npy file, which is as long as before. */
static enum status finish(struct score_runner *run, struct error *err) {
    struct rows_buffer header = {.data = NULL};
    enum status status =
        rows_writer_header(run->plan->writer, run->result->good, &header, err);
    if (status == STATUS_OK && run->plan->to == ROWS_NPY) {
        status =
            part_file_write_at(&run->output, 0, span_of(header.data, header.size), err);
    }
    rows_buffer_release(&header);
    if (status == STATUS_OK && run->has_errors) {
        status = part_file_finish(&run->errors, err);
    }
    if (status == STATUS_OK) {
        status = part_file_finish(&run->output, err);
    }
    if (status == STATUS_OK) {
        forget(run);
    }
    return status;
}

static enum status open_all(struct score_runner *run, struct error *err) {
    enum status status = open_files(run, err);
    run->chunk_count = (size_t)run->threads * CHUNKS_PER_THREAD + CHUNKS_MORE;
    run->chunks = calloc(run->chunk_count, sizeof(*run->chunks));
    if (status == STATUS_OK &&
        (run->chunks == NULL || !queue_init(&run->unused, run->chunk_count) ||
         !queue_init(&run->work, run->chunk_count) ||
         !queue_init(&run->done, run->chunk_count))) {
        status = error_set(err, STATUS_NO_MEMORY, "no memory for the threads");
    }
    for (int64_t i = 0; i < run->threads && status == STATUS_OK; i++) {
        status = score_batch_create(run->plan, &run->batches[i], err);
    }
    return status;
}

static void close_all(struct score_runner *run) {
    for (int64_t i = 0; i < run->threads; i++) {
        score_batch_destroy(run->batches[i]);
    }
    for (size_t i = 0; run->chunks != NULL && i < run->chunk_count; i++) {
        rows_chunk_release(&run->chunks[i].rows);
        rows_buffer_release(&run->chunks[i].body);
        rows_buffer_release(&run->chunks[i].out);
        rows_buffer_release(&run->chunks[i].bad);
    }
    free(run->chunks);
    queue_release(&run->unused);
    queue_release(&run->work);
    queue_release(&run->done);
    part_file_close(&run->output);
    part_file_close(&run->errors);
    json_decref(run->setup);
}

static enum status run_all(struct score_runner *run, struct error *err) {
    struct sigaction action = {.sa_handler = note_signal};
    int64_t started_us = clock_now_us();
    enum status status = open_all(run, err);
    if (status == STATUS_OK) {
        (void)sigaction(SIGINT, &action, NULL); /* fails on misuse alone */
        (void)sigaction(SIGTERM, &action, NULL);
        status = run_threads(run, err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    run->result->seconds = (double)(clock_now_us() - started_us) / 1e6;
    run->result->stopped =
        signalled != 0 && run->offset < rows_reader_size(run->plan->reader);
    if (run->status == STATUS_OK && !run->result->stopped) {
        return finish(run, err);
    }
    /* What is done so far is kept, unless keeping it is what failed. */
    status = run->status;
    *err = run->err;
    if (run->result->rows == 0 || !run->plan->goes_on) {
        discard(run);
        return status;
    }
    if (score_save(run) != STATUS_OK && status == STATUS_OK) {
        status = run->err.status;
        *err = run->err;
    }
    return status;
}

enum status score_run(struct score_plan *plan, struct score_result *result,
                      struct error *err) {
    struct score_runner *run = calloc(1, sizeof(*run));
    enum status status;
    *result = (struct score_result){.rows = 0};
    if (run == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for the threads");
    }
    run->plan = plan;
    run->result = result;
    run->threads = plan->opts->threads;
    run->output.fd = run->errors.fd = -1;
    status = run_all(run, err);
    close_all(run);
    free(run);
    return status;
}
