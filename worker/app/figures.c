/* figures.c - see figures.h. */
#include "app/figures.h"

static void set_condition(struct health *health, enum health_condition condition,
                          bool met, const char *reason) {
    if (met) {
        health_meet(health, condition);
    } else {
        health_unmeet(health, condition, reason);
    }
}

static int64_t stage_us(const struct figures *f, enum metric_stage stage) {
    return metrics_get(f->metrics, METRIC_STAGE_DURATION, stage);
}

static void update_costs(struct figures *f) {
    struct work *work = &f->work;
    int64_t jobs = 0;

    for (size_t i = 0; i < f->config->model_count; i++) {
        int64_t of_model = metrics_get(f->metrics, METRIC_JOBS_ANSWERED, i);
        job_cost_update(&work->models[i], of_model,
                        metrics_get(f->metrics, METRIC_BATCH_DURATION, i));
        jobs += of_model;
    }
    job_cost_update(&work->intake, jobs, stage_us(f, METRIC_STAGE_DECODE));
    job_cost_update(&work->compute, jobs, stage_us(f, METRIC_STAGE_COMPUTE));
    job_cost_update(&work->encode, jobs, stage_us(f, METRIC_STAGE_ENCODE));
}

/* Microseconds of work left, -1 unknown. */
static int64_t work_left(struct figures *f) {
    struct work_route routes[CONFIG_ROUTES_MAX];

    update_costs(f);
    for (size_t i = 0; i < f->config->route_count; i++) {
        routes[i] = (struct work_route){.jobs = stream_behind(f->stream, i),
                                        .model = f->config->routes[i].model_index};
    }
    return work_left_us(&f->work, routes, f->config->route_count,
                        f->config->worker.threads);
}

static void take_schemas(struct figures *f) {
    char problem[HEALTH_REASON_MAX];
    bool waits = records_problem(f->records, problem, sizeof(problem));
    metrics_set(f->metrics, METRIC_JOBS_AWAITING_SCHEMA, 0, records_waiting(f->records));
    set_condition(f->health, HEALTH_SCHEMAS, !waits, problem);
}

void figures_take(struct figures *f, struct stream_stats *s) {
    struct metrics *m = f->metrics;
    take_schemas(f);
    stream_stats(f->stream, s);
    metrics_set(m, METRIC_RESULTS_PUBLISHED, 0, (int64_t)s->results_out);
    metrics_set(m, METRIC_DEAD_PUBLISHED, 0, (int64_t)s->dead_letters_out);
    metrics_set(m, METRIC_RETRIES_PUBLISHED, 0, (int64_t)s->retries_out);
    metrics_set(m, METRIC_JOBS_HELD, 0, pipeline_held(f->pipeline));
    metrics_set(m, METRIC_RETRIES_WAITING, 0, s->retries_waiting);
    metrics_set(m, METRIC_RECORDS_REPLAYED, 0, (int64_t)s->records_replayed);
    metrics_set(m, METRIC_RECORDS_LOST, 0, (int64_t)s->records_lost);
    metrics_set(m, METRIC_RECORDS_CONDEMNED, 0, (int64_t)s->records_condemned);
    metrics_set(m, METRIC_PARTITIONS_SUSPECTED, 0, (int64_t)s->partitions_suspected);
    metrics_set(m, METRIC_CONSUMER_LAG, 0, s->lag);
    metrics_set(m, METRIC_WORK, 0, work_left(f));
    metrics_set(m, METRIC_JOBS_IN_FLIGHT, 0, (int64_t)s->records_in_flight);
    metrics_set(m, METRIC_BYTES_IN_FLIGHT, 0, (int64_t)s->bytes_in_flight);
    metrics_set(m, METRIC_TRANSACTIONS, METRIC_COMMITTED,
                (int64_t)s->transactions_committed);
    metrics_set(m, METRIC_TRANSACTIONS, METRIC_ABORTED, (int64_t)s->transactions_aborted);
    metrics_set(m, METRIC_REBALANCES, 0, (int64_t)s->rebalances);
    metrics_set(m, METRIC_REBALANCE_PAUSES, 0, (int64_t)s->rebalance_pauses);
    metrics_set(m, METRIC_REBALANCE_PAUSE, 0, s->rebalance_pause_us);
    metrics_set(m, METRIC_REBALANCE_PAUSE_LAST, 0, s->rebalance_pause_last_us);
    metrics_set(m, METRIC_PAUSES, 0, (int64_t)s->pauses);
    metrics_set(m, METRIC_PARTITIONS_ASSIGNED, 0, (int64_t)s->partitions_assigned);
    metrics_set(m, METRIC_BROKER_UP, 0, s->broker_up);
    set_condition(f->health, HEALTH_BROKER, s->broker_up,
                  s->problem[0] == 0 ? "no broker has answered yet" : s->problem);
    set_condition(f->health, HEALTH_TOPICS, s->topics_ready,
                  s->problem[0] == 0 ? "the topics are not known yet" : s->problem);
    set_condition(f->health, HEALTH_GROUP, s->rebalances > 0,
                  s->problem[0] == 0 ? "the group has not shared out partitions yet"
                                     : s->problem);
    metrics_set(m, METRIC_READY, 0, health_is_ready(f->health));
}
