/* ml_forest.c - see ml_forest.h.  Here: what leaves hold, and the records to walk. */
#include "engine/ops/ml_forest.h"

#include <assert.h>
#include <math.h>

#include "base/size.h"

static enum status no_memory(struct error *err) {
    return error_set(err, STATUS_NO_MEMORY, "no memory for the trees");
}

/* ---- comparisons ------------------------------------------------------------------ */

static void swap_children(struct forest_node *node) {
    const uint32_t yes = node->yes;
    node->yes = node->no;
    node->no = yes;
}

/* x < value is x <= what comes before it; below -infinity is nothing but, perhaps, NaN.
 */
static void make_less(struct forest_node *node, double value, bool nan_yes) {
    const bool never = value == -(double)INFINITY;
    node->value = never ? (double)INFINITY : nextafter(value, -(double)INFINITY);
    node->nan_yes = never ? !nan_yes : nan_yes;
    if (never) {
        swap_children(node);
    }
}

/* x == value is x <= value, and then not x < value. */
static void make_equal(struct forest_source *source, uint32_t i, double value,
                       bool nan_yes) {
    struct forest_node *node = &source->nodes[i];
    const uint32_t second = (uint32_t)source->node_count++;
    assert(source->node_count <= source->node_room);
    source->nodes[second] =
        (struct forest_node){.feature = node->feature, .yes = node->no, .no = node->yes};
    make_less(&source->nodes[second], value, false);
    node->yes = second;
    node->value = value;
    node->nan_yes = nan_yes;
    source->shared = true;
}

void forest_compare(struct forest_source *source, uint32_t i, enum forest_mode mode,
                    double value, bool missing_yes) {
    struct forest_node *node = &source->nodes[i];
    switch (mode) {
    case FOREST_LEAF:
        node->leaf = true;
        return;
    case FOREST_LEQ:
        node->value = value;
        node->nan_yes = missing_yes;
        return;
    case FOREST_LT:
        make_less(node, value, missing_yes);
        return;
    case FOREST_GTE:
        swap_children(node);
        make_less(node, value, !missing_yes);
        return;
    case FOREST_GT:
        swap_children(node);
        node->value = value;
        node->nan_yes = !missing_yes;
        return;
    case FOREST_EQ:
        make_equal(source, i, value, missing_yes);
        return;
    case FOREST_NEQ:
        swap_children(node);
        make_equal(source, i, value, false);
        return;
    }
}

void forest_member(struct forest_source *source, uint32_t i, const double *values,
                   size_t count, bool missing_yes) {
    const struct forest_node node = source->nodes[i];
    if (count == 0) {
        make_less(&source->nodes[i], -(double)INFINITY, missing_yes);
    }
    for (size_t v = 0; v < count; v++) {
        const bool last = v + 1 == count;
        const uint32_t next = last ? node.no : (uint32_t)source->node_count++;
        assert(source->node_count <= source->node_room);
        source->nodes[i] = node;
        source->nodes[i].no = next;
        make_equal(source, i, values[v], missing_yes);
        i = next;
    }
}

/* ---- building: shared working memory ------------------------------------------------
 */

/* Marks an end of a chain of records, and a node that has no column or number. */
#define NONE UINT32_MAX

struct build {
    struct graph *graph;
    const struct forest_source *source;
    struct forest *forest;
    uint32_t *parents; /* by node: links to it that were not met yet */
    uint32_t *chains;  /* by node: its last record that waits for its children */
    uint32_t *depths;  /* by node: steps from the root, by one way */
    uint32_t *numbers; /* by leaf node: its number */
    uint32_t *open;    /* nodes whose children have no records yet */
    uint32_t *records; /* three words each */
    uint32_t *columns; /* by feature << 1 | negated: the column */
    uint32_t *trees;   /* by leaf: its tree */
    uint32_t *firsts;  /* by leaf: its node */
    size_t record_count, leaf_count, feature_count;
};

static void release(struct build *build) {
    free(build->parents);
    free(build->chains);
    free(build->depths);
    free(build->numbers);
    free(build->open);
    free(build->records);
    free(build->columns);
    free(build->trees);
    free(build->firsts);
}

