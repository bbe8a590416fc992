/* work.c - see work.h. */
#include "app/work.h"

/* What is left of a step's weight in the next one: at 5 steps a second half of it is gone
 * after 14 s.  Steps without jobs change nothing, so that the cost outlives idle times.
 */
#define KEPT 0.99

void work_update(struct work *work, const struct work_figures *now) {
    int64_t jobs = now->jobs - work->last.jobs;
    if (jobs <= 0) {
        return; /* what was spent meanwhile counts with the next job */
    }
    work->jobs = work->jobs * KEPT + (double)jobs;
    work->intake_us =
        work->intake_us * KEPT + (double)(now->intake_us - work->last.intake_us);
    work->compute_us =
        work->compute_us * KEPT + (double)(now->compute_us - work->last.compute_us);
    work->last = *now;
}

int64_t work_left_us(const struct work *work, int64_t jobs, int threads) {
    double compute_us = work->compute_us / threads;
    double cost_us = compute_us > work->intake_us ? compute_us : work->intake_us;
    double left_us;
    if (jobs <= 0) {
        return jobs;
    }
    if (work->jobs <= 0) {
        return -1;
    }
    left_us = (double)jobs * cost_us / work->jobs;
    return left_us < (double)INT64_MAX / 2 ? (int64_t)left_us : INT64_MAX / 2;
}
