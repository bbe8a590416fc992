/* ml_forest_masks.c - see ml_forest.h.  Here: columns of codes, and tests in planes.
 *
 * Leaves are numbered from yes to no, so that those on the yes side of a node are a
 * range; a node becomes one test for each plane of leaves that the range touches. */
#include <math.h>

#include "engine/ops/ml_forest.h"

#define ROWS_MIN_LEAST 6 /* below, eight walks side by side always win */
/* So many tests that their columns and codes are no longer quick to make. */
#define TESTS_MAX ((size_t)1 << 24)

/* An inner node's threshold, to be sorted into columns. */
struct threshold {
    float value;
    uint32_t feature;
    uint32_t node;
    bool nan_high;
};

/* What a node tests. */
struct place {
    uint32_t column;
    uint8_t code;
    uint8_t yes_first; /* the range of leaves on its yes side */
    uint16_t yes_end;
};

struct build {
    struct graph *graph;
    const struct forest_source *source;
    struct forest *forest;
    struct threshold *thresholds; /* of inner nodes, sorted */
    struct place *places;         /* by node */
    uint32_t *leaf_nodes;         /* in order, tree by tree */
    uint32_t *leaf_counts;        /* by tree */
    uint32_t *plane_counts;       /* by tree: the forest's */
    uint32_t *open;               /* nodes of a tree that were not visited */
    size_t inner_count, leaf_count, plane_count, test_count;
};

static void release(struct build *build) {
    free(build->thresholds);
    free(build->places);
    free(build->leaf_nodes);
    free(build->leaf_counts);
    free(build->open);
}

static bool take_memory(struct build *build) {
    size_t nodes = build->source->node_count, trees = build->source->root_count;
    build->thresholds = calloc(nodes + 1, sizeof(*build->thresholds));
    build->places = calloc(nodes + 1, sizeof(*build->places));
    build->leaf_nodes = calloc(nodes + 1, sizeof(*build->leaf_nodes));
    build->leaf_counts = calloc(trees + 1, sizeof(*build->leaf_counts));
    build->open = calloc(nodes + 1, sizeof(*build->open));
    build->plane_counts =
        arena_alloc(&build->graph->arena, trees, sizeof(*build->plane_counts));
    return build->thresholds != NULL && build->places != NULL &&
           build->leaf_nodes != NULL && build->leaf_counts != NULL &&
           build->open != NULL && build->plane_counts != NULL;
}

/* ---- leaves and ranges ----------------------------------------------------------------
 */

/* Visits a tree from yes to no.  A node's first leaf is the next when it is met; the
 * first leaf of its no side ends the range of its yes side, and is told when that is met.
 * False if there are more leaves than planes hold. */
static bool number_leaves(struct build *build, size_t tree) {
    const struct forest_node *nodes = build->source->nodes;
    size_t open_count = 0, count = 0;
    build->open[open_count++] = build->source->roots[tree];
    while (open_count > 0) {
        const uint32_t n = build->open[--open_count];
        build->places[n].yes_first = (uint8_t)count;
        if (nodes[n].leaf) {
            if (count == FOREST_PLANE * FOREST_PLANES_MAX) {
                return false;
            }
            build->leaf_nodes[build->leaf_count++] = n;
            count++;
            continue;
        }
        build->inner_count++;
        build->open[open_count++] = nodes[n].no;
        build->open[open_count++] = nodes[n].yes;
    }
    build->leaf_counts[tree] = (uint32_t)count;
    build->plane_counts[tree] = (uint32_t)((count + FOREST_PLANE - 1) / FOREST_PLANE);
    build->plane_count += build->plane_counts[tree];
    return true;
}

/* Ranges of all nodes, and how many tests they need. */
static void end_ranges(struct build *build) {
    const struct forest_source *source = build->source;
    for (size_t n = 0; n < source->node_count; n++) {
        struct place *place = &build->places[n];
        if (!source->nodes[n].leaf) {
            place->yes_end = build->places[source->nodes[n].no].yes_first;
            build->test_count += (size_t)(place->yes_end - 1) / FOREST_PLANE -
                                 place->yes_first / FOREST_PLANE + 1;
        }
    }
}

/* ---- columns
 * ---------------------------------------------------------------------------- */

static int compare_thresholds(const void *a, const void *b) {
    const struct threshold *p = a, *q = b;
    if (p->feature != q->feature) {
        return p->feature < q->feature ? -1 : 1;
    }
    if (p->nan_high != q->nan_high) {
        return p->nan_high ? 1 : -1;
    }
    return (p->value > q->value) - (p->value < q->value);
}

