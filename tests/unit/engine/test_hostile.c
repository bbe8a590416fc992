/* test_hostile.c - models that ask for too much: memory, time, depth. */
#include "onnx_writer.h"
#include "session_fixture.h"

#include "tests/unit/suite.h"

enum { ATTR_TYPE_GRAPH = 5 };

#define MEMORY_MAX ((size_t)64 << 20)

static struct bytes graph, file;
static struct error err;
static const int64_t four[] = {4};

static void set_up(void) {
    graph.size = file.size = 0;
}

static enum status open_written(struct model **model) {
    const struct model_options options = {.memory_max = MEMORY_MAX};
    file.size = 0;
    put_model(&file, 17, &graph);
    return model_open_bytes_with(span_of(file.data, file.size), NULL, PASSES_ALL,
                                 &options, model, &err);
}

static bool is_refusal(enum status status) {
    return status == STATUS_INVALID || status == STATUS_UNSUPPORTED ||
           status == STATUS_NO_MEMORY || status == STATUS_POISON;
}

static void put_list(const char *name, const int64_t *values, int64_t count) {
    put_weight(&graph, name, DTYPE_I64, &count, 1, values,
               (size_t)count * sizeof(*values));
}

/* Loading, preparing or running the graph is refused, and the text names "big". */
static void check_refused(const char *what) {
    struct model *model;
    struct session *session = NULL;
    float x[4] = {1, 2, 3, 4};
    const struct tensor inputs[] = {
        {.dtype = DTYPE_F32, .rank = 1, .dims = {4}, .data = x}};
    enum status status = open_written(&model);
    if (status == STATUS_OK) {
        opened_models[model_count++] = model;
        ck_assert_int_eq(session_create(model, MEMORY_MAX, &session, &err), STATUS_OK);
        opened_sessions[session_count++] = session;
        status = session_prepare(session, inputs, &err);
        status = status == STATUS_OK ? session_run(session, inputs, &err) : status;
    }
    ck_assert_msg(is_refusal(status), "%s: %s", what, status_name(status));
    ck_assert_msg(strstr(err.text, "big") != NULL || strstr(err.text, "limit") != NULL,
                  "%s: %s", what, err.text);
}

/* ---- memory ----------------------------------------------------------------------- */

static const struct {
    const char *op;
    int64_t sizes[4]; /* what the second input, or the only one, holds */
    int count;
    bool alone;
} growers[] = {
    {"ConstantOfShape", {INT64_C(1) << 40}, 1, true},
    {"ConstantOfShape", {1 << 20, 1 << 20, 1 << 20, 1 << 20}, 4, true},
    {"ConstantOfShape", {INT64_MAX}, 1, true},
    {"ConstantOfShape", {-1}, 1, true},
    {"Tile", {INT64_C(1) << 40}, 1, false},
    {"Tile", {INT64_MAX}, 1, false},
    {"Tile", {-5}, 1, false},
    {"Expand", {INT64_C(1) << 40, 4}, 2, false},
    {"Expand", {INT64_MAX, INT64_MAX, 4}, 3, false},
    {"Expand", {0, INT64_MAX / 2, 4}, 3, false}, /* empty, and yet past int64 */
    {"Reshape", {INT64_MAX, INT64_MAX, 4}, 3, false},
    {"Reshape", {INT64_C(1) << 62, 4, 4}, 3, false},
    {"Reshape", {-7}, 1, false},
    {"Pad", {INT64_C(1) << 40, 0}, 2, false},
    {"Pad", {INT64_MAX, INT64_MAX}, 2, false},
};

/* Of a constant, so that it could be folded, and of an input. */
START_TEST(operators_that_grow_without_bound_are_refused) {
    const float small[] = {1, 2, 3, 4};
    for (size_t i = 0; i < ARRAY_COUNT(growers); i++) {
        for (int constant = 0; constant < 2; constant++) {
            graph.size = 0;
            put_port(&graph, 11, "x", DTYPE_F32, four, 1);
            put_weight(&graph, "c", DTYPE_F32, four, 1, small, sizeof(small));
            put_list("sizes", growers[i].sizes, growers[i].count);
            if (growers[i].alone) {
                put_node(&graph, growers[i].op, "sizes", NULL, "big");
            } else {
                put_node(&graph, growers[i].op, constant ? "c" : "x", "sizes", "big");
            }
            put_node(&graph, "ReduceMax", "big", NULL, "most");
            put_node(&graph, "Add", "x", "most", "y");
            put_port(&graph, 12, "y", DTYPE_F32, NULL, 0);
            check_refused(growers[i].op);
        }
    }
}
END_TEST

