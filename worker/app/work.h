/* work.h - how much work is left, in seconds of this worker, for whoever scales workers.
 *
 * Jobs behind the end of the assigned partitions and in flight, times what a job of their
 * model has cost lately: the time of the slower of the two kinds of threads that touch
 * each job, the intake thread or all compute threads together.
 *
 * Depends on: config/config.h.
 * Ownership: plain data.
 * Threads: one thread. */
#ifndef MILLRACE_APP_WORK_H
#define MILLRACE_APP_WORK_H

#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

/* What a job costs in one stage. */
struct job_cost {
    int64_t last_jobs, last_us; /* sums since the start */
    double jobs, us;            /* lately: the older, the less they count */
};

/* Takes the sums of now; call it in even steps. */
void job_cost_update(struct job_cost *cost, int64_t jobs, int64_t us);

struct work {
    struct job_cost intake, encode, compute;   /* over all models */
    struct job_cost models[CONFIG_MODELS_MAX]; /* their part of compute */
};

/* Jobs that are left of one route. */
struct work_route {
    int64_t jobs; /* negative: unknown */
    int model;    /* -1: any */
};

/* Microseconds for all of them with so many compute threads; jobs of a model that has had
 * none yet, or of any, cost what those of all have.  -1 where there are jobs and nothing
 * has been measured, or where a route's are unknown. */
int64_t work_left_us(const struct work *work, const struct work_route *routes,
                     size_t count, int threads);

#endif
