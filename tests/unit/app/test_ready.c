/* test_ready.c - batches wait for their turn, records for a batch. */
#include "app/ready.h"

#include <pthread.h>

#include "app/backlog.h"
#include "tests/unit/suite.h"

enum { MODELS = 2, BATCHES = 64 };

static struct loaded loaded[MODELS] = {{.item = {.weight = 1}}, {.item = {.weight = 3}}};
static struct batch batches[BATCHES];
static struct ready ready;
static int64_t now_us; /* of what is pushed */

static void open_ready(void) {
    struct loaded *items[MODELS] = {&loaded[0], &loaded[1]};
    const struct models models = {.items = items, .count = MODELS};
    struct error err;
    ck_assert_int_eq(ready_init(&ready, &models, &err), STATUS_OK);
}

static void close_ready(void) {
    ready_release(&ready);
    ready_release(&ready); /* a released one is a zeroed one */
}

static void push(int index, int model, int64_t cost_us, enum batch_reason reason) {
    batches[index].model_index = model;
    batches[index].cost_us = cost_us;
    batches[index].reason = reason;
    ck_assert(ready_push(&ready, &batches[index], now_us));
}

START_TEST(models_take_turns_by_weight_and_cost) {
    int taken[MODELS] = {0};
    for (int i = 0; i < 32; i++) {
        push(i, 0, 1000, BATCH_FULL);
        push(32 + i, 1, 2000, BATCH_FULL);
    }
    ck_assert_int_eq(ready_waiting(&ready), 64);
    for (int i = 0; i < 25; i++) {
        taken[ready_pop(&ready, 0)->model_index]++;
    }
    /* Three times the time for the second, whose batches cost twice as much. */
    ck_assert_int_eq(taken[0], 10);
    ck_assert_int_eq(taken[1], 15);
}
END_TEST

START_TEST(a_batch_that_took_longer_counts_as_what_it_took) {
    push(0, 0, 1, BATCH_FULL);
    push(1, 0, 1, BATCH_FULL);
    push(2, 1, 1000, BATCH_FULL);
    push(3, 1, 1000, BATCH_FULL);
    ck_assert_ptr_eq(ready_pop(&ready, 0), &batches[0]);
    ck_assert(ready_runs(&ready, 0));
    ck_assert(!ready_runs(&ready, 1));
    ready_done(&ready, &batches[0], 1000000);
    ck_assert(!ready_runs(&ready, 0));
    ck_assert_ptr_eq(ready_pop(&ready, 0), &batches[2]);
    ck_assert_ptr_eq(ready_pop(&ready, 0), &batches[3]);
    ck_assert_ptr_eq(ready_pop(&ready, 0), &batches[1]);
    ck_assert_ptr_null(ready_pop(&ready, 0));
}
END_TEST

START_TEST(urgent_batches_pass_others_a_few_times_only) {
    int before = 0;
    for (int i = 0; i < 20; i++) {
        push(i, 0, 10, i < 2 ? BATCH_FULL : i % 2 > 0 ? BATCH_PRIORITY : BATCH_DEADLINE);
    }
    while (ready_pop(&ready, 0) != &batches[0]) {
        before++;
    }
    ck_assert_int_eq(before, SHARE_PASSED_MAX);
    ck_assert_ptr_eq(ready_pop(&ready, 0), &batches[2 + before]);
}
END_TEST

static void *pop_one(void *opaque) {
    struct batch **to = opaque;
    *to = ready_pop(&ready, 60 * 1000000);
    return NULL;
}

START_TEST(an_idle_thread_is_seen_and_woken) {
    pthread_t thread;
    struct batch *popped = NULL;
    ck_assert(!ready_is_idle(&ready));
    ck_assert_int_eq(pthread_create(&thread, NULL, pop_one, &popped), 0);
    while (!ready_is_idle(&ready)) {
        sched_yield();
    }
    push(0, 0, 10, BATCH_FULL);
    ck_assert_int_eq(ready.unheard, 1); /* not worth it yet */
    ready_wake(&ready);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_ptr_eq(popped, &batches[0]);
    ck_assert_int_eq(pthread_create(&thread, NULL, pop_one, &popped), 0);
    ready_close(&ready);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_ptr_null(popped);
    ck_assert(!ready_push(&ready, &batches[0], 0));
}
END_TEST

/* Whether a thread that waits hears of so many batches without being woken by hand. */
static void check_heard(int count, int64_t cost_us) {
    pthread_t thread;
    struct batch *popped = NULL;
    ck_assert_int_eq(pthread_create(&thread, NULL, pop_one, &popped), 0);
    while (!ready_is_idle(&ready)) {
        sched_yield();
    }
    for (int i = 0; i < count; i++) {
        push(i, 0, cost_us, BATCH_FULL);
    }
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_ptr_eq(popped, &batches[0]);
    for (int i = 1; i < count; i++) {
        ck_assert_ptr_eq(ready_pop(&ready, 0), &batches[i]);
    }
}

START_TEST(batches_are_heard_of_once_they_are_worth_it) {
    check_heard(1, 1000);
    check_heard(1, 0); /* not known */
    check_heard(20, 5);
    now_us += 1000; /* so long it took to fill it: there is nothing to wait for */
    check_heard(1, 5);
}
END_TEST

START_TEST(records_come_out_as_they_went_in_urgent_ones_first) {
    static struct record records[20];
    const struct batcher_progress none = {.parts = NULL};
    struct backlog backlog = {.count = 0};
    int seen = 0;
    for (int i = 0; i < 20; i++) {
        records[i].value.size = 10;
        backlog_add(&backlog, &records[i], i >= 2, &none);
    }
    ck_assert_uint_eq(backlog.count, 20);
    ck_assert_uint_eq(backlog.size, 200);
    for (struct backlog_line *line; (line = backlog_next(&backlog)) != NULL; seen++) {
        int wanted = seen < 8 ? 2 + seen : seen == 8 ? 0 : seen < 17 ? 1 + seen : 1;
        wanted = seen > 17 ? seen : wanted;
        ck_assert_ptr_eq(line->first, &records[wanted]);
        backlog_pop(&backlog, line, line->first->next, 10);
    }
    ck_assert_int_eq(seen, 20);
    ck_assert_uint_eq(backlog.size, 0);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        models_take_turns_by_weight_and_cost,
        a_batch_that_took_longer_counts_as_what_it_took,
        urgent_batches_pass_others_a_few_times_only,
        batches_are_heard_of_once_they_are_worth_it,
        an_idle_thread_is_seen_and_woken,
        records_come_out_as_they_went_in_urgent_ones_first,
    };
    return suite_run_with("ready", tests, ARRAY_COUNT(tests), open_ready, close_ready);
}
