/* keys_worker.c - settings of the sections worker, http, log and control. */
#include "config/keys.h"

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
        .fallback = "131072",
        .help = "Most jobs in flight; while there are as many, no more are polled.",
    },
    {
        .name = "window_mb",
        .type = KEY_INT,
        .offset = offsetof(struct config_worker, window_mb),
        .min = 1,
        .max = 65536,
        .fallback = "256",
        .help = "Most MiB of jobs in flight, each with what its answer is expected "
                "to have by those before it; while it is full, no more are polled.",
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
            "long, as measured at start or learned: the others wait for them. A "
            "model's batch_size goes before it. 0: no limit.",
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

const struct section worker_section = {
    .name = "worker",
    .kind = SECTION_GROUP,
    .offset = offsetof(struct config, worker),
    KEYS(worker_keys),
    .help = "Group membership, delivery and resources of this worker.",
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

const struct section http_section = {
    .name = "http",
    .kind = SECTION_GROUP,
    .offset = offsetof(struct config, http),
    KEYS(http_keys),
    .help = "Metrics and health.",
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

const struct section log_section = {
    .name = "log",
    .kind = SECTION_GROUP,
    .offset = offsetof(struct config, log),
    KEYS(log_keys),
    .help = "What is written to standard error.",
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

const struct section control_section = {
    .name = "control",
    .kind = SECTION_GROUP,
    .offset = offsetof(struct config, control),
    KEYS(control_keys),
    .help = "Other versions of models by a topic; SIGHUP does without.",
};
