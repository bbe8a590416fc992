/* test_ml_tree.c - tree ensembles in files: what is wrong is told at load, and what is
 * right gives the same whatever the batch. */
#include "tests/unit/engine/onnx_writer.h"
#include "tests/unit/engine/session_fixture.h"

enum { NODES_MAX = 64, LIST_MAX = 64 };

/* The lists of a TreeEnsembleRegressor, to be damaged. */
struct trees {
    int64_t tree[NODES_MAX], id[NODES_MAX], feature[NODES_MAX], yes[NODES_MAX],
        no[NODES_MAX], missing[NODES_MAX];
    float value[NODES_MAX];
    const char *mode[NODES_MAX];
    size_t count, yes_count, missing_count, value_count; /* of nodes, and of odd lists */
    int64_t weight_tree[LIST_MAX], weight_id[LIST_MAX], target[LIST_MAX];
    float weight[LIST_MAX];
    size_t weight_count, target_count;
    int64_t targets;
};

/* Two trees of x0 <= 0.5: leaves 1 and 2, 10 and 20. */
static struct trees good_trees(void) {
    struct trees t = {.count = 6,
                      .yes_count = 6,
                      .missing_count = 0,
                      .value_count = 6,
                      .weight_count = 4,
                      .target_count = 4,
                      .targets = 1};
    for (size_t i = 0; i < 6; i++) {
        const bool root = i % 3 == 0;
        t.tree[i] = (int64_t)(i / 3);
        t.id[i] = (int64_t)(i % 3);
        t.mode[i] = root ? "BRANCH_LEQ" : "LEAF";
        t.yes[i] = root ? 1 : 0;
        t.no[i] = root ? 2 : 0;
        t.value[i] = 0.5F;
    }
    for (size_t i = 0; i < 4; i++) {
        const float weights[] = {1, 2, 10, 20};
        t.weight_tree[i] = (int64_t)(i / 2);
        t.weight_id[i] = (int64_t)(i % 2 + 1);
        t.weight[i] = weights[i];
    }
    return t;
}

/* ---- attributes of a node -------------------------------------------------------------
 */

enum { TYPE_INT = 2, TYPE_FLOATS = 6, TYPE_INTS = 7, TYPE_STRINGS = 8 };

static void begin(struct bytes *attr, const char *name, int64_t type) {
    attr->size = 0;
    put_text(attr, 1, name);
    put_int(attr, 20, type);
}

static void put_ints(struct bytes *node, const char *name, const int64_t *values,
                     size_t count) {
    static struct bytes attr;
    begin(&attr, name, TYPE_INTS);
    for (size_t i = 0; i < count; i++) {
        put_int(&attr, 8, values[i]);
    }
    put_message(node, 5, &attr);
}

static void put_floats(struct bytes *node, const char *name, const float *values,
                       size_t count) {
    static struct bytes attr;
    begin(&attr, name, TYPE_FLOATS);
    put_span(&attr, 7, values, count * sizeof(*values));
    put_message(node, 5, &attr);
}

static void put_texts(struct bytes *node, const char *name, const char *const *values,
                      size_t count) {
    static struct bytes attr;
    begin(&attr, name, TYPE_STRINGS);
    for (size_t i = 0; i < count; i++) {
        put_text(&attr, 9, values[i]);
    }
    put_message(node, 5, &attr);
}

static void put_lists(struct bytes *node, const struct trees *t) {
    static struct bytes attr;
    put_ints(node, "nodes_treeids", t->tree, t->count);
    put_ints(node, "nodes_nodeids", t->id, t->count);
    put_ints(node, "nodes_featureids", t->feature, t->count);
    put_ints(node, "nodes_truenodeids", t->yes, t->yes_count);
    put_ints(node, "nodes_falsenodeids", t->no, t->count);
    put_ints(node, "nodes_missing_value_tracks_true", t->missing, t->missing_count);
    put_floats(node, "nodes_values", t->value, t->value_count);
    put_texts(node, "nodes_modes", t->mode, t->count);
    put_ints(node, "target_treeids", t->weight_tree, t->weight_count);
    put_ints(node, "target_nodeids", t->weight_id, t->weight_count);
    put_ints(node, "target_ids", t->target, t->target_count);
    put_floats(node, "target_weights", t->weight, t->weight_count);
    begin(&attr, "n_targets", TYPE_INT);
    put_int(&attr, 3, t->targets);
    put_message(node, 5, &attr);
}

