/* loaded.h - one version of a model, loaded and proved fit to be batched.
 *
 * A model serves jobs row by row: the first dimension of every input and output is the
 * batch, free in the file, or 1, in which case its jobs are run one at a time.  It is run
 * once with its largest batch before it serves, so that what does not fit shows then, and
 * is measured, so that batches are as large as is worth it; what has no shape before jobs
 * come is learned from them (batch/learn.h).
 *
 * A model may be loaded again, from another file or the same one: each struct loaded has
 * sessions of its own, and is kept for as long as a batch is made for it.
 *
 * Depends on: config, app/digest.h, batch/batch.h, engine.
 * Ownership: as the struct says; the config must outlive it.
 * Threads: immutable once loaded, but for `batches`. */
#ifndef MILLRACE_APP_LOADED_H
#define MILLRACE_APP_LOADED_H

#include "app/digest.h"
#include "batch/batch.h"
#include "config/config.h"
#include "engine/session.h"

/* One version of a model. */
struct loaded {
    struct batch_model item;   /* first: a batch's version is found by its model */
    int index;                 /* of the model */
    struct session **sessions; /* owned; one for each compute thread */
    int session_count;
    char *path, *version; /* owned */
    uint8_t sha256[DIGEST_SIZE];
    char sha256_text[DIGEST_TEXT_SIZE];
    int batches; /* made for it; written by the intake thread alone */
};

/* What to load. */
struct loaded_source {
    const struct config_model *config; /* outlives the version */
    int index;
    const char *path, *version; /* copied */
    const char *sha256;         /* expected, in hexadecimal; NULL or "": any */
    int threads;                /* sessions, each warmed up; 0: none */
    int slice_ms;               /* no batch is to take longer; 0: as long as it likes */
};

/* Loads a version; the error does not name the model.  A file that changes while it is
 * read is refused. */
MUST_CHECK enum status loaded_open(const struct loaded_source *source,
                                   struct loaded **loaded, struct error *err);
/* Accepts NULL.  No batch is made for it any more. */
void loaded_close(struct loaded *loaded);

/* Whether jobs, mappings and batches of `old` fit `next` too: the same inputs and
 * answered outputs, by name, type and shape. */
MUST_CHECK enum status loaded_check_like(const struct loaded *old,
                                         const struct loaded *next, struct error *err);

/* The same for inputs alone. */
MUST_CHECK enum status loaded_check_inputs(const struct loaded *old,
                                           const struct loaded *next, struct error *err);

/* The version that a batch is made for. */
static inline const struct loaded *loaded_of(const struct batch *batch) {
    return (const struct loaded *)batch->model;
}

#endif
