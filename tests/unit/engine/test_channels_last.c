/* test_channels_last.c - networks of convolutions are turned, folded and fused, and
 * compute the same. */
#include "graph_fixture.h"

#define TOLERANCE 1e-5
#define CHANNELS 16

static struct bytes graph;

static void put_random(const char *name, const int64_t *dims, int rank) {
    float values[CHANNELS * CHANNELS * 9];
    size_t count = 1;
    for (int i = 0; i < rank; i++) {
        count *= (size_t)dims[i];
    }
    ck_assert(count <= ARRAY_COUNT(values));
    for (size_t i = 0; i < count; i++) {
        values[i] = (float)((i * 37 + 11) % 101) / 101 - 0.5F;
    }
    put_weight(&graph, name, DTYPE_F32, dims, rank, values, count * sizeof(values[0]));
}

/* r = Relu(Conv(x) * scale) of CHANNELS images 6 x 6. */
static void begin_network(void) {
    static const int64_t first[] = {CHANNELS, 3, 3, 3},
                         point[] = {CHANNELS, CHANNELS, 1, 1};
    static const int64_t square[] = {CHANNELS, CHANNELS, 3, 3},
                         scale[] = {CHANNELS, 1, 1};
    graph.size = 0;
    put_random("first", first, 4);
    put_random("point", point, 4);
    put_random("square", square, 4);
    put_random("scale", scale, 3);
    put_node(&graph, "Conv", "x", "first", "c");
    put_node(&graph, "Mul", "c", "scale", "scaled");
    put_node(&graph, "Relu", "scaled", NULL, "r");
}

/* Opens the graph plain and fused, from x [batch, 3, 8, 8] to y [batch, CHANNELS, height,
 * width], and compares their results. */
static struct model *check_images(int height, int width) {
    const int64_t x_dims[] = {-1, 3, 8, 8}, y_dims[] = {-1, CHANNELS, height, width};
    put_port(&graph, 11, "x", DTYPE_F32, x_dims, 4);
    put_port(&graph, 12, "y", DTYPE_F32, y_dims, 4);
    struct model *plain = open_graph(&graph, 0), *fused = open_graph(&graph, PASSES_ALL);
    struct session *a = open_session(plain), *b = open_session(fused);
    const struct tensor x = make_rows(plain, 3, 5);
    run_rows(a, &x);
    run_rows(b, &x);
    assert_close(session_output(a, 0)->data, session_output(b, 0)->data, 5 * row_count(a),
                 TOLERANCE);
    return fused;
}

static struct model *check_network(int height) {
    return check_images(height, height);
}

START_TEST(a_residual_network_is_turned_once) {
    begin_network();
    put_node(&graph, "Conv", "r", "point", "p");
    put_node(&graph, "Add", "p", "r", "sum");
    put_node(&graph, "GlobalAveragePool", "sum", NULL, "mean");
    put_node(&graph, "Mul", "sum", "mean", "y");
    const struct model *fused = check_network(6);
    /* The scale, the activation and the sum are the convolutions'. */
    ck_assert_int_eq(fused->graph.node_count, 5);
    ck_assert_int_eq(count_of_type(fused, "Conv"), 2);
    ck_assert_int_eq(count_of_type(fused, "Transpose"), 1);
}
END_TEST

START_TEST(tiles_of_three_by_three_are_added_to_a_residual) {
    begin_network();
    put_node(&graph, "Conv", "r", "square", "s");
    put_node(&graph, "Conv", "s", "point", "p");
    put_node(&graph, "Add", "s", "p", "sum");
    put_node(&graph, "Relu", "sum", NULL, "y");
    const struct model *fused = check_network(4);
    ck_assert_int_eq(fused->graph.node_count, 4);
}
END_TEST

