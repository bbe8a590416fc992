/* test_fusion.c - operators exported in pieces are found, and compute the same. */
#include "graph_fixture.h"

#define TOLERANCE 2e-6

static struct bytes graph;

static void put_ints_attr(struct bytes *node, const char *name, const int64_t *values,
                          int count) {
    struct bytes attr = {.size = 0};
    put_text(&attr, 1, name);
    for (int i = 0; i < count; i++) {
        put_int(&attr, 8, values[i]);
    }
    put_int(&attr, 20, 7);
    put_message(node, 5, &attr);
}

static void put_transpose(const char *x, const char *y, const int64_t perm[4]) {
    static struct bytes node;
    node.size = 0;
    put_node_fields(&node, "Transpose", x, NULL, y);
    put_ints_attr(&node, "perm", perm, 4);
    put_message(&graph, 1, &node);
}

static void put_mean(const char *x, const char *y, int64_t axis) {
    static struct bytes node;
    node.size = 0;
    put_node_fields(&node, "ReduceMean", x, NULL, y);
    put_ints_attr(&node, "axes", &axis, 1);
    put_message(&graph, 1, &node);
}

static void put_scalar(const char *name, float value) {
    put_weight(&graph, name, DTYPE_F32, NULL, 0, &value, sizeof(value));
}

/* The graph, whose result has the shape of x, in `nodes` nodes of which one is `type`. */
static void check_fused(const int64_t *dims, int rank, const char *type, int nodes) {
    put_port(&graph, 11, "x", DTYPE_F32, dims, rank);
    put_port(&graph, 12, "y", DTYPE_F32, dims, rank);
    struct model *plain = open_graph(&graph, 0), *fused = open_graph(&graph, PASSES_ALL);
    struct session *a = open_session(plain), *b = open_session(fused);
    struct tensor x = make_rows(plain, 3, 5);
    for (size_t i = 0; i < tensor_count(&x); i++) {
        ((float *)x.data)[i] = 6 * ((float *)x.data)[i] - 3;
    }
    ck_assert_int_eq(count_of_type(fused, type), 1);
    ck_assert_int_eq(fused->graph.node_count, nodes);
    run_rows(a, &x);
    run_rows(b, &x);
    assert_close(session_output(a, 0)->data, session_output(b, 0)->data, 5 * row_count(a),
                 TOLERANCE);
}

START_TEST(layer_normalization_in_pieces_becomes_one) {
    static const int64_t dims[] = {-1, 3, 4}, width[] = {4};
    static const float scale[] = {1, -2, 0.5F, 3}, bias[] = {0, 1, 2, -3};
    graph.size = 0;
    put_weight(&graph, "scale", DTYPE_F32, width, 1, scale, sizeof(scale));
    put_weight(&graph, "bias", DTYPE_F32, width, 1, bias, sizeof(bias));
    put_scalar("epsilon", 1e-5F);
    put_mean("x", "mean", -1);
    put_node(&graph, "Sub", "x", "mean", "d");
    put_node(&graph, "Mul", "d", "d", "square");
    put_mean("square", "variance", -1);
    put_node(&graph, "Add", "variance", "epsilon", "sum");
    put_node(&graph, "Sqrt", "sum", NULL, "deviation");
    put_node(&graph, "Div", "d", "deviation", "n");
    put_node(&graph, "Mul", "scale", "n", "scaled");
    put_node(&graph, "Add", "scaled", "bias", "y");
    check_fused(dims, 3, "LayerNormalization", 1);
}
END_TEST

static void put_pool(const char *x, const char *y) {
    put_node(&graph, "GlobalAveragePool", x, NULL, y);
}

/* As tf2onnx writes it: x * m + (bias - mean * m). */
static void put_folded_norm(void mean(const char *x, const char *y), bool negative) {
    static const int64_t width[] = {1, 1, 4};
    static const float scale[] = {1, -2, 0.5F, 3}, bias[] = {0, 1, 2, -3};
    graph.size = 0;
    put_weight(&graph, "scale", DTYPE_F32, width, 3, scale, sizeof(scale));
    put_weight(&graph, "bias", DTYPE_F32, width, 3, bias, sizeof(bias));
    put_scalar("epsilon", 1e-3F);
    mean("x", "mean");
    put_node(&graph, "Sub", "x", "mean", "d");
    put_node(&graph, "Mul", "d", "d", "square");
    mean("square", "variance");
    put_node(&graph, "Add", "variance", "epsilon", "sum");
    put_node(&graph, "Sqrt", "sum", NULL, "deviation");
    put_node(&graph, "Reciprocal", "deviation", NULL, "r");
    put_node(&graph, "Mul", "r", "scale", "m");
    put_node(&graph, "Mul", "x", "m", "a");
    if (negative) {
        put_node(&graph, "Neg", "mean", NULL, "minus");
        put_node(&graph, "Mul", "minus", "m", "b");
        put_node(&graph, "Add", "b", "bias", "shift");
    } else {
        put_node(&graph, "Mul", "mean", "m", "b");
        put_node(&graph, "Sub", "bias", "b", "shift");
    }
    put_node(&graph, "Add", "a", "shift", "y");
}

