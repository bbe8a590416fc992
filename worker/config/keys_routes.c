/* keys_routes.c - settings of a route. */
#include "config/keys.h"

static const char *const orders[] = {
    [CONFIG_ORDER_FREE] = "free",
    [CONFIG_ORDER_PARTITION] = "partition",
    [CONFIG_ORDER_KEY] = "key",
    NULL,
};

/* The loader stores a choice's index through an int. */
_Static_assert(sizeof(enum config_order) == sizeof(int), "an enum is an int");

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

const struct section routes_section = {
    .name = "routes",
    .kind = SECTION_LIST,
    .item_size = sizeof(struct config_route),
    .items_max = CONFIG_ROUTES_MAX,
    KEYS(route_keys),
    .help = "A list of groups, one for each input topic; at least one.",
};
