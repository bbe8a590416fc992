/* ml_tree.c - TreeEnsembleClassifier and TreeEnsembleRegressor of ai.onnx.ml: forests and
 * boosted trees of scikit-learn, XGBoost and LightGBM.
 *
 * At load the parallel lists of the file become an array of nodes that point to each
 * other, and every node is checked to have one parent at most: so each walk ends. */
#include <math.h>

#include "base/size.h"
#include "engine/ops/ml.h"
#include "engine/ops/ops.h"

enum mode { LEAF, LEQ, LT, GTE, GT, EQ, NEQ };
enum aggregate { AGGREGATE_SUM, AGGREGATE_AVERAGE, AGGREGATE_MIN, AGGREGATE_MAX };

struct tree_node {
    float value; /* what the feature is compared with */
    uint32_t feature;
    uint32_t yes, no; /* indices of children; of a leaf: its first weight, and how many */
    uint8_t mode;     /* enum mode */
    bool missing_yes; /* where NaN goes */
};

struct tree_weight {
    uint32_t target;
    float value;
};

struct tree_state {
    struct tree_node *nodes;
    struct tree_weight *weights;
    uint32_t *roots;
    size_t node_count, weight_count, root_count;
    uint32_t features; /* the input needs at least so many */
    int64_t targets;
    const float *base; /* [base_count]: 0, 1 or one for each target */
    size_t base_count;
    int aggregate;
    enum ml_transform transform;
    struct ml_labels labels; /* of the classifier */
    bool one_column;         /* a binary classifier whose weights all have one target */
    bool all_positive;       /* its weights are probabilities of the second class */
};

/* ---- load: lists of the file --------------------------------------------------- */

/* The names of a node's and a weight's lists differ between the two operators. */
struct tree_names {
    const char *tree_ids, *node_ids, *targets, *weights;
};

struct lists {
    struct attr_ints tree, id, feature, yes, no, missing;
    const struct span *modes;
    const float *values;
    struct attr_ints weight_tree, weight_id, weight_target;
    const float *weights;
};

static enum status uneven(const struct load *load, const char *name, size_t have,
                          size_t want, struct error *err) {
    return node_error(load->node, err, STATUS_INVALID,
                      "attribute %s holds %zu items where %zu are needed", name, have,
                      want);
}

static enum status read_node_lists(struct load *load, struct lists *lists,
                                   struct error *err) {
    struct {
        const char *name;
        struct attr_ints *list;
    } ints[] = {
        {"nodes_treeids", &lists->tree},       {"nodes_nodeids", &lists->id},
        {"nodes_featureids", &lists->feature}, {"nodes_truenodeids", &lists->yes},
        {"nodes_falsenodeids", &lists->no},
    };
    const struct attr *modes = attr_find(load->node, "nodes_modes");
    size_t count;
    enum status status = STATUS_OK;
    attr_ignore(load->node, "nodes_hitrates"); /* a hint for caches */
    for (size_t i = 0; status == STATUS_OK && i < ARRAY_COUNT(ints); i++) {
        status = attr_ints(load->node, ints[i].name, ints[i].list, err);
        if (status == STATUS_OK && lists->tree.count == 0) {
            return node_error(load->node, err, STATUS_INVALID, "has no nodes");
        }
        if (status == STATUS_OK && ints[i].list->count != lists->tree.count) {
            return uneven(load, ints[i].name, ints[i].list->count, lists->tree.count,
                          err);
        }
    }
    if (status == STATUS_OK) {
        status = ml_floats(load, "nodes_values", &lists->values, &count, err);
    }
    if (status == STATUS_OK && count != lists->tree.count) {
        return uneven(load, "nodes_values", count, lists->tree.count, err);
    }
    if (status == STATUS_OK) {
        status = attr_ints(load->node, "nodes_missing_value_tracks_true", &lists->missing,
                           err);
    }
    if (status == STATUS_OK && lists->missing.count != 0 &&
        lists->missing.count != lists->tree.count) {
        return uneven(load, "nodes_missing_value_tracks_true", lists->missing.count,
                      lists->tree.count, err);
    }
    if (status == STATUS_OK && (modes == NULL || modes->kind != ATTR_TEXTS ||
                                modes->count != lists->tree.count)) {
        return uneven(load, "nodes_modes", modes == NULL ? 0 : modes->count,
                      lists->tree.count, err);
    }
    lists->modes = status == STATUS_OK ? modes->as.texts : NULL;
    return status;
}