START_TEST(a_range_without_end_is_refused) {
    static const int64_t ends[] = {INT64_MAX, INT64_C(1) << 40};
    for (size_t i = 0; i < ARRAY_COUNT(ends); i++) {
        const int64_t zero = 0, one = 1;
        struct bytes node = {.size = 0};
        graph.size = 0;
        put_port(&graph, 11, "x", DTYPE_F32, four, 1);
        put_weight(&graph, "from", DTYPE_I64, NULL, 0, &zero, sizeof(zero));
        put_weight(&graph, "to", DTYPE_I64, NULL, 0, &ends[i], sizeof(ends[i]));
        put_weight(&graph, "by", DTYPE_I64, NULL, 0, &one, sizeof(one));
        put_text(&node, 1, "from");
        put_text(&node, 1, "to");
        put_text(&node, 1, "by");
        put_text(&node, 2, "big");
        put_text(&node, 4, "Range");
        put_message(&graph, 1, &node);
        put_node(&graph, "Identity", "big", NULL, "y");
        put_port(&graph, 12, "y", DTYPE_I64, NULL, 0);
        check_refused("Range");
    }
}
END_TEST

/* Each is small enough to be folded; all of them are not. */
START_TEST(many_constants_that_grow_are_bounded_together) {
    char from[16] = "start", to[16];
    const int64_t size = 1 << 20, two[] = {2};
    put_port(&graph, 11, "x", DTYPE_F32, four, 1);
    put_list("size", &size, 1);
    put_list("two", two, 1);
    put_node(&graph, "ConstantOfShape", "size", NULL, "start");
    for (int i = 0; i < 30; i++) {
        (void)snprintf(to, sizeof(to), "big%d", i);
        put_node(&graph, "Tile", from, "two", to);
        memcpy(from, to, sizeof(from));
    }
    put_node(&graph, "ReduceMax", from, NULL, "y");
    put_port(&graph, 12, "y", DTYPE_F32, NULL, 0);
    check_refused("a chain of Tile");
}
END_TEST

/* ---- data of another length than it is read with ---------------------------------- */

START_TEST(inputs_of_any_number_are_all_there) {
    static const char *const ops[] = {"Max", "Sum", "Mean", "Concat"};
    for (size_t i = 0; i < ARRAY_COUNT(ops); i++) {
        struct bytes node = {.size = 0};
        struct model *model;
        graph.size = 0;
        put_port(&graph, 11, "x", DTYPE_F32, four, 1);
        put_node_fields(&node, ops[i], "x", "", "y");
        put_message(&graph, 1, &node);
        put_port(&graph, 12, "y", DTYPE_F32, four, 1);
        ck_assert_int_eq(open_written(&model), STATUS_INVALID);
        ck_assert_msg(strstr(err.text, "empty") != NULL, "%s: %s", ops[i], err.text);
    }
}
END_TEST

/* Nearly all operators take their first output for granted. */
START_TEST(a_first_output_that_is_not_wanted_is_made_all_the_same) {
    static const int64_t image[] = {1, 1, 1, 4}, sides[] = {1, 2};
    static struct bytes node, attr;
    float x[4] = {1, 2, 3, 4};
    const struct tensor inputs[] = {
        {.dtype = DTYPE_F32, .rank = 4, .dims = {1, 1, 1, 4}, .data = x}};
    struct model *model;
    put_port(&graph, 11, "x", DTYPE_F32, image, 4);
    put_text(&attr, 1, "kernel_shape");
    put_int(&attr, 8, sides[0]);
    put_int(&attr, 8, sides[1]);
    put_int(&attr, 20, 7);
    put_text(&node, 1, "x");
    put_text(&node, 2, "");
    put_text(&node, 2, "places");
    put_text(&node, 4, "MaxPool");
    put_message(&node, 5, &attr);
    put_message(&graph, 1, &node);
    put_port(&graph, 12, "places", DTYPE_I64, NULL, 0);
    ck_assert_msg(open_written(&model) == STATUS_OK, "%s", err.text);
    opened_models[model_count++] = model;
    struct session *session = open_session(model);
    run_rows(session, inputs);
    ck_assert_int_eq(((const int64_t *)session_output(session, 0)->data)[2], 3);
}
END_TEST

