/* cost.c - see cost.h. */
#include "batch/cost.h"

#include <assert.h>

/* A row may cost so much more than the cheapest: larger batches cost latency and memory.
 */
#define THROUGHPUT_SLACK 1.03
#define LATENCY_SLACK 2

enum {
    TIMES = 4,        /* the first one finds caches cold */
    SLOW_US = 20000,  /* once is enough from here on */
    ENOUGH_US = 1000, /* for a clock of microseconds */
};

int cost_sizes(int rows_max, int sizes[COST_POINTS_MAX]) {
    int count = 0;
    assert(rows_max >= 1);
    for (int rows = 1; rows < rows_max; rows *= 2) {
        sizes[count++] = rows;
    }
    assert(count < COST_POINTS_MAX);
    sizes[count++] = rows_max;
    return count;
}

void cost_add(struct cost *cost, int rows, int64_t ns) {
    assert(cost->count < COST_POINTS_MAX);
    assert(rows >= 1);
    assert(cost->count == 0 || rows > cost->rows[cost->count - 1]);
    cost->rows[cost->count] = rows;
    cost->ns[cost->count] = ns < 1 ? 1 : ns;
    cost->count++;
}

/* The best of a few times, each of runs enough for the clock to tell; -1 where it cannot
 * be run.  What is slow as expected is run once, by `expected_ns`. */
static int64_t time_runs(const struct cost_probe *probe, int rows, int64_t expected_ns) {
    int64_t best_ns = INT64_MAX, first_us = 0;
    for (int time = 0; time < TIMES && (time == 0 || first_us < SLOW_US ||
                                        best_ns > expected_ns + expected_ns / 2);
         time++) {
        int64_t from_us = probe->now_us(probe->opaque), taken_us = 0;
        int64_t runs = 0;
        while (runs == 0 || (time > 0 && first_us < SLOW_US && taken_us < ENOUGH_US)) {
            if (!probe->run(probe->opaque, rows)) {
                return -1;
            }
            runs++;
            taken_us = probe->now_us(probe->opaque) - from_us;
        }
        first_us = time == 0 ? taken_us : first_us;
        if (taken_us * 1000 / runs < best_ns) {
            best_ns = taken_us * 1000 / runs;
        }
    }
    return best_ns;
}

void cost_measure(struct cost *cost, const struct cost_probe *probe) {
    int sizes[COST_POINTS_MAX];
    int count = cost_sizes(probe->rows_max, sizes);
    int64_t from_us = probe->now_us(probe->opaque);
    *cost = (struct cost){.count = 0};
    for (int i = 0; i < count; i++) {
        int64_t used_us = probe->now_us(probe->opaque) - from_us;
        int64_t ns;
        if (i > 0 && used_us + cost_ns(cost, sizes[i]) / 1000 > probe->budget_us) {
            return;
        }
        ns = time_runs(probe, sizes[i], i == 0 ? INT64_MAX / 2 : cost_ns(cost, sizes[i]));
        if (ns < 0) {
            return;
        }
        cost_add(cost, sizes[i], ns);
    }
}

int64_t cost_ns(const struct cost *cost, int rows) {
    int above = 0;
    double part, low_ns;
    if (cost->count == 0) {
        return 0;
    }
    while (above < cost->count && cost->rows[above] < rows) {
        above++;
    }
    if (above == cost->count) {
        return (int64_t)((double)cost->ns[above - 1] * rows / cost->rows[above - 1]);
    }
    if (above == 0 || cost->rows[above] == rows) {
        return cost->ns[above];
    }
    low_ns = (double)cost->ns[above - 1];
    part = (double)(rows - cost->rows[above - 1]) /
           (cost->rows[above] - cost->rows[above - 1]);
    return (int64_t)(low_ns + part * ((double)cost->ns[above] - low_ns));
}

static double row_ns(const struct cost *cost, int i) {
    return (double)(cost->ns[i] + COST_OF_A_BATCH_NS) / cost->rows[i];
}

int cost_best_throughput(const struct cost *cost) {
    int best = 0;
    for (int i = 1; i < cost->count; i++) {
        best = row_ns(cost, i) < row_ns(cost, best) ? i : best;
    }
    for (int i = 0; i < cost->count; i++) {
        if (row_ns(cost, i) <= row_ns(cost, best) * THROUGHPUT_SLACK) {
            return cost->rows[i];
        }
    }
    return 0;
}

int cost_best_latency(const struct cost *cost) {
    int most = cost_best_throughput(cost);
    int rows = most == 0 ? 0 : cost->rows[0];
    for (int i = 0; i < cost->count && cost->rows[i] <= most; i++) {
        if (cost->ns[i] + COST_OF_A_BATCH_NS <=
            LATENCY_SLACK * (cost->ns[0] + COST_OF_A_BATCH_NS)) {
            rows = cost->rows[i];
        }
    }
    return rows;
}

int cost_rows_within(const struct cost *cost, int rows_max, int64_t ns) {
    int rows = 1;
    while (rows < rows_max && cost_ns(cost, rows + 1) <= ns) {
        rows++;
    }
    return rows;
}
