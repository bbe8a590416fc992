/* infer.h - runs a batch and turns its rows into encoded answers.
 *
 * A batch fails as a whole only at first: it is halved until the rows that make it fail
 * are alone, so that no job suffers for its neighbours.  The rows of a job that has
 * several are put together; where one fails, the job does.
 *
 * Depends on: batch/batch.h, engine/session.h, codec/result.h, codec/record_out.h.
 * Ownership: answers own the encoded bytes; each answered row holds one reference.
 * Threads: infer_run on the compute thread that owns the session; answers_unref on any.
 */
#ifndef MILLRACE_BATCH_INFER_H
#define MILLRACE_BATCH_INFER_H

#include <pthread.h>
#include <stdatomic.h>

#include "batch/parts.h"
#include "engine/session.h"

/* The encoded results of one batch, kept until the last of them is committed. */
struct answers {
    struct answers *next; /* in the pool's free list */
    struct answers_pool *pool;
    atomic_int refs;
    uint8_t *bytes; /* owned */
    size_t room;    /* bytes allocated; grows to the largest batch seen, then stays */
    size_t used;
    /* Of the model, which may be gone before the answers are committed; only for records,
     * whose answers do not say it themselves. */
    char version[BATCH_VERSION_SIZE_MAX + 1];
    char sha256[2 * BATCH_SHA256_SIZE + 1];
};

struct answers_pool {
    pthread_mutex_t lock;
    struct answers *unused; /* under lock */
};

/* False where the lock cannot be made. */
MUST_CHECK bool answers_pool_init(struct answers_pool *pool);
/* All answers are back. */
void answers_pool_release(struct answers_pool *pool);

/* Drops one reference; the last one gives the answers back to their pool. */
void answers_unref(void *answers);

/* What becomes of a job; one of the two is called, once, on the thread of the infer_run
 * that did its last row.  `row` is that one. */
struct infer_sink {
    /* `result` stays until answers_unref(holder), which the receiver owes. */
    void (*answered)(void *opaque, const struct batch_row *row, struct span result,
                     void *holder);
    /* `cause` is 0, or what parts_fail was told. */
    void (*failed)(void *opaque, const struct batch_row *row, int cause,
                   const struct error *reason);
    void *opaque;
};

struct infer_times {
    int64_t compute_us; /* all runs of this batch */
    int64_t encode_us;
    int answered; /* jobs */
    int failed;
    int runs; /* of the model: 1 where nothing failed */
};

/* Runs all rows of the batch and hands their jobs to the sink, in order.  `now_us` is the
 * clock to measure with.  Never fails as a whole: what cannot be answered is failed. */
void infer_run(struct session *session, const struct batch *batch,
               struct answers_pool *pool, const struct infer_sink *sink,
               int64_t (*now_us)(void), struct infer_times *times);

#endif
