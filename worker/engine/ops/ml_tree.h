/* ml_tree.h - tree ensembles as files hold them, read and checked.
 *
 * The parallel lists of the file become nodes that point to each other, without circles:
 * so each walk ends.
 *
 * Depends on: engine/ops/ml.h, engine/ops/ml_forest.h.
 * Ownership: a struct tree_lists owns nodes, roots and weights until released; its lists
 * are borrowed from the file.
 * Threads: one. */
#ifndef MILLRACE_ENGINE_OPS_ML_TREE_H
#define MILLRACE_ENGINE_OPS_ML_TREE_H

#include "engine/ops/ml.h"
#include "engine/ops/ml_forest.h"

/* The names of a weight's lists differ between the operators. */
struct tree_names {
    const char *tree_ids, *node_ids, *targets, *weights, *weights_tensor;
};

struct tree_lists {
    struct forest_source source; /* what is read; the caller sets targets and fold */
    struct forest_weight *weights;
    uint32_t *roots;
    uint32_t features; /* a row needs at least so many */
};

/* Of TreeEnsembleClassifier and TreeEnsembleRegressor. */
MUST_CHECK enum status tree_read(struct load *load, const struct tree_names *names,
                                 struct tree_lists *lists, struct error *err);

/* Of TreeEnsemble. */
MUST_CHECK enum status tree_read_5(struct load *load, struct tree_lists *lists,
                                   struct error *err);

/* Accepts zeroed lists. */
void tree_release(struct tree_lists *lists);

/* ---- shared by both readers ---------------------------------------------------------
 */

/* Room for nodes, roots and weights; node_count is 0 and node_room `room`. */
MUST_CHECK enum status tree_make_room(struct load *load, struct tree_lists *lists,
                                      size_t room, size_t roots, size_t weights,
                                      struct error *err);
MUST_CHECK enum status tree_uneven(const struct load *load, const char *name, size_t have,
                                   size_t want, struct error *err);
/* Notes the feature of a node; false where there cannot be such. */
bool tree_take_feature(struct tree_lists *lists, int64_t feature, uint32_t *to);
/* Sets a weight; refuses what is no number or belongs to no target. */
MUST_CHECK enum status tree_take_weight(const struct load *load, struct tree_lists *lists,
                                        size_t i, int64_t target, double value,
                                        struct error *err);

#endif
