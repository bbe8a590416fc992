/* ml_tree_read.c - see ml_tree.h.  Here: the lists of the older two operators, where a
 * node is named by a tree and a number. */
#include <math.h>

#include "engine/ops/ml_tree.h"
#include "engine/ops/number.h"

/* ---- shared by both readers ---------------------------------------------------------
 */

void tree_release(struct tree_lists *lists) {
    free(lists->source.nodes);
    free(lists->weights);
    free(lists->roots);
    *lists = (struct tree_lists){0};
}

enum status tree_make_room(struct load *load, struct tree_lists *lists, size_t room,
                           size_t roots, size_t weights, struct error *err) {
    if (room > INT32_MAX || weights > INT32_MAX) {
        return node_error(load->node, err, STATUS_UNSUPPORTED,
                          "has %zu nodes and %zu weights, at most %d are handled", room,
                          weights, INT32_MAX);
    }
    lists->source.nodes = calloc(room + 1, sizeof(*lists->source.nodes));
    lists->source.node_room = room;
    lists->weights = calloc(weights + 1, sizeof(*lists->weights));
    lists->roots = calloc(roots + 1, sizeof(*lists->roots));
    lists->source.weights = lists->weights;
    lists->source.weight_count = weights;
    lists->source.roots = lists->roots;
    return lists->source.nodes != NULL && lists->weights != NULL && lists->roots != NULL
               ? STATUS_OK
               : load_no_memory(load, err);
}

enum status tree_uneven(const struct load *load, const char *name, size_t have,
                        size_t want, struct error *err) {
    return node_error(load->node, err, STATUS_INVALID,
                      "attribute %s holds %zu items where %zu are needed", name, have,
                      want);
}

bool tree_take_feature(struct tree_lists *lists, int64_t feature, uint32_t *to) {
    if (feature < 0 || feature >= INT32_MAX) {
        return false;
    }
    *to = (uint32_t)feature;
    if (*to >= lists->features) {
        lists->features = *to + 1;
    }
    return true;
}

enum status tree_take_weight(const struct load *load, struct tree_lists *lists, size_t i,
                             int64_t target, double value, struct error *err) {
    if (target < 0 || target >= lists->source.targets) {
        return node_error(load->node, err, STATUS_INVALID,
                          "weight %zu belongs to target %lld, there are %lld", i,
                          (long long)target, (long long)lists->source.targets);
    }
    if (isnan(value)) {
        return node_error(load->node, err, STATUS_INVALID, "weight %zu is no number", i);
    }
    lists->weights[i] =
        (struct forest_weight){.target = (uint32_t)target, .value = (float)value};
    return STATUS_OK;
}

/* ---- lists ----------------------------------------------------------------------------
 */

struct lists {
    struct attr_ints tree, id, feature, yes, no, missing;
    const struct span *modes;
    struct tensor values; /* rank 1 */
    struct attr_ints weight_tree, weight_id, weight_target;
    struct tensor weights;
};

static enum status read_ints(struct load *load, struct lists *lists, struct error *err) {
    struct {
        const char *name;
        struct attr_ints *list;
    } ints[] = {
        {"nodes_treeids", &lists->tree},       {"nodes_nodeids", &lists->id},
        {"nodes_featureids", &lists->feature}, {"nodes_truenodeids", &lists->yes},
        {"nodes_falsenodeids", &lists->no},
    };
    for (size_t i = 0; i < ARRAY_COUNT(ints); i++) {
        enum status status = attr_ints(load->node, ints[i].name, ints[i].list, err);
        if (status != STATUS_OK) {
            return status;
        }
        if (lists->tree.count == 0) {
            return node_error(load->node, err, STATUS_INVALID, "has no nodes");
        }
        if (ints[i].list->count != lists->tree.count) {
            return tree_uneven(load, ints[i].name, ints[i].list->count, lists->tree.count,
                               err);
        }
    }
    return STATUS_OK;
}

