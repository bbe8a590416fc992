/* test_shadow.c - how two answers compare, and that nobody waits for a shadow. */
#include <dirent.h>
#include <math.h>
#include <sched.h>

#include "app/shadow.h"
#include "base/log.h"
#include "stream/record.h"
#include "tests/unit/suite.h"

static struct shadow_verdict compare(const float *a, const float *b, int64_t count) {
    struct tensor x = {
        .dtype = DTYPE_F32, .rank = 1, .dims = {count}, .data = (void *)(uintptr_t)a};
    struct tensor y = {
        .dtype = DTYPE_F32, .rank = 1, .dims = {count}, .data = (void *)(uintptr_t)b};
    return shadow_compare(&x, &y);
}

START_TEST(several_values_agree_on_the_largest) {
    const float a[] = {0.1F, 0.7F, 0.2F}, b[] = {0.3F, 0.4F, 0.3F}, c[] = {1, 0, 0};
    struct shadow_verdict verdict = compare(a, b, 3);
    ck_assert(verdict.comparable);
    ck_assert(verdict.agree);
    ck_assert_double_eq_tol(verdict.difference, 0.3, 1e-6);
    verdict = compare(a, c, 3);
    ck_assert(!verdict.agree);
    ck_assert_double_eq_tol(verdict.difference, 0.9, 1e-6);
}
END_TEST

START_TEST(a_single_value_agrees_on_its_side_of_a_half) {
    const float low = 0.2F, high = 0.6F, higher = 0.9F;
    ck_assert(compare(&high, &higher, 1).agree);
    ck_assert(!compare(&low, &high, 1).agree);
}
END_TEST

START_TEST(nan_and_infinities_are_no_accident) {
    const float a[] = {NAN, INFINITY}, b[] = {NAN, INFINITY}, c[] = {0, INFINITY};
    ck_assert_double_eq(compare(a, b, 2).difference, 0);
    ck_assert(isinf(compare(a, c, 2).difference));
}
END_TEST

START_TEST(what_is_of_another_size_or_no_float_is_not_compared) {
    float a[4] = {0};
    double d[4] = {0};
    int64_t n[4] = {0};
    struct tensor x = {.dtype = DTYPE_F32, .rank = 1, .dims = {4}, .data = a};
    struct tensor y = {.dtype = DTYPE_F64, .rank = 2, .dims = {2, 2}, .data = d};
    ck_assert(shadow_compare(&x, &y).comparable); /* the same number of floats */
    y.dims[0] = 1;
    ck_assert(!shadow_compare(&x, &y).comparable);
    y = (struct tensor){.dtype = DTYPE_I64, .rank = 1, .dims = {4}, .data = n};
    ck_assert(!shadow_compare(&x, &y).comparable);
    x.dims[0] = y.dims[0] = 0;
    ck_assert(!shadow_compare(&x, &x).comparable);
}
END_TEST

#define TWOFOLD "tests/data/models/twofold.onnx"

enum { ROWS = 3, BATCHES = 100 };

static const struct config_model config_model = {
    .name = "m", .path = TWOFOLD, .version = "1", .batch_max = ROWS, .weight = 1};
static const struct config_route config_routes[] = {
    {.input = "in", .shadow = TWOFOLD, .shadow_output = ""},
    {.input = "plain", .shadow = "", .shadow_output = ""}};
static const struct config config = {.models = &config_model,
                                     .model_count = 1,
                                     .routes = config_routes,
                                     .route_count = 2,
                                     .worker = {.threads = 1}};
static struct models models;
static struct metrics *metrics;
static struct shadows *shadows;
static struct error err;

static void start(void) {
    static const struct stream_property broker = {"bootstrap.servers", "127.0.0.1:1"};
    const struct stream_opts stream = {
        .common = &broker, .common_count = 1, .group = "g"};
    const char *const routes[] = {"in", "plain"};
    const struct metrics_model name = {"m", "", "", ""};
    const struct metrics_opts figures = {.models = &name,
                                         .model_count = 1,
                                         .routes = routes,
                                         .route_count = 2,
                                         .version = ""};
    struct shadow_opts opts = {.config = &config, .models = &models, .stream = &stream};
    log_setup(LOG_ERROR + 1, LOG_FORMAT_JSON);
    ck_assert_msg(models_open(&config, 1, &models, &err) == STATUS_OK, "%s", err.text);
    ck_assert_int_eq(metrics_create(&figures, &metrics, &err), STATUS_OK);
    opts.metrics = metrics;
    ck_assert_msg(shadows_create(&opts, &shadows, &err) == STATUS_OK, "%s", err.text);
}