static uint32_t *fill(size_t count, uint32_t value) {
    uint32_t *items = malloc((count + 1) * sizeof(*items));
    for (size_t i = 0; items != NULL && i <= count; i++) {
        items[i] = value;
    }
    return items;
}

static bool take_memory(struct build *build) {
    const struct forest_source *source = build->source;
    size_t nodes = source->node_count, inner = 0;
    for (size_t i = 0; i < nodes; i++) {
        const struct forest_node *node = &source->nodes[i];
        inner += !node->leaf;
        if (!node->leaf && node->feature >= build->feature_count) {
            build->feature_count = (size_t)node->feature + 1;
        }
    }
    build->parents = fill(nodes, 0);
    build->chains = fill(nodes, NONE);
    build->depths = fill(nodes, 0);
    build->numbers = fill(nodes, NONE);
    build->open = fill(nodes, 0);
    build->records = calloc(2 * (inner + source->root_count) + 1, 3 * sizeof(uint32_t));
    build->columns = fill(2 * build->feature_count, NONE);
    build->trees = fill(nodes, 0);
    build->firsts = fill(nodes, 0);
    return build->parents != NULL && build->chains != NULL && build->depths != NULL &&
           build->numbers != NULL && build->open != NULL && build->records != NULL &&
           build->columns != NULL && build->trees != NULL && build->firsts != NULL;
}

/* ---- records ------------------------------------------------------------------------
 */

static uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

/* Columns are numbered as they are met; 0 is -infinity. */
static uint32_t column_of(struct build *build, uint32_t feature, bool negated) {
    uint32_t *column = &build->columns[2 * (size_t)feature + negated];
    if (*column == NONE) {
        *column = (uint32_t)build->forest->walk.columns++;
    }
    return *column;
}

static void write_leaf(struct build *build, uint32_t n, uint32_t tree, uint32_t *record) {
    if (build->numbers[n] == NONE) {
        build->trees[build->leaf_count] = tree;
        build->firsts[build->leaf_count] = n;
        build->numbers[n] = (uint32_t)build->leaf_count++;
    }
    record[0] = build->numbers[n];
}

/* x <= value; where NaN is to go to yes, its opposite -x < -value with the children
 * swapped, which NaN fails. */
static void write_inner(struct build *build, uint32_t n, uint32_t at) {
    const struct forest_node *node = &build->source->nodes[n];
    const float value = (float)node->value;
    uint32_t *record = build->records + 3 * (size_t)at;
    if (!node->nan_yes) {
        record[0] = bits_of(value);
        record[1] = column_of(build, node->feature, false);
    } else if (value == INFINITY) { /* all go to yes: a comparison that fails */
        record[0] = bits_of(NAN);
        record[1] = column_of(build, node->feature, true);
    } else {
        record[0] = bits_of(nextafterf(-value, -INFINITY));
        record[1] = column_of(build, node->feature, true);
    }
    record[2] = build->chains[n];
    build->chains[n] = at;
}

static void write_record(struct build *build, uint32_t n, uint32_t tree, uint32_t at) {
    if (build->source->nodes[n].leaf) {
        write_leaf(build, n, tree, build->records + 3 * (size_t)at);
    } else {
        write_inner(build, n, at);
    }
}

/* The children of `n` get a pair of records, to which all of n's now lead. */
static void write_children(struct build *build, uint32_t n, uint32_t tree,
                           size_t *open_count) {
    const struct forest_node *node = &build->source->nodes[n];
    const uint32_t pair = (uint32_t)build->record_count;
    /* As in write_inner: the first of the pair is where the comparison holds. */
    const uint32_t first = node->nan_yes ? node->no : node->yes;
    const uint32_t children[] = {first, first == node->yes ? node->no : node->yes};
    build->record_count += 2;
    for (uint32_t at = build->chains[n]; at != NONE;) {
        uint32_t *record = build->records + 3 * (size_t)at;
        at = record[2];
        record[2] = (uint32_t)(pair - (size_t)(record - build->records) / 3);
    }
    for (int c = 0; c < 2; c++) {
        build->depths[children[c]] = build->depths[n] + 1;
        write_record(build, children[c], tree, pair + (uint32_t)c);
    }
    /* The first is taken next: its children lie right behind. */
    for (int c = 1; c >= 0; c--) {
        if (--build->parents[children[c]] == 0 &&
            !build->source->nodes[children[c]].leaf) {
            build->open[(*open_count)++] = children[c];
        }
    }
}