START_TEST(a_residual_that_spreads_is_added_as_before) {
    begin_network();
    put_node(&graph, "GlobalAveragePool", "r", NULL, "mean");
    put_node(&graph, "Conv", "r", "point", "p");
    put_node(&graph, "Add", "mean", "p", "sum");
    put_node(&graph, "Relu", "sum", NULL, "y");
    ck_assert_int_eq(count_of_type(check_network(6), "Add"), 0);
}
END_TEST

START_TEST(a_result_that_spreads_over_its_residual_is_added_as_before) {
    begin_network();
    put_node(&graph, "GlobalAveragePool", "r", NULL, "mean");
    put_node(&graph, "Conv", "mean", "point", "p");
    put_node(&graph, "Add", "p", "r", "sum");
    put_node(&graph, "Relu", "sum", NULL, "y");
    ck_assert_int_eq(count_of_type(check_network(6), "Add"), 0);
}
END_TEST

/* Weights of bytes, and a number that stands alone. */
static void put_bytes(const char *name, const int64_t *dims, int rank) {
    int8_t values[CHANNELS * CHANNELS * 9];
    size_t count = 1;
    for (int i = 0; i < rank; i++) {
        count *= (size_t)dims[i];
    }
    ck_assert(count <= ARRAY_COUNT(values));
    for (size_t i = 0; i < count; i++) {
        values[i] = (int8_t)((i * 37 + 11) % 251 - 125);
    }
    put_weight(&graph, name, DTYPE_I8, dims, rank, values, count);
}

static void put_scalars(void) {
    const float x_scale = 1.0F / 255, w_scale = 0.004F, y_scale = 0.02F;
    const uint8_t zero = 7;
    const int8_t none = 0;
    put_weight(&graph, "xs", DTYPE_F32, NULL, 0, &x_scale, sizeof(x_scale));
    put_weight(&graph, "ws", DTYPE_F32, NULL, 0, &w_scale, sizeof(w_scale));
    put_weight(&graph, "ys", DTYPE_F32, NULL, 0, &y_scale, sizeof(y_scale));
    put_weight(&graph, "zero", DTYPE_U8, NULL, 0, &zero, 1);
    put_weight(&graph, "none", DTYPE_I8, NULL, 0, &none, 1);
}

static void put_inputs(struct bytes *node, const char *op, const char *const *inputs,
                       size_t count, const char *y) {
    for (size_t i = 0; i < count; i++) {
        put_text(node, 1, inputs[i]);
    }
    put_text(node, 2, y);
    put_text(node, 4, op);
}

/* y = QLinearConv(x) of `groups`. */
static void put_q_conv(const char *x, const char *x_scale, const char *w, int64_t groups,
                       const char *y) {
    const char *const inputs[] = {x, x_scale, "zero", w, "ws", "none", "ys", "zero"};
    struct bytes node = {.size = 0}, attr = {.size = 0};
    put_inputs(&node, "QLinearConv", inputs, ARRAY_COUNT(inputs), y);
    put_text(&attr, 1, "group");
    put_int(&attr, 3, groups);
    put_int(&attr, 20, 2);
    put_message(&node, 5, &attr);
    put_message(&graph, 1, &node);
}

static void put_convert(const char *op, const char *x, const char *scale, const char *y) {
    const char *const inputs[] = {x, scale, "zero"};
    struct bytes node = {.size = 0};
    put_inputs(&node, op, inputs, ARRAY_COUNT(inputs), y);
    put_message(&graph, 1, &node);
}

/* An image becomes bytes and is convolved, also each channel for itself; nothing is
 * turned but the result, and not a bit changes. */
