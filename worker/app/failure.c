/* failure.c - see failure.h. */
#include "app/failure.h"

#include <assert.h>

#include "base/clock.h"

/* Each class of failure, and whether time can heal it.  README.md has the same table. */
static const bool may_pass[] = {
    [STATUS_OK] = false,
    [STATUS_AGAIN] = true,        /* a service beside us is away, slow or starting */
    [STATUS_POISON] = false,      /* the job itself is bad */
    [STATUS_UNSUPPORTED] = false, /* so is a model or schema */
    [STATUS_INVALID] = false,     /* so is what an operator wrote */
    [STATUS_ABORT_TXN] = true,    /* never met here */
    [STATUS_NO_MEMORY] = true,    /* others need it now */
    [STATUS_FATAL] = false,       /* never met here: the worker ends */
};
_Static_assert(ARRAY_COUNT(may_pass) == STATUS_COUNT, "every status is judged");

static const char *const stages[] = {
    [METRIC_DEAD_DECODE] = "decode",
    [METRIC_DEAD_DEADLINE] = "deadline",
    [METRIC_DEAD_INFER] = "infer",
};
_Static_assert(ARRAY_COUNT(stages) == METRIC_DEAD_COUNT, "every stage is named");

void failure_late(int64_t late_us, struct error *reason) {
    (void)error_set(reason, STATUS_POISON, "expired: %lld ms past its deadline",
                    (long long)(late_us / 1000));
}

void failure_expire(struct failure *failure, struct record *record, const char *model,
                    int64_t late_us) {
    struct error reason;
    failure_late(late_us, &reason);
    failure_settle(failure, record, METRIC_DEAD_DEADLINE, model, reason.status,
                   reason.text);
}

/* Puts the record off in its place; false where its route does not, or not once more. */
static bool put_off(struct failure *failure, struct record *record) {
    const struct config_route *route = &failure->config->routes[record->route];
    int64_t delay_ms;
    if (route->order == CONFIG_ORDER_FREE || record->attempt > route->retry_count) {
        return false;
    }
    delay_ms = route->retry_ms[record->attempt - 1];
    record->attempt++;
    if (route->order == CONFIG_ORDER_KEY) {
        record_hold(record);
    }
    later_add(&failure->later, record, clock_now_us() + delay_ms * 1000);
    return true;
}

void failure_settle(struct failure *failure, struct record *record,
                    enum metric_dead stage, const char *model, enum status status,
                    const char *reason) {
    size_t route = (size_t)record->route; /* the record is gone with its outcome */
    bool again = false;
    enum metric metric;
    assert(status < STATUS_COUNT);
    if (may_pass[status]) {
        again = put_off(failure, record) ||
                record_set_retry(record, stages[stage], model, reason);
    } else {
        record_set_dead(record, stages[stage], model, reason);
    }
    metric = again ? METRIC_JOBS_RETRIED : METRIC_JOBS_DEAD_LETTERED;
    metrics_add(failure->metrics, metric,
                metrics_label(failure->metrics, metric, route, stage), 1);
}