static void sort_thresholds(struct build *build) {
    const struct forest_source *source = build->source;
    size_t count = 0;
    for (size_t n = 0; n < source->node_count; n++) {
        const struct forest_node *node = &source->nodes[n];
        if (!node->leaf) {
            build->thresholds[count++] = (struct threshold){.value = (float)node->value,
                                                            .feature = node->feature,
                                                            .node = (uint32_t)n,
                                                            .nan_high = !node->nan_yes};
        }
    }
    qsort(build->thresholds, count, sizeof(*build->thresholds), compare_thresholds);
}

/* A column's thresholds, padded. */
static bool close_column(struct build *build, struct forest_column *column, size_t count,
                         const float *values) {
    size_t room;
    float *padded;
    column->halvings = 1;
    while ((size_t)1 << column->halvings <= count) {
        column->halvings++;
    }
    room = ((size_t)1 << column->halvings) - 1;
    padded = arena_alloc(&build->graph->arena, room, sizeof(*padded));
    column->thresholds = padded;
    for (size_t i = 0; padded != NULL && i < room; i++) {
        padded[i] = i < count ? values[i] : INFINITY;
    }
    return padded != NULL;
}

/* Whether the threshold at `i` is in another column than the one before. */
static bool new_column(const struct build *build, size_t i, size_t used) {
    const struct threshold *t = &build->thresholds[i];
    return i == 0 || t->feature != t[-1].feature || t->nan_high != t[-1].nan_high ||
           (used == FOREST_CODES_MAX && t->value > t[-1].value);
}

/* Gives every inner node its column and code.  With `columns` NULL they are counted. */
static bool make_columns(struct build *build, struct forest_column *columns,
                         uint32_t *features) {
    struct forest_masks *masks = &build->forest->masks;
    float values[FOREST_CODES_MAX];
    size_t used = 0;
    masks->column_count = masks->feature_count = 0;
    for (size_t i = 0; i < build->inner_count; i++) {
        const struct threshold *t = &build->thresholds[i];
        struct place *place = &build->places[t->node];
        if (new_column(build, i, used)) {
            if (i > 0 && columns != NULL &&
                !close_column(build, &columns[masks->column_count - 1], used, values)) {
                return false;
            }
            if (i == 0 || t->feature != t[-1].feature) {
                masks->feature_count++;
            }
            masks->column_count++;
            used = 0;
        }
        if (used == 0 || t->value > values[used - 1]) {
            values[used++] = t->value;
        }
        place->column = (uint32_t)masks->column_count - 1;
        place->code = (uint8_t)(used - 1);
        if (columns != NULL) {
            columns[place->column].slot = (uint32_t)masks->feature_count - 1;
            columns[place->column].nan_high = t->nan_high;
            features[masks->feature_count - 1] = t->feature;
        }
    }
    return columns == NULL || build->inner_count == 0 ||
           close_column(build, &columns[masks->column_count - 1], used, values);
}

static bool keep_columns(struct build *build) {
    struct forest_masks *masks = &build->forest->masks;
    struct arena *arena = &build->graph->arena;
    struct forest_column *columns;
    uint32_t *features;
    (void)make_columns(build, NULL, NULL); /* counts, which cannot fail */
    columns = arena_alloc(arena, (size_t)masks->column_count, sizeof(*columns));
    features = arena_alloc(arena, (size_t)masks->feature_count, sizeof(*features));
    masks->columns = columns;
    masks->features = features;
    return columns != NULL && features != NULL && make_columns(build, columns, features);
}

/* ---- tests
 * ------------------------------------------------------------------------------ */

/* Bits of the leaves of plane `p` in [first, end). */
static uint32_t plane_bits(uint32_t p, uint32_t first, uint32_t end) {
    const uint32_t low = p * FOREST_PLANE, high = low + FOREST_PLANE;
    const uint32_t from = first > low ? first - low : 0;
    const uint32_t to = end < high ? end - low : FOREST_PLANE;
    return ((1U << to) - 1) & ~((1U << from) - 1);
}

/* Counts the tests of a tree by plane, or with `tests`, puts them where `at` says. */
static void visit_tests(struct build *build, size_t tree, uint32_t *at,
                        struct forest_test *tests) {
    const struct forest_node *nodes = build->source->nodes;
    size_t open_count = 0;
    build->open[open_count++] = build->source->roots[tree];
    while (open_count > 0) {
        const uint32_t n = build->open[--open_count];
        const struct place *place = &build->places[n];
        if (nodes[n].leaf) {
            continue;
        }
        for (uint32_t p = place->yes_first / FOREST_PLANE;
             p * FOREST_PLANE < place->yes_end; p++) {
            if (tests != NULL) {
                tests[at[p]] = (struct forest_test){
                    .column = place->column * FOREST_BLOCK,
                    .code = (uint32_t)(uint8_t)(place->code - 128) * 0x01010101U,
                    .strike =
                        plane_bits(p, place->yes_first, place->yes_end) * 0x01010101U};
            }
            at[p]++;
        }
        build->open[open_count++] = nodes[n].no;
        build->open[open_count++] = nodes[n].yes;
    }
}

