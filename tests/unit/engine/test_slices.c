/* test_slices.c - a batch slice by slice: what is sliced, and that nothing else changes.
 */
#include "engine/slices.h"

#include "engine/session_impl.h"
#include "graph_fixture.h"

/* ---- the choice ---------------------------------------------------------------- */

static const struct slice_costs costs = {.near = 1000, .far = 10000, .call = 1};

START_TEST(slices_that_fit_cover_the_batch_with_few_rows_left_over) {
    for (int64_t batch = 1; batch <= 70; batch++) {
        for (int64_t most = 1; most <= 70; most++) {
            const int64_t rows = slices_fit(batch, most);
            ck_assert_int_ge(rows, 1);
            ck_assert_int_le(rows, most);
            ck_assert_int_le(rows, batch);
            ck_assert(most < batch || rows == batch);
            /* No more slices than twice as many as there had to be. */
            ck_assert_int_ge(2 * rows, most < batch ? most : batch);
        }
    }
    ck_assert_int_eq(slices_fit(16, 4), 4);
    ck_assert_int_eq(slices_fit(9, 4), 3);
    ck_assert_int_eq(slices_fit(3, 2), 1 + 1);
    ck_assert_int_eq(slices_fit(0, 4), 0);
}
END_TEST

START_TEST(what_fits_the_cache_is_left_whole) {
    const struct slice_step steps[] = {{true, 60, 30, 100}, {true, 60, 0, 100}};
    int64_t rows[2];
    ck_assert(!slices_plan(&costs, steps, 2, 16, rows));
}
END_TEST

START_TEST(rows_that_outgrow_the_cache_are_taken_by_as_many_as_fit) {
    const struct slice_step steps[] = {{true, 240, 120, 10}, {true, 240, 0, 10}};
    int64_t rows[2];
    ck_assert(slices_plan(&costs, steps, 2, 64, rows));
    ck_assert_int_eq(rows[0], 4);
    ck_assert_int_eq(rows[1], 4);
}
END_TEST

START_TEST(rows_that_are_not_apart_stay_together) {
    const struct slice_step steps[] = {
        {true, 900, 300, 0}, {false, 900, 300, 0}, {true, 900, 0, 0}};
    int64_t rows[3];
    ck_assert(slices_plan(&costs, steps, 3, 64, rows));
    ck_assert_int_lt(rows[0], 64);
    ck_assert_int_eq(rows[1], 64);
    ck_assert_int_lt(rows[2], 64);
}
END_TEST

START_TEST(weights_larger_than_the_rows_pass_once) {
    const struct slice_step steps[] = {{true, 100, 50, 90000}, {true, 100, 0, 90000}};
    int64_t rows[2];
    ck_assert(!slices_plan(&costs, steps, 2, 64, rows));
}
END_TEST

/* ---- sessions ------------------------------------------------------------------ */

static struct bytes graph;

/* A session that slices wherever it may, row by row: each call is a gain. */
static struct session *open_row_by_row(const struct model *model) {
    struct session *session = open_session(model);
    session->costs = (struct slice_costs){.near = 1e18, .far = 1e18, .call = -1e15};
    return session;
}

/* A session that takes four rows of 6 floats in and out at a time. */
static struct session *open_sliced(const struct model *model) {
    struct session *session = open_session(model);
    session->costs = (struct slice_costs){.near = 200, .far = 1e18};
    return session;
}

static struct session *open_whole(const struct model *model) {
    struct session *session = open_session(model);
    session->costs = (struct slice_costs){.near = 1e18, .far = 1e18, .call = 1};
    return session;
}

/* Session `a`, which slices, beside one that does not. */
static void check_same(const struct model *model, struct session *a) {
    static const int64_t batches[] = {13, 16, 1, 2, 7, 16, 3, 40, 5};
    struct session *b = open_whole(model);
    for (size_t i = 0; i < ARRAY_COUNT(batches); i++) {
        struct tensor x = make_rows(model, (int64_t)i, batches[i]);
        run_rows(a, &x);
        run_rows(b, &x);
        ck_assert(batches[i] < 13 || a->slice_count > 0);
        ck_assert_int_eq(b->slice_count, 0);
        for (int o = 0; o < model->graph.output_count; o++) {
            const struct tensor *y = session_output(a, o), *is = session_output(b, o);
            ck_assert_int_eq(y->rank, is->rank);
            ck_assert_mem_eq(y->dims, is->dims, (size_t)y->rank * sizeof(y->dims[0]));
            ck_assert(tensor_size(y) == 0 ||
                      memcmp(y->data, is->data, tensor_size(y)) == 0);
        }
    }
}

