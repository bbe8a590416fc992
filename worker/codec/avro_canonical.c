/* avro_canonical.c - see avro_parse.h: Parsing Canonical Form and fingerprint.
 *
 * The specification's transformations, done while writing: primitive types as names, full
 * names, only what parsing needs and in its order, no blanks.  A named type is written
 * where it first occurs, its name where it occurs again. */
#include "codec/avro_parse.h"

#include "base/size.h"
#include "codec/fingerprint.h"

/* First it only counts (`to` NULL), then it writes. */
struct canonical {
    char *to;
    size_t size;
    const struct avro_node *seen[AVRO_NAMED_MAX]; /* the named types written so far */
    int seen_count;
    bool full; /* more named types than AVRO_NAMED_MAX, those of other schemas counted */
};

static void put(struct canonical *c, const char *text) {
    size_t size = strlen(text);
    if (c->to != NULL) {
        memcpy(c->to + c->size, text, size);
    }
    c->size += size;
}

/* Names hold nothing that needs an escape: avro_name_valid. */
static void put_quoted(struct canonical *c, const char *name) {
    put(c, "\"");
    put(c, name);
    put(c, "\"");
}

static bool seen(struct canonical *c, const struct avro_node *node) {
    for (int i = 0; i < c->seen_count; i++) {
        if (strcmp(c->seen[i]->name, node->name) == 0) {
            return true;
        }
    }
    if (c->seen_count == AVRO_NAMED_MAX) {
        c->full = true;
        return true;
    }
    c->seen[c->seen_count++] = node;
    return false;
}

static void put_node(struct canonical *c, const struct avro_node *node);

static void put_fields(struct canonical *c, const struct avro_node *node) {
    put(c, ",\"fields\":[");
    for (int i = 0; i < node->count; i++) {
        put(c, i > 0 ? ",{\"name\":" : "{\"name\":");
        put_quoted(c, node->fields[i].name);
        put(c, ",\"type\":");
        put_node(c, node->fields[i].type);
        put(c, "}");
    }
    put(c, "]}");
}

static void put_symbols(struct canonical *c, const struct avro_node *node) {
    put(c, ",\"symbols\":[");
    for (int i = 0; i < node->count; i++) {
        put(c, i > 0 ? "," : "");
        put_quoted(c, node->symbols[i]);
    }
    put(c, "]}");
}

static void put_named(struct canonical *c, const struct avro_node *node) {
    char size[32];
    if (seen(c, node)) {
        put_quoted(c, node->name);
        return;
    }
    put(c, "{\"name\":");
    put_quoted(c, node->name);
    put(c, ",\"type\":");
    put_quoted(c, avro_kind_name(node->kind));
    if (node->kind == AVRO_KIND_RECORD) {
        put_fields(c, node);
    } else if (node->kind == AVRO_KIND_ENUM) {
        put_symbols(c, node);
    } else {
        (void)snprintf(size, sizeof(size), ",\"size\":%zu}", node->size);
        put(c, size);
    }
}

static void put_union(struct canonical *c, const struct avro_node *node) {
    put(c, "[");
    for (int i = 0; i < node->count; i++) {
        put(c, i > 0 ? "," : "");
        put_node(c, node->branches[i]);
    }
    put(c, "]");
}

/* Recursion is bounded by AVRO_DEPTH_MAX. */
static void put_node(struct canonical *c, const struct avro_node *node) {
    if (node->name != NULL) {
        put_named(c, node);
    } else if (node->kind == AVRO_KIND_UNION) {
        put_union(c, node);
    } else if (node->kind == AVRO_KIND_ARRAY || node->kind == AVRO_KIND_MAP) {
        put(c, node->kind == AVRO_KIND_ARRAY ? "{\"type\":\"array\",\"items\":"
                                             : "{\"type\":\"map\",\"values\":");
        put_node(c, node->item);
        put(c, "}");
    } else {
        put_quoted(c, avro_kind_name(node->kind));
    }
}

enum status avro_canonical_set(struct avro_schema *schema, struct error *err) {
    struct canonical *c = calloc(1, sizeof(*c));
    char *text = NULL;
    enum status status = STATUS_OK;
    if (c == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a schema");
    }
    put_node(c, schema->root);
    if (c->full || c->size > 2 * AVRO_TEXT_SIZE_MAX) {
        status = error_set(err, STATUS_UNSUPPORTED,
                           "with the types it refers to, the schema is over the limit of "
                           "%d named types or %zu bytes",
                           AVRO_NAMED_MAX, 2 * AVRO_TEXT_SIZE_MAX);
    } else if ((text = arena_alloc(&schema->arena, c->size + 1, 1)) == NULL) {
        status = error_set(err, STATUS_NO_MEMORY, "no memory for a schema");
    } else {
        c->size = 0;
        c->seen_count = 0;
        c->to = text;
        put_node(c, schema->root);
        schema->canonical = span_of(text, c->size);
        schema->fingerprint = fingerprint_crc64(schema->canonical);
    }
    free(c);
    return status;
}
