/* keys.c - see keys.h. */
#include "config/keys.h"

#include <assert.h>
#include <ctype.h>

#include "base/text.h"

static const char *const deliveries[] = {
    [CONFIG_EXACTLY_ONCE] = "exactly_once",
    [CONFIG_AT_LEAST_ONCE] = "at_least_once",
    NULL,
};

static const char *const memberships[] = {
    [CONFIG_DYNAMIC] = "dynamic",
    [CONFIG_STATIC] = "static",
    NULL,
};

static const char *const nans[] = {
    [CONFIG_NAN_ALLOW] = "allow",
    [CONFIG_NAN_REJECT] = "reject",
    NULL,
};

static const char *const pad_checks[] = {
    [CONFIG_PAD_REFUSE] = "refuse",
    [CONFIG_PAD_ACCEPT] = "accept",
    NULL,
};

static const char *const externals[] = {
    [CONFIG_EXTERNAL_REFUSE] = "refuse",
    [CONFIG_EXTERNAL_ALLOW] = "allow",
    NULL,
};

static const char *const orders[] = {
    [CONFIG_ORDER_FREE] = "free",
    [CONFIG_ORDER_PARTITION] = "partition",
    [CONFIG_ORDER_KEY] = "key",
    NULL,
};

static const char *const levels[] = {
    [LOG_DEBUG] = "debug",
    [LOG_INFO] = "info",
    [LOG_WARN] = "warn",
    [LOG_ERROR] = "error",
    NULL,
};

static const char *const formats[] = {
    [LOG_FORMAT_AUTO] = "auto",
    [LOG_FORMAT_TEXT] = "text",
    [LOG_FORMAT_JSON] = "json",
    NULL,
};

/* The loader stores a choice's index through an int. */
_Static_assert(sizeof(enum config_delivery) == sizeof(int), "an enum is an int");
_Static_assert(sizeof(enum config_membership) == sizeof(int), "an enum is an int");
_Static_assert(sizeof(enum config_nan) == sizeof(int), "an enum is an int");
_Static_assert(sizeof(enum config_external) == sizeof(int), "an enum is an int");
_Static_assert(sizeof(enum config_order) == sizeof(int), "an enum is an int");
_Static_assert(sizeof(enum log_level) == sizeof(int), "an enum is an int");
_Static_assert(sizeof(enum log_format) == sizeof(int), "an enum is an int");

