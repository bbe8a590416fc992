/* test_session.c - what sessions promise, on the models of the demo. */
#include <pthread.h>

#include "base/size.h"
#include "engine/session_impl.h"
#include "graph_fixture.h"
#include "tests/unit/allocations.h"

static const char *const models[] = {DIGITS, TEXT, ATTENTION};

/* ---- no allocation in the batch path ------------------------------------------- */

#ifdef COUNTS_ALLOCATIONS
START_TEST(a_batch_no_larger_than_the_plan_allocates_nothing) {
    const bool sliced = _i >= (int)ARRAY_COUNT(models);
    struct model *model = open_model(models[_i % (int)ARRAY_COUNT(models)]);
    struct session *session = open_session(model);
    struct tensor large = make_rows(model, 0, 16), small = make_rows(model, 0, 5);
    struct error err;
    bool all_ran = true;
    long before, counted;
    if (sliced) { /* whatever may be: each call is a gain */
        session->costs = (struct slice_costs){.near = 1e18, .far = 1e18, .call = -1e15};
    }
    run_rows(session, &large);
    run_rows(session, &small);
    before = allocations; /* no asserts until all is counted: Check allocates */
    for (int i = 0; i < 6; i++) {
        const struct tensor *x = i % 2 == 0 ? &large : &small;
        all_ran = all_ran && session_prepare(session, x, &err) == STATUS_OK &&
                  session_run(session, x, &err) == STATUS_OK;
    }
    counted = allocations - before;
    ck_assert_int_eq(counted, 0);
    ck_assert(all_ran);
    ck_assert_int_eq(session->slice_count > 0, sliced);
}
END_TEST
#endif

/* ---- looking on ---------------------------------------------------------------- */

static int told[64], told_count;

static void tell(void *context, int node) {
    ck_assert_ptr_eq(context, told);
    ck_assert_int_lt(told_count, (int)ARRAY_COUNT(told));
    told[told_count++] = node;
}

START_TEST(a_watch_is_told_of_each_computed_node_once_and_in_order) {
    struct model *model = open_model(models[_i]);
    struct session *session = open_session(model);
    struct tensor x = make_rows(model, 0, 3);
    session_watch(session, tell, told);
    run_rows(session, &x);
    ck_assert_int_gt(told_count, 0);
    ck_assert_int_le(told_count, session_node_count(session));
    for (int i = 0; i < told_count; i++) {
        struct session_node node = session_node(session, told[i]);
        ck_assert(i == 0 || told[i] > told[i - 1]);
        ck_assert_ptr_nonnull(node.type);
        ck_assert_ptr_nonnull(node.name);
        ck_assert_ptr_nonnull(node.y0);
    }
    session_watch(session, NULL, NULL);
    told_count = 0;
    run_rows(session, &x);
    ck_assert_int_eq(told_count, 0);
}
END_TEST

/* Which nodes of the type were computed? */
static int told_of(const struct session *session, const char *type) {
    int count = 0;
    for (int i = 0; i < told_count; i++) {
        count += strcmp(session_node(session, told[i]).type, type) == 0;
    }
    return count;
}

START_TEST(what_is_asked_for_its_shape_alone_is_not_computed) {
    static const int64_t dims[] = {-1, 6}, two[] = {2}, shape[] = {-1, 2};
    static struct bytes graph;
    graph.size = 0;
    put_weight(&graph, "pairs", DTYPE_I64, two, 1, shape, sizeof(shape));
    put_node(&graph, "Exp", "x", NULL, "e");
    put_node(&graph, "Sqrt", "e", NULL, "s");
    put_node(&graph, "Shape", "s", NULL, "dims");
    put_node(&graph, "Reshape", "x", "pairs", "p");
    put_node(&graph, "Neg", "p", NULL, "n");
    put_node(&graph, "Reshape", "n", "dims", "y");
    put_port(&graph, 11, "x", DTYPE_F32, dims, 2);
    put_port(&graph, 12, "y", DTYPE_F32, dims, 2);
    struct model *model = open_graph(&graph, 0);
    struct session *session = open_session(model);
    struct tensor x = make_rows(model, 3, 5);
    told_count = 0;
    session_watch(session, tell, told);
    run_rows(session, &x);
    ck_assert_int_eq(told_of(session, "Exp") + told_of(session, "Sqrt"), 0);
    ck_assert_int_eq(told_of(session, "Neg"), 1);
    for (size_t i = 0; i < tensor_count(&x); i++) {
        const float want = -((const float *)x.data)[i];
        ck_assert_mem_eq((const float *)session_output(session, 0)->data + i, &want,
                         sizeof(want));
    }
}
END_TEST

/* ---- batches ------------------------------------------------------------------- */

#if defined(__x86_64__) /* other processors do not mind them */
/* 1e-40, which is denormal; made where the compiler cannot. */
static float tiny_product(void) {
    volatile float a = 1e-20F, b = 1e-20F;
    return a * b;
}

static void multiply(void *context, int node) {
    float *product = context;
    (void)node;
    *product = tiny_product();
}

