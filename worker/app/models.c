/* models.c - see models.h. */
#include "app/models.h"

#include <assert.h>

#include "base/clock.h"

/* Where the batch goes.  A first dimension of 1 in the file is a batch of one. */
static enum status check_port(const struct model_port *port, const char *kind,
                              int *rows_max, struct error *err) {
    char shape[TENSOR_SHAPE_TEXT_MAX];
    if (port->type.dtype >= DTYPE_PLAIN_COUNT) {
        return error_set(err, STATUS_UNSUPPORTED,
                         "%s '%s' is of %s, which no record can hold: cast it in the "
                         "model",
                         kind, port->name, dtype_name(port->type.dtype));
    }
    if (port->type.rank >= 1 && port->type.dims[0] == 1) {
        *rows_max = 1;
    } else if (port->type.rank < 1 || port->type.dims[0] >= 0) {
        return error_set(
            err, STATUS_UNSUPPORTED,
            "%s '%s' has the shape %s; its first dimension must be free (the "
            "batch) or 1: export the model with a dynamic batch dimension",
            kind, port->name,
            tensor_shape_text(port->type.dims, port->type.rank, shape, sizeof(shape)));
    }
    return STATUS_OK;
}

static enum status check_ports(struct batch_model *item, struct error *err) {
    int inputs = model_input_count(item->model);
    int outputs = model_output_count(item->model);
    enum status status = STATUS_OK;
    if (inputs == 0) {
        return error_set(err, STATUS_UNSUPPORTED, "the model has no inputs");
    }
    for (int i = 0; i < inputs && status == STATUS_OK; i++) {
        status = check_port(model_input(item->model, i), "input", &item->rows_max, err);
    }
    for (int i = 0; i < outputs && status == STATUS_OK; i++) {
        const struct model_port *port = model_output(item->model, i);
        if ((port->type.rank > 0 && port->type.dims[0] > 1) ||
            port->type.dtype >= DTYPE_PLAIN_COUNT) {
            int unused;
            status = check_port(port, "output", &unused, err);
        }
    }
    return status;
}

static enum status choose_outputs(struct batch_model *item,
                                  const struct config_model *from, struct error *err) {
    int count = model_output_count(item->model);
    if (from->output_count == 0) {
        for (int i = 0; i < count; i++) {
            item->outputs[i] = i;
        }
        item->output_count = count;
        return STATUS_OK;
    }
    for (size_t i = 0; i < from->output_count; i++) {
        int index = model_output_find(item->model, span_text(from->outputs[i]));
        if (index < 0) {
            return error_set(err, STATUS_INVALID,
                             "the model has no output '%s'; its first one is '%s'",
                             from->outputs[i], model_output(item->model, 0)->name);
        }
        item->outputs[item->output_count++] = index;
    }
    return STATUS_OK;
}

/* After a run of rows_max rows: does every answer have its row? */
static enum status check_outputs(const struct batch_model *item,
                                 const struct session *session, struct error *err) {
    char shape[TENSOR_SHAPE_TEXT_MAX];
    for (int i = 0; i < item->output_count; i++) {
        const struct tensor *y = session_output(session, item->outputs[i]);
        if (y->rank < 1 || y->dims[0] != item->rows_max) {
            return error_set(err, STATUS_UNSUPPORTED,
                             "output '%s' has the shape %s for a batch of %d; its first "
                             "dimension must "
                             "be the batch",
                             model_output(item->model, item->outputs[i])->name,
                             tensor_shape_text(y->dims, y->rank, shape, sizeof(shape)),
                             item->rows_max);
        }
    }
    return STATUS_OK;
}

/* Runs the largest batch once, on zeros: plans the memory, pays at start what a first
 * run costs, and shows outputs that are no rows.  A shape that the jobs choose is planned
 * when it comes. */
static enum status warm_up(const struct batch_model *item, struct session *session,
                           struct error *err) {
    struct row_shape shapes[MODEL_INPUTS_MAX];
    int inputs = model_input_count(item->model);
    struct batch *batch;
    enum status status;
    for (int i = 0; i < inputs; i++) {
        const struct tensor *type = &model_input(item->model, i)->type;
        size_t count;
        memcpy(shapes[i].dims, &type->dims[1], sizeof(shapes[i].dims) - sizeof(int64_t));
        if (type->dtype == DTYPE_STRING ||
            !tensor_dims_count(shapes[i].dims, type->rank - 1, &count)) {
            return STATUS_OK;
        }
    }
    status = batch_create(item, 0, &batch, err);
    if (status != STATUS_OK) {
        return status;
    }
    status = batch_shape(batch, shapes, err);
    if (status == STATUS_OK) {
        for (int i = 0; i < inputs; i++) {
            batch->inputs[i].dims[0] = item->rows_max;
            memset(batch->inputs[i].data, 0, batch->room[i]);
        }
        status = session_prepare(session, batch->inputs, err);
    }
    if (status == STATUS_OK) {
        struct error ignored; /* zeros need not be values the model can compute with */
        if (session_run(session, batch->inputs, &ignored) == STATUS_OK) {
            status = check_outputs(item, session, err);
        }
    }
    batch_destroy(batch);
    return status;
}

