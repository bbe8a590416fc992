/* test_select.c - the best few are found whichever way they are looked for. */
#include "graph_fixture.h"

#define ROWS 5
#define COUNT 90
#define FEW 7   /* kept in order while the others pass */
#define MANY 80 /* all are sorted */

static struct bytes graph;

static void put_int_attr(struct bytes *node, const char *name, int64_t value) {
    struct bytes attr = {.size = 0};
    put_text(&attr, 1, name);
    put_int(&attr, 3, value);
    put_int(&attr, 20, 2);
    put_message(node, 5, &attr);
}

static void put_top(int64_t k, bool largest, const char *name, const char *values,
                    const char *indices) {
    static struct bytes node;
    const int64_t one = 1;
    node.size = 0;
    put_weight(&graph, name, DTYPE_I64, &one, 1, &k, sizeof(k));
    put_node_fields(&node, "TopK", "x", name, values);
    put_text(&node, 2, indices);
    put_int_attr(&node, "largest", largest);
    put_message(&graph, 1, &node);
}

static void put_x(void) {
    const int64_t dims[2] = {-1, COUNT};
    graph.size = 0;
    put_port(&graph, 11, "x", DTYPE_F32, dims, 2);
}

/* Few different numbers, so that many are equal, and a NaN in every third row. */
static struct tensor make_x(const struct model *model) {
    struct tensor x = make_rows(model, 1, ROWS);
    float *at = x.data;
    for (int i = 0; i < ROWS * COUNT; i++) {
        at[i] = floorf(at[i] * 20);
    }
    at[40] = at[3 * COUNT + 89] = NAN;
    return x;
}

START_TEST(the_best_few_are_the_first_of_the_best_many) {
    const int64_t few[2] = {-1, FEW}, many[2] = {-1, MANY};
    put_x();
    put_port(&graph, 12, "few", DTYPE_I64, few, 2);
    put_port(&graph, 12, "many", DTYPE_I64, many, 2);
    put_top(FEW, _i == 1, "k_few", "few_values", "few");
    put_top(MANY, _i == 1, "k_many", "many_values", "many");
    struct model *model = open_graph(&graph, PASSES_ALL);
    struct session *session = open_session(model);
    struct tensor x = make_x(model);
    run_rows(session, &x);
    for (int row = 0; row < ROWS; row++) {
        const int64_t *a = (const int64_t *)session_output(session, 0)->data + row * FEW;
        const int64_t *b = (const int64_t *)session_output(session, 1)->data + row * MANY;
        const float *line = (const float *)x.data + row * COUNT;
        for (int i = 0; i < FEW; i++) {
            ck_assert_int_eq(a[i], b[i]);
            if (i > 0 && !isnan(line[a[i]]) && !isnan(line[a[i - 1]])) {
                float step = line[a[i]] - line[a[i - 1]];
                ck_assert(_i == 1 ? step <= 0 : step >= 0);
            }
        }
    }
}
END_TEST

START_TEST(the_least_of_a_row_or_column_is_found_and_nan_wins) {
    const int64_t axis = _i;
    const int64_t dims[2] = {axis == 0 ? 1 : -1, axis == 0 ? COUNT : 1};
    static struct bytes node, attr;
    put_x();
    put_port(&graph, 12, "y", DTYPE_F32, dims, 2);
    node.size = attr.size = 0;
    put_node_fields(&node, "ReduceMin", "x", NULL, "y");
    put_text(&attr, 1, "axes");
    put_int(&attr, 8, axis);
    put_int(&attr, 20, 7);
    put_message(&node, 5, &attr);
    put_message(&graph, 1, &node);
    struct model *model = open_graph(&graph, PASSES_ALL);
    struct session *session = open_session(model);
    struct tensor x = make_x(model);
    const float *at = x.data;
    run_rows(session, &x);
    const float *y = session_output(session, 0)->data;
    for (int i = 0; i < (axis == 0 ? COUNT : ROWS); i++) {
        float least = INFINITY;
        for (int k = 0; k < (axis == 0 ? ROWS : COUNT); k++) {
            float element = axis == 0 ? at[k * COUNT + i] : at[i * COUNT + k];
            least = element < least || isnan(element) ? element : least;
        }
        ck_assert(isnan(least) ? isnan(y[i]) : y[i] == least);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("engine: the best few");
    TCase *tests = tcase_create("select");
    SRunner *runner = srunner_create(suite);
    int failed;
    tcase_add_checked_fixture(tests, NULL, release_all);
    tcase_add_loop_test(tests, the_best_few_are_the_first_of_the_best_many, 0, 2);
    tcase_add_loop_test(tests, the_least_of_a_row_or_column_is_found_and_nan_wins, 0, 2);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
