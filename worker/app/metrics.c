/* metrics.c - see metrics.h.
 *
 * A metric has one series for each combination of its labels' values.  A series takes
 * one cell, or for a histogram one cell a bucket, one for what is above the last
 * bound, and one for the sum; buckets are made cumulative when they are written. */
#include "app/metrics.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "app/process.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/cpu.h"
#include "batch/batch.h"

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

static const struct metric_entry table[] = {
    [METRIC_JOBS_RECEIVED] = {.name = "millrace_jobs_received_total",
                              .type = TYPE_COUNTER,
                              .labels = {LABEL_ROUTE},
                              .help = "Jobs taken from the route's input topic."},
    [METRIC_JOBS_ANSWERED] = {.name = "millrace_jobs_answered_total",
                              .type = TYPE_COUNTER,
                              .labels = {LABEL_MODEL},
                              .help = "Jobs the model computed a result for."},
    [METRIC_JOBS_DEAD_LETTERED] = {.name = "millrace_jobs_dead_lettered_total",
                                   .type = TYPE_COUNTER,
                                   .labels = {LABEL_ROUTE, LABEL_DEAD},
                                   .help = "Jobs given up, by the stage that did."},
    [METRIC_JOBS_RETRIED] = {.name = "millrace_jobs_retried_total",
                             .type = TYPE_COUNTER,
                             .labels = {LABEL_ROUTE, LABEL_DEAD},
                             .help = "Jobs put off to a later attempt, by the stage "
                                     "that failed."},
    [METRIC_RESULTS_PUBLISHED] = {.name = "millrace_results_published_total",
                                  .type = TYPE_COUNTER,
                                  .help = "Results published and committed."},
    [METRIC_DEAD_PUBLISHED] = {.name = "millrace_dead_letters_published_total",
                               .type = TYPE_COUNTER,
                               .help = "Dead letters published and committed, those "
                                       "among them whose result was too large."},
    [METRIC_JOBS_WAITING] = {.name = "millrace_jobs_waiting",
                             .type = TYPE_GAUGE,
                             .labels = {LABEL_MODEL},
                             .help = "Jobs that wait until a batch of their model is "
                                     "free."},
    [METRIC_JOBS_HELD] = {.name = "millrace_jobs_held",
                          .type = TYPE_GAUGE,
                          .help = "Jobs that wait for another attempt in their place, "
                                  "and the answers of their partitions, or keys, with "
                                  "them."},
    [METRIC_JOBS_AWAITING_SCHEMA] = {.name = "millrace_jobs_awaiting_schema",
                                     .type = TYPE_GAUGE,
                                     .help =
                                         "Records that wait, in their places, for the "
                                         "schema registry to tell their schema."},
    [METRIC_RETRIES_PUBLISHED] = {.name = "millrace_retries_published_total",
                                  .type = TYPE_COUNTER,
                                  .help = "Jobs sent to a retry topic and committed."},
    [METRIC_RETRIES_WAITING] = {.name = "millrace_retries_waiting_records",
                                .type = TYPE_GAUGE,
                                .help = "Jobs that wait in our partitions of the retry "
                                        "topics."},
    [METRIC_RECORDS_REPLAYED] = {.name = "millrace_records_replayed_total",
                                 .type = TYPE_COUNTER,
                                 .help = "Records published again after an abort."},
    [METRIC_RECORDS_LOST] = {.name = "millrace_records_lost_total",
                             .type = TYPE_COUNTER,
                             .help = "Jobs in flight whose partition another worker "
                                     "took over; that one answers them."},
    [METRIC_RECORDS_CONDEMNED] = {.name = "millrace_records_condemned_total",
                                  .type = TYPE_COUNTER,
                                  .help = "Jobs given up because the process ended "
                                          "again and again while they were computed."},
    [METRIC_PARTITIONS_SUSPECTED] = {.name = "millrace_partitions_suspected",
                                     .type = TYPE_GAUGE,
                                     .help = "Partitions that are gone through in small "
                                             "steps after a worker ended without "
                                             "notice."},
    [METRIC_BATCHES] = {.name = "millrace_batches_total",
                        .type = TYPE_COUNTER,
                        .labels = {LABEL_MODEL},
                        .help = "Batches the model has run."},
    [METRIC_BATCH_ROWS] = {.name = "millrace_batch_rows",
                           .type = TYPE_HISTOGRAM,
                           .labels = {LABEL_MODEL},
                           .help = "Jobs in one batch."},
    [METRIC_BATCH_ROOM] = {.name = "millrace_batch_room_rows_total",
                           .type = TYPE_COUNTER,
                           .labels = {LABEL_MODEL},
                           .help = "Rows that the batches run could have had; "
                                   "millrace_batch_rows_sum by this is how full they "
                                   "were."},
    [METRIC_BATCH_STEPS] = {.name = "millrace_batch_steps_total",
                            .type = TYPE_COUNTER,
                            .labels = {LABEL_MODEL},
                            .help = "Steps of the rows of models with pad_to, what they "
                                    "were padded with included."},
    [METRIC_BATCH_PADDING] = {.name = "millrace_batch_padding_steps_total",
                              .type = TYPE_COUNTER,
                              .labels = {LABEL_MODEL},
                              .help = "Steps that are padding; by "
                                      "millrace_batch_steps_total this is what "
                                      "padding wastes."},
    [METRIC_BATCH_FLUSHES] = {.name = "millrace_batch_flushes_total",
                              .type = TYPE_COUNTER,
                              .labels = {LABEL_MODEL, LABEL_REASON},
                              .help = "Batches by why they were run when they were."},
    [METRIC_BATCH_DURATION] = {.name = "millrace_batch_compute_seconds",
                               .type = TYPE_HISTOGRAM,
                               .unit = UNIT_SECONDS,
                               .labels = {LABEL_MODEL},
                               .help = "What a batch cost to compute."},
    [METRIC_STAGE_DURATION] = {.name = "millrace_stage_duration_seconds",
                               .type = TYPE_HISTOGRAM,
                               .unit = UNIT_SECONDS,
                               .labels = {LABEL_STAGE},
                               .help = "Time in one pass of a stage."},
    [METRIC_JOB_LATENCY] = {.name = "millrace_job_latency_seconds",
                            .type = TYPE_HISTOGRAM,
                            .unit = UNIT_SECONDS,
                            .help = "Time from a job's poll to its answer."},
    [METRIC_CONSUMER_LAG] = {.name = "millrace_consumer_lag_records",
                             .type = TYPE_GAUGE,
                             .help = "Records behind the end of the assigned "
                                     "partitions."},
    [METRIC_WORK] = {.name = "millrace_work_seconds",
                     .type = TYPE_GAUGE,
                     .unit = UNIT_SECONDS,
                     .help = "How long this worker needs for what its partitions hold, "
                             "by what jobs have cost lately."},
    [METRIC_JOBS_IN_FLIGHT] = {.name = "millrace_jobs_in_flight",
                               .type = TYPE_GAUGE,
                               .help = "Jobs taken and not yet committed."},
    [METRIC_BYTES_IN_FLIGHT] = {.name = "millrace_bytes_in_flight",
                                .type = TYPE_GAUGE,
                                .help =
                                    "Bytes of the jobs in flight, and what their answers "
                                    "are expected to have."},
    [METRIC_TRANSACTIONS] = {.name = "millrace_transactions_total",
                             .type = TYPE_COUNTER,
                             .labels = {LABEL_OUTCOME},
                             .help = "Transactions ended."},
    [METRIC_REBALANCES] = {.name = "millrace_rebalances_total",
                           .type = TYPE_COUNTER,
                           .help = "Changes of the assigned partitions."},
    [METRIC_REBALANCE_PAUSES] = {.name = "millrace_rebalance_pauses_total",
                                 .type = TYPE_COUNTER,
                                 .help = "Rebalances for which all work of this worker "
                                         "stood still, those that are over."},
    [METRIC_REBALANCE_PAUSE] = {.name = "millrace_rebalance_pause_seconds_total",
                                .type = TYPE_COUNTER,
                                .unit = UNIT_SECONDS,
                                .help = "How long they were, from the loss of the "
                                        "partitions to the first job that waited in "
                                        "the new ones, or to their assignment."},
    [METRIC_REBALANCE_PAUSE_LAST] = {.name = "millrace_rebalance_pause_last_seconds",
                                     .type = TYPE_GAUGE,
                                     .unit = UNIT_SECONDS,
                                     .help = "How long the last one was."},
    [METRIC_PAUSES] = {.name = "millrace_pauses_total",
                       .type = TYPE_COUNTER,
                       .help = "Times the window of jobs in flight was full."},
    [METRIC_PARTITIONS_ASSIGNED] = {.name = "millrace_partitions_assigned",
                                    .type = TYPE_GAUGE,
                                    .help = "Partitions this worker reads."},
    [METRIC_BROKER_UP] = {.name = "millrace_broker_up",
                          .type = TYPE_GAUGE,
                          .help = "1 while a broker is connected."},
    [METRIC_READY] = {.name = "millrace_ready",
                      .type = TYPE_GAUGE,
                      .help = "1 while /readyz answers 200."},
    [METRIC_MODEL_WEIGHT_BYTES] = {.name = "millrace_model_weight_bytes",
                                   .type = TYPE_GAUGE,
                                   .labels = {LABEL_MODEL},
                                   .help = "Memory held for the model's weights."},
    [METRIC_MODEL_WORKSPACE_BYTES] = {.name = "millrace_model_workspace_bytes",
                                      .type = TYPE_GAUGE,
                                      .labels = {LABEL_MODEL},
                                      .help = "Memory planned for the model's batches, "
                                              "over all threads."},
    [METRIC_MODEL_RELOADS] = {.name = "millrace_model_reloads_total",
                              .type = TYPE_COUNTER,
                              .labels = {LABEL_MODEL, LABEL_RELOAD},
                              .help = "Wishes for another version of the model, by "
                                      "SIGHUP or the control topic."},
    [METRIC_SHADOW_JOBS] = {.name = "millrace_shadow_jobs_total",
                            .type = TYPE_COUNTER,
                            .labels = {LABEL_ROUTE, LABEL_SHADOW},
                            .help = "Jobs of which a shadow had a copy, by whether it "
                                    "agreed with the answer, or why that is not known."},
    [METRIC_SHADOW_DIFFERENCE] = {.name = "millrace_shadow_difference",
                                  .type = TYPE_HISTOGRAM,
                                  .unit = UNIT_MILLIONTHS,
                                  .labels = {LABEL_ROUTE},
                                  .help = "Largest difference of a value between the "
                                          "answer and its shadow's."},
    [METRIC_SHADOW_UNPUBLISHED] = {.name = "millrace_shadow_unpublished_total",
                                   .type = TYPE_COUNTER,
                                   .help = "Answers of shadows that could not be "
                                           "published."},
    [METRIC_ORDERS_REFUSED] = {.name = "millrace_orders_refused_total",
                               .type = TYPE_COUNTER,
                               .help = "Records of the control topic that are no orders, "
                                       "or name no model or file there is."},
    [METRIC_MODEL_COST] = {.name = "millrace_model_cost_seconds",
                           .type = TYPE_GAUGE,
                           .unit = UNIT_NANOSECONDS,
                           .labels = {LABEL_MODEL, LABEL_ROWS},
                           .help =
                               "What a batch of so many rows took when it was measured "
                               "at start."},
    [METRIC_MODEL_AIM] = {.name = "millrace_model_batch_rows",
                          .type = TYPE_GAUGE,
                          .labels = {LABEL_MODEL, LABEL_AIM},
                          .help =
                              "Rows that make a batch full, while all threads are busy "
                              "and while one is idle."},
    [METRIC_COMPUTE_THREADS] = {.name = "millrace_compute_threads",
                                .type = TYPE_GAUGE,
                                .help = "Threads that run batches."},
};
_Static_assert(ARRAY_COUNT(table) == METRIC_COUNT, "every metric is described");

