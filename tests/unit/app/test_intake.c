/* test_intake.c - the rows of a job are all computed by one version of its model, a
 * deadline is kept beside whatever is under way, and an urgent job goes first. */
#include "app/intake.h"

#include "base/clock.h"
#include "base/log.h"
#include "batch/parts.h"
#include "tests/unit/suite.h"

#define TWOFOLD "tests/data/models/twofold.onnx" /* x [batch,2] */
#define BATCH 4
#define ROWS 60                  /* of a job: more than all batches of the model hold */
#define COST_NS INT64_C(5000000) /* of a row */
#define SLOW_US INT64_C(80000000)
#define LATER_MS 1000000

enum { MODELS = 2 };

static const struct config_model config_models[MODELS] = {
    {.name = "m",
     .path = TWOFOLD,
     .version = "1",
     .batch_max = BATCH,
     .batch_size = BATCH,
     .weight = 1,
     .linger_ms = 2 * LATER_MS},
    {.name = "slow", .path = TWOFOLD, .version = "1", .batch_max = 1, .weight = 1}};
static const struct config_route route = {.input = "in", .job_bytes_max = 1 << 20};
static const struct config config = {.models = config_models,
                                     .model_count = MODELS,
                                     .routes = &route,
                                     .route_count = 1,
                                     .worker = {.threads = 1}};
static struct models models;
static struct ready ready;
static struct parts_pool parts;
static struct metrics *metrics;
static struct intake *intake;
static struct error err;

/* Where a row of the first model costs so much. */
static void start_at(int64_t cost_ns) {
    const char *const routes[] = {"r"};
    const struct metrics_model names[MODELS] = {{"m", "", "", ""}, {"slow", "", "", ""}};
    const struct metrics_opts figures = {.models = names,
                                         .model_count = MODELS,
                                         .routes = routes,
                                         .route_count = 1,
                                         .version = ""};
    struct intake_opts opts = {
        .config = &config, .models = &models, .parts = &parts, .ready = &ready};
    ck_assert_msg(models_open(&config, 1, &models, &err) == STATUS_OK, "%s", err.text);
    models.items[0]->item.cost = (struct cost){.count = 1, .rows = {1}, .ns = {cost_ns}};
    models.items[1]->item.cost =
        (struct cost){.count = 1, .rows = {1}, .ns = {SLOW_US * 1000}};
    ck_assert_int_eq(metrics_create(&figures, &metrics, &err), STATUS_OK);
    ck_assert_int_eq(ready_init(&ready, &models, &err), STATUS_OK);
    ck_assert(parts_pool_init(&parts));
    opts.metrics = metrics;
    ck_assert_int_eq(intake_create(&opts, &intake, &err), STATUS_OK);
}

/* So slow that there are no more batches than are needed. */
static void start(void) {
    start_at(COST_NS);
}

static void stop(void) {
    intake_destroy(intake);
    parts_pool_release(&parts);
    ready_release(&ready);
    metrics_destroy(metrics);
    models_close(&models);
}

/* A job of ROWS rows, in Avro by hand. */
static struct span job(void) {
    static const uint8_t head[] = {2, 'j', 0,   0, 0, 0, 2,    0,
                                   0, 4,   120, 4, 0, 0, 0xc0, 0x07};
    static uint8_t bytes[sizeof(head) + ROWS * 2 * sizeof(float) + 1];
    memcpy(bytes, head, sizeof(head));
    return span_of(bytes, sizeof(bytes));
}

static void offer(const char *version) {
    const struct loaded_source source = {
        .config = &config_models[0], .path = TWOFOLD, .version = version, .threads = 1};
    struct loaded *loaded;
    ck_assert_msg(loaded_open(&source, &loaded, &err) == STATUS_OK, "%s", err.text);
    intake_offer(intake, loaded);
}

/* Runs one batch, as far as the intake can tell: its rows are to be of that version, and
 * are counted for their job. */
static bool run_one(const struct record *first, int rows[2], const char *const of[2]) {
    struct batch *batch = ready_pop(&ready, 0);
    if (batch == NULL) {
        return false;
    }
    for (int i = 0; i < batch->count; i++) {
        int job = batch->rows[i].tag == first ? 0 : 1;
        struct error none = {.status = STATUS_POISON};
        ck_assert_str_eq(loaded_of(batch)->version, of[job]);
        rows[job]++;
        if (parts_fail(batch->rows[i].parts, 1, 0, &none)) {
            parts_give_back(batch->rows[i].parts);
        }
    }
    batch->count = 0;
    intake_give_back(intake, batch);
    return true;
}

START_TEST(a_job_that_was_begun_is_finished_by_the_version_that_began_it) {
    static const char *const of[] = {"1", "2"};
    struct record second = {.value = job(), .has_no_headers = true, .attempt = 1};
    struct record first = {
        .next = &second, .value = job(), .has_no_headers = true, .attempt = 1};
    int rows[2] = {0, 0}, rounds = 0;
    start();
    intake_chain(intake, &first);
    ck_assert(intake_wants_batches(intake, 0) || ready_waiting(&ready) > 0);
    offer("2");
    do {
        intake_flush(intake, true);
        intake_resume(intake);
        ck_assert_int_lt(++rounds, 10 * ROWS);
    } while (run_one(&first, rows, of) || rows[1] < ROWS);
    ck_assert_int_eq(rows[0], ROWS);
    ck_assert_int_eq(rows[1], ROWS);
    ck_assert_str_eq(models.items[0]->version, "2");
    stop();
}
END_TEST

