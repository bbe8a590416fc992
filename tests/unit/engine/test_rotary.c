/* test_rotary.c - features are turned by the angles of their position, in every row. */
#include "graph_fixture.h"
#include "tests/unit/suite.h"

#define ROWS 3

static struct bytes graph;

/* PyTorch computes the angles once, from positions that all rows share. */
START_TEST(one_cache_turns_every_row_of_a_batch) {
    static const float cosines[] = {0.6F, 0}, sines[] = {0.8F, 1};
    const int64_t x[] = {-1, 1, 2, 2}, cache[] = {1, 2, 1};
    static struct bytes node;
    graph.size = node.size = 0;
    put_port(&graph, 11, "x", DTYPE_F32, x, 4);
    put_port(&graph, 12, "y", DTYPE_F32, x, 4);
    put_weight(&graph, "cos", DTYPE_F32, cache, 3, cosines, sizeof(cosines));
    put_weight(&graph, "sin", DTYPE_F32, cache, 3, sines, sizeof(sines));
    put_text(&node, 1, "x");
    put_text(&node, 1, "cos");
    put_text(&node, 1, "sin");
    put_text(&node, 2, "y");
    put_text(&node, 4, "RotaryEmbedding");
    put_message(&graph, 1, &node);
    struct model *model = open_graph_of(23, &graph, PASSES_ALL);
    struct session *session = open_session(model);
    struct tensor rows = make_rows(model, 1, ROWS);
    float expected[4 * ROWS];
    for (int i = 0; i < 2 * ROWS; i++) {
        const float *pair = (const float *)rows.data + 2 * i, *c = &cosines[i % 2],
                    *s = &sines[i % 2];
        expected[2 * i] = *c * pair[0] - *s * pair[1];
        expected[2 * i + 1] = *s * pair[0] + *c * pair[1];
    }
    run_rows(session, &rows);
    assert_close(session_output(session, 0)->data, expected, 4 * ROWS, 1e-6);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        one_cache_turns_every_row_of_a_batch,
    };
    return suite_run_with("engine: rotary embeddings", tests, ARRAY_COUNT(tests), NULL,
                          release_all);
}
