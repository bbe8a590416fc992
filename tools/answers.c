/* answers.c - see answers.h. */
#include "tools/answers.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/size.h"
#include "codec/framing.h"
#include "codec/plan.h"
#include "codec/record_out.h"
#include "codec/writer.h"
#include "registry/registry.h"
#include "tools/file.h"
#include "tools/part_file.h"
#include "tools/rows.h"

#define BODY_SIZE ((size_t)256 << 10) /* bytes that are written at once, about */
#define REGISTRY_WAIT_MS 30000
#define EXPANDED_MAX 32 /* elements of an output that become columns of CSV */

static const char row_schema[] =
    "{\"type\":\"record\",\"name\":\"Answer\",\"namespace\":\"millrace\",\"fields\":["
    "{\"name\":\"id\",\"type\":\"string\"},{\"name\":\"row\",\"type\":\"long\"}]}";

struct answers {
    const struct answers_opts *opts;
    enum rows_format to;
    enum rows_codec codec;
    struct part_file file;
    uint8_t sync[ROWS_SYNC_SIZE];
    json_t *before; /* owned; the progress that a run before has left, or NULL */
    struct rows_writer *writer; /* owned; NULL before the first answer */
    struct rows_buffer record, body, packed;
    int64_t body_count;
    uint64_t header_size; /* of .npy */
    char *json;           /* owned; the schema's text */
    /* results */
    struct avro_schema *base; /* owned; of id and row */
    struct record_out *out;
    struct record_output outputs[JOB_INPUTS_MAX];
    char names[JOB_INPUTS_MAX][JOB_NAME_SIZE_MAX + 1];
    char field_names[RECORD_OUT_FIELDS_MAX][JOB_NAME_SIZE_MAX + 16];
    int output_count;
    /* records */
    struct registry *registry;
    struct avro_schema *bare;         /* owned; of --schema */
    const struct avro_schema *schema; /* of the first record */
    struct plan *plan;                /* walks over a record */
};

/* ---- opening ------------------------------------------------------------------------
 */

static enum status open_schemas(struct answers *a, struct error *err) {
    struct file_bytes text = {0};
    enum status status;
    if (!a->opts->records) {
        return avro_schema_parse(span_text(row_schema), NULL, &a->base, err);
    }
    if (a->opts->registry->urls != NULL) {
        return registry_options_open(a->opts->registry, 0, &a->registry, err);
    }
    if (a->opts->schema == NULL) {
        return error_set(err, STATUS_INVALID,
                         "--registry URL or --schema FILE is needed: which schema do "
                         "the records have?");
    }
    status = file_read(a->opts->schema, AVRO_TEXT_SIZE_MAX, &text, err);
    if (status == STATUS_OK) {
        status = avro_schema_parse(text.span, NULL, &a->bare, err);
        file_bytes_release(&text);
        status = status == STATUS_OK ? status : error_prefix(err, "%s", a->opts->schema);
    }
    return status;
}

static enum status choose(struct answers *a, struct error *err) {
    const struct answers_opts *o = a->opts;
    if (rows_format_choose("--to", o->to, o->path, &a->to, err) != STATUS_OK) {
        return err->status;
    }
    a->codec =
        o->codec == NULL ? ROWS_CODEC_DEFLATE : rows_codec_parse(span_text(o->codec));
    return a->to == ROWS_NPY && o->records
               ? error_set(err, STATUS_INVALID,
                           "--as record: a .npy file holds no records")
               : STATUS_OK;
}

static const char *text_of(const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));
    return text == NULL ? "" : text;
}

static bool take_sync(struct answers *a) {
    const char *text = text_of(a->before, "sync");
    for (size_t i = 0; i < ROWS_SYNC_SIZE; i++) {
        unsigned byte;
        if (strlen(text) != 2 * ROWS_SYNC_SIZE ||
            sscanf(text + 2 * i, "%2x", &byte) != 1) {
            return false;
        }
        a->sync[i] = (uint8_t)byte;
    }
    return true;
}

