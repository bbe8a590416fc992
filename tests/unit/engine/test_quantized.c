/* test_quantized.c - what stands between DequantizeLinear and QuantizeLinear is computed
 * on bytes, and within a step of what the graph says; what does not fit is left alone. */
#include "graph_fixture.h"

#define CHANNELS 8
#define ROWS 5
#define EXACT 0
#define ONE_STEP 1

static struct bytes graph, attrs;
static float y_scale; /* of the last pair */

/* ---- graphs ------------------------------------------------------------------------ */

static void add_ints(const char *name, const int64_t *values, int count) {
    struct bytes attr = {.size = 0};
    put_text(&attr, 1, name);
    for (int i = 0; i < count; i++) {
        put_int(&attr, 8, values[i]);
    }
    put_int(&attr, 20, 7);
    put_message(&attrs, 5, &attr);
}

static void add_int(const char *name, int64_t value) {
    struct bytes attr = {.size = 0};
    put_text(&attr, 1, name);
    put_int(&attr, 3, value);
    put_int(&attr, 20, 2);
    put_message(&attrs, 5, &attr);
}

/* A node with the attributes added before. */
static void put(const char *type, const char *const *inputs, int count,
                const char *output) {
    static struct bytes node;
    node.size = 0;
    for (int i = 0; i < count; i++) {
        put_text(&node, 1, inputs[i]);
    }
    put_text(&node, 2, output);
    put_text(&node, 4, type);
    memcpy(node.data + node.size, attrs.data, attrs.size);
    node.size += attrs.size;
    attrs.size = 0;
    put_message(&graph, 1, &node);
}

#define PUT(type, output, ...)                    \
    put(type, (const char *const[]){__VA_ARGS__}, \
        (int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)), output)

/* Constants `name`.s and `name`.z; how bytes of `name` stand for floats. */
static void put_form(const char *name, float scale, int64_t dtype, int zero) {
    char text[64];
    const uint8_t byte = (uint8_t)zero;
    (void)snprintf(text, sizeof(text), "%s.s", name);
    put_weight(&graph, text, DTYPE_F32, NULL, 0, &scale, sizeof(scale));
    (void)snprintf(text, sizeof(text), "%s.z", name);
    put_weight(&graph, text, dtype, NULL, 0, &byte, 1);
}

static void put_ends(const char *type, const char *from, const char *form,
                     const char *to) {
    char scale[64], zero[64];
    (void)snprintf(scale, sizeof(scale), "%s.s", form);
    (void)snprintf(zero, sizeof(zero), "%s.z", form);
    PUT(type, to, from, scale, zero);
}

/* floats `from` ──► bytes ──► floats `to`, by a form of its own. */
static void put_pair(const char *from, const char *to, float scale, int64_t dtype,
                     int zero) {
    char bytes[64];
    (void)snprintf(bytes, sizeof(bytes), "%s.q", to);
    put_form(to, scale, dtype, zero);
    put_ends("QuantizeLinear", from, to, bytes);
    put_ends("DequantizeLinear", bytes, to, to);
    y_scale = scale;
}

/* Constant weights of int8 or uint8, dequantised as `name`; `lines` scales along `axis`.
 */
static void put_weights(const char *name, const int64_t *dims, int rank, int64_t dtype,
                        int lines, int axis) {
    static uint8_t bytes[CHANNELS * CHANNELS * 9];
    float scales[CHANNELS];
    uint8_t zeros[CHANNELS];
    char q[64], s[64], z[64];
    const int64_t count_lines[] = {lines};
    size_t count = 1;
    for (int i = 0; i < rank; i++) {
        count *= (size_t)dims[i];
    }
    ck_assert_uint_le(count, sizeof(bytes));
    for (size_t i = 0; i < count; i++) {
        bytes[i] = (uint8_t)(i * 37 + 11 + i / 7);
    }
    for (int i = 0; i < CHANNELS; i++) {
        scales[i] = 0.01F + 0.003F * (float)i;
        zeros[i] = dtype == DTYPE_U8 ? (uint8_t)(120 + i) : 0;
    }
    (void)snprintf(q, sizeof(q), "%s.q", name);
    (void)snprintf(s, sizeof(s), "%s.s", name);
    (void)snprintf(z, sizeof(z), "%s.z", name);
    put_weight(&graph, q, dtype, dims, rank, bytes, count);
    put_weight(&graph, s, DTYPE_F32, count_lines, lines > 1 ? 1 : 0, scales,
               (size_t)lines * sizeof(scales[0]));
    put_weight(&graph, z, dtype, count_lines, lines > 1 ? 1 : 0, zeros, (size_t)lines);
    add_int("axis", axis);
    PUT("DequantizeLinear", name, q, s, z);
}

