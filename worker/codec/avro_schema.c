/* avro_schema.c - see avro_schema.h: JSON to nodes, depth first.
 *
 * The functions recurse over the JSON, no deeper than AVRO_DEPTH_MAX. */
#include "codec/avro_schema.h"

#include <assert.h>

#include "base/size.h"
#include "codec/avro_parse.h"
#include "codec/reader.h"

#define ARENA_SIZE_MAX ((size_t)64 << 20) /* bytes */
#define PLACE_SIZE_MAX 256                /* bytes of a place in an error */

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

/* The primitive types without a logical one are these, in every schema. */
#define PRIMITIVE(which, bytes) \
    [which] = {.kind = (which), .depth = 1, .size_min = (bytes), .symbol_default = -1}
static const struct avro_node primitives[] = {
    PRIMITIVE(AVRO_KIND_NULL, 0),  PRIMITIVE(AVRO_KIND_BOOLEAN, 1),
    PRIMITIVE(AVRO_KIND_INT, 1),   PRIMITIVE(AVRO_KIND_LONG, 1),
    PRIMITIVE(AVRO_KIND_FLOAT, 4), PRIMITIVE(AVRO_KIND_DOUBLE, 8),
    PRIMITIVE(AVRO_KIND_BYTES, 1), PRIMITIVE(AVRO_KIND_STRING, 1),
};
_Static_assert(ARRAY_COUNT(primitives) == AVRO_KIND_STRING + 1, "every primitive");

struct parser {
    struct avro_schema *schema;
    const struct avro_resolver *resolver; /* or NULL */
    int node_count;
    int depth;                  /* of the JSON so far */
    char place[PLACE_SIZE_MAX]; /* path of the field being read, cut where too long */
    struct error *err;
};

static const struct avro_node *parse_node(struct parser *p, const json_t *json,
                                          const char *space);

#define fail(p, ...) (error_set((p)->err, STATUS_INVALID, __VA_ARGS__), false)
#define refuse(p, ...) (error_set((p)->err, STATUS_UNSUPPORTED, __VA_ARGS__), false)

static bool no_memory(struct parser *p) {
    (void)error_set(p->err, STATUS_NO_MEMORY, "no memory for a schema");
    return false;
}

/* The string, or NULL for what is none or holds a 0 (a default may). */
static const char *text_of(const json_t *json) {
    const char *text = json_string_value(json);
    return text != NULL && strlen(text) == json_string_length(json) ? text : NULL;
}

/* ---- names ----------------------------------------------------------------------- */

bool avro_name_valid(const char *name) {
    size_t i;
    for (i = 0; name[i] != 0; i++) {
        bool letter = (name[i] >= 'a' && name[i] <= 'z') ||
                      (name[i] >= 'A' && name[i] <= 'Z') || name[i] == '_';
        if (!letter && (i == 0 || name[i] < '0' || name[i] > '9')) {
            return false;
        }
    }
    return i > 0 && i <= AVRO_NAME_SIZE_MAX;
}

/* Names with a dot between them. */
static bool full_name_valid(const char *name) {
    char part[AVRO_NAME_SIZE_MAX + 1];
    const char *dot;
    if (strlen(name) > AVRO_NAME_SIZE_MAX) {
        return false;
    }
    while ((dot = strchr(name, '.')) != NULL) {
        memcpy(part, name, (size_t)(dot - name));
        part[dot - name] = 0;
        if (!avro_name_valid(part)) {
            return false;
        }
        name = dot + 1;
    }
    return avro_name_valid(name);
}

static const char *shown(const char *name, char text[UTF8_SHOWN_SIZE]) {
    return utf8_show(span_text(name), text);
}

/* The full name of `name` where `space` is the namespace around; NULL after an error. */
static const char *full_name(struct parser *p, const char *name, const char *space) {
    char text[UTF8_SHOWN_SIZE];
    size_t space_size = strlen(space);
    bool alone = space_size == 0 || strchr(name, '.') != NULL;
    size_t size = strlen(name) + (alone ? 0 : space_size + 1);
    char *full =
        size > AVRO_NAME_SIZE_MAX ? NULL : arena_alloc(&p->schema->arena, size + 1, 1);
    if (size > AVRO_NAME_SIZE_MAX || full == NULL) {
        (void)(full == NULL && size <= AVRO_NAME_SIZE_MAX
                   ? no_memory(p)
                   : fail(p, "the name '%s' is longer than %d bytes", shown(name, text),
                          AVRO_NAME_SIZE_MAX));
        return NULL;
    }
    (void)snprintf(full, size + 1, "%s%s%s", alone ? "" : space, alone ? "" : ".", name);
    if (!full_name_valid(full)) {
        (void)fail(p, "'%s' is no Avro name (letters, digits and _)", shown(full, text));
        return NULL;
    }
    return full;
}

