/* test_subgraph.c - bodies of If and Loop, functions, and halves, as models of a few
 * nodes. */
#include "engine/onnx_file.h"
#include "onnx_writer.h"
#include "session_fixture.h"

#include "tests/unit/suite.h"

enum { ATTR_TYPE_INT = 2, ATTR_TYPE_GRAPH = 5 };

static struct bytes model_bytes;
static struct error err;

static void put_graph_attr(struct bytes *node, const char *name,
                           const struct bytes *graph) {
    static struct bytes attr;
    attr.size = 0;
    put_text(&attr, 1, name);
    put_message(&attr, 6, graph);
    put_int(&attr, 20, ATTR_TYPE_GRAPH);
    put_message(node, 5, &attr);
}

static enum status load(const struct bytes *graph, struct model **model) {
    model_bytes.size = 0;
    put_model(&model_bytes, 17, graph);
    return model_open_bytes(span_of(model_bytes.data, model_bytes.size), PASSES_ALL,
                            model, &err);
}

static struct session *open_graph(const struct bytes *graph) {
    struct model *model;
    ck_assert_msg(load(graph, &model) == STATUS_OK, "%s", err.text);
    opened_models[model_count++] = model;
    return open_session(model);
}

/* A body that gives its condition on and adds the outer value "step" to what is
 * carried. */
static struct bytes *adding_body(void) {
    static struct bytes body;
    static const int64_t four[] = {4};
    body.size = 0;
    put_node(&body, "Identity", "go", NULL, "go_on");
    put_node(&body, "Add", "sum", "step", "next");
    put_port(&body, 11, "i", DTYPE_I64, NULL, 0);
    put_port(&body, 11, "go", DTYPE_BOOL, NULL, 0);
    put_port(&body, 11, "sum", DTYPE_F32, four, 1);
    put_port(&body, 12, "go_on", DTYPE_BOOL, NULL, 0);
    put_port(&body, 12, "next", DTYPE_F32, four, 1);
    return &body;
}

/* y = x + count * step, by a Loop; without a count when `count` is NULL. */
static struct bytes *loop_graph(const char *count) {
    static struct bytes graph, node;
    static const int64_t four[] = {4};
    graph.size = node.size = 0;
    put_text(&node, 1, count == NULL ? "" : count);
    put_text(&node, 1, "");
    put_text(&node, 1, "x");
    put_text(&node, 2, "y");
    put_text(&node, 4, "Loop");
    put_graph_attr(&node, "body", adding_body());
    put_node(&graph, "Identity", "given", NULL, "step");
    put_message(&graph, 1, &node);
    put_port(&graph, 11, "x", DTYPE_F32, four, 1);
    put_port(&graph, 11, "given", DTYPE_F32, four, 1);
    if (count != NULL) {
        put_port(&graph, 11, count, DTYPE_I64, NULL, 0);
    }
    put_port(&graph, 12, "y", DTYPE_F32, four, 1);
    return &graph;
}

START_TEST(a_loop_runs_its_body_as_often_as_told_and_reads_what_is_around_it) {
    struct session *session = open_graph(loop_graph("count"));
    for (int64_t count = 0; count < 4; count++) {
        float x[] = {1, 2, 3, 4}, step[] = {10, 20, 30, 40};
        const struct tensor inputs[] = {
            {.dtype = DTYPE_F32, .rank = 1, .dims = {4}, .data = x},
            {.dtype = DTYPE_F32, .rank = 1, .dims = {4}, .data = step},
            {.dtype = DTYPE_I64, .data = &count}};
        ck_assert(session_prepare(session, inputs, &err) == STATUS_OK);
        ck_assert_msg(session_run(session, inputs, &err) == STATUS_OK, "%s", err.text);
        for (int i = 0; i < 4; i++) {
            const float *y = session_output(session, 0)->data;
            ck_assert(y[i] == x[i] + (float)count * step[i]);
        }
    }
}
END_TEST

/* y = x * w ^ count, by a Loop that carries the constant w unchanged. */
static struct bytes *powers_graph(const float *w) {
    static struct bytes graph, node, body;
    static const int64_t four[] = {4};
    static const char *const names[] = {"count", "", "x", "w"};
    graph.size = node.size = body.size = 0;
    put_node(&body, "Identity", "go", NULL, "go_on");
    put_node(&body, "Mul", "power", "factor", "next");
    put_node(&body, "Identity", "factor", NULL, "same");
    put_port(&body, 11, "i", DTYPE_I64, NULL, 0);
    put_port(&body, 11, "go", DTYPE_BOOL, NULL, 0);
    put_port(&body, 11, "power", DTYPE_F32, four, 1);
    put_port(&body, 11, "factor", DTYPE_F32, four, 1);
    put_port(&body, 12, "go_on", DTYPE_BOOL, NULL, 0);
    put_port(&body, 12, "next", DTYPE_F32, four, 1);
    put_port(&body, 12, "same", DTYPE_F32, four, 1);
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        put_text(&node, 1, names[i]);
    }
    put_text(&node, 2, "y");
    put_text(&node, 2, "w_after");
    put_text(&node, 4, "Loop");
    put_graph_attr(&node, "body", &body);
    put_message(&graph, 1, &node);
    put_weight(&graph, "w", DTYPE_F32, four, 1, w, 4 * sizeof(*w));
    put_port(&graph, 11, "x", DTYPE_F32, four, 1);
    put_port(&graph, 11, "count", DTYPE_I64, NULL, 0);
    put_port(&graph, 12, "y", DTYPE_F32, four, 1);
    put_port(&graph, 12, "w_after", DTYPE_F32, four, 1);
    return &graph;
}