static void put_floats(const char *name, const int64_t *dims, int rank, float scale) {
    float values[CHANNELS * CHANNELS];
    size_t count = 1;
    for (int i = 0; i < rank; i++) {
        count *= (size_t)dims[i];
    }
    for (size_t i = 0; i < count; i++) {
        values[i] = scale * ((float)((i * 37 + 11) % 101) / 101 - 0.5F);
    }
    put_weight(&graph, name, DTYPE_F32, dims, rank, values, count * sizeof(values[0]));
}

/* `x` are the floats of a pair behind the model's input, in [0, 1). */
static void begin(int64_t dtype) {
    graph.size = attrs.size = 0;
    put_pair("input", "x", 1.0F / 250, dtype, dtype == DTYPE_I8 ? -128 : 3);
}

static struct model *open_output(const char *output, unsigned passes) {
    static const int64_t image[] = {-1, CHANNELS, 6, 6};
    static struct bytes whole;
    whole = graph;
    put_port(&whole, 11, "input", DTYPE_F32, image, 4);
    put_port(&whole, 12, output, DTYPE_F32, NULL, 0);
    return open_graph(&whole, passes);
}

/* ---- checks ------------------------------------------------------------------------ */

/* The graph up to `output` gives the same with the passes, but for `steps` of the last
 * scale; then it has `count` nodes of `type`. */
static struct model *check(const char *output, int steps, const char *type, int count) {
    struct model *plain = open_output(output, 0),
                 *fused = open_output(output, PASSES_ALL);
    struct session *a = open_session(plain), *b = open_session(fused);
    struct tensor x = make_rows(plain, 3, ROWS);
    const float *p, *q;
    bool differs = false;
    run_rows(a, &x);
    run_rows(b, &x);
    p = session_output(a, 0)->data;
    q = session_output(b, 0)->data;
    ck_assert_uint_eq(tensor_count(session_output(a, 0)),
                      tensor_count(session_output(b, 0)));
    for (size_t i = 0; i < tensor_count(session_output(a, 0)); i++) {
        ck_assert_msg(fabsf(p[i] - q[i]) <= ((float)steps + 1e-3F) * y_scale,
                      "element %zu: %g and %g, a step is %g", i, (double)p[i],
                      (double)q[i], (double)y_scale);
        differs = differs || p[i] < p[0] || p[i] > p[0];
    }
    ck_assert_msg(differs, "all elements are the same");
    ck_assert_msg(count_of_type(fused, type) == count, "%d nodes are %s",
                  count_of_type(fused, type), type);
    return fused;
}

/* The only ends left are those around the graph. */
static void check_ends(const struct model *model) {
    ck_assert_int_eq(count_of_type(model, "QuantizeLinear"), 1);
    ck_assert_int_eq(count_of_type(model, "DequantizeLinear"), 1);
}

/* ---- products ---------------------------------------------------------------------- */

static const int64_t kernel[] = {CHANNELS, CHANNELS, 3, 3}, line[] = {CHANNELS},
                     square[] = {CHANNELS, CHANNELS};

static void put_conv(const char *output) {
    static const int64_t pads[] = {1, 1, 1, 1};
    add_ints("pads", pads, 4);
    PUT("Conv", output, "x", "w", "bias");
}