static void put_last_mean(const char *x, const char *y) {
    put_mean(x, y, -1);
}

START_TEST(layer_normalization_as_tf2onnx_writes_it_becomes_one) {
    static const int64_t dims[] = {-1, 3, 4};
    for (int i = 0; i < 4; i++) {
        put_folded_norm(i < 2 ? put_pool : put_last_mean, i % 2 == 0);
        check_fused(dims, 3, "LayerNormalization", 1);
    }
}
END_TEST

static void put_other_mean(const char *x, const char *y) {
    put_mean(x, y, strcmp(y, "mean") == 0 ? -1 : -2);
}

START_TEST(means_over_two_axes_are_left_alone) {
    static const int64_t dims[] = {-1, 4, 4};
    put_folded_norm(put_other_mean, false);
    check_fused(dims, 3, "Sqrt", 12);
}
END_TEST

START_TEST(means_over_another_axis_are_left_alone) {
    static const int64_t dims[] = {-1, 4, 4}, width[] = {4};
    static const float scale[] = {1, -2, 0.5F, 3};
    graph.size = 0;
    put_weight(&graph, "scale", DTYPE_F32, width, 1, scale, sizeof(scale));
    put_scalar("epsilon", 1e-5F);
    put_mean("x", "mean", -2);
    put_node(&graph, "Sub", "x", "mean", "d");
    put_node(&graph, "Mul", "d", "d", "square");
    put_mean("square", "variance", -2);
    put_node(&graph, "Add", "variance", "epsilon", "sum");
    put_node(&graph, "Sqrt", "sum", NULL, "deviation");
    put_node(&graph, "Div", "d", "deviation", "n");
    put_node(&graph, "Mul", "scale", "n", "scaled");
    put_node(&graph, "Add", "scaled", "scale", "y");
    check_fused(dims, 3, "Sqrt", 9);
}
END_TEST

START_TEST(gelu_by_erf_in_any_order_becomes_one) {
    static const char *const orders[][4] = {{"x", "bell", "half", "a"},
                                            {"bell", "half", "x", "a"},
                                            {"half", "x", "a", "bell"}};
    static const int64_t dims[] = {-1, 70};
    for (size_t i = 0; i < ARRAY_COUNT(orders); i++) {
        graph.size = 0;
        put_scalar("root", 1.41421356F);
        put_scalar("one", 1);
        put_scalar("half", 0.5F);
        put_node(&graph, "Div", "x", "root", "u");
        put_node(&graph, "Erf", "u", NULL, "erf");
        put_node(&graph, "Add", "erf", "one", "bell");
        put_node(&graph, "Mul", orders[i][0], orders[i][1], "a");
        put_node(&graph, "Mul", orders[i][2], orders[i][3], "y");
        check_fused(dims, 2, "Gelu", 1);
    }
}
END_TEST

START_TEST(gelu_by_the_complement_of_erf_becomes_one) {
    static const int64_t dims[] = {-1, 70};
    graph.size = 0;
    put_scalar("root", 0.70710678F);
    put_scalar("one", 1);
    put_scalar("half", 0.5F);
    put_node(&graph, "Mul", "half", "x", "a");
    put_node(&graph, "Neg", "x", NULL, "minus");
    put_node(&graph, "Mul", "minus", "root", "u");
    put_node(&graph, "Erf", "u", NULL, "erf");
    put_node(&graph, "Sub", "one", "erf", "bell");
    put_node(&graph, "Mul", "a", "bell", "y");
    check_fused(dims, 2, "Gelu", 1);
}
END_TEST

START_TEST(gelu_by_tanh_becomes_one) {
    /* The factors of the cube: as torch and as jax write it. */
    static const char *const cubes[][6] = {{"x", "x", "x2", "x", "c", "x3"},
                                           {"c", "x", "x", "x2", "x", "x3"}};
    static const int64_t dims[] = {-1, 70};
    for (size_t i = 0; i < ARRAY_COUNT(cubes); i++) {
        graph.size = 0;
        put_scalar("c", 0.044715F);
        put_scalar("s", 0.79788456F);
        put_scalar("one", 1);
        put_scalar("half", 0.5F);
        put_node(&graph, "Mul", cubes[i][0], cubes[i][1], "x2");
        put_node(&graph, "Mul", cubes[i][2], cubes[i][3], "x3");
        put_node(&graph, "Mul", cubes[i][4], cubes[i][5], "cx3");
        put_node(&graph, "Add", "x", "cx3", "sum");
        put_node(&graph, "Mul", "sum", "s", "u");
        put_node(&graph, "Tanh", "u", NULL, "tanh");
        put_node(&graph, "Add", "one", "tanh", "bell");
        put_node(&graph, "Mul", "x", "half", "a");
        put_node(&graph, "Mul", "a", "bell", "y");
        check_fused(dims, 2, "Gelu", 1);
    }
}
END_TEST