static bool a_product_has_a_constant(const struct graph *graph) {
    for (int n = 0; n < graph->node_count; n++) {
        if (strcmp(graph->nodes[n].type, "Mul") == 0) {
            return graph_constant(graph, &graph->nodes[n], 1) != NULL;
        }
    }
    return false;
}

START_TEST(what_a_loop_carries_unchanged_is_a_constant_in_its_body) {
    const float w[] = {2, 3, 4, 5};
    struct session *session = open_graph(powers_graph(w));
    ck_assert(a_product_has_a_constant(&opened_models[0]->graph.bodies->graph));
    for (int64_t count = 0; count < 3; count++) {
        float x[] = {1, 2, 3, 4};
        const struct tensor inputs[] = {
            {.dtype = DTYPE_F32, .rank = 1, .dims = {4}, .data = x},
            {.dtype = DTYPE_I64, .data = &count}};
        ck_assert(session_prepare(session, inputs, &err) == STATUS_OK);
        ck_assert_msg(session_run(session, inputs, &err) == STATUS_OK, "%s", err.text);
        for (int i = 0; i < 4; i++) {
            const float *y = session_output(session, 0)->data;
            ck_assert(y[i] == x[i] * powf(w[i], (float)count));
            ck_assert(((const float *)session_output(session, 1)->data)[i] == w[i]);
        }
    }
}
END_TEST

START_TEST(a_loop_without_an_end_is_ended) {
    struct session *session = open_graph(loop_graph(NULL));
    float x[4] = {0};
    const struct tensor inputs[] = {
        {.dtype = DTYPE_F32, .rank = 1, .dims = {4}, .data = x},
        {.dtype = DTYPE_F32, .rank = 1, .dims = {4}, .data = x}};
    ck_assert(session_prepare(session, inputs, &err) == STATUS_OK);
    ck_assert_int_eq(session_run(session, inputs, &err), STATUS_POISON);
    ck_assert_msg(strstr(err.text, "iterations") != NULL, "%s", err.text);
}
END_TEST

/* y = If(c): x + 1 else x - 1, with the branches' own constants. */
static struct bytes *if_graph(int64_t else_dtype) {
    static struct bytes graph, node, branch;
    static const int64_t four[] = {4};
    static const char *const ops[] = {"Add", "Sub"}, *const names[] = {"then_branch",
                                                                       "else_branch"};
    const float one = 1;
    const int64_t whole = 1;
    graph.size = node.size = 0;
    put_text(&node, 1, "c");
    put_text(&node, 2, "y");
    put_text(&node, 4, "If");
    for (int i = 0; i < 2; i++) {
        bool other = i == 1 && else_dtype != DTYPE_F32;
        branch.size = 0;
        if (other) {
            put_weight(&branch, "z", DTYPE_I64, NULL, 0, &whole, sizeof(whole));
            put_node(&branch, "Identity", "z", NULL, "out");
        } else {
            put_weight(&branch, "one", DTYPE_F32, NULL, 0, &one, sizeof(one));
            put_node(&branch, ops[i], "x", "one", "out");
        }
        put_port(&branch, 12, "out", other ? DTYPE_I64 : DTYPE_F32, NULL, 0);
        put_graph_attr(&node, names[i], &branch);
    }
    put_message(&graph, 1, &node);
    put_port(&graph, 11, "c", DTYPE_BOOL, NULL, 0);
    put_port(&graph, 11, "x", DTYPE_F32, four, 1);
    put_port(&graph, 12, "y", DTYPE_F32, four, 1);
    return &graph;
}

START_TEST(an_if_takes_the_branch_its_condition_tells) {
    struct session *session = open_graph(if_graph(DTYPE_F32));
    for (int take = 0; take < 2; take++) {
        float x[] = {1, 2, 3, 4};
        bool condition = take != 0;
        const struct tensor inputs[] = {
            {.dtype = DTYPE_BOOL, .data = &condition},
            {.dtype = DTYPE_F32, .rank = 1, .dims = {4}, .data = x}};
        ck_assert(session_prepare(session, inputs, &err) == STATUS_OK);
        ck_assert(session_run(session, inputs, &err) == STATUS_OK);
        ck_assert(*(const float *)session_output(session, 0)->data ==
                  (condition ? 2.0F : 0.0F));
    }
}
END_TEST