static const struct key worker_keys[] = {
    {
        .name = "group",
        .type = KEY_TEXT,
        .offset = offsetof(struct config_worker, group),
        .min = 1,
        .max = 249,
        .fallback = "millrace",
        .help = "Consumer group. Workers of one group share the partitions.",
    },
    {
        .name = "instance",
        .type = KEY_NAME,
        .offset = offsetof(struct config_worker, instance),
        .max = 128,
        .fallback = "",
        .help = "Names this worker within its group and must be unique there: it is "
                "part of the transactional id. Empty: host name and a free number.",
    },
    {
        .name = "membership",
        .type = KEY_CHOICE,
        .offset = offsetof(struct config_worker, membership),
        .choices = memberships,
        .fallback = "dynamic",
        .help = "`static`: the group keeps the partitions of a worker that stops for one "
                "of the same `instance`, which is required, for consumer.session_timeout_"
                "ms (45000 then), and no other worker pauses: for rolling restarts. "
                "`dynamic`: they are shared out at once.",
    },
    {
        .name = "delivery",
        .type = KEY_CHOICE,
        .offset = offsetof(struct config_worker, delivery),
        .choices = deliveries,
        .fallback = "exactly_once",
        .help = "`exactly_once` publishes results and offsets in one transaction. "
                "`at_least_once` may answer a job twice after a failure.",
    },
    {
        .name = "commit_interval_ms",
        .type = KEY_INT,
        .offset = offsetof(struct config_worker, commit_interval_ms),
        .min = 0,
        .max = 10000,
        .fallback = "50",
        .help = "At least this long between two commits. Longer costs latency and "
                "spares the broker.",
    },
    {
        .name = "threads",
        .type = KEY_INT,
        .offset = offsetof(struct config_worker, threads),
        .min = 0,
        .max = 512,
        .fallback = "0",
        .help = "Compute threads. 0: one per processor less one, at least 1.",
    },
    {
        .name = "window_jobs",
        .type = KEY_INT,
        .offset = offsetof(struct config_worker, window_jobs),
        .min = 1,
        .max = 1 << 20,
        .fallback = "65536",
        .help = "Most jobs in flight; when full, partitions are paused.",
    },
    {
        .name = "window_mb",
        .type = KEY_INT,
        .offset = offsetof(struct config_worker, window_mb),
        .min = 1,
        .max = 65536,
        .fallback = "256",
        .help = "Most MiB of jobs in flight, each with what its answer is expected "
                "to have by those before it; when full, partitions are paused.",
    },
    {
        .name = "slice_ms",
        .type = KEY_INT,
        .offset = offsetof(struct config_worker, slice_ms),
        .min = 0,
        .max = 10000,
        .fallback = "100",
        .help =
            "With several models, batches are made no larger than what takes about so "
            "long, as measured at start: the others wait for them. A model's "
            "batch_size goes before it. 0: no limit.",
    },
    {
        .name = "drain_timeout_s",
        .type = KEY_INT,
        .offset = offsetof(struct config_worker, drain_timeout_s),
        .min = 1,
        .max = 3600,
        .fallback = "30",
        .help = "How long a stopping worker may take to finish the jobs in flight; "
                "the rest is left to the next owner.",
    },
    {
        .name = "watchdog_s",
        .type = KEY_INT,
        .offset = offsetof(struct config_worker, watchdog_s),
        .min = 5,
        .max = 3600,
        .fallback = "60",
        .help = "A stage that has work and does not move for this long is stalled: "
                "the worker is unhealthy, or ends where only a restart helps.",
    },
    {
        .name = "crash_restarts_max",
        .type = KEY_INT,
        .offset = offsetof(struct config_worker, crash_restarts_max),
        .min = 5,
        .max = 1000,
        .fallback = "5",
        .help = "A job with which the process ended so many times without notice is a "
                "dead letter. The first three ends find it among the others, one more "
                "for each factor of 16 above 256 jobs in the worker; the rest it must "
                "cause with no other job in the process, one after the other.",
    },
};

static const struct key http_keys[] = {
    {
        .name = "address",
        .type = KEY_TEXT,
        .offset = offsetof(struct config_http, address),
        .min = 1,
        .max = 64,
        .fallback = "127.0.0.1",
        .help = "Numeric IPv4 or IPv6 address to listen on. Whoever reaches it may "
                "read the figures; there is no authentication.",
    },
    {
        .name = "port",
        .type = KEY_INT,
        .offset = offsetof(struct config_http, port),
        .min = 0,
        .max = 65535,
        .fallback = "9464",
        .help = "Port for /metrics, /healthz and /readyz. 0: off.",
    },
};

static const struct key log_keys[] = {
    {
        .name = "level",
        .type = KEY_CHOICE,
        .offset = offsetof(struct config_log, level),
        .choices = levels,
        .fallback = "info",
        .help = "Events below this level are dropped.",
    },
    {
        .name = "format",
        .type = KEY_CHOICE,
        .offset = offsetof(struct config_log, format),
        .choices = formats,
        .fallback = "auto",
        .help = "`auto` is text on a terminal and JSON elsewhere.",
    },
};

