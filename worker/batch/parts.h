/* parts.h - a job of several rows: what its rows came to, until all have.
 *
 * Its rows may lie in several batches, run by several threads, in any order.  Each leaves
 * its outputs or its failure here, and who brings the last one gets to answer the job:
 * one answer with all rows in their order, or the first failure.
 *
 * Depends on: batch/batch.h.
 * Ownership: a pool owns all parts it made; outputs are copied.
 * Threads: any; each holds its own mutex. */
#ifndef MILLRACE_BATCH_PARTS_H
#define MILLRACE_BATCH_PARTS_H

#include <pthread.h>

#include "batch/batch.h"

#define PARTS_SIZE_MAX ((size_t)256 << 20) /* bytes of one job's outputs */

struct parts_text;

struct parts {
    struct parts *next;      /* in the pool's free list */
    struct parts *made_next; /* in its list of all */
    struct parts_pool *pool;
    int rows;
    pthread_mutex_t lock;
    /* Under lock. */
    int left;            /* rows that nothing is known of yet */
    struct error reason; /* of the first failure; STATUS_OK while there is none */
    int cause;           /* the caller's word for where that was */
    int batch_size;      /* the largest */
    int64_t wait_us;     /* the shortest */
    int64_t compute_us;  /* of all batches */
    int output_count;    /* 0 until the first row is there */
    struct tensor outputs[MODEL_OUTPUTS_MAX]; /* [rows, ...], in `bytes` */
    uint8_t *bytes;                           /* owned; kept for the next job */
    size_t room;
    struct parts_text *texts; /* owned: what elements that are strings point to */
};

struct parts_pool {
    pthread_mutex_t lock;
    struct parts *unused, *made; /* under lock */
};

/* False where the lock cannot be made. */
MUST_CHECK bool parts_pool_init(struct parts_pool *pool);
/* Frees all that were made, those that are not back yet as well. */
void parts_pool_release(struct parts_pool *pool);

/* For a job of `rows` rows; NULL without memory. */
MUST_CHECK struct parts *parts_take(struct parts_pool *pool, int rows);
void parts_give_back(struct parts *parts);

/* What a batch has computed for `count` rows of the job, of which the first is its row
 * `first`.  outputs[i] is that row's output, those of the next rows follow at strides[i]
 * bytes. */
struct parts_rows {
    int first, count;
    const struct tensor *outputs; /* borrowed */
    const size_t *strides;
    int output_count;
    int batch_size;
    int64_t wait_us, compute_us;
};

/* Each returns whether it was the last: then the caller answers, and gives back. */
MUST_CHECK bool parts_store(struct parts *parts, const struct parts_rows *rows);
MUST_CHECK bool parts_fail(struct parts *parts, int count, int cause,
                           const struct error *reason);

#endif
