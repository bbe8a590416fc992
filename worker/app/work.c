/* work.c - see work.h. */
#include "app/work.h"

/* What is left of a step's weight in the next one: at 5 steps a second half of it is gone
 * after 14 s.  Steps without jobs change nothing, so that the cost outlives idle times.
 */
#define KEPT 0.99

void job_cost_update(struct job_cost *cost, int64_t jobs, int64_t us) {
    if (jobs <= cost->last_jobs) {
        return; /* what was spent meanwhile counts with the next job */
    }
    cost->jobs = cost->jobs * KEPT + (double)(jobs - cost->last_jobs);
    cost->us = cost->us * KEPT + (double)(us - cost->last_us);
    cost->last_jobs = jobs;
    cost->last_us = us;
}

static double cost_of_a_job(const struct job_cost *cost) {
    return cost->jobs > 0 ? cost->us / cost->jobs : 0;
}

static const struct job_cost *compute_cost(const struct work *work, int model) {
    return model >= 0 && work->models[model].jobs > 0 ? &work->models[model]
                                                      : &work->compute;
}

int64_t work_left_us(const struct work *work, const struct work_route *routes,
                     size_t count, int threads) {
    double jobs = 0, compute_us = 0, intake_us, left_us;

    for (size_t i = 0; i < count; i++) {
        double of_route = (double)routes[i].jobs;
        if (routes[i].jobs < 0) {
            return -1;
        }
        jobs += of_route;
        compute_us += of_route * cost_of_a_job(compute_cost(work, routes[i].model));
    }
    if (jobs > 0 && work->compute.jobs <= 0) {
        return -1;
    }
    compute_us = (compute_us + jobs * cost_of_a_job(&work->encode)) / threads;
    intake_us = jobs * cost_of_a_job(&work->intake);
    left_us = compute_us > intake_us ? compute_us : intake_us;
    return left_us < (double)INT64_MAX / 2 ? (int64_t)left_us : INT64_MAX / 2;
}
