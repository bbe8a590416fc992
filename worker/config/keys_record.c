/* keys_record.c - settings of a route's `record`. */
#include "config/record_forms.h"

static const char *const answers[] = {
    [CONFIG_ANSWER_RECORD] = "record",
    [CONFIG_ANSWER_PREDICTION] = "prediction",
    NULL,
};

static const char *const framings[] = {
    [CONFIG_FRAMING_SAME] = "same",
    [CONFIG_FRAMING_CONFLUENT] = "confluent",
    [CONFIG_FRAMING_SINGLE_OBJECT] = "single_object",
    [CONFIG_FRAMING_BARE] = "bare",
    NULL,
};

static const char *const strategies[] = {
    [CONFIG_BY_TOPIC] = "topic",
    [CONFIG_BY_RECORD] = "record",
    [CONFIG_BY_TOPIC_RECORD] = "topic_record",
    NULL,
};

static const char *const tombstones[] = {
    [CONFIG_TOMBSTONES_PASS] = "pass",
    [CONFIG_TOMBSTONES_DEAD] = "dead_letter",
    NULL,
};

static const char *const model_headers[] = {
    [CONFIG_HEADERS_FULL] = "full",
    [CONFIG_HEADERS_NONE] = "none",
    NULL,
};

/* The loader stores a choice's index through an int. */
_Static_assert(sizeof(enum config_model_headers) == sizeof(int), "an enum is an int");
_Static_assert(sizeof(enum config_tombstones) == sizeof(int), "an enum is an int");
_Static_assert(sizeof(enum config_answer) == sizeof(int), "an enum is an int");
_Static_assert(sizeof(enum config_answer_framing) == sizeof(int), "an enum is an int");
_Static_assert(sizeof(enum config_strategy) == sizeof(int), "an enum is an int");

static const struct key record_keys[] = {
    {
        .name = "inputs",
        .type = KEY_OWN,
        .offset = offsetof(struct config_record, inputs),
        .take = record_take_inputs,
        .form = "fields for each of the model's inputs, see below",
        .help = "How each input of the model is made of the record's fields.",
    },
    {
        .name = "deadline",
        .type = KEY_OWN,
        .offset = offsetof(struct config_record, deadline),
        .take = record_take_deadline,
        .form = "a field's path",
        .fallback = "",
        .help =
            "The field that a record's deadline stands in, a `timestamp-millis` or a "
            "plain `long` of milliseconds since 1970. Empty, or null in a record: its "
            "header `millrace.deadline_ms`, if it has one.",
    },
    {
        .name = "priority",
        .type = KEY_OWN,
        .offset = offsetof(struct config_record, priority),
        .take = record_take_priority,
        .form = "a field's path",
        .fallback = "",
        .help = "The field, an `int` or a `long`, that makes a record urgent where it is "
                "above 0. A header `millrace.priority` goes before it.",
    },
    {
        .name = "outputs",
        .type = KEY_OWN,
        .offset = offsetof(struct config_record, outputs),
        .take = record_take_answers,
        .form = "a group of the answer's new fields, see below",
        .fallback = "",
        .help = "The fields that answers get of the model's outputs. Empty: each output "
                "under its own name, as it is.",
    },
    {
        .name = "answer",
        .type = KEY_CHOICE,
        .offset = offsetof(struct config_record, answer),
        .choices = answers,
        .fallback = "record",
        .help = "`record`: the record that came, with the new fields behind its own. "
                "`prediction`: the new fields alone.",
    },
    {
        .name = "answer_name",
        .type = KEY_NAME,
        .offset = offsetof(struct config_record, answer_name),
        .max = 128,
        .fallback = "",
        .help = "Name of the answers' record type. Empty: that of the record that came, "
                "or `millrace.Prediction`.",
    },
    {
        .name = "answer_framing",
        .type = KEY_CHOICE,
        .offset = offsetof(struct config_record, answer_framing),
        .choices = framings,
        .fallback = "same",
        .help = "What stands before an answer. `confluent` registers the answers' schema "
                "in the schema registry.",
    },
    {
        .name = "tombstones",
        .type = KEY_CHOICE,
        .offset = offsetof(struct config_record, tombstones),
        .choices = tombstones,
        .fallback = "pass",
        .help = "A record without a value, which deletes its key from a compacted topic: "
                "`pass` answers with one, so that the answer is deleted, too.",
    },
    {
        .name = "model_headers",
        .type = KEY_CHOICE,
        .offset = offsetof(struct config_record, model_headers),
        .choices = model_headers,
        .fallback = "full",
        .help =
            "`full`: each answer says by headers which model, version and SHA-256 made "
            "it. `none` spares what that takes: librdkafka queues records with headers "
            "one by one.",
    },
    {
        .name = "subject_strategy",
        .type = KEY_CHOICE,
        .offset = offsetof(struct config_record, strategy),
        .choices = strategies,
        .fallback = "topic",
        .help = "Subject of the answers' schema in the registry: `OUTPUT-value`, the "
                "record's full name, or `OUTPUT-NAME`.",
    },
    {
        .name = "subject",
        .type = KEY_TEXT,
        .offset = offsetof(struct config_record, subject),
        .max = 512,
        .fallback = "",
        .help = "Subject of the records that come, whose latest schema the mapping is "
                "checked with at start. Empty: `INPUT-value`, with the strategy `topic`.",
    },
    {
        .name = "schemas",
        .type = KEY_PATH,
        .offset = offsetof(struct config_record, schemas),
        .max = CONFIG_TEXT_SIZE_MAX,
        .fallback = "",
        .help = "Folder of `*.avsc` files. The records come in single-object encoding, "
                "with the fingerprint of one of them.",
    },
    {
        .name = "schema",
        .type = KEY_PATH,
        .offset = offsetof(struct config_record, schema),
        .max = CONFIG_TEXT_SIZE_MAX,
        .fallback = "",
        .help =
            "A schema's file. The records come as bare Avro of this schema. Neither "
            "`schemas` nor `schema`: they come in Confluent's wire format, with ids of "
            "the schema registry.",
    },
    {
        .name = "reader",
        .type = KEY_PATH,
        .offset = offsetof(struct config_record, reader),
        .max = CONFIG_TEXT_SIZE_MAX,
        .fallback = "",
        .help = "A schema's file. Records are read as this schema, by Avro's rules of "
                "resolution: fields by its names, aliases and defaults. Empty: each as "
                "it was written.",
    },
};

const struct section record_section = {
    .name = "record",
    .kind = SECTION_GROUP,
    .item_size = sizeof(struct config_record),
    KEYS(record_keys),
    .help =
        "Within a route: the topic holds Avro records of any schema, instead of jobs. "
        "Fields become the model's inputs, the answer is the record with its "
        "prediction; key and headers pass through.",
};
