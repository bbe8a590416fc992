/* test_weights.c - weights are held once: as they are, or packed. */
#include "onnx_writer.h"
#include "session_fixture.h"

#include "tests/unit/suite.h"

enum { SIDE = 64 };

static struct bytes graph, file;
static float weights[SIDE * SIDE], row[SIDE];
static const int64_t square[] = {SIDE, SIDE}, rows[] = {-1, SIDE};

static void set_up(void) {
    graph.size = file.size = 0;
    for (int i = 0; i < SIDE * SIDE; i++) {
        weights[i] = (float)(i % 17 - 8) / 8;
    }
    for (int i = 0; i < SIDE; i++) {
        row[i] = (float)(i % 5 - 2);
    }
    put_port(&graph, 11, "x", DTYPE_F32, rows, 2);
    put_port(&graph, 12, "y", DTYPE_F32, rows, 2);
    put_weight(&graph, "w", DTYPE_F32, square, 2, weights, sizeof(weights));
}

static struct model *open_written(void) {
    struct error err;
    put_model(&file, 17, &graph);
    ck_assert_msg(model_open_bytes(span_of(file.data, file.size), PASSES_ALL,
                                   &opened_models[model_count], &err) == STATUS_OK,
                  "%s", err.text);
    return opened_models[model_count++];
}

static const struct tensor *constant_named(const struct model *model, const char *name) {
    for (int v = 0; v < model->graph.value_count; v++) {
        if (strcmp(model->graph.values[v].name, name) == 0) {
            return model->graph.values[v].constant;
        }
    }
    return NULL;
}

/* y = x w, of one row, plus `plus` of w's first row. */
static void check_product(const struct model *model, float plus) {
    const struct tensor x = {
        .dtype = DTYPE_F32, .rank = 2, .dims = {1, SIDE}, .data = row};
    struct session *session = open_session(model);
    run_rows(session, &x);
    for (int j = 0; j < SIDE; j++) {
        double sum = (double)(plus * weights[j]);
        for (int i = 0; i < SIDE; i++) {
            sum += (double)row[i] * (double)weights[i * SIDE + j];
        }
        ck_assert_double_eq_tol(((const float *)session_output(session, 0)->data)[j], sum,
                                1e-3);
    }
}

START_TEST(packed_weights_are_not_held_twice) {
    put_node(&graph, "MatMul", "x", "w", "y");
    struct model *model = open_written();
    struct model_info info;
    ck_assert_ptr_null(constant_named(model, "w")->data);
    ck_assert_ptr_null(graph_data_next(&model->graph, NULL));
    model_info(model, &info);
    ck_assert_uint_lt(model->graph.block_size, 2 * sizeof(weights));
    ck_assert_uint_ge(info.weight_size, sizeof(weights));
    check_product(model, 0);
}
END_TEST

/* Gemm with transB. */
static void put_turned_gemm(const char *x, const char *w, const char *y) {
    struct bytes node = {0}, attribute = {0};
    put_text(&attribute, 1, "transB");
    put_int(&attribute, 3, 1);
    put_int(&attribute, 20, 2); /* INT */
    put_node_fields(&node, "Gemm", x, w, y);
    put_message(&node, 5, &attribute);
    put_message(&graph, 1, &node);
}

static void turn_weights(void) {
    for (int i = 0; i < SIDE; i++) {
        for (int j = 0; j < i; j++) {
            float swapped = weights[i * SIDE + j];
            weights[i * SIDE + j] = weights[j * SIDE + i];
            weights[j * SIDE + i] = swapped;
        }
    }
}

START_TEST(turned_weights_are_packed_where_they_lie) {
    const struct model_options options = {.memory_max = sizeof(weights) * 3 / 2};
    struct error err;
    put_turned_gemm("x", "w", "y");
    put_model(&file, 17, &graph);
    ck_assert_msg(model_open_bytes_with(span_of(file.data, file.size), NULL, PASSES_ALL,
                                        &options, &opened_models[0], &err) == STATUS_OK,
                  "%s", err.text);
    model_count = 1;
    ck_assert_ptr_null(constant_named(opened_models[0], "w")->data);
    turn_weights(); /* what the product is compared with */
    check_product(opened_models[0], 0);
}
END_TEST

START_TEST(turned_weights_that_others_read_are_left_alone) {
    put_turned_gemm("x", "w", "turned");
    put_node(&graph, "MatMul", "x", "w", "straight");
    put_node(&graph, "Sub", "turned", "straight", "difference");
    put_node(&graph, "Add", "difference", "straight", "y");
    struct model *model = open_written();
    turn_weights();
    check_product(model, 0);
}
END_TEST

START_TEST(weights_that_somebody_reads_stay) {
    static const int64_t first = 0;
    put_weight(&graph, "first", DTYPE_I64, NULL, 0, &first, sizeof(first));
    put_node(&graph, "Shape", "x", NULL, "dims"); /* known when prepared, not at load */
    put_node(&graph, "Gather", "dims", "first", "count");
    put_node(&graph, "Sub", "count", "count", "which"); /* 0, but who knows */
    put_node(&graph, "Gather", "w", "which", "line");
    put_node(&graph, "MatMul", "x", "w", "product");
    put_node(&graph, "Add", "product", "line", "y");
    struct model *model = open_written();
    ck_assert_ptr_nonnull(constant_named(model, "w")->data);
    check_product(model, 1);
}
END_TEST

START_TEST(weights_are_read_through_views_of_them) {
    static const int64_t same[] = {SIDE, SIDE}, two[] = {2};
    put_weight(&graph, "same", DTYPE_I64, two, 1, same, sizeof(same));
    put_node(&graph, "Reshape", "w", "same", "view");
    put_node(&graph, "MatMul", "x", "view", "y");
    check_product(open_written(), 0);
}
END_TEST

START_TEST(weights_only_folded_into_others_go) {
    put_node(&graph, "Transpose", "w", NULL, "turned");
    put_node(&graph, "Transpose", "turned", NULL, "back");
    put_node(&graph, "MatMul", "x", "back", "y");
    struct model *model = open_written();
    ck_assert_ptr_null(graph_data_next(&model->graph, NULL));
    check_product(model, 0);
}
END_TEST

START_TEST(a_model_past_its_memory_is_refused_with_the_limit) {
    const struct model_options options = {.memory_max = sizeof(weights)};
    struct model *model;
    struct error err;
    put_node(&graph, "MatMul", "x", "w", "y");
    put_model(&file, 17, &graph);
    ck_assert_int_eq(model_open_bytes_with(span_of(file.data, file.size), NULL,
                                           PASSES_ALL, &options, &model, &err),
                     STATUS_NO_MEMORY);
    ck_assert_msg(strstr(err.text, "may take 16384 bytes") != NULL, "%s", err.text);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        packed_weights_are_not_held_twice,
        turned_weights_are_packed_where_they_lie,
        turned_weights_that_others_read_are_left_alone,
        weights_that_somebody_reads_stay,
        weights_are_read_through_views_of_them,
        weights_only_folded_into_others_go,
        a_model_past_its_memory_is_refused_with_the_limit,
    };
    return suite_run_with("engine: weights", tests, ARRAY_COUNT(tests), set_up,
                          release_all);
}