START_TEST(results_too_small_for_a_normal_number_are_zero_within_a_run_alone) {
    struct model *model = open_model(DIGITS);
    struct session *session = open_session(model);
    const struct tensor x = make_rows(model, 0, 1);
    float within = 1.0F;
    session_watch(session, multiply, &within);
    run_rows(session, &x);
    ck_assert_float_eq(within, 0.0F);
    ck_assert_float_gt(tiny_product() * 1e20F, 0.0F);
}
END_TEST
#endif

START_TEST(a_row_alone_equals_the_row_in_any_batch_and_place) {
    enum { ROWS = 13 };
    struct model *model = open_model(models[_i]);
    struct session *session = open_session(model), *alone = open_session(model);
    struct tensor batch = make_rows(model, 0, ROWS);
    run_rows(session, &batch);
    for (int row = 0; row < ROWS; row++) {
        struct tensor one = make_rows(model, row, 1);
        size_t count;
        run_rows(alone, &one);
        count = row_count(alone);
        assert_close((const float *)session_output(session, 0)->data +
                         count * (size_t)row,
                     session_output(alone, 0)->data, count, SAME_TOLERANCE);
    }
    for (int size = 2; size < ROWS; size += 3) {
        struct tensor part = make_rows(model, ROWS - size, size);
        size_t count;
        run_rows(alone, &part);
        count = row_count(alone);
        assert_close(session_output(alone, 0)->data,
                     (const float *)session_output(session, 0)->data +
                         count * (size_t)(ROWS - size),
                     count * (size_t)size, SAME_TOLERANCE);
    }
}
END_TEST

START_TEST(smaller_batches_run_in_the_plan_of_the_largest) {
    struct model *model = open_model(models[_i]);
    struct session *session = open_session(model);
    struct tensor large = make_rows(model, 0, 32);
    size_t planned;
    run_rows(session, &large);
    planned = session_workspace_size(session);
    for (int64_t rows = 1; rows < 32; rows++) {
        struct tensor x = make_rows(model, 0, rows);
        run_rows(session, &x);
        ck_assert_int_eq(session_output(session, 0)->dims[0], rows);
        ck_assert_uint_eq(session_workspace_size(session), planned);
    }
}
END_TEST

START_TEST(a_batch_may_be_empty) {
    struct model *model = open_model(models[_i]);
    struct session *session = open_session(model);
    struct tensor x = make_rows(model, 0, 0);
    struct error err;
    /* tf2onnx reshapes with -1, which no rows leave open: refused, and not for good. */
    if (session_prepare(session, &x, &err) == STATUS_OK) {
        ck_assert_int_eq(session_run(session, &x, &err), STATUS_OK);
    } else {
        ck_assert_int_eq(err.status, STATUS_POISON);
    }
    x = make_rows(model, 0, 2);
    run_rows(session, &x);
}
END_TEST

/* ---- what is refused ----------------------------------------------------------- */

static void assert_refused(struct session *session, const struct tensor *x,
                           const char *expected) {
    struct error err;
    ck_assert_int_eq(session_prepare(session, x, &err), STATUS_POISON);
    ck_assert_msg(strstr(err.text, expected) != NULL, "'%s' not in: %s", expected,
                  err.text);
}

START_TEST(inputs_of_another_dtype_rank_or_dim_are_named) {
    struct model *model = open_model(DIGITS);
    struct session *session = open_session(model);
    struct tensor good = make_rows(model, 0, 2), bad = good;
    bad.dtype = DTYPE_F64;
    assert_refused(session, &bad, "input 'image' is float64, the model takes float32");
    bad = good;
    bad.rank = 3;
    assert_refused(session, &bad, "input 'image' has shape [2,28,28]");
    bad = good;
    bad.dims[2] = 27;
    assert_refused(session, &bad, "[2,28,27,1]");
    bad = good;
    bad.dims[0] = -1;
    assert_refused(session, &bad, "impossible shape");
    bad.dims[0] = INT64_MAX;
    assert_refused(session, &bad, "impossible shape");
    run_rows(session, &good);
}
END_TEST

START_TEST(run_wants_the_shapes_of_the_last_prepare) {
    struct model *model = open_model(DIGITS);
    struct session *session = open_session(model);
    struct tensor two = make_rows(model, 0, 2), three = make_rows(model, 0, 3);
    struct error err;
    ck_assert_int_eq(session_run(session, &two, &err), STATUS_INVALID);
    run_rows(session, &two);
    ck_assert_int_eq(session_run(session, &three, &err), STATUS_INVALID);
    run_rows(session, &three);
}
END_TEST

START_TEST(a_workspace_past_its_limit_is_refused_and_smaller_ones_still_run) {
    struct model *model = open_model(DIGITS);
    struct tensor large = make_rows(model, 0, 512), small = make_rows(model, 0, 1);
    struct session *session;
    struct error err;
    ck_assert_int_eq(session_create(model, (size_t)2 << 20, &session, &err), STATUS_OK);
    opened_sessions[session_count++] = session;
    session->costs.call = 1e15; /* large caches would make slices that fit */
    ck_assert_int_eq(session_prepare(session, &large, &err), STATUS_NO_MEMORY);
    ck_assert_msg(strstr(err.text, "limit") != NULL, "%s", err.text);
    run_rows(session, &small);
}
END_TEST

