/* test_queue.c - nothing is lost, doubled or reordered; nobody waits for ever. */
#include "base/queue.h"

#include <stdatomic.h>

#include "base/clock.h"
#include "tests/unit/suite.h"

enum { SECOND_US = 1000000, PATIENCE_US = 30 * SECOND_US };

static int items[100000];

static bool full(struct queue *queue) {
    return queue_count(queue) == queue->capacity;
}

/* How many threads wait inside; looks under the lock. */
static size_t waiting(struct queue *queue) {
    size_t count;
    (void)pthread_mutex_lock(&queue->lock);
    count = queue->pushers + queue->poppers;
    (void)pthread_mutex_unlock(&queue->lock);
    return count;
}

static void wait_for_waiters(struct queue *queue, size_t count) {
    int64_t deadline = clock_now_us() + PATIENCE_US;
    while (waiting(queue) < count) {
        ck_assert_msg(clock_now_us() < deadline, "nobody waits");
    }
}

START_TEST(items_come_out_in_the_order_they_went_in) {
    struct queue queue;
    ck_assert(queue_init(&queue, 3));
    for (int round = 0; round < 10; round++) { /* the ring wraps */
        for (int i = 0; i < 3; i++) {
            ck_assert(queue_push(&queue, &items[i], 0));
        }
        ck_assert(full(&queue));
        for (int i = 0; i < 3; i++) {
            ck_assert_ptr_eq(queue_pop(&queue, 0), &items[i]);
        }
    }
    ck_assert_ptr_null(queue_pop(&queue, 0));
    queue_release(&queue);
}
END_TEST

START_TEST(a_full_queue_refuses_and_keeps_what_it_has) {
    struct queue queue;
    int64_t from;
    ck_assert(queue_init(&queue, 1));
    ck_assert(queue_push(&queue, &items[0], 0));
    ck_assert(!queue_push(&queue, &items[1], 0));
    from = clock_now_us();
    ck_assert(!queue_push(&queue, &items[1], 20000));
    ck_assert_int_ge(clock_now_us() - from, 20000);
    ck_assert_ptr_eq(queue_pop(&queue, 0), &items[0]);
    ck_assert_ptr_null(queue_pop(&queue, 0));
    queue_release(&queue);
}
END_TEST

START_TEST(an_empty_queue_waits_until_its_deadline) {
    struct queue queue;
    int64_t from = clock_now_us();
    ck_assert(queue_init(&queue, 1));
    ck_assert_ptr_null(queue_pop(&queue, 20000));
    ck_assert_int_ge(clock_now_us() - from, 20000);
    queue_release(&queue);
}
END_TEST

START_TEST(many_come_out_at_once_and_in_order) {
    struct queue queue;
    void *out[4] = {NULL};
    ck_assert(queue_init(&queue, 5));
    for (int i = 0; i < 5; i++) {
        ck_assert(queue_push(&queue, &items[i], 0));
    }
    ck_assert_uint_eq(queue_pop_many(&queue, out, 4, 0), 4);
    for (int i = 0; i < 4; i++) {
        ck_assert_ptr_eq(out[i], &items[i]);
    }
    ck_assert_uint_eq(queue_pop_many(&queue, out, 4, 0), 1);
    ck_assert_ptr_eq(out[0], &items[4]);
    ck_assert_uint_eq(queue_pop_many(&queue, out, 4, 0), 0);
    queue_release(&queue);
}
END_TEST

START_TEST(a_closed_queue_takes_nothing_and_gives_what_it_has) {
    struct queue queue;
    ck_assert(queue_init(&queue, 2));
    ck_assert(queue_push(&queue, &items[0], 0));
    queue_close(&queue);
    queue_close(&queue);
    ck_assert(!queue_push(&queue, &items[1], QUEUE_FOREVER));
    ck_assert_ptr_eq(queue_pop(&queue, QUEUE_FOREVER), &items[0]);
    ck_assert_ptr_null(queue_pop(&queue, QUEUE_FOREVER));
    queue_release(&queue);
}
END_TEST

static void *pop_for_ever(void *cls) {
    return queue_pop(cls, QUEUE_FOREVER);
}

static void *push_for_ever(void *cls) {
    return queue_push(cls, &items[9], QUEUE_FOREVER) ? &items[9] : NULL;
}

START_TEST(close_wakes_all_who_wait_to_pop) {
    pthread_t threads[3];
    struct queue queue;
    ck_assert(queue_init(&queue, 1));
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, pop_for_ever, &queue), 0);
    }
    wait_for_waiters(&queue, ARRAY_COUNT(threads));
    queue_close(&queue);
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
        void *item = &items[0];
        ck_assert_int_eq(pthread_join(threads[i], &item), 0);
        ck_assert_ptr_null(item);
    }
    queue_release(&queue);
}
END_TEST

