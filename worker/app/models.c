/* models.c - see models.h. */
#include "app/models.h"

static enum status make_items(const struct config *config, struct models *models,
                              struct error *err) {
    *models = (struct models){.count = 0};
    models->items = calloc(config->model_count, sizeof(*models->items));
    return models->items != NULL
               ? STATUS_OK
               : error_set(err, STATUS_NO_MEMORY, "no memory for %zu models",
                           config->model_count);
}

int models_slice_ms(const struct config *config) {
    return config->model_count > 1 ? config->worker.slice_ms : 0;
}

static enum status open_configured(const struct config *config, size_t index, int threads,
                                   struct loaded **loaded, struct error *err) {
    const struct config_model *from = &config->models[index];
    const struct loaded_source source = {.config = from,
                                         .index = (int)index,
                                         .path = from->path,
                                         .version = from->version,
                                         .threads = threads,
                                         .slice_ms = models_slice_ms(config)};
    enum status status = loaded_open(&source, loaded, err);
    if (status != STATUS_OK) {
        (void)error_prefix(err, "model '%s'", from->name);
    }
    return status;
}

enum status models_open(const struct config *config, int threads, struct models *models,
                        struct error *err) {
    enum status status = make_items(config, models, err);
    for (size_t i = 0; i < config->model_count && status == STATUS_OK; i++) {
        status = open_configured(config, i, threads, &models->items[i], err);
        models->count++;
    }
    if (status != STATUS_OK) {
        models_close(models);
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
        enum status status = open_configured(config, i, 1, &models->items[i], &err);
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
        loaded_close(models->items[i]);
    }
    free(models->items);
    *models = (struct models){0};
}

int models_find(const struct models *models, struct span name) {
    for (int i = 0; i < models->count; i++) {
        if (span_is(name, models->items[i]->item.name)) {
            return i;
        }
    }
    return -1;
}
