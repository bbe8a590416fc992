/* measure.c - see measure.h. */
#include "app/measure.h"

#include <stdio.h>
#include <time.h>

#include "base/log.h"
#include "batch/learn.h"

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

int64_t measure_now_ns(void) {
    struct timespec used = {.tv_sec = 0};
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used); /* cannot fail on Linux */
    return (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
}

static int64_t now_us(void *opaque) {
    (void)opaque;
    return measure_now_ns() / 1000;
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

/* `of` is what the rows have in common besides their model. */
static void log_curve(const struct batch_model *model, const char *event,
                      struct log_field of, const struct cost *cost,
                      const struct batch_aim *aim) {
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
    log_event(LOG_INFO, event, LOG_TEXT("model", model->name), of,
              LOG_TEXT("ms_by_rows", curve), LOG_INT("busy_rows", aim->rows),
              LOG_INT("idle_rows", aim->early_rows));
}

void measure_log(const struct batch_model *model) {
    for (int i = 0; i < model->pad.count; i++) {
        const struct batch_length *padded = &model->pad.lengths[i];
        log_curve(model, "model_measured", LOG_INT("length", padded->length),
                  &padded->cost, &padded->aim);
    }
    if (model->pad.count == 0) {
        log_curve(model, "model_measured", LOG_INT("length", 0), &model->cost,
                  &model->aim);
    }
}

static void show(struct metrics *metrics, size_t index, const struct cost *cost,
                 const struct batch_aim *aim) {
    const int aims[METRIC_AIM_COUNT] = {
        [METRIC_AIM_BUSY] = aim->rows,
        [METRIC_AIM_IDLE] = aim->early_rows,
    };
    int last = cost->count - 1;
    for (size_t i = 0; i < METRIC_AIM_COUNT; i++) {
        metrics_set(metrics, METRIC_MODEL_AIM,
                    metrics_label(metrics, METRIC_MODEL_AIM, index, i), aims[i]);
    }
    for (size_t size = 0; size < METRIC_SIZE_COUNT; size++) {
        int rows = 1 << size;
        bool known = last >= 0 && rows >= cost->rows[0] && rows <= cost->rows[last];
        metrics_set(metrics, METRIC_MODEL_COST,
                    metrics_label(metrics, METRIC_MODEL_COST, index, size),
                    known ? cost_ns(cost, rows) : -1);
    }
}

void measure_show(const struct batch_model *model, struct metrics *metrics,
                  size_t index) {
    static const struct batch_aim unknown = {.rows = -1, .early_rows = -1};
    show(metrics, index, &model->cost, model->learn == NULL ? &model->aim : &unknown);
}

void measure_learn(const struct batch *batch, int64_t ns, struct metrics *metrics) {
    const struct batch_model *model = batch->model;
    struct learned learned;
    if (!learn_note(model->learn, batch->kind, batch->count, ns, &learned)) {
        return;
    }
    if (learned.complete) {
        log_curve(model, "model_learned", LOG_INT("row_bytes_below", learned.row_size),
                  &learned.cost, &learned.aim);
    }
    if (learned.usual) {
        show(metrics, (size_t)batch->model_index, &learned.cost, &learned.aim);
    }
}
