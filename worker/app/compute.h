/* compute.h - what becomes of a batch: rows that came too late are taken out, the others
 * run, every job has its outcome, and all of it is counted.
 *
 * Depends on: app/intake.h, app/shadow.h, batch/infer.h, stream/stream.h.
 * Ownership: everything is borrowed; the batch goes back to the intake.
 * Threads: any compute thread, each with a number of its own. */
#ifndef MILLRACE_APP_COMPUTE_H
#define MILLRACE_APP_COMPUTE_H

#include "app/failure.h"
#include "app/intake.h"
#include "app/ready.h"
#include "app/shadow.h"
#include "batch/infer.h"

/* What all compute threads share. */
struct compute {
    struct stream *stream;
    struct metrics *metrics;
    struct shadows *shadows; /* NULL for none */
    struct failure *failure;
    struct answers_pool *answers;
    struct ready *ready; /* where the batch was popped */
    struct intake *intake;
};

/* `thread` is the number of its sessions, in every version of a model. */
void compute_batch(const struct compute *compute, int thread, struct batch *batch);

#endif