START_TEST(gelu_of_another_power_is_left_alone) {
    static const int64_t dims[] = {-1, 70};
    graph.size = 0;
    put_scalar("c", 0.044715F);
    put_scalar("s", 0.79788456F);
    put_scalar("one", 1);
    put_scalar("half", 0.5F);
    put_node(&graph, "Mul", "x", "x", "x2");
    put_node(&graph, "Mul", "c", "x2", "cx2");
    put_node(&graph, "Add", "x", "cx2", "sum");
    put_node(&graph, "Mul", "sum", "s", "u");
    put_node(&graph, "Tanh", "u", NULL, "tanh");
    put_node(&graph, "Add", "one", "tanh", "bell");
    put_node(&graph, "Mul", "x", "half", "a");
    put_node(&graph, "Mul", "a", "bell", "y");
    put_port(&graph, 11, "x", DTYPE_F32, dims, 2);
    put_port(&graph, 12, "y", DTYPE_F32, dims, 2);
    ck_assert_int_eq(count_of_type(open_graph(&graph, PASSES_ALL), "Gelu"), 0);
}
END_TEST

START_TEST(gelu_of_another_number_is_left_alone) {
    static const int64_t dims[] = {-1, 70};
    graph.size = 0;
    put_scalar("root", 1.5F);
    put_scalar("one", 1);
    put_scalar("half", 0.5F);
    put_node(&graph, "Div", "x", "root", "u");
    put_node(&graph, "Erf", "u", NULL, "erf");
    put_node(&graph, "Add", "erf", "one", "bell");
    put_node(&graph, "Mul", "x", "bell", "a");
    put_node(&graph, "Mul", "a", "half", "y");
    check_fused(dims, 2, "Erf", 5);
}
END_TEST

START_TEST(a_number_times_its_sigmoid_becomes_swish) {
    static const int64_t dims[] = {-1, 70};
    graph.size = 0;
    put_node(&graph, "Sigmoid", "x", NULL, "gate");
    put_node(&graph, "Mul", "gate", "x", "y");
    check_fused(dims, 2, "Swish", 1);
}
END_TEST

static const int64_t swap_rows[] = {0, 2, 1, 3}, turn_last[] = {0, 2, 3, 1};

/* x [batch, rows 5, heads 2, size 8] attends to itself, under a mask. */
static void put_attention(const int64_t *mask_dims, int mask_rank) {
    static float mask[25];
    size_t count = 1;
    for (int i = 0; i < mask_rank; i++) {
        count *= (size_t)mask_dims[i];
    }
    for (size_t i = 0; i < count; i++) {
        mask[i] = i % 3 == 0 ? -1e4F : 0.25F * (float)i;
    }
    graph.size = 0;
    put_weight(&graph, "mask", DTYPE_F32, mask_dims, mask_rank, mask,
               count * sizeof(*mask));
    put_scalar("root", 2.8284271F);
    put_scalar("two", 2);
    put_transpose("x", "q", swap_rows);
    put_transpose("x", "k", turn_last);
    put_transpose("x", "v", swap_rows);
    put_node(&graph, "Mul", "k", "two", "k2");
    put_node(&graph, "MatMul", "q", "k2", "scores");
    put_node(&graph, "Div", "scores", "root", "scaled");
    put_node(&graph, "Add", "mask", "scaled", "masked");
    put_node(&graph, "Softmax", "masked", NULL, "weights");
    put_node(&graph, "MatMul", "weights", "v", "o");
    put_transpose("o", "y", swap_rows);
}

START_TEST(attention_in_pieces_becomes_one) {
    static const int64_t dims[] = {-1, 5, 2, 8};
    static const int64_t masks[][2] = {{5, 5}, {1, 5}, {5, 1}};
    for (size_t i = 0; i < ARRAY_COUNT(masks); i++) {
        put_attention(masks[i], 2);
        check_fused(dims, 4, "Attention", 1);
    }
    put_attention(masks[0], 1);
    check_fused(dims, 4, "Attention", 1);
}
END_TEST

