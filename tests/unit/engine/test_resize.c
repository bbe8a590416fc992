/* test_resize.c - integers are resized as their numbers are, and stay in their type. */
#include "graph_fixture.h"

#define COUNT 12
#define WIDE (2 * COUNT)

static struct bytes graph;

static void put_resize(const char *from, const char *by, const char *to) {
    struct bytes node = {.size = 0}, mode = {.size = 0};

    put_text(&node, 1, from);
    put_text(&node, 1, "");
    if (strcmp(by, "sizes") == 0) {
        put_text(&node, 1, "");
    }
    put_text(&node, 1, by);
    put_text(&node, 2, to);
    put_text(&node, 4, "Resize");
    put_text(&mode, 1, "mode");
    put_text(&mode, 4, "cubic");
    put_int(&mode, 20, 3);
    put_message(&node, 5, &mode);
    put_message(&graph, 1, &node);
}

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

    put_port(&graph, 11, "x", DTYPE_F32, in, 2);
    put_port(&graph, 12, "plain", DTYPE_F32, out, 2);
    put_port(&graph, 12, "bytes", DTYPE_U8, out, 2);
    put_weight(&graph, "scales", DTYPE_F32, &pair, 1, scales, sizeof scales);
    put_cast("x", "x_bytes", DTYPE_U8);
    put_resize("x", "scales", "plain");
    put_resize("x_bytes", "scales", "bytes");
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

    put_port(&graph, 11, "x", DTYPE_F32, in, 2);
    put_port(&graph, 12, "y", DTYPE_F32, in, 2);
    put_weight(&graph, "sizes", DTYPE_I64, &pair, 1, sizes, sizeof sizes);
    put_resize("x", "sizes", "y");
    struct session *session = open_session(open_graph(&graph, PASSES_ALL));
    ck_assert_int_eq(session_prepare(session, &x, &err), STATUS_POISON);
    x.dims[0] = 1;
    ck_assert_int_eq(session_prepare(session, &x, &err), STATUS_OK);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_cubic_that_overshoots_is_the_nearest_that_the_type_has,
        of_nothing_there_is_nothing_to_make,
    };
    return suite_run_with("resize", tests, ARRAY_COUNT(tests), NULL, release_all);
}