START_TEST(zero_points_are_one_or_one_for_each_row) {
    static const int64_t sides[] = {4, 4}, two[] = {2};
    static const uint8_t numbers[16] = {1, 2, 3};
    static const char *const inputs[] = {"a", "b", "", "big"};
    struct bytes node = {.size = 0};
    put_port(&graph, 11, "x", DTYPE_F32, four, 1);
    put_weight(&graph, "a", DTYPE_U8, sides, 2, numbers, sizeof(numbers));
    put_weight(&graph, "b", DTYPE_U8, sides, 2, numbers, sizeof(numbers));
    put_weight(&graph, "big", DTYPE_U8, two, 1, numbers, 2);
    for (size_t i = 0; i < ARRAY_COUNT(inputs); i++) {
        put_text(&node, 1, inputs[i]);
    }
    put_text(&node, 2, "big_product");
    put_text(&node, 4, "MatMulInteger");
    put_message(&graph, 1, &node);
    put_node(&graph, "Identity", "big_product", NULL, "y");
    put_port(&graph, 12, "y", DTYPE_I32, NULL, 0);
    check_refused("MatMulInteger");
}
END_TEST

/* ---- time ------------------------------------------------------------------------- */

static void put_body(struct bytes *node, const struct bytes *body) {
    static struct bytes attr;
    attr.size = 0;
    put_text(&attr, 1, "body");
    put_message(&attr, 6, body);
    put_int(&attr, 20, ATTR_TYPE_GRAPH);
    put_message(node, 5, &attr);
}

/* A Loop of 2^62 trips around `depth` others of as many. */
static void put_loop(struct bytes *around, int depth) {
    struct bytes *body = calloc(1, sizeof(*body)), *node = calloc(1, sizeof(*node));
    ck_assert_ptr_nonnull(body);
    ck_assert_ptr_nonnull(node);
    if (depth > 0) {
        put_loop(body, depth - 1);
    } else {
        put_node(body, "Identity", "sum", NULL, "z");
    }
    put_node(body, "Identity", "go", NULL, "go_on");
    put_port(body, 11, "i", DTYPE_I64, NULL, 0);
    put_port(body, 11, "go", DTYPE_BOOL, NULL, 0);
    put_port(body, 11, "sum", DTYPE_F32, four, 1);
    put_port(body, 12, "go_on", DTYPE_BOOL, NULL, 0);
    put_port(body, 12, "z", DTYPE_F32, four, 1);
    put_text(node, 1, "trips");
    put_text(node, 1, "");
    put_text(node, 1, "x");
    put_text(node, 2, "z");
    put_text(node, 3, "big");
    put_text(node, 4, "Loop");
    put_body(node, body);
    put_message(around, 1, node);
    free(body);
    free(node);
}

/* A body's inputs may be of any type; what steers it may not. */
START_TEST(loops_and_branches_are_steered_by_their_types_alone) {
    static const struct {
        const char *trips, *go;
    } cases[] = {{"x", ""}, {"", "x"}, {"go", ""}, {"", "trips"}};
    const int64_t trips = 3;
    const uint8_t go = 3;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct bytes *node = calloc(1, sizeof(*node)), *body = calloc(1, sizeof(*body));
        struct model *model;
        graph.size = 0;
        put_port(&graph, 11, "x", DTYPE_F32, NULL, 0);
        put_weight(&graph, "trips", DTYPE_I64, NULL, 0, &trips, sizeof(trips));
        put_weight(&graph, "go", DTYPE_U8, NULL, 0, &go, sizeof(go));
        put_node(body, "Identity", "c", NULL, "d");
        put_port(body, 11, "i", DTYPE_I64, NULL, 0);
        put_port(body, 11, "c", DTYPE_BOOL, NULL, 0);
        put_port(body, 12, "d", DTYPE_BOOL, NULL, 0);
        put_node(body, "Identity", "i", NULL, "n");
        put_port(body, 12, "n", DTYPE_I64, NULL, 0);
        put_text(node, 1, cases[i].trips);
        put_text(node, 1, cases[i].go);
        put_text(node, 2, "z");
        put_text(node, 4, "Loop");
        put_body(node, body);
        put_message(&graph, 1, node);
        put_port(&graph, 12, "z", DTYPE_I64, NULL, 0);
        ck_assert_int_eq(open_written(&model), STATUS_INVALID);
        ck_assert_msg(strstr(err.text, ", not ") != NULL, "%s", err.text);
        free(node);
        free(body);
    }
}
END_TEST

