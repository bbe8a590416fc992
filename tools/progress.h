/* progress.h - how far a long command has come, on standard error.
 *
 * Nothing is shown in the first two seconds.  Then a terminal gets a bar that is
 * redrawn in place, anything else a plain line every few seconds.
 *
 * Depends on: base/clock.h.
 * Ownership: texts are borrowed until progress_end.
 * Threads: one at a time. */
#ifndef MILLRACE_TOOLS_PROGRESS_H
#define MILLRACE_TOOLS_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROGRESS_TEXT_MAX 128 /* bytes of a line, with the final 0 */

struct progress {
    const char *label; /* "submit" */
    const char *unit;  /* "jobs" */
    int64_t total;     /* units to do; 0 if not known */
    int64_t started_us;
    int64_t shown_us; /* when it was last shown; 0 for never */
    bool terminal;
};

void progress_start(struct progress *progress, const char *label, const char *unit,
                    int64_t total);

/* Shows `done` if it is time to; cheap enough to call for every unit. */
void progress_update(struct progress *progress, int64_t done);

/* Clears the bar, so that what follows starts on an empty line. */
void progress_end(struct progress *progress);

/* What update would show at now_us is due to be shown. */
bool progress_due(const struct progress *progress, int64_t now_us);

/* The line for `done` units at now_us, into `text` of PROGRESS_TEXT_MAX bytes. */
void progress_text(const struct progress *progress, int64_t done, int64_t now_us,
                   char *text);

#endif
