/* score_run.c - the threads of millrace score; see score.h.
 *
 *     reader ──► work ──► compute 1..N ──► done ──► writer, in order ──► unused ──►
 * reader
 *
 * Chunks go round; there are as many as keep everyone busy, so memory is bounded whatever
 * the file's size.  The first failure ends all of it: the lowest row's, since the writer
 * takes chunks in order. */
#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "app/digest.h"
#include "base/clock.h"
#include "base/queue.h"
#include "base/thread.h"
#include "tools/progress.h"
#include "tools/score.h"

#define CHUNKS_PER_THREAD 2
#define CHUNKS_MORE 3 /* one is read, one written, one waits */
#define POLL_US 100000

struct runner {
    struct score_plan *plan;
    struct part_file output, errors; /* `errors` is of --on-error FILE */
    bool has_errors;
    json_t *setup;              /* owned; what another run must have in common to go on */
    struct score_chunk *chunks; /* owned */
    size_t chunk_count;
    struct queue unused, work, done; /* of struct score_chunk */
    pthread_t reader, writer, computers[SCORE_THREADS_MAX];
    struct score_batch *batches[SCORE_THREADS_MAX]; /* owned */
    int64_t threads;
    atomic_bool stop; /* the reader reads no more */
    atomic_llong rows_done, offset_done;
    atomic_bool over;       /* the writer has ended */
    atomic_llong sequences; /* chunks that were read; set when there are no more */
    /* The writer's own, until it has ended. */
    struct score_result *result;
    uint64_t offset; /* of the input: all before it is in the output */
    int64_t saved_us;
    enum status status;
    struct error err;
};

static volatile sig_atomic_t signalled;

static void note_signal(int number) {
    (void)number;
    signalled = 1;
}

/* ---- going on -----------------------------------------------------------------------
 */

/* What must be the same for the bytes that are there to be these. */
static json_t *describe(const struct score_plan *plan, struct error *err) {
    const struct score_opts *opts = plan->opts;
    char input[PART_FILE_IDENTITY_MAX], model[DIGEST_TEXT_SIZE];
    char route[DIGEST_TEXT_SIZE] = "";
    uint8_t digest[DIGEST_SIZE];
    struct span schema = record_out_json(plan->out);
    if (part_file_identity(opts->input, input, err) != STATUS_OK ||
        digest_file(opts->model, digest, err) != STATUS_OK) {
        return NULL;
    }
    digest_text(digest, model);
    if (opts->mapping != NULL) {
        if (digest_file(opts->mapping, digest, err) != STATUS_OK) {
            return NULL;
        }
        digest_text(digest, route);
    }
    return json_pack("{s:s, s:s, s:s, s:s, s:s%, s:s, s:s, s:s, s:b, s:b, s:b}", "input",
                     input, "route", route, "model", model, "mapping", plan->mapping.text,
                     "schema", (const char *)schema.data, (size_t)schema.size, "from",
                     rows_format_name(plan->from), "to", rows_format_name(plan->to),
                     "codec", rows_codec_name(plan->codec), "raw", plan->raw,
                     "missing_refused", opts->missing_refused, "errors",
                     opts->on_error[0] != 0 && strcmp(opts->on_error, "fail") != 0 &&
                         strcmp(opts->on_error, "skip") != 0);
}

static int64_t number_of(const json_t *object, const char *name) {
    return (int64_t)json_integer_value(json_object_get(object, name));
}

/* The sync marker of the container that is there: 32 digits. */
static bool take_sync(struct score_plan *plan, const char *text) {
    if (text == NULL || strlen(text) != 2 * ROWS_SYNC_SIZE) {
        return false;
    }
    for (size_t i = 0; i < ROWS_SYNC_SIZE; i++) {
        unsigned byte;
        if (sscanf(text + 2 * i, "%2x", &byte) != 1) {
            return false;
        }
        plan->sync[i] = (uint8_t)byte;
    }
    return true;
}

static void put_sync(const struct score_plan *plan, char text[2 * ROWS_SYNC_SIZE + 1]) {
    for (size_t i = 0; i < ROWS_SYNC_SIZE; i++) {
        (void)snprintf(text + 2 * i, 3, "%02x", plan->sync[i]);
    }
}

/* Takes up what a run before has left, if it is of the same work; `keep` are the bytes of
 * the output and of the errors that stay. */
