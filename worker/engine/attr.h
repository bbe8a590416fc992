/* attr.h - a node's attributes, read by operators when they are prepared.
 *
 * Each reader marks the attribute as read.  One that no reader asked for is refused
 * after prepare: an attribute we do not know may change what the node means.
 *
 * Depends on: base/tensor.h.
 * Ownership: lists and texts are borrowed from the file; see graph.h.
 * Threads: as the graph's. */
#ifndef MILLRACE_ENGINE_ATTR_H
#define MILLRACE_ENGINE_ATTR_H

#include "base/tensor.h"

#define NODE_ATTRS_MAX 64

struct model;
struct node;

enum attr_kind {
    ATTR_FLOAT,
    ATTR_INT,
    ATTR_TEXT,
    ATTR_TENSOR,
    ATTR_FLOATS,
    ATTR_INTS,
    ATTR_TEXTS,
    ATTR_GRAPH, /* the body of an If, Loop or Scan */
    ATTR_TYPE,
    ATTR_SPARSE,
    ATTR_OTHER,
    ATTR_KIND_COUNT
};

/* A dtype and, of a sequence or optional, the dtypes inside. */
struct attr_type {
    enum dtype dtype, inner[2];
};

/* A tensor that is 0 but at some places. */
struct attr_sparse {
    struct tensor values;  /* rank 1 */
    struct tensor indices; /* int64, [N] of flat places or [N, rank] */
    struct tensor dense;   /* its dims; no data */
};

struct attr {
    const char *name;
    enum attr_kind kind;
    size_t count; /* of a list */
    union {
        float f;
        int64_t i;
        struct span text;
        const struct tensor *tensor;
        const float *floats;
        const int64_t *ints;
        const struct span *texts;
        struct model *body;
        const struct attr_type *type;
        const struct attr_sparse *sparse;
    } as;
};

struct attr_list {
    const struct attr *items;
    int count;
    uint64_t read; /* bit i: item i was asked for */
};

struct attr_ints {
    const int64_t *values;
    size_t count;
};

/* Each leaves *out at the given default where the attribute is absent and fails with
 * STATUS_INVALID where it has another type. */
MUST_CHECK enum status attr_int(struct node *node, const char *name, int64_t fallback,
                                int64_t *out, struct error *err);
MUST_CHECK enum status attr_float(struct node *node, const char *name, float fallback,
                                  float *out, struct error *err);
MUST_CHECK enum status attr_text(struct node *node, const char *name,
                                 const char *fallback, struct span *out,
                                 struct error *err);
/* Absent, or without a number: *out is {NULL, 0}. */
MUST_CHECK enum status attr_ints(struct node *node, const char *name,
                                 struct attr_ints *out, struct error *err);

/* An attribute of any kind, marked as read; NULL where absent. */
const struct attr *attr_find(struct node *node, const char *name);

/* A flag: an int that must be 0 or 1. */
MUST_CHECK enum status attr_bool(struct node *node, const char *name, bool fallback,
                                 bool *out, struct error *err);

/* An int in [lo, hi]. */
MUST_CHECK enum status attr_int_in(struct node *node, const char *name, int64_t fallback,
                                   int64_t lo, int64_t hi, int64_t *out,
                                   struct error *err);

/* One of the words of `words` (NULL-terminated): *out is its index. */
MUST_CHECK enum status attr_word(struct node *node, const char *name, int fallback,
                                 const char *const *words, int *out, struct error *err);

/* Reads attributes that have no meaning for inference. */
void attr_ignore(struct node *node, const char *name);

/* STATUS_UNSUPPORTED naming the attributes nobody read. */
MUST_CHECK enum status attr_check_all_read(const struct node *node, struct error *err);

#endif