static const struct key model_keys[] = {
    {
        .name = "name",
        .type = KEY_TEXT,
        .offset = offsetof(struct config_model, name),
        .min = 1,
        .max = 128,
        .help = "What jobs and routes call the model. Unique.",
    },
    {
        .name = "path",
        .type = KEY_PATH,
        .offset = offsetof(struct config_model, path),
        .min = 1,
        .max = CONFIG_TEXT_SIZE_MAX,
        .help = "ONNX file, absolute or relative to the configuration file's folder.",
    },
    {
        .name = "version",
        .type = KEY_TEXT,
        .offset = offsetof(struct config_model, version),
        .min = 1,
        .max = 128,
        .fallback = "1",
        .help = "Is compared with the version a job asks for, and named in answers.",
    },
    {
        .name = "batch_max",
        .type = KEY_INT,
        .offset = offsetof(struct config_model, batch_max),
        .min = 1,
        .max = 4096,
        .fallback = "64",
        .help = "Most rows in one batch; memory is set aside for as many.",
    },
    {
        .name = "batch_size",
        .type = KEY_INT,
        .offset = offsetof(struct config_model, batch_size),
        .min = 0,
        .max = 4096,
        .fallback = "0",
        .help = "Rows that make a batch full. 0: measured at start, one size for most "
                "rows a second while all threads are busy and one for the soonest "
                "answer while one is not; both up to batch_max.",
    },
    {
        .name = "weight",
        .type = KEY_INT,
        .offset = offsetof(struct config_model, weight),
        .min = 1,
        .max = 1000,
        .fallback = "1",
        .help = "Share of the compute threads while other models have work, too: one of "
                "weight 2 gets twice the time of one of weight 1.",
    },
    {
        .name = "linger_ms",
        .type = KEY_INT,
        .offset = offsetof(struct config_model, linger_ms),
        .min = 0,
        .max = 10000,
        .fallback = "5",
        .help = "How long a batch's oldest job may wait for company.",
    },
    {
        .name = "nan",
        .type = KEY_CHOICE,
        .offset = offsetof(struct config_model, nan),
        .choices = nans,
        .fallback = "allow",
        .help = "`reject` dead-letters jobs whose inputs hold NaN or an infinity.",
    },
    {
        .name = "memory_mb",
        .type = KEY_INT,
        .offset = offsetof(struct config_model, memory_mb),
        .min = 1,
        .max = 1 << 20,
        .fallback = "16384",
        .help = "Most MiB that the model's weights may take once loaded: a file that "
                "asks for more is refused.",
    },
    {
        .name = "external_data",
        .type = KEY_CHOICE,
        .offset = offsetof(struct config_model, external_data),
        .choices = externals,
        .fallback = "refuse",
        .help = "`allow`: the model's weights may lie in other files, in its folder and "
                "below, nowhere else. Answers name the SHA-256 of `path` alone.",
    },
    {
        .name = "outputs",
        .type = KEY_TEXTS,
        .offset = offsetof(struct config_model, outputs),
        .count_offset = offsetof(struct config_model, output_count),
        .min = 1,
        .max = CONFIG_OUTPUTS_MAX,
        .fallback = "",
        .help = "Names of the outputs to answer with. Empty: all.",
    },
    {
        .name = "pad_to",
        .type = KEY_TEXT,
        .offset = offsetof(struct config_model, pad_to),
        .min = 0,
        .max = 256,
        .fallback = "",
        .help =
            "Lengths, as in `16 32 64 128`, for models whose rows have a free "
            "dimension: a row is filled up with zeros to the next of them, so that "
            "rows of different lengths share a batch, and its answer is cut back; one "
            "that is longer than all is a dead letter. Right for models that mask "
            "what is padded, which is tried at start. Empty: only rows of the same "
            "length share a batch.",
    },
    {
        .name = "pad_check",
        .type = KEY_CHOICE,
        .offset = offsetof(struct config_model, pad_check),
        .choices = pad_checks,
        .fallback = "refuse",
        .help = "`refuse` ends the start where padding changes the answers of the trial "
                "by more than 0.001, or a label at all; `accept` only tells by how much.",
    },
};