static const char *const type_names[] = {
    [TYPE_COUNTER] = "counter",
    [TYPE_GAUGE] = "gauge",
    [TYPE_HISTOGRAM] = "histogram",
};

static const char *const stage_names[] = {
    [METRIC_STAGE_WAIT] = "wait",       [METRIC_STAGE_DECODE] = "decode",
    [METRIC_STAGE_COMPUTE] = "compute", [METRIC_STAGE_ENCODE] = "encode",
    [METRIC_STAGE_COMMIT] = "commit",
};
_Static_assert(ARRAY_COUNT(stage_names) == METRIC_STAGE_COUNT, "every stage is named");

static const char *const dead_names[] = {
    [METRIC_DEAD_DECODE] = "decode",
    [METRIC_DEAD_DEADLINE] = "deadline",
    [METRIC_DEAD_INFER] = "infer",
};
_Static_assert(ARRAY_COUNT(dead_names) == METRIC_DEAD_COUNT, "every stage is named");

static const char *const outcome_names[] = {
    [METRIC_COMMITTED] = "committed",
    [METRIC_ABORTED] = "aborted",
};
_Static_assert(ARRAY_COUNT(outcome_names) == METRIC_OUTCOME_COUNT, "both are named");

static const char *const reload_names[] = {
    [METRIC_RELOAD_LOADED] = "loaded",
    [METRIC_RELOAD_UNCHANGED] = "unchanged",
    [METRIC_RELOAD_REFUSED] = "refused",
};
_Static_assert(ARRAY_COUNT(reload_names) == METRIC_RELOAD_COUNT, "every one is named");

