/* test_metrics.c - the page is what Prometheus reads, and holds what was counted. */
#include "app/metrics.h"

#include <pthread.h>

#include "tests/unit/app/exposition.h"
#include "tests/unit/suite.h"

static const struct metrics_model models[] = {
    {.name = "digits", .version = "1", .path = "models/digits/model.onnx"},
    {.name = "a\"b\\c\nd", .version = "", .path = "x"},
};
static const char *const routes[] = {"digits.jobs", "text.jobs"};
static const struct metrics_opts opts = {.models = models,
                                         .model_count = ARRAY_COUNT(models),
                                         .routes = routes,
                                         .route_count = ARRAY_COUNT(routes),
                                         .version = "1.2.3"};

static struct exposition page;

static struct metrics *create(void) {
    struct metrics *metrics;
    struct error err = {0};
    ck_assert_int_eq(metrics_create(&opts, &metrics, &err), STATUS_OK);
    return metrics;
}

static void read_page(struct metrics *metrics) {
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    ck_assert_ptr_nonnull(to);
    metrics_write(metrics, to);
    ck_assert_int_eq(fclose(to), 0);
    ck_assert_uint_eq(strlen(text), size);
    exposition_read(text, &page);
    free(text);
}

static double value(const char *series) {
    return exposition_value(&page, series);
}

START_TEST(a_fresh_page_has_every_series_at_zero) {
    struct metrics *metrics = create();
    read_page(metrics);
    ck_assert_double_eq(value("millrace_jobs_received_total{route=\"text.jobs\"}"), 0);
    ck_assert_double_eq(value("millrace_jobs_answered_total{model=\"digits\"}"), 0);
    ck_assert_double_eq(value("millrace_transactions_total{outcome=\"aborted\"}"), 0);
    ck_assert_double_eq(
        value("millrace_batch_flushes_total{model=\"digits\",reason=\"linger\"}"), 0);
    ck_assert_double_eq(value("millrace_stage_duration_seconds_count{stage=\"commit\"}"),
                        0);
    ck_assert_uint_ge(page.family_count, METRIC_COUNT + 2);
    metrics_destroy(metrics);
}
END_TEST

START_TEST(counters_add_up_by_label) {
    struct metrics *metrics = create();
    metrics_add(metrics, METRIC_JOBS_RECEIVED, 1, 5);
    metrics_add(metrics, METRIC_JOBS_RECEIVED, 1, 7);
    metrics_add(metrics, METRIC_JOBS_DEAD_LETTERED,
                metrics_label(metrics, METRIC_JOBS_DEAD_LETTERED, 1, METRIC_DEAD_INFER),
                3);
    read_page(metrics);
    ck_assert_double_eq(value("millrace_jobs_received_total{route=\"text.jobs\"}"), 12);
    ck_assert_double_eq(value("millrace_jobs_received_total{route=\"digits.jobs\"}"), 0);
    ck_assert_double_eq(
        value("millrace_jobs_dead_lettered_total{route=\"text.jobs\",stage=\"infer\"}"),
        3);
    ck_assert_double_eq(
        value("millrace_jobs_dead_lettered_total{route=\"text.jobs\",stage=\"decode\"}"),
        0);
    ck_assert_double_eq(
        value("millrace_jobs_dead_lettered_total{route=\"digits.jobs\",stage=\"infer\"}"),
        0);
    metrics_destroy(metrics);
}
END_TEST

START_TEST(gauges_hold_the_last_value_and_unknown_ones_are_left_out) {
    struct metrics *metrics = create();
    metrics_set(metrics, METRIC_CONSUMER_LAG, 0, 9);
    metrics_set(metrics, METRIC_CONSUMER_LAG, 0, 1234567890123);
    metrics_set(metrics, METRIC_TRANSACTIONS, METRIC_COMMITTED, 8);
    metrics_set(metrics, METRIC_MODEL_COST,
                metrics_label(metrics, METRIC_MODEL_COST, 0, 4), 2500);
    read_page(metrics);
    ck_assert_double_eq_tol(
        value("millrace_model_cost_seconds{model=\"digits\",rows=\"16\"}"), 2.5e-6,
        1e-12);
    ck_assert_double_eq(value("millrace_consumer_lag_records"), 1234567890123.0);
    ck_assert_double_eq(value("millrace_transactions_total{outcome=\"committed\"}"), 8);
    metrics_set(metrics, METRIC_CONSUMER_LAG, 0, -1);
    read_page(metrics);
    ck_assert_ptr_null(exposition_find(&page, "millrace_consumer_lag_records"));
    metrics_destroy(metrics);
}
END_TEST

START_TEST(rows_fall_into_their_buckets) {
    struct metrics *metrics = create();
    metrics_observe(metrics, METRIC_BATCH_ROWS, 0, 64, 1); /* a bound is inside */
    metrics_observe(metrics, METRIC_BATCH_ROWS, 0, 65, 1);
    metrics_observe(metrics, METRIC_BATCH_ROWS, 0, 5000, 1);
    metrics_observe(metrics, METRIC_BATCH_ROWS, 0, -3, 1); /* counts as 0 */
    read_page(metrics);
    ck_assert_double_eq(value("millrace_batch_rows_bucket{model=\"digits\",le=\"1\"}"),
                        1);
    ck_assert_double_eq(value("millrace_batch_rows_bucket{model=\"digits\",le=\"32\"}"),
                        1);
    ck_assert_double_eq(value("millrace_batch_rows_bucket{model=\"digits\",le=\"64\"}"),
                        2);
    ck_assert_double_eq(value("millrace_batch_rows_bucket{model=\"digits\",le=\"128\"}"),
                        3);
    ck_assert_double_eq(value("millrace_batch_rows_bucket{model=\"digits\",le=\"4096\"}"),
                        3);
    ck_assert_double_eq(value("millrace_batch_rows_bucket{model=\"digits\",le=\"+Inf\"}"),
                        4);
    ck_assert_double_eq(value("millrace_batch_rows_sum{model=\"digits\"}"), 5129);
    ck_assert_double_eq(value("millrace_batch_rows_count{model=\"digits\"}"), 4);
    metrics_destroy(metrics);
}
END_TEST

