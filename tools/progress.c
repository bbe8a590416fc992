/* progress.c - see progress.h. */
#include "tools/progress.h"

#include <unistd.h>

#include "base/clock.h"

#define QUIET_US (2 * INT64_C(1000000))          /* shorter work shows nothing */
#define REDRAW_US INT64_C(100000)                /* of the bar on a terminal */
#define PLAIN_INTERVAL_US (5 * INT64_C(1000000)) /* between lines in a log */
#define BAR_WIDTH 30

void progress_start(struct progress *progress, const char *label, const char *unit,
                    int64_t total) {
    *progress = (struct progress){.label = label,
                                  .unit = unit,
                                  .total = total,
                                  .started_us = clock_now_us(),
                                  .terminal = isatty(STDERR_FILENO) == 1};
}

bool progress_due(const struct progress *progress, int64_t now_us) {
    int64_t interval = progress->terminal ? REDRAW_US : PLAIN_INTERVAL_US;
    if (progress->shown_us == 0) {
        return now_us - progress->started_us >= QUIET_US;
    }
    return now_us - progress->shown_us >= interval;
}

/* "12 s", "3 min 05 s", "2 h 10 min" */
static void duration_text(int64_t seconds, char *text, size_t size) {
    long long s = seconds;
    if (s < 60) {
        (void)snprintf(text, size, "%lld s", s);
    } else if (s < 3600) {
        (void)snprintf(text, size, "%lld min %02lld s", s / 60, s % 60);
    } else {
        (void)snprintf(text, size, "%lld h %02lld min", s / 3600, s % 3600 / 60);
    }
}

void progress_text(const struct progress *progress, int64_t done, int64_t now_us,
                   char *text) {
    char bar[BAR_WIDTH + 1] = "";
    char left[32] = "";
    double seconds = (double)(now_us - progress->started_us) / 1e6;
    double rate = seconds > 0.0 ? (double)done / seconds : 0.0;
    if (progress->total <= 0) {
        (void)snprintf(text, PROGRESS_TEXT_MAX, "%s: %lld %s, %.0f/s", progress->label,
                       (long long)done, progress->unit, rate);
        return;
    }
    double share = (double)done / (double)progress->total;
    share = share < 1.0 ? share : 1.0;
    size_t filled = (size_t)(share * BAR_WIDTH);
    memset(bar, '-', BAR_WIDTH);
    memset(bar, '#', filled);
    if (rate > 0.0) {
        int64_t rest = done < progress->total ? progress->total - done : 0;
        duration_text((int64_t)((double)rest / rate), left, sizeof(left));
    } else {
        (void)snprintf(left, sizeof(left), "?");
    }
    (void)snprintf(text, PROGRESS_TEXT_MAX,
                   "%s [%s] %3.0f %% %lld/%lld %s, %.0f/s, %s left", progress->label, bar,
                   share * 100.0, (long long)done, (long long)progress->total,
                   progress->unit, rate, left);
}

void progress_update(struct progress *progress, int64_t done) {
    char text[PROGRESS_TEXT_MAX];
    int64_t now_us = clock_now_us();
    if (!progress_due(progress, now_us)) {
        return;
    }
    progress->shown_us = now_us;
    progress_text(progress, done, now_us, text);
    /* The escape clears what a longer line has left behind. */
    fprintf(stderr, progress->terminal ? "\r%s\033[K" : "%s\n", text);
    fflush(stderr);
}

void progress_end(struct progress *progress) {
    if (progress->terminal && progress->shown_us != 0) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
}