START_TEST(a_convolution_with_what_clamps_it_is_one_of_bytes) {
    static const int64_t types[] = {DTYPE_U8, DTYPE_I8};
    for (int i = 0; i < 8; i++) {
        const int64_t dtype = types[i & 1], weights = types[i >> 1 & 1];
        struct model *model;
        begin(dtype);
        put_weights("w", kernel, 4, weights, i < 4 ? 1 : CHANNELS, 0);
        put_floats("bias", line, 1, 2.0F);
        put_conv("c");
        PUT("Relu", "r", "c");
        put_pair("r", "y", 0.11F, dtype, dtype == DTYPE_I8 ? -128 : 0);
        model = check("y", ONE_STEP, "QLinearConv", 1);
        ck_assert_int_eq(count_of_type(model, "ByteTable"), 0);
        check_ends(model);
    }
}
END_TEST

START_TEST(a_clamp_inside_the_range_is_a_table) {
    struct model *model;
    begin(DTYPE_I8);
    put_weights("w", kernel, 4, DTYPE_I8, CHANNELS, 0);
    put_floats("bias", line, 1, 2.0F);
    put_conv("c");
    PUT("Relu", "r", "c");
    put_pair("r", "y", 0.15F, DTYPE_I8, 0);
    model = check("y", ONE_STEP, "QLinearConv", 1);
    ck_assert_int_eq(count_of_type(model, "ByteTable"), 1);
    check_ends(model);
}
END_TEST

START_TEST(a_product_with_constant_columns_is_one_of_bytes) {
    static const int64_t wide[] = {6, CHANNELS};
    for (int lines = 1; lines <= CHANNELS; lines += CHANNELS - 1) {
        begin(DTYPE_U8);
        put_weights("w", wide, 2, DTYPE_I8, lines, 1);
        PUT("MatMul", "m", "x", "w");
        put_pair("m", "y", 0.02F, DTYPE_U8, 100);
        check_ends(check("y", ONE_STEP, "QLinearMatMul", 1));
    }
}
END_TEST

START_TEST(weights_may_be_turned_behind_their_scales) {
    static const int64_t tall[] = {CHANNELS, 6}, perm[] = {1, 0};
    for (int lines = 1; lines <= CHANNELS; lines += CHANNELS - 1) {
        begin(DTYPE_U8);
        put_weights("w", tall, 2, DTYPE_U8, lines, 0);
        add_ints("perm", perm, 2);
        PUT("Transpose", "t", "w");
        PUT("MatMul", "m", "x", "t");
        put_pair("m", "y", 0.02F, DTYPE_U8, 100);
        check_ends(check("y", ONE_STEP, "QLinearMatMul", 1));
    }
}
END_TEST

START_TEST(a_product_of_two_results_is_one_of_bytes) {
    static const int64_t perm[] = {0, 1, 3, 2};
    begin(DTYPE_U8);
    add_ints("perm", perm, 4);
    PUT("Transpose", "t", "x");
    PUT("MatMul", "m", "x", "t");
    put_pair("m", "y", 0.02F, DTYPE_U8, 0);
    check_ends(check("y", ONE_STEP, "QLinearMatMul", 1));
}
END_TEST

START_TEST(a_gemm_gives_the_same_answers) {
    for (int turned = 0; turned < 2; turned++) {
        static const int64_t shape[] = {-1, CHANNELS}, narrow[] = {2};
        begin(DTYPE_U8);
        put_weight(&graph, "shape", DTYPE_I64, narrow, 1, shape, sizeof(shape));
        PUT("Reshape", "flat", "x", "shape");
        put_weights("w", square, 2, DTYPE_I8, CHANNELS, 1 - turned);
        put_floats("bias", line, 1, 2.0F);
        add_int("transB", turned);
        PUT("Gemm", "g", "flat", "w", "bias");
        put_pair("g", "y", 0.02F, DTYPE_U8, 100);
        (void)check("y", ONE_STEP, "Reshape", 1);
    }
}
END_TEST

/* ---- elementwise ------------------------------------------------------------------- */

START_TEST(sums_and_products_are_of_bytes) {
    static const char *const names[][2] = {{"Add", "ByteAdd"}, {"Mul", "ByteMul"}};
    static const int64_t types[] = {DTYPE_U8, DTYPE_I8}, perm[] = {0, 1, 3, 2};
    for (int i = 0; i < 4; i++) {
        const int64_t dtype = types[i & 1];
        begin(dtype);
        add_ints("perm", perm, 4);
        PUT("Transpose", "t", "x");
        PUT(names[i >> 1][0], "sum", "x", "t");
        PUT("Relu", "r", "sum");
        put_pair("r", "y", 0.009F, dtype, dtype == DTYPE_I8 ? -128 : 0);
        check_ends(check("y", ONE_STEP, names[i >> 1][1], 1));
    }
}
END_TEST

