/* ml_tree.c - TreeEnsembleClassifier, TreeEnsembleRegressor and TreeEnsemble of
 * ai.onnx.ml: forests and boosted trees of scikit-learn, XGBoost and LightGBM.
 *
 * ml_tree_read*.c read and check the file's lists, ml_forest*.c make layouts of them, and
 * engine/kernels/forest.c runs those.  Here is what the sums become. */
#include <math.h>

#include "base/size.h"
#include "engine/ops/ml_tree.h"
#include "engine/ops/number.h"
#include "engine/ops/ops.h"

enum aggregate { AGGREGATE_AVERAGE, AGGREGATE_SUM, AGGREGATE_MIN, AGGREGATE_MAX };

struct tree_state {
    struct forest forest;
    struct forest_cuts cuts;
    uint32_t features; /* the input needs at least so many */
    int64_t targets;
    float *base; /* [targets], added to the sums; NULL: zeros */
    int aggregate;
    enum ml_transform transform;
    struct ml_labels labels; /* of the classifier */
    bool one_column;         /* a binary classifier whose weights all have one target */
    bool all_positive;       /* its weights are probabilities of the second class */
    float column_base;       /* its base value */
};

/* ---- load ----------------------------------------------------------------------------
 */

/* One base value stands for all targets. */
static enum status read_base(struct load *load, struct tree_state *state,
                             struct error *err) {
    struct tensor base;
    enum status status =
        ml_reals(load, "base_values", "base_values_as_tensor", &base, err);
    size_t count = status == STATUS_OK ? tensor_count(&base) : 0;
    if (count > 1 && count != (size_t)state->targets) {
        return tree_uneven(load, "base_values", count, (size_t)state->targets, err);
    }
    if (count == 0) {
        return status;
    }
    state->base =
        arena_alloc(&load->graph->arena, (size_t)state->targets, sizeof(*state->base));
    if (state->base == NULL) {
        return load_no_memory(load, err);
    }
    for (int64_t t = 0; t < state->targets; t++) {
        state->base[t] = (float)number_real(&base, count == 1 ? 0 : t);
    }
    return STATUS_OK;
}

static enum forest_fold fold_of(int aggregate) {
    return aggregate == AGGREGATE_MIN   ? FOREST_MIN
           : aggregate == AGGREGATE_MAX ? FOREST_MAX
                                        : FOREST_SUM;
}

/* Two classes whose weights all have one target. */
static void look_at_weights(struct tree_state *state, const struct tree_lists *lists) {
    const struct forest_source *source = &lists->source;
    state->one_column = state->labels.count == 2;
    state->all_positive = true;
    for (size_t i = 0; i < source->weight_count; i++) {
        state->one_column =
            state->one_column && lists->weights[i].target == lists->weights[0].target;
        state->all_positive = state->all_positive && lists->weights[i].value >= 0;
    }
    state->column_base = state->base == NULL ? 0 : state->base[1 % state->targets];
}

/* Lists into layouts; targets, aggregate and labels are known. */
static enum status make_forest(struct load *load, struct tree_state *state,
                               struct error *err) {
    const bool doubles = graph_input_dtype(load->graph, load->node, 0) == DTYPE_F64;
    const struct tree_names *names = load->node->op->param;
    struct tree_lists lists = {0};
    enum status status;
    lists.source.targets = state->targets;
    lists.source.fold = fold_of(state->aggregate);
    status = names != NULL ? tree_read(load, names, &lists, err)
                           : tree_read_5(load, &lists, err);
    if (status == STATUS_OK) {
        status = forest_settle(load->graph, &lists.source, doubles, &state->cuts, err);
    }
    if (status == STATUS_OK) {
        look_at_weights(state, &lists);
        state->features = lists.features;
        status = forest_build(load->graph, &lists.source, &state->forest, err);
    }
    tree_release(&lists);
    return status;
}

/* ---- rows
 * ------------------------------------------------------------------------------- */

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

/* Scratch: the forest's, then rows as floats where they are none, then `extra` bytes. */
struct desk {
    void *forest;
    float *rows;
    float *scores;
};

static enum status lay_desk(const struct exec *exec, int64_t rows, int64_t cols,
                            int64_t scores, struct desk *desk, size_t *size,
                            struct error *err) {
    const struct tree_state *state = exec->node->state;
    const size_t forest = size_align(forest_scratch_size(&state->forest), 64);
    size_t converted = 0, extra = 0;
    uint8_t *memory = exec->scratch;
    if ((exec->x[0]->dtype != DTYPE_F32 &&
         (!size_mul((size_t)rows, (size_t)cols, &converted) ||
          !size_mul(converted, sizeof(float), &converted))) ||
        !size_mul((size_t)rows, (size_t)scores * sizeof(float), &extra)) {
        return node_error(exec->node, err, STATUS_POISON, "the input is too large");
    }
    converted = size_align(converted, 64);
    *size = forest + converted + extra;
    if (memory != NULL) {
        desk->forest = memory;
        desk->rows = (void *)(memory + forest);
        desk->scores = (void *)(memory + forest + converted);
    }
    return STATUS_OK;
}