static enum status open_part(struct answers *a, json_t **state, struct error *err) {
    int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    bool random = fd >= 0 && read(fd, a->sync, ROWS_SYNC_SIZE) == ROWS_SYNC_SIZE;
    uint64_t keep = 0;
    if (fd >= 0) {
        (void)close(fd); /* was only read from */
    }
    if (!random) {
        return error_set(err, STATUS_FATAL, "/dev/urandom: %s", strerror(errno));
    }
    if (part_file_init(&a->file, a->opts->path, err) != STATUS_OK) {
        return err->status;
    }
    a->before = a->opts->restart ? NULL : part_file_progress(&a->file);
    if (a->before != NULL &&
        (strcmp(text_of(a->before, "to"), rows_format_name(a->to)) != 0 ||
         strcmp(text_of(a->before, "codec"), rows_codec_name(a->codec)) != 0 ||
         !take_sync(a))) {
        return error_set(err, STATUS_INVALID,
                         "%s is of other work: --restart begins anew", a->file.progress);
    }
    if (a->before != NULL) {
        keep = (uint64_t)json_integer_value(json_object_get(a->before, "written"));
        *state = json_object_get(a->before, "state");
    } else {
        part_file_forget(&a->file);
    }
    return part_file_open(&a->file, keep, err);
}

enum status answers_open(const struct answers_opts *opts, struct answers **out,
                         struct json_t **state, struct error *err) {
    struct answers *a = calloc(1, sizeof(*a));
    enum status status;
    *out = NULL;
    *state = NULL;
    if (a == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for answers");
    }
    a->opts = opts;
    a->file.fd = -1;
    status = choose(a, err);
    if (status == STATUS_OK) {
        status = open_schemas(a, err);
    }
    if (status == STATUS_OK) {
        status = open_part(a, state, err);
    }
    *out = a; /* answers_close takes it, whatever came of it */
    return status;
}

void answers_close(struct answers *a) {
    if (a == NULL) {
        return;
    }
    rows_writer_destroy(a->writer);
    rows_buffer_release(&a->record);
    rows_buffer_release(&a->body);
    rows_buffer_release(&a->packed);
    record_out_destroy(a->out);
    avro_schema_destroy(a->base);
    plan_destroy(a->plan);
    avro_schema_destroy(a->bare);
    registry_destroy(a->registry);
    json_decref(a->before);
    part_file_close(&a->file);
    free(a->json);
    free(a);
}

/* ---- the first answer ---------------------------------------------------------------
 */

/* A file that was begun goes on only with the schema that it has. */
static enum status begin(struct answers *a, const struct avro_schema *schema,
                         struct span json, const struct tensor *row, struct error *err) {
    struct rows_writer_opts opts = {.format = a->to,
                                    .codec = a->codec,
                                    .delimiter = ',',
                                    .schema = schema,
                                    .sync = a->sync};
    struct rows_buffer header = {.data = NULL};
    enum status status;
    a->json = strndup((const char *)json.data, json.size);
    if (a->json == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a schema");
    }
    opts.json = span_text(a->json);
    opts.row = row == NULL ? opts.row : *row;
    status = rows_writer_create(&opts, &a->writer, err);
    if (status == STATUS_OK) {
        status = rows_writer_header(a->writer, a->opts->rows, &header, err);
    }
    a->header_size = header.size;
    if (status == STATUS_OK && a->file.size == 0) {
        status = part_file_write(&a->file, span_of(header.data, header.size), err);
    } else if (status == STATUS_OK &&
               strcmp(text_of(a->before, "schema"), a->json) != 0) {
        status = error_set(err, STATUS_INVALID,
                           "%s: its answers have another schema than those that come: "
                           "--restart begins anew",
                           a->file.part);
    }
    rows_buffer_release(&header);
    return status;
}

/* Of an output's name what Avro takes. */
static void make_name(char *to, size_t size, const char *name, int element) {
    bool digit = name[0] >= '0' && name[0] <= '9';
    int used = snprintf(to, size, "%s%s", digit || name[0] == 0 ? "_" : "", name);
    for (char *c = to; *c != 0; c++) {
        bool fine = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                    (*c >= '0' && *c <= '9');
        *c = fine ? *c : '_';
    }
    if (strcmp(to, "id") == 0 || strcmp(to, "row") == 0) {
        used = snprintf(to, size, "predicted_%s", name);
    }
    if (element >= 0 && used >= 0 && (size_t)used < size) {
        (void)snprintf(to + used, size - (size_t)used, "_%d", element);
    }
}

