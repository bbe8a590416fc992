/* session_impl.h - inside a session; for session*.c.
 *
 *     session.c         create, prepare, run
 *     session_plan.c    shapes, where each value lies, the plan
 *     session_slices.c  runs of nodes that take the batch slice by slice
 *
 * A part is a session of the same model that computes the nodes of one slice: it knows
 * the shapes of all nodes before, and borrows what they make from the session around it.
 *
 * Depends on: engine/session.h, engine/model_impl.h, engine/plan.h.
 * Ownership: a session owns all it points to but the model; parts are its own.
 * Threads: as session.h. */
#ifndef MILLRACE_ENGINE_SESSION_IMPL_H
#define MILLRACE_ENGINE_SESSION_IMPL_H

#include "engine/model_impl.h"
#include "engine/op.h"
#include "engine/plan.h"
#include "engine/session.h"
#include "engine/slices.h"

/* Where a value's data begins. */
struct place {
    int root;      /* the value whose memory it is; itself if it has its own */
    size_t offset; /* bytes */
};

/* Memory that only grows. */
struct buffer {
    void *data;
    size_t size;
};

/* What a session shares with those of its bodies. */
struct session_shared {
    struct budget memory; /* of workspaces, buffers and what loops carry */
    int64_t iterations, iterations_max;
};

enum action { ACTION_RUN, ACTION_COPY, ACTION_NONE };

struct session {
    const struct model *model;
    const struct graph *graph;
    struct arena arena;                 /* all arrays below */
    struct session_shared own, *shared; /* `own` where there is no session around it */
    size_t buffers_size;
    bool ready;                     /* prepared for `dims` */
    struct tensor *dims, *row_dims; /* of the inputs; of fewer rows of them */
    int first, end;                 /* nodes it computes: all, but of a part */
    bool is_part;
    struct slice *slices; /* in order; their nodes are computed by parts; owned */
    int slice_count;
    size_t chosen_for; /* elements of the inputs when slices were chosen */
    struct slice_costs costs;

    struct tensor *tensors; /* by value */
    struct buffer *buffers; /* by value */
    struct buffer *extras;  /* by node; of those that have buffers */
    struct place *places;   /* by value; what this prepare found */
    int *alive_until;       /* by root: the last node that reads it or a view of it */
    struct exec *execs;     /* by node */
    enum action *actions;   /* by node */
    int *views;             /* values that lie in an input */
    int view_count;

    /* Items: one for each value, then each node's scratch, then each node's extra. */
    struct plan_item *items, *wanted;
    struct place *planned; /* the places the plan was made for */
    int *live, *order;     /* items that take part; working memory of plan_place */
    struct plan_item *packed;
    bool has_plan;
    void *workspace;
    size_t workspace_size;
    struct buffer scratch;  /* of nodes that session_prepare runs, and dynamic ones */
    session_watch_fn watch; /* NULL but while someone looks on */
    void *watch_context;
};

/* A run of nodes that takes the batch a few rows at a time. */
struct slice {
    int first, end;         /* nodes [first, end) */
    int64_t rows_max, rows; /* at once: at most, and for the batch prepared last */
    struct session *part;   /* owned */
    int *ins, *outs; /* values read from outside, and read outside; owned, one array */
    int in_count, out_count;
};

/* The slice that node `n` is in, or NULL. */
const struct slice *session_slice(const struct session *session, int n);

/* A session of the same model that computes the nodes [first, end). */
MUST_CHECK enum status session_create_part(const struct session *session, int first,
                                           int end, struct session **part,
                                           struct error *err);

/* A node outside the plan: shaped and computed into buffers that grow. */
MUST_CHECK enum status session_run_buffered(struct session *session, int n,
                                            struct error *err);
MUST_CHECK enum status session_run_node(struct session *session, int n,
                                        struct error *err);
/* Points views at what they look into, once that is known. */
void session_set_views(struct session *session);

/* ---- session_plan.c: in this order ----------------------------------------------- */

/* Shapes of all nodes, and where their outputs lie. */
MUST_CHECK enum status session_place(struct session *session, struct error *err);
/* Sizes and lifetimes of what the workspace must hold. */
void session_list_items(struct session *session);
bool session_plan_fits(const struct session *session);
MUST_CHECK enum status session_make_plan(struct session *session, struct error *err);
/* Points every planned tensor at its memory and notes the views of what is borrowed. */
void session_assign_memory(struct session *session);

/* ---- session_slices.c ---------------------------------------------------------------
 */

/* Chooses slices for the shapes placed last; none where there is nothing to gain, rows
 * are not provably apart or memory is short. */
void session_choose_slices(struct session *session);
void session_drop_slices(struct session *session);
/* Prepares the parts for the batch placed last; false where that cannot be. */
MUST_CHECK bool session_prepare_slices(struct session *session);
MUST_CHECK enum status session_run_slice(struct session *session,
                                         const struct slice *slice, struct error *err);
size_t session_slices_size(const struct session *session);

#endif