static const char *const shadow_names[] = {
    [METRIC_SHADOW_AGREED] = "agreed",
    [METRIC_SHADOW_DISAGREED] = "disagreed",
    [METRIC_SHADOW_INCOMPARABLE] = "incomparable",
    [METRIC_SHADOW_FAILED] = "failed",
    [METRIC_SHADOW_DROPPED] = "dropped",
};
_Static_assert(ARRAY_COUNT(shadow_names) == METRIC_SHADOW_COUNT, "every one is named");

static const char *const size_names[] = {
    "1", "2", "4", "8", "16", "32", "64", "128", "256", "512", "1024", "2048", "4096",
};
_Static_assert(ARRAY_COUNT(size_names) == METRIC_SIZE_COUNT, "every size is named");

static const char *const aim_names[] = {
    [METRIC_AIM_BUSY] = "busy",
    [METRIC_AIM_IDLE] = "idle",
};
_Static_assert(ARRAY_COUNT(aim_names) == METRIC_AIM_COUNT, "both are named");

static const char *const label_names[] = {
    [LABEL_NONE] = "",         [LABEL_ROUTE] = "route",    [LABEL_MODEL] = "model",
    [LABEL_STAGE] = "stage",   [LABEL_DEAD] = "stage",     [LABEL_OUTCOME] = "outcome",
    [LABEL_REASON] = "reason", [LABEL_RELOAD] = "outcome", [LABEL_SHADOW] = "outcome",
    [LABEL_ROWS] = "rows",     [LABEL_AIM] = "threads",
};
_Static_assert(ARRAY_COUNT(label_names) == LABEL_COUNT, "every label is named");

