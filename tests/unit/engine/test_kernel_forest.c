/* test_kernel_forest.c - random trees: all layouts give what the definition says, to the
 * bit, at every level, however the rows are cut. */
#include "engine/kernels/forest.h"

#include "engine/ops/ml_forest.h"
#include "tests/unit/engine/kernel_test.h"

/* A forest as its makers have it, before comparisons become one kind. */
struct plan {
    int64_t features, targets;
    size_t trees, leaves_max; /* of a tree */
    int weights;              /* of a leaf: 1 of the tree's target, or more of any */
    bool holes;               /* some nodes send NaN to yes */
    bool all_modes;
    bool fine; /* nearly every threshold is another: more than a column of codes holds */
    enum forest_fold fold;
};

struct wood {
    struct plan plan;
    struct forest_source source;
    struct forest_weight *weights;
    enum forest_mode *modes; /* of the nodes as they were drawn */
    struct forest_node *drawn;
    float *values;
    bool *missing;
    uint32_t *roots;
};

static void *zeroed(size_t count, size_t size) {
    return keep(calloc(count + 1, size));
}

/* Few values, so that rows meet thresholds exactly. */
static float coarse(void) {
    return (float)number_between(-12, 12) / 4;
}

static uint32_t add_leaf(struct wood *wood, uint32_t target) {
    const uint32_t n = (uint32_t)wood->source.node_count++;
    struct forest_node *node = &wood->drawn[n];
    *node =
        (struct forest_node){.leaf = true, .yes = (uint32_t)wood->source.weight_count};
    node->no =
        (uint32_t)(wood->plan.weights == 1 ? 1 : number_between(0, wood->plan.weights));
    for (uint32_t w = 0; w < node->no; w++) {
        wood->weights[wood->source.weight_count++] = (struct forest_weight){
            .target = wood->plan.weights == 1
                          ? target
                          : (uint32_t)number_between(0, wood->plan.targets - 1),
            .value = number()};
    }
    return n;
}

/* Splits a random leaf of the tree until there are enough. */
static void grow_tree(struct wood *wood, size_t tree) {
    const uint32_t target = (uint32_t)number_between(0, wood->plan.targets - 1);
    const size_t leaves = (size_t)number_between(1, (int64_t)wood->plan.leaves_max);
    const size_t first = wood->source.node_count;
    wood->roots[tree] = add_leaf(wood, target);
    for (size_t count = 1; count < leaves;) {
        const size_t n =
            (size_t)number_between((int64_t)first, (int64_t)wood->source.node_count - 1);
        struct forest_node *node = &wood->drawn[n];
        if (!node->leaf) {
            continue;
        }
        node->yes = add_leaf(wood, target);
        node->no = add_leaf(wood, target);
        node->leaf = false;
        node->feature = (uint32_t)number_between(0, wood->plan.features - 1);
        wood->values[n] = number_between(0, 40) == 0   ? INFINITY
                          : number_between(0, 40) == 0 ? -INFINITY
                          : wood->plan.fine            ? 3 * number()
                                                       : coarse();
        wood->modes[n] = wood->plan.all_modes
                             ? (enum forest_mode)number_between(FOREST_LEQ, FOREST_NEQ)
                             : FOREST_LEQ;
        wood->missing[n] = wood->plan.holes && number_between(0, 1) == 1;
        count++;
    }
}

static struct wood grow(struct plan plan) {
    const size_t nodes = 2 * plan.trees * plan.leaves_max;
    struct wood wood = {.plan = plan};
    wood.source.node_room = 2 * nodes;
    wood.source.nodes = zeroed(2 * nodes, sizeof(*wood.source.nodes));
    wood.drawn = zeroed(nodes, sizeof(*wood.drawn));
    wood.modes = zeroed(nodes, sizeof(*wood.modes));
    wood.values = zeroed(nodes, sizeof(*wood.values));
    wood.missing = zeroed(nodes, sizeof(*wood.missing));
    wood.roots = zeroed(plan.trees, sizeof(*wood.roots));
    wood.weights = zeroed(nodes * (size_t)plan.weights, sizeof(*wood.weights));
    for (size_t tree = 0; tree < plan.trees; tree++) {
        grow_tree(&wood, tree);
    }
    memcpy(wood.source.nodes, wood.drawn, wood.source.node_count * sizeof(*wood.drawn));
    wood.source.weights = wood.weights;
    wood.source.roots = wood.roots;
    wood.source.root_count = plan.trees;
    wood.source.targets = plan.targets;
    wood.source.fold = plan.fold;
    for (size_t n = 0, count = wood.source.node_count; n < count; n++) {
        if (!wood.drawn[n].leaf) {
            forest_compare(&wood.source, (uint32_t)n, wood.modes[n],
                           (double)wood.values[n], wood.missing[n]);
        }
    }
    return wood;
}

/* ---- the definition -----------------------------------------------------------------
 */

