/* records_start.c - see records.h: what is made at start, and the checks of the mappings.
 */
#include "app/records_make.h"

#include "base/cond.h"

enum { LATEST_WAIT_MS = 5000 }; /* for a subject's schema */

/* ---- checks at start ---- */

static enum status check_schema(struct records *records, struct record_route *route,
                                const struct schema_source *source, struct error *err) {
    struct mapping *mapping;
    enum status status = maker_apply(route, source, &mapping, &route->sample, err);
    if (status != STATUS_OK) {
        return status;
    }
    mapping_destroy(mapping);
    if (maker_answer_kind(route) == FRAMING_CONFLUENT) {
        status = maker_publish(records, route, source, route->sample, NULL, err);
    }
    return status;
}

/* The schema of what an earlier route writes to this one's topic, or NULL. */
static const struct avro_schema *schema_before(const struct records *records,
                                               const struct record_route *route) {
    for (size_t i = 0; i < records->config->route_count; i++) {
        const struct record_route *other = records->routes[i];
        if (other != NULL && other->sample != NULL &&
            strcmp(other->config->output, route->config->input) == 0) {
            return record_out_schema(other->sample);
        }
    }
    return NULL;
}

/* One schema of the folder is enough: others may be of other topics. */
static enum status check_folder(struct records *records, struct record_route *route,
                                struct error *err) {
    const struct schema_folder *folder = recipe_schemas(route->recipe);
    enum status status = STATUS_INVALID;
    for (size_t i = 0; i < schema_folder_count(folder) && status != STATUS_OK; i++) {
        const struct schema_source source = {.schema = schema_folder_at(folder, i)};
        status = check_schema(records, route, &source, err);
    }
    return status;
}

static enum status check_latest(struct records *records, struct record_route *route,
                                struct error *err) {
    const struct config_record *config = route->config->record;
    char subject[REGISTRY_SUBJECT_SIZE_MAX];
    struct schema_source source = {.schema = NULL};
    enum status status;
    if (config->subject[0] == 0 && config->strategy != CONFIG_BY_TOPIC) {
        return error_set(err, STATUS_AGAIN, "'subject' is not given");
    }
    (void)snprintf(subject, sizeof(subject), config->subject[0] != 0 ? "%s" : "%s-value",
                   config->subject[0] != 0 ? config->subject : route->config->input);
    status = registry_latest(records->registry, subject, LATEST_WAIT_MS,
                             &source.of_registry, err);
    if (status == STATUS_OK) {
        source.schema = source.of_registry->schema;
    } else if (status == STATUS_POISON) { /* the topic may be new, or made by ourselves */
        source.schema = schema_before(records, route);
        err->status = STATUS_AGAIN;
    }
    if (source.schema == NULL) {
        return err->status;
    }
    status = check_schema(records, route, &source, err);
    if (status == STATUS_INVALID || status == STATUS_UNSUPPORTED) {
        (void)error_prefix(err, "subject '%s'", subject);
    }
    return status;
}

static enum status check_route(struct records *records, struct record_route *route,
                               struct error *err) {
    const char *place = route->config->record->inputs[0].place;
    enum status status;
    if (recipe_framing(route->recipe) == FRAMING_CONFLUENT) {
        status = check_latest(records, route, err);
    } else {
        status = check_folder(records, route, err);
    }
    return status == STATUS_INVALID || status == STATUS_UNSUPPORTED
               ? error_prefix(err, "%s", place)
               : status;
}

/* ---- the answers' schemas ---- */

static void tell_answers(const struct record_route *route,
                         const struct schema_source *source, records_answer_fn *found,
                         void *opaque) {
    struct mapping *mapping;
    struct record_out *out;
    struct error ignored; /* another topic's schema */
    if (maker_apply(route, source, &mapping, &out, &ignored) == STATUS_OK) {
        found(opaque, record_out_schema(out), record_out_json(out));
        mapping_destroy(mapping);
        record_out_destroy(out);
    }
}

enum status records_answers(const struct records *records, const char *input,
                            records_answer_fn *found, void *opaque, struct error *err) {
    const struct record_route *route = NULL;
    const struct schema_folder *folder;
    for (size_t i = 0; records != NULL && i < records->config->route_count; i++) {
        if (strcmp(records->config->routes[i].input, input) == 0) {
            route = records->routes[i];
        }
    }
    if (route == NULL) {
        return error_set(err, STATUS_INVALID,
                         "no route with a 'record' has the input '%.249s'", input);
    }
    folder = recipe_schemas(route->recipe);
    if (folder == NULL && route->sample == NULL) {
        return error_set(err, STATUS_AGAIN,
                         "the schema registry has told no schema of '%.249s'", input);
    }
    if (folder == NULL) {
        found(opaque, record_out_schema(route->sample), record_out_json(route->sample));
        return STATUS_OK;
    }
    for (size_t i = 0; i < schema_folder_count(folder); i++) {
        const struct schema_source source = {.schema = schema_folder_at(folder, i)};
        tell_answers(route, &source, found, opaque);
    }
    return STATUS_OK;
}

