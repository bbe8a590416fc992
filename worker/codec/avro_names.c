/* avro_names.c - see avro_parse.h: names, aliases, and the types that have them. */
#include <assert.h>

#include "codec/avro_parse.h"
#include "codec/utf8.h"

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

const struct avro_node *parser_primitive(enum avro_kind kind) {
    assert((size_t)kind < ARRAY_COUNT(primitives));
    return &primitives[kind];
}

bool parser_no_memory(struct parser *p) {
    (void)error_set(p->err, STATUS_NO_MEMORY, "no memory for a schema");
    return false;
}

/* The string, or NULL for what is none or holds a 0 (a default may). */
const char *parser_text(const json_t *json) {
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

const char *parser_shown(const char *name, char text[UTF8_SHOWN_SIZE]) {
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
                   ? parser_no_memory(p)
                   : parser_fail(p, "the name '%s' is longer than %d bytes",
                                 parser_shown(name, text), AVRO_NAME_SIZE_MAX));
        return NULL;
    }
    (void)snprintf(full, size + 1, "%s%s%s", alone ? "" : space, alone ? "" : ".", name);
    if (!full_name_valid(full)) {
        (void)parser_fail(p, "'%s' is no Avro name (letters, digits and _)",
                          parser_shown(full, text));
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
bool parser_aliases(struct parser *p, const json_t *json, const char *space,
                    struct avro_names *names) {
    const json_t *list = json_object_get(json, "aliases");
    size_t count = json_array_size(list);
    const char **items;
    if (list == NULL) {
        return true;
    }
    if (!json_is_array(list) || count > AVRO_ALIASES_MAX) {
        return parser_fail(p, "aliases are a list of at most %d names", AVRO_ALIASES_MAX);
    }
    items = arena_alloc(&p->schema->arena, count, sizeof(*items));
    if (items == NULL) {
        return parser_no_memory(p);
    }
    for (size_t i = 0; i < count; i++) {
        const char *name = parser_text(json_array_get(list, i));
        if (name == NULL) {
            return parser_fail(p, "an alias is not a string");
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
const struct avro_node *parser_reference(struct parser *p, const char *name,
                                         const char *space) {
    const struct avro_node *node = NULL;
    const struct avro_named *named;
    const char *full;
    for (size_t i = 0; i < ARRAY_COUNT(primitives); i++) {
        if (strcmp(avro_kind_name((enum avro_kind)i), name) == 0) {
            return &primitives[i];
        }
    }
    full = full_name(p, name, space);
    if (full == NULL) {
        return NULL;
    }
    named = find_named(p->schema, full);
    if (named != NULL && named->open) {
        (void)parser_refuse(p,
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
        (void)parser_fail(p, "unknown type '%s'", full);
    }
    return node;
}

/* Name and aliases; the node is known by them from here on.  Sets the namespace that
 * holds inside. */
bool parser_open_named(struct parser *p, const json_t *json, const char **space,
                       struct avro_node *node) {
    struct avro_schema *schema = p->schema;
    const char *name = parser_text(json_object_get(json, "name"));
    const json_t *own = json_object_get(json, "namespace");
    if (name == NULL) {
        return parser_fail(p, "the %s has no name", avro_kind_name(node->kind));
    }
    if (own != NULL && !json_is_null(own) && parser_text(own) == NULL) {
        return parser_fail(p, "the namespace is not a string");
    }
    node->name = full_name(p, name, parser_text(own) != NULL ? parser_text(own) : *space);
    if (node->name == NULL) {
        return false;
    }
    *space = space_of(p, node->name);
    if (*space == NULL) {
        return parser_no_memory(p);
    }
    if (find_named(schema, node->name) != NULL) {
        return parser_fail(p, "'%s' is defined twice", node->name);
    }
    if (schema->named_count == AVRO_NAMED_MAX) {
        return parser_refuse(p, "more than %d named types", AVRO_NAMED_MAX);
    }
    schema->named[schema->named_count++] = (struct avro_named){node, true};
    return parser_aliases(p, json, *space, &node->aliases);
}

void parser_close_named(struct parser *p, const struct avro_node *node) {
    struct avro_named *named = find_named(p->schema, node->name);
    assert(named != NULL);
    named->open = false;
}