static enum status read_weight_lists(struct load *load, struct lists *lists,
                                     struct error *err) {
    const struct tree_names *names = load->node->op->param;
    size_t count;
    enum status status = attr_ints(load->node, names->tree_ids, &lists->weight_tree, err);
    if (status == STATUS_OK) {
        status = attr_ints(load->node, names->node_ids, &lists->weight_id, err);
    }
    if (status == STATUS_OK) {
        status = attr_ints(load->node, names->targets, &lists->weight_target, err);
    }
    if (status == STATUS_OK) {
        status = ml_floats(load, names->weights, &lists->weights, &count, err);
    }
    if (status == STATUS_OK && (lists->weight_id.count != lists->weight_tree.count ||
                                lists->weight_target.count != lists->weight_tree.count ||
                                count != lists->weight_tree.count)) {
        status = uneven(load, names->weights, count, lists->weight_tree.count, err);
    }
    return status;
}

/* ---- load: the forest ---------------------------------------------------------- */

/* A node's two ids and its place, sorted to be found. */
struct place {
    int64_t tree, id;
    uint32_t index;
};

static int compare_places(const void *a, const void *b) {
    const struct place *x = a, *y = b;
    if (x->tree != y->tree) {
        return x->tree < y->tree ? -1 : 1;
    }
    return x->id < y->id ? -1 : x->id > y->id;
}

static const struct place *find_place(const struct place *places, size_t count,
                                      int64_t tree, int64_t id) {
    const struct place key = {.tree = tree, .id = id};
    return bsearch(&key, places, count, sizeof(key), compare_places);
}

static bool mode_parse(struct span text, uint8_t *mode) {
    static const char *const words[] = {
        [LEAF] = "LEAF",      [LEQ] = "BRANCH_LEQ", [LT] = "BRANCH_LT",
        [GTE] = "BRANCH_GTE", [GT] = "BRANCH_GT",   [EQ] = "BRANCH_EQ",
        [NEQ] = "BRANCH_NEQ",
    };
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (span_is(text, words[i])) {
            *mode = (uint8_t)i;
            return true;
        }
    }
    return false;
}

static enum status bad_node(const struct load *load, const struct lists *lists, size_t i,
                            const char *fault, struct error *err) {
    return node_error(load->node, err, STATUS_INVALID, "node %lld of tree %lld %s",
                      (long long)lists->id.values[i], (long long)lists->tree.values[i],
                      fault);
}

/* Nodes without their children's places. */
static enum status read_nodes(struct load *load, const struct lists *lists,
                              struct tree_state *state, struct place *places,
                              struct error *err) {
    for (size_t i = 0; i < state->node_count; i++) {
        struct tree_node *node = &state->nodes[i];
        int64_t feature = lists->feature.values[i];
        places[i] = (struct place){.tree = lists->tree.values[i],
                                   .id = lists->id.values[i],
                                   .index = (uint32_t)i};
        node->value = lists->values[i];
        node->missing_yes = lists->missing.count > 0 && lists->missing.values[i] != 0;
        if (!mode_parse(lists->modes[i], &node->mode)) {
            return bad_node(load, lists, i, "has an unknown mode", err);
        }
        if (node->mode == LEAF) {
            continue;
        }
        if (feature < 0 || feature >= INT32_MAX) {
            return bad_node(load, lists, i, "asks for an impossible feature", err);
        }
        node->feature = (uint32_t)feature;
        if (node->feature >= state->features) {
            state->features = node->feature + 1;
        }
    }
    qsort(places, state->node_count, sizeof(*places), compare_places);
    for (size_t i = 1; i < state->node_count; i++) {
        if (compare_places(&places[i - 1], &places[i]) == 0) {
            return bad_node(load, lists, places[i].index, "comes twice", err);
        }
    }
    return STATUS_OK;
}

