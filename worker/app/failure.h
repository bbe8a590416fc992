/* failure.h - what becomes of a job that failed: another attempt, or a dead letter.
 *
 * Depends on: app/metrics.h, stream/stream.h.
 * Ownership: the reason is copied; config and metrics are borrowed.
 * Threads: any; a record belongs to one. */
#ifndef MILLRACE_APP_FAILURE_H
#define MILLRACE_APP_FAILURE_H

#include "app/later.h"
#include "app/metrics.h"
#include "config/config.h"
#include "stream/stream.h"

/* What is needed to decide. */
struct failure {
    const struct config *config;
    struct metrics *metrics;
    struct later later; /* those that are tried again in their place */
};

/* What a job of several rows failed of; parts_fail is told, struct infer_sink tells. */
enum failure_cause { FAILURE_COMPUTED, FAILURE_TOO_LATE };

/* Why a job is given up that is so late. */
void failure_late(int64_t late_us, struct error *reason);

/* The job's deadline is over: a dead letter that says so. */
void failure_expire(struct failure *failure, struct record *record, const char *model,
                    int64_t late_us);

/* Sets the record's outcome and counts it, or puts it off, where its route keeps order.
 * `stage` is where it failed. */
void failure_settle(struct failure *failure, struct record *record,
                    enum metric_dead stage, const char *model, enum status status,
                    const char *reason);

#endif
