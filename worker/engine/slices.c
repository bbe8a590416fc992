/* slices.c - see slices.h. */
#include "engine/slices.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

/* 1, 2, 4 .. 64 rows, and first the whole batch: of equals the first is taken. */
#define CHOICES_MAX 8
/* Of memory beyond the far cache, in bytes from the far one. */
#define MEMORY_COST 3
/* What slices must save at least, since a cost is an estimate. */
#define GAIN_MIN 0.85

#define NEAR_DEFAULT ((size_t)512 << 10)
#define FAR_DEFAULT ((size_t)8 << 20)

struct choices {
    int64_t rows[CHOICES_MAX];
    int count;
};

static size_t between(long size, size_t least, size_t most, size_t fallback) {
    size_t known = size <= 0 ? fallback : (size_t)size;
    return known < least ? least : known > most ? most : known;
}

struct slice_costs slices_costs(void) {
    long near = 0, far = 0;
#ifdef _SC_LEVEL2_CACHE_SIZE
    near = sysconf(_SC_LEVEL2_CACHE_SIZE);
    far = sysconf(_SC_LEVEL3_CACHE_SIZE) / 4; /* the other cores have theirs */
#endif
    return (struct slice_costs){
        .near = (double)between(near, (size_t)256 << 10, (size_t)2 << 20, NEAR_DEFAULT),
        .far = (double)between(far, (size_t)2 << 20, (size_t)16 << 20, FAR_DEFAULT),
        .call = 16 << 10,
    };
}

static struct choices list_choices(int64_t batch) {
    struct choices choices = {.rows = {batch}, .count = 1};
    for (int64_t rows = 1; rows < batch && choices.count < CHOICES_MAX; rows *= 2) {
        choices.rows[choices.count++] = rows;
    }
    return choices;
}

/* What a byte costs that comes again after `size` bytes of others. */
static double again(const struct slice_costs *costs, double size) {
    double cost = 0;
    cost += size > costs->near ? 1 - costs->near / size : 0;
    cost += size > costs->far ? MEMORY_COST * (1 - costs->far / size) : 0;
    return cost;
}

static double step_cost(const struct slice_costs *costs, const struct slice_step *step,
                        int64_t batch, int64_t rows, double weight_cost) {
    double slices = (double)((batch + rows - 1) / rows);
    double fresh = again(costs, step->row_bytes * (double)rows);
    if (step->row_bytes <= 0) {
        return 0;
    }
    return step->row_bytes * (double)batch * fresh +
           slices * (step->weight_bytes * weight_cost + costs->call);
}

/* Values between steps of different rows are written and read in memory. */
static double switch_cost(const struct slice_costs *costs, const struct slice_step *step,
                          int64_t batch) {
    double size = step->kept_bytes * (double)batch;
    return 2 * size * again(costs, size);
}

/* Fills from[i * CHOICES_MAX + c]: the choice before, on the cheapest way to choice c of
 * step i; returns the last choice of the cheapest way, and its cost. */
static int walk(const struct slice_costs *costs, const struct slice_step *steps,
                int count, const struct choices *choices, uint8_t *from, double *cost) {
    const int64_t batch = choices->rows[0];
    double sum[CHOICES_MAX] = {0}, weights = 0;
    int best = 0;
    for (int i = 0; i < count; i++) {
        weights += steps[i].weight_bytes;
    }
    weights = again(costs, weights); /* they come again after all the others */
    for (int i = 0; i < count; i++) {
        double next[CHOICES_MAX];
        double change = i > 0 ? switch_cost(costs, &steps[i - 1], batch) : 0;
        for (int c = 0; c < choices->count; c++) {
            int before = c;
            for (int b = 0; b < choices->count; b++) {
                double there = sum[b] + (b == c ? 0 : change);
                before = there < sum[before] + (before == c ? 0 : change) ? b : before;
            }
            from[i * CHOICES_MAX + c] = (uint8_t)before;
            next[c] =
                c > 0 && !steps[i].apart
                    ? 1e300
                    : sum[before] + (before == c ? 0 : change) +
                          step_cost(costs, &steps[i], batch, choices->rows[c], weights);
        }
        for (int c = 0; c < choices->count; c++) {
            sum[c] = next[c];
        }
    }
    for (int c = 1; c < choices->count; c++) {
        best = sum[c] < sum[best] ? c : best;
    }
    *cost = sum[best];
    return best;
}

bool slices_plan(const struct slice_costs *costs, const struct slice_step *steps,
                 int count, int64_t batch, int64_t *rows) {
    const struct choices choices = list_choices(batch);
    const struct choices all = {.rows = {batch}, .count = 1};
    double cost = 0, cost_whole = 0;
    uint8_t *from = calloc((size_t)count + 1, CHOICES_MAX);
    bool sliced = false;
    int choice;
    assert(batch > 0);
    if (from == NULL) {
        return false;
    }
    (void)walk(costs, steps, count, &all, from, &cost_whole);
    choice = walk(costs, steps, count, &choices, from, &cost);
    for (int i = count - 1; i >= 0; i--) {
        rows[i] = choices.rows[choice];
        sliced = sliced || choice > 0;
        choice = from[i * CHOICES_MAX + choice];
    }
    free(from);
    return sliced && cost < GAIN_MIN * cost_whole;
}

int64_t slices_fit(int64_t batch, int64_t most) {
    int64_t best = most < batch ? most : batch, least = batch;
    for (int64_t rows = best; rows > 0 && 2 * rows > most; rows--) {
        int64_t left = (rows - batch % rows) % rows;
        if (left < least) {
            least = left;
            best = rows;
        }
    }
    return best;
}