static enum status open_trees(const struct trees *t, struct model **model,
                              struct error *err) {
    static struct bytes node, graph, file, set;
    const int64_t x[] = {-1, 3}, y[] = {-1, t->targets};
    node.size = graph.size = file.size = set.size = 0;
    put_node_fields(&node, "TreeEnsembleRegressor", "x", NULL, "y");
    put_text(&node, 7, "ai.onnx.ml");
    put_lists(&node, t);
    put_message(&graph, 1, &node);
    put_port(&graph, 11, "x", 1, x, 2);
    put_port(&graph, 12, "y", 1, y, 2);
    put_text(&set, 1, "ai.onnx.ml");
    put_int(&set, 2, 3);
    put_message(&file, 8, &set);
    put_model(&file, 20, &graph);
    return model_open_bytes((struct span){.data = file.data, .size = file.size},
                            PASSES_ALL, model, err);
}

static void refused(const struct trees *t, const char *text) {
    struct model *model;
    struct error err;
    ck_assert_int_eq(open_trees(t, &model, &err), STATUS_INVALID);
    ck_assert_ptr_null(model);
    ck_assert_msg(strstr(err.text, text) != NULL, "'%s' does not tell '%s'", err.text,
                  text);
}

static const float *answers(const struct trees *t, const float *rows, int64_t count) {
    struct model *model;
    struct error err;
    struct tensor x = {.dtype = DTYPE_F32, .rank = 2, .dims = {count, 3}};
    ck_assert_msg(open_trees(t, &model, &err) == STATUS_OK, "%s", err.text);
    opened_models[model_count++] = model;
    x.data = (void *)(uintptr_t)rows;
    struct session *session = open_session(model);
    run_rows(session, &x);
    return session_output(session, 0)->data;
}

/* ---- tests
 * ------------------------------------------------------------------------------ */

START_TEST(good_trees_are_summed) {
    const struct trees t = good_trees();
    const float rows[] = {0.5F, 9, 9, 0.6F, 9, 9, NAN, 9, 9};
    const float *y = answers(&t, rows, 3);
    ck_assert(y[0] == 11 && y[1] == 22 && y[2] == 22);
}
END_TEST

START_TEST(circles_are_refused) {
    struct trees t = good_trees();
    t.mode[1] = "BRANCH_LEQ"; /* 0 -> 1 -> 0 */
    t.yes[1] = 0;
    t.no[1] = 2;
    t.weight_id[0] = 2;
    refused(&t, "circles");
    t = good_trees();
    t.mode[4] = t.mode[5] = "BRANCH_LEQ"; /* a circle that no root leads to */
    t.mode[3] = "LEAF";
    t.yes[4] = t.no[4] = 2;
    t.yes[5] = t.no[5] = 1;
    t.weight_id[2] = t.weight_id[3] = 0;
    refused(&t, "circles");
    t = good_trees();
    t.yes[0] = 0; /* itself */
    refused(&t, "circles");
}
END_TEST

START_TEST(ids_that_are_not_there_are_refused) {
    const int64_t wrong[] = {3, -1, INT64_MAX, INT64_MIN, (int64_t)1 << 32};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        struct trees t = good_trees();
        t.yes[0] = wrong[i];
        refused(&t, "missing");
        t = good_trees();
        t.no[3] = wrong[i];
        refused(&t, "missing");
        t = good_trees();
        t.weight_id[1] = wrong[i];
        refused(&t, "no leaf");
        t = good_trees();
        t.weight_tree[1] = wrong[i];
        refused(&t, "no leaf");
    }
    struct trees t = good_trees();
    t.weight_id[1] = 0; /* an inner node */
    refused(&t, "no leaf");
    t = good_trees();
    t.id[2] = 1;
    refused(&t, "twice");
}
END_TEST

