/* rows_shape.c - the types that JSON values show, and values encoded by them.
 *
 * Recursion goes as deep as a shape, ROWS_DEPTH_MAX. */
#include <jansson.h>

#include "base/size.h"
#include "codec/writer.h"
#include "tools/rows_impl.h"

enum status rows_shape_create(struct rows_reader *reader, struct rows_shape **out,
                              struct error *err) {
    struct rows_shape *shape = calloc(1, sizeof(*shape));
    *out = shape;
    if (shape == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a schema");
    }
    shape->next = reader->shapes;
    reader->shapes = shape;
    return STATUS_OK;
}

void rows_shapes_release(struct rows_reader *reader) {
    struct rows_shape *shape = reader->shapes;
    while (shape != NULL) {
        struct rows_shape *next = shape->next;
        for (int i = 0; i < shape->count; i++) {
            free(shape->names[i]);
        }
        free(shape->names);
        free(shape->members);
        free(shape);
        shape = next;
    }
    reader->shapes = NULL;
}

/* ---- learning -----------------------------------------------------------------------
 */

static enum rows_kind kind_of(const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_OBJECT:
    case JSON_ARRAY:
        return ROWS_NESTED;
    case JSON_STRING:
        return ROWS_STRING;
    case JSON_INTEGER:
        return ROWS_LONG;
    case JSON_REAL:
        return ROWS_DOUBLE;
    case JSON_TRUE:
    case JSON_FALSE:
        return ROWS_BOOLEAN;
    case JSON_NULL:
        break;
    }
    return ROWS_SKIP;
}

static int find_member(const struct rows_shape *shape, const char *name) {
    for (int i = 0; i < shape->count; i++) {
        if (strcmp(shape->names[i], name) == 0) {
            return i;
        }
    }
    return -1;
}

static enum status add_member(struct rows_reader *reader, struct rows_shape *shape,
                              const char *name, struct rows_shape **out,
                              struct error *err) {
    if (shape->count == shape->room) {
        int room = shape->room * 2 + 8;
        struct rows_shape **members;
        char **names = realloc(shape->names, (size_t)room * sizeof(*names));
        if (names == NULL) {
            return error_set(err, STATUS_NO_MEMORY, "no memory for a schema");
        }
        shape->names = names;
        members = realloc(shape->members, (size_t)room * sizeof(struct rows_shape *));
        if (members == NULL) {
            return error_set(err, STATUS_NO_MEMORY, "no memory for a schema");
        }
        shape->members = members;
        shape->room = room;
    }
    if (rows_shape_create(reader, out, err) != STATUS_OK ||
        (shape->names[shape->count] = strdup(name)) == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a schema");
    }
    shape->members[shape->count++] = *out;
    return STATUS_OK;
}

static enum status learn_object(struct rows_reader *reader, struct rows_shape *shape,
                                const json_t *value, int depth, struct error *err) {
    const char *name;
    json_t *item;
    enum status status = STATUS_OK;
    json_object_foreach((json_t *)(uintptr_t)value, name, item) {
        int index = find_member(shape, name);
        struct rows_shape *member = index < 0 ? NULL : shape->members[index];
        /* A name that Avro cannot have, or one too many: the text keeps it, records do
         * not. */
        if (member == NULL &&
            (!avro_name_valid(name) || shape->count == ROWS_COLUMNS_MAX)) {
            continue;
        }
        if (member == NULL) {
            status = add_member(reader, shape, name, &member, err);
        }
        if (status == STATUS_OK) {
            status = rows_shape_learn(reader, member, item, depth + 1, err);
        }
        if (status != STATUS_OK) {
            break;
        }
    }
    return status;
}

static enum status learn_list(struct rows_reader *reader, struct rows_shape *shape,
                              const json_t *value, int depth, struct error *err) {
    enum status status = STATUS_OK;
    size_t index;
    json_t *item;
    if (shape->item == NULL) {
        status = rows_shape_create(reader, &shape->item, err);
    }
    json_array_foreach((json_t *)(uintptr_t)value, index, item) {
        if (status == STATUS_OK) {
            shape->nulls |= json_is_null(item);
            status = rows_shape_learn(reader, shape->item, item, depth + 1, err);
        }
    }
    return status;
}

enum status rows_shape_learn(struct rows_reader *reader, struct rows_shape *shape,
                             const json_t *value, int depth, struct error *err) {
    enum rows_kind kind = kind_of(value);
    bool list = json_is_array(value);
    if (kind == ROWS_SKIP || shape->kind == ROWS_MIXED) {
        return STATUS_OK;
    }
    if (depth > ROWS_DEPTH_MAX) {
        shape->kind = ROWS_MIXED; /* too deep for a type */
        return STATUS_OK;
    }
    if (shape->kind == ROWS_SKIP) {
        shape->kind = kind;
        shape->list = list;
    } else if ((kind == ROWS_LONG || kind == ROWS_DOUBLE) &&
               (shape->kind == ROWS_LONG || shape->kind == ROWS_DOUBLE)) {
        shape->kind = kind == ROWS_DOUBLE ? kind : shape->kind;
    } else if (kind != shape->kind || (kind == ROWS_NESTED && list != shape->list)) {
        shape->kind = ROWS_MIXED;
        return STATUS_OK;
    }
    if (kind != ROWS_NESTED) {
        return STATUS_OK;
    }
    return list ? learn_list(reader, shape, value, depth, err)
                : learn_object(reader, shape, value, depth, err);
}

