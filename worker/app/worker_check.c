/* worker_check.c - see worker.h: all that a worker refuses to start for, told at once. */
#include <stdio.h>

#include "app/records.h"
#include "app/settings.h"
#include "app/shadow.h"
#include "base/log.h"

/* One property alone, so that each mistake is told and its place is known. */
static enum status check_property(const struct stream_opts *opts, size_t section,
                                  const struct stream_property *property,
                                  struct error *err) {
    static const struct stream_property brokers = {"bootstrap.servers", "localhost"};
    struct stream_property common[2] = {brokers, *property};
    struct stream_opts alone = *opts;
    alone.common = common;
    alone.common_count = section == 0 ? 2 : 1;
    alone.consumer = alone.producer = property;
    alone.consumer_count = section == 1;
    alone.producer_count = section == 2;
    return stream_check(&alone, err);
}

static enum status check_properties(const struct worker_check *check,
                                    const struct config *config,
                                    const struct stream_opts *opts) {
    static const char *const names[] = {"kafka", "consumer", "producer"};
    const struct stream_property *const lists[] = {opts->common, opts->consumer,
                                                   opts->producer};
    const size_t counts[] = {opts->common_count, opts->consumer_count,
                             opts->producer_count};
    enum status worst = STATUS_OK;
    struct error err;
    for (size_t s = 0; s < ARRAY_COUNT(lists); s++) {
        for (size_t i = 0; i < counts[s]; i++) {
            enum status status = check_property(opts, s, &lists[s][i], &err);
            char key[320];
            if (status != STATUS_OK) {
                (void)snprintf(key, sizeof(key), "%s.%s", names[s], lists[s][i].name);
                (void)error_prefix(&err, "%s", config_origin(config, key));
                check->on_problem(check->opaque, err.text);
                worst = status;
            }
        }
    }
    if (worst == STATUS_OK) { /* and together? */
        worst = stream_check(opts, &err);
        if (worst != STATUS_OK) {
            check->on_problem(check->opaque, err.text);
        }
    }
    return worst;
}

/* A mapping that could not be checked is not known to be right. */
struct record_check {
    const struct worker_check *check;
    bool unchecked;
};

static void on_mistake(void *opaque, const char *text) {
    const struct record_check *of = opaque;
    of->check->on_problem(of->check->opaque, text);
}

static void on_unchecked(void *opaque, const char *text) {
    struct record_check *of = opaque;
    of->check->on_problem(of->check->opaque, text);
    of->unchecked = true;
}

/* Returns the exit code. */
static int check_records(const struct worker_check *check, const struct config *config,
                         const struct models *models) {
    struct record_check of = {.check = check};
    const struct records_watch watch = {on_mistake, on_unchecked, &of};
    struct records *records;
    struct error err;
    enum status status = records_open(config, models, &watch, &records, &err);
    records_close(records);
    if (status != STATUS_OK) {
        return settings_exit_code(status);
    }
    return of.unchecked ? SETTINGS_FAILED : SETTINGS_FINE;
}

int worker_check(const struct worker_opts *opts, const struct worker_check *check) {
    static struct settings_lists lists; /* too large for a stack */
    struct config *config;
    struct models models = {0};
    struct stream_opts stream;
    enum status status;
    int records_code;
    int code = settings_read(opts, check->on_problem, check->opaque, &config);
    if (code != SETTINGS_FINE) {
        return code;
    }
    log_setup(LOG_ERROR, config->log.format); /* no news of what is being loaded */
    stream = settings_stream(config, &lists);
    status = check_properties(check, config, &stream);
    if (status != STATUS_OK) {
        code = settings_exit_code(status);
    }
    status = models_check(config, check->on_problem, check->opaque, &models);
    if (status != STATUS_OK && code != SETTINGS_WRONG) {
        code = settings_exit_code(status);
    }
    status = shadows_check(config, &models, check->on_problem, check->opaque);
    if (status != STATUS_OK && code != SETTINGS_WRONG) {
        code = settings_exit_code(status);
    }
    records_code = check_records(check, config, &models);
    code = records_code > code ? records_code : code; /* wrong, failed, fine */
    if (check->on_read != NULL) {
        check->on_read(check->opaque, config, &models);
    }
    models_close(&models);
    config_free(config);
    return code;
}