/* Children by place; `has_parent` is zeroed.  A node with two parents could close a
 * circle, one without a parent is a root. */
static enum status link_nodes(struct load *load, const struct lists *lists,
                              struct tree_state *state, const struct place *places,
                              bool *has_parent, struct error *err) {
    for (size_t i = 0; i < state->node_count; i++) {
        struct tree_node *node = &state->nodes[i];
        const int64_t ids[] = {lists->yes.values[i], lists->no.values[i]};
        uint32_t *const children[] = {&node->yes, &node->no};
        for (size_t c = 0; node->mode != LEAF && c < ARRAY_COUNT(ids); c++) {
            const struct place *child =
                find_place(places, state->node_count, lists->tree.values[i], ids[c]);
            if (child == NULL || has_parent[child->index]) {
                return bad_node(load, lists, i,
                                "has a child that is missing or another's", err);
            }
            has_parent[child->index] = true;
            *children[c] = child->index;
        }
    }
    for (size_t i = 0; i < state->node_count; i++) {
        if (!has_parent[i]) {
            state->roots[state->root_count++] = (uint32_t)i;
        }
    }
    return STATUS_OK;
}

/* Every tree has one root, and every node hangs on one: those that do not are a circle.
 * `open` has room for every node. */
static enum status check_roots(struct load *load, const struct lists *lists,
                               const struct tree_state *state, uint32_t *open,
                               struct error *err) {
    size_t seen = 0, open_count = 0;
    for (size_t i = 0; i < state->root_count; i++) {
        uint32_t root = state->roots[i];
        /* Roots stand in the order of nodes, and those of a tree side by side. */
        if (i > 0 &&
            lists->tree.values[root] == lists->tree.values[state->roots[i - 1]]) {
            return bad_node(load, lists, root, "is a second root", err);
        }
        open[open_count++] = root;
    }
    while (open_count > 0) {
        const struct tree_node *node = &state->nodes[open[--open_count]];
        seen++;
        if (node->mode != LEAF) {
            open[open_count++] = node->yes;
            open[open_count++] = node->no;
        }
    }
    if (seen != state->node_count) {
        return node_error(load->node, err, STATUS_INVALID,
                          "%zu nodes are in circles, which no root leads to",
                          state->node_count - seen);
    }
    return STATUS_OK;
}

/* Weights, those of a leaf side by side. */
static enum status read_weights(struct load *load, const struct lists *lists,
                                struct tree_state *state, const struct place *places,
                                uint32_t *leaves, struct error *err) {
    uint32_t first = 0;
    for (size_t i = 0; i < state->weight_count; i++) {
        const struct place *leaf =
            find_place(places, state->node_count, lists->weight_tree.values[i],
                       lists->weight_id.values[i]);
        int64_t target = lists->weight_target.values[i];
        if (leaf == NULL || state->nodes[leaf->index].mode != LEAF || target < 0 ||
            target >= state->targets) {
            return node_error(load->node, err, STATUS_INVALID,
                              "weight %zu belongs to no leaf or to no target", i);
        }
        leaves[i] = leaf->index;
        state->nodes[leaf->index].no++;
    }
    for (size_t i = 0; i < state->node_count; i++) {
        if (state->nodes[i].mode == LEAF) {
            state->nodes[i].yes = first;
            first += state->nodes[i].no;
            state->nodes[i].no = 0;
        }
    }
    for (size_t i = 0; i < state->weight_count; i++) {
        struct tree_node *leaf = &state->nodes[leaves[i]];
        state->weights[leaf->yes + leaf->no++] =
            (struct tree_weight){.target = (uint32_t)lists->weight_target.values[i],
                                 .value = lists->weights[i]};
    }
    return STATUS_OK;
}

