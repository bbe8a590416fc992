/* watchdog.h - ends the process when a transaction call hangs, or will.
 *
 * librdkafka's transaction calls may ignore their timeout while a coordinator is down.
 * The commit thread says when it enters and leaves such a call; the poll thread and
 * whoever asks for stats look at how long that has been.  Past the limit nothing but a
 * new process helps, and nothing is lost by it: what was not committed is done again.
 *
 * librdkafka's threads wait by the wall clock.  When that is set back they sleep for so
 * much longer, and heartbeats with them; so the process ends then, too.
 *
 * Depends on: base/.
 * Ownership: plain data.
 * Threads: enter and leave on one thread, check on any. */
#ifndef MILLRACE_STREAM_WATCHDOG_H
#define MILLRACE_STREAM_WATCHDOG_H

#include <stdatomic.h>
#include <stdint.h>

/* EX_TEMPFAIL: a supervisor is to start the worker again. */
#define WATCHDOG_EXIT_CODE 75

/* A clock that is set back by less is waited for. */
#define WATCHDOG_CLOCK_BACK_MS 5000

struct watchdog {
    int64_t limit_us;         /* 0 for none */
    _Atomic int64_t ahead_ms; /* the wall clock of the monotonic one, at the last look */
    _Atomic int64_t entered_us; /* 0 while in no call */
    _Atomic(const char *) call; /* static text */
};

void watchdog_init(struct watchdog *watchdog, int64_t limit_us);

void watchdog_enter(struct watchdog *watchdog, const char *call);
void watchdog_leave(struct watchdog *watchdog);

/* Does not return where the limit is passed, or the clock was set back. */
void watchdog_check(struct watchdog *watchdog);

#endif
