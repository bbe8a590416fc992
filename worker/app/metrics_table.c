/* metrics_table.c - see metrics_table.h. */
#include "app/metrics_table.h"

#include "batch/batch.h"

const struct metric_entry metrics_table[] = {
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
                               "at start, or takes as learned from those that were run."},
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
_Static_assert(ARRAY_COUNT(metrics_table) == METRIC_COUNT, "every metric is described");

/* ---- labels --------------------------------------------------------------------- */

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

const struct metric_label metrics_labels[LABEL_COUNT] = {
    [LABEL_NONE] = {"", {NULL, 1}},
    [LABEL_ROUTE] = {"route", {NULL, 0}},
    [LABEL_MODEL] = {"model", {NULL, 0}},
    [LABEL_STAGE] = {"stage", {stage_names, METRIC_STAGE_COUNT}},
    [LABEL_DEAD] = {"stage", {dead_names, METRIC_DEAD_COUNT}},
    [LABEL_OUTCOME] = {"outcome", {outcome_names, METRIC_OUTCOME_COUNT}},
    [LABEL_REASON] = {"reason", {batch_reason_names, BATCH_REASON_COUNT}},
    [LABEL_ROWS] = {"rows", {size_names, METRIC_SIZE_COUNT}},
    [LABEL_AIM] = {"threads", {aim_names, METRIC_AIM_COUNT}},
    [LABEL_RELOAD] = {"outcome", {reload_names, METRIC_RELOAD_COUNT}},
    [LABEL_SHADOW] = {"outcome", {shadow_names, METRIC_SHADOW_COUNT}},
};

/* ---- types and buckets ---------------------------------------------------------- */

static const char *const type_names[] = {
    [TYPE_COUNTER] = "counter",
    [TYPE_GAUGE] = "gauge",
    [TYPE_HISTOGRAM] = "histogram",
};

const char *metrics_type_name(enum metric_type type) {
    return type_names[type];
}

/* Upper bounds of the buckets: microseconds, and rows. */
static const int64_t duration_bounds[] = {
    100,   250,    500,    1000,   2500,    5000,    10000,    25000,
    50000, 100000, 250000, 500000, 1000000, 2500000, 10000000,
};
static const int64_t row_bounds[] = {1,   2,   4,   8,    16,   32,  64,
                                     128, 256, 512, 1024, 2048, 4096};
static const int64_t difference_bounds[] = {1,     10,     100,     1000,
                                            10000, 100000, 1000000, 10000000};

struct bounds metrics_bounds(const struct metric_entry *entry) {
    static const struct bounds all[] = {
        [UNIT_ONE] = {row_bounds, ARRAY_COUNT(row_bounds)},
        [UNIT_SECONDS] = {duration_bounds, ARRAY_COUNT(duration_bounds)},
        [UNIT_MILLIONTHS] = {difference_bounds, ARRAY_COUNT(difference_bounds)},
    };
    return all[entry->unit];
}