static void take_up(struct runner *run, uint64_t keep[2]) {
    json_t *progress = part_file_progress(&run->output);
    struct score_result *result = run->result;
    keep[0] = keep[1] = 0;
    if (progress == NULL) {
        return;
    }
    if (run->plan->opts->restart) {
        fprintf(stderr, "millrace score: begun anew, as was asked for\n");
    } else if (json_equal(json_object_get(progress, "setup"), run->setup) == 0 ||
               !take_sync(run->plan,
                          json_string_value(json_object_get(progress, "sync")))) {
        fprintf(stderr, "millrace score: what a run before has left is of another input, "
                        "model or choice of columns: begun anew\n");
    } else {
        keep[0] = (uint64_t)number_of(progress, "written");
        keep[1] = (uint64_t)number_of(progress, "errors_written");
        run->offset = (uint64_t)number_of(progress, "offset");
        result->rows = number_of(progress, "rows");
        result->good = number_of(progress, "good");
        result->bad = number_of(progress, "bad");
        result->resumed = result->rows;
        rows_reader_seek(run->plan->reader, run->offset);
        fprintf(stderr, "millrace score: goes on behind row %lld\n",
                (long long)result->rows);
    }
    json_decref(progress);
}

static enum status save(struct runner *run) {
    char sync[2 * ROWS_SYNC_SIZE + 1];
    json_t *progress;
    enum status status;
    put_sync(run->plan, sync);
    progress = json_pack(
        "{s:O, s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "setup", run->setup, "sync", sync,
        "offset", (json_int_t)run->offset, "rows", (json_int_t)run->result->rows, "good",
        (json_int_t)run->result->good, "bad", (json_int_t)run->result->bad, "written",
        (json_int_t)run->output.size, "errors_written",
        (json_int_t)(run->has_errors ? run->errors.size : 0));
    if (progress == NULL) {
        return error_set(&run->err, STATUS_NO_MEMORY, "no memory for progress");
    }
    status = part_file_sync(&run->output, &run->err);
    if (status == STATUS_OK && run->has_errors) {
        status = part_file_sync(&run->errors, &run->err);
    }
    if (status == STATUS_OK) {
        status = part_file_save(&run->output, progress, &run->err);
    }
    json_decref(progress);
    run->saved_us = clock_now_us();
    return status;
}

/* ---- the writer ---------------------------------------------------------------------
 */

static enum status write_bad(struct runner *run, const struct score_bad *bad) {
    const char *on_error = run->plan->opts->on_error;
    struct rows_buffer line = {.data = NULL};
    char head[64];
    enum status status;
    int64_t row = run->result->rows + bad->row + 1;
    if (strcmp(on_error, "skip") == 0) {
        return STATUS_OK;
    }
    if (!run->has_errors) {
        return error_set(&run->err, STATUS_POISON,
                         "%s: row %lld: %s (--on-error skip or --on-error FILE goes on "
                         "without it)",
                         run->plan->opts->input, (long long)row, bad->text);
    }
    (void)snprintf(head, sizeof(head), "{\"row\":%lld,\"error\":", (long long)row);
    json_t *text = json_string(bad->text);
    char *quoted = text == NULL ? NULL : json_dumps(text, JSON_ENCODE_ANY);
    status = quoted == NULL
                 ? error_set(&run->err, STATUS_NO_MEMORY, "no memory for an error")
                 : rows_buffer_add(&line, head, strlen(head), &run->err);
    if (status == STATUS_OK) {
        status = rows_buffer_add(&line, quoted, strlen(quoted), &run->err);
    }
    if (status == STATUS_OK) {
        status = rows_buffer_add(&line, "}\n", 2, &run->err);
    }
    if (status == STATUS_OK) {
        status = part_file_write(&run->errors, span_of(line.data, line.size), &run->err);
    }
    rows_buffer_release(&line);
    free(quoted);
    json_decref(text);
    return status;
}

