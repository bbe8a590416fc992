#include "stream/watchdog.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

void watchdog_enter(struct watchdog *watchdog, const char *call) {
    atomic_store(&watchdog->call, call);
    atomic_store(&watchdog->entered_us, clock_now_us());
}

void watchdog_leave(struct watchdog *watchdog) {
    atomic_store(&watchdog->entered_us, 0);
}

void watchdog_check(struct watchdog *watchdog) {
    int64_t entered_us = atomic_load(&watchdog->entered_us);

    if (entered_us == 0 || watchdog->limit_us == 0 ||
        clock_now_us() - entered_us < watchdog->limit_us) {
        return;
    }
    log_event(LOG_ERROR, "watchdog", LOG_TEXT("call", atomic_load(&watchdog->call)),
              LOG_INT("limit_ms", watchdog->limit_us / 1000),
              LOG_TEXT("action", "the call hangs; the process ends to be restarted"));
    /* Not exit(): its handlers would wait for the thread that hangs. */
    _exit(WATCHDOG_EXIT_CODE);
}
