/* init_schema.c - see init_schema.h. */
#include "tools/init_schema.h"

#include "codec/framing.h"
#include "tools/file.h"
#include "tools/kafka_io.h"

#define SCHEMA_SIZE_MAX ((size_t)1 << 20) /* bytes */
#define REGISTRY_WAIT_MS 15000
#define TOPIC_WAIT_S 10

static enum status read_file(const char *path, struct init_schema *schema,
                             struct error *err) {
    struct file_bytes bytes;
    enum status status = file_read(path, SCHEMA_SIZE_MAX, &bytes, err);
    if (status != STATUS_OK) {
        return status;
    }
    status = avro_schema_parse(bytes.span, NULL, &schema->of_file, err);
    file_bytes_release(&bytes);
    if (status != STATUS_OK) {
        return error_prefix(err, "%s", path);
    }
    schema->record = avro_schema_root(schema->of_file);
    return STATUS_OK;
}

/* The id that stands before the first record. */
static enum status look_into(const struct init_schema_opts *opts, uint32_t *id,
                             struct error *err) {
    static const struct cli_list none;
    const struct cli_list topics = {.items = {opts->topic}, .count = 1};
    const struct kafka_io_opts kafka = {
        .bootstrap = opts->bootstrap, .properties = &none, .wait_s = TOPIC_WAIT_S};
    struct kafka_reader *reader = NULL;
    struct kafka_io_record record;
    struct framing framing;
    enum status status = kafka_reader_open(&kafka, &topics, &reader, err);
    if (status == STATUS_OK) {
        status = kafka_reader_next(reader, TOPIC_WAIT_S * 1000, &record, err);
    }
    if (status == STATUS_OK) {
        status = framing_read(record.value, FRAMING_CONFLUENT, &framing, err);
        *id = framing.id;
    } else if (status == STATUS_AGAIN && reader != NULL) {
        status =
            error_set(err, STATUS_AGAIN, "topic '%s' holds no record yet", opts->topic);
    }
    kafka_reader_close(reader);
    return status;
}

/* The record's schema by its id; and its subject, where that is called otherwise than the
 * topic, with the newest schema of that. */
static enum status by_record(const struct init_schema_opts *opts,
                             struct init_schema *schema, struct error *err) {
    const enum registry_strategy strategies[] = {REGISTRY_RECORD, REGISTRY_TOPIC_RECORD};
    const struct registry_schema *found, *latest;
    uint32_t id = 0;
    enum status status = look_into(opts, &id, err);
    if (status == STATUS_OK) {
        status = registry_wait(schema->registry, id, REGISTRY_WAIT_MS, &found, err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    schema->record = avro_schema_root(found->schema);
    for (size_t i = 0; i < ARRAY_COUNT(strategies); i++) {
        struct error ignored; /* no such subject: another, or none */
        if (registry_subject(strategies[i], opts->topic, found->schema, schema->subject,
                             sizeof(schema->subject), &ignored) == STATUS_OK &&
            registry_latest(schema->registry, schema->subject, REGISTRY_WAIT_MS, &latest,
                            &ignored) == STATUS_OK) {
            schema->record = avro_schema_root(latest->schema);
            return STATUS_OK;
        }
    }
    schema->subject[0] = 0;
    return STATUS_OK;
}

static enum status ask_registry(const struct init_schema_opts *opts,
                                struct init_schema *schema, struct error *err) {
    const struct registry_schema *found;
    char subject[REGISTRY_SUBJECT_SIZE_MAX];
    enum status status = registry_options_open(opts->registry, REGISTRY_WAIT_MS / 3,
                                               &schema->registry, err);
    if (status != STATUS_OK) {
        return status;
    }
    (void)snprintf(subject, sizeof(subject), "%s-value", opts->topic);
    status = registry_latest(schema->registry, subject, REGISTRY_WAIT_MS, &found, err);
    if (status == STATUS_OK) {
        schema->record = avro_schema_root(found->schema);
        return STATUS_OK;
    }
    if (status != STATUS_POISON) { /* it could not be asked */
        return status;
    }
    if (opts->bootstrap == NULL) {
        return error_prefix(err,
                            "give --bootstrap, to look into the topic, or --schema FILE");
    }
    status = by_record(opts, schema, err);
    return status == STATUS_OK
               ? STATUS_OK
               : error_prefix(err,
                              "there is no subject '%s', nor a record to tell: give "
                              "--schema FILE",
                              subject);
}

enum status init_schema_find(const struct init_schema_opts *opts,
                             struct init_schema *schema, struct error *err) {
    enum status status = STATUS_OK;
    *schema = (struct init_schema){.record = NULL};
    if (opts->file != NULL) {
        status = read_file(opts->file, schema, err);
    } else if (opts->registry->urls != NULL) {
        status = ask_registry(opts, schema, err);
    }
    if (status == STATUS_OK && schema->record != NULL &&
        schema->record->kind != AVRO_KIND_RECORD) {
        return error_set(err, STATUS_INVALID, "the schema is a %s; a record is needed",
                         avro_kind_name(schema->record->kind));
    }
    return status;
}

void init_schema_release(struct init_schema *schema) {
    avro_schema_destroy(schema->of_file);
    registry_destroy(schema->registry);
    *schema = (struct init_schema){.record = NULL};
}
