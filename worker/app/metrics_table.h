/* metrics_table.h - what metrics there are, their labels and buckets; for metrics.c
 * alone.
 *
 * Depends on: app/metrics.h.
 * Ownership: all of it is static and immutable.  Threads: any. */
#ifndef MILLRACE_APP_METRICS_TABLE_H
#define MILLRACE_APP_METRICS_TABLE_H

#include "app/metrics.h"

enum metric_type { TYPE_COUNTER, TYPE_GAUGE, TYPE_HISTOGRAM };

enum label {
    LABEL_NONE,
    LABEL_ROUTE,
    LABEL_MODEL,
    LABEL_STAGE,
    LABEL_DEAD,
    LABEL_OUTCOME,
    LABEL_REASON,
    LABEL_ROWS,
    LABEL_AIM,
    LABEL_RELOAD,
    LABEL_SHADOW,
    LABEL_COUNT
};

enum unit { UNIT_ONE, UNIT_SECONDS, UNIT_MILLIONTHS, UNIT_NANOSECONDS };

struct metric_entry {
    const char *name;
    enum metric_type type;
    enum unit unit; /* UNIT_SECONDS holds microseconds, and both are written by 1e6 */
    enum label labels[2];
    const char *help;
};

struct label_values {
    const char *const *names;
    size_t count;
};

struct metric_label {
    const char *name;
    struct label_values values; /* of models and routes none: the worker has them */
};

struct bounds {
    const int64_t *at;
    size_t count;
};

extern const struct metric_entry metrics_table[METRIC_COUNT];
extern const struct metric_label metrics_labels[LABEL_COUNT];

/* As the page has it: "counter". */
const char *metrics_type_name(enum metric_type type);

/* Upper bounds of a histogram's buckets. */
struct bounds metrics_bounds(const struct metric_entry *entry);

#endif