/* Without a limit on all loops together, two in each other would take years. */
START_TEST(loops_of_too_many_trips_end_however_nested) {
    const int64_t trips = INT64_C(1) << 62;
    for (int depth = 0; depth < 3; depth++) {
        struct model *model;
        struct session *session;
        float x[4] = {1, 2, 3, 4};
        const struct tensor inputs[] = {
            {.dtype = DTYPE_F32, .rank = 1, .dims = {4}, .data = x}};
        graph.size = 0;
        put_port(&graph, 11, "x", DTYPE_F32, four, 1);
        put_weight(&graph, "trips", DTYPE_I64, NULL, 0, &trips, sizeof(trips));
        put_loop(&graph, depth);
        put_port(&graph, 12, "z", DTYPE_F32, four, 1);
        ck_assert_msg(open_written(&model) == STATUS_OK, "%s", err.text);
        opened_models[model_count++] = model;
        session = open_session(model);
        session_limit_iterations(session, 1000);
        ck_assert_int_eq(session_prepare(session, inputs, &err), STATUS_OK);
        ck_assert_int_eq(session_run(session, inputs, &err), STATUS_POISON);
        ck_assert_msg(strstr(err.text, "limit") != NULL, "%s", err.text);
    }
}
END_TEST

/* A limit that one run has used up does not count for the next. */
START_TEST(each_run_has_its_iterations_anew) {
    const int64_t trips = 3;
    struct model *model;
    struct session *session;
    float x[4] = {1, 2, 3, 4};
    const struct tensor inputs[] = {
        {.dtype = DTYPE_F32, .rank = 1, .dims = {4}, .data = x}};
    put_port(&graph, 11, "x", DTYPE_F32, four, 1);
    put_weight(&graph, "trips", DTYPE_I64, NULL, 0, &trips, sizeof(trips));
    put_loop(&graph, 1);
    put_port(&graph, 12, "z", DTYPE_F32, four, 1);
    ck_assert_msg(open_written(&model) == STATUS_OK, "%s", err.text);
    opened_models[model_count++] = model;
    session = open_session(model);
    session_limit_iterations(session, 12); /* 3, and 3 in each of them */
    for (int i = 0; i < 3; i++) {
        run_rows(session, inputs);
    }
    session_limit_iterations(session, 11);
    ck_assert_int_eq(session_run(session, inputs, &err), STATUS_POISON);
}
END_TEST

/* ---- size ------------------------------------------------------------------------- */

/* 50,000 nodes of a few bytes: what is done for each may not look at all of them. */
START_TEST(a_graph_of_very_many_nodes_loads_in_time) {
    enum { NODES = 50000 };
    static struct bytes node, field;
    size_t room = (size_t)NODES * 48 + 4096, size = 0;
    uint8_t *nodes = keep(malloc(room)), *whole = keep(malloc(room + 64));
    struct bytes head = {.size = 0}, ports = {.size = 0}, set = {.size = 0};
    struct model *model;
    for (int i = 0; i < NODES; i++) {
        char from[16] = "x", to[16] = "y";
        node.size = field.size = 0;
        if (i > 0) {
            (void)snprintf(from, sizeof(from), "%d", i - 1);
        }
        if (i + 1 < NODES) {
            (void)snprintf(to, sizeof(to), "%d", i);
        }
        put_node_fields(&node, "Abs", from, NULL, to);
        put_message(&field, 1, &node);
        memcpy(nodes + size, field.data, field.size);
        size += field.size;
    }
    put_port(&ports, 11, "x", DTYPE_F32, four, 1);
    put_port(&ports, 12, "y", DTYPE_F32, four, 1);
    put_int(&set, 2, 17);
    put_message(&head, 8, &set);
    put_varint(&head, 7 << 3 | 2);
    put_varint(&head, size + ports.size);
    memcpy(whole, head.data, head.size);
    memcpy(whole + head.size, nodes, size);
    memcpy(whole + head.size + size, ports.data, ports.size);
    ck_assert_msg(model_open_bytes(span_of(whole, head.size + size + ports.size),
                                   PASSES_ALL, &model, &err) == STATUS_OK,
                  "%s", err.text);
    model_close(model);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        operators_that_grow_without_bound_are_refused,
        a_range_without_end_is_refused,
        many_constants_that_grow_are_bounded_together,
        inputs_of_any_number_are_all_there,
        a_first_output_that_is_not_wanted_is_made_all_the_same,
        zero_points_are_one_or_one_for_each_row,
        loops_and_branches_are_steered_by_their_types_alone,
        loops_of_too_many_trips_end_however_nested,
        each_run_has_its_iterations_anew,
        a_graph_of_very_many_nodes_loads_in_time,
    };
    return suite_run_with("engine: hostile models", tests, ARRAY_COUNT(tests), set_up,
                          release_all);
}
