/* ml_tree_read_5.c - see ml_tree.h.  Here: the lists of TreeEnsemble, where inner nodes
 * and leaves are numbered apart. */
#include <math.h>

#include "engine/ops/ml_tree.h"
#include "engine/ops/number.h"

/* Numbers of nodes_modes. */
#define MODE_MEMBER 6
static const enum forest_mode modes[] = {FOREST_LEQ, FOREST_LT, FOREST_GTE,
                                         FOREST_GT,  FOREST_EQ, FOREST_NEQ};

struct lists {
    struct attr_ints feature, yes, no, yes_leaf, no_leaf, missing, roots, targets;
    struct tensor mode, splits, weights, members; /* rank 1 */
};

/* What the steps share.  Nodes: the inner ones, the leaves, and those of comparisons. */
struct reading {
    struct load *load;
    const struct lists *lists;
    struct tree_lists *trees;
    size_t inner_count, leaf_count;
    bool *has_parent; /* by inner node */
    uint32_t *open;
    double *members; /* all sets, NaN between them */
    struct error *err;
};

/* ---- lists ----------------------------------------------------------------------------
 */

static enum status read_tensor(struct load *load, const char *name, struct tensor *list,
                               struct error *err) {
    const struct attr *attr = attr_find(load->node, name);
    *list = (struct tensor){.dtype = DTYPE_F32, .rank = 1, .dims = {0}};
    if (attr == NULL) {
        return STATUS_OK;
    }
    if (attr->kind != ATTR_TENSOR ||
        (TYPE_BIT(attr->as.tensor->dtype) & (TYPES_FLOAT | TYPE_BIT(DTYPE_U8))) == 0) {
        return node_error(load->node, err, STATUS_UNSUPPORTED,
                          "attribute %s is no tensor of float, double or uint8", name);
    }
    *list = *attr->as.tensor;
    list->dims[0] = (int64_t)tensor_count(attr->as.tensor);
    list->rank = 1;
    return STATUS_OK;
}