static bool leads_to_yes(enum forest_mode mode, double x, double value, bool missing) {
    if (isnan(x)) {
        return missing || mode == FOREST_NEQ;
    }
    switch (mode) {
    case FOREST_LEQ:
        return x <= value;
    case FOREST_LT:
        return x < value;
    case FOREST_GTE:
        return x >= value;
    case FOREST_GT:
        return x > value;
    case FOREST_EQ:
        return x == value;
    case FOREST_NEQ:
        return x != value;
    case FOREST_LEAF:
        break;
    }
    return false;
}

static void reference_row(const struct wood *wood, const float *x, float *y) {
    const enum forest_fold fold = wood->plan.fold;
    for (int64_t t = 0; t < wood->plan.targets; t++) {
        y[t] = fold == FOREST_SUM ? 0 : fold == FOREST_MIN ? INFINITY : -INFINITY;
    }
    for (size_t tree = 0; tree < wood->plan.trees; tree++) {
        uint32_t n = wood->roots[tree];
        while (!wood->drawn[n].leaf) {
            const struct forest_node *node = &wood->drawn[n];
            n = leads_to_yes(wood->modes[n], (double)x[node->feature],
                             (double)wood->values[n], wood->missing[n])
                    ? node->yes
                    : node->no;
        }
        float each[64] = {0}; /* a leaf's weights of one target are one weight */
        for (uint32_t w = 0; w < wood->drawn[n].no; w++) {
            const struct forest_weight *weight = &wood->weights[wood->drawn[n].yes + w];
            float *sum = fold == FOREST_SUM ? &each[weight->target] : &y[weight->target];
            *sum = fold == FOREST_SUM   ? *sum + weight->value
                   : fold == FOREST_MIN ? fminf(*sum, weight->value)
                                        : fmaxf(*sum, weight->value);
        }
        for (int64_t t = 0; fold == FOREST_SUM && t < wood->plan.targets; t++) {
            y[t] += each[t];
        }
    }
}

static float *make_rows(const struct plan *plan, int64_t rows) {
    float *x = floats_unaligned(rows * plan->features);
    for (int64_t i = 0; i < rows * plan->features; i++) {
        x[i] = number_between(0, 9) == 0    ? NAN
               : number_between(0, 50) == 0 ? (number() < 0 ? -INFINITY : INFINITY)
                                            : coarse();
    }
    return x;
}

/* ---- tests ----------------------------------------------------------------------------
 */

static struct forest build(struct graph *graph, struct forest_source source, bool wide,
                           bool walk_only, bool mask_always) {
    struct forest forest;
    struct error err;
    source.wide = wide;
    source.walk_only = walk_only;
    source.mask_always = mask_always;
    ck_assert_int_eq(forest_build(graph, &source, &forest, &err), STATUS_OK);
    return forest;
}

/* Any number of rows, as many as are left of `rows`, gives the reference's bits. */
static void check_rows(const struct forest *forest, const struct plan *plan, int64_t rows,
                       const float *x, const float *want, double tolerance) {
    void *scratch = memory_aligned(forest_scratch_size(forest));
    for (int64_t row = 0, count; row < rows; row += count) {
        count =
            number_between(1, 3) == 1 ? number_between(1, 200) : number_between(1, 20);
        count = count > rows - row ? rows - row : count;
        float *y = floats_random(count * plan->targets);
        forest_run(forest, count, x + row * plan->features, plan->features, y, scratch);
        for (int64_t i = 0; i < count * plan->targets; i++) {
            const float expected = want[row * plan->targets + i];
            ck_assert_msg(y[i] == expected ||
                              fabs((double)y[i] - (double)expected) <= tolerance,
                          "row %lld: %g, not %g", (long long)(row + i / plan->targets),
                          (double)y[i], (double)expected);
        }
    }
}

static int64_t check_plan(struct plan plan, double tolerance) {
    enum { ROWS = 300 };
    struct wood wood = grow(plan);
    struct budget budget = {.max = (size_t)1 << 28};
    struct graph graph = {.budget = &budget};
    struct forest_cuts cuts;
    struct error err;
    const float *x = make_rows(&plan, ROWS);
    float *want = floats_unaligned(ROWS * plan.targets);
    int64_t masked = 0;
    arena_init(&graph.arena, 0);
    for (int64_t r = 0; r < ROWS; r++) {
        reference_row(&wood, x + r * plan.features, want + r * plan.targets);
    }
    ck_assert_int_eq(forest_settle(&graph, &wood.source, false, &cuts, &err), STATUS_OK);
    const struct forest forests[] = {build(&graph, wood.source, false, false, false),
                                     build(&graph, wood.source, false, false, true),
                                     build(&graph, wood.source, true, true, false),
                                     build(&graph, wood.source, false, true, false)};
    FOR_EACH_LEVEL(level) {
        for (size_t i = 0; i < ARRAY_COUNT(forests); i++) {
            check_rows(&forests[i], &plan, ROWS, x, want, tolerance);
        }
    }
    masked = forests[1].masks.rows_min;
    graph_release(&graph);
    release_kept();
    return masked;
}

