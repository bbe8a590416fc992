/* check.c - what concerns more than one setting, or needs more than limits. */
#include <arpa/inet.h>

#include "base/cpu.h"
#include "base/text.h"
#include "config/loader.h"

#define TOPIC_SIZE_MAX 249 /* Kafka's limit */

/* Where a setting was given: "FILE:LINE", a variable or "--set"; NULL for a default. */
static const char *origin_of(const struct loader *loader, const char *name) {
    const struct config *config = &loader->box->config;
    for (size_t i = 0; i < config->value_count; i++) {
        if (strcmp(config->values[i].key, name) == 0) {
            const char *origin = config->values[i].origin;
            return strcmp(origin, "default") == 0 ? NULL : origin;
        }
    }
    return NULL;
}

/* The place to look at for a setting, or, where that is a default, for the `other` one
 * it does not go with (NULL for none). */
static const char *place_of(const struct loader *loader, const char *name,
                            const char *other) {
    const char *origin = origin_of(loader, name);
    if (origin == NULL && other != NULL) {
        origin = origin_of(loader, other);
    }
    return origin != NULL ? origin : loader->path;
}

/* The same for a setting of an item: models[2].name. */
static const char *item_place(struct loader *loader, const char *list, size_t index,
                              const char *key, const char *other) {
    return place_of(loader, loader_format(loader, "%s[%zu].%s", list, index, key), other);
}

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
    if (worker->membership == CONFIG_STATIC && worker->instance != NULL &&
        worker->instance[0] == 0) {
        loader_problem(loader,
                       "%s: worker.membership = \"static\" needs worker.instance, a name "
                       "that this worker alone has in its group, and keeps",
                       place_of(loader, "worker.membership", NULL));
    }
}

static void check_http(struct loader *loader) {
    const struct config_http *http = &loader->box->config.http;
    unsigned char parsed[sizeof(struct in6_addr)];
    if (http->address != NULL && inet_pton(AF_INET, http->address, parsed) != 1 &&
        inet_pton(AF_INET6, http->address, parsed) != 1) {
        loader_problem(loader,
                       "%s: http.address = %.64s: must be a numeric IPv4 or IPv6 address",
                       place_of(loader, "http.address", NULL), http->address);
    }
}

/* A setting that failed was left empty or 0; it is reported once, not here again. */
static bool same(const char *a, const char *b) {
    return a != NULL && b != NULL && a[0] != 0 && strcmp(a, b) == 0;
}

static void check_outputs(struct loader *loader, size_t index) {
    const struct config_model *model = &loader->models[index];
    for (size_t i = 0; i < model->output_count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (same(model->outputs[i], model->outputs[j])) {
                loader_problem(loader, "%s: models[%zu].outputs names '%.64s' twice",
                               item_place(loader, "models", index, "outputs", NULL),
                               index, model->outputs[i]);
            }
        }
    }
}

/* The digits at *at, which is moved behind those that are taken: no more than it needs to
 * be over `max`; 0 where there are none. */
static int64_t take_digits(const char **at, int64_t max) {
    int64_t number = 0;
    while (**at >= '0' && **at <= '9' && number <= max) {
        number = number * 10 + (*(*at)++ - '0');
    }
    return number;
}

/* The next number of the text, which goes on behind it; -1 where there is none. */
static int64_t take_length(const char **text) {
    const char *at = *text;
    int64_t number = take_digits(&at, CONFIG_LENGTH_MAX);
    if (at == *text || (*at != 0 && *at != ' ')) {
        return -1;
    }
    *text = at;
    return number;
}

