/* test_share.c - threads are shared by weight, and the sizes of batches chosen by cost.
 */
#include "batch/share.h"

#include "batch/cost.h"
#include "tests/unit/suite.h"

enum { MODELS = 3, THREADS = 2, SECOND = 1000000 };

static struct share items[MODELS];
static struct shares shares;
static int64_t used_us[MODELS];

static void open_shares(int a, int b, int c) {
    const int weights[] = {a, b, c};
    for (int i = 0; i < MODELS; i++) {
        items[i] = (struct share){.weight = weights[i]};
        used_us[i] = 0;
    }
    shares = (struct shares){.items = items, .count = MODELS};
}

/* Runs `threads` by a clock of our own until `until_us`; every model whose cost is not 0
 * always has a batch waiting.  Costs are charged when a batch begins, as `guess` has
 * them, and put right when it has ended. */
static void run_threads(int threads, int64_t until_us, const int64_t *costs_us,
                        const int64_t *guess_us) {
    int64_t free_us[THREADS] = {0};
    int running[THREADS];
    for (int t = 0; t < threads; t++) {
        running[t] = -1;
    }
    for (int i = 0; i < MODELS; i++) {
        if (costs_us[i] > 0) {
            share_add(&shares, i);
        }
    }
    for (;;) {
        int t = threads > 1 && free_us[1] < free_us[0] ? 1 : 0;
        int model;
        if (free_us[t] >= until_us) {
            return;
        }
        if (running[t] >= 0) {
            model = running[t];
            share_charge(&shares, model, costs_us[model] - guess_us[model]);
        }
        model = share_take(&shares);
        ck_assert_int_ge(model, 0);
        share_charge(&shares, model, guess_us[model]);
        share_add(&shares, model);
        running[t] = model;
        free_us[t] += costs_us[model];
        used_us[model] += costs_us[model];
    }
}

static void check_shares(const int *weights) {
    int64_t all_us = 0, all = 0;
    for (int i = 0; i < MODELS; i++) {
        all_us += used_us[i];
        all += weights[i];
    }
    for (int i = 0; i < MODELS; i++) {
        double share = (double)used_us[i] / (double)all_us;
        double wanted = (double)weights[i] / (double)all;
        ck_assert_double_eq_tol(share, wanted, 0.1 * wanted);
    }
}

START_TEST(busy_models_get_the_threads_by_their_weights) {
    static const int weights[][MODELS] = {{1, 1, 1}, {1, 2, 5}, {10, 1, 1}, {3, 3, 1}};
    static const int64_t costs_us[][MODELS] = {
        {1000, 1000, 1000}, {50000, 300, 7000}, {200, 100000, 900}};
    static const int64_t guess_us[] = {500, 500, 500}; /* all are wrong */
    for (size_t w = 0; w < ARRAY_COUNT(weights); w++) {
        for (size_t c = 0; c < ARRAY_COUNT(costs_us); c++) {
            for (int threads = 1; threads <= THREADS; threads++) {
                open_shares(weights[w][0], weights[w][1], weights[w][2]);
                run_threads(threads, 60 * SECOND, costs_us[c], guess_us);
                check_shares(weights[w]);
            }
        }
    }
}
END_TEST

/* What comes now and then waits for the batch that is under way and no longer. */
START_TEST(a_fast_model_waits_for_one_batch_of_a_slow_one) {
    const int64_t slow_us = 90000, fast_us = 500;
    int64_t now_us = 0, worst_us = 0, arrived_us = -1, next_us = 100;
    open_shares(1, 1, 1);
    share_add(&shares, 0);
    for (int turns = 0; turns < 5000; turns++) {
        int model;
        if (now_us >= next_us && arrived_us < 0) {
            arrived_us = next_us;
            share_add(&shares, 1);
        }
        model = share_take(&shares);
        share_charge(&shares, model, model == 0 ? slow_us : fast_us);
        if (model == 0) {
            share_add(&shares, 0);
            now_us += slow_us;
            continue;
        }
        worst_us = now_us - arrived_us > worst_us ? now_us - arrived_us : worst_us;
        now_us += fast_us;
        arrived_us = -1;
        next_us = now_us + 7919;
    }
    ck_assert_int_ge(worst_us, 1);
    ck_assert_int_le(worst_us, slow_us);
}
END_TEST