START_TEST(operands_of_bytes_are_broadcast) {
    static const int64_t channel[] = {CHANNELS, 1, 1};
    for (int side = 0; side < 2; side++) {
        begin(DTYPE_I8);
        put_weights("gate", channel, 3, DTYPE_I8, 1, 0);
        PUT(side == 0 ? "Mul" : "Add", "m", side == 0 ? "x" : "gate",
            side == 0 ? "gate" : "x");
        put_pair("m", "y", 0.02F, DTYPE_I8, -3);
        check_ends(check("y", ONE_STEP, side == 0 ? "ByteMul" : "ByteAdd", 1));
    }
}
END_TEST

/* Operands that are the same for many short lines, in either place. */
START_TEST(operands_of_bytes_are_repeated) {
    static const int64_t shapes[][4] = {{6}, {CHANNELS, 1, 6}, {6, 6}, {1, 1, 1}};
    static const int ranks[] = {1, 3, 2, 3};
    for (int i = 0; i < 16; i++) {
        const bool adds = i % 2 == 0, first = i / 2 % 2 == 0;
        begin(DTYPE_I8);
        put_weights("gate", shapes[i / 4], ranks[i / 4], DTYPE_I8, 1, 0);
        PUT(adds ? "Add" : "Mul", "m", first ? "x" : "gate", first ? "gate" : "x");
        put_pair("m", "y", 0.02F, DTYPE_I8, -3);
        (void)check("y", ONE_STEP, "Add", 0);
    }
}
END_TEST

START_TEST(functions_of_a_byte_are_tables) {
    static const char *const types[] = {"Sigmoid", "Tanh", "HardSwish", "LeakyRelu",
                                        "Exp",     "Relu", "Softplus"};
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        begin(i % 2 == 0 ? DTYPE_U8 : DTYPE_I8);
        PUT(types[i], "f", "x");
        put_pair("f", "y", 0.013F, i % 2 == 0 ? DTYPE_U8 : DTYPE_I8, 7);
        check_ends(check("y", EXACT, "ByteTable", 1));
    }
}
END_TEST

START_TEST(a_number_times_its_rounded_gate_is_one_table) {
    begin(DTYPE_U8);
    PUT("Sigmoid", "s", "x");
    put_pair("s", "gate", 1.0F / 256, DTYPE_U8, 0);
    PUT("Mul", "m", "x", "gate");
    put_pair("m", "y", 0.003F, DTYPE_U8, 0);
    check_ends(check("y", EXACT, "ByteTable", 1));
}
END_TEST

START_TEST(pairs_of_the_same_form_vanish) {
    begin(DTYPE_U8);
    put_pair("x", "a", 1.0F / 250, DTYPE_U8, 3);
    put_pair("a", "y", 1.0F / 250, DTYPE_U8, 3);
    check_ends(check("y", EXACT, "ByteTable", 0));
}
END_TEST

START_TEST(pairs_of_another_form_are_a_table) {
    begin(DTYPE_U8);
    put_pair("x", "a", 1.0F / 100, DTYPE_I8, 3);
    put_pair("a", "y", 1.0F / 50, DTYPE_U8, 9);
    check_ends(check("y", EXACT, "ByteTable", 1));
}
END_TEST

/* ---- moves and pools --------------------------------------------------------------- */

