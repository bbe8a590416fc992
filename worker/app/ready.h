/* ready.h - batches that can be run, and whose turn it is.
 *
 * First in, first out within a model, urgent ones and those with a deadline before others
 * (batch/share.h bounds how often); among models by weight and by what their batches
 * cost.  Pushing never waits: a model has only so many batches.
 *
 * Waking a thread takes longer than many a batch, so those that are quickly run are
 * pushed together before one is woken, while that costs no time worth the name.
 *
 * Depends on: batch/share.h, app/models.h.
 * Ownership: batches pass from the pusher to the popper.
 * Threads: any; it holds its own mutex. */
#ifndef MILLRACE_APP_READY_H
#define MILLRACE_APP_READY_H

#include <pthread.h>
#include <stdatomic.h>

#include "app/models.h"
#include "batch/share.h"

struct ready_line {
    struct batch *first, *last;
};

struct ready_model {
    struct ready_line urgent, ordinary;
    int passed;         /* urgent ones in a row while others waited */
    atomic_int running; /* batches that are being run; written under lock */
};

struct ready {
    struct ready_model *models; /* owned; by model; under lock, as all below */
    struct shares shares;       /* items owned */
    bool closed;
    int poppers;       /* that wait on not_empty */
    int unheard;       /* batches inside that nobody was woken for */
    int64_t cost_us;   /* of these */
    int64_t since_us;  /* when the first of these began to be filled, at the latest */
    int64_t pushed_us; /* when the last batch came */
    pthread_mutex_t lock;
    pthread_cond_t not_empty; /* on CLOCK_MONOTONIC */
    atomic_int waiting;       /* batches inside; written under lock */
    atomic_int idle;          /* threads that wait for one; likewise */
    bool made;
};

/* For batches of these models, by their weights. */
MUST_CHECK enum status ready_init(struct ready *ready, const struct models *models,
                                  struct error *err);
/* Accepts a zeroed struct. */
void ready_release(struct ready *ready);

/* Takes the batch, whose cost_us is set, 0 if it is not known; false once closed: it
 * remains the caller's.  Whoever pushes no more for now calls ready_wake. */
MUST_CHECK bool ready_push(struct ready *ready, struct batch *batch, int64_t now_us);

/* Wakes threads for batches that were pushed and not heard of. */
void ready_wake(struct ready *ready);

/* The next batch, waiting up to timeout_us for one; NULL: none, or closed. */
MUST_CHECK struct batch *ready_pop(struct ready *ready, int64_t timeout_us);

/* A batch that was popped has been run and took so long, whatever was expected. */
void ready_done(struct ready *ready, const struct batch *batch, int64_t taken_us);

/* Is a batch of the model being run? */
bool ready_runs(const struct ready *ready, int model_index);

/* Batches of the model inside at this moment. */
int ready_waiting_of(struct ready *ready, int model_index);

/* Batches inside at this moment, and whether a thread has nothing to do but for them. */
int ready_waiting(struct ready *ready);
bool ready_is_idle(struct ready *ready);

/* Nothing goes in or out any more; wakes everyone. */
void ready_close(struct ready *ready);

#endif
