/* test_graph.c - values, nodes and what passes ask of them. */
#include "engine/graph.h"

#include "engine/op.h"
#include "tests/unit/suite.h"

static const struct op plain_op = {.name = "Plain"};
static const struct op foreign_op = {.domain = "com.example", .name = "Plain"};

/* A graph under construction; freed by each test. */
static struct graph graph;
static struct budget budget;

static void set_up(void) {
    graph = (struct graph){.budget = &budget};
    budget = (struct budget){.max = (size_t)1 << 20};
    arena_init(&graph.arena, 0);
}

static void tear_down(void) {
    graph_release(&graph);
}

static int add_value(const char *name) {
    const int value = graph_add_value(&graph, name);
    ck_assert_int_ge(value, 0);
    return value;
}

static int add_input(const char *name) {
    const int value = add_value(name);
    graph.values[value].input = graph.input_count++;
    return value;
}

/* A node of two inputs, either of which may be VALUE_NONE; returns its output. */
static int add_node(const char *name, int left, int right) {
    const int output = add_value(name), n = graph_add_node(&graph);
    ck_assert_int_ge(n, 0);
    struct node *node = &graph.nodes[n];
    ck_assert(graph_node_room(&graph, node, 2, 1));
    node->op = &plain_op;
    node->type = "Plain";
    node->name = name;
    node->inputs[0] = left;
    node->inputs[1] = right;
    node->outputs[0] = output;
    return output;
}

static struct node *node_of(const char *name) {
    int n = 0;
    while (n < graph.node_count && strcmp(graph.nodes[n].name, name) != 0) {
        n++;
    }
    ck_assert_int_lt(n, graph.node_count);
    return &graph.nodes[n];
}

static void finish(int output) {
    static int outputs[1];
    outputs[0] = output;
    graph.outputs = outputs;
    graph.output_count = 1;
    graph.values[output].is_output = true;
    graph_recount(&graph);
}

START_TEST(uses_and_producers_are_counted) {
    const int x = add_input("x");
    const int a = add_node("a", x, x);
    const int b = add_node("b", a, x);
    finish(b);
    ck_assert_int_eq(graph.values[x].use_count, 3);
    ck_assert_int_eq(graph.values[a].use_count, 1);
    ck_assert_int_eq(graph.values[b].use_count, 1); /* by the graph's output */
    ck_assert_int_eq(graph.values[x].producer, NODE_NONE);
    ck_assert_int_eq(graph.values[b].producer, 1);
    node_of("b")->dead = true;
    graph_recount(&graph);
    ck_assert_int_eq(graph.values[x].use_count, 2);
    ck_assert_int_eq(graph.values[b].producer, NODE_NONE);
}
END_TEST

START_TEST(sweep_drops_what_nobody_reads) {
    const int x = add_input("x");
    const int a = add_node("a", x, VALUE_NONE);
    const int unread = add_node("unread", a, VALUE_NONE);
    (void)add_node("unread too", unread, x);
    const int b = add_node("b", a, VALUE_NONE);
    finish(b);
    graph_sweep(&graph);
    ck_assert_int_eq(graph.node_count, 2);
    ck_assert_str_eq(graph.nodes[0].name, "a");
    ck_assert_str_eq(graph.nodes[1].name, "b");
    ck_assert_int_eq(graph.values[a].use_count, 1);
    ck_assert_int_eq(graph.values[b].producer, 1);
    graph_check(&graph);
}
END_TEST

START_TEST(sole_producer_has_one_reader) {
    const int x = add_input("x");
    const int once = add_node("once", x, VALUE_NONE);
    const int twice = add_node("twice", once, VALUE_NONE);
    const int end = add_node("end", twice, twice);
    finish(end);
    struct node *node = node_of("twice");
    ck_assert_ptr_eq(graph_sole_producer(&graph, node, 0), node_of("once"));
    ck_assert_ptr_null(graph_sole_producer(&graph, node, 1)); /* absent */
    ck_assert_ptr_null(graph_sole_producer(&graph, node_of("end"), 0));
    ck_assert_ptr_null(graph_sole_producer(&graph, node_of("once"), 0)); /* an input */
}
END_TEST

