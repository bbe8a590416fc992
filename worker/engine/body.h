/* body.h - running the body of an If, Loop, Scan or SequenceMap.
 *
 * A body is a model; a node has a session for each of its bodies, and its shape()
 * computes with them.  What a body makes lies in its session until it runs again, so what
 * must outlast that is held: in memory that grows and is the node's.
 *
 * Depends on: engine/op.h, engine/session.h.
 * Ownership: holds own their memory; release them in the operator's release().
 * Threads: as the session's. */
#ifndef MILLRACE_ENGINE_BODY_H
#define MILLRACE_ENGINE_BODY_H

#include "engine/model_impl.h"
#include "engine/op.h"
#include "engine/session.h"

/* Its memory counts in the budget of the session, which outlives it. */
struct hold {
    void *data;
    size_t size;
    struct budget *budget;
};

/* The body in attribute `name`, loaded: its first inputs are of the `count` given
 * values, then come its captures.  `index` is its place among exec->bodies. */
MUST_CHECK enum status body_load(struct load *load, const char *name,
                                 const struct value *const *inputs, int count,
                                 struct model **body, int *index, struct error *err);

/* Before body_load, of a body that is run again on what it made: inputs [first_in, count)
 * are its outputs from first_out on.  Where one comes out as it went in and begins as a
 * constant, the body computes with that: its nodes fold and pack it. */
MUST_CHECK enum status body_keep_constants(struct load *load, const char *name,
                                           const struct value *const *inputs, int count,
                                           int first_in, int first_out,
                                           struct error *err);

/* Runs it.  `inputs` has room for all of the body's inputs, the first `count` set; the
 * captures are filled in. */
MUST_CHECK enum status body_run(const struct exec *exec, const struct model *body,
                                int index, struct tensor *inputs, int count,
                                struct error *err);

/* At least `size` bytes, what was there is kept. */
MUST_CHECK enum status hold_grow(const struct exec *exec, struct hold *hold, size_t size,
                                 struct error *err);

/* A copy of `x` and all it points to, in `hold`. */
MUST_CHECK enum status hold_copy(const struct exec *exec, struct hold *hold,
                                 const struct tensor *x, struct tensor *copy,
                                 struct error *err);

void hold_release(struct hold *hold);

/* The memo of an operator that computes in shape(): op->memo_size is its size. */
struct body_memo {
    struct tensor *inputs;  /* room for those of any of the node's bodies */
    struct hold *holds;     /* hold_count */
    struct tensor *results; /* what run() copies to the outputs, one for each */
    int hold_count;
};

/* Makes the arrays the first time; they stay until body_memo_release. */
MUST_CHECK enum status body_memo_make(struct exec *exec, int holds, struct error *err);

/* release() and run() of such operators. */
void body_memo_release(struct exec *exec);
enum status body_memo_run(struct exec *exec, struct error *err);

/* Gives the outputs the shapes of the results. */
void body_memo_shape(struct exec *exec);

#endif
