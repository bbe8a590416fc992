/* test_reduce.c - sums and means over any axes, beside the definition. */
#include "graph_fixture.h"

#define RANK 5

/* More columns than are summed side by side, and axes of one element. */
static const int64_t shapes[][RANK] = {
    {3, 2, 3, 70, 5}, {2, 4, 1, 3, 9}, {2, 1, 6, 4, 1}};

static struct bytes graph;

static struct model *open_reduction(const char *type, unsigned axes,
                                    const int64_t *dims) {
    static struct bytes node, attr;
    int64_t x[RANK], y[RANK];
    graph.size = node.size = attr.size = 0;
    put_node_fields(&node, type, "x", NULL, "y");
    put_text(&attr, 1, "axes");
    for (int i = 0; i < RANK; i++) {
        const bool reduced = (axes >> i & 1) != 0;
        x[i] = i == 0 ? -1 : dims[i];
        y[i] = reduced ? 1 : x[i];
        if (reduced) {
            put_int(&attr, 8, i);
        }
    }
    put_int(&attr, 20, 7);
    put_message(&node, 5, &attr);
    put_message(&graph, 1, &node);
    put_port(&graph, 11, "x", DTYPE_F32, x, RANK);
    put_port(&graph, 12, "y", DTYPE_F32, y, RANK);
    return open_graph_of(11, &graph, PASSES_ALL);
}

/* Adds each element of x to the sum of where it goes. */
static void sum_plainly(const int64_t *dims, unsigned axes, const float *x,
                        double *sums) {
    int64_t count = 1;
    for (int i = 0; i < RANK; i++) {
        count *= dims[i];
    }
    for (int64_t at = 0; at < count; at++) {
        int64_t rest = at, to = 0, step = 1;
        for (int i = RANK - 1; i >= 0; i--) {
            if ((axes >> i & 1) == 0) {
                to += rest % dims[i] * step;
                step *= dims[i];
            }
            rest /= dims[i];
        }
        sums[to] += (double)x[at];
    }
}

static void check(const char *type, unsigned axes, const int64_t *dims) {
    struct model *model = open_reduction(type, axes, dims);
    struct session *session = open_session(model);
    const struct tensor x = make_rows(model, 3, dims[0]);
    run_rows(session, &x);
    const struct tensor *y = session_output(session, 0);
    const size_t count = tensor_count(y), each = tensor_count(&x) / count;
    double *sums = keep(calloc(count, sizeof(*sums)));
    sum_plainly(dims, axes, x.data, sums);
    for (size_t i = 0; i < count; i++) {
        const double is =
            strcmp(type, "ReduceMean") == 0 ? sums[i] / (double)each : sums[i];
        ck_assert_double_eq_tol(((const float *)y->data)[i], is, 1e-6 * (double)each);
    }
}

START_TEST(sums_and_means_over_any_axes_are_their_definition) {
    for (size_t i = 0; i < ARRAY_COUNT(shapes); i++) {
        check("ReduceMean", (unsigned)_i, shapes[i]);
        check("ReduceSum", (unsigned)_i, shapes[i]);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("engine: sums over axes");
    TCase *tests = tcase_create("reduce");
    SRunner *runner = srunner_create(suite);
    int failed;
    tcase_add_checked_fixture(tests, NULL, release_all);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, sums_and_means_over_any_axes_are_their_definition, 1,
                        1 << RANK);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
