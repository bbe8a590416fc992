/* settings.c - see settings.h. */
#include "app/settings.h"

#include "app/pipeline.h"

int settings_read(const struct worker_opts *opts, config_problem_fn *on_problem,
                  void *opaque, struct config **config) {
    struct error err;
    enum status status =
        config_load(opts->config_path, opts->overrides, opts->override_count, on_problem,
                    opaque, config, &err);
    if (status == STATUS_OK) {
        return SETTINGS_FINE;
    }
    if (status == STATUS_INVALID) { /* on_problem was told it all */
        return SETTINGS_WRONG;
    }
    on_problem(opaque, err.text);
    return SETTINGS_FAILED;
}

int settings_exit_code(enum status status) {
    return status == STATUS_INVALID || status == STATUS_UNSUPPORTED ? SETTINGS_WRONG
                                                                    : SETTINGS_FAILED;
}

static const struct stream_property *properties(const struct config_properties *from,
                                                struct stream_property *to) {
    for (size_t i = 0; i < from->count; i++) {
        to[i] = (struct stream_property){.name = from->items[i].name,
                                         .value = from->items[i].value};
    }
    return to;
}

static struct stream_route stream_route(const struct config_route *from) {
    struct stream_route to = {.input = from->input,
                              .output = from->output,
                              .dead_letter = from->dead_letter,
                              .keeps_headers = from->record != NULL,
                              .keyed = from->order == CONFIG_ORDER_KEY,
                              .retry_count = from->order != CONFIG_ORDER_FREE
                                                 ? 0 /* they keep their place */
                                                 : from->retry_count};
    for (int i = 0; i < to.retry_count; i++) {
        to.retries[i] = (struct stream_retry){.topic = from->retry_topics[i],
                                              .delay_ms = from->retry_ms[i]};
    }
    return to;
}

struct stream_opts settings_stream(const struct config *config,
                                   struct settings_lists *lists) {
    bool exactly_once = config->worker.delivery == CONFIG_EXACTLY_ONCE;
    for (size_t i = 0; i < config->route_count; i++) {
        lists->routes[i] = stream_route(&config->routes[i]);
    }
    return (struct stream_opts){
        .common = properties(&config->kafka, lists->common),
        .common_count = config->kafka.count,
        .consumer = properties(&config->consumer, lists->consumer),
        .consumer_count = config->consumer.count,
        .producer = properties(&config->producer, lists->producer),
        .producer_count = config->producer.count,
        .routes = lists->routes,
        .route_count = config->route_count,
        .group = config->worker.group,
        .instance = config->worker.instance,
        .is_static = config->worker.membership == CONFIG_STATIC,
        .delivery = exactly_once ? STREAM_EXACTLY_ONCE : STREAM_AT_LEAST_ONCE,
        .commit_interval_us = (int64_t)config->worker.commit_interval_ms * 1000,
        .window_records_max = (size_t)config->worker.window_jobs,
        .window_size_max = (size_t)config->worker.window_mb << 20,
        .crashes_max = config->worker.crash_restarts_max,
        .watchdog_us = (int64_t)config->worker.watchdog_s * 1000000,
        .release = pipeline_release,
    };
}
