/* score_write.c - the writer of millrace score: chunks into the output, in their order.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/thread.h"
#include "tools/score_run.h"

static enum status write_bad(struct score_runner *run, const struct score_bad *bad) {
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

static enum status write_chunk(struct score_runner *run,
                               const struct score_chunk *chunk) {
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
        return score_save(run);
    }
    return STATUS_OK;
}

void score_give_back(struct score_runner *run, struct score_chunk *chunk) {
    bool pushed = queue_push(&run->unused, chunk, 0);
    (void)pushed;
}

/* Chunks that were done before their turn wait in `early`, by their number. */
void *score_writer_main(void *argument) {
    struct score_runner *run = argument;
    struct score_chunk **early = calloc(run->chunk_count, sizeof(struct score_chunk *));
    int64_t next = 0;
    thread_name("score-write");
    if (early == NULL) {
        run->status = error_set(&run->err, STATUS_NO_MEMORY, "no memory for a thread");
    }
    while (run->status == STATUS_OK && next != atomic_load(&run->sequences)) {
        struct score_chunk *chunk = queue_pop(&run->done, SCORE_POLL_US);
        if (chunk == NULL) {
            continue;
        }
        early[(size_t)chunk->sequence % run->chunk_count] = chunk;
        while (run->status == STATUS_OK &&
               (chunk = early[(size_t)next % run->chunk_count]) != NULL) {
            early[(size_t)next++ % run->chunk_count] = NULL;
            run->status = write_chunk(run, chunk);
            score_give_back(run, chunk);
        }
    }
    free(early);
    atomic_store(&run->stop, true);
    queue_close(&run->unused);
    queue_close(&run->work);
    atomic_store(&run->over, true);
    return NULL;
}
