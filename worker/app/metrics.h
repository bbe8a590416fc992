/* metrics.h - the worker's figures, in Prometheus's text format.
 *
 * One static table (metrics_table.c) names every metric with its type, labels and help;
 * values live in one array of atomics, sized once from the models and routes.  Updates
 * are relaxed atomic additions, meant for once a batch rather than once a job.
 *
 * Values are integers in the unit of the enumerator's comment; durations come in
 * microseconds and are written in seconds.
 *
 * Depends on: base/status.h.
 * Ownership: metrics copies the names it is given.
 * Threads: metrics_create and metrics_destroy alone, everything else on any thread. */
#ifndef MILLRACE_APP_METRICS_H
#define MILLRACE_APP_METRICS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/status.h"

/* Each with its type, labels and unit. */
enum metric {
    METRIC_JOBS_RECEIVED,         /* counter{route} */
    METRIC_JOBS_ANSWERED,         /* counter{model} */
    METRIC_JOBS_DEAD_LETTERED,    /* counter{route, stage}: enum metric_dead */
    METRIC_JOBS_RETRIED,          /* counter{route, stage}: enum metric_dead */
    METRIC_RESULTS_PUBLISHED,     /* counter: committed */
    METRIC_DEAD_PUBLISHED,        /* counter: dead letters, committed */
    METRIC_JOBS_WAITING,          /* gauge{model}: for a batch */
    METRIC_JOBS_HELD,             /* gauge: tried again in their place */
    METRIC_JOBS_AWAITING_SCHEMA,  /* gauge: the registry has not told theirs yet */
    METRIC_RETRIES_PUBLISHED,     /* counter: sent to a retry topic, committed */
    METRIC_RETRIES_WAITING,       /* gauge, records; -1 unknown */
    METRIC_RECORDS_REPLAYED,      /* counter: published again after an abort */
    METRIC_RECORDS_LOST,          /* counter: the partition went to another worker */
    METRIC_RECORDS_CONDEMNED,     /* counter: dead letters that ended the process */
    METRIC_PARTITIONS_SUSPECTED,  /* gauge: taken care with after an unclean end */
    METRIC_BATCHES,               /* counter{model} */
    METRIC_BATCH_ROWS,            /* histogram{model}, rows */
    METRIC_BATCH_ROOM,            /* counter{model}, rows that had been aimed at */
    METRIC_BATCH_STEPS,           /* counter{model}, of padded rows, padding included */
    METRIC_BATCH_PADDING,         /* counter{model}, those that are padding */
    METRIC_BATCH_FLUSHES,         /* counter{model, reason}: enum batch_reason */
    METRIC_BATCH_DURATION,        /* histogram{model}, us of computation */
    METRIC_STAGE_DURATION,        /* histogram{stage}: enum metric_stage, us */
    METRIC_JOB_LATENCY,           /* histogram, us from poll to answer */
    METRIC_CONSUMER_LAG,          /* gauge, records; -1 unknown */
    METRIC_WORK,                  /* gauge, us of this worker; -1 unknown */
    METRIC_JOBS_IN_FLIGHT,        /* gauge */
    METRIC_BYTES_IN_FLIGHT,       /* gauge */
    METRIC_TRANSACTIONS,          /* counter{outcome}: enum metric_outcome */
    METRIC_REBALANCES,            /* counter */
    METRIC_REBALANCE_PAUSES,      /* counter: those for which all work stood still */
    METRIC_REBALANCE_PAUSE,       /* counter, us: how long, all together */
    METRIC_REBALANCE_PAUSE_LAST,  /* gauge, us */
    METRIC_PAUSES,                /* counter: the window was full */
    METRIC_PARTITIONS_ASSIGNED,   /* gauge */
    METRIC_BROKER_UP,             /* gauge, 0 or 1 */
    METRIC_READY,                 /* gauge, 0 or 1: what /readyz answers */
    METRIC_MODEL_WEIGHT_BYTES,    /* gauge{model} */
    METRIC_MODEL_WORKSPACE_BYTES, /* gauge{model}, over all threads */
    METRIC_MODEL_RELOADS,         /* counter{model, outcome}: enum metric_reload */
    METRIC_SHADOW_JOBS,           /* counter{route, outcome}: enum metric_shadow */
    METRIC_SHADOW_DIFFERENCE,     /* histogram{route}, millionths */
    METRIC_SHADOW_UNPUBLISHED,    /* counter: answers of shadows */
    METRIC_ORDERS_REFUSED,        /* counter: records of the control topic */
    METRIC_MODEL_COST,            /* gauge{model, rows}: 1 << rows, ns; -1 unknown */
    METRIC_MODEL_AIM,             /* gauge{model, threads}: enum metric_aim, rows */
    METRIC_COMPUTE_THREADS,       /* gauge */
    METRIC_COUNT
};