START_TEST(features_and_targets_out_of_range_are_refused) {
    const int64_t wrong[] = {-1, INT64_MAX, INT64_MIN, INT32_MAX};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        struct trees t = good_trees();
        t.feature[0] = wrong[i];
        refused(&t, "impossible feature");
        t = good_trees();
        t.target[2] = wrong[i];
        refused(&t, "belongs to target");
    }
    struct trees t = good_trees();
    t.target[2] = 1;
    refused(&t, "belongs to target 1");
    t.targets = 0;
    refused(&t, "n_targets");
}
END_TEST

START_TEST(lists_of_uneven_length_are_refused) {
    struct trees t = good_trees();
    t.yes_count = 5;
    refused(&t, "nodes_truenodeids holds 5 items where 6");
    t = good_trees();
    t.value_count = 7;
    refused(&t, "nodes_values holds 7 items where 6");
    t = good_trees();
    t.missing_count = 1;
    refused(&t, "nodes_missing_value_tracks_true");
    t = good_trees();
    t.target_count = 3;
    refused(&t, "target_weights");
    t = good_trees();
    t.count = t.yes_count = t.value_count = 0;
    refused(&t, "no nodes");
}
END_TEST

START_TEST(what_is_no_number_is_refused) {
    struct trees t = good_trees();
    t.value[3] = NAN;
    refused(&t, "no number");
    t = good_trees();
    t.weight[3] = NAN;
    refused(&t, "no number");
    t = good_trees();
    t.mode[0] = "BRANCH_NEAR";
    refused(&t, "unknown mode");
}
END_TEST

START_TEST(nodes_may_be_shared) {
    /* x0 == 1 or x0 == 2, as LightGBM's categories are written: one leaf for both. */
    const float rows[] = {1, 0, 0, 2, 0, 0, 3, 0, 0, NAN, 0, 0};
    struct trees t = good_trees();
    t.count = t.yes_count = t.value_count = 4;
    t.weight_count = t.target_count = 2;
    for (size_t i = 0; i < 4; i++) {
        t.tree[i] = 0;
        t.id[i] = (int64_t)i;
        t.mode[i] = i < 2 ? "BRANCH_EQ" : "LEAF";
        t.yes[i] = 2;
        t.no[i] = i == 0 ? 1 : 3;
        t.value[i] = (float)(i + 1);
    }
    t.weight_id[0] = 2;
    t.weight_id[1] = 3;
    const float *y = answers(&t, rows, 4);
    ck_assert(y[0] == 1 && y[1] == 1 && y[2] == 2 && y[3] == 2);
    t.missing_count = 4;
    t.missing[1] = 1; /* NaN passes the first, not the second */
    y = answers(&t, rows, 4);
    ck_assert(y[2] == 2 && y[3] == 1);
}
END_TEST

START_TEST(a_row_is_answered_as_in_any_batch) {
    enum { ROWS = 150 };
    struct trees t = good_trees();
    float *rows = keep(calloc(ROWS * 3, sizeof(float)));
    for (int i = 0; i < ROWS * 3; i++) {
        rows[i] = (float)(i * 7 % 11) / 10;
    }
    t.feature[3] = 2;
    t.value[3] = 0.3F;
    t.weight[1] = 0.1F;
    t.weight[3] = 1e-7F;
    const float *y = answers(&t, rows, ROWS);
    for (int64_t count = 1; count < ROWS; count += 13) {
        const float *few = answers(&t, rows, count);
        ck_assert_int_eq(memcmp(few, y, (size_t)count * sizeof(*y)), 0);
    }
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        good_trees_are_summed,
        circles_are_refused,
        ids_that_are_not_there_are_refused,
        features_and_targets_out_of_range_are_refused,
        lists_of_uneven_length_are_refused,
        what_is_no_number_is_refused,
        nodes_may_be_shared,
        a_row_is_answered_as_in_any_batch,
    };
    return suite_run_with("engine: tree ensembles", tests, ARRAY_COUNT(tests), NULL,
                          release_all);
}