static enum status read_lists(struct load *load, struct lists *lists, struct error *err) {
    struct {
        const char *name;
        struct attr_ints *list;
    } ints[] = {
        {"nodes_featureids", &lists->feature},
        {"nodes_truenodeids", &lists->yes},
        {"nodes_falsenodeids", &lists->no},
        {"nodes_trueleafs", &lists->yes_leaf},
        {"nodes_falseleafs", &lists->no_leaf},
        {"tree_roots", &lists->roots},
        {"leaf_targetids", &lists->targets},
        {"nodes_missing_value_tracks_true", &lists->missing},
    };
    struct {
        const char *name;
        struct tensor *list;
    } tensors[] = {
        {"nodes_modes", &lists->mode},
        {"nodes_splits", &lists->splits},
        {"leaf_weights", &lists->weights},
        {"membership_values", &lists->members},
    };
    attr_ignore(load->node, "nodes_hitrates"); /* hints for caches */
    for (size_t i = 0; i < ARRAY_COUNT(ints); i++) {
        enum status status = attr_ints(load->node, ints[i].name, ints[i].list, err);
        if (status != STATUS_OK) {
            return status;
        }
    }
    for (size_t i = 0; i < ARRAY_COUNT(tensors); i++) {
        enum status status = read_tensor(load, tensors[i].name, tensors[i].list, err);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

static enum status check_counts(struct reading *reading) {
    const struct lists *lists = reading->lists;
    const size_t nodes = reading->inner_count, leaves = reading->leaf_count;
    const struct {
        const char *name;
        size_t have, want;
    } counts[] = {
        {"nodes_truenodeids", lists->yes.count, nodes},
        {"nodes_falsenodeids", lists->no.count, nodes},
        {"nodes_trueleafs", lists->yes_leaf.count, nodes},
        {"nodes_falseleafs", lists->no_leaf.count, nodes},
        {"nodes_modes", tensor_count(&lists->mode), nodes},
        {"nodes_splits", tensor_count(&lists->splits), nodes},
        {"leaf_weights", tensor_count(&lists->weights), leaves},
    };
    for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
        if (counts[i].have != counts[i].want) {
            return tree_uneven(reading->load, counts[i].name, counts[i].have,
                               counts[i].want, reading->err);
        }
    }
    if (lists->missing.count != 0 && lists->missing.count != nodes) {
        return tree_uneven(reading->load, "nodes_missing_value_tracks_true",
                           lists->missing.count, nodes, reading->err);
    }
    if (nodes == 0 || leaves == 0 || lists->roots.count == 0) {
        return node_error(reading->load->node, reading->err, STATUS_INVALID,
                          "has no nodes, no leaves or no roots");
    }
    return STATUS_OK;
}

/* ---- nodes
 * ------------------------------------------------------------------------------ */

static enum status bad_node(const struct reading *reading, size_t i, const char *fault) {
    return node_error(reading->load->node, reading->err, STATUS_INVALID, "node %zu %s", i,
                      fault);
}

/* An inner node, which may have one parent, or a leaf, which may have many. */
static enum status link_child(struct reading *reading, size_t i, int64_t id, bool leaf,
                              uint32_t *child) {
    const size_t count = leaf ? reading->leaf_count : reading->inner_count;
    if (id < 0 || (uint64_t)id >= count) {
        return bad_node(reading, i, "has a child that is missing");
    }
    *child = (uint32_t)(leaf ? reading->inner_count + (size_t)id : (size_t)id);
    if (!leaf && reading->has_parent[id]) {
        return bad_node(reading, i, "has a child that is another's");
    }
    if (leaf && reading->trees->source.nodes[*child].value != 0) {
        reading->trees->source.shared = true;
    }
    if (leaf) {
        reading->trees->source.nodes[*child].value = 1; /* somebody leads to it */
    } else {
        reading->has_parent[id] = true;
    }
    return STATUS_OK;
}

static enum status read_nodes(struct reading *reading) {
    const struct lists *lists = reading->lists;
    for (size_t i = 0; i < reading->inner_count; i++) {
        struct forest_node *node = &reading->trees->source.nodes[i];
        const int64_t mode = number_integer(&lists->mode, (int64_t)i);
        enum status status;
        if (mode < 0 || mode > MODE_MEMBER) {
            return bad_node(reading, i, "has an unknown mode");
        }
        if (!tree_take_feature(reading->trees, lists->feature.values[i],
                               &node->feature)) {
            return bad_node(reading, i, "asks for an impossible feature");
        }
        if (mode != MODE_MEMBER && isnan(number_real(&lists->splits, (int64_t)i))) {
            return bad_node(reading, i, "compares with what is no number");
        }
        status = link_child(reading, i, lists->yes.values[i],
                            lists->yes_leaf.values[i] != 0, &node->yes);
        if (status == STATUS_OK) {
            status = link_child(reading, i, lists->no.values[i],
                                lists->no_leaf.values[i] != 0, &node->no);
        }
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

static enum status read_roots(struct reading *reading) {
    const struct lists *lists = reading->lists;
    struct forest_source *source = &reading->trees->source;
    size_t seen = 0, open_count = 0;
    for (size_t i = 0; i < lists->roots.count; i++) {
        const int64_t root = lists->roots.values[i];
        if (root < 0 || (uint64_t)root >= reading->inner_count ||
            reading->has_parent[root]) {
            return node_error(reading->load->node, reading->err, STATUS_INVALID,
                              "the root of tree %zu is no node, or has a parent", i);
        }
        reading->has_parent[root] = true; /* no tree begins twice */
        reading->trees->roots[source->root_count++] = (uint32_t)root;
        reading->open[open_count++] = (uint32_t)root;
    }
    while (open_count > 0) {
        const struct forest_node *node = &source->nodes[reading->open[--open_count]];
        const uint32_t children[] = {node->yes, node->no};
        seen++;
        for (int c = 0; c < 2; c++) {
            if (children[c] < reading->inner_count) {
                reading->open[open_count++] = children[c];
            }
        }
    }
    if (seen != reading->inner_count) {
        return node_error(reading->load->node, reading->err, STATUS_INVALID,
                          "%zu nodes are in circles, or no root leads to them",
                          reading->inner_count - seen);
    }
    return STATUS_OK;
}

static enum status read_leaves(struct reading *reading) {
    const struct lists *lists = reading->lists;
    for (size_t i = 0; i < reading->leaf_count; i++) {
        reading->trees->source.nodes[reading->inner_count + i] =
            (struct forest_node){.leaf = true, .yes = (uint32_t)i, .no = 1};
        enum status status =
            tree_take_weight(reading->load, reading->trees, i, lists->targets.values[i],
                             number_real(&lists->weights, (int64_t)i), reading->err);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

/* Sets lie in the order of the nodes that ask for them. */
static enum status compare_nodes(struct reading *reading) {
    const struct lists *lists = reading->lists;
    struct forest_source *source = &reading->trees->source;
    const size_t member_count = tensor_count(&lists->members);
    size_t at = 0;
    for (size_t i = 0; i < reading->inner_count; i++) {
        const bool missing = lists->missing.count > 0 && lists->missing.values[i] != 0;
        const int64_t mode = number_integer(&lists->mode, (int64_t)i);
        size_t end = at;
        if (mode != MODE_MEMBER) {
            forest_compare(source, (uint32_t)i, modes[mode],
                           number_real(&lists->splits, (int64_t)i), missing);
            continue;
        }
        if (at >= member_count) {
            return bad_node(reading, i, "has no set among membership_values");
        }
        while (end < member_count && !isnan(reading->members[end])) {
            end++;
        }
        forest_member(source, (uint32_t)i, reading->members + at, end - at, missing);
        at = end + 1;
    }
    return STATUS_OK;
}

static enum status take_memory(struct reading *reading) {
    const struct lists *lists = reading->lists;
    const size_t members = tensor_count(&lists->members);
    const size_t nodes = reading->inner_count + reading->leaf_count;
    reading->has_parent = calloc(reading->inner_count, sizeof(*reading->has_parent));
    reading->open = calloc(reading->inner_count, sizeof(*reading->open));
    reading->members = calloc(members + 1, sizeof(*reading->members));
    if (reading->has_parent == NULL || reading->open == NULL ||
        reading->members == NULL) {
        return load_no_memory(reading->load, reading->err);
    }
    for (size_t i = 0; i < members; i++) {
        reading->members[i] = number_real(&lists->members, (int64_t)i);
    }
    return tree_make_room(reading->load, reading->trees,
                          nodes + reading->inner_count + 2 * members, lists->roots.count,
                          reading->leaf_count, reading->err);
}

static enum status build(struct reading *reading) {
    enum status status = check_counts(reading);
    if (status == STATUS_OK) {
        status = take_memory(reading);
    }
    if (status == STATUS_OK) {
        status = read_nodes(reading);
    }
    if (status == STATUS_OK) {
        status = read_roots(reading);
    }
    if (status == STATUS_OK) {
        status = read_leaves(reading);
    }
    reading->trees->source.node_count = reading->inner_count + reading->leaf_count;
    return status == STATUS_OK ? compare_nodes(reading) : status;
}

enum status tree_read_5(struct load *load, struct tree_lists *trees, struct error *err) {
    struct lists lists = {0};
    struct reading reading = {.load = load, .lists = &lists, .trees = trees, .err = err};
    enum status status = read_lists(load, &lists, err);
    reading.inner_count = lists.feature.count;
    reading.leaf_count = lists.targets.count;
    if (status == STATUS_OK) {
        status = build(&reading);
    }
    free(reading.has_parent);
    free(reading.open);
    free(reading.members);
    return status;
}
