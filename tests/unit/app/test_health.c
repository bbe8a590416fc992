/* test_health.c - readiness has its reasons, and a stalled stage is found. */
#include "app/health.h"

#include <jansson.h>

#include "tests/unit/suite.h"

enum { STALL_US = 1000 };

static struct health health;

/* The report as JSON, and what the function returned. */
static json_t *report_of(bool (*write)(FILE *to), bool *returned) {
    char *text = NULL;
    size_t size = 0;
    json_error_t error;
    json_t *root;
    FILE *to = open_memstream(&text, &size);
    ck_assert_ptr_nonnull(to);
    *returned = write(to);
    ck_assert_int_eq(fclose(to), 0);
    root = json_loads(text, 0, &error);
    ck_assert_msg(root != NULL, "%s: %s", error.text, text);
    free(text);
    return root;
}

static bool write_ready(FILE *to) {
    return health_ready_report(&health, to);
}

static int64_t report_us;

static bool write_alive(FILE *to) {
    return health_alive_report(&health, report_us, to);
}

static bool alive_at(int64_t now_us) {
    bool alive;
    report_us = now_us;
    json_decref(report_of(write_alive, &alive));
    return alive;
}

static void meet_all(void) {
    for (int i = 0; i < HEALTH_CONDITION_COUNT; i++) {
        health_meet(&health, (enum health_condition)i);
    }
}

START_TEST(ready_needs_every_condition) {
    ck_assert(health_init(&health, 1, STALL_US));
    for (int i = 0; i < HEALTH_CONDITION_COUNT; i++) {
        ck_assert(!health_is_ready(&health));
        health_meet(&health, (enum health_condition)i);
    }
    ck_assert(health_is_ready(&health));
    for (int i = 0; i < HEALTH_CONDITION_COUNT; i++) {
        health_unmeet(&health, (enum health_condition)i, "gone");
        ck_assert(!health_is_ready(&health));
        health_meet(&health, (enum health_condition)i);
    }
    health_release(&health);
}
END_TEST

START_TEST(report_names_each_reason_and_nothing_met) {
    json_t *root;
    json_t *reasons;
    bool ready;
    ck_assert(health_init(&health, 1, STALL_US));
    meet_all();
    health_unmeet(&health, HEALTH_BROKER, "no \"broker\"\nanswers \xc3");
    root = report_of(write_ready, &ready);
    ck_assert(!ready);
    ck_assert(json_is_false(json_object_get(root, "ready")));
    reasons = json_object_get(root, "reasons");
    ck_assert_uint_eq(json_object_size(reasons), 1);
    ck_assert_str_eq(json_string_value(json_object_get(reasons, "broker")),
                     "no \"broker\"?answers ?");
    json_decref(root);
    health_meet(&health, HEALTH_BROKER);
    root = report_of(write_ready, &ready);
    ck_assert(ready);
    ck_assert(json_is_true(json_object_get(root, "ready")));
    ck_assert_uint_eq(json_object_size(json_object_get(root, "reasons")), 0);
    json_decref(root);
    health_release(&health);
}
END_TEST

START_TEST(long_reasons_are_cut) {
    char reason[4 * HEALTH_REASON_MAX];
    json_t *root;
    bool ready;
    memset(reason, '"', sizeof(reason) - 1);
    reason[sizeof(reason) - 1] = 0;
    ck_assert(health_init(&health, 1, STALL_US));
    meet_all();
    health_unmeet(&health, HEALTH_TOPICS, reason);
    root = report_of(write_ready, &ready);
    ck_assert_uint_eq(
        json_string_length(json_object_get(json_object_get(root, "reasons"), "topics")),
        HEALTH_REASON_MAX - 1);
    json_decref(root);
    health_release(&health);
}
END_TEST

START_TEST(busy_stage_must_move_and_idle_one_need_not) {
    size_t stage;
    ck_assert(health_init(&health, 2, STALL_US));
    stage = health_stage_add(&health, "compute");
    (void)health_stage_add(&health, "poll"); /* stays idle */
    ck_assert(alive_at(INT64_MAX - 1));
    health_busy(&health, stage, 5000);
    ck_assert(alive_at(5000 + STALL_US));
    ck_assert(!alive_at(5000 + STALL_US + 1));
    ck_assert(alive_at(4000)); /* another thread's earlier look */
    health_busy(&health, stage, 6000);
    ck_assert(alive_at(6000 + STALL_US));
    health_idle(&health, stage);
    ck_assert(alive_at(INT64_MAX - 1));
    health_release(&health);
}
END_TEST

START_TEST(report_names_the_stalled_stages) {
    json_t *root;
    json_t *stalled;
    bool alive;
    size_t stage;
    ck_assert(health_init(&health, 2, STALL_US));
    (void)health_stage_add(&health, "poll"); /* stays idle */
    stage = health_stage_add(&health, "a-name-longer-than-there-is-room-for");
    health_busy(&health, stage, 0);
    report_us = 61000000;
    root = report_of(write_alive, &alive);
    ck_assert(!alive);
    ck_assert(json_is_false(json_object_get(root, "alive")));
    stalled = json_object_get(root, "stalled_s");
    ck_assert_uint_eq(json_object_size(stalled), 1);
    ck_assert_int_eq(
        json_integer_value(json_object_get(stalled, "a-name-longer-than-ther")), 61);
    json_decref(root);
    health_release(&health);
}
END_TEST

static atomic_bool stop;

static void *move(void *cls) {
    size_t stage = *(size_t *)cls;
    for (int64_t now_us = 0; !atomic_load(&stop); now_us++) {
        health_busy(&health, stage, now_us);
        health_unmeet(&health, HEALTH_BROKER, "away");
        health_meet(&health, HEALTH_BROKER);
        health_idle(&health, stage);
    }
    return NULL;
}

START_TEST(reports_run_beside_the_stages) {
    pthread_t threads[2];
    size_t stages[2];
    json_t *root;
    bool fine;
    ck_assert(health_init(&health, 3, STALL_US));
    for (size_t i = 0; i < 2; i++) {
        stages[i] = health_stage_add(&health, "stage");
        ck_assert_int_eq(pthread_create(&threads[i], NULL, move, &stages[i]), 0);
    }
    (void)health_stage_add(&health, "late"); /* while the others move */
    for (int i = 0; i < 200; i++) {
        root = report_of(write_ready, &fine);
        json_decref(root);
        root = report_of(write_alive, &fine);
        json_decref(root);
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < 2; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    health_release(&health);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        ready_needs_every_condition,
        report_names_each_reason_and_nothing_met,
        long_reasons_are_cut,
        busy_stage_must_move_and_idle_one_need_not,
        report_names_the_stalled_stages,
        reports_run_beside_the_stages,
    };
    return suite_run("health", tests, ARRAY_COUNT(tests));
}