START_TEST(what_moves_elements_moves_bytes) {
    static const char *const types[] = {"Transpose", "Reshape", "MaxPool", "Slice",
                                        "Flatten",   "Gather",  "Pad"};
    static const int64_t perm[] = {0, 2, 1, 3}, shape[] = {0, -1, 4}, one[] = {1},
                         three[] = {3}, eight[] = {8}, begins[] = {2}, ends[] = {5},
                         pads[] = {0, 0, 1, 2, 0, 0, 1, 0}, size[] = {3, 2},
                         around[] = {1, 1, 0, 1};
    static const float none = 0;
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        begin(i % 2 == 0 ? DTYPE_U8 : DTYPE_I8);
        put_weight(&graph, "shape", DTYPE_I64, three, 1, shape, sizeof(shape));
        put_weight(&graph, "begins", DTYPE_I64, one, 1, begins, sizeof(begins));
        put_weight(&graph, "ends", DTYPE_I64, one, 1, ends, sizeof(ends));
        put_weight(&graph, "pads", DTYPE_I64, eight, 1, pads, sizeof(pads));
        put_weight(&graph, "none", DTYPE_F32, NULL, 0, &none, sizeof(none));
        if (i == 0) {
            add_ints("perm", perm, 4);
        } else if (i == 2) {
            add_ints("kernel_shape", size, 2);
            add_ints("strides", size, 2);
            add_ints("pads", around, 4);
        }
        if (i == 3) {
            PUT("Slice", "m", "x", "begins", "ends", "begins");
        } else if (i == 6) {
            PUT("Pad", "m", "x", "pads", "none");
        } else if (i == 1 || i == 5) {
            PUT(types[i], "m", "x", i == 1 ? "shape" : "begins");
        } else {
            PUT(types[i], "m", "x");
        }
        put_pair("m", "y", 1.0F / 250, i % 2 == 0 ? DTYPE_U8 : DTYPE_I8,
                 i % 2 == 0 ? 3 : -128);
        check_ends(check("y", EXACT, types[i], 1));
    }
}
END_TEST

START_TEST(parts_of_other_forms_are_brought_to_that_of_the_whole) {
    begin(DTYPE_U8);
    PUT("Sigmoid", "s", "x");
    put_pair("s", "gate", 1.0F / 256, DTYPE_U8, 0);
    add_int("axis", 1);
    PUT("Concat", "c", "x", "gate", "s");
    put_pair("c", "y", 1.0F / 250, DTYPE_U8, 3);
    check_ends(check("y", EXACT, "ByteTable", 2));
}
END_TEST

START_TEST(averages_are_of_bytes) {
    static const int64_t size[] = {3, 2}, pads[] = {1, 0, 1, 1};
    for (int i = 0; i < 6; i++) {
        const int64_t dtype = i % 2 == 0 ? DTYPE_U8 : DTYPE_I8;
        begin(dtype);
        if (i < 4) {
            add_ints("kernel_shape", size, 2);
            add_ints("pads", pads, 4);
            add_int("count_include_pad", i / 2);
        }
        PUT(i < 4 ? "AveragePool" : "GlobalAveragePool", "p", "x");
        put_pair("p", "y", 0.0041F, dtype, dtype == DTYPE_I8 ? -100 : 5);
        check_ends(
            check("y", ONE_STEP, i < 4 ? "ByteAveragePool" : "ByteGlobalAveragePool", 1));
    }
}
END_TEST

static const int64_t few[] = {CHANNELS, 3, 3, 3};

/* `to` are three channels of `from`. */
static void put_few(const char *from, const char *to) {
    static const int64_t one[] = {1}, begins[] = {2}, ends[] = {5}, axis[] = {1};
    put_weight(&graph, "begins", DTYPE_I64, one, 1, begins, sizeof(begins));
    put_weight(&graph, "ends", DTYPE_I64, one, 1, ends, sizeof(ends));
    put_weight(&graph, "axis", DTYPE_I64, one, 1, axis, sizeof(axis));
    PUT("Slice", to, from, "begins", "ends", "axis");
}

static void put_pool_2x2(const char *x, const char *y) {
    static const int64_t size[] = {2, 2};
    add_ints("kernel_shape", size, 2);
    add_ints("strides", size, 2);
    PUT("MaxPool", y, x);
}

