/* check.c - what concerns more than one setting, or needs more than limits. */
#include <arpa/inet.h>

#include "base/cpu.h"
#include "base/text.h"
#include "config/loader.h"

static bool has_property(const struct config_properties *properties, const char *name) {
    for (size_t i = 0; i < properties->count; i++) {
        if (strcmp(properties->items[i].name, name) == 0 &&
            properties->items[i].value[0] != 0) {
            return true;
        }
    }
    return false;
}

static bool has_servers(const struct config_properties *properties) {
    return has_property(properties, "bootstrap.servers") ||
           has_property(properties, "metadata.broker.list"); /* its older name */
}

static void check_servers(struct loader *loader) {
    const struct config *config = &loader->box->config;
    if (!has_servers(&config->kafka) &&
        !(has_servers(&config->consumer) && has_servers(&config->producer))) {
        loader_problem(loader,
                       "%s: kafka.bootstrap_servers is required: kafka = { "
                       "bootstrap_servers = \"host:9092\"; };",
                       loader->path);
    }
}

static void check_worker(struct loader *loader) {
    struct config_worker *worker = &loader->box->config.worker;
    if (worker->threads == 0) {
        worker->threads = cpu_count() > 1 ? cpu_count() - 1 : 1;
    }
}

static void check_http(struct loader *loader) {
    const struct config_http *http = &loader->box->config.http;
    unsigned char parsed[sizeof(struct in6_addr)];
    if (http->address != NULL && inet_pton(AF_INET, http->address, parsed) != 1 &&
        inet_pton(AF_INET6, http->address, parsed) != 1) {
        loader_problem(loader,
                       "http.address = %.64s: must be a numeric IPv4 or IPv6 address",
                       http->address);
    }
}

/* Names that a failed setting left empty were reported already. */
static bool same(const char *a, const char *b) {
    return a != NULL && b != NULL && a[0] != 0 && strcmp(a, b) == 0;
}

static void check_outputs(struct loader *loader, size_t index) {
    const struct config_model *model = &loader->models[index];
    for (size_t i = 0; i < model->output_count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (same(model->outputs[i], model->outputs[j])) {
                loader_problem(loader, "%s: models[%zu].outputs names '%.64s' twice",
                               loader->path, index, model->outputs[i]);
            }
        }
    }
}

static void check_models(struct loader *loader) {
    const struct config *config = &loader->box->config;
    for (size_t i = 0; i < config->model_count; i++) {
        const struct config_model *model = &loader->models[i];
        for (size_t j = 0; j < i; j++) {
            if (same(model->name, loader->models[j].name)) {
                loader_problem(loader,
                               "%s: models[%zu] and models[%zu] are both named '%s'",
                               loader->path, j, i, model->name);
            }
        }
        if (model->batch_max > config->worker.window_jobs) {
            loader_problem(loader,
                           "%s: models[%zu].batch_max = %d: must be at most "
                           "worker.window_jobs, %d",
                           loader->path, i, model->batch_max, config->worker.window_jobs);
        }
        check_outputs(loader, i);
    }
}

/* The index of the route's default model, -1 if it has none. */
static int find_model(struct loader *loader, size_t index) {
    const struct config *config = &loader->box->config;
    const char *name = loader->routes[index].model;
    const char *names[CONFIG_MODELS_MAX];
    const char *nearest;
    size_t count = 0;
    if (name == NULL || name[0] == 0) {
        return -1;
    }
    for (size_t i = 0; i < config->model_count; i++) {
        if (same(name, config->models[i].name)) {
            return (int)i;
        }
        if (config->models[i].name != NULL) {
            names[count++] = config->models[i].name;
        }
    }
    nearest = text_nearest(name, names, count);
    loader_problem(loader, "%s: routes[%zu].model = %.64s: no such model%s%s%s",
                   loader->path, index, name, nearest == NULL ? "" : "; is '",
                   nearest == NULL ? "" : nearest, nearest == NULL ? "" : "' meant?");
    return -1;
}

/* A topic in two roles would feed the worker its own output, or mix two formats. */
static void check_topics(struct loader *loader, size_t index) {
    const struct config_route *route = &loader->routes[index];
    const char *roles = NULL;
    if (same(route->input, route->output)) {
        roles = "input and output";
    } else if (same(route->input, route->dead_letter)) {
        roles = "input and dead_letter";
    } else if (same(route->output, route->dead_letter)) {
        roles = "output and dead_letter";
    }
    if (roles != NULL) {
        loader_problem(loader, "%s: routes[%zu]: %s must be different topics",
                       loader->path, index, roles);
    }
    for (size_t j = 0; j < index; j++) {
        if (same(route->input, loader->routes[j].input)) {
            loader_problem(loader,
                           "%s: routes[%zu] and routes[%zu] have the same input '%s'",
                           loader->path, j, index, route->input);
        }
    }
}

static void check_routes(struct loader *loader) {
    const struct config *config = &loader->box->config;
    for (size_t i = 0; i < config->route_count; i++) {
        struct config_route *route = &loader->routes[i];
        check_topics(loader, i);
        route->model_index = find_model(loader, i);
        if (route->job_bytes_max / (1 << 20) > config->worker.window_mb) {
            loader_problem(loader,
                           "%s: routes[%zu].job_bytes_max = %d: must fit "
                           "worker.window_mb, %d",
                           loader->path, i, route->job_bytes_max,
                           config->worker.window_mb);
        }
    }
}

void check_config(struct loader *loader) {
    check_servers(loader);
    check_worker(loader);
    check_http(loader);
    check_models(loader);
    check_routes(loader);
}
