/* ml_forest_cuts.c - see ml_forest.h.  Here: float64 without loss.
 *
 *     x float,  value any      x <= value is x <= the last float that is not above value
 *     x double, value float    x <= value is the first float not below x <= value
 *     x double, value double   both become ranks among the values of that feature */
#include <math.h>

#include "engine/ops/ml_forest.h"

struct cut {
    double value;
    uint32_t feature, node;
};

static float floor_float(double x) {
    float rounded = (float)x;
    return (double)rounded > x ? nextafterf(rounded, -INFINITY) : rounded;
}

static float ceil_float(double x) {
    float rounded = (float)x;
    return (double)rounded < x ? nextafterf(rounded, INFINITY) : rounded;
}

static int compare_cuts(const void *a, const void *b) {
    const struct cut *p = a, *q = b;
    if (p->feature != q->feature) {
        return p->feature < q->feature ? -1 : 1;
    }
    return (p->value > q->value) - (p->value < q->value);
}

/* Sorts the nodes' values, keeps each once, and puts its rank into the nodes. */
static void rank_values(struct forest_source *source, struct cut *sorted, size_t count,
                        struct forest_cuts *cuts) {
    uint32_t used = 0, feature = 0;
    qsort(sorted, count, sizeof(*sorted), compare_cuts);
    for (size_t i = 0; i < count; i++) {
        for (; feature < sorted[i].feature; feature++) {
            cuts->firsts[feature + 1] = used;
        }
        if (used == cuts->firsts[feature] || cuts->points[used - 1] < sorted[i].value) {
            cuts->points[used++] = sorted[i].value;
        }
        source->nodes[sorted[i].node].value = (double)(used - 1 - cuts->firsts[feature]);
    }
    for (; feature < cuts->features; feature++) {
        cuts->firsts[feature + 1] = used;
    }
}

static enum status make_cuts(struct graph *graph, struct forest_source *source,
                             struct forest_cuts *cuts, struct error *err) {
    struct cut *sorted = calloc(source->node_count + 1, sizeof(*sorted));
    size_t count = 0;
    for (size_t n = 0; sorted != NULL && n < source->node_count; n++) {
        const struct forest_node *node = &source->nodes[n];
        if (!node->leaf) {
            sorted[count++] = (struct cut){
                .value = node->value, .feature = node->feature, .node = (uint32_t)n};
            cuts->features = node->feature >= cuts->features ? (size_t)node->feature + 1
                                                             : cuts->features;
        }
    }
    cuts->points = graph_memory(graph, (count + 1) * sizeof(*cuts->points));
    cuts->firsts = arena_alloc(&graph->arena, cuts->features + 1, sizeof(*cuts->firsts));
    if (sorted == NULL || cuts->points == NULL || cuts->firsts == NULL) {
        free(sorted);
        return error_set(err, STATUS_NO_MEMORY, "no memory for the trees");
    }
    rank_values(source, sorted, count, cuts);
    free(sorted);
    return STATUS_OK;
}

enum status forest_settle(struct graph *graph, struct forest_source *source, bool doubles,
                          struct forest_cuts *cuts, struct error *err) {
    bool floats = true;
    *cuts = (struct forest_cuts){0};
    for (size_t n = 0; n < source->node_count; n++) {
        struct forest_node *node = &source->nodes[n];
        if (!node->leaf && !doubles) {
            node->value = (double)floor_float(node->value);
        }
        floats = floats && (node->leaf || (double)(float)node->value == node->value);
    }
    return floats ? STATUS_OK : make_cuts(graph, source, cuts, err);
}

/* How many of the points lie below x. */
static uint32_t rank_of(const double *points, uint32_t count, double x) {
    uint32_t low = 0;
    while (count > 0) {
        const uint32_t half = count / 2;
        const bool above = points[low + half] < x;
        low += above ? half + 1 : 0;
        count = above ? count - half - 1 : half;
    }
    return low;
}

void forest_round(const struct forest_cuts *cuts, int64_t cols, const double *x,
                  float *to) {
    for (int64_t i = 0; i < cols; i++) {
        if (cuts->points == NULL || isnan(x[i])) {
            to[i] = isnan(x[i]) ? NAN : ceil_float(x[i]);
        } else if ((size_t)i < cuts->features) {
            const uint32_t first = cuts->firsts[i];
            to[i] =
                (float)rank_of(cuts->points + first, cuts->firsts[i + 1] - first, x[i]);
        } else {
            to[i] = 0; /* no tree asks for it */
        }
    }
}