/* Upper bounds of the buckets: microseconds, and rows. */
static const int64_t duration_bounds[] = {
    100,   250,    500,    1000,   2500,    5000,    10000,    25000,
    50000, 100000, 250000, 500000, 1000000, 2500000, 10000000,
};
static const int64_t row_bounds[] = {1,   2,   4,   8,    16,   32,  64,
                                     128, 256, 512, 1024, 2048, 4096};

struct label_values {
    const char *const *names;
    size_t count;
};

/* What serves of a model; owned texts, under lock. */
struct version {
    char *version, *path, *sha256;
};

struct metrics {
    struct arena arena;       /* owns all below, but for the versions' texts */
    pthread_mutex_t lock;     /* of the versions */
    struct version *versions; /* by model */
    size_t model_count;
    struct label_values labels[LABEL_COUNT];
    const char *version;
    int64_t start_ms;
    size_t first[METRIC_COUNT]; /* index of the metric's first cell */
    _Atomic int64_t *cells;
};

static const int64_t difference_bounds[] = {1,     10,     100,     1000,
                                            10000, 100000, 1000000, 10000000};

struct bounds {
    const int64_t *at;
    size_t count;
};

static struct bounds bounds_of(const struct metric_entry *entry) {
    static const struct bounds all[] = {
        [UNIT_ONE] = {row_bounds, ARRAY_COUNT(row_bounds)},
        [UNIT_SECONDS] = {duration_bounds, ARRAY_COUNT(duration_bounds)},
        [UNIT_MILLIONTHS] = {difference_bounds, ARRAY_COUNT(difference_bounds)},
    };
    return all[entry->unit];
}