START_TEST(slices_change_no_bit_of_a_model) {
    static const char *const models[] = {DIGITS, TEXT, ATTENTION};
    struct model *model = open_model(models[_i]);
    check_same(model, open_row_by_row(model));
}
END_TEST

/* x [batch, 6] -> Abs, Sqrt, Abs, Sqrt -> `op` -> Sqrt, Exp, ..
 * -> y.  Rows of `op` are apart, or
 * they are not, and then it must have the whole batch.  Batches need not be a multiple of
 * the slices: the last one overlaps the one before. */
struct trap {
    const char *op;
    bool apart;
    const char *attr; /* an int, or NULL */
    int64_t value;
    int64_t inputs[5][4]; /* int64 inputs after the first: the count, then numbers */
};

static const struct trap traps[] = {
    {"Softmax", true, "axis", 1, {{0}}},
    {"Softmax", true, "axis", -1, {{0}}},
    {"Softmax", false, "axis", 0, {{0}}},
    {"Softmax", false, "axis", -2, {{0}}},
    {"CumSum", false, NULL, 0, {{1, 0}}},
    {"Slice", false, NULL, 0, {{1, -1}, {1, INT64_MIN}, {1, 0}, {1, -1}}},
    {"Slice", true, NULL, 0, {{1, 1}, {1, 5}, {1, 1}, {1, 2}}},
    {"Pad", false, NULL, 0, {{4 + 1, -1, 0, 1}}},
    {"Gather", false, "axis", 0, {{2, 0, 0}}},
    {"Gather", true, "axis", 1, {{2, 5, 2}}},
    {"Tile", false, NULL, 0, {{2, 2, 1}}},
    {"Tile", true, NULL, 0, {{2, 1, 2}}},
    {"ReduceSum", false, "keepdims", 1, {{1, 0}}},
    {"ReduceSum", true, "keepdims", 0, {{1, 1}}},
    {"Reshape", true, NULL, 0, {{2, -1, 3}}},
    {"Reshape", true, NULL, 0, {{1, -1}}},
    {"Reshape", false, NULL, 0, {{2, 6, -1}}},
    {"Transpose", false, NULL, 0, {{0}}},
    {"Expand", true, NULL, 0, {{2, 1, 6}}},
};

/* One node more, its int64 inputs and its attribute. */
static void put_trap(const struct trap *trap) {
    static struct bytes node, attr;
    node.size = attr.size = 0;
    put_text(&node, 1, "d");
    for (int i = 0; i < 5 && trap->inputs[i][0] > 0; i++) {
        char name[8] = {'k', (char)('0' + i)};
        /* Pads of two axes are four numbers, the last of them 0. */
        const int64_t count = trap->inputs[i][0] > 4 ? 4 : trap->inputs[i][0];
        int64_t values[4] = {0};
        memcpy(values, &trap->inputs[i][1], 3 * sizeof(values[0]));
        put_weight(&graph, name, DTYPE_I64, &count, 1, values,
                   (size_t)count * sizeof(values[0]));
        put_text(&node, 1, name);
    }
    put_text(&node, 2, "t");
    put_text(&node, 4, trap->op);
    if (trap->attr != NULL) {
        put_text(&attr, 1, trap->attr);
        put_int(&attr, 3, trap->value);
        put_int(&attr, 20, 2);
        put_message(&node, 5, &attr);
    }
    put_message(&graph, 1, &node);
    put_node(&graph, "Sqrt", "t", NULL, "u");
    put_node(&graph, "Exp", "u", NULL, "v");
    put_node(&graph, "Sqrt", "v", NULL, "w");
    put_node(&graph, "Sqrt", "w", NULL, "y");
}

static void put_x(void) {
    const int64_t dims[2] = {-1, 6};
    graph.size = 0;
    put_port(&graph, 11, "x", DTYPE_F32, dims, 2);
    put_port(&graph, 12, "y", DTYPE_F32, NULL, 0);
    put_node(&graph, "Abs", "x", NULL, "a");
    put_node(&graph, "Sqrt", "a", NULL, "b");
    put_node(&graph, "Abs", "b", NULL, "c");
    put_node(&graph, "Sqrt", "c", NULL, "d");
}