START_TEST(convolutions_of_bytes_are_turned_once) {
    static const int64_t first[] = {CHANNELS, 3, 3, 3}, one[] = {CHANNELS, 1, 3, 3};
    static const int64_t square[] = {CHANNELS, CHANNELS, 1, 1};
    graph.size = 0;
    put_scalars();
    put_bytes("first", first, 4);
    put_bytes("one", one, 4);
    put_bytes("point", square, 4);
    put_convert("QuantizeLinear", "x", "xs", "q");
    put_q_conv("q", "xs", "first", 1, "c");
    put_q_conv("c", "ys", "one", CHANNELS, "d");
    put_convert("DequantizeLinear", "d", "ys", "floats");
    put_node(&graph, "Relu", "floats", NULL, "r");
    put_convert("QuantizeLinear", "r", "ys", "again");
    put_q_conv("again", "ys", "point", 1, "p");
    put_convert("DequantizeLinear", "p", "ys", "y");
    const struct model *fused = check_images(4, 4);
    ck_assert_int_eq(count_of_type(fused, "Transpose"), 1);
}
END_TEST

/* Whoever reads channels first gets them so, beside those who do not. */
START_TEST(operators_that_know_one_layout_get_it) {
    static const int64_t shape[] = {4};
    static const int64_t shape_values[] = {-1, CHANNELS, 4, 9};
    begin_network();
    put_weight(&graph, "shape", DTYPE_I64, shape, 1, shape_values, sizeof(shape_values));
    put_node(&graph, "Reshape", "r", "shape", "flat");
    put_node(&graph, "Conv", "r", "point", "p");
    put_node(&graph, "Reshape", "p", "shape", "flat_p");
    put_node(&graph, "Add", "flat", "flat_p", "y");
    const int64_t x_dims[] = {-1, 3, 8, 8}, y_dims[] = {-1, CHANNELS, 4, 9};
    put_port(&graph, 11, "x", DTYPE_F32, x_dims, 4);
    put_port(&graph, 12, "y", DTYPE_F32, y_dims, 4);
    struct model *plain = open_graph(&graph, 0), *fused = open_graph(&graph, PASSES_ALL);
    struct session *a = open_session(plain), *b = open_session(fused);
    const struct tensor x = make_rows(plain, 2, 5);
    run_rows(a, &x);
    run_rows(b, &x);
    assert_close(session_output(a, 0)->data, session_output(b, 0)->data, 2 * row_count(a),
                 TOLERANCE);
    ck_assert_int_eq(count_of_type(fused, "Transpose"), 2);
}
END_TEST

/* BatchNormalization of `x`, whose numbers are all `scale`'s but the variance. */
static void put_norm(const char *x, const char *y) {
    static struct bytes node;
    const char *const inputs[] = {x, "numbers", "numbers", "numbers", "variance"};
    node.size = 0;
    for (size_t i = 0; i < ARRAY_COUNT(inputs); i++) {
        put_text(&node, 1, inputs[i]);
    }
    put_text(&node, 2, y);
    put_text(&node, 4, "BatchNormalization");
    put_message(&graph, 1, &node);
}

/* What scales and shifts a transposed convolution or a BatchNormalization becomes theirs.
 */
START_TEST(scales_and_shifts_go_into_what_makes_the_channels) {
    static const int64_t channels = CHANNELS, spread[] = {CHANNELS, CHANNELS, 3, 3};
    float variance[CHANNELS];
    for (int i = 0; i < CHANNELS; i++) {
        variance[i] = 0.5F + (float)i / CHANNELS;
    }
    begin_network();
    put_random("spread", spread, 4);
    put_random("numbers", &channels, 1);
    put_weight(&graph, "variance", DTYPE_F32, &channels, 1, variance, sizeof(variance));
    put_node(&graph, "ConvTranspose", "r", "spread", "large");
    put_node(&graph, "Mul", "large", "scale", "scaled_large");
    put_node(&graph, "Add", "scaled_large", "scale", "shifted");
    put_norm("r", "n");
    put_node(&graph, "Mul", "n", "scale", "n_scaled");
    put_node(&graph, "Add", "n_scaled", "scale", "n_shifted");
    put_node(&graph, "Relu", "n_shifted", NULL, "n_r");
    put_node(&graph, "ConvTranspose", "n_r", "spread", "n_large");
    put_node(&graph, "Add", "shifted", "n_large", "y");
    const struct model *fused = check_network(8);
    ck_assert_int_eq(count_of_type(fused, "Mul"), 0);
    ck_assert_int_eq(count_of_type(fused, "Add"), 1);
    ck_assert_int_eq(count_of_type(fused, "Relu"), 0);
}
END_TEST

