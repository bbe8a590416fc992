/* measure.c - see measure.h. */
#include "app/measure.h"

#include <stdio.h>
#include <time.h>

#include "base/log.h"

#define CURVE_TEXT_MAX 512

struct measuring {
    struct session *session;
    const struct batch *zeros;
    int prepared; /* rows */
};

static bool run(void *opaque, int rows) {
    struct measuring *m = opaque;
    struct tensor inputs[MODEL_INPUTS_MAX];
    int count = model_input_count(m->zeros->model->model);
    struct error ignored; /* what cannot be run is not measured */
    for (int i = 0; i < count; i++) {
        inputs[i] = m->zeros->inputs[i];
        inputs[i].dims[0] = rows;
    }
    /* A batch of the worker's is prepared each time, too. */
    return session_prepare(m->session, inputs, &ignored) == STATUS_OK &&
           session_run(m->session, inputs, &ignored) == STATUS_OK;
}

/* Of this thread alone: a busy machine does not make the model slower. */
static int64_t now_us(void *opaque) {
    struct timespec used = {.tv_sec = 0};
    (void)opaque;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used); /* cannot fail on Linux */
    return (int64_t)used.tv_sec * 1000000 + used.tv_nsec / 1000;
}

void measure_cost(struct cost *cost, struct session *session, const struct batch *zeros,
                  int64_t budget_us) {
    struct measuring measuring = {.session = session, .zeros = zeros};
    const struct cost_probe probe = {.run = run,
                                     .now_us = now_us,
                                     .opaque = &measuring,
                                     .rows_max = zeros->model->rows_max,
                                     .budget_us = budget_us};
    cost_measure(cost, &probe);
}

static int clamp(int rows, int rows_max) {
    return rows < 1 || rows > rows_max ? rows_max : rows;
}

void measure_aim(struct batch_aim *aim, const struct cost *cost, int rows_max,
                 int batch_size, int slice_ms) {
    aim->reason = BATCH_FULL;
    aim->rows = clamp(batch_size > 0 ? batch_size : cost_best_throughput(cost), rows_max);
    aim->early_rows =
        clamp(batch_size > 0 ? batch_size : cost_best_latency(cost), aim->rows);
    if (batch_size == 0 && slice_ms > 0 && cost->count > 0) {
        int most = cost_rows_within(cost, rows_max, (int64_t)slice_ms * 1000000);
        if (most < aim->rows) {
            aim->rows = most;
            aim->early_rows = clamp(aim->early_rows, most);
            aim->reason = BATCH_SLICE;
        }
    }
}

static void log_curve(const struct batch_model *model, int64_t length,
                      const struct cost *cost, const struct batch_aim *aim) {
    char curve[CURVE_TEXT_MAX] = "";
    size_t used = 0;
    if (cost->count == 0) {
        return;
    }
    for (int i = 0; i < cost->count && used < sizeof(curve); i++) {
        int size = snprintf(curve + used, sizeof(curve) - used, "%s%d:%.3f",
                            i == 0 ? "" : " ", cost->rows[i], (double)cost->ns[i] / 1e6);
        used += size > 0 ? (size_t)size : sizeof(curve);
    }
    log_event(LOG_INFO, "model_measured", LOG_TEXT("model", model->name),
              LOG_INT("length", length), LOG_TEXT("ms_by_rows", curve),
              LOG_INT("busy_rows", aim->rows), LOG_INT("idle_rows", aim->early_rows));
}

void measure_log(const struct batch_model *model) {
    for (int i = 0; i < model->pad.count; i++) {
        const struct batch_length *padded = &model->pad.lengths[i];
        log_curve(model, padded->length, &padded->cost, &padded->aim);
    }
    if (model->pad.count == 0) {
        log_curve(model, 0, &model->cost, &model->aim);
    }
}

void measure_show(const struct batch_model *model, struct metrics *metrics,
                  size_t index) {
    const int aims[METRIC_AIM_COUNT] = {
        [METRIC_AIM_BUSY] = model->aim.rows,
        [METRIC_AIM_IDLE] = model->aim.early_rows,
    };
    for (size_t i = 0; i < METRIC_AIM_COUNT; i++) {
        metrics_set(metrics, METRIC_MODEL_AIM,
                    metrics_label(metrics, METRIC_MODEL_AIM, index, i), aims[i]);
    }
    for (size_t size = 0; size < METRIC_SIZE_COUNT; size++) {
        int64_t ns = -1;
        for (int i = 0; i < model->cost.count; i++) {
            ns = model->cost.rows[i] == 1 << size ? model->cost.ns[i] : ns;
        }
        metrics_set(metrics, METRIC_MODEL_COST,
                    metrics_label(metrics, METRIC_MODEL_COST, index, size), ns);
    }
}