static enum status read_node_lists(struct load *load, struct lists *lists,
                                   struct error *err) {
    static const char missing[] = "nodes_missing_value_tracks_true";
    const struct attr *modes = attr_find(load->node, "nodes_modes");
    enum status status = read_ints(load, lists, err);
    attr_ignore(load->node, "nodes_hitrates"); /* hints for caches */
    attr_ignore(load->node, "nodes_hitrates_as_tensor");
    if (status == STATUS_OK) {
        status =
            ml_reals(load, "nodes_values", "nodes_values_as_tensor", &lists->values, err);
    }
    if (status == STATUS_OK) {
        status = attr_ints(load->node, missing, &lists->missing, err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (tensor_count(&lists->values) != lists->tree.count) {
        return tree_uneven(load, "nodes_values", tensor_count(&lists->values),
                           lists->tree.count, err);
    }
    if (lists->missing.count != 0 && lists->missing.count != lists->tree.count) {
        return tree_uneven(load, missing, lists->missing.count, lists->tree.count, err);
    }
    if (modes == NULL || modes->kind != ATTR_TEXTS || modes->count != lists->tree.count) {
        return tree_uneven(load, "nodes_modes", modes == NULL ? 0 : modes->count,
                           lists->tree.count, err);
    }
    lists->modes = modes->as.texts;
    return STATUS_OK;
}

static enum status read_weight_lists(struct load *load, const struct tree_names *names,
                                     struct lists *lists, struct error *err) {
    size_t count = 0;
    enum status status = attr_ints(load->node, names->tree_ids, &lists->weight_tree, err);
    if (status == STATUS_OK) {
        status = attr_ints(load->node, names->node_ids, &lists->weight_id, err);
    }
    if (status == STATUS_OK) {
        status = attr_ints(load->node, names->targets, &lists->weight_target, err);
    }
    if (status == STATUS_OK) {
        status =
            ml_reals(load, names->weights, names->weights_tensor, &lists->weights, err);
        count = status == STATUS_OK ? tensor_count(&lists->weights) : 0;
    }
    if (status == STATUS_OK && (lists->weight_id.count != lists->weight_tree.count ||
                                lists->weight_target.count != lists->weight_tree.count ||
                                count != lists->weight_tree.count)) {
        status = tree_uneven(load, names->weights, count, lists->weight_tree.count, err);
    }
    return status;
}

/* ---- places: a node's two ids, found
 * ---------------------------------------------------- */

struct place {
    int64_t tree, id;
    uint32_t index;
};

struct places {
    struct place *items; /* sorted */
    size_t count;
    size_t first; /* of the tree that was asked for last */
};

static int compare_places(const void *a, const void *b) {
    const struct place *x = a, *y = b;
    if (x->tree != y->tree) {
        return x->tree < y->tree ? -1 : 1;
    }
    return x->id < y->id ? -1 : x->id > y->id;
}

/* The first place that is not before (tree, id). */
static size_t lower_place(const struct places *places, int64_t tree, int64_t id) {
    const struct place key = {.tree = tree, .id = id};
    size_t low = 0, high = places->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (compare_places(&places->items[middle], &key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool is_place(const struct places *places, size_t at, int64_t tree, int64_t id) {
    return at < places->count && places->items[at].tree == tree &&
           places->items[at].id == id;
}

/* Files number a tree's nodes from 0 on, nearly always: so the first guess is right. */
static const struct place *find_place(struct places *places, int64_t tree, int64_t id) {
    size_t at;
    if (places->first >= places->count || places->items[places->first].tree != tree) {
        places->first = lower_place(places, tree, INT64_MIN);
    }
    at = id >= 0 && (uint64_t)id < places->count ? places->first + (size_t)id : 0;
    if (!is_place(places, at, tree, id)) {
        at = lower_place(places, tree, id);
    }
    return is_place(places, at, tree, id) ? &places->items[at] : NULL;
}

/* Sorts, unless they are in order; as most files have them. */
static void sort_places(struct places *places) {
    for (size_t i = 1; i < places->count; i++) {
        if (compare_places(&places->items[i - 1], &places->items[i]) > 0) {
            qsort(places->items, places->count, sizeof(*places->items), compare_places);
            return;
        }
    }
}

/* ---- nodes
 * ------------------------------------------------------------------------------ */

/* What the steps below share. */
struct reading {
    struct load *load;
    const struct lists *lists;
    struct tree_lists *trees;
    struct places places;
    uint8_t *modes;    /* enum forest_mode of each node */
    uint32_t *parents; /* by node: links to it */
    uint32_t *leaves;  /* by weight */
    uint32_t *open;    /* by node */
    struct error *err;
};

static enum status bad_node(const struct reading *reading, size_t i, const char *fault) {
    return node_error(reading->load->node, reading->err, STATUS_INVALID,
                      "node %lld of tree %lld %s",
                      (long long)reading->lists->id.values[i],
                      (long long)reading->lists->tree.values[i], fault);
}

static bool mode_parse(struct span text, uint8_t *mode) {
    static const char *const words[] = {
        [FOREST_LEAF] = "LEAF",      [FOREST_LEQ] = "BRANCH_LEQ",
        [FOREST_LT] = "BRANCH_LT",   [FOREST_GTE] = "BRANCH_GTE",
        [FOREST_GT] = "BRANCH_GT",   [FOREST_EQ] = "BRANCH_EQ",
        [FOREST_NEQ] = "BRANCH_NEQ",
    };
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (span_is(text, words[i])) {
            *mode = (uint8_t)i;
            return true;
        }
    }
    return false;
}

/* Nodes without their children's places. */
static enum status read_nodes(struct reading *reading) {
    const struct lists *lists = reading->lists;
    for (size_t i = 0; i < lists->tree.count; i++) {
        struct forest_node *node = &reading->trees->source.nodes[i];
        reading->places.items[i] = (struct place){.tree = lists->tree.values[i],
                                                  .id = lists->id.values[i],
                                                  .index = (uint32_t)i};
        if (!mode_parse(lists->modes[i], &reading->modes[i])) {
            return bad_node(reading, i, "has an unknown mode");
        }
        node->leaf = reading->modes[i] == FOREST_LEAF;
        if (node->leaf) {
            continue;
        }
        if (!tree_take_feature(reading->trees, lists->feature.values[i],
                               &node->feature)) {
            return bad_node(reading, i, "asks for an impossible feature");
        }
        if (isnan(number_real(&lists->values, (int64_t)i))) {
            return bad_node(reading, i, "compares with what is no number");
        }
    }
    sort_places(&reading->places);
    for (size_t i = 1; i < reading->places.count; i++) {
        const struct place *place = &reading->places.items[i];
        if (compare_places(place - 1, place) == 0) {
            return bad_node(reading, place->index, "comes twice");
        }
    }
    return STATUS_OK;
}

/* Children by place.  A node without a parent is a root; one with many, as LightGBM's
 * categories have it, is shared. */
static enum status link_nodes(struct reading *reading) {
    const struct lists *lists = reading->lists;
    struct forest_source *source = &reading->trees->source;
    for (size_t i = 0; i < lists->tree.count; i++) {
        struct forest_node *node = &source->nodes[i];
        const int64_t ids[] = {lists->yes.values[i], lists->no.values[i]};
        uint32_t *const children[] = {&node->yes, &node->no};
        for (size_t c = 0; !node->leaf && c < ARRAY_COUNT(ids); c++) {
            const struct place *child =
                find_place(&reading->places, lists->tree.values[i], ids[c]);
            if (child == NULL) {
                return bad_node(reading, i, "has a child that is missing");
            }
            source->shared = source->shared || reading->parents[child->index] > 0;
            reading->parents[child->index]++;
            *children[c] = child->index;
        }
    }
    for (size_t i = 0; i < lists->tree.count; i++) {
        if (reading->parents[i] == 0) {
            reading->trees->roots[source->root_count++] = (uint32_t)i;
        }
    }
    return STATUS_OK;
}

/* Every tree has one root, and all nodes can be met after their parents: those that
 * cannot are in a circle or behind one. */
static enum status check_roots(struct reading *reading) {
    const struct lists *lists = reading->lists;
    const struct forest_source *source = &reading->trees->source;
    size_t seen = 0, open_count = 0;
    for (size_t i = 0; i < source->root_count; i++) {
        uint32_t root = source->roots[i];
        /* Roots stand in the order of nodes, and those of a tree side by side. */
        if (i > 0 &&
            lists->tree.values[root] == lists->tree.values[source->roots[i - 1]]) {
            return bad_node(reading, root, "is a second root");
        }
        reading->open[open_count++] = root;
    }
    while (open_count > 0) {
        const struct forest_node *node = &source->nodes[reading->open[--open_count]];
        const uint32_t children[] = {node->yes, node->no};
        seen++;
        for (int c = 0; !node->leaf && c < 2; c++) {
            if (--reading->parents[children[c]] == 0) {
                reading->open[open_count++] = children[c];
            }
        }
    }
    if (seen != lists->tree.count) {
        return node_error(reading->load->node, reading->err, STATUS_INVALID,
                          "%zu nodes are in circles, which no root leads to",
                          lists->tree.count - seen);
    }
    return STATUS_OK;
}

/* Which leaf each weight belongs to; a leaf's `no` counts them. */
static enum status match_weights(struct reading *reading) {
    const struct lists *lists = reading->lists;
    struct forest_source *source = &reading->trees->source;
    for (size_t i = 0; i < source->weight_count; i++) {
        const struct place *leaf = find_place(
            &reading->places, lists->weight_tree.values[i], lists->weight_id.values[i]);
        if (leaf == NULL || !source->nodes[leaf->index].leaf) {
            return node_error(reading->load->node, reading->err, STATUS_INVALID,
                              "weight %zu belongs to no leaf", i);
        }
        reading->leaves[i] = leaf->index;
        source->nodes[leaf->index].no++;
    }
    return STATUS_OK;
}

/* Weights, those of a leaf side by side.  Where there is one target, a leaf's first
 * weight is its only one, as ONNX Runtime has it: skl2onnx repeats it for each class. */
static enum status read_weights(struct reading *reading) {
    const struct lists *lists = reading->lists;
    struct forest_source *source = &reading->trees->source;
    uint32_t first = 0;
    enum status status = match_weights(reading);
    for (size_t i = 0; i < lists->tree.count; i++) {
        struct forest_node *node = &source->nodes[i];
        if (node->leaf) {
            node->yes = first;
            first += node->no;
            node->no = 0;
        }
    }
    for (size_t i = 0; status == STATUS_OK && i < source->weight_count; i++) {
        struct forest_node *leaf = &source->nodes[reading->leaves[i]];
        status = tree_take_weight(reading->load, reading->trees, leaf->yes + leaf->no++,
                                  lists->weight_target.values[i],
                                  number_real(&lists->weights, (int64_t)i), reading->err);
    }
    for (size_t i = 0; source->targets == 1 && i < lists->tree.count; i++) {
        struct forest_node *node = &source->nodes[i];
        node->no = node->leaf && node->no > 1 ? 1 : node->no;
    }
    return status;
}

/* Last, for a comparison may swap a node's children and add nodes behind. */
static void compare_nodes(struct reading *reading) {
    const struct lists *lists = reading->lists;
    struct forest_source *source = &reading->trees->source;
    source->node_count = lists->tree.count;
    for (size_t i = 0; i < lists->tree.count; i++) {
        const bool missing = lists->missing.count > 0 && lists->missing.values[i] != 0;
        forest_compare(source, (uint32_t)i, (enum forest_mode)reading->modes[i],
                       number_real(&lists->values, (int64_t)i), missing);
    }
}

static enum status take_memory(struct reading *reading) {
    const size_t nodes = reading->lists->tree.count;
    const size_t weights = reading->lists->weight_tree.count;
    size_t room = nodes;
    for (size_t i = 0; i < nodes; i++) {
        room += span_is(reading->lists->modes[i], "BRANCH_EQ") ||
                span_is(reading->lists->modes[i], "BRANCH_NEQ");
    }
    reading->places.items = calloc(nodes, sizeof(*reading->places.items));
    reading->places.count = nodes;
    reading->modes = calloc(nodes, sizeof(*reading->modes));
    reading->parents = calloc(nodes, sizeof(*reading->parents));
    reading->open = calloc(nodes, sizeof(*reading->open));
    reading->leaves = calloc(weights + 1, sizeof(*reading->leaves));
    if (reading->places.items == NULL || reading->modes == NULL ||
        reading->parents == NULL || reading->open == NULL || reading->leaves == NULL) {
        return load_no_memory(reading->load, reading->err);
    }
    return tree_make_room(reading->load, reading->trees, room, nodes, weights,
                          reading->err);
}

static enum status build(struct reading *reading) {
    enum status status = take_memory(reading);
    if (status == STATUS_OK) {
        status = read_nodes(reading);
    }
    if (status == STATUS_OK) {
        status = link_nodes(reading);
    }
    if (status == STATUS_OK) {
        status = check_roots(reading);
    }
    if (status == STATUS_OK) {
        status = read_weights(reading);
    }
    if (status == STATUS_OK) {
        compare_nodes(reading);
    }
    return status;
}

enum status tree_read(struct load *load, const struct tree_names *names,
                      struct tree_lists *trees, struct error *err) {
    struct lists lists = {0};
    struct reading reading = {.load = load, .lists = &lists, .trees = trees, .err = err};
    enum status status = read_node_lists(load, &lists, err);
    if (status == STATUS_OK) {
        status = read_weight_lists(load, names, &lists, err);
    }
    if (status == STATUS_OK) {
        status = build(&reading);
    }
    free(reading.places.items);
    free(reading.modes);
    free(reading.parents);
    free(reading.open);
    free(reading.leaves);
    return status;
}
