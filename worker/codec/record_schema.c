/* record_schema.c - see record_out.h: the output's fields and schema. */
#include "codec/record_schema.h"

#include <assert.h>
#include <jansson.h>

#include "base/size.h"
#include "base/text.h"
#include "codec/writer.h"

#define ALONE_NAME "Prediction"
#define ALONE_SPACE "millrace"

enum avro_kind record_type_of(enum dtype dtype) {
    switch (dtype) {
    case DTYPE_F32:
    case DTYPE_F16:
    case DTYPE_BF16:
        return AVRO_KIND_FLOAT;
    case DTYPE_F64:
        return AVRO_KIND_DOUBLE;
    case DTYPE_I8:
    case DTYPE_I16:
    case DTYPE_I32:
    case DTYPE_U8:
    case DTYPE_U16:
        return AVRO_KIND_INT;
    case DTYPE_I64:
    case DTYPE_U32:
        return AVRO_KIND_LONG;
    case DTYPE_BOOL:
        return AVRO_KIND_BOOLEAN;
    case DTYPE_STRING:
        return AVRO_KIND_STRING;
    case DTYPE_NONE:
    case DTYPE_U64: /* Avro's long is signed */
    CASE_DTYPE_UNUSUAL:
        break;
    }
    return AVRO_KIND_NULL;
}

/* ---- fields -------------------------------------------------------------------------
 */

struct maker {
    const struct record_out_opts *opts;
    struct record_out *out;
    struct error *err;
};

static int find_output(struct maker *m, const char *name) {
    const char *names[RECORD_OUT_FIELDS_MAX] = {NULL};
    const char *nearest;
    int count = m->opts->output_count;
    for (int i = 0; i < count; i++) {
        if (strcmp(m->opts->outputs[i].name, name) == 0) {
            return i;
        }
    }
    count = count < RECORD_OUT_FIELDS_MAX ? count : RECORD_OUT_FIELDS_MAX;
    for (int i = 0; i < count; i++) {
        names[i] = m->opts->outputs[i].name;
    }
    nearest = text_nearest(name, names, (size_t)count);
    (void)error_set(m->err, STATUS_INVALID, "the model has no output '%s', but '%s'%s",
                    name,
                    nearest != NULL ? nearest
                    : count > 0     ? names[0]
                                    : "",
                    count > 1 ? " and others" : "");
    return -1;
}

static bool is_single(const struct record_output *output) {
    for (int i = 0; i < output->rank; i++) {
        if (output->dims[i] != 1) {
            return false;
        }
    }
    return true;
}

/* Can the output be written in that form? */
static enum status check_form(const struct record_field *field,
                              const struct record_output *output, bool single,
                              struct error *err) {
    enum avro_kind type = record_type_of(output->dtype);
    bool text = type == AVRO_KIND_STRING;
    bool real = type == AVRO_KIND_FLOAT || type == AVRO_KIND_DOUBLE;
    if (type == AVRO_KIND_NULL) {
        return error_set(err, STATUS_UNSUPPORTED, "Avro has no type for %s",
                         dtype_name(output->dtype));
    }
    if (field->form == RECORD_LABEL && single && real) {
        return error_set(
            err, STATUS_INVALID,
            "'%s' is one %s: a label needs an index, or scores to choose from",
            output->name, dtype_name(output->dtype));
    }
    if (text && (field->form == RECORD_SCORE || field->form == RECORD_TOP)) {
        return error_set(err, STATUS_INVALID, "'%s' is of strings, which have no %s",
                         output->name, record_form_name(field->form));
    }
    if (text && field->form == RECORD_LABEL && !single) {
        return error_set(err, STATUS_INVALID, "'%s' is a list of strings, not a label",
                         output->name);
    }
    if (field->form == RECORD_TOP &&
        (field->top < 1 || field->top > RECORD_OUT_TOP_MAX)) {
        return error_set(err, STATUS_INVALID, "top is 1 to %d, not %d",
                         RECORD_OUT_TOP_MAX, field->top);
    }
    return STATUS_OK;
}

static size_t longest(const struct vocabulary *labels) {
    size_t size = 0;
    for (size_t i = 0; labels != NULL && i < vocabulary_count(labels); i++) {
        size = size_max(size, vocabulary_word(labels, i).size);
    }
    return size + WRITER_LONG_SIZE_MAX;
}

static enum status set_field(struct maker *m, const struct record_field *field,
                             struct out_field *to) {
    const struct avro_node *root =
        m->opts->writer == NULL ? NULL : avro_schema_root(m->opts->writer);
    if (!avro_name_valid(field->name)) {
        return error_set(m->err, STATUS_INVALID,
                         "'%.60s' is no name for a field (letters, digits and _)",
                         field->name);
    }
    if (root != NULL && avro_field_find(root, span_text(field->name)) >= 0) {
        return error_set(m->err, STATUS_INVALID,
                         "the input's record has a field '%s' already", field->name);
    }
    to->output = find_output(m, field->output);
    if (to->output < 0) {
        return m->err->status;
    }
    to->form = field->form;
    to->single = is_single(&m->opts->outputs[to->output]);
    to->element = field->element;
    to->top = field->form == RECORD_TOP ? field->top : 0;
    to->labels = field->labels;
    to->label_size_max = longest(field->labels);
    to->name = strdup(field->name);
    if (to->name == NULL) {
        return error_set(m->err, STATUS_NO_MEMORY, "no memory for an output");
    }
    return check_form(field, &m->opts->outputs[to->output], to->single, m->err);
}