START_TEST(graph_output_has_no_sole_producer) {
    const int x = add_input("x");
    const int a = add_node("a", x, VALUE_NONE);
    (void)add_node("b", a, VALUE_NONE);
    finish(a);
    ck_assert_ptr_null(graph_sole_producer(&graph, node_of("b"), 0));
    ck_assert_ptr_null(graph_sole_reader(&graph, node_of("a"), "Plain"));
}
END_TEST

START_TEST(sole_reader_is_of_the_type_and_domain) {
    const int x = add_input("x");
    const int a = add_node("a", x, VALUE_NONE);
    const int b = add_node("b", VALUE_NONE, a);
    finish(b);
    ck_assert_ptr_eq(graph_sole_reader(&graph, node_of("a"), "Plain"), node_of("b"));
    ck_assert_ptr_null(graph_sole_reader(&graph, node_of("a"), "Fancy"));
    ck_assert_ptr_null(graph_sole_reader(&graph, node_of("b"), "Plain")); /* no reader */
    node_of("b")->op = &foreign_op;
    ck_assert_ptr_null(graph_sole_reader(&graph, node_of("a"), "Plain"));
}
END_TEST

START_TEST(readers_move_to_another_value) {
    const int x = add_input("x");
    const int a = add_node("a", x, VALUE_NONE);
    const int b = add_node("b", a, a);
    finish(b);
    graph_replace_uses(&graph, a, x);
    ck_assert_int_eq(node_of("b")->inputs[0], x);
    ck_assert_int_eq(node_of("b")->inputs[1], x);
    ck_assert_int_eq(graph.values[a].use_count, 0);
    ck_assert_int_eq(graph.values[x].use_count, 3);
}
END_TEST

START_TEST(absent_inputs_have_no_type_and_no_constant) {
    const struct tensor constant = {.dtype = DTYPE_I64};
    const int x = add_input("x"), c = add_value("c");
    graph.values[c].constant = &constant;
    graph.values[c].dtype = DTYPE_I64;
    const int a = add_node("a", c, VALUE_NONE);
    const int b = add_node("b", x, a);
    finish(b);
    const struct node *node = node_of("a");
    ck_assert_ptr_eq(graph_constant(&graph, node, 0), &constant);
    ck_assert_ptr_null(graph_constant(&graph, node, 1));
    ck_assert_ptr_null(graph_constant(&graph, node, 2)); /* past the last */
    ck_assert_ptr_null(graph_constant(&graph, node_of("b"), 0));
    ck_assert_int_eq(graph_input_dtype(&graph, node, 0), DTYPE_I64);
    ck_assert_int_eq(graph_input_dtype(&graph, node, 1), DTYPE_NONE);
    graph_set_output(&graph, node, 0, DTYPE_F64);
    graph_set_output(&graph, node, 1, DTYPE_F64); /* past the last */
    ck_assert_int_eq(graph.values[a].dtype, DTYPE_F64);
}
END_TEST

START_TEST(arrays_grow_and_keep_what_they_hold) {
    enum { MANY = 5000 };
    int last = add_input("x");
    for (int i = 0; i < MANY; i++) {
        last = add_node("n", last, VALUE_NONE);
    }
    finish(last);
    graph_sweep(&graph);
    ck_assert_int_eq(graph.node_count, MANY);
    ck_assert_int_eq(graph.nodes[MANY - 1].inputs[0], MANY - 1);
    graph_check(&graph);
}
END_TEST

