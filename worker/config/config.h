/* config.h - the worker's configuration: one file in, one validated struct out.
 *
 * A libconfig file, then MILLRACE_SECTION_KEY variables, then "section.key=value"
 * flags; the later wins.  Tables of keys (keys_*.c) hold every setting's name, limits,
 * default and help; the reference page is printed from them.  What config_load returns
 * has passed every check that needs no broker and no model file.
 *
 * Depends on: base/status.h, base/log.h.
 * Ownership: a struct config owns all it points to, until config_free.
 * Threads: immutable once loaded; load before threads start (it reads the environment
 * and libconfig's parser is not reentrant). */
#ifndef MILLRACE_CONFIG_CONFIG_H
#define MILLRACE_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/log.h"
#include "base/status.h"
#include "config/record.h"

#define CONFIG_FILE_SIZE_MAX ((size_t)1 << 20) /* bytes, each included file too */
#define CONFIG_FILES_MAX 64                    /* the file and what it includes */
#define CONFIG_MODELS_MAX 256
#define CONFIG_ROUTES_MAX 256
#define CONFIG_OUTPUTS_MAX 64 /* of one model */
#define CONFIG_RETRIES_MAX 8  /* levels of one route */
#define CONFIG_LENGTHS_MAX 16 /* of a model's pad_to */
#define CONFIG_LENGTH_MAX 65536
#define CONFIG_RETRY_S_MAX 604800 /* longest delay: a week */
#define CONFIG_PROPERTIES_MAX 256 /* in each of kafka, consumer and producer */
#define CONFIG_TEXT_SIZE_MAX 4096 /* bytes of one value, librdkafka's excepted */
#define CONFIG_PROBLEMS_MAX 50    /* reported; the rest are counted */

enum config_delivery { CONFIG_EXACTLY_ONCE, CONFIG_AT_LEAST_ONCE };

/* What the group does when the worker is gone: shares its partitions out at once, or
 * keeps them for one of the same name. */
enum config_membership { CONFIG_DYNAMIC, CONFIG_STATIC };

/* What becomes of a job whose inputs hold NaN or an infinity. */
enum config_nan { CONFIG_NAN_ALLOW, CONFIG_NAN_REJECT };

/* A model whose answers change where its rows are padded. */
enum config_pad_check { CONFIG_PAD_REFUSE, CONFIG_PAD_ACCEPT };

/* A librdkafka property under librdkafka's own name ("bootstrap.servers"). */
struct config_property {
    const char *name;
    const char *value; /* may be a secret: see config_is_secret */
};

struct config_properties {
    const struct config_property *items;
    size_t count;
};

struct config_worker {
    const char *group;    /* never empty */
    const char *instance; /* empty: the stream chooses one; never with CONFIG_STATIC */
    enum config_membership membership;
    enum config_delivery delivery;
    int commit_interval_ms;
    int threads; /* as it will be, at least 1: 0 in the file is resolved */
    int window_jobs;
    int window_mb;
    int slice_ms;
    int drain_timeout_s;
    int watchdog_s;
    int crash_restarts_max;
};

/* Orders for other versions of models. */
struct config_control {
    const char *topic;  /* empty: none */
    const char *folder; /* what orders name is below it */
};

struct config_http {
    const char *address;
    int port; /* 0: off */
};

struct config_log {
    enum log_level level;
    enum log_format format;
};

/* The schema registry; without URLs there is none. */
struct config_registry {
    const char *urls; /* with commas between them; "" for none */
    const char *user;
    const char *password; /* this, the token and the key's are secrets */
    const char *token;
    const char *ca_file;
    const char *certificate_file;
    const char *key_file;
    const char *key_password;
    int timeout_ms;
};

/* Whether a model's weights may lie in files beside it. */
enum config_external { CONFIG_EXTERNAL_REFUSE, CONFIG_EXTERNAL_ALLOW };