START_TEST(a_convolution_of_few_channels_pools_its_bytes) {
    static const int64_t pads[] = {0, 1, 1, 1}, by[] = {1, 2};
    for (int i = 0; i < 16; i++) {
        const int64_t dtype = i & 1 ? DTYPE_U8 : DTYPE_I8;
        begin(dtype);
        put_few("x", "few");
        put_weights("w", few, 4, i & 2 ? DTYPE_U8 : DTYPE_I8, i & 4 ? CHANNELS : 1, 0);
        put_floats("bias", line, 1, 2.0F);
        if (i & 8) {
            add_ints("pads", pads, 4);
            add_ints("strides", by, 2);
        }
        PUT("Conv", "c", "few", "w", "bias");
        put_pair("c", "d", 0.05F, dtype, dtype == DTYPE_I8 ? -3 : 120);
        put_pool_2x2("d", "p");
        put_pair("p", "y", 0.05F, dtype, dtype == DTYPE_I8 ? -3 : 120);
        check_ends(check("y", ONE_STEP, "MaxPool", 0));
    }
}
END_TEST

/* Weights are packed before there is an image, for the way by which it will go. */
START_TEST(dilations_are_known_when_weights_of_bytes_are_packed) {
    static const int64_t by[][2] = {{1, 2}, {2, 1}, {2, 2}};
    for (size_t i = 0; i < ARRAY_COUNT(by); i++) {
        begin(DTYPE_U8);
        put_few("x", "few");
        put_weights("w", few, 4, DTYPE_I8, 1, 0);
        put_floats("bias", line, 1, 2.0F);
        add_ints("dilations", by[i], 2);
        PUT("Conv", "c", "few", "w", "bias");
        put_pair("c", "y", 0.05F, DTYPE_U8, 120);
        check_ends(check("y", ONE_STEP, "QLinearConv", 1));
    }
}
END_TEST

/* ---- what is left alone ------------------------------------------------------------ */

START_TEST(a_convolution_of_many_channels_leaves_pooling_alone) {
    begin(DTYPE_U8);
    put_weights("w", kernel, 4, DTYPE_I8, 1, 0);
    put_floats("bias", line, 1, 2.0F);
    put_conv("c");
    put_pair("c", "d", 0.11F, DTYPE_U8, 128);
    put_pool_2x2("d", "p");
    put_pair("p", "y", 0.11F, DTYPE_U8, 128);
    check_ends(check("y", ONE_STEP, "MaxPool", 1));
}
END_TEST

/* The largest sum does not make the largest byte then. */
START_TEST(a_convolution_with_scales_below_zero_leaves_pooling_alone) {
    begin(DTYPE_U8);
    put_few("x.q", "few");
    put_weights("w", few, 4, DTYPE_I8, 1, 0);
    put_form("v", -0.01F, DTYPE_I8, 0);
    put_form("y", 0.05F, DTYPE_U8, 120);
    y_scale = 0.05F;
    PUT("QLinearConv", "c", "few", "x.s", "x.z", "w.q", "v.s", "v.z", "y.s", "y.z");
    put_pool_2x2("c", "p");
    put_ends("DequantizeLinear", "p", "y", "y");
    check("y", EXACT, "MaxPool", 1);
}
END_TEST

START_TEST(results_that_are_read_as_floats_too_stay_floats) {
    begin(DTYPE_U8);
    put_weights("w", kernel, 4, DTYPE_I8, 1, 0);
    put_floats("bias", line, 1, 2.0F);
    put_conv("c");
    put_pair("c", "d", 0.11F, DTYPE_U8, 128);
    PUT("Add", "y", "c", "d");
    check("y", EXACT, "QLinearConv", 0);
}
END_TEST

START_TEST(a_result_that_is_the_models_stays_float) {
    begin(DTYPE_U8);
    put_weights("w", kernel, 4, DTYPE_I8, 1, 0);
    put_floats("bias", line, 1, 2.0F);
    put_conv("c");
    put_pair("c", "y", 0.11F, DTYPE_U8, 128);
    check("c", ONE_STEP, "QLinearConv", 0);
}
END_TEST

START_TEST(scales_that_the_data_tells_are_left_alone) {
    begin(DTYPE_U8);
    add_ints("axes", (const int64_t[]){0, 1, 2, 3}, 4);
    add_int("keepdims", 0);
    PUT("ReduceMax", "scale", "input");
    put_form("y", 0.01F, DTYPE_U8, 3);
    PUT("Sigmoid", "s", "x");
    PUT("Mul", "told", "scale", "y.s");
    PUT("QuantizeLinear", "q", "s", "told", "y.z");
    PUT("DequantizeLinear", "y", "q", "told", "y.z");
    check("y", EXACT, "Sigmoid", 1);
}
END_TEST