/* Cells of one series; a histogram's last one is the sum. */
static size_t cells_of(const struct metric_entry *entry) {
    return entry->type == TYPE_HISTOGRAM ? bounds_of(entry).count + 2 : 1;
}

static size_t series_of(const struct metrics *metrics, enum metric metric) {
    const enum label *labels = table[metric].labels;
    return metrics->labels[labels[0]].count * metrics->labels[labels[1]].count;
}

/* ---- versions ------------------------------------------------------------------- */

static void free_version(struct version *version) {
    free(version->version);
    free(version->path);
    free(version->sha256);
    *version = (struct version){NULL};
}

void metrics_set_model(struct metrics *metrics, size_t index,
                       const struct metrics_model *model) {
    struct version next = {.version = strdup(model->version),
                           .path = strdup(model->path),
                           .sha256 = strdup(model->sha256 == NULL ? "" : model->sha256)};
    struct version *place = &metrics->versions[index];
    assert(index < metrics->model_count);
    if (next.version != NULL && next.path != NULL && next.sha256 != NULL) {
        struct version before;
        (void)pthread_mutex_lock(&metrics->lock); /* fails only on misuse */
        before = *place;
        *place = next;
        (void)pthread_mutex_unlock(&metrics->lock);
        next = before;
    }
    free_version(&next);
}

/* ---- life ----------------------------------------------------------------------- */

static const char *copy(struct metrics *metrics, const char *text) {
    return arena_text(&metrics->arena, text, strlen(text));
}

static bool copy_models(struct metrics *metrics, const struct metrics_opts *opts) {
    size_t count = opts->model_count;
    const char **names = arena_alloc(&metrics->arena, count, sizeof(*names));
    metrics->versions = arena_alloc(&metrics->arena, count, sizeof(*metrics->versions));
    if (names == NULL || metrics->versions == NULL) {
        return false;
    }
    metrics->model_count = count;
    metrics->labels[LABEL_MODEL] = (struct label_values){names, count};
    for (size_t i = 0; i < count; i++) {
        names[i] = copy(metrics, opts->models[i].name);
        metrics_set_model(metrics, i, &opts->models[i]);
        if (names[i] == NULL || metrics->versions[i].version == NULL) {
            return false;
        }
    }
    return true;
}

static bool copy_routes(struct metrics *metrics, const struct metrics_opts *opts) {
    const char **names = arena_alloc(&metrics->arena, opts->route_count, sizeof(*names));
    if (names == NULL) {
        return false;
    }
    for (size_t i = 0; i < opts->route_count; i++) {
        names[i] = copy(metrics, opts->routes[i]);
        if (names[i] == NULL) {
            return false;
        }
    }
    metrics->labels[LABEL_ROUTE] = (struct label_values){names, opts->route_count};
    return true;
}

static bool make_cells(struct metrics *metrics) {
    size_t count = 0;
    for (int i = 0; i < METRIC_COUNT; i++) {
        metrics->first[i] = count;
        count += series_of(metrics, (enum metric)i) * cells_of(&table[i]);
    }
    /* Zeroed memory is a valid array of atomics here: they are plain 64-bit words. */
    _Static_assert(sizeof(_Atomic int64_t) == sizeof(int64_t), "lock-free cells");
    metrics->cells = arena_alloc(&metrics->arena, count, sizeof(*metrics->cells));
    return metrics->cells != NULL;
}

enum status metrics_create(const struct metrics_opts *opts, struct metrics **metrics,
                           struct error *err) {
    struct metrics *m = calloc(1, sizeof(*m));
    *metrics = NULL;
    if (m == NULL) {
        goto no_memory;
    }
    (void)pthread_mutex_init(&m->lock, NULL); /* cannot fail on Linux */
    arena_init(&m->arena, 0);
    m->labels[LABEL_NONE] = (struct label_values){NULL, 1};
    m->labels[LABEL_STAGE] = (struct label_values){stage_names, METRIC_STAGE_COUNT};
    m->labels[LABEL_DEAD] = (struct label_values){dead_names, METRIC_DEAD_COUNT};
    m->labels[LABEL_SHADOW] = (struct label_values){shadow_names, METRIC_SHADOW_COUNT};
    m->labels[LABEL_RELOAD] = (struct label_values){reload_names, METRIC_RELOAD_COUNT};
    m->labels[LABEL_ROWS] = (struct label_values){size_names, METRIC_SIZE_COUNT};
    m->labels[LABEL_AIM] = (struct label_values){aim_names, METRIC_AIM_COUNT};
    m->labels[LABEL_REASON] =
        (struct label_values){batch_reason_names, BATCH_REASON_COUNT};
    m->labels[LABEL_OUTCOME] = (struct label_values){outcome_names, METRIC_OUTCOME_COUNT};
    m->start_ms = clock_wall_ms();
    m->version = copy(m, opts->version);
    if (m->version == NULL || !copy_models(m, opts) || !copy_routes(m, opts) ||
        !make_cells(m)) {
        goto no_memory;
    }
    *metrics = m;
    return STATUS_OK;
no_memory:
    metrics_destroy(m);
    return error_set(err, STATUS_NO_MEMORY, "metrics: out of memory");
}

