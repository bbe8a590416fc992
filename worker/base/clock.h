/* clock.h - the two clocks, read only by app, stream and tools; others are told.
 *
 * Depends on: nothing.  Threads: any. */
#ifndef MILLRACE_BASE_CLOCK_H
#define MILLRACE_BASE_CLOCK_H

#include <stdint.h>

/* Monotonic microseconds since some moment; for waits and durations. */
int64_t clock_now_us(void);

/* The same clock in nanoseconds, to time single operators with. */
int64_t clock_now_ns(void);

/* Milliseconds since 1970 UTC; may jump.  For timestamps that leave the process. */
int64_t clock_wall_ms(void);

/* The same as it was when this was first asked, and since then by the monotonic clock: it
 * never jumps.  For waits that other processes are told of. */
int64_t clock_steady_ms(void);

#endif