static void check_lengths(struct loader *loader, size_t index) {
    struct config_model *model = &loader->models[index];
    const char *text = model->pad_to;
    int64_t before = 0;
    while (text != NULL && *(text += strspn(text, " ")) != 0) {
        int64_t length = take_length(&text);
        if (length <= before || length > CONFIG_LENGTH_MAX ||
            model->pad_length_count == CONFIG_LENGTHS_MAX) {
            loader_problem(loader,
                           "%s: models[%zu].pad_to = \"%.64s\": up to %d rising lengths "
                           "from 1 to %d, as in \"16 32 64 128\"",
                           item_place(loader, "models", index, "pad_to", NULL), index,
                           model->pad_to, CONFIG_LENGTHS_MAX, CONFIG_LENGTH_MAX);
            return;
        }
        before = model->pad_lengths[model->pad_length_count++] = length;
    }
}

static void check_models(struct loader *loader) {
    const struct config *config = &loader->box->config;
    for (size_t i = 0; i < config->model_count; i++) {
        const struct config_model *model = &loader->models[i];
        for (size_t j = 0; j < i; j++) {
            if (same(model->name, loader->models[j].name)) {
                loader_problem(
                    loader, "%s: models[%zu] and models[%zu] are both named '%s'",
                    item_place(loader, "models", i, "name", NULL), j, i, model->name);
            }
        }
        if (config->worker.window_jobs > 0 &&
            model->batch_max > config->worker.window_jobs) {
            loader_problem(
                loader,
                "%s: models[%zu].batch_max = %d: must be at most worker.window_jobs, %d",
                item_place(loader, "models", i, "batch_max", "worker.window_jobs"), i,
                model->batch_max, config->worker.window_jobs);
        }
        if (model->batch_size > model->batch_max) {
            loader_problem(
                loader,
                "%s: models[%zu].batch_size = %d: must be at most its batch_max, %d",
                item_place(loader, "models", i, "batch_size", "batch_max"), i,
                model->batch_size, model->batch_max);
        }
        check_outputs(loader, i);
        check_lengths(loader, i);
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
                   item_place(loader, "routes", index, "model", NULL), index, name,
                   nearest == NULL ? "" : "; is '", nearest == NULL ? "" : nearest,
                   nearest == NULL ? "" : "' meant?");
    return -1;
}

/* A topic in two roles would feed the worker its own output, or mix two formats. */
static void check_topics(struct loader *loader, size_t index) {
    const struct config_route *route = &loader->routes[index];
    const char *first = NULL, *second = NULL;
    if (same(route->input, route->output)) {
        first = "input";
        second = "output";
    } else if (same(route->input, route->dead_letter)) {
        first = "input";
        second = "dead_letter";
    } else if (same(route->output, route->dead_letter)) {
        first = "output";
        second = "dead_letter";
    }
    if (second != NULL) {
        loader_problem(loader, "%s: routes[%zu]: %s and %s must be different topics",
                       item_place(loader, "routes", index, second, NULL), index, first,
                       second);
    }
    for (size_t j = 0; j < index; j++) {
        if (same(route->input, loader->routes[j].input)) {
            loader_problem(loader,
                           "%s: routes[%zu] and routes[%zu] have the same input '%s'",
                           item_place(loader, "routes", index, "input", NULL), j, index,
                           route->input);
        }
    }
}

/* One delay, "5s" or "10m", at *text, which is moved behind it; -1 if it is none. */
static int64_t take_delay_ms(const char **text) {
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}};
    const char *at = *text;
    int64_t number = take_digits(&at, CONFIG_RETRY_S_MAX);
    for (size_t i = 0; i < ARRAY_COUNT(units) && at != *text; i++) {
        if (*at == units[i].unit && (at[1] == 0 || at[1] == ' ')) {
            *text = at + 1;
            number *= units[i].seconds;
            return number > 0 && number <= CONFIG_RETRY_S_MAX ? number * 1000 : -1;
        }
    }
    return -1;
}

/* A topic of this group's own, since another group that reads the same input has its own
 * failures.  A group's name may hold what a topic's may not. */
