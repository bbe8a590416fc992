/* worker.c - see worker.h. */
#include "app/worker.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "app/figures.h"
#include "app/http.h"
#include "app/measure.h"
#include "app/orders.h"
#include "app/reload.h"
#include "app/settings.h"
#include "base/clock.h"
#include "base/cpu.h"
#include "base/fail_job.h"
#include "config/config.h"

enum {
    TICK_MS = 200, /* how often figures are taken from the stream */
    CLOSE_TIMEOUT_MS = 5000,
    DRAIN_STILL_US = 2000000 /* without a change, while records wait for schemas */
};

struct worker {
    const struct worker_opts *opts;
    struct config *config;
    struct models models;
    struct records *records; /* NULL where no route has records */
    struct metrics *metrics;
    struct health health;
    bool health_made;
    struct http *http;
    struct stream *stream;
    struct pipeline *pipeline;
    struct reload *reload;
    struct orders *orders;
    struct shadows *shadows;
    struct figures figures;
};

/* ---- start ---- */

static enum status start_metrics(struct worker *w, struct error *err) {
    struct metrics_model models[CONFIG_MODELS_MAX];
    const char *routes[CONFIG_ROUTES_MAX];
    struct metrics_opts opts = {.models = models,
                                .model_count = w->config->model_count,
                                .routes = routes,
                                .route_count = w->config->route_count,
                                .version = WORKER_VERSION};
    for (size_t i = 0; i < w->config->model_count; i++) {
        const struct config_model *model = &w->config->models[i];
        models[i] = (struct metrics_model){
            .name = model->name, .version = model->version, .path = model->path};
    }
    for (size_t i = 0; i < w->config->route_count; i++) {
        routes[i] = w->config->routes[i].input;
    }
    if (!health_init(&w->health, (size_t)w->config->worker.threads + 2,
                     (int64_t)w->config->worker.watchdog_s * 1000000)) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for the health report");
    }
    w->health_made = true;
    return metrics_create(&opts, &w->metrics, err);
}

static enum status start_http(struct worker *w, struct error *err) {
    struct http_opts opts = {.address = w->config->http.address,
                             .port = w->config->http.port,
                             .metrics = w->metrics,
                             .health = &w->health};
    enum status status;
    if (opts.port == 0) {
        return STATUS_OK;
    }
    status = http_open(&opts, &w->http, err);
    if (status == STATUS_OK) {
        log_event(LOG_INFO, "http_listening", LOG_TEXT("address", opts.address),
                  LOG_INT("port", http_port(w->http)));
    }
    return status;
}

/* What a model takes, over all threads; rows of a free shape may add to it later. */
static void on_changed(void *opaque, const struct loaded *loaded) {
    struct worker *w = opaque;
    size_t index = (size_t)loaded->index;
    struct metrics_model named = {
        .version = loaded->version, .path = loaded->path, .sha256 = loaded->sha256_text};
    struct model_info info;
    size_t workspace = 0;
    model_info(loaded->item.model, &info);
    for (int i = 0; i < loaded->session_count; i++) {
        workspace += session_workspace_size(loaded->sessions[i]);
    }
    metrics_set_model(w->metrics, index, &named);
    metrics_set(w->metrics, METRIC_MODEL_WEIGHT_BYTES, index, (int64_t)info.weight_size);
    metrics_set(w->metrics, METRIC_MODEL_WORKSPACE_BYTES, index, (int64_t)workspace);
    measure_show(&loaded->item, w->metrics, index);
}

static void on_retired(void *opaque, struct loaded *loaded) {
    struct worker *w = opaque;
    reload_retire(w->reload, loaded);
}

static void on_offer(void *opaque, struct loaded *loaded) {
    struct worker *w = opaque;
    pipeline_offer(w->pipeline, loaded);
}

static enum status start_models(struct worker *w, struct error *err) {
    enum status status =
        models_open(w->config, w->config->worker.threads, &w->models, err);
    for (int i = 0; i < w->models.count; i++) {
        on_changed(w, w->models.items[i]);
    }
    if (status == STATUS_OK) {
        health_meet(&w->health, HEALTH_MODELS);
    }
    return status;
}

static void log_mistake(void *opaque, const char *text) {
    (void)opaque; /* the log is where it goes */
    log_event(LOG_ERROR, "mapping_wrong", LOG_TEXT("reason", text));
}

static void log_unchecked(void *opaque, const char *text) {
    (void)opaque; /* the log is where it goes */
    log_event(LOG_WARN, "mapping_unchecked", LOG_TEXT("reason", text));
}

