/* test_resample.c - images resized and sampled as PyTorch, whose exports are run, does;
 * integers stay in their type. */
#include "graph_fixture.h"
#include "tests/unit/suite.h"

#define COUNT 12
#define WIDE (2 * COUNT)

static struct bytes graph;

static void put_word(struct bytes *node, const char *name, const char *word) {
    static struct bytes attr;
    attr.size = 0;
    put_text(&attr, 1, name);
    put_text(&attr, 4, word);
    put_int(&attr, 20, 3);
    put_message(node, 5, &attr);
}

/* `by` is "scales" or "sizes", a weight. */
static void put_resize(const char *from, const char *by, const char *to, const char *mode,
                       const char *coordinates) {
    static struct bytes node;
    node.size = 0;
    put_text(&node, 1, from);
    put_text(&node, 1, "");
    if (strcmp(by, "sizes") == 0) {
        put_text(&node, 1, "");
    }
    put_text(&node, 1, by);
    put_text(&node, 2, to);
    put_text(&node, 4, "Resize");
    put_word(&node, "mode", mode);
    put_word(&node, "coordinate_transformation_mode", coordinates);
    put_message(&graph, 1, &node);
}

/* One row through the graph. */
static void check(const float *line, size_t count, const float *expected,
                  size_t expected_count) {
    struct model *model = open_graph(&graph, PASSES_ALL);
    struct session *session = open_session(model);
    struct tensor x = make_rows(model, 1, 1);
    memcpy(x.data, line, count * sizeof(*line));
    run_rows(session, &x);
    ck_assert_uint_eq(tensor_count(session_output(session, 0)), expected_count);
    assert_close(session_output(session, 0)->data, expected, expected_count, 1e-5);
}

/* 4 places become 6 (6.8 rounded down): the last of them is the last of the four. */
START_TEST(constant_scales_align_the_corners_that_there_are) {
    static const float line[] = {0, 10, 20, 30}, expected[] = {0, 6, 12, 18, 24, 30};
    static const float scales[] = {1, 1, 1.7F};
    const int64_t x[] = {-1, 1, 4}, y[] = {-1, 1, 6}, three = 3;
    graph.size = 0;
    put_port(&graph, 11, "x", DTYPE_F32, x, 3);
    put_port(&graph, 12, "y", DTYPE_F32, y, 3);
    put_weight(&graph, "scales", DTYPE_F32, &three, 1, scales, sizeof(scales));
    put_resize("x", "scales", "y", "linear", "align_corners");
    check(line, 4, expected, 6);
}
END_TEST

/* Left of a step from 0 to 1 a cubic is below 0: a place beyond the border is not moved
 * onto it, only the pixels read are.  From torch.nn.functional.grid_sample. */
START_TEST(cubic_samples_beyond_the_border_overshoot) {
    static const float image[] = {0, 1, 1, 3}, grid[] = {-1.2F, 0, -0.9F, 0, 1.2F, 0};
    static const float expected[] = {-0.006750107F, -0.1102498F, 3.0135F};
    const int64_t x[] = {-1, 1, 1, 4}, y[] = {-1, 1, 1, 3}, places[] = {1, 1, 3, 2};
    static struct bytes node;
    graph.size = node.size = 0;
    put_port(&graph, 11, "x", DTYPE_F32, x, 4);
    put_port(&graph, 12, "y", DTYPE_F32, y, 4);
    put_weight(&graph, "grid", DTYPE_F32, places, 4, grid, sizeof(grid));
    put_node_fields(&node, "GridSample", "x", "grid", "y");
    put_word(&node, "mode", "bicubic");
    put_word(&node, "padding_mode", "border");
    put_message(&graph, 1, &node);
    check(image, 4, expected, 3);
}
END_TEST

static void put_cast(const char *from, const char *to, enum dtype dtype) {
    struct bytes node = {.size = 0}, type = {.size = 0};

    put_node_fields(&node, "Cast", from, NULL, to);
    put_text(&type, 1, "to");
    put_int(&type, 3, dtype);
    put_int(&type, 20, 2);
    put_message(&node, 5, &type);
    put_message(&graph, 1, &node);
}

START_TEST(a_cubic_that_overshoots_is_the_nearest_that_the_type_has) {
    const int64_t in[2] = {-1, COUNT}, out[2] = {-1, WIDE}, pair = 2;
    const float scales[2] = {1, 2};
    const float *plain;
    const uint8_t *bytes;
    float low = 0, high = 0;

    graph.size = 0;
    put_port(&graph, 11, "x", DTYPE_F32, in, 2);
    put_port(&graph, 12, "plain", DTYPE_F32, out, 2);
    put_port(&graph, 12, "bytes", DTYPE_U8, out, 2);
    put_weight(&graph, "scales", DTYPE_F32, &pair, 1, scales, sizeof scales);
    put_cast("x", "x_bytes", DTYPE_U8);
    put_resize("x", "scales", "plain", "cubic", "half_pixel");
    put_resize("x_bytes", "scales", "bytes", "cubic", "half_pixel");
    struct model *model = open_graph(&graph, PASSES_ALL);
    struct session *session = open_session(model);
    struct tensor x = make_rows(model, 0, 1);
    for (int i = 0; i < COUNT; i++) {
        ((float *)x.data)[i] = i / 3 % 2 == 0 ? 0 : 255; /* steps */
    }
    run_rows(session, &x);
    plain = session_output(session, 0)->data;
    bytes = session_output(session, 1)->data;
    for (int i = 0; i < WIDE; i++) {
        float nearest = nearbyintf(plain[i]);
        ck_assert_int_eq(bytes[i], (int)(nearest < 0     ? 0
                                         : nearest > 255 ? 255
                                                         : nearest));
        low = fminf(low, plain[i]);
        high = fmaxf(high, plain[i]);
    }
    ck_assert_float_lt(low, -1);
    ck_assert_float_gt(high, 256);
}
END_TEST

START_TEST(of_nothing_there_is_nothing_to_make) {
    const int64_t in[2] = {-1, COUNT}, pair = 2, sizes[2] = {3, COUNT};
    struct tensor x = {.dtype = DTYPE_F32, .rank = 2, .dims = {0, COUNT}};
    struct error err;

    graph.size = 0;
    put_port(&graph, 11, "x", DTYPE_F32, in, 2);
    put_port(&graph, 12, "y", DTYPE_F32, in, 2);
    put_weight(&graph, "sizes", DTYPE_I64, &pair, 1, sizes, sizeof sizes);
    put_resize("x", "sizes", "y", "cubic", "half_pixel");
    struct session *session = open_session(open_graph(&graph, PASSES_ALL));
    ck_assert_int_eq(session_prepare(session, &x, &err), STATUS_POISON);
    x.dims[0] = 1;
    ck_assert_int_eq(session_prepare(session, &x, &err), STATUS_OK);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        constant_scales_align_the_corners_that_there_are,
        cubic_samples_beyond_the_border_overshoot,
        a_cubic_that_overshoots_is_the_nearest_that_the_type_has,
        of_nothing_there_is_nothing_to_make,
    };
    return suite_run_with("engine: resampling", tests, ARRAY_COUNT(tests), NULL,
                          release_all);
}
