#include "stream/watchdog.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

static int64_t ahead_now_ms(void) {
    return clock_wall_ms() - clock_now_us() / 1000;
}

void watchdog_init(struct watchdog *watchdog, int64_t limit_us) {
    watchdog->limit_us = limit_us;
    atomic_store(&watchdog->entered_us, 0);
    atomic_store(&watchdog->ahead_ms, ahead_now_ms());
}

void watchdog_enter(struct watchdog *watchdog, const char *call) {
    atomic_store(&watchdog->call, call);
    atomic_store(&watchdog->entered_us, clock_now_us());
}

void watchdog_leave(struct watchdog *watchdog) {
    atomic_store(&watchdog->entered_us, 0);
}

static void check_clock(struct watchdog *watchdog) {
    int64_t now_ms = ahead_now_ms();
    int64_t back_ms = atomic_exchange(&watchdog->ahead_ms, now_ms) - now_ms;

    if (back_ms <= WATCHDOG_CLOCK_BACK_MS) {
        return;
    }
    log_event(LOG_ERROR, "clock_set_back", LOG_INT("by_ms", back_ms),
              LOG_TEXT("action", "waits of the Kafka client would last so much longer; "
                                 "the process ends to be restarted"));
    _exit(WATCHDOG_EXIT_CODE);
}

void watchdog_check(struct watchdog *watchdog) {
    int64_t entered_us = atomic_load(&watchdog->entered_us);

    check_clock(watchdog);
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
