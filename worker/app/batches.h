/* batches.h - all batches of a worker: which can be filled, and what running one takes.
 *
 *     batches_take ──► filled, run ──► batches_give_back ──┐
 *          ▲                                               │
 *          └────────── a queue for each model ◄────────────┘
 *
 * All are made at the start, so that the batch path allocates nothing; a model whose
 * batches are all out keeps nobody waiting but itself (backlog.h).
 *
 * Depends on: app/serving.h, base/queue.h.
 * Ownership: owns every batch, those that are out too.
 * Threads: intake thread; batches_give_back, batches_note_cost, batches_cost_us and
 * batches_close on any. */
#ifndef MILLRACE_APP_BATCHES_H
#define MILLRACE_APP_BATCHES_H

#include "app/serving.h"
#include "base/queue.h"

/* One model's. */
struct batches_of {
    struct queue unused;     /* to be filled */
    _Atomic int64_t cost_us; /* what one takes */
    atomic_bool returned;    /* one has come back, or the version has changed */
};

struct batches {
    struct serving *serving;   /* borrowed: the versions that batches are made for */
    struct batches_of *models; /* owned; by model */
    int model_count;
    struct batch **all; /* owned, to be freed at the end */
    int all_count;
};

/* Most batches of a model that may be open at once, where shapes differ. */
int batches_open_max(const struct config *config);

/* Makes the batches of all the models of `serving`. */
MUST_CHECK enum status batches_init(struct batches *batches, const struct config *config,
                                    struct serving *serving, struct error *err);
/* Accepts a zeroed struct.  Nobody holds a batch any more. */
void batches_release(struct batches *batches);

/* An unused batch for the model's current version, or NULL. */
struct batch *batches_take(struct batches *batches, int model);
void batches_give_back(struct batches *batches, struct batch *batch);

/* Is it worth another try to place what waits for the model's batches?  False until the
 * next one comes back. */
bool batches_returned(struct batches *batches, int model);

/* The model's version has changed: what waits is worth another try. */
void batches_changed(struct batches *batches, int model);

/* Makes unused batches for the current versions, so that an old one can leave though no
 * job comes. */
void batches_rebind(struct batches *batches);

/* What a batch of the model took, and what one is likely to take. */
void batches_note_cost(struct batches *batches, int model, int64_t taken_us);
int64_t batches_cost_us(const struct batches *batches, int model);

/* The same of this batch with the rows that it has. */
int64_t batches_cost_of(const struct batches *batches, const struct batch *batch);

/* How many batches the model has. */
size_t batches_count(const struct batches *batches, int model);

/* Ends every wait. */
void batches_close(struct batches *batches);

#endif