static enum status write_chunk(struct runner *run, const struct score_chunk *chunk) {
    const struct score_bad *bad = (const struct score_bad *)(const void *)chunk->bad.data;
    size_t bad_count = chunk->bad.size / sizeof(*bad);
    enum status status = STATUS_OK;
    for (size_t i = 0; i < bad_count && status == STATUS_OK; i++) {
        status = write_bad(run, &bad[i]);
    }
    if (status == STATUS_OK && chunk->status != STATUS_OK) {
        run->err = chunk->err;
        status = chunk->status;
    }
    if (status == STATUS_OK) {
        status = part_file_write(&run->output, span_of(chunk->out.data, chunk->out.size),
                                 &run->err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    run->result->rows += chunk->row_count;
    run->result->good += chunk->good_count;
    run->result->bad += (int64_t)bad_count;
    run->offset = chunk->rows.end;
    atomic_store(&run->rows_done, run->result->rows);
    atomic_store(&run->offset_done, (long long)run->offset);
    if ((double)(clock_now_us() - run->saved_us) >= run->plan->opts->save_s * 1e6) {
        return save(run);
    }
    return STATUS_OK;
}

/* The queue has room for all chunks there are; closed, it is of no use any more. */
static void give_back(struct runner *run, struct score_chunk *chunk) {
    bool pushed = queue_push(&run->unused, chunk, 0);
    (void)pushed;
}

/* Chunks that were done before their turn wait in `early`, by their number. */
static void *writer_main(void *argument) {
    struct runner *run = argument;
    struct score_chunk **early = calloc(run->chunk_count, sizeof(struct score_chunk *));
    int64_t next = 0;
    thread_name("score-write");
    if (early == NULL) {
        run->status = error_set(&run->err, STATUS_NO_MEMORY, "no memory for a thread");
    }
    while (run->status == STATUS_OK && next != atomic_load(&run->sequences)) {
        struct score_chunk *chunk = queue_pop(&run->done, POLL_US);
        if (chunk == NULL) {
            continue;
        }
        early[(size_t)chunk->sequence % run->chunk_count] = chunk;
        while (run->status == STATUS_OK &&
               (chunk = early[(size_t)next % run->chunk_count]) != NULL) {
            early[(size_t)next++ % run->chunk_count] = NULL;
            run->status = write_chunk(run, chunk);
            give_back(run, chunk);
        }
    }
    free(early);
    atomic_store(&run->stop, true);
    queue_close(&run->unused);
    queue_close(&run->work);
    atomic_store(&run->over, true);
    return NULL;
}

/* ---- the others ---------------------------------------------------------------------
 */

static void *reader_main(void *argument) {
    struct runner *run = argument;
    int64_t sequence = 0;
    thread_name("score-read");
    while (!atomic_load(&run->stop)) {
        struct score_chunk *chunk = queue_pop(&run->unused, POLL_US);
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
    struct runner *run;
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

static enum status open_files(struct runner *run, struct error *err) {
    const struct score_opts *opts = run->plan->opts;
    struct rows_buffer header = {.data = NULL};
    uint64_t keep[2];
    enum status status = part_file_init(&run->output, opts->output, err);
    run->has_errors =
        strcmp(opts->on_error, "fail") != 0 && strcmp(opts->on_error, "skip") != 0;
    if (status == STATUS_OK && run->has_errors) {
        status = part_file_init(&run->errors, opts->on_error, err);
    }
    if (status == STATUS_OK) {
        run->setup = describe(run->plan, err);
        status = run->setup == NULL ? err->status : STATUS_OK;
    }
    if (status != STATUS_OK) {
        return status;
    }
    run->offset = rows_reader_offset(run->plan->reader);
    take_up(run, keep);
    status = part_file_open(&run->output, keep[0], err);
    if (status == STATUS_OK && run->has_errors) {
        status = part_file_open(&run->errors, keep[1], err);
    }
    if (status == STATUS_OK && keep[0] == 0) {
        part_file_forget(&run->output);
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
static int64_t start_computers(struct runner *run, struct error *err) {
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
static void show(struct runner *run, struct progress *progress, uint64_t first) {
    int64_t rows = atomic_load(&run->rows_done) - run->result->resumed;
    uint64_t size = rows_reader_size(run->plan->reader);
    uint64_t done = (uint64_t)atomic_load(&run->offset_done);
    done = done > first ? done - first : 0;
    progress->total =
        done == 0 ? 0 : (int64_t)((double)rows * (double)(size - first) / (double)done);
    progress_update(progress, rows);
}

static void wait_for_writer(struct runner *run, uint64_t first) {
    struct timespec nap = {.tv_nsec = POLL_US / 4 * 1000L};
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

static enum status run_threads(struct runner *run, struct error *err) {
    const uint64_t first = run->offset; /* the writer's own from here on */
    int64_t started;
    atomic_store(&run->sequences, -1);
    atomic_store(&run->rows_done, run->result->rows);
    atomic_store(&run->offset_done, (long long)run->offset);
    run->saved_us = clock_now_us();
    for (size_t i = 0; i < run->chunk_count; i++) {
        give_back(run, &run->chunks[i]);
    }
    started = start_computers(run, err);
    bool writes = started == run->threads &&
                  pthread_create(&run->writer, NULL, writer_main, run) == 0;
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
static enum status finish(struct runner *run, struct error *err) {
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
        part_file_forget(&run->output);
    }
    return status;
}

static enum status open_all(struct runner *run, struct error *err) {
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

static void close_all(struct runner *run) {
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

static enum status run_all(struct runner *run, struct error *err) {
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
    if (run->result->rows == 0) {
        part_file_discard(&run->output);
        if (run->has_errors) {
            part_file_discard(&run->errors);
        }
        return status;
    }
    if (save(run) != STATUS_OK && status == STATUS_OK) {
        status = run->err.status;
        *err = run->err;
    }
    return status;
}

enum status score_run(struct score_plan *plan, struct score_result *result,
                      struct error *err) {
    struct runner *run = calloc(1, sizeof(*run));
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
