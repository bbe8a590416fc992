/* clock.c - see clock.h. */
#include "base/clock.h"

#include <pthread.h>
#include <time.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int64_t wall_ahead_ms; /* of the monotonic clock, at the first question */

int64_t clock_now_ns(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail with this clock */
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t clock_now_us(void) {
    return clock_now_ns() / 1000;
}

int64_t clock_wall_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail with this clock */
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void compare(void) {
    wall_ahead_ms = clock_wall_ms() - clock_now_us() / 1000;
}

int64_t clock_steady_ms(void) {
    (void)pthread_once(&once, compare); /* fails only on misuse */
    return wall_ahead_ms + clock_now_us() / 1000;
}