START_TEST(close_wakes_all_who_wait_to_push) {
    pthread_t threads[3];
    struct queue queue;
    ck_assert(queue_init(&queue, 1));
    ck_assert(queue_push(&queue, &items[0], 0));
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, push_for_ever, &queue), 0);
    }
    wait_for_waiters(&queue, ARRAY_COUNT(threads));
    queue_close(&queue);
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
        void *item = &items[0];
        ck_assert_int_eq(pthread_join(threads[i], &item), 0);
        ck_assert_ptr_null(item);
    }
    ck_assert_ptr_eq(queue_pop(&queue, 0), &items[0]);
    queue_release(&queue);
}
END_TEST

START_TEST(room_for_many_wakes_many) {
    pthread_t threads[3];
    struct queue queue;
    void *out[3];
    ck_assert(queue_init(&queue, 3));
    for (int i = 0; i < 3; i++) {
        ck_assert(queue_push(&queue, &items[i], 0));
    }
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, push_for_ever, &queue), 0);
    }
    wait_for_waiters(&queue, ARRAY_COUNT(threads));
    ck_assert_uint_eq(queue_pop_many(&queue, out, 3, 0), 3);
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
        void *item = NULL;
        ck_assert_int_eq(pthread_join(threads[i], &item), 0);
        ck_assert_ptr_eq(item, &items[9]);
    }
    ck_assert_uint_eq(queue_count(&queue), 3);
    queue_release(&queue);
}
END_TEST

struct traffic {
    struct queue queue;
    atomic_int next;                                /* item to push */
    _Atomic unsigned char seen[ARRAY_COUNT(items)]; /* how often each came out */
    atomic_int failures;
};

static void *produce(void *cls) {
    struct traffic *traffic = cls;
    int index;
    while ((index = atomic_fetch_add(&traffic->next, 1)) < (int)ARRAY_COUNT(items)) {
        if (!queue_push(&traffic->queue, &items[index], PATIENCE_US)) {
            atomic_fetch_add(&traffic->failures, 1);
        }
    }
    return NULL;
}

static void *consume(void *cls) {
    struct traffic *traffic = cls;
    void *out[7];
    size_t count;
    do { /* nothing comes only of a queue that is closed and empty */
        count = queue_pop_many(&traffic->queue, out, ARRAY_COUNT(out), QUEUE_FOREVER);
        for (size_t i = 0; i < count; i++) {
            atomic_fetch_add(&traffic->seen[(int *)out[i] - items], 1);
        }
    } while (count > 0);
    return NULL;
}

START_TEST(every_item_comes_out_once_under_traffic) {
    static struct traffic traffic;
    pthread_t producers[4];
    pthread_t consumers[4];
    ck_assert(queue_init(&traffic.queue, 16));
    for (size_t i = 0; i < 4; i++) {
        ck_assert_int_eq(pthread_create(&producers[i], NULL, produce, &traffic), 0);
        ck_assert_int_eq(pthread_create(&consumers[i], NULL, consume, &traffic), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        ck_assert_int_eq(pthread_join(producers[i], NULL), 0);
    }
    queue_close(&traffic.queue);
    for (size_t i = 0; i < 4; i++) {
        ck_assert_int_eq(pthread_join(consumers[i], NULL), 0);
    }
    ck_assert_int_eq(atomic_load(&traffic.failures), 0);
    for (size_t i = 0; i < ARRAY_COUNT(items); i++) {
        ck_assert_uint_eq(atomic_load(&traffic.seen[i]), 1);
    }
    queue_release(&traffic.queue);
}
END_TEST

START_TEST(release_accepts_a_zeroed_queue) {
    struct queue queue = {0};
    queue_release(&queue);
    ck_assert(queue_init(&queue, 1));
    queue_release(&queue);
    queue_release(&queue);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        items_come_out_in_the_order_they_went_in,
        a_full_queue_refuses_and_keeps_what_it_has,
        an_empty_queue_waits_until_its_deadline,
        many_come_out_at_once_and_in_order,
        a_closed_queue_takes_nothing_and_gives_what_it_has,
        close_wakes_all_who_wait_to_pop,
        close_wakes_all_who_wait_to_push,
        room_for_many_wakes_many,
        every_item_comes_out_once_under_traffic,
        release_accepts_a_zeroed_queue,
    };
    return suite_run("queue", tests, ARRAY_COUNT(tests));
}