/* ---- life ---- */

static const char *or_null(const char *text) {
    return text[0] == 0 ? NULL : text;
}

static enum status open_registry(struct records *records, struct error *err) {
    const struct config_registry *from = &records->config->registry;
    const struct registry_opts opts = {
        .http = {.urls = from->urls,
                 .user = or_null(from->user),
                 .password = or_null(from->password),
                 .token = or_null(from->token),
                 .ca_file = or_null(from->ca_file),
                 .cert_file = or_null(from->certificate_file),
                 .key_file = or_null(from->key_file),
                 .key_password = or_null(from->key_password),
                 .timeout_ms = from->timeout_ms}};
    if (from->urls[0] == 0) {
        return STATUS_OK; /* no route needs one: the configuration was checked */
    }
    return registry_create(&opts, &records->registry, err);
}

static enum status open_route(struct records *records, size_t index,
                              const struct batch_model *model, struct error *err) {
    const struct config_route *from = &records->config->routes[index];
    struct record_route *route = calloc(1, sizeof(*route));
    enum status status;
    if (route == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a route of records");
    }
    records->routes[index] = route;
    route->config = from;
    status = recipe_create(from, model, &route->recipe, err);
    return status == STATUS_OK ? check_route(records, route, err) : status;
}

/* Goes on after a mistake, so that all are told; the first stays in *err. */
static enum status open_routes(struct records *records, const struct models *models,
                               const struct records_watch *watch, struct error *err) {
    const struct config *config = records->config;
    enum status worst = STATUS_OK;
    for (size_t i = 0; i < config->route_count; i++) {
        const struct config_route *from = &config->routes[i];
        char text[ERROR_TEXT_MAX + 128];
        struct error one;
        enum status status;
        if (from->record == NULL || models->items[from->model_index] == NULL) {
            continue;
        }
        status = open_route(records, i, &models->items[from->model_index]->item, &one);
        if (status == STATUS_AGAIN) {
            (void)snprintf(text, sizeof(text),
                           "the mapping of '%s' could not be checked: %s", from->input,
                           one.text);
            watch->unchecked(watch->opaque, text);
        } else if (status != STATUS_OK) {
            watch->mistake(watch->opaque, one.text);
            *err = worst == STATUS_OK ? one : *err;
            worst = err->status;
        }
    }
    return worst;
}

static bool init_locks(struct records *records) {
    return cond_init(&records->changed) && pthread_mutex_init(&records->lock, NULL) == 0;
}

static bool any_records(const struct config *config) {
    for (size_t i = 0; i < config->route_count; i++) {
        if (config->routes[i].record != NULL) {
            return true;
        }
    }
    return false;
}

enum status records_open(const struct config *config, const struct models *models,
                         const struct records_watch *watch, struct records **out,
                         struct error *err) {
    struct records *records;
    enum status status;
    *out = NULL;
    if (!any_records(config)) {
        return STATUS_OK;
    }
    records = calloc(1, sizeof(*records));
    if (records == NULL || !init_locks(records)) {
        free(records);
        return error_set(err, STATUS_NO_MEMORY, "no memory for routes of records");
    }
    records->config = config;
    records->wanted_end = &records->wanted;
    records->routes = calloc(config->route_count, sizeof(struct record_route *));
    status = records->routes != NULL
                 ? open_registry(records, err)
                 : error_set(err, STATUS_NO_MEMORY, "no memory for routes of records");
    if (status == STATUS_OK) {
        status = open_routes(records, models, watch, err);
    } else {
        watch->mistake(watch->opaque, err->text);
    }
    if (status != STATUS_OK) {
        records_close(records);
        records = NULL;
    }
    *out = records;
    return status;
}

void records_close(struct records *records) {
    if (records == NULL) {
        return;
    }
    records_stop(records);
    for (size_t i = 0; i < records->config->route_count && records->routes != NULL; i++) {
        struct record_route *route = records->routes[i];
        for (int k = 0; route != NULL && k < route->count; k++) {
            known_destroy(route->known[k]);
        }
        if (route != NULL) {
            record_out_destroy(route->sample);
            recipe_destroy(route->recipe);
        }
        free(route);
    }
    free(records->routes);
    registry_destroy(records->registry); /* after all that was made of its schemas */
    (void)pthread_cond_destroy(&records->changed);
    (void)pthread_mutex_destroy(&records->lock);
    free(records);
}