static enum status start_records(struct worker *w, struct error *err) {
    static const struct records_watch watch = {log_mistake, log_unchecked, NULL};
    return records_open(w->config, &w->models, &watch, &w->records, err);
}

static enum status start_stream(struct worker *w, struct error *err) {
    static struct settings_lists lists; /* too large for a stack */
    struct stream_opts opts = settings_stream(w->config, &lists);
    return stream_open(&opts, &w->stream, err);
}

static enum status start_shadows(struct worker *w, struct error *err) {
    static struct settings_lists lists; /* too large for a stack */
    const struct stream_opts stream = settings_stream(w->config, &lists);
    const struct shadow_opts opts = {.config = w->config,
                                     .models = &w->models,
                                     .stream = &stream,
                                     .metrics = w->metrics};
    return shadows_create(&opts, &w->shadows, err);
}

static enum status start_pipeline(struct worker *w, struct error *err) {
    struct pipeline_opts opts = {.config = w->config,
                                 .models = &w->models,
                                 .records = w->records,
                                 .metrics = w->metrics,
                                 .health = &w->health,
                                 .changed = on_changed,
                                 .retire = on_retired,
                                 .version_opaque = w,
                                 .shadows = w->shadows,
                                 .stream = w->stream};
    enum status status = pipeline_create(&opts, &w->pipeline, err);
    if (status == STATUS_OK && w->records != NULL) {
        status = records_start(w->records, pipeline_nudge, w->pipeline, err);
    }
    if (status == STATUS_OK) {
        status = pipeline_start(w->pipeline, err);
    }
    return status;
}

static enum status start_reload(struct worker *w, struct error *err) {
    const struct reload_opts opts = {.config = w->config,
                                     .models = &w->models,
                                     .metrics = w->metrics,
                                     .offer = on_offer,
                                     .opaque = w};
    return reload_create(&opts, &w->reload, err);
}

static enum status start_orders(struct worker *w, struct error *err) {
    static struct settings_lists lists; /* too large for a stack */
    const struct stream_opts stream = settings_stream(w->config, &lists);
    const struct orders_opts opts = {.config = w->config,
                                     .stream = &stream,
                                     .metrics = w->metrics,
                                     .reload = w->reload};
    return orders_create(&opts, &w->orders, err);
}

static void log_start(const struct config *config) {
    for (size_t i = 0; i < config->file_count; i++) {
        log_event(LOG_INFO, "config_read", LOG_TEXT("file", config->files[i]));
    }
    log_event(LOG_INFO, "starting", LOG_TEXT("version", WORKER_VERSION),
              LOG_TEXT("cpu", cpu_level_name(cpu_level())),
              LOG_INT("threads", config->worker.threads),
              LOG_TEXT("group", config->worker.group),
              LOG_INT("models", (int64_t)config->model_count),
              LOG_INT("routes", (int64_t)config->route_count));
}

static void start_fail_job(void) {
    const char *text = fail_job_load();
    if (text != NULL) {
        log_event(LOG_WARN, "fail_job", LOG_TEXT("text", text),
                  LOG_TEXT("advice", "MILLRACE_FAIL_JOB is for tests alone"));
    }
}

static enum status start(struct worker *w, struct error *err) {
    static enum status (*const steps[])(struct worker *, struct error *) = {
        start_metrics, start_http,     start_models, start_records, start_stream,
        start_shadows, start_pipeline, start_reload, start_orders};
    enum status status = STATUS_OK;
    log_setup(w->config->log.level, w->config->log.format);
    log_start(w->config);
    start_fail_job();
    for (size_t i = 0; i < ARRAY_COUNT(steps) && status == STATUS_OK; i++) {
        status = steps[i](w, err);
    }
    if (status == STATUS_OK) {
        w->figures = (struct figures){.config = w->config,
                                      .metrics = w->metrics,
                                      .health = &w->health,
                                      .stream = w->stream,
                                      .pipeline = w->pipeline,
                                      .records = w->records};
        health_meet(&w->health, HEALTH_SERVING);
        log_plain(LOG_INFO, "started");
    }
    return status;
}

/* ---- run ---- */

/* Waits for a signal of `set`, up to TICK_MS; 0 if there was none. */
static int wait_signal(const sigset_t *set) {
    struct timespec tick = {.tv_nsec = TICK_MS * 1000000L};
    int number = sigtimedwait(set, NULL, &tick);
    return number > 0 ? number : 0;
}

static bool is_stop(int number) {
    return number == SIGTERM || number == SIGINT;
}

