/* reload.c - see reload.h. */
#include "app/reload.h"

#include <pthread.h>

#include "base/log.h"
#include "base/thread.h"

#define CHANGES_TEXT_MAX 512 /* bytes of settings' names in a log line */

/* An order that waits; owned texts. */
struct order {
    char *path, *version, *sha256;
    const char *origin;
};

struct reload {
    struct reload_opts opts;
    struct loaded **latest; /* owned array; by model: what was offered last */
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* Under lock. */
    bool stopping;
    struct order *orders; /* owned array; by model; path NULL: none */
    struct loaded *retired[CONFIG_MODELS_MAX];
    size_t retired_count;
};

static void free_order(struct order *order) {
    free(order->path);
    free(order->version);
    free(order->sha256);
    *order = (struct order){NULL};
}

/* ---- orders ---- */

void reload_order(struct reload *reload, int model, const struct reload_order *order) {
    struct order copy = {.path = strdup(order->path),
                         .version = strdup(order->version),
                         .sha256 = strdup(order->sha256 == NULL ? "" : order->sha256),
                         .origin = order->origin};
    if (copy.path == NULL || copy.version == NULL || copy.sha256 == NULL) {
        log_event(LOG_ERROR, "model_refused", LOG_TEXT("origin", order->origin),
                  LOG_TEXT("reason", "no memory for the order"));
        free_order(&copy);
        return;
    }
    (void)pthread_mutex_lock(&reload->lock); /* fails only on misuse */
    free_order(&reload->orders[model]);
    reload->orders[model] = copy;
    (void)pthread_cond_signal(&reload->changed);
    (void)pthread_mutex_unlock(&reload->lock);
}

static void log_problem(void *opaque, const char *problem) {
    (void)opaque;
    log_event(LOG_ERROR, "config_refused", LOG_TEXT("reason", problem));
}

static const struct config_model *find(const struct config *config, const char *name) {
    for (size_t i = 0; i < config->model_count; i++) {
        if (strcmp(config->models[i].name, name) == 0) {
            return &config->models[i];
        }
    }
    return NULL;
}

void reload_configured(struct reload *reload, const char *path,
                       const char *const *overrides, size_t count) {
    const struct config *before = reload->opts.config;
    struct config *now;
    struct error err;
    char changes[CHANGES_TEXT_MAX];
    size_t changed;
    if (config_load(path, overrides, count, log_problem, NULL, &now, &err) != STATUS_OK) {
        log_event(LOG_ERROR, "reload_refused", LOG_TEXT("file", path),
                  LOG_TEXT("reason", err.text),
                  LOG_TEXT("advice", "everything goes on as it was"));
        return;
    }
    for (size_t i = 0; i < before->model_count; i++) {
        const struct config_model *model = find(now, before->models[i].name);
        struct reload_order order = {.origin = "SIGHUP"};
        if (model == NULL) {
            log_event(LOG_WARN, "reload_ignored",
                      LOG_TEXT("model", before->models[i].name),
                      LOG_TEXT("reason", "the configuration has it no more, which takes "
                                         "a restart"));
            continue;
        }
        order.path = model->path;
        order.version = model->version;
        reload_order(reload, (int)i, &order);
    }
    changed = config_changes(before, now, changes, sizeof(changes));
    if (changed > 0) {
        log_event(LOG_WARN, "reload_ignored", LOG_TEXT("settings", changes),
                  LOG_INT("count", (int64_t)changed),
                  LOG_TEXT("reason", "of models alone path and version are taken up; all "
                                     "else that the configuration says otherwise now "
                                     "takes a restart"));
    }
    config_free(now);
}

void reload_retire(struct reload *reload, struct loaded *loaded) {
    (void)pthread_mutex_lock(&reload->lock); /* fails only on misuse */
    if (reload->retired_count < ARRAY_COUNT(reload->retired)) {
        reload->retired[reload->retired_count++] = loaded;
        loaded = NULL;
        (void)pthread_cond_signal(&reload->changed);
    }
    (void)pthread_mutex_unlock(&reload->lock);
    loaded_close(loaded); /* so many at once are no use case; it only takes its time */
}

/* ---- the thread ---- */

static void count(struct reload *reload, int model, enum metric_reload outcome) {
    struct metrics *metrics = reload->opts.metrics;
    metrics_add(metrics, METRIC_MODEL_RELOADS,
                metrics_label(metrics, METRIC_MODEL_RELOADS, (size_t)model, outcome), 1);
}

/* Is it what serves already, or is about to? */
static bool is_unchanged(const struct loaded *latest, const struct order *order) {
    uint8_t digest[DIGEST_SIZE];
    struct error ignored; /* the load says it */
    return strcmp(latest->path, order->path) == 0 &&
           strcmp(latest->version, order->version) == 0 &&
           digest_file(order->path, digest, &ignored) == STATUS_OK &&
           memcmp(digest, latest->sha256, DIGEST_SIZE) == 0;
}