START_TEST(trees_with_one_weight_add_up_in_order) {
    int masked = 0;
    for (int round = 0; round < 60; round++) {
        const struct plan plan = {.features = number_between(1, 20),
                                  .targets = number_between(1, 4),
                                  .trees = (size_t)number_between(1, 40),
                                  .leaves_max = (size_t)number_between(1, 70),
                                  .weights = 1,
                                  .holes = round % 2 == 0};
        masked += check_plan(plan, 0) > 0;
    }
    ck_assert_int_gt(masked, 10); /* or the masks were not tested */
}
END_TEST

START_TEST(trees_of_up_to_256_leaves_are_masked) {
    for (int round = 0; round < 10; round++) {
        const struct plan plan = {.features = 3,
                                  .targets = 1,
                                  .trees = 9,
                                  .leaves_max = 256,
                                  .weights = 1,
                                  .fine = round % 2 == 0,
                                  .holes = true};
        ck_assert_int_gt(check_plan(plan, 0), 0);
    }
}
END_TEST

START_TEST(leaves_may_have_any_weights) {
    for (int round = 0; round < 40; round++) {
        const struct plan plan = {.features = number_between(1, 9),
                                  .targets = number_between(1, 5),
                                  .trees = (size_t)number_between(1, 20),
                                  .leaves_max = (size_t)number_between(1, 40),
                                  .weights = (int)number_between(2, 8),
                                  .holes = true,
                                  .all_modes = round % 3 == 0};
        /* Weights of one target in a leaf are added before or one by one. */
        (void)check_plan(plan, 1e-5);
    }
}
END_TEST

START_TEST(the_least_and_the_most_weight_are_found) {
    for (int round = 0; round < 20; round++) {
        const struct plan plan = {.features = 4,
                                  .targets = number_between(1, 3),
                                  .trees = (size_t)number_between(1, 20),
                                  .leaves_max = (size_t)number_between(1, 40),
                                  .weights = (int)number_between(1, 4),
                                  .fold = round % 2 == 0 ? FOREST_MIN : FOREST_MAX};
        (void)check_plan(plan, 0);
    }
}
END_TEST

START_TEST(every_comparison_becomes_one_kind) {
    for (int round = 0; round < 60; round++) {
        const struct plan plan = {.features = number_between(1, 6),
                                  .targets = 1,
                                  .trees = (size_t)number_between(1, 12),
                                  .leaves_max = (size_t)number_between(1, 60),
                                  .weights = 1,
                                  .holes = round % 2 == 0,
                                  .all_modes = true};
        (void)check_plan(plan, 0);
    }
}
END_TEST

START_TEST(deep_trees_are_walked_to_their_ends) {
    for (int round = 0; round < 4; round++) {
        const struct plan plan = {.features = number_between(1, 40),
                                  .targets = 1,
                                  .trees = 11,
                                  .leaves_max = 3000,
                                  .weights = 1,
                                  .holes = round % 2 == 0};
        (void)check_plan(plan, 0);
    }
}
END_TEST

START_TEST(doubles_are_compared_without_loss) {
    const double third = 1.0 / 3, above = nextafter(third, 1),
                 below = nextafter(third, 0);
    const double rows[] = {third, above, below, (double)(float)third, 0, 1, -1};
    struct forest_weight weights[] = {{.value = 1}, {.value = 2}};
    for (int mode = FOREST_LEQ; mode <= FOREST_NEQ; mode++) {
        struct forest_node nodes[4] = {{.yes = 1, .no = 2},
                                       {.leaf = true, .yes = 0, .no = 1},
                                       {.leaf = true, .yes = 1, .no = 1}};
        const uint32_t root = 0;
        struct forest_source source = {.nodes = nodes,
                                       .node_count = 3,
                                       .node_room = 4,
                                       .roots = &root,
                                       .root_count = 1,
                                       .weights = weights,
                                       .weight_count = 2,
                                       .targets = 1};
        struct budget budget = {.max = (size_t)1 << 20};
        struct graph graph = {.budget = &budget};
        struct forest forest;
        struct forest_cuts cuts;
        struct error err;
        arena_init(&graph.arena, 0);
        forest_compare(&source, 0, (enum forest_mode)mode, third, false);
        ck_assert_int_eq(forest_settle(&graph, &source, true, &cuts, &err), STATUS_OK);
        ck_assert_int_eq(forest_build(&graph, &source, &forest, &err), STATUS_OK);
        for (size_t r = 0; r < ARRAY_COUNT(rows); r++) {
            float x, y;
            forest_round(&cuts, 1, &rows[r], &x);
            forest_run(&forest, 1, &x, 1, &y,
                       memory_aligned(forest_scratch_size(&forest)));
            ck_assert(y == (leads_to_yes((enum forest_mode)mode, rows[r], third, false)
                                ? 1.0F
                                : 2.0F));
        }
        graph_release(&graph);
    }
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        trees_with_one_weight_add_up_in_order, trees_of_up_to_256_leaves_are_masked,
        leaves_may_have_any_weights,           the_least_and_the_most_weight_are_found,
        every_comparison_becomes_one_kind,     deep_trees_are_walked_to_their_ends,
        doubles_are_compared_without_loss,
    };
    return suite_run_kernels("engine kernels: forest", tests, ARRAY_COUNT(tests));
}
