/* test_product.c - products whose constant side is the left one, as einsum is exported.
 */
#include "graph_fixture.h"

enum { DEPTH = 130, ROWS = 5 };

static struct bytes graph;

static void put_product(const char *op, const char *equation, const char *right) {
    struct bytes node = {.size = 0}, attr = {.size = 0};
    put_node_fields(&node, op, "w", right, "z");
    if (equation != NULL) {
        put_text(&attr, 1, "equation");
        put_text(&attr, 4, equation);
        put_int(&attr, 20, 3);
        put_message(&node, 5, &attr);
    }
    put_message(&graph, 1, &node);
}

/* y = (w x')' for w [stack,m,DEPTH] or, where `stack` is 0, [m,DEPTH]; with `apart` x' is
 * a stack, too. */
static struct model *open_left(const char *op, const char *equation, int64_t stack,
                               bool apart, int64_t m) {
    static const float zeros[2] = {0};
    const int64_t apart_dims[] = {stack, 1, 1};
    const int64_t w_dims[] = {stack, m, DEPTH}, x_dims[] = {-1, DEPTH};
    const int64_t y_dims[] = {-1, m, stack};
    const size_t count = (size_t)((stack > 0 ? stack : 1) * m * DEPTH);
    const int skipped = stack > 0 ? 0 : 1;
    float *w = keep(malloc(count * sizeof(*w)));
    for (size_t i = 0; i < count; i++) {
        w[i] = (float)(i * 7919 % 1009) / 1009.0F - 0.5F;
    }
    graph.size = 0;
    put_weight(&graph, "w", DTYPE_F32, w_dims + skipped, 3 - skipped, w,
               count * sizeof(*w));
    put_node(&graph, "Transpose", "x", NULL, "t");
    if (apart) {
        put_weight(&graph, "zeros", DTYPE_F32, apart_dims, 3, zeros, sizeof(zeros));
        put_node(&graph, "Add", "t", "zeros", "ts");
    }
    put_product(op, equation, apart ? "ts" : "t");
    put_node(&graph, "Transpose", "z", NULL, "y");
    put_port(&graph, 11, "x", DTYPE_F32, x_dims, 2);
    put_port(&graph, 12, "y", DTYPE_F32, y_dims, 3 - skipped);
    return open_graph(&graph, PASSES_ALL);
}

START_TEST(rows_that_become_columns_have_the_same_bits_alone) {
    static const struct {
        const char *op, *equation;
        int64_t stack;
        bool apart;
    } products[] = {
        {"MatMul", NULL, 0, false},        {"MatMul", NULL, 2, false},
        {"MatMul", NULL, 2, true},         {"Gemm", NULL, 0, false},
        {"Einsum", "ij,jk->ik", 0, false}, {"Einsum", "sij,jk->sik", 2, false}};
    static const int64_t ms[] = {1, 6, 40}; /* turned when needed, packed before */
    for (size_t i = 0; i < ARRAY_COUNT(products) * ARRAY_COUNT(ms); i++) {
        const size_t p = i / ARRAY_COUNT(ms);
        struct model *model =
            open_left(products[p].op, products[p].equation, products[p].stack,
                      products[p].apart, ms[i % ARRAY_COUNT(ms)]);
        struct session *alone = open_session(model), *batch = open_session(model);
        const struct tensor all = make_rows(model, 0, ROWS);
        run_rows(batch, &all);
        for (int row = 0; row < ROWS; row++) {
            const struct tensor one = make_rows(model, row, 1);
            run_rows(alone, &one);
            const size_t count = row_count(alone);
            ck_assert_mem_eq(session_output(alone, 0)->data,
                             (const float *)session_output(batch, 0)->data +
                                 (size_t)row * count,
                             count * sizeof(float));
        }
    }
}
END_TEST

int main(void) {
    const TTest *const tests[] = {rows_that_become_columns_have_the_same_bits_alone};
    return suite_run_with("products", tests, ARRAY_COUNT(tests), NULL, release_all);
}