START_TEST(time_without_work_is_no_credit) {
    static const int64_t first_us[MODELS] = {1000, 0, 0};
    static const int64_t both_us[MODELS] = {1000, 1000, 0};
    open_shares(1, 1, 1);
    run_threads(1, 100 * SECOND, first_us, first_us);
    used_us[0] = 0;
    items[0].waiting = 0;
    run_threads(1, 10 * SECOND, both_us, both_us);
    ck_assert_double_eq_tol((double)used_us[0], (double)used_us[1], 2000);
}
END_TEST

START_TEST(urgent_work_passes_ordinary_work_a_few_times_only) {
    int passed = 0, urgent = 0, ordinary = 0, waited = 0;
    for (int i = 0; i < 900; i++) {
        if (share_urgent_first(&passed, true, true)) {
            urgent++;
            ck_assert_int_le(++waited, SHARE_PASSED_MAX);
        } else {
            ordinary++;
            waited = 0;
        }
    }
    ck_assert_int_eq(urgent, 800);
    ck_assert_int_eq(ordinary, 100);
    ck_assert(share_urgent_first(&passed, true, false));
    ck_assert(!share_urgent_first(&passed, false, true));
}
END_TEST

/* ---- costs ----------------------------------------------------------------------- */

static struct cost measured(const int64_t *us, int count) {
    struct cost cost = {.count = 0};
    for (int i = 0; i < count; i++) {
        cost_add(&cost, 1 << i, us[i] * 1000);
    }
    return cost;
}

START_TEST(sizes_end_with_the_largest_batch) {
    int sizes[COST_POINTS_MAX];
    ck_assert_int_eq(cost_sizes(1, sizes), 1);
    ck_assert_int_eq(sizes[0], 1);
    ck_assert_int_eq(cost_sizes(64, sizes), 7);
    ck_assert_int_eq(sizes[6], 64);
    ck_assert_int_eq(cost_sizes(100, sizes), 8);
    ck_assert_int_eq(sizes[6], 64);
    ck_assert_int_eq(sizes[7], 100);
    ck_assert_int_le(cost_sizes(4096, sizes), COST_POINTS_MAX);
    ck_assert_int_le(cost_sizes(4095, sizes), COST_POINTS_MAX);
}
END_TEST

START_TEST(costs_between_and_beyond_what_was_measured) {
    static const int64_t us[] = {100, 160, 280};
    struct cost none = {.count = 0}, cost = measured(us, 3);
    ck_assert_int_eq(cost_ns(&none, 7), 0);
    ck_assert_int_eq(cost_ns(&cost, 1), 100000);
    ck_assert_int_eq(cost_ns(&cost, 3), 220000);
    ck_assert_int_eq(cost_ns(&cost, 4), 280000);
    ck_assert_int_eq(cost_ns(&cost, 8), 560000);
    ck_assert_int_eq(cost_rows_within(&cost, 64, 560000), 8);
    ck_assert_int_eq(cost_rows_within(&cost, 6, 560000), 6);
    ck_assert_int_eq(cost_rows_within(&cost, 64, 1), 1);
}
END_TEST