/* Transpose of perm [0, 3, 1, 2]. */
/* The axes behind the batch change places. */
static void put_perm(const char *x, const char *y, int64_t a, int64_t b, int64_t c) {
    const int64_t perm[] = {0, a, b, c};
    static struct bytes node, attr;
    node.size = attr.size = 0;
    put_node_fields(&node, "Transpose", x, NULL, y);
    put_text(&attr, 1, "perm");
    for (size_t i = 0; i < ARRAY_COUNT(perm); i++) {
        put_int(&attr, 8, perm[i]);
    }
    put_int(&attr, 20, 7);
    put_message(&node, 5, &attr);
    put_message(&graph, 1, &node);
}

static void put_transpose(const char *x, const char *y) {
    put_perm(x, y, 3, 1, 2);
}

static void put_ints(const char *name, const int64_t *values, int64_t count) {
    put_weight(&graph, name, DTYPE_I64, &count, 1, values,
               (size_t)count * sizeof(*values));
}

/* Opens the graph plain and fused, from x [batch, 20, 3] to y [batch, CHANNELS, 1,
 * length], and compares their results. */
static struct model *check_series(int length) {
    const int64_t x_dims[] = {-1, 20, 3}, y_dims[] = {-1, CHANNELS, 1, length};
    put_port(&graph, 11, "x", DTYPE_F32, x_dims, 3);
    put_port(&graph, 12, "y", DTYPE_F32, y_dims, 4);
    struct model *plain = open_graph(&graph, 0), *fused = open_graph(&graph, PASSES_ALL);
    struct session *a = open_session(plain), *b = open_session(fused);
    const struct tensor x = make_rows(plain, 3, 5);
    run_rows(a, &x);
    run_rows(b, &x);
    assert_close(session_output(a, 0)->data, session_output(b, 0)->data, 3 * row_count(a),
                 TOLERANCE);
    return fused;
}

/* Keras's causal Conv1D, twice, and a pooling, all with an axis of size 1 put around
 * each: the axis, the zeros and the bias are the convolutions'. */
START_TEST(a_convolution_over_one_axis_sheds_the_axis_around_it) {
    static const int64_t pads[] = {0, 2, 0, 0, 0, 0}, later[] = {0, 0, 1, 0, 0, 1};
    static const int64_t first[] = {CHANNELS, 3, 1, 3}, bias[] = {1, CHANNELS, 1};
    static const int64_t second[] = {CHANNELS, CHANNELS, 1, 3}, one = 1, two = 2;
    graph.size = 0;
    put_ints("pads", pads, 6);
    put_ints("later", later, 6);
    put_ints("one", &one, 1);
    put_ints("two", &two, 1);
    put_random("first", first, 4);
    put_random("second", second, 4);
    put_random("bias", bias, 3);
    put_node(&graph, "Pad", "x", "pads", "padded");
    put_node(&graph, "Unsqueeze", "padded", "one", "row");
    put_transpose("row", "turned");
    put_node(&graph, "Conv", "turned", "first", "c");
    put_node(&graph, "Squeeze", "c", "two", "s");
    put_node(&graph, "Add", "s", "bias", "biased");
    put_node(&graph, "Relu", "biased", NULL, "r");
    put_node(&graph, "Pad", "r", "later", "wide");
    put_node(&graph, "Unsqueeze", "wide", "two", "u");
    put_node(&graph, "Conv", "u", "second", "d");
    put_node(&graph, "Squeeze", "d", "two", "t");
    put_node(&graph, "Add", "t", "bias", "sum");
    put_node(&graph, "Unsqueeze", "sum", "two", "y");
    const struct model *fused = check_series(20);
    ck_assert_int_eq(count_of_type(fused, "Add"), 0);
    ck_assert_int_eq(count_of_type(fused, "Squeeze"), 0);
    ck_assert_int_eq(count_of_type(fused, "Pad"), 1); /* before the channels are last */
}
END_TEST

