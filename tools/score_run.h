/* score_run.h - what the threads of millrace score share: score_run.c, score_write.c and
 * score_resume.c, nobody else.
 *
 * Depends on: base/queue.h, tools/score.h.
 * Ownership: the struct score_runner's fields say it.
 * Threads: the fields say whose they are. */
#ifndef MILLRACE_TOOLS_SCORE_RUN_H
#define MILLRACE_TOOLS_SCORE_RUN_H

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/queue.h"
#include "tools/score.h"

#define SCORE_POLL_US 100000

struct score_runner {
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

/* Gives a chunk to whoever reads next.  The queue has room for all chunks there are;
 * closed, it is of no use any more. */
void score_give_back(struct score_runner *run, struct score_chunk *chunk);

/* The writer's thread.  Chunks that were done before their turn wait by their number. */
void *score_writer_main(void *argument);

/* What must be the same for the bytes that are there to be these; NULL after an error. */
json_t *score_setup(const struct score_plan *plan, struct error *err);
/* Takes up what a run before has left, if it is of the same work; `keep` are the bytes of
 * the output and of the errors that stay. */
void score_take_up(struct score_runner *run, uint64_t keep[2]);
/* Notes how far it has come.  Runs on: the writer, or whoever outlives it. */
MUST_CHECK enum status score_save(struct score_runner *run);

#endif