/* The fields of the outputs; those of CSV have one element each where there are few. */
static int make_fields(struct answers *a, const struct tensor *tensors,
                       struct record_field *fields) {
    int count = 0;
    for (int i = 0; i < a->output_count; i++) {
        size_t elements = tensor_count(&tensors[i]);
        bool expanded = a->to == ROWS_CSV && elements > 1 && elements <= EXPANDED_MAX;
        for (size_t k = 0; k < (expanded ? elements : 1); k++) {
            if (count == RECORD_OUT_FIELDS_MAX) {
                return count;
            }
            make_name(a->field_names[count], sizeof(a->field_names[count]), a->names[i],
                      expanded ? (int)k : -1);
            fields[count] =
                (struct record_field){.name = a->field_names[count],
                                      .output = a->names[i],
                                      .form = expanded ? RECORD_ELEMENT : RECORD_TENSOR,
                                      .element = k};
            count++;
        }
    }
    return count;
}

static enum status begin_results(struct answers *a, const struct job_tensor *outputs,
                                 const struct tensor *tensors, int count,
                                 struct error *err) {
    struct record_field fields[RECORD_OUT_FIELDS_MAX];
    struct record_out_opts opts = {.writer = a->to == ROWS_NPY ? NULL : a->base,
                                   .fields = fields,
                                   .outputs = a->outputs,
                                   .output_count = count};
    if (count == 0 || (a->to == ROWS_NPY && count != 1)) {
        return error_set(err, STATUS_INVALID, "%s: the answers have %d outputs%s",
                         a->opts->path, count,
                         a->to == ROWS_NPY ? ", a .npy file holds one" : "");
    }
    a->output_count = count;
    for (int i = 0; i < count; i++) {
        struct record_output *to = &a->outputs[i];
        (void)snprintf(a->names[i], sizeof(a->names[i]), "%.*s",
                       (int)outputs[i].name.size, (const char *)outputs[i].name.data);
        *to = (struct record_output){
            .name = a->names[i], .dtype = tensors[i].dtype, .rank = tensors[i].rank};
        memcpy(to->dims, tensors[i].dims, sizeof(to->dims));
        /* Lists may be as long as they are; one element stays one. */
        for (int k = 0; k < to->rank && tensor_count(&tensors[i]) != 1; k++) {
            to->dims[k] = -1;
        }
    }
    opts.field_count = make_fields(a, tensors, fields);
    if (record_out_create(&opts, &a->out, err) != STATUS_OK) {
        return err->status;
    }
    return begin(a, record_out_schema(a->out), record_out_json(a->out), &tensors[0], err);
}

static enum status begin_records(struct answers *a, const struct avro_schema *schema,
                                 struct error *err) {
    char *text = json_dumps(avro_schema_json(schema), JSON_COMPACT);
    enum status status = text == NULL
                             ? error_set(err, STATUS_NO_MEMORY, "no memory for a schema")
                             : begin(a, schema, span_text(text), NULL, err);
    free(text);
    a->schema = schema;
    return status == STATUS_OK
               ? plan_create(avro_schema_root(schema), NULL, NULL, 0, &a->plan, err)
               : status;
}

/* ---- answers ------------------------------------------------------------------------
 */

static enum status flush(struct answers *a, struct error *err) {
    if (a->body_count == 0) {
        return STATUS_OK;
    }
    a->packed.size = 0;
    if (rows_writer_pack(a->writer, a->body_count, &a->body, &a->packed, err) !=
        STATUS_OK) {
        return err->status;
    }
    a->body_count = 0;
    return part_file_write(&a->file, span_of(a->packed.data, a->packed.size), err);
}

static enum status write_row(struct answers *a, int64_t row, struct span record,
                             struct error *err) {
    size_t before = a->body.size;
    enum status status =
        rows_writer_row(a->writer, span_of(NULL, 0), record, &a->body, err);
    if (status != STATUS_OK) {
        a->body.size = before;
        return status;
    }
    if (a->to == ROWS_NPY) {
        uint64_t place = a->header_size + (uint64_t)row * a->body.size;
        status = row < 0 ? error_set(err, STATUS_INVALID, "a .npy file needs --count")
                         : part_file_write_at(&a->file, place,
                                              span_of(a->body.data, a->body.size), err);
        a->body.size = 0;
        return status;
    }
    a->body_count++;
    return a->body.size >= BODY_SIZE ? flush(a, err) : STATUS_OK;
}