START_TEST(mixed_types_are_left_alone) {
    static const int64_t perm[] = {0, 1, 3, 2};
    begin(DTYPE_U8);
    add_ints("perm", perm, 4);
    PUT("Transpose", "t", "x");
    put_pair("t", "signed", 0.01F, DTYPE_I8, 0);
    PUT("Add", "sum", "x", "signed");
    put_pair("sum", "y", 0.01F, DTYPE_U8, 0);
    check("y", EXACT, "Add", 1);
}
END_TEST

START_TEST(scales_of_activations_by_channel_are_left_alone) {
    const float scales[CHANNELS] = {0.01F, 0.02F, 0.01F, 0.03F,
                                    0.01F, 0.02F, 0.01F, 0.03F};
    const uint8_t zeros[CHANNELS] = {0, 1, 2, 3, 4, 5, 6, 7};
    begin(DTYPE_U8);
    put_weight(&graph, "s", DTYPE_F32, line, 1, scales, sizeof(scales));
    put_weight(&graph, "z", DTYPE_U8, line, 1, zeros, sizeof(zeros));
    PUT("QuantizeLinear", "q", "x", "s", "z");
    PUT("DequantizeLinear", "d", "q", "s", "z");
    PUT("Sigmoid", "f", "d");
    put_pair("f", "y", 0.01F, DTYPE_U8, 0);
    check("y", EXACT, "Sigmoid", 1);
}
END_TEST

START_TEST(weights_with_scales_along_another_axis_are_left_alone) {
    begin(DTYPE_U8);
    put_weights("w", kernel, 4, DTYPE_I8, CHANNELS, 1);
    put_floats("bias", line, 1, 2.0F);
    put_conv("c");
    put_pair("c", "y", 0.11F, DTYPE_U8, 128);
    check("y", ONE_STEP, "QLinearConv", 0);
}
END_TEST

START_TEST(a_bias_too_large_for_whole_numbers_is_left_alone) {
    begin(DTYPE_U8);
    put_weights("w", kernel, 4, DTYPE_I8, 1, 0);
    put_floats("bias", line, 1, 1e9F);
    put_conv("c");
    put_pair("c", "y", 1e7F, DTYPE_U8, 128);
    check("y", ONE_STEP, "QLinearConv", 0);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_convolution_with_what_clamps_it_is_one_of_bytes,
        a_clamp_inside_the_range_is_a_table,
        a_product_with_constant_columns_is_one_of_bytes,
        weights_may_be_turned_behind_their_scales,
        a_product_of_two_results_is_one_of_bytes,
        a_gemm_gives_the_same_answers,
        sums_and_products_are_of_bytes,
        operands_of_bytes_are_broadcast,
        operands_of_bytes_are_repeated,
        functions_of_a_byte_are_tables,
        a_number_times_its_rounded_gate_is_one_table,
        pairs_of_the_same_form_vanish,
        pairs_of_another_form_are_a_table,
        what_moves_elements_moves_bytes,
        parts_of_other_forms_are_brought_to_that_of_the_whole,
        averages_are_of_bytes,
        a_convolution_of_few_channels_pools_its_bytes,
        dilations_are_known_when_weights_of_bytes_are_packed,
        a_convolution_of_many_channels_leaves_pooling_alone,
        a_convolution_with_scales_below_zero_leaves_pooling_alone,
        results_that_are_read_as_floats_too_stay_floats,
        a_result_that_is_the_models_stays_float,
        scales_that_the_data_tells_are_left_alone,
        mixed_types_are_left_alone,
        scales_of_activations_by_channel_are_left_alone,
        weights_with_scales_along_another_axis_are_left_alone,
        a_bias_too_large_for_whole_numbers_is_left_alone,
    };
    return suite_run_with("quantised graphs", tests, ARRAY_COUNT(tests), NULL,
                          release_all);
}