void metrics_destroy(struct metrics *metrics) {
    if (metrics == NULL) {
        return;
    }
    for (size_t i = 0; i < metrics->model_count; i++) {
        free_version(&metrics->versions[i]);
    }
    arena_release(&metrics->arena);
    (void)pthread_mutex_destroy(&metrics->lock); /* fails only while locked */
    free(metrics);
}

/* ---- updates -------------------------------------------------------------------- */

static _Atomic int64_t *series_at(const struct metrics *metrics, enum metric metric,
                                  size_t label) {
    assert(label < series_of(metrics, metric));
    return &metrics->cells[metrics->first[metric] + label * cells_of(&table[metric])];
}

static void add(_Atomic int64_t *cell, int64_t n) {
    atomic_fetch_add_explicit(cell, n, memory_order_relaxed);
}

static int64_t load(const _Atomic int64_t *cell) {
    return atomic_load_explicit(cell, memory_order_relaxed);
}

size_t metrics_label(const struct metrics *metrics, enum metric metric, size_t first,
                     size_t second) {
    return first * metrics->labels[table[metric].labels[1]].count + second;
}

void metrics_add(struct metrics *metrics, enum metric metric, size_t label, uint64_t n) {
    assert(table[metric].type == TYPE_COUNTER);
    add(series_at(metrics, metric, label), (int64_t)n);
}

void metrics_set(struct metrics *metrics, enum metric metric, size_t label,
                 int64_t value) {
    assert(table[metric].type != TYPE_HISTOGRAM);
    atomic_store_explicit(series_at(metrics, metric, label), value, memory_order_relaxed);
}

int64_t metrics_get(const struct metrics *metrics, enum metric metric, size_t label) {
    return load(series_at(metrics, metric, label) + cells_of(&table[metric]) - 1);
}

void metrics_observe(struct metrics *metrics, enum metric metric, size_t label,
                     int64_t value, uint64_t n) {
    struct bounds bounds = bounds_of(&table[metric]);
    _Atomic int64_t *cells = series_at(metrics, metric, label);
    size_t bucket = 0;
    assert(table[metric].type == TYPE_HISTOGRAM);
    value = value < 0 ? 0 : value;
    while (bucket < bounds.count && value > bounds.at[bucket]) {
        bucket++;
    }
    add(&cells[bucket], (int64_t)n);
    add(&cells[bounds.count + 1], value * (int64_t)n);
}

/* ---- the page ------------------------------------------------------------------- */

