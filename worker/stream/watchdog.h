/* watchdog.h - ends the process when a transaction call hangs.
 *
 * librdkafka's transaction calls may ignore their timeout while a coordinator is down.
 * The commit thread says when it enters and leaves such a call; the poll thread and
 * whoever asks for stats look at how long that has been.  Past the limit nothing but a
 * new process helps, and nothing is lost by it: what was not committed is done again.
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

struct watchdog {
    int64_t limit_us;           /* 0 for none */
    _Atomic int64_t entered_us; /* 0 while in no call */
    _Atomic(const char *) call; /* static text */
};

void watchdog_enter(struct watchdog *watchdog, const char *call);
void watchdog_leave(struct watchdog *watchdog);

/* Does not return where the limit is passed. */
void watchdog_check(struct watchdog *watchdog);

#endif