/* Rows that a batch is to have while all threads are busy, or while one is not. */
enum metric_aim { METRIC_AIM_BUSY, METRIC_AIM_IDLE, METRIC_AIM_COUNT };

#define METRIC_SIZE_COUNT 13 /* batches of 1, 2, 4 .. 4096 rows */

/* Where a job spent its time. */
enum metric_stage {
    METRIC_STAGE_WAIT,    /* a batch, from its first job to its flush */
    METRIC_STAGE_DECODE,  /* one chain of polled records */
    METRIC_STAGE_COMPUTE, /* one batch */
    METRIC_STAGE_ENCODE,  /* one batch */
    METRIC_STAGE_COMMIT,  /* one commit */
    METRIC_STAGE_COUNT
};

/* Where a job was given up before it had a result. */
enum metric_dead {
    METRIC_DEAD_DECODE,
    METRIC_DEAD_DEADLINE, /* it was too late for an answer */
    METRIC_DEAD_INFER,
    METRIC_DEAD_COUNT
};

enum metric_outcome { METRIC_COMMITTED, METRIC_ABORTED, METRIC_OUTCOME_COUNT };

/* What came of the wish for another version of a model. */
enum metric_reload {
    METRIC_RELOAD_LOADED, /* it serves, or is about to */
    METRIC_RELOAD_UNCHANGED,
    METRIC_RELOAD_REFUSED, /* the one before goes on */
    METRIC_RELOAD_COUNT
};

/* What became of a job in the shadow of its model. */
enum metric_shadow {
    METRIC_SHADOW_AGREED,
    METRIC_SHADOW_DISAGREED,
    METRIC_SHADOW_INCOMPARABLE,
    METRIC_SHADOW_FAILED,
    METRIC_SHADOW_DROPPED, /* the shadow was behind, or the model had halved the batch */
    METRIC_SHADOW_COUNT
};

struct metrics_model {
    const char *name;
    const char *version;
    const char *path;
    const char *sha256; /* of the file, in hexadecimal; "" while it is not known */
};

struct metrics_opts {
    const struct metrics_model *models; /* the index is the `model` label's */
    size_t model_count;
    const char *const *routes; /* input topics; the index is the `route` label's */
    size_t route_count;
    const char *version; /* of millrace, for millrace_build_info */
};

struct metrics;

MUST_CHECK enum status metrics_create(const struct metrics_opts *opts,
                                      struct metrics **metrics, struct error *err);
/* Accepts NULL. */
void metrics_destroy(struct metrics *metrics);

/* The label index of a metric with two labels, in the order of its comment above; for
 * the others the index is that of the model, route, stage or outcome, or 0. */
size_t metrics_label(const struct metrics *metrics, enum metric metric, size_t first,
                     size_t second);

/* Which version of the model serves now: all but its name is copied from `model`. Without
 * memory the page goes on naming the one before. */
void metrics_set_model(struct metrics *metrics, size_t index,
                       const struct metrics_model *model);

/* Adds `n` to a counter. */
void metrics_add(struct metrics *metrics, enum metric metric, size_t label, uint64_t n);

/* Sets a gauge, or a counter that is counted elsewhere.  A negative gauge means
 * unknown and is left out of the page. */
void metrics_set(struct metrics *metrics, enum metric metric, size_t label,
                 int64_t value);

/* The value of a counter or gauge, or the sum of a histogram. */
int64_t metrics_get(const struct metrics *metrics, enum metric metric, size_t label);

/* Counts `n` observations of `value` in a histogram; negative values count as 0. */
void metrics_observe(struct metrics *metrics, enum metric metric, size_t label,
                     int64_t value, uint64_t n);

/* Writes the page: every metric, and those of the process. */
void metrics_write(struct metrics *metrics, FILE *to);

#endif
