/* session.h - one thread's way to run a model.
 *
 *     session_create   binds a model, allocates nothing large yet
 *     session_prepare  takes the inputs' shapes; plans memory when they outgrow the
 *                      plan, otherwise only re-infers shapes: no allocation
 *     session_run      computes; fails only for what the data itself makes wrong
 *
 * Prepare for the largest batch first: every smaller one then runs in its plan.
 *
 * Depends on: engine/model.h.
 * Ownership: a session owns its workspace and its outputs; the model must outlive it.
 * Threads: one thread at a time; sessions of one model run side by side. */
#ifndef MILLRACE_ENGINE_SESSION_H
#define MILLRACE_ENGINE_SESSION_H

#include "engine/model.h"

/* What a loop that never ends may take; each costs a microsecond or more. */
#define SESSION_ITERATIONS_MAX 10000000

struct session;

/* `workspace_max` bounds the planned workspace in bytes, 0 for the default (4 GiB). */
MUST_CHECK enum status session_create(const struct model *model, size_t workspace_max,
                                      struct session **session, struct error *err);
void session_destroy(struct session *session);

/* The bodies of Loop, Scan and SequenceMap may run `count` times, all of them together,
 * in one prepare or run; SESSION_ITERATIONS_MAX unless set.  A row past it is refused. */
void session_limit_iterations(struct session *session, int64_t count);

/* Counts one run of a body's session; false past the limit. */
MUST_CHECK bool session_iterate(struct session *session);

/* `inputs` holds one tensor per model input, in order: dtype, rank and dims count,
 * data is not looked at.  STATUS_POISON where a dtype, a rank or a fixed dimension is
 * not the model's or an operator cannot take the shape; STATUS_NO_MEMORY past the
 * limit.  After a failure, prepare again before running. */
MUST_CHECK enum status session_prepare(struct session *session,
                                       const struct tensor *inputs, struct error *err);

/* Computes.  `inputs` has the shapes of the last prepare and data aligned for its
 * dtype (64 bytes is fastest), which is borrowed for the call and not changed.
 * STATUS_POISON where a value cannot be computed with (an index out of range). */
MUST_CHECK enum status session_run(struct session *session, const struct tensor *inputs,
                                   struct error *err);

/* An output of the last run, with its true shape; borrowed until the next prepare or
 * run.  Shapes are valid after prepare already, unless they depend on data. */
const struct tensor *session_output(const struct session *session, int index);

/* Bytes of the workspace planned so far. */
size_t session_workspace_size(const struct session *session);

/* ---- looking on: where the time of a run goes ---------------------------------------
 */

/* A node as it is run: passes have fused others into it. */
struct session_node {
    const char *name, *type;      /* the model's; type is the operator's name */
    const struct tensor *x0, *y0; /* its first input and output, NULL where absent */
};

/* Called after each node that a run has computed, for each slice of the batch where it
 * takes slices. */
typedef void (*session_watch_fn)(void *context, int node);

int session_node_count(const struct session *session);

/* All is borrowed; the tensors' shapes are those of the last prepare or run. */
struct session_node session_node(const struct session *session, int node);

/* From now on `watch` is told of each node; NULL ends it.  A view, which computes
 * nothing, is not told, nor are the nodes in the bodies of If, Loop and Scan. */
void session_watch(struct session *session, session_watch_fn watch, void *context);

#endif