static const struct key route_keys[] = {
    {
        .name = "input",
        .type = KEY_NAME,
        .offset = offsetof(struct config_route, input),
        .min = 1,
        .max = 249,
        .help = "Topic that jobs come from. One route per topic.",
    },
    {
        .name = "output",
        .type = KEY_NAME,
        .offset = offsetof(struct config_route, output),
        .min = 1,
        .max = 249,
        .help = "Topic that results go to.",
    },
    {
        .name = "dead_letter",
        .type = KEY_NAME,
        .offset = offsetof(struct config_route, dead_letter),
        .min = 1,
        .max = 249,
        .help = "Topic that jobs go to which can never be answered, as they came.",
    },
    {
        .name = "model",
        .type = KEY_TEXT,
        .offset = offsetof(struct config_route, model),
        .max = 128,
        .fallback = "",
        .help = "Model of jobs that name none. Empty: every job must name its own.",
    },
    {
        .name = "job_bytes_max",
        .type = KEY_INT,
        .offset = offsetof(struct config_route, job_bytes_max),
        .min = 1,
        .max = 1 << 30,
        .fallback = "1048576",
        .help = "A longer record is a dead letter.",
    },
    {
        .name = "shadow",
        .type = KEY_PATH,
        .offset = offsetof(struct config_route, shadow),
        .max = CONFIG_TEXT_SIZE_MAX,
        .fallback = "",
        .help = "ONNX file with the inputs of `model`, which scores the same jobs and is "
                "compared with it in the metrics (`millrace_shadow_*`). It never delays "
                "an answer: where it is behind, jobs pass it by. One for each model.",
    },
    {
        .name = "shadow_output",
        .type = KEY_NAME,
        .offset = offsetof(struct config_route, shadow_output),
        .max = 249,
        .fallback = "",
        .help = "Topic of the shadow's answers, each an InferenceResult of version "
                "`shadow` under the job's key; outside of transactions. Empty: none.",
    },
    {
        .name = "order",
        .type = KEY_CHOICE,
        .offset = offsetof(struct config_route, order),
        .choices = orders,
        .fallback = "free",
        .help =
            "`partition`: a job that is tried again keeps its place; no later answer "
            "of its partition is published before its own, for as long as "
            "retry_delays say, and no retry topics are made. `key`: so it does for the "
            "later answers of its record's key, and the others go on. `free`: all "
            "go on without it.",
    },
    {
        .name = "retry_delays",
        .type = KEY_TEXT,
        .offset = offsetof(struct config_route, retry_delays),
        .max = 128,
        .fallback = "5s 1m 10m",
        .help = "How long a job that failed for a reason that may pass waits before each "
                "new attempt, as numbers with s, m or h; it waits in the topics "
                "INPUT.GROUP.retry.1, .2 and so on, which are made if missing. Empty: "
                "such a job is a dead letter at once.",
    },
    {
        .name = "record",
        .type = KEY_GROUP,
        .offset = offsetof(struct config_route, record),
        .group = &record_section,
        .fallback = "",
        .form = "a group, see below",
        .help = "The topic holds Avro records of any schema, not jobs: how they become "
                "the model's inputs. Needs `model`.",
    },
};

static const struct key control_keys[] = {
    {
        .name = "topic",
        .type = KEY_NAME,
        .offset = offsetof(struct config_control, topic),
        .max = 249,
        .fallback = "",
        .help =
            "Topic of orders, which every worker reads from its beginning: JSON, "
            "`{\"model\": \"digits\", \"path\": \"digits/7.onnx\", \"version\": "
            "\"7\", \"sha256\": \"...\"}`, the last optional. Best compacted, with one "
            "partition and the model as key. Whoever may write there chooses "
            "among the files of `folder`. Empty: none.",
    },
    {
        .name = "folder",
        .type = KEY_PATH,
        .offset = offsetof(struct config_control, folder),
        .max = CONFIG_TEXT_SIZE_MAX,
        .fallback = "",
        .help = "The files that orders may name are below it, links that lead out of it "
                "excepted.",
    },
};