START_TEST(the_best_sizes_follow_the_curve) {
    /* Twice the rows, less than twice the cost, up to 32; then nothing is won. */
    static const int64_t falling[] = {1000, 1100, 1300, 1800, 3000, 5500, 11000};
    /* A cache that overflows: four rows are best. */
    static const int64_t bending[] = {1000, 1500, 2400, 6000, 13000};
    static const int64_t straight[] = {5000, 10000, 20000};
    static const int64_t tiny[] = {0, 0, 1, 2, 3};
    struct cost none = {.count = 0}, cost = measured(falling, 7);
    ck_assert_int_eq(cost_best_throughput(&cost), 32);
    ck_assert_int_eq(cost_best_latency(&cost), 8);
    cost = measured(bending, 5);
    ck_assert_int_eq(cost_best_throughput(&cost), 4);
    ck_assert_int_eq(cost_best_latency(&cost), 2);
    cost = measured(straight, 3);
    ck_assert_int_eq(cost_best_throughput(&cost), 1);
    ck_assert_int_eq(cost_best_latency(&cost), 1);
    cost = measured(tiny, 5); /* what a batch costs at all is most of it */
    ck_assert_int_eq(cost_best_throughput(&cost), 16);
    ck_assert_int_eq(cost_best_latency(&cost), 16);
    ck_assert_int_eq(cost_best_throughput(&none), 0);
    ck_assert_int_eq(cost_best_latency(&none), 0);
}
END_TEST

/* A model whose batches take what `us` says, by a clock that only they move. */
struct model {
    const int64_t *us; /* by the size's logarithm */
    int64_t now_us;
    int64_t runs;
    int broken; /* rows that cannot be run */
};

static bool run_model(void *opaque, int rows) {
    struct model *model = opaque;
    int size = 0;
    while (1 << size < rows) {
        size++;
    }
    model->now_us += model->us[size];
    model->runs++;
    return rows != model->broken;
}

static int64_t model_clock(void *opaque) {
    const struct model *model = opaque;
    return model->now_us;
}

static struct cost measure(struct model *model, int rows_max) {
    const struct cost_probe probe = {.run = run_model,
                                     .now_us = model_clock,
                                     .opaque = model,
                                     .rows_max = rows_max,
                                     .budget_us = SECOND / 2};
    struct cost cost;
    cost_measure(&cost, &probe);
    return cost;
}

START_TEST(every_size_is_measured_where_the_model_is_quick) {
    static const int64_t us[] = {30, 40, 60, 100, 180, 340, 660};
    struct model model = {.us = us};
    struct cost cost = measure(&model, 64);
    ck_assert_int_eq(cost.count, 7);
    for (int i = 0; i < 7; i++) {
        ck_assert_int_eq(cost.rows[i], 1 << i);
        ck_assert_int_eq(cost.ns[i], us[i] * 1000);
    }
    ck_assert_int_le(model.now_us, SECOND / 2);
}
END_TEST

START_TEST(a_slow_model_is_measured_within_its_time) {
    static const int64_t us[] = {40000, 80000, 160000, 320000, 640000};
    static const int64_t slower_us[] = {3 * SECOND, 6 * SECOND};
    struct model model = {.us = us}, slower = {.us = slower_us};
    struct cost cost = measure(&model, 16);
    ck_assert_int_eq(cost.count, 3); /* 8 rows would pass half a second */
    ck_assert_int_eq(model.runs, 3);
    ck_assert_int_le(model.now_us, SECOND / 2);
    cost = measure(&slower, 2);
    ck_assert_int_eq(cost.count, 1);
    ck_assert_int_eq(slower.runs, 1);
}
END_TEST

START_TEST(what_cannot_be_run_is_not_measured) {
    static const int64_t us[] = {30, 40, 60};
    struct model model = {.us = us, .broken = 2}, broken = {.us = us, .broken = 1};
    ck_assert_int_eq(measure(&model, 4).count, 1);
    ck_assert_int_eq(measure(&broken, 4).count, 0);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        busy_models_get_the_threads_by_their_weights,
        a_fast_model_waits_for_one_batch_of_a_slow_one,
        time_without_work_is_no_credit,
        urgent_work_passes_ordinary_work_a_few_times_only,
        sizes_end_with_the_largest_batch,
        costs_between_and_beyond_what_was_measured,
        the_best_sizes_follow_the_curve,
        every_size_is_measured_where_the_model_is_quick,
        a_slow_model_is_measured_within_its_time,
        what_cannot_be_run_is_not_measured,
    };
    return suite_run("share", tests, ARRAY_COUNT(tests));
}