/* Returns how deep its leaves lie, on average. */
static uint32_t write_tree(struct build *build, uint32_t tree) {
    const uint32_t root = build->source->roots[tree];
    const size_t leaves_before = build->leaf_count;
    size_t open_count = 0, depths = 0;
    write_record(build, root, tree, (uint32_t)build->record_count);
    build->record_count += 2; /* so that pairs lie in pairs */
    if (!build->source->nodes[root].leaf) {
        build->open[open_count++] = root;
    }
    while (open_count > 0) {
        write_children(build, build->open[--open_count], tree, &open_count);
    }
    for (size_t i = leaves_before; i < build->leaf_count; i++) {
        depths += build->depths[build->firsts[i]];
    }
    return (uint32_t)(depths / (build->leaf_count - leaves_before));
}

static void count_parents(struct build *build) {
    for (size_t i = 0; i < build->source->node_count; i++) {
        const struct forest_node *node = &build->source->nodes[i];
        if (!node->leaf) {
            build->parents[node->yes]++;
            build->parents[node->no]++;
        }
    }
}

static bool write_trees(struct build *build) {
    struct arena *arena = &build->graph->arena;
    size_t trees = build->source->root_count;
    uint32_t *roots = arena_alloc(arena, trees, sizeof(*roots));
    uint32_t *steps = arena_alloc(arena, trees, sizeof(*steps));
    build->forest->walk.columns = 1;
    build->forest->walk.roots = roots;
    build->forest->walk.steps = steps;
    if (roots == NULL || steps == NULL) {
        return false;
    }
    count_parents(build);
    for (size_t i = 0; i < trees; i++) {
        roots[i] = (uint32_t)build->record_count;
        steps[i] = write_tree(build, (uint32_t)i);
    }
    return true;
}

/* ---- leaves ---------------------------------------------------------------------------
 */

static const struct forest_node *leaf_node(const struct build *build, size_t leaf) {
    return &build->source->nodes[build->firsts[leaf]];
}

/* FOREST_ONE, if every tree has one target, and each leaf one weight. */
static bool make_one(struct build *build, uint32_t *targets) {
    const struct forest_source *source = build->source;
    for (size_t i = 0; i < build->leaf_count; i++) {
        const struct forest_node *leaf = leaf_node(build, i);
        uint32_t *target = &targets[build->trees[i]];
        if (leaf->no != 1) {
            return false;
        }
        if (i > 0 && build->trees[i] == build->trees[i - 1] &&
            *target != source->weights[leaf->yes].target) {
            return false;
        }
        *target = source->weights[leaf->yes].target;
    }
    build->forest->kind = FOREST_ONE;
    build->forest->tree_targets = targets;
    return true;
}

/* Leaf records hold their weights, no longer their numbers. */
static void put_weights(struct build *build) {
    for (size_t i = 0; i < build->record_count; i++) {
        uint32_t *record = build->records + 3 * i;
        if (record[1] == 0) {
            const struct forest_node *leaf = leaf_node(build, record[0]);
            record[0] = bits_of(build->source->weights[leaf->yes].value);
        }
    }
}

static bool make_each(struct build *build) {
    const struct forest_source *source = build->source;
    size_t targets = (size_t)source->targets, count, size;
    float *each;
    if (!size_mul(build->leaf_count, targets, &count) ||
        !size_mul(count, sizeof(float), &size)) {
        return false;
    }
    each = graph_memory(build->graph, size);
    build->forest->kind = FOREST_EACH;
    build->forest->each = each;
    if (each == NULL) {
        return false;
    }
    memset(each, 0, size);
    for (size_t i = 0; i < build->leaf_count; i++) {
        const struct forest_node *leaf = leaf_node(build, i);
        for (uint32_t w = leaf->yes; w < leaf->yes + leaf->no; w++) {
            each[i * targets + source->weights[w].target] += source->weights[w].value;
        }
    }
    return true;
}