static enum status build(struct load *load, const struct lists *lists,
                         struct tree_state *state, struct error *err) {
    struct arena *arena = &load->graph->arena;
    size_t nodes = lists->tree.count, weights = lists->weight_tree.count;
    struct place *places = NULL;
    bool *has_parent = NULL;
    uint32_t *leaves = NULL, *open = NULL;
    enum status status = STATUS_OK;
    if (nodes > INT32_MAX || weights > INT32_MAX) {
        return node_error(load->node, err, STATUS_UNSUPPORTED,
                          "has %zu nodes and %zu weights, at most %d are handled", nodes,
                          weights, INT32_MAX);
    }
    state->node_count = nodes;
    state->weight_count = weights;
    state->nodes = arena_alloc(arena, nodes, sizeof(*state->nodes));
    state->weights = arena_alloc(arena, weights + 1, sizeof(*state->weights));
    state->roots = arena_alloc(arena, nodes, sizeof(*state->roots));
    places = calloc(nodes, sizeof(*places));
    has_parent = calloc(nodes, sizeof(*has_parent));
    leaves = calloc(weights + 1, sizeof(*leaves));
    open = calloc(nodes, sizeof(*open));
    if (state->nodes == NULL || state->weights == NULL || state->roots == NULL ||
        places == NULL || has_parent == NULL || leaves == NULL || open == NULL) {
        status = load_no_memory(load, err);
    }
    if (status == STATUS_OK) {
        status = read_nodes(load, lists, state, places, err);
    }
    if (status == STATUS_OK) {
        status = link_nodes(load, lists, state, places, has_parent, err);
    }
    if (status == STATUS_OK) {
        status = check_roots(load, lists, state, open, err);
    }
    if (status == STATUS_OK) {
        status = read_weights(load, lists, state, places, leaves, err);
    }
    free(places);
    free(has_parent);
    free(leaves);
    free(open);
    return status;
}

static enum status prepare(struct load *load, struct tree_state *state,
                           struct error *err) {
    struct lists lists = {0};
    enum status status = ml_read_transform(load, &state->transform, err);
    if (status == STATUS_OK) {
        status = ml_floats(load, "base_values", &state->base, &state->base_count, err);
    }
    if (status == STATUS_OK && state->base_count > 1 &&
        state->base_count != (size_t)state->targets) {
        status =
            uneven(load, "base_values", state->base_count, (size_t)state->targets, err);
    }
    if (status == STATUS_OK) {
        status = read_node_lists(load, &lists, err);
    }
    if (status == STATUS_OK) {
        status = read_weight_lists(load, &lists, err);
    }
    return status == STATUS_OK ? build(load, &lists, state, err) : status;
}

/* ---- run ----------------------------------------------------------------------- */

static bool takes_yes(const struct tree_node *node, float x) {
    if (isnan(x)) {
        return node->missing_yes || node->mode == NEQ;
    }
    switch ((enum mode)node->mode) {
    case LEQ:
        return x <= node->value;
    case LT:
        return x < node->value;
    case GTE:
        return x >= node->value;
    case GT:
        return x > node->value;
    case EQ:
        return x == node->value;
    case NEQ:
        return x != node->value;
    case LEAF:
        break;
    }
    return false;
}

static const struct tree_node *leaf_of(const struct tree_state *state, uint32_t root,
                                       const float *x) {
    const struct tree_node *node = &state->nodes[root];
    while (node->mode != LEAF) {
        float value = x[node->feature];
        /* Nearly all trees compare so; the others go the long way. */
        bool yes = node->mode == LEQ && !isnan(value) ? value <= node->value
                                                      : takes_yes(node, value);
        node = &state->nodes[yes ? node->yes : node->no];
    }
    return node;
}