/* A product's result is reshaped to [.., 1, `last`] before bias and activation. */
static struct model *put_dense(int64_t last, unsigned passes) {
    static const int64_t two[] = {4, 6}, six[] = {6}, three[] = {3};
    static const int64_t x[] = {-1, 4}, y[] = {-1, 1, 6};
    const int64_t target[] = {-1, 1, last};
    float numbers[24];
    for (int i = 0; i < 24; i++) {
        numbers[i] = (float)(i * 7 % 11) - 5;
    }
    graph.size = 0;
    put_weight(&graph, "w", DTYPE_F32, two, 2, numbers, sizeof(numbers));
    put_weight(&graph, "b", DTYPE_F32, six, 1, numbers, 6 * sizeof(*numbers));
    put_weight(&graph, "target", DTYPE_I64, three, 1, target, sizeof(target));
    put_node(&graph, "MatMul", "x", "w", "product");
    put_node(&graph, "Reshape", "product", "target", "r");
    put_node(&graph, "Add", "r", "b", "sum");
    put_node(&graph, "Relu", "sum", NULL, "y");
    put_port(&graph, 11, "x", DTYPE_F32, x, 2);
    put_port(&graph, 12, "y", DTYPE_F32, y, 3);
    return open_graph(&graph, passes);
}

START_TEST(bias_and_activation_move_through_a_reshape) {
    struct model *plain = put_dense(6, 0), *fused = put_dense(6, PASSES_ALL);
    struct model *spread = put_dense(1, PASSES_ALL);
    struct session *a = open_session(plain), *b = open_session(fused);
    const struct tensor x = make_rows(plain, 3, 5);
    ck_assert_int_eq(fused->graph.node_count, 2);
    ck_assert_int_eq(count_of_type(fused, "Add"), 0);
    /* One column, over which the bias spreads, is another matter. */
    ck_assert_int_eq(count_of_type(spread, "Add"), 1);
    run_rows(a, &x);
    run_rows(b, &x);
    assert_close(session_output(a, 0)->data, session_output(b, 0)->data, 5 * row_count(a),
                 TOLERANCE);
}
END_TEST

/* A product of 6 columns cut in 2 heads of 3, plus `bias`. */
static struct model *put_heads(const int64_t bias[2], unsigned passes) {
    static const int64_t two[] = {4, 6}, four[] = {4}, target[] = {-1, 3, 2, 3};
    static const int64_t x[] = {-1, 3, 4}, y[] = {-1, 3, 2, 3};
    float numbers[24];
    for (int i = 0; i < 24; i++) {
        numbers[i] = (float)(i * 7 % 11) - 5;
    }
    graph.size = 0;
    put_weight(&graph, "w", DTYPE_F32, two, 2, numbers, sizeof(numbers));
    put_weight(&graph, "b", DTYPE_F32, bias, 2, numbers,
               (size_t)(bias[0] * bias[1]) * sizeof(*numbers));
    put_weight(&graph, "target", DTYPE_I64, four, 1, target, sizeof(target));
    put_node(&graph, "MatMul", "x", "w", "product");
    put_node(&graph, "Reshape", "product", "target", "r");
    put_node(&graph, "Add", "r", "b", "y");
    put_port(&graph, 11, "x", DTYPE_F32, x, 3);
    put_port(&graph, 12, "y", DTYPE_F32, y, 4);
    return open_graph(&graph, passes);
}

START_TEST(a_bias_that_lies_as_heads_do_moves_through_a_reshape) {
    static const int64_t as_heads[] = {2, 3}, spread[] = {2, 1};
    struct model *plain = put_heads(as_heads, 0),
                 *fused = put_heads(as_heads, PASSES_ALL);
    struct session *a = open_session(plain), *b = open_session(fused);
    const struct tensor x = make_rows(plain, 3, 5);
    ck_assert_int_eq(count_of_type(fused, "Add"), 0);
    ck_assert_int_eq(count_of_type(put_heads(spread, PASSES_ALL), "Add"), 1);
    run_rows(a, &x);
    run_rows(b, &x);
    assert_close(session_output(a, 0)->data, session_output(b, 0)->data, 5 * row_count(a),
                 TOLERANCE);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        layer_normalization_in_pieces_becomes_one,
        layer_normalization_as_tf2onnx_writes_it_becomes_one,
        means_over_two_axes_are_left_alone,
        means_over_another_axis_are_left_alone,
        gelu_by_erf_in_any_order_becomes_one,
        gelu_by_the_complement_of_erf_becomes_one,
        gelu_by_tanh_becomes_one,
        gelu_of_another_number_is_left_alone,
        gelu_of_another_power_is_left_alone,
        a_number_times_its_sigmoid_becomes_swish,
        attention_in_pieces_becomes_one,
        bias_and_activation_move_through_a_reshape,
        a_bias_that_lies_as_heads_do_moves_through_a_reshape,
    };
    return suite_run_with("fusion", tests, ARRAY_COUNT(tests), NULL, release_all);
}
