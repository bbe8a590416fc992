/* avro_schema.c - see avro_schema.h: a schema as a whole. */
#include "codec/avro_schema.h"

#include <assert.h>

#include "codec/avro_parse.h"

#define ARENA_SIZE_MAX ((size_t)64 << 20) /* bytes */

static const char *const kind_names[] = {
    [AVRO_KIND_NULL] = "null",     [AVRO_KIND_BOOLEAN] = "boolean",
    [AVRO_KIND_INT] = "int",       [AVRO_KIND_LONG] = "long",
    [AVRO_KIND_FLOAT] = "float",   [AVRO_KIND_DOUBLE] = "double",
    [AVRO_KIND_BYTES] = "bytes",   [AVRO_KIND_STRING] = "string",
    [AVRO_KIND_RECORD] = "record", [AVRO_KIND_ENUM] = "enum",
    [AVRO_KIND_FIXED] = "fixed",   [AVRO_KIND_ARRAY] = "array",
    [AVRO_KIND_MAP] = "map",       [AVRO_KIND_UNION] = "union",
};
_Static_assert(ARRAY_COUNT(kind_names) == AVRO_KIND_COUNT, "every kind has a name");

/* ---- the schema ------------------------------------------------------------------ */

static enum status load_json(struct avro_schema *schema, struct span json,
                             struct error *err) {
    json_error_t where;
    if (json.size > AVRO_TEXT_SIZE_MAX) {
        return error_set(err, STATUS_UNSUPPORTED,
                         "a schema of %zu bytes, over the limit of %zu", json.size,
                         AVRO_TEXT_SIZE_MAX);
    }
    schema->json =
        json_loadb(json.size == 0 ? "" : (const char *)json.data, json.size,
                   JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &where);
    if (schema->json == NULL) {
        return error_set(err, STATUS_INVALID, "line %d, column %d of the schema: %s",
                         where.line, where.column, where.text);
    }
    return STATUS_OK;
}

enum status avro_schema_parse(struct span json, const struct avro_resolver *resolver,
                              struct avro_schema **out, struct error *err) {
    struct avro_schema *schema = calloc(1, sizeof(*schema));
    struct parser p = {.schema = schema, .resolver = resolver, .err = err};
    enum status status;
    *out = NULL;
    if (schema == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a schema");
    }
    arena_init(&schema->arena, ARENA_SIZE_MAX);
    status = load_json(schema, json, err);
    if (status == STATUS_OK) {
        schema->root = parser_node(&p, schema->json, "");
        if (schema->root == NULL) {
            status =
                p.place[0] == 0 ? err->status : error_prefix(err, "field '%s'", p.place);
        }
    }
    if (status == STATUS_OK) {
        status = avro_canonical_set(schema, err);
    }
    if (status != STATUS_OK) {
        avro_schema_destroy(schema);
        return status;
    }
    *out = schema;
    return STATUS_OK;
}

void avro_schema_destroy(struct avro_schema *schema) {
    if (schema == NULL) {
        return;
    }
    json_decref(schema->json);
    arena_release(&schema->arena);
    free(schema);
}

const struct avro_node *avro_schema_root(const struct avro_schema *schema) {
    return schema->root;
}

const struct json_t *avro_schema_json(const struct avro_schema *schema) {
    return schema->json;
}

const struct avro_node *avro_schema_named(const struct avro_schema *schema,
                                          const char *name) {
    for (int i = 0; i < schema->named_count; i++) {
        if (strcmp(schema->named[i].node->name, name) == 0) {
            return schema->named[i].node;
        }
    }
    return NULL;
}

struct span avro_schema_canonical(const struct avro_schema *schema) {
    return schema->canonical;
}

uint64_t avro_schema_fingerprint(const struct avro_schema *schema) {
    return schema->fingerprint;
}

const char *avro_kind_name(enum avro_kind kind) {
    assert((unsigned)kind < AVRO_KIND_COUNT);
    return kind_names[kind];
}

int avro_field_find(const struct avro_node *record, struct span name) {
    for (int i = 0; i < record->count; i++) {
        if (span_is(name, record->fields[i].name)) {
            return i;
        }
    }
    return -1;
}