/* Returns when a signal asks to stop (true) or a thread has failed (false). */
static bool serve(struct worker *w, const sigset_t *set) {
    for (;;) {
        struct stream_stats stats;
        int number = wait_signal(set);
        if (number == SIGHUP) {
            reload_configured(w->reload, w->opts->config_path, w->opts->overrides,
                              w->opts->override_count);
        } else if (is_stop(number)) {
            return true;
        }
        if (pipeline_failure(w->pipeline) != NULL) {
            return false;
        }
        figures_take(&w->figures, &stats);
    }
}

/* Is nothing left to be done but to wait for schemas, as far as `still_us` without a
 * change tells?  Those records are read again by whoever takes over. */
static bool only_waits(struct worker *w, int64_t still_us) {
    if (still_us < DRAIN_STILL_US || records_waiting(w->records) == 0) {
        return false;
    }
    log_event(LOG_WARN, "left_waiting", LOG_INT("records", records_waiting(w->records)),
              LOG_TEXT("reason", "the schema registry does not tell their schema"));
    return true;
}

/* Finishes what is in flight.  False: not all of it, in time or by the user's will. */
static bool drain(struct worker *w, const sigset_t *set) {
    int64_t until_us =
        clock_now_us() + (int64_t)w->config->worker.drain_timeout_s * 1000000;
    int64_t changed_us = clock_now_us();
    uint64_t left = 0;
    struct stream_stats stats;
    health_unmeet(&w->health, HEALTH_SERVING, "the worker is stopping");
    stream_drain(w->stream);
    for (;;) {
        figures_take(&w->figures, &stats);
        changed_us = stats.records_in_flight == left ? changed_us : clock_now_us();
        left = stats.records_in_flight;
        if (left == 0 || only_waits(w, clock_now_us() - changed_us)) {
            return true;
        }
        if (is_stop(wait_signal(set))) {
            /* A second signal: at once.  What is uncommitted is answered by others. */
            log_event(LOG_WARN, "stopped_at_once",
                      LOG_INT("uncommitted", (int64_t)stats.records_in_flight));
            _exit(SETTINGS_FAILED);
        }
        if (clock_now_us() > until_us || pipeline_failure(w->pipeline) != NULL) {
            log_event(LOG_WARN, "drain_incomplete",
                      LOG_INT("uncommitted", (int64_t)stats.records_in_flight));
            return false;
        }
    }
}

static int run(struct worker *w, const sigset_t *set) {
    bool asked = serve(w, set);
    bool drained = false;
    if (asked) {
        log_plain(LOG_INFO, "stopping");
        drained = drain(w, set);
    }
    if (pipeline_failure(w->pipeline) != NULL) {
        log_event(LOG_ERROR, "failed", LOG_TEXT("reason", pipeline_failure(w->pipeline)));
    }
    return drained ? SETTINGS_FINE : SETTINGS_FAILED;
}

static void release(struct worker *w) {
    if (w->pipeline != NULL) {
        pipeline_stop(w->pipeline);
    }
    orders_destroy(w->orders);
    reload_stop(w->reload);
    if (w->stream != NULL) {
        stream_close(w->stream, CLOSE_TIMEOUT_MS);
    }
    http_close(w->http);
    if (w->records != NULL) {
        records_stop(w->records); /* it wakes the pipeline */
    }
    pipeline_destroy(w->pipeline);
    shadows_destroy(w->shadows);
    records_close(w->records);
    reload_destroy(w->reload);
    models_close(&w->models);
    metrics_destroy(w->metrics);
    if (w->health_made) {
        health_release(&w->health);
    }
    config_free(w->config);
}

static void print_problem(void *opaque, const char *problem) {
    (void)opaque; /* standard error is where problems go */
    (void)fprintf(stderr, "millrace: %s\n", problem);
}

int worker_run(const struct worker_opts *opts) {
    struct worker w = {.opts = opts};
    struct error err;
    enum status status;
    sigset_t set;
    int code;
    /* Blocked before any thread exists, so that only sigtimedwait sees them. */
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    code = settings_read(opts, print_problem, NULL, &w.config);
    if (code != SETTINGS_FINE) {
        return code;
    }
    status = start(&w, &err);
    if (status == STATUS_OK) {
        code = run(&w, &set);
    } else {
        log_event(LOG_ERROR, "not_started", LOG_TEXT("status", status_name(status)),
                  LOG_TEXT("reason", err.text));
        code = settings_exit_code(status);
    }
    release(&w);
    if (status == STATUS_OK) {
        log_event(LOG_INFO, "stopped", LOG_INT("exit_code", code));
    }
    return code;
}
