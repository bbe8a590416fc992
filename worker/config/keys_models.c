/* keys_models.c - settings of a model. */
#include "config/keys.h"

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

/* The loader stores a choice's index through an int. */
_Static_assert(sizeof(enum config_nan) == sizeof(int), "an enum is an int");
_Static_assert(sizeof(enum config_pad_check) == sizeof(int), "an enum is an int");
_Static_assert(sizeof(enum config_external) == sizeof(int), "an enum is an int");

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
                "answer while one is not; both up to batch_max. Where rows have a free "
                "dimension and no `pad_to`, it is learned from the first batches.",
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

const struct section models_section = {
    .name = "models",
    .kind = SECTION_LIST,
    .item_size = sizeof(struct config_model),
    .items_max = CONFIG_MODELS_MAX,
    KEYS(model_keys),
    .help = "A list of groups, one for each model; at least one.",
};