static const char *retry_topic(struct loader *loader, const struct config_route *route,
                               int level) {
    char group[256];
    const char *from = loader->box->config.worker.group;
    size_t i = 0;
    for (; from != NULL && from[i] != 0 && i < sizeof(group) - 1; i++) {
        char one[2] = {from[i], 0};
        group[i] = from[i] == '.' || value_is_name(one) ? from[i] : '-';
    }
    group[i] = 0;
    return loader_format(loader, "%s.%s.retry.%d", route->input, group, level);
}

static void check_retries(struct loader *loader, size_t index) {
    struct config_route *route = &loader->routes[index];
    const char *text = route->retry_delays;
    if (text == NULL || route->input == NULL) {
        return; /* is reported */
    }
    while (*(text += strspn(text, " ")) != 0) {
        int64_t ms = take_delay_ms(&text);
        if (ms < 0 || route->retry_count == CONFIG_RETRIES_MAX) {
            loader_problem(
                loader,
                "%s: routes[%zu].retry_delays = \"%.64s\": up to %d delays from 1s to "
                "168h, as in \"5s 1m 10m\"",
                item_place(loader, "routes", index, "retry_delays", NULL), index,
                route->retry_delays, CONFIG_RETRIES_MAX);
            return;
        }
        route->retry_ms[route->retry_count] = ms;
        route->retry_topics[route->retry_count] =
            retry_topic(loader, route, route->retry_count + 1);
        route->retry_count++;
    }
    if (route->retry_count > 0 && strlen(route->retry_topics[0]) > TOPIC_SIZE_MAX) {
        loader_problem(
            loader,
            "%s: routes[%zu]: the name of its retry topics would be '%.64s...' "
            "and longer than the %d bytes Kafka allows; shorten "
            "worker.group, or set retry_delays = \"\"",
            item_place(loader, "routes", index, "input", NULL), index,
            route->retry_topics[0], TOPIC_SIZE_MAX);
    }
}

/* A URL's user and password would be shown with it. */
static void check_registry(struct loader *loader) {
    const struct config_registry *registry = &loader->box->config.registry;
    if (registry->urls == NULL || registry->urls[0] == 0) {
        return;
    }
    if (strchr(registry->urls, '@') != NULL) {
        loader_problem(
            loader,
            "%s: registry.urls: a user and password stand in registry.user and "
            "registry.password, where they are not shown",
            place_of(loader, "registry.urls", NULL));
    }
    if (registry->token != NULL && registry->token[0] != 0 && registry->user != NULL &&
        registry->user[0] != 0) {
        loader_problem(loader, "%s: registry.token goes without registry.user",
                       place_of(loader, "registry.token", NULL));
    }
}

static bool given(const char *text) {
    return text != NULL && text[0] != 0;
}

static void check_record(struct loader *loader, size_t index) {
    const struct config_route *route = &loader->routes[index];
    const struct config_record *record = route->record;
    bool has_registry = given(loader->box->config.registry.urls);
    const char *place;
    bool confluent;
    if (record == NULL) {
        return;
    }
    place = item_place(loader, "routes", index, "record.inputs", NULL);
    confluent = !given(record->schema) && !given(record->schemas);
    if (route->model != NULL && route->model[0] == 0) {
        loader_problem(loader, "%s: routes[%zu]: a route with 'record' needs 'model'",
                       place, index);
    }
    if (given(record->schema) && given(record->schemas)) {
        loader_problem(loader,
                       "%s: routes[%zu].record: 'schema' (bare records) and 'schemas' "
                       "(single-object encoding) exclude each other",
                       item_place(loader, "routes", index, "record.schema", NULL), index);
    }
    if (confluent && !has_registry) {
        loader_problem(
            loader,
            "%s: routes[%zu].record: where do the records' schemas come from? "
            "Give registry = { urls = \"http://host:8081\"; };, or 'schemas', or "
            "'schema'",
            place, index);
    } else if (record->answer_framing == CONFIG_FRAMING_CONFLUENT && !has_registry) {
        loader_problem(
            loader,
            "%s: routes[%zu].record.answer_framing = confluent: needs registry.urls",
            item_place(loader, "routes", index, "record.answer_framing", NULL), index);
    }
}