START_TEST(memory_is_aligned_counted_and_bounded) {
    unsigned char *one = graph_memory(&graph, 1), *none = graph_memory(&graph, 0);
    ck_assert_ptr_nonnull(one);
    ck_assert_ptr_nonnull(none);
    ck_assert_uint_eq((uintptr_t)one % 64, 0);
    ck_assert_uint_eq((uintptr_t)none % 64, 0);
    *one = 1;
    ck_assert_uint_eq(graph.block_size, 1);
    ck_assert_ptr_null(graph_memory(&graph, SIZE_MAX));
    ck_assert_ptr_null(graph_memory(&graph, SIZE_MAX - 64));
}
END_TEST

START_TEST(budget_bounds_all_memory_and_takes_back_what_is_freed) {
    void *first = graph_data(&graph, budget.max / 2);
    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_nonnull(graph_memory(&graph, budget.max / 2));
    ck_assert_ptr_null(graph_memory(&graph, 1));
    ck_assert_ptr_null(graph_data(&graph, 1));
    graph_data_free(&graph, first);
    ck_assert_uint_eq(graph.block_size, budget.max / 2);
    ck_assert_uint_eq(budget.used, budget.max / 2);
    ck_assert_ptr_nonnull(graph_data(&graph, 1));
}
END_TEST

START_TEST(data_blocks_are_walked_and_freed_in_any_order) {
    unsigned char *blocks[3];
    size_t size = 0;
    for (size_t i = 0; i < 3; i++) {
        blocks[i] = graph_data(&graph, 100 + i);
        ck_assert_ptr_nonnull(blocks[i]);
        ck_assert_ptr_nonnull(graph_memory(&graph, 7)); /* is passed over */
    }
    for (const void *at = NULL; (at = graph_data_next(&graph, at)) != NULL;) {
        size += graph_data_size(at);
    }
    ck_assert_uint_eq(size, 303);
    graph_data_free(&graph, blocks[1]);
    graph_data_free(&graph, blocks[2]);
    ck_assert_ptr_eq(graph_data_next(&graph, NULL), blocks[0]);
    graph_data_free(&graph, blocks[0]);
    ck_assert_ptr_null(graph_data_next(&graph, NULL));
    ck_assert_uint_eq(budget.used, 21);
}
END_TEST

START_TEST(error_names_the_node) {
    char long_text[2 * ERROR_TEXT_MAX];
    struct error err;
    const struct node node = {.type = "Conv", .name = "stem/conv1"};
    ck_assert_int_eq(node_error(&node, &err, STATUS_INVALID, "group=%d", 2),
                     STATUS_INVALID);
    ck_assert_str_eq(err.text, "Conv 'stem/conv1': group=2");
    memset(long_text, 'x', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = 0;
    (void)node_error(&node, &err, STATUS_INVALID, "%s", long_text);
    ck_assert_uint_lt(strlen(err.text), ERROR_TEXT_MAX);
}
END_TEST

START_TEST(release_leaves_a_zeroed_graph) {
    (void)add_node("a", add_input("x"), VALUE_NONE);
    ck_assert_ptr_nonnull(graph_memory(&graph, 1000));
    graph_release(&graph);
    ck_assert_int_eq(graph.node_count + graph.value_count, 0);
    graph_release(&graph);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        uses_and_producers_are_counted,
        sweep_drops_what_nobody_reads,
        sole_producer_has_one_reader,
        graph_output_has_no_sole_producer,
        sole_reader_is_of_the_type_and_domain,
        readers_move_to_another_value,
        absent_inputs_have_no_type_and_no_constant,
        arrays_grow_and_keep_what_they_hold,
        memory_is_aligned_counted_and_bounded,
        budget_bounds_all_memory_and_takes_back_what_is_freed,
        data_blocks_are_walked_and_freed_in_any_order,
        error_names_the_node,
        release_leaves_a_zeroed_graph,
    };
    return suite_run_with("engine: graph", tests, ARRAY_COUNT(tests), set_up, tear_down);
}
