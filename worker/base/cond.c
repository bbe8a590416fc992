/* cond.c - see cond.h. */
#include "base/cond.h"

#include <errno.h>
#include <time.h>

bool cond_init(pthread_cond_t *cond) {
    pthread_condattr_t attr;
    bool good;
    if (pthread_condattr_init(&attr) != 0) {
        return false;
    }
    good = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 &&
           pthread_cond_init(cond, &attr) == 0;
    (void)pthread_condattr_destroy(&attr); /* fails only on misuse */
    return good;
}

bool cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t deadline_us) {
    struct timespec at = {.tv_sec = (time_t)(deadline_us / 1000000),
                          .tv_nsec = (long)(deadline_us % 1000000) * 1000};
    return pthread_cond_timedwait(cond, lock, &at) != ETIMEDOUT;
}