START_TEST(branches_of_different_types_are_refused) {
    struct model *model;
    ck_assert_int_eq(load(if_graph(DTYPE_I64), &model), STATUS_UNSUPPORTED);
    ck_assert_msg(strstr(err.text, "different types") != NULL, "%s", err.text);
}
END_TEST

/* A function "own.twice" of domain "own": y = x + x; or one that calls itself. */
static void put_function(struct bytes *model, bool endless) {
    static struct bytes function, node, set;
    function.size = node.size = set.size = 0;
    put_text(&function, 1, "twice");
    put_text(&function, 4, "p");
    put_text(&function, 5, "q");
    put_node_fields(&node, endless ? "twice" : "Add", "p", endless ? NULL : "p", "q");
    if (endless) {
        put_text(&node, 7, "own");
    }
    put_message(&function, 7, &node);
    put_int(&set, 2, 17);
    put_message(&function, 9, &set);
    put_text(&function, 10, "own");
    put_message(model, 25, &function);
}

static enum status load_function(bool endless, struct model **model) {
    static struct bytes graph, node;
    static const int64_t four[] = {4};
    graph.size = node.size = model_bytes.size = 0;
    put_node_fields(&node, "twice", "x", NULL, "middle");
    put_text(&node, 7, "own");
    put_message(&graph, 1, &node);
    put_node(&graph, "Neg", "middle", NULL, "y");
    put_port(&graph, 11, "x", DTYPE_F32, four, 1);
    put_port(&graph, 12, "y", DTYPE_F32, four, 1);
    put_model(&model_bytes, 17, &graph);
    put_function(&model_bytes, endless);
    return model_open_bytes(span_of(model_bytes.data, model_bytes.size), PASSES_ALL,
                            model, &err);
}

START_TEST(a_function_is_what_its_nodes_are) {
    struct model *model;
    float x[] = {1, 2, 3, 4};
    const struct tensor input = {.dtype = DTYPE_F32, .rank = 1, .dims = {4}, .data = x};
    ck_assert_msg(load_function(false, &model) == STATUS_OK, "%s", err.text);
    opened_models[model_count++] = model;
    struct session *session = open_session(model);
    ck_assert(session_prepare(session, &input, &err) == STATUS_OK);
    ck_assert(session_run(session, &input, &err) == STATUS_OK);
    ck_assert(((const float *)session_output(session, 0)->data)[3] == -8.0F);
}
END_TEST

START_TEST(a_function_that_calls_itself_is_refused) {
    struct model *model;
    ck_assert_int_eq(load_function(true, &model), STATUS_UNSUPPORTED);
    ck_assert_msg(strstr(err.text, "nested deeper") != NULL, "%s", err.text);
}
END_TEST

START_TEST(halves_are_computed_in_float32_and_rounded_at_the_end) {
    static struct bytes graph;
    static const int64_t two[] = {2};
    const uint16_t thousands[] = {0x63d0, 0x63d0}; /* 1000 */
    uint16_t x[] = {0x63d0, 0x3c00};               /* 1000, 1 */
    const struct tensor input = {.dtype = DTYPE_F16, .rank = 1, .dims = {2}, .data = x};
    graph.size = 0;
    put_weight(&graph, "w", DTYPE_F16, two, 1, thousands, sizeof(thousands));
    put_node(&graph, "Mul", "x", "w", "large"); /* 1e6 is no float16 */
    put_node(&graph, "Div", "large", "w", "y");
    put_port(&graph, 11, "x", DTYPE_F16, two, 1);
    put_port(&graph, 12, "y", DTYPE_F16, two, 1);
    struct session *session = open_graph(&graph);
    ck_assert(session_prepare(session, &input, &err) == STATUS_OK);
    ck_assert(session_run(session, &input, &err) == STATUS_OK);
    ck_assert_int_eq(session_output(session, 0)->dtype, DTYPE_F16);
    ck_assert_mem_eq(session_output(session, 0)->data, x, sizeof(x));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("subgraph");
    TCase *cases = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;
    tcase_add_checked_fixture(cases, NULL, release_all);
    tcase_set_timeout(cases, 120);
    tcase_add_test(cases,
                   a_loop_runs_its_body_as_often_as_told_and_reads_what_is_around_it);
    tcase_add_test(cases, what_a_loop_carries_unchanged_is_a_constant_in_its_body);
    tcase_add_test(cases, a_loop_without_an_end_is_ended);
    tcase_add_test(cases, an_if_takes_the_branch_its_condition_tells);
    tcase_add_test(cases, branches_of_different_types_are_refused);
    tcase_add_test(cases, a_function_is_what_its_nodes_are);
    tcase_add_test(cases, a_function_that_calls_itself_is_refused);
    tcase_add_test(cases, halves_are_computed_in_float32_and_rounded_at_the_end);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
