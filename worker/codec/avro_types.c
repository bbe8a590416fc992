/* avro_types.c - see avro_parse.h: JSON to nodes, depth first.
 *
 * The functions recurse over the JSON, no deeper than AVRO_DEPTH_MAX. */
#include <assert.h>

#include "base/size.h"
#include "codec/avro_parse.h"
#include "codec/reader.h"

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
    field->name = parser_text(json_object_get(json, "name"));
    if (!json_is_object(json) || field->name == NULL) {
        return parser_fail(p, "a field has no name");
    }
    if (!avro_name_valid(field->name)) {
        return parser_fail(p, "'%s' is no name for a field (letters, digits and _)",
                           parser_shown(field->name, text));
    }
    if (type == NULL) {
        return parser_fail(p, "the field '%s' has no type", field->name);
    }
    outer = enter(p, field->name);
    field->fallback = json_object_get(json, "default");
    field->type = parser_node(p, type, space);
    if (field->type == NULL || !parser_aliases(p, json, NULL, &field->aliases)) {
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
            return parser_fail(p, "'%s' stands there twice", names[i]);
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
    if (!parser_open_named(p, json, &space, node)) {
        return false;
    }
    if (!json_is_array(list)) {
        return parser_fail(p, "the record '%s' has no list of fields", node->name);
    }
    if (count > AVRO_FIELDS_MAX) {
        return parser_refuse(p, "the record '%s' has %zu fields, over the limit of %d",
                             node->name, count, AVRO_FIELDS_MAX);
    }
    fields = arena_alloc(&p->schema->arena, count, sizeof(*fields));
    names = arena_alloc(&p->schema->arena, count, sizeof(*names));
    if (fields == NULL || names == NULL) {
        return parser_no_memory(p);
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
    parser_close_named(p, node);
    return check_unique(p, names, node->count);
}

/* ---- enum, fixed ----------------------------------------------------------------- */

static bool parse_symbols(struct parser *p, const json_t *list, struct avro_node *node) {
    char text[UTF8_SHOWN_SIZE];
    size_t count = json_array_size(list);
    const char **symbols = arena_alloc(&p->schema->arena, count, sizeof(*symbols));
    const char **sorted = arena_alloc(&p->schema->arena, count, sizeof(*sorted));
    if (symbols == NULL || sorted == NULL) {
        return parser_no_memory(p);
    }
    for (size_t i = 0; i < count; i++) {
        symbols[i] = parser_text(json_array_get(list, i));
        if (symbols[i] == NULL || !avro_name_valid(symbols[i])) {
            return parser_fail(
                p, "'%s' is no symbol for the enum '%s' (letters, digits and _)",
                symbols[i] == NULL ? "" : parser_shown(symbols[i], text), node->name);
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
    const char *fallback = parser_text(json_object_get(json, "default"));
    if (!parser_open_named(p, json, &space, node)) {
        return false;
    }
    if (!json_is_array(list) || json_array_size(list) == 0 ||
        json_array_size(list) > AVRO_SYMBOLS_MAX) {
        return parser_fail(p, "the enum '%s' has 1 to %d symbols, not %zu", node->name,
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
        return parser_fail(p, "the default '%s' is no symbol of the enum '%s'",
                           parser_shown(fallback, text), node->name);
    }
    node->size_min = 1;
    parser_close_named(p, node);
    return true;
}

static bool parse_fixed(struct parser *p, const json_t *json, const char *space,
                        struct avro_node *node) {
    const json_t *size = json_object_get(json, "size");
    if (!parser_open_named(p, json, &space, node)) {
        return false;
    }
    if (!json_is_integer(size) || json_integer_value(size) < 0 ||
        json_integer_value(size) > (json_int_t)AVRO_FIXED_SIZE_MAX) {
        return parser_fail(p, "the fixed '%s' needs a size of 0 to %zu bytes", node->name,
                           AVRO_FIXED_SIZE_MAX);
    }
    node->size = (size_t)json_integer_value(size);
    node->size_min = node->size;
    avro_logical_set(json, node);
    parser_close_named(p, node);
    return true;
}

/* ---- array, map, union ------------------------------------------------------------ */

static bool parse_array(struct parser *p, const json_t *json, const char *space,
                        struct avro_node *node) {
    const char *key = node->kind == AVRO_KIND_ARRAY ? "items" : "values";
    const json_t *item = json_object_get(json, key);
    if (item == NULL) {
        return parser_fail(p, "the %s has no '%s'", avro_kind_name(node->kind), key);
    }
    node->item = parser_node(p, item, space);
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
        return parser_fail(p, "a union directly in a union");
    }
    for (int i = 0; i < index; i++) {
        const struct avro_node *other = node->branches[i];
        bool named = branch->name != NULL && other->name != NULL;
        if (named ? strcmp(branch->name, other->name) == 0
                  : branch->kind == other->kind) {
            return parser_fail(p, "the union holds %s twice",
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
        return parser_fail(p, "a union has 1 to %d branches, not %zu", AVRO_BRANCHES_MAX,
                           count);
    }
    node->branches =
        arena_alloc(&p->schema->arena, count, sizeof(const struct avro_node *));
    if (node->branches == NULL) {
        return parser_no_memory(p);
    }
    for (size_t i = 0; i < count; i++) {
        const struct avro_node *branch = parser_node(p, json_array_get(json, i), space);
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
        (void)parser_refuse(p, "more than %d types", AVRO_NODES_MAX);
        return NULL;
    }
    node = arena_alloc(&p->schema->arena, 1, sizeof(*node));
    if (node == NULL) {
        (void)parser_no_memory(p);
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
        return parser_primitive(kind);
    }
    node = new_node(p, kind);
    if (node != NULL) {
        *node = *parser_primitive(kind);
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
        (void)parser_refuse(p, "types stand inside each other more than %d deep",
                            AVRO_DEPTH_MAX);
        return NULL;
    }
    return node;
}

/* {"type": ...} */
static const struct avro_node *parse_object(struct parser *p, const json_t *json,
                                            const char *space) {
    const json_t *type = json_object_get(json, "type");
    const char *name = parser_text(type);
    if (type == NULL) {
        (void)parser_fail(p, "a type is an object without \"type\"");
        return NULL;
    }
    if (name == NULL) { /* {"type": {"type": ...}}, as some writers nest them */
        return parser_node(p, type, space);
    }
    if (strcmp(name, "error") == 0) { /* a record of a protocol */
        name = "record";
    }
    for (int kind = 0; kind < AVRO_KIND_UNION; kind++) {
        if (strcmp(avro_kind_name((enum avro_kind)kind), name) == 0) {
            return kind <= AVRO_KIND_STRING
                       ? parse_primitive(p, json, (enum avro_kind)kind)
                       : parse_complex(p, json, space, (enum avro_kind)kind);
        }
    }
    return parser_reference(p, name, space);
}

/* NULL after an error. */
const struct avro_node *parser_node(struct parser *p, const json_t *json,
                                    const char *space) {
    const struct avro_node *node = NULL;
    if (p->depth == AVRO_DEPTH_MAX) {
        (void)parser_refuse(p, "types stand inside each other more than %d deep",
                            AVRO_DEPTH_MAX);
        return NULL;
    }
    p->depth++;
    if (parser_text(json) != NULL) {
        node = parser_reference(p, parser_text(json), space);
    } else if (json_is_array(json)) {
        node = parse_complex(p, json, space, AVRO_KIND_UNION);
    } else if (json_is_object(json)) {
        node = parse_object(p, json, space);
    } else {
        (void)parser_fail(p, "a type is a name, an object or a list");
    }
    p->depth--;
    return node;
}