static void add_weights(const struct tree_state *state, const struct tree_node *leaf,
                        float *scores) {
    for (uint32_t i = 0; i < leaf->no; i++) {
        const struct tree_weight *weight = &state->weights[leaf->yes + i];
        float *score = &scores[weight->target];
        switch ((enum aggregate)state->aggregate) {
        case AGGREGATE_SUM:
        case AGGREGATE_AVERAGE:
            *score += weight->value;
            break;
        case AGGREGATE_MIN:
            *score = fminf(*score, weight->value);
            break;
        case AGGREGATE_MAX:
            *score = fmaxf(*score, weight->value);
            break;
        }
    }
}

static float base_of(const struct tree_state *state, int64_t target) {
    return state->base_count == 0 ? 0 : state->base[state->base_count == 1 ? 0 : target];
}

static void sum_trees(const struct tree_state *state, const float *x, float *scores) {
    float first = state->aggregate == AGGREGATE_MIN   ? INFINITY
                  : state->aggregate == AGGREGATE_MAX ? -INFINITY
                                                      : 0;
    for (int64_t t = 0; t < state->targets; t++) {
        scores[t] = first;
    }
    for (size_t i = 0; i < state->root_count; i++) {
        add_weights(state, leaf_of(state, state->roots[i], x), scores);
    }
    for (int64_t t = 0; state->aggregate == AGGREGATE_AVERAGE && t < state->targets;
         t++) {
        scores[t] /= (float)state->root_count;
    }
}

static enum status tree_rows(struct exec *exec, int64_t *rows, int64_t *cols,
                             struct error *err) {
    const struct tree_state *state = exec->node->state;
    enum status status = ml_rows(exec, rows, cols, err);
    if (status == STATUS_OK && *cols < (int64_t)state->features) {
        status = node_error(exec->node, err, STATUS_POISON,
                            "%lld features come, the trees ask for %u", (long long)*cols,
                            state->features);
    }
    return status;
}

/* ---- the regressor ------------------------------------------------------------- */