const char *avro_short_name(const char *name) {
    const char *dot = strrchr(name, '.');
    return dot == NULL ? name : dot + 1;
}

/* The namespace of a full name, "" for none. */
static const char *space_of(struct parser *p, const char *full) {
    size_t size = (size_t)(avro_short_name(full) - full);
    return size == 0 ? "" : arena_text(&p->schema->arena, full, size - 1);
}

bool avro_names_hold(struct avro_names names, const char *name) {
    for (int i = 0; i < names.count; i++) {
        if (strcmp(names.items[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* Aliases of a type are full names; those of a field are not: `space` NULL. */
static bool parse_aliases(struct parser *p, const json_t *json, const char *space,
                          struct avro_names *names) {
    const json_t *list = json_object_get(json, "aliases");
    size_t count = json_array_size(list);
    const char **items;
    if (list == NULL) {
        return true;
    }
    if (!json_is_array(list) || count > AVRO_ALIASES_MAX) {
        return fail(p, "aliases are a list of at most %d names", AVRO_ALIASES_MAX);
    }
    items = arena_alloc(&p->schema->arena, count, sizeof(*items));
    if (items == NULL) {
        return no_memory(p);
    }
    for (size_t i = 0; i < count; i++) {
        const char *name = text_of(json_array_get(list, i));
        if (name == NULL) {
            return fail(p, "an alias is not a string");
        }
        items[i] = space == NULL ? name : full_name(p, name, space);
        if (items[i] == NULL) {
            return false;
        }
    }
    *names = (struct avro_names){items, (int)count};
    return true;
}

/* ---- named types ----------------------------------------------------------------- */

static struct avro_named *find_named(struct avro_schema *schema, const char *name) {
    for (int i = 0; i < schema->named_count; i++) {
        if (strcmp(schema->named[i].node->name, name) == 0) {
            return &schema->named[i];
        }
    }
    return NULL;
}

/* A type by its name: primitive, defined before, or known to the resolver. */
static const struct avro_node *parse_reference(struct parser *p, const char *name,
                                               const char *space) {
    const struct avro_node *node = NULL;
    const struct avro_named *named;
    const char *full;
    for (size_t i = 0; i < ARRAY_COUNT(primitives); i++) {
        if (strcmp(kind_names[i], name) == 0) {
            return &primitives[i];
        }
    }
    full = full_name(p, name, space);
    if (full == NULL) {
        return NULL;
    }
    named = find_named(p->schema, full);
    if (named != NULL && named->open) {
        (void)refuse(p,
                     "the record '%s' contains itself; recursive schemas are not "
                     "supported",
                     full);
        return NULL;
    }
    if (named != NULL) {
        return named->node;
    }
    if (p->resolver != NULL && p->resolver->find != NULL) {
        node = p->resolver->find(p->resolver->opaque, full);
    }
    if (node == NULL) {
        (void)fail(p, "unknown type '%s'", full);
    }
    return node;
}

/* Name and aliases; the node is known by them from here on.  Sets the namespace that
 * holds inside. */
static bool open_named(struct parser *p, const json_t *json, const char **space,
                       struct avro_node *node) {
    struct avro_schema *schema = p->schema;
    const char *name = text_of(json_object_get(json, "name"));
    const json_t *own = json_object_get(json, "namespace");
    if (name == NULL) {
        return fail(p, "the %s has no name", avro_kind_name(node->kind));
    }
    if (own != NULL && !json_is_null(own) && text_of(own) == NULL) {
        return fail(p, "the namespace is not a string");
    }
    node->name = full_name(p, name, text_of(own) != NULL ? text_of(own) : *space);
    if (node->name == NULL) {
        return false;
    }
    *space = space_of(p, node->name);
    if (*space == NULL) {
        return no_memory(p);
    }
    if (find_named(schema, node->name) != NULL) {
        return fail(p, "'%s' is defined twice", node->name);
    }
    if (schema->named_count == AVRO_NAMED_MAX) {
        return refuse(p, "more than %d named types", AVRO_NAMED_MAX);
    }
    schema->named[schema->named_count++] = (struct avro_named){node, true};
    return parse_aliases(p, json, *space, &node->aliases);
}

static void close_named(struct parser *p, const struct avro_node *node) {
    struct avro_named *named = find_named(p->schema, node->name);
    assert(named != NULL);
    named->open = false;
}

/* ---- records --------------------------------------------------------------------- */

/* Appends ".name" to the place; returns its former length. */
static size_t enter(struct parser *p, const char *name) {
    size_t size = strlen(p->place);
    (void)snprintf(p->place + size, sizeof(p->place) - size, "%s%s", size > 0 ? "." : "",
                   name);
    return size;
}

static bool parse_field(struct parser *p, const json_t *json, const char *space,
                        struct avro_field *field) {
    char text[UTF8_SHOWN_SIZE];
    const json_t *type = json_object_get(json, "type");
    size_t outer;
    field->name = text_of(json_object_get(json, "name"));
    if (!json_is_object(json) || field->name == NULL) {
        return fail(p, "a field has no name");
    }
    if (!avro_name_valid(field->name)) {
        return fail(p, "'%s' is no name for a field (letters, digits and _)",
                    shown(field->name, text));
    }
    if (type == NULL) {
        return fail(p, "the field '%s' has no type", field->name);
    }
    outer = enter(p, field->name);
    field->fallback = json_object_get(json, "default");
    field->type = parse_node(p, type, space);
    if (field->type == NULL || !parse_aliases(p, json, NULL, &field->aliases)) {
        return false;
    }
    p->place[outer] = 0;
    return true;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Is each of the names there once?  Sorts them. */
static bool check_unique(struct parser *p, const char **names, int count) {
    qsort(names, (size_t)count, sizeof(*names), compare_names);
    for (int i = 1; i < count; i++) {
        if (strcmp(names[i - 1], names[i]) == 0) {
            return fail(p, "'%s' stands there twice", names[i]);
        }
    }
    return true;
}

static bool parse_record(struct parser *p, const json_t *json, const char *space,
                         struct avro_node *node) {
    const json_t *list = json_object_get(json, "fields");
    size_t count = json_array_size(list);
    struct avro_field *fields;
    const char **names;
    if (!open_named(p, json, &space, node)) {
        return false;
    }
    if (!json_is_array(list)) {
        return fail(p, "the record '%s' has no list of fields", node->name);
    }
    if (count > AVRO_FIELDS_MAX) {
        return refuse(p, "the record '%s' has %zu fields, over the limit of %d",
                      node->name, count, AVRO_FIELDS_MAX);
    }
    fields = arena_alloc(&p->schema->arena, count, sizeof(*fields));
    names = arena_alloc(&p->schema->arena, count, sizeof(*names));
    if (fields == NULL || names == NULL) {
        return no_memory(p);
    }
    for (size_t i = 0; i < count; i++) {
        if (!parse_field(p, json_array_get(list, i), space, &fields[i])) {
            return false;
        }
        names[i] = fields[i].name;
        node->size_min += fields[i].type->size_min;
        node->depth =
            fields[i].type->depth > node->depth ? fields[i].type->depth : node->depth;
    }
    node->fields = fields;
    node->count = (int)count;
    close_named(p, node);
    return check_unique(p, names, node->count);
}

/* ---- enum, fixed ----------------------------------------------------------------- */

static bool parse_symbols(struct parser *p, const json_t *list, struct avro_node *node) {
    char text[UTF8_SHOWN_SIZE];
    size_t count = json_array_size(list);
    const char **symbols = arena_alloc(&p->schema->arena, count, sizeof(*symbols));
    const char **sorted = arena_alloc(&p->schema->arena, count, sizeof(*sorted));
    if (symbols == NULL || sorted == NULL) {
        return no_memory(p);
    }
    for (size_t i = 0; i < count; i++) {
        symbols[i] = text_of(json_array_get(list, i));
        if (symbols[i] == NULL || !avro_name_valid(symbols[i])) {
            return fail(p, "'%s' is no symbol for the enum '%s' (letters, digits and _)",
                        symbols[i] == NULL ? "" : shown(symbols[i], text), node->name);
        }
        sorted[i] = symbols[i];
    }
    node->symbols = symbols;
    node->count = (int)count;
    return check_unique(p, sorted, node->count);
}

static bool parse_enum(struct parser *p, const json_t *json, const char *space,
                       struct avro_node *node) {
    char text[UTF8_SHOWN_SIZE];
    const json_t *list = json_object_get(json, "symbols");
    const char *fallback = text_of(json_object_get(json, "default"));
    if (!open_named(p, json, &space, node)) {
        return false;
    }
    if (!json_is_array(list) || json_array_size(list) == 0 ||
        json_array_size(list) > AVRO_SYMBOLS_MAX) {
        return fail(p, "the enum '%s' has 1 to %d symbols, not %zu", node->name,
                    AVRO_SYMBOLS_MAX, json_array_size(list));
    }
    if (!parse_symbols(p, list, node)) {
        return false;
    }
    for (int i = 0; fallback != NULL && i < node->count; i++) {
        if (strcmp(node->symbols[i], fallback) == 0) {
            node->symbol_default = i;
        }
    }
    if (fallback != NULL && node->symbol_default < 0) {
        return fail(p, "the default '%s' is no symbol of the enum '%s'",
                    shown(fallback, text), node->name);
    }
    node->size_min = 1;
    close_named(p, node);
    return true;
}

static bool parse_fixed(struct parser *p, const json_t *json, const char *space,
                        struct avro_node *node) {
    const json_t *size = json_object_get(json, "size");
    if (!open_named(p, json, &space, node)) {
        return false;
    }
    if (!json_is_integer(size) || json_integer_value(size) < 0 ||
        json_integer_value(size) > (json_int_t)AVRO_FIXED_SIZE_MAX) {
        return fail(p, "the fixed '%s' needs a size of 0 to %zu bytes", node->name,
                    AVRO_FIXED_SIZE_MAX);
    }
    node->size = (size_t)json_integer_value(size);
    node->size_min = node->size;
    avro_logical_set(json, node);
    close_named(p, node);
    return true;
}

/* ---- array, map, union ------------------------------------------------------------ */

static bool parse_array(struct parser *p, const json_t *json, const char *space,
                        struct avro_node *node) {
    const char *key = node->kind == AVRO_KIND_ARRAY ? "items" : "values";
    const json_t *item = json_object_get(json, key);
    if (item == NULL) {
        return fail(p, "the %s has no '%s'", avro_kind_name(node->kind), key);
    }
    node->item = parse_node(p, item, space);
    if (node->item == NULL) {
        return false;
    }
    node->size_min = 1;
    node->depth = node->item->depth;
    return true;
}

/* One branch for each kind, or for each name. */
static bool check_branch(struct parser *p, const struct avro_node *node, int index) {
    const struct avro_node *branch = node->branches[index];
    if (branch->kind == AVRO_KIND_UNION) {
        return fail(p, "a union directly in a union");
    }
    for (int i = 0; i < index; i++) {
        const struct avro_node *other = node->branches[i];
        bool named = branch->name != NULL && other->name != NULL;
        if (named ? strcmp(branch->name, other->name) == 0
                  : branch->kind == other->kind) {
            return fail(p, "the union holds %s twice",
                        named ? branch->name : avro_kind_name(branch->kind));
        }
    }
    return true;
}

static bool parse_union(struct parser *p, const json_t *json, const char *space,
                        struct avro_node *node) {
    size_t count = json_array_size(json);
    size_t least = READER_ITEM_SIZE_MAX;
    if (count == 0 || count > AVRO_BRANCHES_MAX) {
        return fail(p, "a union has 1 to %d branches, not %zu", AVRO_BRANCHES_MAX, count);
    }
    node->branches =
        arena_alloc(&p->schema->arena, count, sizeof(const struct avro_node *));
    if (node->branches == NULL) {
        return no_memory(p);
    }
    for (size_t i = 0; i < count; i++) {
        const struct avro_node *branch = parse_node(p, json_array_get(json, i), space);
        if (branch == NULL) {
            return false;
        }
        node->branches[i] = branch;
        if (!check_branch(p, node, (int)i)) {
            return false;
        }
        least = size_min(least, branch->size_min);
        node->depth = branch->depth > node->depth ? branch->depth : node->depth;
    }
    node->count = (int)count;
    node->size_min = 1 + least;
    return true;
}

/* ---- any type -------------------------------------------------------------------- */

static struct avro_node *new_node(struct parser *p, enum avro_kind kind) {
    struct avro_node *node;
    if (p->node_count++ >= AVRO_NODES_MAX) {
        (void)refuse(p, "more than %d types", AVRO_NODES_MAX);
        return NULL;
    }
    node = arena_alloc(&p->schema->arena, 1, sizeof(*node));
    if (node == NULL) {
        (void)no_memory(p);
        return NULL;
    }
    node->kind = kind;
    node->symbol_default = -1;
    return node;
}

/* {"type": "int", "logicalType": "date"} */
static const struct avro_node *parse_primitive(struct parser *p, const json_t *json,
                                               enum avro_kind kind) {
    struct avro_node *node;
    if (json_object_get(json, "logicalType") == NULL) {
        return &primitives[kind];
    }
    node = new_node(p, kind);
    if (node != NULL) {
        *node = primitives[kind];
        avro_logical_set(json, node);
    }
    return node;
}

static bool parse_kind(struct parser *p, const json_t *json, const char *space,
                       struct avro_node *node) {
    switch (node->kind) {
    case AVRO_KIND_RECORD:
        return parse_record(p, json, space, node);
    case AVRO_KIND_ENUM:
        return parse_enum(p, json, space, node);
    case AVRO_KIND_FIXED:
        return parse_fixed(p, json, space, node);
    case AVRO_KIND_ARRAY:
    case AVRO_KIND_MAP:
        return parse_array(p, json, space, node);
    case AVRO_KIND_UNION:
        return parse_union(p, json, space, node);
    case AVRO_KIND_NULL:
    case AVRO_KIND_BOOLEAN:
    case AVRO_KIND_INT:
    case AVRO_KIND_LONG:
    case AVRO_KIND_FLOAT:
    case AVRO_KIND_DOUBLE:
    case AVRO_KIND_BYTES:
    case AVRO_KIND_STRING:
    case AVRO_KIND_COUNT:
        break;
    }
    assert(!"a primitive has nothing to parse");
    return false;
}

static const struct avro_node *parse_complex(struct parser *p, const json_t *json,
                                             const char *space, enum avro_kind kind) {
    struct avro_node *node = new_node(p, kind);
    if (node == NULL || !parse_kind(p, json, space, node)) {
        return NULL;
    }
    node->size_min = size_min(node->size_min, READER_ITEM_SIZE_MAX);
    if (++node->depth > AVRO_DEPTH_MAX) {
        (void)refuse(p, "types stand inside each other more than %d deep",
                     AVRO_DEPTH_MAX);
        return NULL;
    }
    return node;
}

/* {"type": ...} */
static const struct avro_node *parse_object(struct parser *p, const json_t *json,
                                            const char *space) {
    const json_t *type = json_object_get(json, "type");
    const char *name = text_of(type);
    if (type == NULL) {
        (void)fail(p, "a type is an object without \"type\"");
        return NULL;
    }
    if (name == NULL) { /* {"type": {"type": ...}}, as some writers nest them */
        return parse_node(p, type, space);
    }
    if (strcmp(name, "error") == 0) { /* a record of a protocol */
        name = "record";
    }
    for (int kind = 0; kind < AVRO_KIND_UNION; kind++) {
        if (strcmp(kind_names[kind], name) == 0) {
            return kind <= AVRO_KIND_STRING
                       ? parse_primitive(p, json, (enum avro_kind)kind)
                       : parse_complex(p, json, space, (enum avro_kind)kind);
        }
    }
    return parse_reference(p, name, space);
}

/* NULL after an error. */
static const struct avro_node *parse_node(struct parser *p, const json_t *json,
                                          const char *space) {
    const struct avro_node *node = NULL;
    if (p->depth == AVRO_DEPTH_MAX) {
        (void)refuse(p, "types stand inside each other more than %d deep",
                     AVRO_DEPTH_MAX);
        return NULL;
    }
    p->depth++;
    if (text_of(json) != NULL) {
        node = parse_reference(p, text_of(json), space);
    } else if (json_is_array(json)) {
        node = parse_complex(p, json, space, AVRO_KIND_UNION);
    } else if (json_is_object(json)) {
        node = parse_object(p, json, space);
    } else {
        (void)fail(p, "a type is a name, an object or a list");
    }
    p->depth--;
    return node;
}

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
        schema->root = parse_node(&p, schema->json, "");
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