static const struct key registry_keys[] = {
    {
        .name = "urls",
        .type = KEY_TEXT,
        .offset = offsetof(struct config_registry, urls),
        .max = CONFIG_TEXT_SIZE_MAX,
        .fallback = "",
        .help =
            "Base URLs with commas between them, `https://a:8081,https://b:8081`: the "
            "next one is asked where one does not answer. Empty: no registry.",
    },
    {
        .name = "user",
        .type = KEY_TEXT,
        .offset = offsetof(struct config_registry, user),
        .max = CONFIG_TEXT_SIZE_MAX,
        .fallback = "",
        .help = "User of basic authentication.",
    },
    {
        .name = "password",
        .type = KEY_SECRET,
        .offset = offsetof(struct config_registry, password),
        .max = CONFIG_TEXT_SIZE_MAX,
        .fallback = "",
        .help = "The user's password. It is never shown; nor is `token`.",
    },
    {
        .name = "token",
        .type = KEY_SECRET,
        .offset = offsetof(struct config_registry, token),
        .max = CONFIG_TEXT_SIZE_MAX,
        .fallback = "",
        .help = "A bearer token, instead of a user.",
    },
    {
        .name = "ca_file",
        .type = KEY_PATH,
        .offset = offsetof(struct config_registry, ca_file),
        .max = CONFIG_TEXT_SIZE_MAX,
        .fallback = "",
        .help = "Certificates (PEM) that the registry's is checked with. Empty: the "
                "system's.",
    },
    {
        .name = "certificate_file",
        .type = KEY_PATH,
        .offset = offsetof(struct config_registry, certificate_file),
        .max = CONFIG_TEXT_SIZE_MAX,
        .fallback = "",
        .help = "The worker's own certificate (PEM), for a registry that asks for one.",
    },
    {
        .name = "key_file",
        .type = KEY_PATH,
        .offset = offsetof(struct config_registry, key_file),
        .max = CONFIG_TEXT_SIZE_MAX,
        .fallback = "",
        .help = "The certificate's key (PEM).",
    },
    {
        .name = "key_password",
        .type = KEY_SECRET,
        .offset = offsetof(struct config_registry, key_password),
        .max = CONFIG_TEXT_SIZE_MAX,
        .fallback = "",
        .help = "The key's password. It is never shown.",
    },
    {
        .name = "timeout_ms",
        .type = KEY_INT,
        .offset = offsetof(struct config_registry, timeout_ms),
        .min = 100,
        .max = 300000,
        .fallback = "10000",
        .help = "How long one request may take.",
    },
};

#define KEYS(array) .keys = (array), .key_count = ARRAY_COUNT(array)
#define PROPERTIES(field)                                                 \
    .kind = SECTION_PROPERTIES, .offset = offsetof(struct config, field), \
    .items_max = CONFIG_PROPERTIES_MAX

static const struct section table[] = {
    {
        .name = "kafka",
        PROPERTIES(kafka),
        .help = "librdkafka's properties for both clients, with underscores for dots: "
                "`bootstrap_servers` is required. Those that the worker's promises "
                "rest on are refused. Passwords and keys are never shown; prefer the "
                "environment or a file of their own for them.",
    },
    {
        .name = "consumer",
        PROPERTIES(consumer),
        .help = "The same for the consumer only; wins over `kafka`.",
    },
    {
        .name = "producer",
        PROPERTIES(producer),
        .help = "The same for the producer only; wins over `kafka`.",
    },
    {
        .name = "worker",
        .kind = SECTION_GROUP,
        .offset = offsetof(struct config, worker),
        KEYS(worker_keys),
        .help = "Group membership, delivery and resources of this worker.",
    },
    {
        .name = "http",
        .kind = SECTION_GROUP,
        .offset = offsetof(struct config, http),
        KEYS(http_keys),
        .help = "Metrics and health.",
    },
    {
        .name = "log",
        .kind = SECTION_GROUP,
        .offset = offsetof(struct config, log),
        KEYS(log_keys),
        .help = "What is written to standard error.",
    },
    {
        .name = "control",
        .kind = SECTION_GROUP,
        .offset = offsetof(struct config, control),
        KEYS(control_keys),
        .help = "Other versions of models by a topic; SIGHUP does without.",
    },
    {
        .name = "registry",
        .kind = SECTION_GROUP,
        .offset = offsetof(struct config, registry),
        KEYS(registry_keys),
        .help = "The schema registry of records in Confluent's wire format.",
    },
    {
        .name = "models",
        .kind = SECTION_LIST,
        .item_size = sizeof(struct config_model),
        .items_max = CONFIG_MODELS_MAX,
        KEYS(model_keys),
        .help = "A list of groups, one for each model; at least one.",
    },
    {
        .name = "routes",
        .kind = SECTION_LIST,
        .item_size = sizeof(struct config_route),
        .items_max = CONFIG_ROUTES_MAX,
        KEYS(route_keys),
        .help = "A list of groups, one for each input topic; at least one.",
    },
};