static void check_shadow(struct loader *loader, size_t index) {
    const struct config_route *route = &loader->routes[index];
    const char *place = item_place(loader, "routes", index, "shadow", "shadow_output");
    if (route->shadow == NULL || route->shadow_output == NULL) {
        return; /* is reported */
    }
    if (route->shadow[0] == 0 && route->shadow_output[0] != 0) {
        loader_problem(loader, "%s: routes[%zu].shadow_output needs a shadow", place,
                       index);
    }
    if (route->shadow[0] != 0 && route->model_index >= 0 &&
        loader->models[route->model_index].pad_length_count > 0) {
        loader_problem(
            loader,
            "%s: routes[%zu].shadow: a shadow does not compare padded rows; do "
            "without it, or without pad_to of model '%.64s'",
            place, index, route->model);
    }
    if (route->shadow[0] != 0 && route->model != NULL && route->model[0] == 0) {
        loader_problem(loader, "%s: routes[%zu].shadow needs the route's model", place,
                       index);
    }
    for (size_t i = 0; i < loader->box->config.route_count; i++) {
        const struct config_route *other = &loader->routes[i];
        if (i < index && route->shadow[0] != 0 && other->shadow != NULL &&
            other->shadow[0] != 0 && same(route->model, other->model) &&
            !same(route->shadow, other->shadow)) {
            loader_problem(
                loader, "%s: routes[%zu] and routes[%zu] have two shadows of model '%s'",
                place, i, index, route->model);
        }
        if (same(route->shadow_output, other->input) ||
            same(route->shadow_output, other->output) ||
            same(route->shadow_output, other->dead_letter)) {
            loader_problem(
                loader,
                "%s: routes[%zu].shadow_output = %.64s is a topic of routes[%zu], too",
                place, index, route->shadow_output, i);
        }
    }
}

static void check_routes(struct loader *loader) {
    const struct config *config = &loader->box->config;
    for (size_t i = 0; i < config->route_count; i++) {
        struct config_route *route = &loader->routes[i];
        check_topics(loader, i);
        check_retries(loader, i);
        check_record(loader, i);
        route->model_index = find_model(loader, i);
        check_shadow(loader, i);
        if (config->worker.window_mb > 0 &&
            route->job_bytes_max > (int64_t)config->worker.window_mb * (1 << 20)) {
            loader_problem(
                loader,
                "%s: routes[%zu].job_bytes_max = %d: must fit worker.window_mb, %d",
                item_place(loader, "routes", i, "job_bytes_max", "worker.window_mb"), i,
                route->job_bytes_max, config->worker.window_mb);
        }
    }
}

static void check_control(struct loader *loader) {
    const struct config *config = &loader->box->config;
    const char *topic = config->control.topic, *folder = config->control.folder;
    if (topic == NULL || folder == NULL || topic[0] == 0) {
        return; /* is reported, or none */
    }
    if (folder[0] == 0) {
        loader_problem(loader,
                       "%s: control.topic needs control.folder, where its files are",
                       place_of(loader, "control.topic", NULL));
    }
    for (size_t i = 0; i < config->route_count; i++) {
        const struct config_route *route = &loader->routes[i];
        if (same(topic, route->input) || same(topic, route->output) ||
            same(topic, route->dead_letter)) {
            loader_problem(loader,
                           "%s: control.topic = %.64s is a topic of routes[%zu], too",
                           place_of(loader, "control.topic", NULL), topic, i);
        }
    }
}

void check_config(struct loader *loader) {
    check_servers(loader);
    check_worker(loader);
    check_http(loader);
    check_models(loader);
    check_registry(loader);
    check_routes(loader);
    check_control(loader);
}