static bool make_list(struct build *build) {
    const struct forest_source *source = build->source;
    uint32_t *firsts =
        graph_memory(build->graph, (build->leaf_count + 1) * sizeof(*firsts));
    struct forest_weight *list =
        graph_memory(build->graph, (source->weight_count + 1) * sizeof(*list));
    uint32_t used = 0;
    build->forest->kind = FOREST_LIST;
    build->forest->firsts = firsts;
    build->forest->list = list;
    if (firsts == NULL || list == NULL) {
        return false;
    }
    for (size_t i = 0; i < build->leaf_count; i++) {
        const struct forest_node *leaf = leaf_node(build, i);
        firsts[i] = used;
        for (uint32_t w = 0; w < leaf->no; w++) {
            list[used++] = source->weights[leaf->yes + w];
        }
    }
    firsts[build->leaf_count] = used;
    return true;
}

static bool make_leaves(struct build *build) {
    const struct forest_source *source = build->source;
    uint32_t *targets =
        arena_alloc(&build->graph->arena, source->root_count, sizeof(*targets));
    if (targets == NULL) {
        return false;
    }
    if (source->fold == FOREST_SUM && make_one(build, targets)) {
        put_weights(build);
        return true;
    }
    /* Where less than half of them would be zeros that nobody asked for. */
    if (source->fold == FOREST_SUM &&
        source->weight_count / (size_t)source->targets >= build->leaf_count / 2) {
        return make_each(build);
    }
    return make_list(build);
}

/* ---- the walk -------------------------------------------------------------------------
 */

static unsigned bits_for(size_t count) {
    unsigned bits = 1;
    while (count >> bits != 0) {
        bits++;
    }
    return bits;
}

/* The records, in two words if they fit. */
static bool keep_records(struct build *build) {
    struct forest_walk *walk = &build->forest->walk;
    unsigned column_bits = bits_for((size_t)walk->columns - 1);
    size_t farthest = 0;
    uint32_t *kept;
    bool wide;
    for (size_t i = 0; i < build->record_count; i++) {
        farthest = size_max(farthest, build->records[3 * i + 2]);
    }
    wide = build->source->wide || column_bits + bits_for(farthest) > 32;
    kept =
        graph_memory(build->graph, build->record_count * (wide ? 3 : 2) * sizeof(*kept));
    walk->column_bits = wide ? 0 : column_bits;
    walk->records = kept;
    for (size_t i = 0; kept != NULL && i < build->record_count; i++) {
        const uint32_t *record = build->records + 3 * i;
        if (wide) {
            memcpy(kept + 3 * i, record, 3 * sizeof(*kept));
        } else {
            kept[2 * i] = record[0];
            kept[2 * i + 1] = record[2] << column_bits | record[1];
        }
    }
    return kept != NULL;
}

static bool keep_columns(struct build *build) {
    uint32_t *features = arena_alloc(
        &build->graph->arena, (size_t)build->forest->walk.columns, sizeof(*features));
    build->forest->walk.features = features;
    for (size_t i = 0; features != NULL && i < 2 * build->feature_count; i++) {
        if (build->columns[i] != NONE) {
            features[build->columns[i]] = (uint32_t)i;
        }
    }
    return features != NULL;
}

enum status forest_build(struct graph *graph, const struct forest_source *source,
                         struct forest *forest, struct error *err) {
    struct build build = {.graph = graph, .source = source, .forest = forest};
    bool done;
    *forest = (struct forest){.fold = source->fold,
                              .trees = (int64_t)source->root_count,
                              .targets = source->targets};
    done = take_memory(&build) && write_trees(&build) && make_leaves(&build) &&
           keep_records(&build) && keep_columns(&build);
    release(&build);
    if (!done) {
        return no_memory(err);
    }
    return source->walk_only || source->shared
               ? STATUS_OK
               : forest_build_masks(graph, source, forest, err);
}