static const float *as_floats(const struct exec *exec, int64_t rows, int64_t cols,
                              float *to) {
    const struct tree_state *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    if (x->dtype == DTYPE_F32) {
        return x->data;
    }
    for (int64_t r = 0; r < rows; r++) {
        if (x->dtype == DTYPE_F64) {
            forest_round(&state->cuts, cols, (const double *)x->data + r * cols,
                         to + r * cols);
        } else {
            (void)ml_row(x, r, cols, to + r * cols); /* into that place */
        }
    }
    return to;
}

static void add_base(const struct tree_state *state, int64_t rows, float *y) {
    for (int64_t r = 0; r < rows && state->base != NULL; r++) {
        for (int64_t t = 0; t < state->targets; t++) {
            y[r * state->targets + t] += state->base[t];
        }
    }
}

/* ---- TreeEnsembleRegressor, TreeEnsemble
 * ------------------------------------------------ */

static enum status regressor_prepare(struct load *load, struct error *err) {
    static const char *const words[] = {
        [AGGREGATE_AVERAGE] = "AVERAGE",
        [AGGREGATE_SUM] = "SUM",
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
    if (status == STATUS_OK) {
        status = ml_read_transform(load, &state->transform, err);
    }
    if (status == STATUS_OK) {
        status = read_base(load, state, err);
    }
    return status == STATUS_OK ? make_forest(load, state, err) : status;
}

static enum status ensemble_prepare(struct load *load, struct error *err) {
    struct tree_state *state = load_state(load, struct tree_state);
    int64_t aggregate = 0, transform = 0;
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = attr_int_in(load->node, "n_targets", 1, 1, INT32_MAX, &state->targets, err);
    if (status == STATUS_OK) {
        status = attr_int_in(load->node, "aggregate_function", AGGREGATE_SUM,
                             AGGREGATE_AVERAGE, AGGREGATE_MAX, &aggregate, err);
    }
    if (status == STATUS_OK) {
        status = attr_int_in(load->node, "post_transform", ML_NONE, ML_NONE, ML_PROBIT,
                             &transform, err);
    }
    state->aggregate = (int)aggregate;
    state->transform = (enum ml_transform)transform;
    return status == STATUS_OK ? make_forest(load, state, err) : status;
}

static enum status regressor_shape(struct exec *exec, struct error *err) {
    const struct tree_state *state = exec->node->state;
    const bool wide = exec->y[0]->dtype == DTYPE_F64;
    struct desk unused;
    int64_t rows = 0, cols = 0;
    enum status status = tree_rows(exec, &rows, &cols, err);
    exec->scratch = NULL;
    if (status == STATUS_OK) {
        status = lay_desk(exec, rows, cols, wide ? state->targets : 0, &unused,
                          &exec->scratch_size, err);
    }
    exec->y[0]->rank = 2;
    exec->y[0]->dims[0] = rows;
    exec->y[0]->dims[1] = state->targets;
    return status;
}

static enum status regressor_run(struct exec *exec, struct error *err) {
    const struct tree_state *state = exec->node->state;
    const bool wide = exec->y[0]->dtype == DTYPE_F64;
    const int64_t targets = state->targets;
    int64_t rows, cols;
    struct desk desk;
    size_t size;
    float *y;
    enum status status = ml_rows(exec, &rows, &cols, err);
    if (status == STATUS_OK) {
        status = lay_desk(exec, rows, cols, wide ? targets : 0, &desk, &size, err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    y = wide ? desk.scores : exec->y[0]->data;
    forest_run(&state->forest, rows, as_floats(exec, rows, cols, desk.rows), cols, y,
               desk.forest);
    for (int64_t i = 0; state->aggregate == AGGREGATE_AVERAGE && i < rows * targets;
         i++) {
        y[i] /= (float)state->forest.trees;
    }
    add_base(state, rows, y);
    ml_apply(state->transform, rows, targets, y);
    for (int64_t i = 0; wide && i < rows * targets; i++) {
        ((double *)exec->y[0]->data)[i] = (double)y[i];
    }
    return STATUS_OK;
}

/* ---- TreeEnsembleClassifier
 * ------------------------------------------------------------- */

static enum status classifier_prepare(struct load *load, struct error *err) {
    struct tree_state *state = load_state(load, struct tree_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = ml_read_labels(load, "classlabels_int64s", "classlabels_strings",
                            &state->labels, err);
    state->targets = (int64_t)state->labels.count;
    state->aggregate = AGGREGATE_SUM;
    if (status == STATUS_OK) {
        status = ml_read_transform(load, &state->transform, err);
    }
    if (status == STATUS_OK) {
        status = read_base(load, state, err);
    }
    return status == STATUS_OK ? make_forest(load, state, err) : status;
}

static enum status classifier_shape(struct exec *exec, struct error *err) {
    const struct tree_state *state = exec->node->state;
    const bool scores = exec_wants(exec, 1);
    struct desk unused;
    int64_t rows, cols;
    enum status status = tree_rows(exec, &rows, &cols, err);
    exec->scratch = NULL;
    if (status == STATUS_OK) {
        status = lay_desk(exec, rows, cols, scores ? 0 : state->targets, &unused,
                          &exec->scratch_size, err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (exec_wants(exec, 0)) {
        exec->y[0]->rank = 1;
        exec->y[0]->dims[0] = rows;
    }
    if (scores) {
        exec->y[1]->rank = 2;
        exec->y[1]->dims[0] = rows;
        exec->y[1]->dims[1] = state->targets;
    }
    return STATUS_OK;
}

static void write_label(const struct exec *exec, size_t label, int64_t row) {
    const struct tree_state *state = exec->node->state;
    if (exec_wants(exec, 0)) {
        ml_write_label(&state->labels, label, exec->y[0], row);
    }
}

/* Two classes and one sum: a probability of the second class where all weights are
 * positive, else a margin around 0. */
static void classify_one_column(const struct exec *exec, int64_t rows, float *scores) {
    const struct tree_state *state = exec->node->state;
    for (int64_t r = 0; r < rows; r++) {
        float *pair = scores + 2 * r;
        const float score = pair[0] + pair[1] + state->column_base;
        write_label(exec, score > (state->all_positive ? 0.5F : 0) ? 1 : 0, r);
        pair[0] = state->all_positive ? 1 - score : -score;
        pair[1] = score;
    }
    if (!state->all_positive) {
        ml_apply(state->transform, rows, 2, scores);
    }
}

static void classify(const struct exec *exec, int64_t rows, float *scores) {
    const struct tree_state *state = exec->node->state;
    const int64_t targets = state->targets;
    if (state->one_column) {
        classify_one_column(exec, rows, scores);
        return;
    }
    add_base(state, rows, scores);
    for (int64_t r = 0; r < rows; r++) {
        const float *row = scores + r * targets;
        int64_t best = 0;
        for (int64_t t = 1; t < targets; t++) {
            best = row[t] > row[best] ? t : best;
        }
        write_label(exec, (size_t)best, r);
    }
    ml_apply(state->transform, rows, targets, scores);
}

static enum status classifier_run(struct exec *exec, struct error *err) {
    const struct tree_state *state = exec->node->state;
    const bool wanted = exec_wants(exec, 1);
    int64_t rows, cols;
    struct desk desk;
    size_t size;
    float *scores;
    enum status status = ml_rows(exec, &rows, &cols, err);
    if (status == STATUS_OK) {
        status =
            lay_desk(exec, rows, cols, wanted ? 0 : state->targets, &desk, &size, err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    scores = wanted ? exec->y[1]->data : desk.scores;
    forest_run(&state->forest, rows, as_floats(exec, rows, cols, desk.rows), cols, scores,
               desk.forest);
    classify(exec, rows, scores);
    return STATUS_OK;
}

static const struct tree_names classifier_names = {"class_treeids", "class_nodeids",
                                                   "class_ids", "class_weights",
                                                   "class_weights_as_tensor"};
static const struct tree_names regressor_names = {"target_treeids", "target_nodeids",
                                                  "target_ids", "target_weights",
                                                  "target_weights_as_tensor"};

/* ai.onnx.ml 5 calls the older two deprecated, and keeps them. */
static const struct op ops[] = {
    {
        .domain = ML_DOMAIN,
        .name = "TreeEnsembleClassifier",
        .since = 1,
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
        .inputs_min = 1,
        .inputs_max = 1,
        .types = {TYPES_FEATURES},
        .output_dtype = DTYPE_F32,
        .param = &regressor_names,
        .prepare = regressor_prepare,
        .shape = regressor_shape,
        .run = regressor_run,
    },
    {
        .domain = ML_DOMAIN,
        .name = "TreeEnsemble",
        .since = 5,
        .inputs_min = 1,
        .inputs_max = 1,
        .types = {TYPES_FLOAT},
        .prepare = ensemble_prepare,
        .shape = regressor_shape,
        .run = regressor_run,
    },
};

const struct op_list ops_ml_tree = OP_LIST(ops);