static void stop(void) {
    shadows_destroy(shadows);
    metrics_destroy(metrics);
    models_close(&models);
}

static int64_t jobs(size_t route, enum metric_shadow outcome) {
    return metrics_get(metrics, METRIC_SHADOW_JOBS,
                       metrics_label(metrics, METRIC_SHADOW_JOBS, route, outcome));
}

/* A batch of rows of the first route, but for the last one. */
static struct batch *batch_of(struct record records[ROWS]) {
    const struct row_shape shape = {.dims = {2}};
    struct batch *batch;
    ck_assert_int_eq(batch_create(&models.items[0]->item, 0, &batch, &err), STATUS_OK);
    ck_assert_int_eq(batch_shape(batch, &shape, -1, &err), STATUS_OK);
    for (int i = 0; i < ROWS; i++) {
        float *row = batch_at(batch, 0, i);
        row[0] = row[1] = (float)i;
        records[i] = (struct record){.route = i == ROWS - 1 ? 1 : 0};
        batch->rows[i] = (struct batch_row){.tag = &records[i], .id = span_text("id")};
    }
    batch->count = ROWS;
    batch->inputs[0].dims[0] = ROWS;
    return batch;
}

/* Of the thread that is called "shadow", as the kernel tells it. */
static long niceness(void) {
    char path[300], name[32] = "", stat[1024];
    DIR *tasks = opendir("/proc/self/task");
    long nice = -100;
    ck_assert_ptr_nonnull(tasks);
    for (const struct dirent *task; (task = readdir(tasks)) != NULL;) {
        FILE *file;
        (void)snprintf(path, sizeof(path), "/proc/self/task/%s/stat", task->d_name);
        file = fopen(path, "r");
        if (file != NULL && fgets(stat, sizeof(stat), file) != NULL &&
            sscanf(stat, "%*d (%31[^)])", name) == 1 && strcmp(name, "shadow") == 0) {
            ck_assert_int_eq(sscanf(strchr(stat, ')'),
                                    ") %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
                                    "%*s %*s %*s %*s %ld",
                                    &nice),
                             1);
        }
        if (file != NULL) {
            fclose(file);
        }
    }
    closedir(tasks);
    return nice;
}

/* None of the copies that are out comes back meanwhile. */
START_TEST(what_a_shadow_cannot_keep_up_with_it_passes_by) {
    const struct infer_times whole = {.runs = 1}, halved = {.runs = 3};
    struct session *session;
    struct shadow_slot *slots[BATCHES];
    struct record records[ROWS];
    struct batch *batch;
    int taken = 0;
    start();
    session = models.items[0]->sessions[0];
    batch = batch_of(records);
    ck_assert_int_eq(session_prepare(session, batch->inputs, &err), STATUS_OK);
    ck_assert_int_eq(session_run(session, batch->inputs, &err), STATUS_OK);
    for (int i = 0; i < BATCHES; i++) {
        slots[taken] = shadow_take(shadows, batch);
        taken += slots[taken] != NULL;
    }
    ck_assert_int_gt(taken, 0);
    ck_assert_int_lt(taken, BATCHES);
    ck_assert_int_eq(jobs(0, METRIC_SHADOW_DROPPED), (BATCHES - taken) * (ROWS - 1));
    shadow_give(shadows, slots[0], batch, session, &halved); /* its outputs are gone */
    ck_assert_int_eq(jobs(0, METRIC_SHADOW_DROPPED), (BATCHES - taken + 1) * (ROWS - 1));
    for (int i = 1; i < taken; i++) {
        shadow_give(shadows, slots[i], batch, session, &whole);
    }
    while (jobs(0, METRIC_SHADOW_AGREED) < (taken - 1) * (ROWS - 1)) {
        sched_yield();
    }
    ck_assert_int_eq(niceness(), 19);
    ck_assert_ptr_nonnull(slots[0] = shadow_take(shadows, batch));
    shadow_give(shadows, slots[0], batch, session, &halved);
    for (size_t outcome = 0; outcome < METRIC_SHADOW_COUNT; outcome++) {
        ck_assert_int_eq(jobs(1, (enum metric_shadow)outcome), 0); /* it has no shadow */
    }
    batch_destroy(batch);
    stop();
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        several_values_agree_on_the_largest,
        a_single_value_agrees_on_its_side_of_a_half,
        nan_and_infinities_are_no_accident,
        what_is_of_another_size_or_no_float_is_not_compared,
        what_a_shadow_cannot_keep_up_with_it_passes_by,
    };
    return suite_run("shadow", tests, ARRAY_COUNT(tests));
}
