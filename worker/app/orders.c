/* orders.c - see orders.h. */
#include "app/orders.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/thread.h"
#include "codec/model_order.h"

enum { POLL_MS = 100 };

struct orders {
    struct orders_opts opts;
    struct control *control;
    char *folder;                 /* owned; absolute, without links */
    struct model_order **pending; /* owned; by model; those that came together */
    pthread_t thread;
    bool started;
    atomic_bool stopping;
};

enum status orders_find_file(const char *folder, const char *path, char **file,
                             struct error *err) {
    size_t size = strlen(folder);
    char joined[PATH_MAX];
    int length = snprintf(joined, sizeof(joined), "%s/%s", folder, path);
    *file = NULL;
    if (length < 0 || (size_t)length >= sizeof(joined)) {
        return error_set(err, STATUS_INVALID, "its path is too long");
    }
    *file = realpath(joined, NULL);
    if (*file == NULL) {
        return error_set(err, STATUS_INVALID, "cannot find %s below %s: %s", path, folder,
                         strerror(errno));
    }
    if (strncmp(*file, folder, size) != 0 || (*file)[size] != '/') {
        free(*file);
        *file = NULL;
        return error_set(err, STATUS_INVALID, "%s leads out of %s", path, folder);
    }
    return STATUS_OK;
}

static void refuse(struct orders *orders, const struct control_record *record,
                   const char *reason) {
    log_event(LOG_ERROR, "order_refused",
              LOG_TEXT("topic", orders->opts.config->control.topic),
              LOG_INT("partition", record->partition), LOG_INT("offset", record->offset),
              LOG_TEXT("reason", reason));
    metrics_add(orders->opts.metrics, METRIC_ORDERS_REFUSED, 0, 1);
}

static int find_model(const struct config *config, const char *name) {
    for (size_t i = 0; i < config->model_count; i++) {
        if (strcmp(config->models[i].name, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

/* Keeps the order until no other comes with it. */
static void keep(struct orders *orders, const struct control_record *record) {
    struct model_order *order;
    struct error err;
    int model;
    if (record->value.data == NULL) {
        return; /* deletes an order from a compacted topic, which changes nothing here */
    }
    order = calloc(1, sizeof(*order));
    if (order == NULL) {
        refuse(orders, record, "no memory for it");
        return;
    }
    if (model_order_parse(record->value, order, &err) != STATUS_OK) {
        refuse(orders, record, err.text);
        free(order);
        return;
    }
    model = find_model(orders->opts.config, order->model);
    if (model < 0) {
        refuse(orders, record, "its model is not one of this worker's");
        free(order);
        return;
    }
    free(orders->pending[model]);
    orders->pending[model] = order;
}

static void give_out(struct orders *orders) {
    for (size_t i = 0; i < orders->opts.config->model_count; i++) {
        struct model_order *order = orders->pending[i];
        struct error err;
        char *file;
        if (order == NULL) {
            continue;
        }
        orders->pending[i] = NULL;
        if (orders_find_file(orders->folder, order->path, &file, &err) == STATUS_OK) {
            const struct reload_order wanted = {.path = file,
                                                .version = order->version,
                                                .sha256 = order->sha256,
                                                .origin = "control topic"};
            reload_order(orders->opts.reload, (int)i, &wanted);
            free(file);
        } else {
            log_event(LOG_ERROR, "order_refused", LOG_TEXT("model", order->model),
                      LOG_TEXT("version", order->version), LOG_TEXT("reason", err.text));
            metrics_add(orders->opts.metrics, METRIC_ORDERS_REFUSED, 0, 1);
        }
        free(order);
    }
}

static void *orders_main(void *opaque) {
    struct orders *orders = opaque;
    thread_name("orders");
    while (!atomic_load(&orders->stopping)) {
        struct control_record record;
        if (control_read(orders->control, POLL_MS, &record)) {
            keep(orders, &record);
        } else {
            give_out(orders);
        }
    }
    return NULL;
}

static enum status fill(struct orders *orders, struct error *err) {
    const struct config *config = orders->opts.config;
    orders->pending = calloc(config->model_count, sizeof(*orders->pending));
    if (orders->pending == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for the control topic");
    }
    orders->folder = realpath(config->control.folder, NULL);
    if (orders->folder == NULL) {
        return error_set(err, STATUS_INVALID, "control.folder: cannot find %s: %s",
                         config->control.folder, strerror(errno));
    }
    return control_open(orders->opts.stream, config->control.topic, &orders->control,
                        err);
}

enum status orders_create(const struct orders_opts *opts, struct orders **out,
                          struct error *err) {
    struct orders *orders;
    enum status status;
    *out = NULL;
    if (opts->config->control.topic[0] == 0) {
        return STATUS_OK;
    }
    orders = calloc(1, sizeof(*orders));
    if (orders == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for the control topic");
    }
    orders->opts = *opts;
    status = fill(orders, err);
    orders->opts.stream = NULL; /* was borrowed */
    if (status == STATUS_OK &&
        pthread_create(&orders->thread, NULL, orders_main, orders) != 0) {
        status = error_set(err, STATUS_FATAL, "cannot start a thread for orders");
    }
    orders->started = status == STATUS_OK;
    if (status != STATUS_OK) {
        orders_destroy(orders);
        return status;
    }
    *out = orders;
    return STATUS_OK;
}

void orders_destroy(struct orders *orders) {
    if (orders == NULL) {
        return;
    }
    atomic_store(&orders->stopping, true);
    if (orders->started) {
        (void)pthread_join(orders->thread, NULL); /* fails only on misuse */
    }
    control_close(orders->control);
    for (size_t i = 0; orders->pending != NULL && i < orders->opts.config->model_count;
         i++) {
        free(orders->pending[i]);
    }
    free(orders->pending);
    free(orders->folder);
    free(orders);
}
