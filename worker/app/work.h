/* work.h - how much work is left, in seconds of this worker, for whoever scales workers.
 *
 * Jobs behind the end of the assigned partitions and in flight, times what a job has cost
 * lately: the time of the slower of the two kinds of threads that touch each job, the
 * intake thread or all compute threads together.
 *
 * Depends on: base/.
 * Ownership: plain data.
 * Threads: one thread. */
#ifndef MILLRACE_APP_WORK_H
#define MILLRACE_APP_WORK_H

#include <stdint.h>

/* Sums since the start. */
struct work_figures {
    int64_t jobs;       /* computed */
    int64_t intake_us;  /* spent on decoding and batching them */
    int64_t compute_us; /* spent on computing and encoding them, over all threads */
};

struct work {
    struct work_figures last;
    double jobs, intake_us, compute_us; /* lately: the older, the less they count */
};

/* Takes the sums of now; call it in even steps. */
void work_update(struct work *work, const struct work_figures *now);

/* Microseconds for `jobs` more with so many compute threads; -1 where there are some and
 * none has been measured, or where `jobs` is negative, that is unknown. */
int64_t work_left_us(const struct work *work, int64_t jobs, int threads);

#endif