/* An attribute of a number for each axis of an image. */
static void put_pair(struct bytes *node, const char *name, int64_t h, int64_t w) {
    static struct bytes attr;
    attr.size = 0;
    put_text(&attr, 1, name);
    put_int(&attr, 8, h);
    put_int(&attr, 8, w);
    put_int(&attr, 20, 7);
    put_message(node, 5, &attr);
}

/* MaxPool 2 x 2 of stride 2. */
static void put_pool(const char *x, const char *y) {
    static struct bytes node;
    node.size = 0;
    put_node_fields(&node, "MaxPool", x, NULL, y);
    put_pair(&node, "kernel_shape", 2, 2);
    put_pair(&node, "strides", 2, 2);
    put_message(&graph, 1, &node);
}

/* y = Conv(r) by 3 x 3 taps, with `name` (strides or dilations) along height and width.
 */
static void begin_square(const char *name, int64_t h, int64_t w) {
    static struct bytes node;
    begin_network();
    node.size = 0;
    put_node_fields(&node, "Conv", "r", "square", "y");
    put_pair(&node, name, h, w);
    put_message(&graph, 1, &node);
}

/* Weights are packed before there is an image, for the way by which it will go. */
START_TEST(strides_and_dilations_of_either_axis_are_known_when_weights_are_packed) {
    begin_square("dilations", 2, 2);
    check_images(2, 2);
    begin_square("dilations", 2, 1);
    check_images(2, 4);
    begin_square("dilations", 1, 2);
    check_images(4, 2);
    begin_square("strides", 2, 1);
    check_images(2, 4);
    begin_square("strides", 1, 2);
    check_images(4, 2);
}
END_TEST

/* As Keras has images, so that the Conv reads them with channels last. */
static struct model *check_pooled(void) {
    const int64_t x_dims[] = {-1, 10, 10, 3}, y_dims[] = {-1, CHANNELS, 4, 4};
    put_port(&graph, 11, "x", DTYPE_F32, x_dims, 4);
    put_port(&graph, 12, "y", DTYPE_F32, y_dims, 4);
    struct model *plain = open_graph(&graph, 0), *fused = open_graph(&graph, PASSES_ALL);
    struct session *a = open_session(plain), *b = open_session(fused);
    const struct tensor x = make_rows(plain, 3, 5);
    run_rows(a, &x);
    run_rows(b, &x);
    assert_close(session_output(a, 0)->data, session_output(b, 0)->data, 5 * row_count(a),
                 TOLERANCE);
    return fused;
}

static void begin_pooled(void) {
    static const int64_t first[] = {CHANNELS, 3, 3, 3};
    graph.size = 0;
    put_random("first", first, 4);
    put_transpose("x", "turned");
    put_node(&graph, "Conv", "turned", "first", "c");
}

START_TEST(a_convolution_of_few_channels_pools_in_either_layout) {
    begin_pooled();
    put_node(&graph, "Relu", "c", NULL, "r");
    put_pool("r", "y");
    ck_assert_int_eq(count_of_type(check_pooled(), "MaxPool"), 0);
}
END_TEST