/* Whether the node of type `type` is computed slice by slice. */
static bool is_sliced(const struct model *model, const char *type) {
    struct session *session = open_sliced(model);
    struct tensor x = make_rows(model, 0, 16);
    run_rows(session, &x);
    for (int n = 0; n < model->graph.node_count; n++) {
        if (strcmp(model->graph.nodes[n].type, type) == 0) {
            return session_slice(session, n) != NULL;
        }
    }
    ck_abort_msg("there is no %s", type);
    return false;
}

START_TEST(rows_that_are_mixed_turned_or_counted_are_not_sliced) {
    const struct trap *trap = &traps[_i];
    put_x();
    put_trap(trap);
    struct model *model = open_graph(&graph, 0);
    ck_assert_msg(is_sliced(model, trap->op) == trap->apart, "%s %d", trap->op, _i);
    check_same(model, open_sliced(model)); /* what is before always is */
}
END_TEST

/* The last slice ends with the batch, and not beyond it. */
static void check_last(const struct session *session, int64_t batch) {
    ck_assert_int_gt(session->slice_count, 0);
    for (int s = 0; s < session->slice_count; s++) {
        const struct slice *slice = &session->slices[s];
        ck_assert_int_gt(slice->in_count, 0);
        for (int i = 0; i < slice->in_count; i++) {
            const struct tensor *part = &slice->part->tensors[slice->ins[i]];
            const struct tensor *whole = &session->tensors[slice->ins[i]];
            ck_assert_ptr_eq((const uint8_t *)part->data + tensor_size(part),
                             (const uint8_t *)whole->data +
                                 tensor_size(part) / (size_t)slice->rows * (size_t)batch);
        }
    }
}

/* A slice reads rows once more where the last one overlaps the one before: what comes out
 * of slices may not lie where they read from. */
START_TEST(slices_do_not_write_where_they_read) {
    const int64_t dims[2] = {-1, 6};
    graph.size = 0;
    put_port(&graph, 11, "d", DTYPE_F32, dims, 2);
    put_port(&graph, 12, "y", DTYPE_F32, NULL, 0);
    put_trap(&traps[2]); /* of whole batches, into the workspace */
    struct model *model = open_graph(&graph, 0);
    struct session *session = open_sliced(model);
    session->costs.near = 500; /* several rows at a time, */
    session->costs.call = 1;   /* of which 13 are no multiple */
    check_same(model, session);
    struct tensor x = make_rows(model, 0, 13);
    run_rows(session, &x);
    ck_assert_int_gt(session->slices[0].rows, 1);
    ck_assert_int_ne(13 % session->slices[0].rows, 0);
    check_last(session, 13);
}
END_TEST

/* What follows from the batch's size is another number for a slice. */
START_TEST(numbers_made_of_the_batch_size_are_seen) {
    const int64_t one = 1, zero = 0;
    put_x();
    put_node(&graph, "Shape", "x", NULL, "shape");
    put_weight(&graph, "zero", DTYPE_I64, &one, 1, &zero, sizeof(zero));
    put_node(&graph, "Gather", "shape", "zero", "size");
    static struct bytes node, attr;
    node.size = attr.size = 0;
    put_node_fields(&node, "Cast", "size", NULL, "real");
    put_text(&attr, 1, "to");
    put_int(&attr, 3, 1);
    put_int(&attr, 20, 2);
    put_message(&node, 5, &attr);
    put_message(&graph, 1, &node);
    put_node(&graph, "Div", "d", "real", "y");
    struct model *model = open_graph(&graph, 0);
    ck_assert(!is_sliced(model, "Div"));
    check_same(model, open_sliced(model));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("engine: slices");
    TCase *tests = tcase_create("slices");
    SRunner *runner = srunner_create(suite);
    int failed;
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, NULL, release_all);
    tcase_add_test(tests, slices_that_fit_cover_the_batch_with_few_rows_left_over);
    tcase_add_test(tests, what_fits_the_cache_is_left_whole);
    tcase_add_test(tests, rows_that_outgrow_the_cache_are_taken_by_as_many_as_fit);
    tcase_add_test(tests, rows_that_are_not_apart_stay_together);
    tcase_add_test(tests, weights_larger_than_the_rows_pass_once);
    tcase_add_loop_test(tests, slices_change_no_bit_of_a_model, 0, 3);
    tcase_add_loop_test(tests, rows_that_are_mixed_turned_or_counted_are_not_sliced, 0,
                        (int)ARRAY_COUNT(traps));
    tcase_add_test(tests, slices_do_not_write_where_they_read);
    tcase_add_test(tests, numbers_made_of_the_batch_size_are_seen);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
