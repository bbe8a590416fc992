/* serving.h - which version of each model batches are made for, and the way out of old
 * ones.
 *
 *     loader thread ──serving_offer──► offered ──serving_next──► current ──► leaving ──►
 * retire intake thread, between two batches
 *
 * A version serves from the moment when no batch of the one before it is open.  The old
 * one is kept until the last batch that was made for it is back, and is then handed to
 * `retire`.
 *
 * Depends on: app/models.h.
 * Ownership: owns what is offered and what leaves; what is current stays the models'.
 * Threads: intake thread, but for serving_offer (any). */
#ifndef MILLRACE_APP_SERVING_H
#define MILLRACE_APP_SERVING_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "app/models.h"

#define SERVING_LEAVING_MAX 8 /* more versions wait until one of these has left */

struct serving {
    struct models *models;            /* borrowed; `current` is their items */
    const struct batch_model **items; /* owned; the same, as the batcher wants them */
    struct loaded *leaving[SERVING_LEAVING_MAX]; /* owned */
    int leaving_count;
    void (*retire)(void *opaque, struct loaded *loaded); /* takes it */
    void *opaque;
    atomic_int offers; /* how many wait */
    pthread_mutex_t lock;
    struct loaded **offered; /* owned; by model; under lock */
    bool made;
};

MUST_CHECK enum status serving_init(struct serving *serving, struct models *models,
                                    void (*retire)(void *opaque, struct loaded *loaded),
                                    void *opaque, struct error *err);
/* Accepts a zeroed struct.  All batches are gone. */
void serving_release(struct serving *serving);

/* Takes the version, to serve from between two batches on.  One that is offered before
 * the last has been taken up takes its place, and that one is retired.  Any thread. */
void serving_offer(struct serving *serving, struct loaded *loaded);

/* Does a version of the model wait to serve, and could it now? */
bool serving_awaits(struct serving *serving, int model);

/* The model's version that is to serve next, or NULL; the caller empties the batcher of
 * its model, then calls serving_change with it. */
struct loaded *serving_next(struct serving *serving, int model);
void serving_change(struct serving *serving, struct loaded *loaded);

/* A fresh batch's version is counted; or an unused batch's is exchanged for the current
 * one. */
void serving_adopt(struct serving *serving, const struct batch *batch);
void serving_rebind(struct serving *serving, struct batch *batch);

/* Does a version wait for its batches to come back?  Retires those for which none is out.
 */
bool serving_sweep(struct serving *serving);

#endif
