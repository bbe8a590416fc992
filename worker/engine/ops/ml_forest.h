/* ml_forest.h - decision trees made ready for engine/kernels/forest.h.
 *
 *     forest_compare    a node of any mode becomes nodes that ask `x <= value`
 *     forest_settle     values become floats
 *     forest_build      the layouts that the kernel walks or masks
 *
 * The trees must be checked before: no circles, every child and leaf in range.  Nodes may
 * share children; such forests are walked only.
 *
 * Depends on: engine/graph.h, engine/kernels/forest.h.
 * Ownership: what forest_build makes belongs to the graph; its input is the caller's.
 * Threads: one. */
#ifndef MILLRACE_ENGINE_OPS_ML_FOREST_H
#define MILLRACE_ENGINE_OPS_ML_FOREST_H

#include "engine/graph.h"
#include "engine/kernels/forest.h"

enum forest_mode {
    FOREST_LEAF,
    FOREST_LEQ,
    FOREST_LT,
    FOREST_GTE,
    FOREST_GT,
    FOREST_EQ,
    FOREST_NEQ,
};

/* `x <= value` leads to yes; NaN there too where nan_yes, else to no. */
struct forest_node {
    double value; /* a float, when forests are built */
    uint32_t feature;
    uint32_t yes, no; /* indices; of a leaf: its first weight, and how many */
    bool leaf, nan_yes;
};

struct forest_source {
    struct forest_node *nodes;
    size_t node_count, node_room;
    const uint32_t *roots;
    size_t root_count;
    const struct forest_weight *weights; /* those of a leaf side by side */
    size_t weight_count;
    int64_t targets;
    enum forest_fold fold;
    bool shared;      /* a node has two parents */
    bool wide;        /* records of three words, needed or not: for tests */
    bool walk_only;   /* no masks: for tests */
    bool mask_always; /* from one row on, pay or not: for tests */
};

/* Whether a node of this mode needs a second one. */
static inline bool forest_needs_two(enum forest_mode mode) {
    return mode == FOREST_EQ || mode == FOREST_NEQ;
}

/* Makes node `i`, whose yes and no are set, one that compares its feature with `value`
 * the way `mode` says; NaN leads to yes where `missing_yes` (and is unequal to all).  Two
 * of them may be needed; there must be room. */
void forest_compare(struct forest_source *source, uint32_t i, enum forest_mode mode,
                    double value, bool missing_yes);

/* The same for a node that asks whether its feature is one of `count` values; takes
 * 2 count - 1 nodes more, or none. */
void forest_member(struct forest_source *source, uint32_t i, const double *values,
                   size_t count, bool missing_yes);

/* Cut points of features that come as float64: a float cannot tell them all apart, so
 * what trees are given is how many of them lie below x. */
struct forest_cuts {
    double *points;   /* those of a feature side by side, ascending; NULL: none needed */
    uint32_t *firsts; /* [features + 1] */
    size_t features;
};

/* Makes every value a float that gives the same answers: for rows of floats, or for rows
 * of doubles that forest_round has seen. */
MUST_CHECK enum status forest_settle(struct graph *graph, struct forest_source *source,
                                     bool doubles, struct forest_cuts *cuts,
                                     struct error *err);

/* A row of doubles as what trees of forest_settle compare. */
void forest_round(const struct forest_cuts *cuts, int64_t cols, const double *x,
                  float *to);

/* STATUS_NO_MEMORY where memory runs out. */
MUST_CHECK enum status forest_build(struct graph *graph,
                                    const struct forest_source *source,
                                    struct forest *forest, struct error *err);

/* Of masks, where they pay: forest->walk and what leaves hold are made. */
MUST_CHECK enum status forest_build_masks(struct graph *graph,
                                          const struct forest_source *source,
                                          struct forest *forest, struct error *err);

#endif