static enum status regressor_prepare(struct load *load, struct error *err) {
    static const char *const words[] = {
        [AGGREGATE_SUM] = "SUM",
        [AGGREGATE_AVERAGE] = "AVERAGE",
        [AGGREGATE_MIN] = "MIN",
        [AGGREGATE_MAX] = "MAX",
        NULL,
    };
    struct tree_state *state = load_state(load, struct tree_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = attr_int_in(load->node, "n_targets", 1, 1, INT32_MAX, &state->targets, err);
    if (status == STATUS_OK) {
        status = attr_word(load->node, "aggregate_function", AGGREGATE_SUM, words,
                           &state->aggregate, err);
    }
    return status == STATUS_OK ? prepare(load, state, err) : status;
}

static enum status regressor_shape(struct exec *exec, struct error *err) {
    const struct tree_state *state = exec->node->state;
    int64_t rows, cols;
    enum status status = tree_rows(exec, &rows, &cols, err);
    if (status == STATUS_OK) {
        exec->scratch_size = (size_t)cols * sizeof(float);
        exec->y[0]->rank = 2;
        exec->y[0]->dims[0] = rows;
        exec->y[0]->dims[1] = state->targets;
    }
    return status;
}

static enum status regressor_run(struct exec *exec, struct error *err) {
    const struct tree_state *state = exec->node->state;
    int64_t rows, cols;
    float *y = exec->y[0]->data;
    enum status status = ml_rows(exec, &rows, &cols, err);
    for (int64_t r = 0; status == STATUS_OK && r < rows; r++, y += state->targets) {
        sum_trees(state, ml_row(exec->x[0], r, cols, exec->scratch), y);
        for (int64_t t = 0; t < state->targets; t++) {
            y[t] += base_of(state, t);
        }
        ml_apply(state->transform, state->targets, y);
    }
    return status;
}

/* ---- the classifier ------------------------------------------------------------ */

static enum status classifier_prepare(struct load *load, struct error *err) {
    struct tree_state *state = load_state(load, struct tree_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = ml_read_labels(load, "classlabels_int64s", "classlabels_strings",
                            &state->labels, err);
    state->targets = (int64_t)state->labels.count;
    if (status == STATUS_OK) {
        status = prepare(load, state, err);
    }
    state->one_column = status == STATUS_OK && state->targets == 2;
    state->all_positive = true;
    for (size_t i = 0; status == STATUS_OK && i < state->weight_count; i++) {
        state->one_column =
            state->one_column && state->weights[i].target == state->weights[0].target;
        state->all_positive = state->all_positive && state->weights[i].value >= 0;
    }
    return status;
}

static enum status classifier_shape(struct exec *exec, struct error *err) {
    const struct tree_state *state = exec->node->state;
    int64_t rows, cols;
    enum status status = tree_rows(exec, &rows, &cols, err);
    if (status != STATUS_OK) {
        return status;
    }
    exec->scratch_size = ((size_t)cols + state->labels.count) * sizeof(float);
    exec->y[0]->rank = 1;
    exec->y[0]->dims[0] = rows;
    if (exec_wants(exec, 1)) {
        exec->y[1]->rank = 2;
        exec->y[1]->dims[0] = rows;
        exec->y[1]->dims[1] = state->targets;
    }
    return STATUS_OK;
}

/* Two classes and one sum: a probability of the second class where all weights are
 * positive, else a margin around 0. */
static size_t classify_one_column(const struct tree_state *state, float *scores) {
    float score = scores[0] + scores[1] + (state->base_count > 0 ? base_of(state, 1) : 0);
    if (state->all_positive) {
        scores[0] = 1 - score;
        scores[1] = score;
        return score > 0.5F ? 1 : 0;
    }
    if (state->transform == ML_LOGISTIC) {
        scores[0] = ml_logistic(-score);
        scores[1] = ml_logistic(score);
    } else {
        scores[0] = -score;
        scores[1] = score;
        ml_apply(state->transform, 2, scores);
    }
    return score > 0 ? 1 : 0;
}

static size_t classify(const struct tree_state *state, float *scores) {
    size_t best = 0;
    if (state->one_column) {
        return classify_one_column(state, scores);
    }
    for (int64_t t = 0; t < state->targets; t++) {
        scores[t] += base_of(state, t);
        best = scores[t] > scores[best] ? (size_t)t : best;
    }
    ml_apply(state->transform, state->targets, scores);
    return best;
}

static enum status classifier_run(struct exec *exec, struct error *err) {
    const struct tree_state *state = exec->node->state;
    int64_t rows, cols;
    enum status status = ml_rows(exec, &rows, &cols, err);
    for (int64_t r = 0; status == STATUS_OK && r < rows; r++) {
        float *buffer = exec->scratch, *scores = buffer + cols;
        if (exec_wants(exec, 1)) {
            scores = (float *)exec->y[1]->data + r * state->targets;
        }
        sum_trees(state, ml_row(exec->x[0], r, cols, buffer), scores);
        ml_write_label(&state->labels, classify(state, scores), exec->y[0], r);
    }
    return status;
}

static const struct tree_names classifier_names = {"class_treeids", "class_nodeids",
                                                   "class_ids", "class_weights"};
static const struct tree_names regressor_names = {"target_treeids", "target_nodeids",
                                                  "target_ids", "target_weights"};

static const struct op ops[] = {
    {
        .domain = ML_DOMAIN,
        .name = "TreeEnsembleClassifier",
        .since = 1,
        .until = 4,
        .inputs_min = 1,
        .inputs_max = 1,
        .outputs_max = 2,
        .types = {TYPES_FEATURES},
        .param = &classifier_names,
        .prepare = classifier_prepare,
        .shape = classifier_shape,
        .run = classifier_run,
    },
    {
        .domain = ML_DOMAIN,
        .name = "TreeEnsembleRegressor",
        .since = 1,
        .until = 4,
        .inputs_min = 1,
        .inputs_max = 1,
        .types = {TYPES_FEATURES},
        .output_dtype = DTYPE_F32,
        .param = &regressor_names,
        .prepare = regressor_prepare,
        .shape = regressor_shape,
        .run = regressor_run,
    },
};

const struct op_list ops_ml_tree = OP_LIST(ops);