const struct section *sections(size_t *count) {
    *count = ARRAY_COUNT(table);
    return table;
}

const struct section *section_find(const char *name) {
    for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
        if (strcmp(table[i].name, name) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

const struct key *key_find(const struct section *section, const char *name) {
    for (size_t i = 0; i < section->key_count; i++) {
        if (strcmp(section->keys[i].name, name) == 0) {
            return &section->keys[i];
        }
    }
    return NULL;
}

const char *section_nearest(const char *name) {
    const char *names[ARRAY_COUNT(table)];
    for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
        names[i] = table[i].name;
    }
    return text_nearest(name, names, ARRAY_COUNT(table));
}

const char *key_nearest(const struct section *section, const char *name) {
    const char *names[32];
    assert(section->key_count <= ARRAY_COUNT(names));
    for (size_t i = 0; i < section->key_count; i++) {
        names[i] = section->keys[i].name;
    }
    return text_nearest(name, names, section->key_count);
}

void key_variable(const struct section *section, const char *key, char *text,
                  size_t size) {
    int used = snprintf(text, size, "MILLRACE_%s_%s", section->name, key);
    assert(used > 0);
    assert((size_t)used < size);
    for (char *c = text; *c != 0; c++) {
        *c = (char)toupper((unsigned char)*c);
    }
}

void key_allowed(const struct key *key, char *text, size_t size) {
    size_t used;
    switch (key->type) {
    case KEY_INT:
        (void)snprintf(text, size, "a whole number from %lld to %lld",
                       (long long)key->min, (long long)key->max);
        break;
    case KEY_CHOICE:
        used = 0;
        for (size_t i = 0; key->choices[i] != NULL && used < size; i++) {
            used += (size_t)snprintf(text + used, size - used, "%s\"%s\"",
                                     i == 0 ? "" : " or ", key->choices[i]);
        }
        break;
    case KEY_TEXT:
    case KEY_SECRET:
    case KEY_PATH:
        (void)snprintf(text, size, "text of %lld to %lld bytes", (long long)key->min,
                       (long long)key->max);
        break;
    case KEY_NAME:
        (void)snprintf(text, size,
                       "%lld to %lld letters, digits, '.', '_' or '-', and not \".\" "
                       "or \"..\"",
                       (long long)key->min, (long long)key->max);
        break;
    case KEY_TEXTS:
        (void)snprintf(text, size, "a list of up to %lld texts", (long long)key->max);
        break;
    case KEY_GROUP:
    case KEY_OWN:
        (void)snprintf(text, size, "%s", key->form);
        break;
    }
}

bool config_is_secret(const char *property) {
    static const char *const marks[] = {
        "password", "secret", "ssl.key.pem", "sasl.oauthbearer.config", "private.key",
    };
    char name[256];
    size_t size = strlen(property);
    if (size >= sizeof(name)) {
        return true; /* nothing librdkafka knows is so long; don't show it */
    }
    for (size_t i = 0; i <= size; i++) {
        name[i] = property[i] == '_' ? '.' : (char)tolower((unsigned char)property[i]);
    }
    for (size_t i = 0; i < ARRAY_COUNT(marks); i++) {
        if (strstr(name, marks[i]) != NULL) {
            return true;
        }
    }
    return false;
}
