/* A condition waits by the monotonic clock. */
#include "base/cond.h"

#include "base/clock.h"
#include "tests/unit/suite.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond;

START_TEST(a_wait_ends_at_its_deadline_and_not_before) {
    int64_t deadline_us;
    ck_assert(cond_init(&cond));
    ck_assert_int_eq(pthread_mutex_lock(&lock), 0);
    deadline_us = clock_now_us() + 20000;
    while (cond_wait_until(&cond, &lock, deadline_us)) {
    }
    ck_assert_int_ge(clock_now_us(), deadline_us);
    ck_assert(!cond_wait_until(&cond, &lock, deadline_us)); /* it is past */
    ck_assert_int_eq(pthread_mutex_unlock(&lock), 0);
    ck_assert_int_eq(pthread_cond_destroy(&cond), 0);
}
END_TEST

/* Once the other side waits, which lets go of the lock. */
static void *signal_it(void *opaque) {
    (void)pthread_mutex_lock(&lock);
    (void)pthread_cond_signal(&cond);
    (void)pthread_mutex_unlock(&lock);
    return opaque;
}

START_TEST(a_signal_ends_a_wait_before_its_deadline) {
    pthread_t thread;
    ck_assert(cond_init(&cond));
    ck_assert_int_eq(pthread_mutex_lock(&lock), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, signal_it, NULL), 0);
    /* The far end of what a queue waits for without a limit. */
    ck_assert(cond_wait_until(&cond, &lock, clock_now_us() + INT64_MAX / 8));
    ck_assert_int_eq(pthread_mutex_unlock(&lock), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(pthread_cond_destroy(&cond), 0);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_wait_ends_at_its_deadline_and_not_before,
        a_signal_ends_a_wait_before_its_deadline,
    };
    return suite_run("cond", tests, ARRAY_COUNT(tests));
}