/* ---- types --------------------------------------------------------------------------
 */

static json_t *nullable(json_t *type) {
    return json_pack("[s, o]", "null", type);
}

static json_t *nested_type(const struct rows_shape *shape, const char *path) {
    char name[AVRO_NAME_SIZE_MAX];
    json_t *fields, *type;
    (void)snprintf(name, sizeof(name), "%s%s", path, shape->list ? "__item" : "");
    if (shape->list) {
        type = rows_shape_type(shape->item->kind, shape->item, name);
        return json_pack("{s:s, s:o}", "type", "array", "items",
                         shape->nulls ? nullable(type) : type);
    }
    fields = json_array();
    for (int i = 0; i < shape->count; i++) {
        (void)snprintf(name, sizeof(name), "%s__%s", path, shape->names[i]);
        type = rows_shape_type(shape->members[i]->kind, shape->members[i], name);
        (void)json_array_append_new(
            fields,
            json_pack("{s:s, s:o}", "name", shape->names[i], "type", nullable(type)));
    }
    return json_pack("{s:s, s:s, s:o}", "type", "record", "name", path, "fields", fields);
}

json_t *rows_shape_type(enum rows_kind kind, const struct rows_shape *shape,
                        const char *path) {
    switch (kind) {
    case ROWS_LONG:
        return json_string("long");
    case ROWS_DOUBLE:
        return json_string("double");
    case ROWS_BOOLEAN:
        return json_string("boolean");
    case ROWS_NESTED:
        return nested_type(shape, path);
    case ROWS_SKIP:
    case ROWS_STRING:
    case ROWS_MIXED: /* as JSON text */
    case ROWS_KIND_COUNT:
        break;
    }
    return json_string("string");
}

/* ---- encoding -----------------------------------------------------------------------
 */

static bool put(struct rows_buffer *to, const void *bytes, size_t size) {
    struct error err;
    return rows_buffer_add(to, bytes, size, &err) == STATUS_OK;
}

static bool put_long(struct rows_buffer *to, int64_t value) {
    uint8_t bytes[WRITER_LONG_SIZE_MAX];
    return put(to, bytes, (size_t)(writer_long(bytes, value) - bytes));
}

static const char no_memory[] = "does not fit into memory";

static const char *put_or(bool done) {
    return done ? NULL : no_memory;
}

static const char *encode_nullable(const struct rows_shape *shape, const json_t *value,
                                   struct rows_buffer *to) {
    if (value == NULL || json_is_null(value)) {
        return put_or(put_long(to, 0));
    }
    return put_long(to, 1) ? rows_shape_encode(shape->kind, shape, value, to) : no_memory;
}

static const char *encode_nested(const struct rows_shape *shape, const json_t *value,
                                 struct rows_buffer *to) {
    const char *wrong = NULL;
    if (shape->list) {
        size_t count = json_array_size(value);
        if (!json_is_array(value)) {
            return "is not a list, as those of the first rows are";
        }
        if (count > 0 && !put_long(to, (int64_t)count)) {
            return no_memory;
        }
        for (size_t i = 0; i < count && wrong == NULL; i++) {
            const json_t *item = json_array_get(value, i);
            wrong = shape->nulls
                        ? encode_nullable(shape->item, item, to)
                        : rows_shape_encode(shape->item->kind, shape->item, item, to);
        }
        return wrong != NULL ? wrong : put_or(put_long(to, 0));
    }
    if (!json_is_object(value)) {
        return "is not an object, as those of the first rows are";
    }
    for (int i = 0; i < shape->count && wrong == NULL; i++) {
        wrong = encode_nullable(shape->members[i],
                                json_object_get(value, shape->names[i]), to);
    }
    return wrong;
}

static const char *encode_text(enum rows_kind kind, const json_t *value,
                               struct rows_buffer *to) {
    char *dumped = NULL;
    struct span text;
    bool done;
    if (json_is_string(value)) {
        text = span_of(json_string_value(value), json_string_length(value));
    } else if (kind == ROWS_STRING) {
        return "is not a text, as those of the first rows are";
    } else {
        dumped = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        if (dumped == NULL) {
            return no_memory;
        }
        text = span_text(dumped);
    }
    done = put_long(to, (int64_t)text.size) && put(to, text.data, text.size);
    free(dumped);
    return put_or(done);
}

const char *rows_shape_encode(enum rows_kind kind, const struct rows_shape *shape,
                              const json_t *value, struct rows_buffer *to) {
    double real;
    uint8_t truth;
    switch (kind) {
    case ROWS_LONG:
        return json_is_integer(value)
                   ? put_or(put_long(to, json_integer_value(value)))
                   : "is not a whole number, as those of the first rows are";
    case ROWS_DOUBLE:
        real = json_number_value(value);
        return json_is_number(value) ? put_or(put(to, &real, sizeof(real)))
                                     : "is not a number";
    case ROWS_BOOLEAN:
        truth = json_is_true(value);
        return json_is_boolean(value) ? put_or(put(to, &truth, 1))
                                      : "is neither true nor false";
    case ROWS_NESTED:
        return encode_nested(shape, value, to);
    case ROWS_SKIP:
    case ROWS_STRING:
    case ROWS_MIXED:
    case ROWS_KIND_COUNT:
        break;
    }
    return encode_text(kind == ROWS_SKIP ? ROWS_MIXED : kind, value, to);
}