static bool keep_tests(struct build *build) {
    struct forest_masks *masks = &build->forest->masks;
    uint32_t *counts =
        graph_memory(build->graph, (build->plane_count + 1) * sizeof(*counts));
    struct forest_test *tests =
        graph_memory(build->graph, (build->test_count + 1) * sizeof(*tests));
    size_t plane = 0;
    uint32_t used = 0;
    masks->test_counts = counts;
    masks->tests = tests;
    masks->plane_counts = build->plane_counts;
    if (counts == NULL || tests == NULL) {
        return false;
    }
    memset(counts, 0, build->plane_count * sizeof(*counts));
    for (size_t tree = 0; tree < build->source->root_count; tree++) {
        uint32_t at[FOREST_PLANES_MAX];
        visit_tests(build, tree, counts + plane, NULL);
        for (uint32_t p = 0; p < build->plane_counts[tree]; p++) {
            at[p] = used;
            used += counts[plane++];
        }
        visit_tests(build, tree, at, tests);
    }
    return true;
}

/* ---- values
 * ----------------------------------------------------------------------------- */

/* vf_look_up may read that far behind the last tree's. */
#define VALUES_EXTRA 64

static void fill_values(const struct build *build, size_t tree, const uint32_t *leaves,
                        float *values) {
    const struct forest_source *source = build->source;
    const size_t room = (size_t)build->plane_counts[tree] * FOREST_PLANE;
    const bool one = build->forest->kind == FOREST_ONE;
    for (size_t i = 0; i < build->leaf_counts[tree]; i++) {
        const struct forest_node *leaf = &source->nodes[leaves[i]];
        for (uint32_t w = leaf->yes; w < leaf->yes + leaf->no; w++) {
            const size_t target = one ? 0 : source->weights[w].target;
            values[target * room + i] += source->weights[w].value;
        }
    }
}

static bool keep_values(struct build *build) {
    const size_t targets =
        build->forest->kind == FOREST_ONE ? 1 : (size_t)build->forest->targets;
    const size_t count = build->plane_count * FOREST_PLANE * targets + VALUES_EXTRA;
    float *values = graph_memory(build->graph, count * sizeof(*values)), *at = values;
    const uint32_t *leaves = build->leaf_nodes;
    build->forest->masks.values = values;
    if (values == NULL) {
        return false;
    }
    memset(values, 0, count * sizeof(*values));
    for (size_t tree = 0; tree < build->source->root_count; tree++) {
        fill_values(build, tree, leaves, at);
        leaves += build->leaf_counts[tree];
        at += build->plane_counts[tree] * FOREST_PLANE * targets;
    }
    return true;
}

/* ---- whether it pays
 * ----------------------------------------------------------------------- */

/* Estimates in cycles, measured with AVX2: of a row walked, and of half a block by masks.
 * Returns from how many rows on masks are faster, 0 if they never are. */
static int64_t worth(const struct build *build) {
    const struct forest *forest = build->forest;
    const double targets = forest->kind == FOREST_ONE ? 1 : (double)forest->targets;
    const double half = FOREST_BLOCK / 2;
    double walk = 0, masks = 300;
    if (build->source->mask_always) {
        return 1;
    }
    for (int64_t tree = 0; tree < forest->trees; tree++) {
        walk += 8 + 2.2 * (double)forest->walk.steps[tree] + targets;
        masks += 12 + 25 * targets;
    }
    masks += 1.5 * (double)build->test_count + 4 * (double)build->plane_count;
    masks += (double)forest->masks.column_count * half * 8;
    if (masks > walk * half) {
        return 0;
    }
    return masks / walk < ROWS_MIN_LEAST ? ROWS_MIN_LEAST : (int64_t)(masks / walk) + 1;
}

static bool build_all(struct build *build) {
    if (!take_memory(build)) {
        return false;
    }
    for (size_t tree = 0; tree < build->source->root_count; tree++) {
        if (!number_leaves(build, tree)) {
            return true; /* walked only */
        }
    }
    end_ranges(build);
    if (build->test_count > TESTS_MAX) {
        return true;
    }
    sort_thresholds(build);
    (void)make_columns(build, NULL, NULL); /* counts, which cannot fail */
    if (worth(build) == 0) {
        return true;
    }
    if (!keep_columns(build) || !keep_tests(build) || !keep_values(build)) {
        return false;
    }
    build->forest->masks.rows_min = worth(build);
    return true;
}

enum status forest_build_masks(struct graph *graph, const struct forest_source *source,
                               struct forest *forest, struct error *err) {
    struct build build = {.graph = graph, .source = source, .forest = forest};
    bool done = true;
    if (forest->kind != FOREST_LIST) {
        done = build_all(&build);
        release(&build);
    }
    return done ? STATUS_OK : error_set(err, STATUS_NO_MEMORY, "no memory for the trees");
}