static enum status open_one(const struct config_model *from, struct batch_model *item,
                            struct error *err) {
    struct model *model;
    enum status status = model_open(from->path, &model, err);
    if (status != STATUS_OK) {
        return status;
    }
    *item = (struct batch_model){.model = model,
                                 .name = from->name,
                                 .version = from->version == NULL ? "" : from->version,
                                 .rows_max = from->batch_max,
                                 .linger_us = (int64_t)from->linger_ms * 1000,
                                 .nan_rejected = from->nan == CONFIG_NAN_REJECT};
    status = check_ports(item, err);
    return status == STATUS_OK ? choose_outputs(item, from, err) : status;
}

static void log_model(const struct batch_model *item, int64_t started_us) {
    struct model_info info;
    model_info(item->model, &info);
    log_event(LOG_INFO, "model_loaded", LOG_TEXT("model", item->name),
              LOG_TEXT("path", info.path), LOG_INT("opset", info.opset),
              LOG_INT("parameters", (int64_t)info.parameter_count),
              LOG_INT("weight_bytes", (int64_t)info.weight_size),
              LOG_INT("batch_max", item->rows_max),
              LOG_INT("load_ms", (clock_now_us() - started_us) / 1000));
}

static enum status make_items(const struct config *config, struct models *models,
                              struct error *err) {
    *models = (struct models){.count = 0};
    models->items = calloc(config->model_count, sizeof(*models->items));
    return models->items != NULL
               ? STATUS_OK
               : error_set(err, STATUS_NO_MEMORY, "no memory for %zu models",
                           config->model_count);
}

enum status models_open(const struct config *config, struct models *models,
                        struct error *err) {
    enum status made = make_items(config, models, err);
    if (made != STATUS_OK) {
        return made;
    }
    for (size_t i = 0; i < config->model_count; i++) {
        int64_t started_us = clock_now_us();
        enum status status = open_one(&config->models[i], &models->items[i], err);
        models->count++;
        if (status != STATUS_OK) {
            (void)error_prefix(err, "model '%s'", config->models[i].name);
            models_close(models);
            return status;
        }
        log_model(&models->items[i], started_us);
    }
    return STATUS_OK;
}

static void close_one(struct batch_model *item) {
    /* Owned here; everyone else may only read it. */
    union {
        const struct model *borrowed;
        struct model *owned;
    } model = {.borrowed = item->model};
    model_close(model.owned);
    item->model = NULL;
}

/* Loads a model and runs it, as a compute thread would at its start. */
static enum status try_one(const struct config_model *from, struct batch_model *item,
                           struct error *err) {
    struct models alone = {.items = item, .count = 1};
    struct session **sessions = NULL;
    enum status status = open_one(from, item, err);
    if (status == STATUS_OK) {
        status = models_sessions(&alone, &sessions, err);
        models_sessions_destroy(&alone, sessions);
    } else {
        (void)error_prefix(err, "model '%s'", from->name);
    }
    if (status != STATUS_OK) {
        close_one(item);
    }
    return status;
}

enum status models_check(const struct config *config, config_problem_fn *on_problem,
                         void *opaque, struct models *models) {
    struct error err;
    enum status worst = make_items(config, models, &err);
    if (worst != STATUS_OK) {
        on_problem(opaque, err.text);
        return worst;
    }
    for (size_t i = 0; i < config->model_count; i++) {
        enum status status = try_one(&config->models[i], &models->items[i], &err);
        models->count++;
        if (status != STATUS_OK) {
            char key[64];
            (void)snprintf(key, sizeof(key), "models[%zu].path", i);
            (void)error_prefix(&err, "%s", config_origin(config, key));
            on_problem(opaque, err.text);
            worst = status;
        }
    }
    return worst;
}

void models_close(struct models *models) {
    for (int i = 0; i < models->count; i++) {
        close_one(&models->items[i]);
    }
    free(models->items);
    *models = (struct models){0};
}

int models_find(const struct models *models, struct span name) {
    for (int i = 0; i < models->count; i++) {
        if (span_is(name, models->items[i].name)) {
            return i;
        }
    }
    return -1;
}

enum status models_sessions(const struct models *models, struct session ***out,
                            struct error *err) {
    struct session **sessions = calloc((size_t)models->count, sizeof(struct session *));
    enum status status = STATUS_OK;
    *out = NULL;
    if (sessions == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for sessions");
    }
    for (int i = 0; i < models->count && status == STATUS_OK; i++) {
        const struct batch_model *item = &models->items[i];
        status = session_create(item->model, 0, &sessions[i], err);
        if (status == STATUS_OK) {
            status = warm_up(item, sessions[i], err);
        }
        if (status != STATUS_OK) {
            (void)error_prefix(err, "model '%s'", item->name);
        }
    }
    if (status != STATUS_OK) {
        models_sessions_destroy(models, sessions);
        return status;
    }
    *out = sessions;
    return STATUS_OK;
}

void models_sessions_destroy(const struct models *models, struct session **sessions) {
    if (sessions == NULL) {
        return;
    }
    for (int i = 0; i < models->count; i++) {
        session_destroy(sessions[i]);
    }
    free(sessions);
}
