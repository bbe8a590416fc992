/* submit_open.c - what sending rows needs; see submit_sender.h. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "registry/registry.h"
#include "tools/submit_sender.h"

#define REGISTER_PATIENCE_US INT64_C(30000000)

static enum status open_registry(struct sender *s) {
    char subject[REGISTRY_SUBJECT_SIZE_MAX];
    struct registry *registry = NULL;
    int64_t deadline_us = clock_now_us() + REGISTER_PATIENCE_US;
    char *json =
        json_dumps(avro_schema_json(rows_reader_schema(s->reader)), JSON_COMPACT);
    enum status status =
        json == NULL ? error_set(s->err, STATUS_NO_MEMORY, "no memory")
                     : registry_options_open(&s->options->registry, 0, &registry, s->err);
    (void)snprintf(subject, sizeof(subject), "%s%s",
                   s->options->subject == NULL ? s->options->topic : s->options->subject,
                   s->options->subject == NULL ? "-value" : "");
    while (status == STATUS_OK) {
        status = registry_register(registry, subject, json, NULL, &s->framing.id, s->err);
        if (status != STATUS_AGAIN || clock_now_us() >= deadline_us ||
            submit_is_stopped()) {
            break;
        }
        status = STATUS_OK;
        kafka_writer_poll(s->writer, SUBMIT_WAIT_MS); /* a pause */
    }
    registry_destroy(registry);
    free(json);
    return status;
}

static enum status open_jobs(struct sender *s) {
    struct row_mapping_opts opts = {.maps = &s->options->maps,
                                    .ignored = &s->options->ignored,
                                    .types = &s->options->types,
                                    .reader = s->reader,
                                    .needed_only = true};
    const struct model_options how = model_options_of(&s->options->how);
    enum status status = model_open_with(s->options->model_file, &how, &s->model, s->err);
    for (int i = 0; status == STATUS_OK && i < model_input_count(s->model); i++) {
        if (model_input(s->model, i)->type.rank < 1) {
            status = error_set(s->err, STATUS_UNSUPPORTED,
                               "%s: input '%s' has no dimension for the batch",
                               s->options->model_file, model_input(s->model, i)->name);
        }
    }
    if (status != STATUS_OK) {
        return status;
    }
    opts.model = s->model;
    status = row_mapping_create(&opts, &s->mapping, s->err);
    if (status != STATUS_OK) {
        return status;
    }
    fprintf(stderr, "%s\n", s->mapping.text);
    s->mapping_rows = mapping_rows_create(s->mapping.mapping);
    return s->mapping_rows == NULL ? error_set(s->err, STATUS_NO_MEMORY, "no memory")
                                   : STATUS_OK;
}

static enum status write_schema(struct sender *s, const char *path) {
    FILE *file = fopen(path, "w");
    bool fine = file != NULL &&
                json_dumpf(avro_schema_json(rows_reader_schema(s->reader)), file,
                           JSON_INDENT(2)) == 0 &&
                fputc('\n', file) != EOF;
    if (file != NULL && fclose(file) != 0) {
        fine = false;
    }
    return fine ? STATUS_OK
                : error_set(s->err, STATUS_INVALID, "--schema-out %s: cannot write: %s",
                            path, strerror(errno));
}

static enum status open_records(struct sender *s) {
    const struct submit_options *o = s->options;
    enum status status = row_mapping_types(s->reader, &o->types, s->err);
    if (status == STATUS_OK) {
        status = rows_reader_bind(s->reader, s->err);
    }
    if (status == STATUS_OK && o->schema_out != NULL) {
        return write_schema(s, o->schema_out);
    }
    if (status == STATUS_OK && o->registry.urls == NULL) {
        fprintf(stderr,
                "millrace submit: the records are bare Avro: the route needs their "
                "schema (--schema-out FILE) as its record.schema\n");
    }
    return status;
}

enum status submit_open(struct sender *s) {
    const struct submit_options *o = s->options;
    const struct kafka_io_opts kafka = {.bootstrap = kafka_io_bootstrap(o->bootstrap),
                                        .properties = &o->properties,
                                        .wait_s = o->wait_s};
    struct rows_reader_opts rows = {.path = o->rows, .growing = o->follow};
    enum status status;
    rows.no_header = o->no_header;
    if (rows_format_choose("--from", o->from, o->rows, &rows.format, s->err) !=
        STATUS_OK) {
        return s->err->status;
    }
    if (o->no_header && rows.format != ROWS_CSV) {
        return error_set(s->err, STATUS_INVALID, "--no-header: %s is no CSV", o->rows);
    }
    if (o->follow && rows.format != ROWS_CSV && rows.format != ROWS_JSONL) {
        return error_set(s->err, STATUS_INVALID,
                         "--follow: only CSV and JSON lines can grow row by row");
    }
    status = rows_delimiter_choose(o->delimiter, &rows.delimiter, s->err);
    if (status == STATUS_OK) {
        status = rows_reader_open(&rows, &s->reader, s->err);
    }
    if (status == STATUS_OK) {
        status = o->as[0] == 'j' ? open_jobs(s) : open_records(s);
    }
    s->offset = status == STATUS_OK ? rows_reader_offset(s->reader) : 0;
    if (status == STATUS_OK) {
        status = submit_take_up(s);
    }
    if (status == STATUS_OK) {
        status = kafka_writer_open(&kafka, o->topic, &s->writer, s->err);
    }
    s->framing.kind = o->registry.urls == NULL ? FRAMING_BARE : FRAMING_CONFLUENT;
    return status == STATUS_OK && o->registry.urls != NULL ? open_registry(s) : status;
}

void submit_close(struct sender *s) {
    kafka_writer_close(s->writer);
    mapping_rows_destroy(s->mapping_rows);
    row_mapping_release(&s->mapping);
    if (s->model != NULL) {
        model_close(s->model);
    }
    rows_reader_close(s->reader);
    rows_chunk_release(&s->chunk);
    rows_buffer_release(&s->message);
    for (int i = 0; i < JOB_INPUTS_MAX; i++) {
        rows_buffer_release(&s->tensors[i]);
    }
    part_file_close(&s->progress);
}