struct config_model {
    const char *name; /* unique, never empty */
    const char *path; /* absolute, or relative to the working directory */
    const char *version;
    int batch_max;
    int batch_size; /* at most batch_max; 0: measured */
    int weight;
    int linger_ms;
    enum config_nan nan;
    int memory_mb; /* of weights */
    enum config_external external_data;
    const char *const *outputs; /* names of those wanted; none: all */
    size_t output_count;
    const char *pad_to;                      /* "16 32 64" */
    int64_t pad_lengths[CONFIG_LENGTHS_MAX]; /* rising */
    size_t pad_length_count;                 /* 0: rows are not padded */
    enum config_pad_check pad_check;
};

/* Which answers wait for a job that is tried again: none, those of its partition, or
 * those of its key. */
enum config_order { CONFIG_ORDER_FREE, CONFIG_ORDER_PARTITION, CONFIG_ORDER_KEY };

struct config_route {
    const char *input; /* topics; input is unique among the routes */
    const char *output;
    const char *dead_letter;
    const char *model; /* default model's name, empty: jobs name theirs */
    int model_index;   /* of that model in models; -1: jobs name theirs */
    int job_bytes_max;
    const char *shadow;        /* file of a second model; empty: none */
    const char *shadow_output; /* topic of its answers; empty: none */
    enum config_order order;
    const char *retry_delays; /* "5s 1m 10m" */
    int64_t retry_ms[CONFIG_RETRIES_MAX];
    const char *retry_topics[CONFIG_RETRIES_MAX];
    int retry_count;
    const struct config_record *record; /* NULL: jobs are envelopes */
};

/* One setting as it came out: for a report of what is in force and why. */
struct config_value {
    const char *key;    /* "worker.threads", "models[0].path", "kafka.sasl.password" */
    const char *text;   /* as written; "(hidden)" for a secret */
    const char *origin; /* "default", "FILE:LINE", a variable's name, or "--set" */
    uint64_t sum;       /* of all that was written, which `text` may only count or hide */
};

struct config {
    struct config_properties kafka; /* for both clients */
    struct config_properties consumer;
    struct config_properties producer;
    struct config_worker worker;
    struct config_http http;
    struct config_log log;
    struct config_registry registry;
    struct config_control control;
    const struct config_model *models; /* at least one */
    size_t model_count;
    const struct config_route *routes; /* at least one */
    size_t route_count;

    const char *const *files; /* every file that was read, in order */
    size_t file_count;
    const struct config_value *values; /* every setting, in the table's order */
    size_t value_count;
};

/* Is called for each problem with its one-line text: "conf/a.conf:12: ...". */
typedef void config_problem_fn(void *opaque, const char *problem);

/* Reads the file at `path`, the environment, and `count` overrides of the form
 * "section.key=value".  All problems are found in one go: each is handed to `on_problem`
 * (may be NULL), up to CONFIG_PROBLEMS_MAX, and the status is STATUS_INVALID, with the
 * first one and "and N more" in *err and *out NULL.  STATUS_NO_MEMORY likewise. */
MUST_CHECK enum status config_load(const char *path, const char *const *overrides,
                                   size_t count, config_problem_fn *on_problem,
                                   void *opaque, struct config **out, struct error *err);

/* Where the setting "models[0].path" came from, as in struct config_value; "" if there is
 * none of that name. */
const char *config_origin(const struct config *config, const char *key);

/* Names the settings that differ, all but the path and version of models, which are taken
 * up while the worker runs; returns how many.  The text is cut to `size` bytes. */
size_t config_changes(const struct config *before, const struct config *now, char *text,
                      size_t size);

/* Accepts NULL. */
void config_free(struct config *config);

/* Writes the reference of every setting, as Markdown. */
void config_reference(FILE *to);

/* Must the value of this librdkafka property (dots or underscores) never be shown? */
bool config_is_secret(const char *property);

#endif