/* As a table of positions is: one image for all rows. */
START_TEST(a_row_with_a_constant_image_behind_it_has_the_same_bits_alone) {
    const int64_t x_dims[] = {-1, 10, 10, 3}, y_dims[] = {-1, 8, 8, CHANNELS};
    const int64_t image[] = {1, 8, 8, CHANNELS};
    begin_pooled();
    put_random("image", image, 4);
    put_perm("c", "d", 2, 3, 1);
    put_node(&graph, "Add", "d", "image", "y");
    put_port(&graph, 11, "x", DTYPE_F32, x_dims, 4);
    put_port(&graph, 12, "y", DTYPE_F32, y_dims, 4);
    const struct model *model = open_graph(&graph, PASSES_ALL);
    struct session *alone = open_session(model), *batch = open_session(model);
    struct session *plain = open_session(open_graph(&graph, 0));
    const struct tensor one = make_rows(model, 3, 1), five = make_rows(model, 3, 5);
    run_rows(alone, &one);
    run_rows(batch, &five);
    run_rows(plain, &five);
    ck_assert_mem_eq(session_output(alone, 0)->data, session_output(batch, 0)->data,
                     row_count(alone) * sizeof(float));
    assert_close(session_output(plain, 0)->data, session_output(batch, 0)->data,
                 5 * row_count(alone), TOLERANCE);
    ck_assert_int_eq(count_of_type(model, "Add"), 0);
}
END_TEST

/* What a session of the graph says to an image of 3 channels. */
static void check_refused(unsigned passes, int64_t height, int64_t width,
                          const char *text) {
    float pixels[3 * 8 * 8] = {0};
    const struct model *model = open_graph(&graph, passes);
    struct session *session = open_session(model);
    struct error err;
    struct tensor x = {
        .dtype = DTYPE_F32, .rank = 4, .dims = {1, height, width, 3}, .data = pixels};
    ck_assert_uint_le(tensor_count(&x), ARRAY_COUNT(pixels));
    ck_assert_int_eq(session_prepare(session, &x, &err), STATUS_POISON);
    ck_assert_msg(strstr(err.text, text) != NULL, "%s", err.text);
}

/* The file leaves height and width free. */
START_TEST(a_result_too_small_for_its_pooling_is_refused_alone_and_in_a_convolution) {
    const int64_t x_dims[] = {-1, -1, -1, 3}, y_dims[] = {-1, CHANNELS, -1, -1};
    const char *low = "a window of 2 does not fit in axis 2 of size 1";
    const char *narrow = "a window of 2 does not fit in axis 3 of size 1";
    begin_pooled();
    put_pool("c", "y");
    put_port(&graph, 11, "x", DTYPE_F32, x_dims, 4);
    put_port(&graph, 12, "y", DTYPE_F32, y_dims, 4);
    check_refused(0, 3, 6, low);
    check_refused(0, 6, 3, narrow);
    check_refused(PASSES_ALL, 3, 6, low);
    check_refused(PASSES_ALL, 6, 3, narrow);
}
END_TEST

START_TEST(a_pooling_behind_a_sum_stays) {
    static const int64_t again[] = {CHANNELS, 3, 3, 3};
    begin_pooled();
    put_random("again", again, 4);
    put_node(&graph, "Conv", "turned", "again", "d");
    put_node(&graph, "Sigmoid", "d", NULL, "e");
    put_node(&graph, "Add", "c", "e", "sum");
    put_pool("sum", "y");
    ck_assert_int_eq(count_of_type(check_pooled(), "MaxPool"), 1);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_convolution_of_few_channels_pools_in_either_layout,
        a_pooling_behind_a_sum_stays,
        a_result_too_small_for_its_pooling_is_refused_alone_and_in_a_convolution,
        a_residual_network_is_turned_once,
        a_row_with_a_constant_image_behind_it_has_the_same_bits_alone,
        tiles_of_three_by_three_are_added_to_a_residual,
        a_residual_that_spreads_is_added_as_before,
        a_result_that_spreads_over_its_residual_is_added_as_before,
        convolutions_of_bytes_are_turned_once,
        operators_that_know_one_layout_get_it,
        a_convolution_over_one_axis_sheds_the_axis_around_it,
        scales_and_shifts_go_into_what_makes_the_channels,
        strides_and_dilations_of_either_axis_are_known_when_weights_are_packed,
    };
    return suite_run_with("channels last", tests, ARRAY_COUNT(tests), NULL, release_all);
}