static enum status set_fields(struct maker *m) {
    if (m->opts->field_count < 1 || m->opts->field_count > RECORD_OUT_FIELDS_MAX) {
        return error_set(m->err, STATUS_INVALID, "1 to %d output fields, not %d",
                         RECORD_OUT_FIELDS_MAX, m->opts->field_count);
    }
    for (int i = 0; i < m->opts->field_count; i++) {
        const struct record_field *field = &m->opts->fields[i];
        m->out->field_count++;
        if (set_field(m, field, &m->out->fields[i]) != STATUS_OK) {
            return error_prefix(m->err, "output field %d%s%s%s", i + 1,
                                field->place == NULL ? "" : " (",
                                field->place == NULL ? "" : field->place,
                                field->place == NULL ? "" : ")");
        }
    }
    return STATUS_OK;
}

/* ---- the schema ---------------------------------------------------------------------
 */

static json_t *label_type(const struct out_field *field, bool text) {
    return json_string(text || field->labels != NULL ? "string" : "long");
}

/* New reference, or NULL without memory. */
static json_t *field_type(const struct maker *m, const struct out_field *field) {
    enum dtype dtype = m->opts->outputs[field->output].dtype;
    const char *item = avro_kind_name(record_type_of(dtype));
    char name[AVRO_NAME_SIZE_MAX + 8];
    switch (field->form) {
    case RECORD_TENSOR:
        return field->single ? json_string(item)
                             : json_pack("{s:s, s:s}", "type", "array", "items", item);
    case RECORD_LABEL:
        return label_type(field, dtype == DTYPE_STRING);
    case RECORD_SCORE:
    case RECORD_ELEMENT:
        return json_string(item);
    case RECORD_TOP:
        (void)snprintf(name, sizeof(name), "Top_%s", field->name);
        return json_pack("{s:s, s:{s:s, s:s, s:[{s:s, s:o}, {s:s, s:s}]}}", "type",
                         "array", "items", "type", "record", "name", name, "fields",
                         "name", "label", "type", label_type(field, false), "name",
                         "score", "type", item);
    case RECORD_FORM_COUNT:
        break;
    }
    assert(!"no such form");
    return NULL;
}

/* The writer's, or an empty record; a new reference. */
static json_t *base_schema(const struct maker *m) {
    const struct avro_schema *writer = m->opts->writer;
    const char *name = m->opts->name;
    const char *full;
    json_t *json;
    if (writer == NULL) {
        return json_pack("{s:s, s:s, s:s, s:[]}", "type", "record", "name",
                         name == NULL ? ALONE_NAME : name, "namespace", ALONE_SPACE,
                         "fields");
    }
    json = json_deep_copy(avro_schema_json(writer));
    full = avro_schema_root(writer)->name;
    if (json != NULL && name != NULL) { /* the types inside keep their namespace */
        size_t space = (size_t)(avro_short_name(full) - full);
        if (json_object_set_new(json, "name", json_string(name)) != 0 ||
            json_object_set_new(json, "namespace",
                                json_stringn(full, space == 0 ? 0 : space - 1)) != 0) {
            json_decref(json);
            return NULL;
        }
    }
    return json;
}

static enum status make_json(struct maker *m) {
    json_t *json = base_schema(m);
    json_t *fields = json_object_get(json, "fields");
    bool good = fields != NULL;
    for (int i = 0; i < m->out->field_count && good; i++) {
        json_t *field = json_pack("{s:s, s:o}", "name", m->out->fields[i].name, "type",
                                  field_type(m, &m->out->fields[i]));
        good = field != NULL && json_array_append_new(fields, field) == 0;
    }
    m->out->json = good ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    return m->out->json != NULL
               ? STATUS_OK
               : error_set(m->err, STATUS_NO_MEMORY, "no memory for an output's schema");
}

/* Parsing it finds what is left to go wrong: names that are taken. */
static enum status make_schema(struct maker *m) {
    if (m->opts->name != NULL && !avro_name_valid(m->opts->name)) {
        return error_set(m->err, STATUS_INVALID,
                         "'%.60s' is no name for a record (letters, digits and _)",
                         m->opts->name);
    }
    if (make_json(m) != STATUS_OK) {
        return m->err->status;
    }
    if (avro_schema_parse(record_out_json(m->out), m->opts->resolver, &m->out->schema,
                          m->err) != STATUS_OK) {
        return error_prefix(m->err, "the output's schema");
    }
    return STATUS_OK;
}

enum status record_out_create(const struct record_out_opts *opts, struct record_out **out,
                              struct error *err) {
    struct maker m = {opts, calloc(1, sizeof(struct record_out)), err};
    enum status status = STATUS_OK;
    *out = NULL;
    if (m.out == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for an output");
    }
    m.out->copies = opts->writer != NULL;
    if (opts->writer != NULL &&
        (avro_schema_root(opts->writer)->kind != AVRO_KIND_RECORD ||
         !json_is_array(json_object_get(avro_schema_json(opts->writer), "fields")))) {
        status =
            error_set(err, STATUS_UNSUPPORTED,
                      "the input's schema is no record, so that nothing can be added "
                      "to it; have the new fields alone");
    }
    if (status == STATUS_OK) {
        status = set_fields(&m);
    }
    if (status == STATUS_OK) {
        status = make_schema(&m);
    }
    if (status != STATUS_OK) {
        record_out_destroy(m.out);
        return status;
    }
    *out = m.out;
    return STATUS_OK;
}

void record_out_destroy(struct record_out *out) {
    if (out == NULL) {
        return;
    }
    avro_schema_destroy(out->schema);
    for (int i = 0; i < out->field_count; i++) {
        free(out->fields[i].name);
    }
    free(out->json);
    free(out);
}

const struct avro_schema *record_out_schema(const struct record_out *out) {
    return out->schema;
}

struct span record_out_json(const struct record_out *out) {
    return span_text(out->json);
}