static void write_head(FILE *to, const char *name, const char *type, const char *help) {
    (void)fprintf(to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value, with the three characters escaped that the format reserves. */
static void write_pair(FILE *to, const char *before, const char *name,
                       const char *value) {
    (void)fprintf(to, "%s%s=\"", before, name);
    for (; *value != 0; value++) {
        if (*value == '\n') {
            (void)fputs("\\n", to);
        } else {
            if (*value == '"' || *value == '\\') {
                (void)fputc('\\', to);
            }
            (void)fputc(*value, to);
        }
    }
    (void)fputc('"', to);
}

/* "{route="a",stage="decode",le="0.1"}", or nothing; `le` may be NULL. */
static void write_labels(const struct metrics *metrics, const struct metric_entry *entry,
                         size_t label, const char *le, FILE *to) {
    size_t second = metrics->labels[entry->labels[1]].count;
    size_t indexes[] = {label / second, label % second};
    const char *before = "{";
    for (size_t i = 0; i < ARRAY_COUNT(indexes); i++) {
        if (entry->labels[i] != LABEL_NONE) {
            const struct label_values *values = &metrics->labels[entry->labels[i]];
            write_pair(to, before, label_names[entry->labels[i]],
                       values->names[indexes[i]]);
            before = ",";
        }
    }
    if (le != NULL) {
        write_pair(to, before, "le", le);
        before = ",";
    }
    if (before[0] == ',') {
        (void)fputc('}', to);
    }
}

/* " 1.500000\n", or " 3\n". */
static void write_value(const struct metric_entry *entry, int64_t value, FILE *to) {
    if (entry->unit == UNIT_NANOSECONDS) {
        (void)fprintf(to, " %lld.%09lld\n", (long long)(value / 1000000000),
                      (long long)(value % 1000000000));
    } else if (entry->unit != UNIT_ONE) {
        (void)fprintf(to, " %lld.%06lld\n", (long long)(value / 1000000),
                      (long long)(value % 1000000));
    } else {
        (void)fprintf(to, " %lld\n", (long long)value);
    }
}

static void write_histogram(const struct metrics *metrics,
                            const struct metric_entry *entry, size_t label,
                            const _Atomic int64_t *cells, FILE *to) {
    struct bounds bounds = bounds_of(entry);
    double scale = entry->unit == UNIT_ONE ? 1.0 : 1e-6;
    int64_t total = 0;
    int64_t sum = load(&cells[bounds.count + 1]);
    for (size_t i = 0; i <= bounds.count; i++) {
        char le[32] = "+Inf";
        total += load(&cells[i]);
        if (i < bounds.count) {
            (void)snprintf(le, sizeof(le), "%g", (double)bounds.at[i] * scale);
        }
        (void)fprintf(to, "%s_bucket", entry->name);
        write_labels(metrics, entry, label, le, to);
        (void)fprintf(to, " %lld\n", (long long)total);
    }
    (void)fprintf(to, "%s_sum", entry->name);
    write_labels(metrics, entry, label, NULL, to);
    write_value(entry, sum, to);
    (void)fprintf(to, "%s_count", entry->name);
    write_labels(metrics, entry, label, NULL, to);
    (void)fprintf(to, " %lld\n", (long long)total);
}

static void write_metric(const struct metrics *metrics, enum metric metric, FILE *to) {
    const struct metric_entry *entry = &table[metric];
    write_head(to, entry->name, type_names[entry->type], entry->help);
    for (size_t label = 0; label < series_of(metrics, metric); label++) {
        const _Atomic int64_t *cells = series_at(metrics, metric, label);
        if (entry->type == TYPE_HISTOGRAM) {
            write_histogram(metrics, entry, label, cells, to);
            continue;
        }
        if (load(cells) < 0) {
            continue; /* unknown */
        }
        (void)fputs(entry->name, to);
        write_labels(metrics, entry, label, NULL, to);
        write_value(entry, load(cells), to);
    }
}

static void write_info(struct metrics *metrics, FILE *to) {
    write_head(to, "millrace_build_info", "gauge", "What runs; always 1.");
    (void)fputs("millrace_build_info", to);
    write_pair(to, "{", "version", metrics->version);
    write_pair(to, ",", "cpu", cpu_level_name(cpu_level()));
    (void)fputs("} 1\n", to);
    write_head(to, "millrace_model_info", "gauge", "The models served; always 1.");
    (void)pthread_mutex_lock(&metrics->lock); /* fails only on misuse */
    for (size_t i = 0; i < metrics->model_count; i++) {
        const struct version *version = &metrics->versions[i];
        (void)fputs("millrace_model_info", to);
        write_pair(to, "{", "model", metrics->labels[LABEL_MODEL].names[i]);
        write_pair(to, ",", "version", version->version);
        write_pair(to, ",", "path", version->path);
        write_pair(to, ",", "sha256", version->sha256);
        (void)fputs("} 1\n", to);
    }
    (void)pthread_mutex_unlock(&metrics->lock);
}

void metrics_write(struct metrics *metrics, FILE *to) {
    write_info(metrics, to);
    for (int i = 0; i < METRIC_COUNT; i++) {
        write_metric(metrics, (enum metric)i, to);
    }
    process_write(to, metrics->start_ms);
}