/* A job of one row with a deadline, in Avro by hand. */
static struct span job_until(int64_t deadline_ms) {
    static uint8_t bytes[64];
    static const uint8_t head[] = {2, 'j', 0, 0, 2};
    static const uint8_t tail[] = {0, 2, 0, 0, 2, 4, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    uint64_t left = (uint64_t)deadline_ms * 2; /* zigzag */
    size_t size = sizeof(head);
    memcpy(bytes, head, sizeof(head));
    for (; left > 127; left >>= 7) {
        bytes[size++] = (uint8_t)(left | 128);
    }
    bytes[size++] = (uint8_t)left;
    memcpy(bytes + size, tail, sizeof(tail));
    return span_of(bytes, size + sizeof(tail));
}

/* When the open batch with a job of that deadline has to leave. */
static int64_t due_us(struct record *record, int64_t deadline_ms) {
    *record = (struct record){
        .value = job_until(deadline_ms), .has_no_headers = true, .attempt = 1};
    intake_chain(intake, record);
    return intake_wait_us(intake, 0);
}

START_TEST(a_deadline_leaves_time_for_a_batch_of_another_model_that_is_under_way) {
    struct record records[2];
    struct batch slow = {.model_index = 1};
    int64_t deadline_ms = clock_wall_ms() + LATER_MS, idle_us, busy_us;
    start();
    idle_us = due_us(&records[0], deadline_ms) - clock_now_us();
    ck_assert_int_le(idle_us, (int64_t)LATER_MS * 1000);
    ck_assert_int_gt(idle_us, (int64_t)LATER_MS * 1000 - SLOW_US / 2);
    ck_assert(ready_push(&ready, &slow, 0));
    ck_assert_ptr_eq(ready_pop(&ready, 0), &slow);
    busy_us = due_us(&records[1], deadline_ms) - clock_now_us();
    ck_assert_int_le(busy_us, (int64_t)LATER_MS * 1000 - SLOW_US);
    ck_assert_int_gt(busy_us, (int64_t)LATER_MS * 1000 - SLOW_US * 3 / 2);
    stop();
}
END_TEST

/* Jobs of one row, in Avro by hand: one without headers, one with a priority of 1. */
static struct record job_of(bool urgent) {
    static const uint8_t ordinary[] = {2, 'j', 0, 0, 0, 0, 2, 0, 0, 2, 4, 0,
                                       0, 16,  0, 0, 0, 0, 0, 0, 0, 0, 0};
    static const uint8_t first[] =
        "\002j\0\0\0\002\042millrace."
        "priority\0021\0\002\0\0\002\004\0\0\020\0\0\0\0\0\0\0\0";
    return (struct record){.value = urgent ? span_of(first, sizeof(first))
                                           : span_of(ordinary, sizeof(ordinary)),
                           .has_no_headers = true,
                           .attempt = 1};
}

START_TEST(an_urgent_job_goes_before_those_that_wait_for_a_batch) {
    enum { ORDINARY = 40 };
    struct record ordinary[ORDINARY], urgent = job_of(true);
    struct batch *batch;
    start();
    for (int i = 0; i < ORDINARY; i++) {
        ordinary[i] = job_of(false);
        intake_chain(intake, &ordinary[i]);
    }
    intake_chain(intake, &urgent);
    batch = ready_pop(&ready, 0);
    ck_assert_ptr_eq(batch->rows[0].tag, &ordinary[0]);
    ck_assert_int_eq(batch->cost_us,
                     COST_NS / 1000 * BATCH); /* what its turn is reckoned by */
    batch->count = 0;
    intake_give_back(intake, batch);
    intake_resume(intake); /* there is one batch for all that wait */
    batch = ready_pop(&ready, 0);
    ck_assert_ptr_eq(batch->rows[0].tag, &urgent);
    ck_assert_int_eq(batch->reason, BATCH_PRIORITY);
    ck_assert_int_eq(batch->count, BATCH);
    stop();
}
END_TEST

static void check_batches(int64_t cost_ns, int count) {
    enum { JOBS = 30 * BATCH };
    struct record jobs[JOBS];
    start_at(cost_ns);
    for (int i = 0; i < JOBS; i++) {
        jobs[i] = job_of(false);
        intake_chain(intake, &jobs[i]);
    }
    intake_resume(intake);
    ck_assert_int_eq(ready_waiting(&ready), count);
    /* There is no hurry while half of them wait. */
    while (ready_waiting(&ready) > 0) {
        ck_assert_int_eq(intake_wants_batches(intake, 0),
                         ready_waiting(&ready) <= count / 2);
        ck_assert_ptr_nonnull(ready_pop(&ready, 0));
    }
    stop();
}

START_TEST(a_model_that_is_quickly_run_has_batches_to_spare) {
    check_batches(COST_NS, 5);
    check_batches(1000, 5 + 16);
    check_batches(500000 / BATCH, 5 + 4); /* 2 ms of work more */
}
END_TEST

static void be_quiet(void) {
    log_setup(LOG_ERROR + 1, LOG_FORMAT_JSON);
}

int main(void) {
    const TTest *const tests[] = {
        a_job_that_was_begun_is_finished_by_the_version_that_began_it,
        a_deadline_leaves_time_for_a_batch_of_another_model_that_is_under_way,
        a_model_that_is_quickly_run_has_batches_to_spare,
        an_urgent_job_goes_before_those_that_wait_for_a_batch,
    };
    return suite_run_with("intake", tests, ARRAY_COUNT(tests), be_quiet, NULL);
}
