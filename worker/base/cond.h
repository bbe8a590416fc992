/* cond.h - a condition on the monotonic clock, so that a change of the wall clock moves
 * no wait.
 *
 * Depends on: base/compiler.h.  Ownership: the caller's storage; pthread_cond_destroy
 * ends it.  Threads: as a pthread_cond_t. */
#ifndef MILLRACE_BASE_COND_H
#define MILLRACE_BASE_COND_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

/* False without memory. */
MUST_CHECK bool cond_init(pthread_cond_t *cond);

/* Waits until it is signalled, or until deadline_us by clock_now_us(): false once that is
 * past.  As with any condition, it may return early.  Locks: `lock` held. */
bool cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t deadline_us);

#endif