START_TEST(durations_are_written_in_seconds) {
    struct metrics *metrics = create();
    metrics_observe(metrics, METRIC_STAGE_DURATION, METRIC_STAGE_COMPUTE, 2500, 2);
    metrics_observe(metrics, METRIC_JOB_LATENCY, 0, 1000001, 1);
    read_page(metrics);
    ck_assert_double_eq(
        value("millrace_stage_duration_seconds_bucket{stage=\"compute\",le=\"0.001\"}"),
        0);
    ck_assert_double_eq(
        value("millrace_stage_duration_seconds_bucket{stage=\"compute\",le=\"0.0025\"}"),
        2);
    ck_assert_double_eq(value("millrace_stage_duration_seconds_sum{stage=\"compute\"}"),
                        0.005);
    ck_assert_double_eq(value("millrace_job_latency_seconds_bucket{le=\"1\"}"), 0);
    ck_assert_double_eq(value("millrace_job_latency_seconds_bucket{le=\"2.5\"}"), 1);
    ck_assert_double_eq(value("millrace_job_latency_seconds_sum"), 1.000001);
    metrics_destroy(metrics);
}
END_TEST

START_TEST(label_values_are_escaped) {
    struct metrics *metrics = create();
    metrics_add(metrics, METRIC_JOBS_ANSWERED, 1, 2);
    read_page(metrics);
    ck_assert_double_eq(value("millrace_jobs_answered_total{model=\"a\\\"b\\\\c\\nd\"}"),
                        2);
    metrics_destroy(metrics);
}
END_TEST

START_TEST(the_page_says_what_runs_and_how_the_process_is) {
    struct metrics *metrics = create();
    read_page(metrics);
    ck_assert_double_eq(value("millrace_model_info{model=\"digits\",version=\"1\","
                              "path=\"models/digits/model.onnx\",sha256=\"\"}"),
                        1);
    metrics_set_model(
        metrics, 0,
        &(struct metrics_model){.version = "2", .path = "next.onnx", .sha256 = "00ff"});
    read_page(metrics);
    ck_assert_double_eq(value("millrace_model_info{model=\"digits\",version=\"2\","
                              "path=\"next.onnx\",sha256=\"00ff\"}"),
                        1);
    ck_assert_double_gt(value("process_resident_memory_bytes"), 100000);
    ck_assert_double_ge(value("process_open_fds"), 3);
    ck_assert_double_gt(value("process_max_fds"), 3);
    ck_assert_double_gt(value("process_cpu_seconds_total"), 0);
    ck_assert_double_gt(value("process_start_time_seconds"), 1.7e9);
    metrics_destroy(metrics);
}
END_TEST

START_TEST(no_models_and_no_routes_make_a_page_too) {
    const struct metrics_opts none = {.version = ""};
    struct metrics *metrics;
    struct error err = {0};
    ck_assert_int_eq(metrics_create(&none, &metrics, &err), STATUS_OK);
    read_page(metrics);
    ck_assert_double_eq(value("millrace_rebalances_total"), 0);
    metrics_destroy(metrics);
    metrics_destroy(NULL);
}
END_TEST

enum { UPDATES = 20000 };

static void *update(void *cls) {
    for (int i = 0; i < UPDATES; i++) {
        metrics_add(cls, METRIC_JOBS_ANSWERED, 0, 3);
        metrics_observe(cls, METRIC_BATCH_ROWS, 0, i % 100, 1);
        metrics_set(cls, METRIC_JOBS_IN_FLIGHT, 0, i);
    }
    return NULL;
}

START_TEST(no_update_is_lost_between_threads) {
    struct metrics *metrics = create();
    pthread_t threads[4];
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, update, metrics), 0);
    }
    for (int i = 0; i < 5; i++) {
        read_page(metrics); /* is well-formed at any moment */
    }
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    read_page(metrics);
    ck_assert_double_eq(value("millrace_jobs_answered_total{model=\"digits\"}"),
                        3.0 * UPDATES * 4);
    ck_assert_double_eq(value("millrace_batch_rows_count{model=\"digits\"}"),
                        UPDATES * 4.0);
    metrics_destroy(metrics);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_fresh_page_has_every_series_at_zero,
        counters_add_up_by_label,
        gauges_hold_the_last_value_and_unknown_ones_are_left_out,
        rows_fall_into_their_buckets,
        durations_are_written_in_seconds,
        label_values_are_escaped,
        the_page_says_what_runs_and_how_the_process_is,
        no_models_and_no_routes_make_a_page_too,
        no_update_is_lost_between_threads,
    };
    return suite_run("metrics", tests, ARRAY_COUNT(tests));
}
