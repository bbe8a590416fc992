/* test_integer_product.c - products of bytes whose sums become floats are one node, and
 * not a bit changes. */
#include "graph_fixture.h"

enum { K = 12, N = 20 };

static struct bytes graph;

static void put_wide(const char *op, const char *const *inputs, size_t input_count,
                     const char *const *outputs, size_t output_count, int64_t to) {
    struct bytes node = {.size = 0}, attr = {.size = 0};
    for (size_t i = 0; i < input_count; i++) {
        put_text(&node, 1, inputs[i]);
    }
    for (size_t i = 0; i < output_count; i++) {
        put_text(&node, 2, outputs[i]);
    }
    put_text(&node, 4, op);
    if (to > 0) {
        put_text(&attr, 1, "to");
        put_int(&attr, 3, to);
        put_int(&attr, 20, 2);
        put_message(&node, 5, &attr);
    }
    put_message(&graph, 1, &node);
}

static void put_floats(const char *name, const int64_t *dims, int rank) {
    float values[N];
    size_t count = rank == 0 ? 1 : 0;
    for (int i = 0; i < rank; i++) {
        count = i == 0 ? (size_t)dims[0] : count * (size_t)dims[i];
    }
    ck_assert_uint_le(count, N);
    for (size_t i = 0; i < count; i++) {
        values[i] = (float)(i % 7 + 1) / 300;
    }
    put_weight(&graph, name, DTYPE_F32, dims, rank, values, count * sizeof(float));
}

/* scaled = Cast(op(bytes of x, w)) * (scale of x * ws). */
static void begin(const char *op, const int64_t *w_dims, int w_rank, int64_t scales) {
    static const char *const dynamic[] = {"bytes", "scale", "zero"};
    static const char *const sums[] = {"bytes", "w", "zero"};
    int8_t w[N * K];
    graph.size = 0;
    for (int i = 0; i < N * K; i++) {
        w[i] = (int8_t)(i * 37 % 251 - 125);
    }
    put_weight(&graph, "w", DTYPE_I8, w_dims, w_rank, w, sizeof(w));
    put_floats("ws", &scales, scales > 1 ? 1 : 0);
    put_wide("DynamicQuantizeLinear", (const char *const[]){"x"}, 1, dynamic, 3, 0);
    put_wide(op, sums, 3, (const char *const[]){"sums"}, 1, 0);
    put_wide("Cast", (const char *const[]){"sums"}, 1, (const char *const[]){"floats"}, 1,
             DTYPE_F32);
    put_node(&graph, "Mul", "scale", "ws", "scales");
    put_node(&graph, "Mul", "floats", "scales", "scaled");
}

static struct model *check(const int64_t *x_dims, const int64_t *y_dims, int rank) {
    put_port(&graph, 11, "x", DTYPE_F32, x_dims, rank);
    put_port(&graph, 12, "y", DTYPE_F32, y_dims, rank);
    struct model *plain = open_graph(&graph, 0), *fused = open_graph(&graph, PASSES_ALL);
    struct session *a = open_session(plain), *b = open_session(fused);
    const struct tensor x = make_rows(plain, 3, 5);
    run_rows(a, &x);
    run_rows(b, &x);
    ck_assert_int_eq(memcmp(session_output(a, 0)->data, session_output(b, 0)->data,
                            5 * row_count(a) * sizeof(float)),
                     0);
    return fused;
}

static const int64_t rows_in[] = {-1, K}, rows_out[] = {-1, N}, matrix[] = {K, N};
static const int64_t images_in[] = {-1, K, 3, 3}, images_out[] = {-1, N, 3, 3},
                     point[] = {N, K, 1, 1};

START_TEST(a_product_scales_its_sums_and_adds_its_bias) {
    static const int64_t columns = N;
    for (int64_t scales = 1; scales <= N; scales += N - 1) {
        begin("MatMulInteger", matrix, 2, scales);
        put_floats("bias", &columns, 1);
        put_node(&graph, "Add", "bias", "scaled", "sum");
        put_node(&graph, "Relu", "sum", NULL, "y");
        ck_assert_int_eq(check(rows_in, rows_out, 2)->graph.node_count, 2);
    }
}
END_TEST

START_TEST(a_convolution_scales_its_sums_and_adds_its_bias) {
    static const int64_t channels[] = {1, N, 1, 1};
    begin("ConvInteger", point, 4, 1);
    put_floats("bias", channels, 4);
    put_node(&graph, "Add", "scaled", "bias", "y");
    const struct model *fused = check(images_in, images_out, 4);
    ck_assert_int_eq(count_of_type(fused, "ConvIntegerToFloat"), 1);
    ck_assert_int_eq(count_of_type(fused, "Add"), 0);
}
END_TEST

START_TEST(what_is_no_bias_is_added_as_before) {
    static const int64_t one[] = {1, 1}, row[] = {1, 1, 3};
    begin("MatMulInteger", matrix, 2, 1);
    put_floats("bias", one, 2);
    put_node(&graph, "Add", "scaled", "bias", "y");
    ck_assert_int_eq(count_of_type(check(rows_in, rows_out, 2), "Add"), 1);
    begin("ConvInteger", point, 4, 1);
    put_floats("bias", row, 3);
    put_node(&graph, "Add", "scaled", "bias", "y");
    ck_assert_int_eq(count_of_type(check(images_in, images_out, 4), "Add"), 1);
}
END_TEST

START_TEST(sums_that_others_read_stay) {
    static const int64_t columns = N;
    begin("MatMulInteger", matrix, 2, 1);
    put_floats("bias", &columns, 1);
    put_node(&graph, "Add", "floats", "scaled", "y");
    const struct model *fused = check(rows_in, rows_out, 2);
    ck_assert_int_eq(count_of_type(fused, "MatMulInteger"), 1);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_product_scales_its_sums_and_adds_its_bias,
        a_convolution_scales_its_sums_and_adds_its_bias,
        what_is_no_bias_is_added_as_before,
        sums_that_others_read_stay,
    };
    return suite_run_with("engine integer products", tests, ARRAY_COUNT(tests), NULL,
                          release_all);
}