/* Is the answer like the first one? */
static enum status compare(const struct answers *a, const struct job_tensor *outputs,
                           const struct tensor *tensors, int count, struct error *err) {
    bool same = count == a->output_count;
    for (int i = 0; i < count && same; i++) {
        const struct record_output *first = &a->outputs[i];
        same = span_is(outputs[i].name, first->name) &&
               tensors[i].dtype == first->dtype && tensors[i].rank == first->rank;
        for (int k = 0; k < first->rank && same; k++) {
            same = first->dims[k] < 0 || first->dims[k] == tensors[i].dims[k];
        }
    }
    return same ? STATUS_OK
                : error_set(err, STATUS_POISON,
                            "an answer has other outputs than the first one");
}

enum status answers_take_result(struct answers *a, int64_t number, int64_t row,
                                const struct result *result,
                                const struct job_tensor *outputs,
                                const struct tensor *tensors, int count,
                                struct error *err) {
    struct result_output rows[JOB_INPUTS_MAX];
    struct rows_buffer head = {.data = NULL};
    uint8_t *end;
    enum status status = STATUS_OK;
    if (a->writer == NULL) {
        status = begin_results(a, outputs, tensors, count, err);
    }
    if (status == STATUS_OK) {
        status = compare(a, outputs, tensors, count, err);
    }
    if (status == STATUS_OK) {
        status = rows_buffer_reserve(
            &head, writer_bytes_size_max(result->id) + WRITER_LONG_SIZE_MAX, err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    head.size =
        (size_t)(writer_long(writer_bytes(head.data, result->id), number) - head.data);
    for (int i = 0; i < count; i++) {
        rows[i] = (struct result_output){outputs[i].name, tensors[i]};
    }
    struct span base = span_of(head.data, head.size);
    a->record.size = 0;
    status =
        rows_buffer_reserve(&a->record, record_out_size_max(a->out, base, rows), err);
    if (status == STATUS_OK) {
        status = record_out_encode(a->out, base, rows, a->record.data, &end, err);
    }
    if (status == STATUS_OK) {
        status = write_row(a, row,
                           span_of(a->record.data, (size_t)(end - a->record.data)), err);
    }
    rows_buffer_release(&head);
    return status;
}

enum status answers_take_record(struct answers *a, int64_t row, struct span message,
                                struct error *err) {
    const struct registry_schema *known = NULL;
    const struct avro_schema *schema = a->bare;
    struct plan_out out = {NULL, NULL, NULL};
    struct framing framing;
    enum status status = framing_read(
        message, a->registry != NULL ? FRAMING_CONFLUENT : FRAMING_BARE, &framing, err);
    if (status == STATUS_OK && a->registry != NULL) {
        status = registry_wait(a->registry, framing.id, REGISTRY_WAIT_MS, &known, err);
        schema = status == STATUS_OK ? known->schema : NULL;
    }
    if (status == STATUS_OK && a->schema == NULL) {
        status = begin_records(a, schema, err);
    }
    if (status == STATUS_OK && schema != a->schema &&
        avro_schema_fingerprint(schema) != avro_schema_fingerprint(a->schema)) {
        status = error_set(err, STATUS_POISON,
                           "a record has another schema than the first one");
    }
    if (status == STATUS_OK) {
        status = plan_run(a->plan, framing.record, &out, err);
    }
    return status == STATUS_OK ? write_row(a, row, framing.record, err) : status;
}

/* ---- the end ------------------------------------------------------------------------
 */

enum status answers_save(struct answers *a, const struct json_t *state,
                         struct error *err) {
    char sync[2 * ROWS_SYNC_SIZE + 1];
    enum status status = flush(a, err);
    json_t *progress;
    for (size_t i = 0; i < ROWS_SYNC_SIZE; i++) {
        (void)snprintf(sync + 2 * i, 3, "%02x", a->sync[i]);
    }
    if (status == STATUS_OK) {
        status = part_file_sync(&a->file, err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    progress =
        json_pack("{s:s, s:s, s:s, s:s, s:I, s:O}", "to", rows_format_name(a->to),
                  "codec", rows_codec_name(a->codec), "sync", sync, "schema",
                  a->json != NULL ? a->json : text_of(a->before, "schema"), "written",
                  (json_int_t)a->file.size, "state", (json_t *)(uintptr_t)state);
    status = progress == NULL ? error_set(err, STATUS_NO_MEMORY, "no memory for progress")
                              : part_file_save(&a->file, progress, err);
    json_decref(progress);
    return status;
}

enum status answers_finish(struct answers *a, struct error *err) {
    enum status status = flush(a, err);
    if (status == STATUS_OK) {
        status = part_file_finish(&a->file, err);
    }
    if (status == STATUS_OK) {
        part_file_forget(&a->file);
    }
    return status;
}