START_TEST(an_index_that_is_not_there_is_the_data_s_fault_and_not_told) {
    struct model *model = open_model("tests/data/models/lookup.onnx");
    struct session *session = open_session(model);
    int64_t ids[] = {1, -10, 424242};
    struct tensor x = {.dtype = DTYPE_I64, .rank = 2, .dims = {1, 3}, .data = ids};
    struct error err;
    ck_assert_int_eq(session_prepare(session, &x, &err), STATUS_OK);
    ck_assert_int_eq(session_run(session, &x, &err), STATUS_POISON);
    ck_assert_msg(strstr(err.text, "an index is outside [-10, 10)") != NULL, "%s",
                  err.text);
    ck_assert_msg(strstr(err.text, "424242") == NULL, "a value is told: %s", err.text);
    ids[2] = 9;
    run_rows(session, &x);
    ck_assert(((float *)session_output(session, 0)->data)[2] == 0.0F);
    ck_assert(((float *)session_output(session, 0)->data)[5] == 19.0F);
}
END_TEST

START_TEST(trees_that_are_none_are_refused) {
    static const struct {
        const char *path, *fault;
    } cases[] = {
        {"tests/data/models/tree_circle.onnx", "in circles"},
        {"tests/data/models/tree_roots.onnx", "second root"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct model *model;
        struct error err;
        ck_assert_int_eq(model_open(cases[i].path, &model, &err), STATUS_INVALID);
        ck_assert_msg(strstr(err.text, cases[i].fault) != NULL, "%s", err.text);
    }
}
END_TEST

START_TEST(a_model_with_unknown_operators_is_refused_with_all_of_them) {
    struct model *model;
    struct error err;
    ck_assert_int_eq(model_open("tests/data/models/unknown_ops.onnx", &model, &err),
                     STATUS_UNSUPPORTED);
    ck_assert_msg(strstr(err.text, "Frobnicate") != NULL, "%s", err.text);
    ck_assert_msg(strstr(err.text, "Defenestrate") != NULL, "%s", err.text);
    ck_assert_ptr_null(model);
}
END_TEST

/* ---- threads ------------------------------------------------------------------- */

struct side {
    struct session *session;
    struct tensor x[4]; /* 1 to 4 rows */
    float first[16];
};

static void *run_side(void *argument) {
    struct side *side = argument;
    for (int i = 0; i < 20; i++) {
        run_rows(side->session, &side->x[i % 4]);
    }
    memcpy(side->first, session_output(side->session, 0)->data,
           size_min(row_count(side->session), 16) * sizeof(float));
    return NULL;
}

START_TEST(sessions_of_one_model_run_side_by_side) {
    struct model *model = open_model(models[_i]);
    struct side sides[3] = {0};
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        sides[i].session = open_session(model);
        for (int rows = 1; rows <= 4; rows++) {
            sides[i].x[rows - 1] = make_rows(model, 0, rows);
        }
    }
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, run_side, &sides[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    for (int i = 1; i < 3; i++) {
        assert_close(sides[0].first, sides[i].first, 16, 0);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("session");
    TCase *each = tcase_create("each model"), *once = tcase_create("once");
    SRunner *runner = srunner_create(suite);
    int failed, last = (int)ARRAY_COUNT(models);
    tcase_set_timeout(each, 300);
    tcase_set_timeout(once, 300);
    tcase_add_checked_fixture(each, NULL, release_all);
    tcase_add_checked_fixture(once, NULL, release_all);
#ifdef COUNTS_ALLOCATIONS
    tcase_add_loop_test(each, a_batch_no_larger_than_the_plan_allocates_nothing, 0,
                        2 * last);
#endif
    tcase_add_loop_test(each, a_row_alone_equals_the_row_in_any_batch_and_place, 0, last);
    tcase_add_loop_test(each, smaller_batches_run_in_the_plan_of_the_largest, 0, last);
    tcase_add_loop_test(each, a_batch_may_be_empty, 0, last);
    tcase_add_loop_test(each, a_watch_is_told_of_each_computed_node_once_and_in_order, 0,
                        last);
    tcase_add_loop_test(each, sessions_of_one_model_run_side_by_side, 0, last);
#if defined(__x86_64__)
    tcase_add_test(once,
                   results_too_small_for_a_normal_number_are_zero_within_a_run_alone);
#endif
    tcase_add_test(once, what_is_asked_for_its_shape_alone_is_not_computed);
    tcase_add_test(once, inputs_of_another_dtype_rank_or_dim_are_named);
    tcase_add_test(once, run_wants_the_shapes_of_the_last_prepare);
    tcase_add_test(once,
                   a_workspace_past_its_limit_is_refused_and_smaller_ones_still_run);
    tcase_add_test(once, an_index_that_is_not_there_is_the_data_s_fault_and_not_told);
    tcase_add_test(once, trees_that_are_none_are_refused);
    tcase_add_test(once, a_model_with_unknown_operators_is_refused_with_all_of_them);
    suite_add_tcase(suite, each);
    suite_add_tcase(suite, once);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
