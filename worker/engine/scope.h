/* scope.h - which value a name means, while a model is imported.
 *
 * The model's graph, the body of an If, Loop or Scan, and each call of a function have a
 * scope.  A body sees the names of the graph around it: reading one makes it an input of
 * the body, and of the node the body belongs to (a capture).  A function sees nothing
 * but its own names; its nodes are put into the graph that calls it.
 *
 * Depends on: engine/model_impl.h, onnx.pb-c.h.
 * Ownership: a scope owns its table of names until released; names are the file's.
 * Threads: one. */
#ifndef MILLRACE_ENGINE_SCOPE_H
#define MILLRACE_ENGINE_SCOPE_H

#include <onnx.pb-c.h>

#include "engine/model_impl.h"

struct name_slot {
    const char *name; /* NULL: free */
    int value;        /* VALUE_NONE: an optional input the caller left out */
};

struct scope {
    struct graph *graph; /* where nodes and values go */
    struct model *body;  /* whose graph it is, of a body; NULL otherwise */
    struct scope *outer; /* of a body: the scope around it */
    int depth;           /* of bodies and calls around it */
    Onnx__OperatorSetIdProto **opsets;
    size_t opset_count;
    /* In a function, bodies inside included: the call and where that stands. */
    const Onnx__FunctionProto *function;
    const Onnx__NodeProto *call;
    struct scope *caller;
    struct name_slot *slots;
    size_t slot_count, used;
};

void scope_release(struct scope *scope);

/* Adds a name for `value`.  STATUS_INVALID where the name is empty or taken. */
MUST_CHECK enum status scope_bind(struct scope *scope, const char *name, int value,
                                  struct error *err);

/* Adds a value of that name to the graph. */
MUST_CHECK enum status scope_define(struct scope *scope, const char *name, int *value,
                                    struct error *err);

/* What `name` means here, captured from around where need be.  *found is false where
 * nothing has the name. */
MUST_CHECK enum status scope_find(struct scope *scope, const char *name, int *value,
                                  bool *found, struct error *err);

/* Version of the operators of `domain` (NULL: ONNX's own); 0 where none is imported. */
int64_t scope_opset(const struct scope *scope, const char *domain);

/* The attribute meant by `attr`, which in a function may be one of the call's: NULL where
 * the call has none and there is no default.  *home is the scope it was written in. */
const Onnx__AttributeProto *scope_attribute(struct scope *scope,
                                            const Onnx__AttributeProto *attr,
                                            struct scope **home);

/* NULL and "" and "ai.onnx" are all ONNX's own domain. */
bool scope_default_domain(const char *domain);

#endif