static void carry_out(struct reload *reload, int model, const struct order *order) {
    const struct config_model *config = &reload->opts.config->models[model];
    const struct loaded_source source = {.config = config,
                                         .index = model,
                                         .path = order->path,
                                         .version = order->version,
                                         .sha256 = order->sha256,
                                         .threads = reload->opts.config->worker.threads,
                                         .slice_ms =
                                             models_slice_ms(reload->opts.config)};
    struct loaded *loaded = NULL;
    struct error err;
    enum status status;
    if (order->sha256[0] == 0 && is_unchanged(reload->latest[model], order)) {
        log_event(LOG_INFO, "model_unchanged", LOG_TEXT("model", config->name),
                  LOG_TEXT("version", order->version), LOG_TEXT("origin", order->origin));
        count(reload, model, METRIC_RELOAD_UNCHANGED);
        return;
    }
    status = loaded_open(&source, &loaded, &err);
    if (status == STATUS_OK) {
        status = loaded_check_like(reload->latest[model], loaded, &err);
    }
    if (status != STATUS_OK) {
        loaded_close(loaded);
        log_event(LOG_ERROR, "model_refused", LOG_TEXT("model", config->name),
                  LOG_TEXT("path", order->path), LOG_TEXT("version", order->version),
                  LOG_TEXT("origin", order->origin), LOG_TEXT("reason", err.text),
                  LOG_TEXT("serving", reload->latest[model]->version));
        count(reload, model, METRIC_RELOAD_REFUSED);
        return;
    }
    reload->latest[model] = loaded;
    count(reload, model, METRIC_RELOAD_LOADED);
    reload->opts.offer(reload->opts.opaque, loaded);
}

/* The next order, of model *model; false where none waits.  Locks: lock held. */
static bool take_order(struct reload *reload, int *model, struct order *order) {
    for (size_t i = 0; i < reload->opts.config->model_count; i++) {
        if (reload->orders[i].path != NULL) {
            *order = reload->orders[i];
            *model = (int)i;
            reload->orders[i] = (struct order){NULL};
            return true;
        }
    }
    return false;
}

static void *reload_main(void *opaque) {
    struct reload *reload = opaque;
    thread_name("reload");
    (void)pthread_mutex_lock(&reload->lock); /* fails only on misuse */
    while (!reload->stopping) {
        struct loaded *retired = NULL;
        struct order order;
        int model = 0;
        if (reload->retired_count > 0) {
            retired = reload->retired[--reload->retired_count];
        } else if (!take_order(reload, &model, &order)) {
            (void)pthread_cond_wait(&reload->changed, &reload->lock);
            continue;
        }
        (void)pthread_mutex_unlock(&reload->lock);
        if (retired != NULL) {
            log_event(LOG_INFO, "model_left", LOG_TEXT("model", retired->item.name),
                      LOG_TEXT("version", retired->version),
                      LOG_TEXT("sha256", retired->sha256_text));
            loaded_close(retired);
        } else {
            carry_out(reload, model, &order);
            free_order(&order);
        }
        (void)pthread_mutex_lock(&reload->lock);
    }
    (void)pthread_mutex_unlock(&reload->lock);
    return NULL;
}

/* ---- life ---- */

enum status reload_create(const struct reload_opts *opts, struct reload **out,
                          struct error *err) {
    struct reload *reload = calloc(1, sizeof(*reload));
    size_t count_all = (size_t)opts->models->count;
    *out = NULL;
    if (reload == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory to load models again");
    }
    reload->opts = *opts;
    (void)pthread_mutex_init(&reload->lock, NULL); /* neither can fail on Linux */
    (void)pthread_cond_init(&reload->changed, NULL);
    reload->latest = calloc(count_all, sizeof(struct loaded *));
    reload->orders = calloc(count_all, sizeof(*reload->orders));
    if (reload->latest == NULL || reload->orders == NULL) {
        reload_destroy(reload);
        return error_set(err, STATUS_NO_MEMORY, "no memory to load models again");
    }
    memcpy(reload->latest, opts->models->items, count_all * sizeof(struct loaded *));
    if (pthread_create(&reload->thread, NULL, reload_main, reload) != 0) {
        reload_destroy(reload);
        return error_set(err, STATUS_FATAL, "cannot start a thread to load models");
    }
    reload->started = true;
    *out = reload;
    return STATUS_OK;
}

void reload_stop(struct reload *reload) {
    if (reload == NULL || !reload->started) {
        return;
    }
    (void)pthread_mutex_lock(&reload->lock); /* fails only on misuse */
    reload->stopping = true;
    (void)pthread_cond_signal(&reload->changed);
    (void)pthread_mutex_unlock(&reload->lock);
    (void)pthread_join(reload->thread, NULL); /* fails only on misuse */
    reload->started = false;
}

void reload_destroy(struct reload *reload) {
    if (reload == NULL) {
        return;
    }
    for (size_t i = 0; i < reload->retired_count; i++) {
        loaded_close(reload->retired[i]);
    }
    for (int i = 0; reload->orders != NULL && i < reload->opts.models->count; i++) {
        free_order(&reload->orders[i]);
    }
    free(reload->orders);
    free(reload->latest);
    (void)pthread_mutex_destroy(&reload->lock); /* fails only while locked */
    (void)pthread_cond_destroy(&reload->changed);
    free(reload);
}
