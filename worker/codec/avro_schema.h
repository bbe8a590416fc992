/* avro_schema.h - an Avro schema, parsed from its JSON text and checked.
 *
 * Everything is bounded, since a schema may come from anywhere: the text, how deep types
 * nest (through names, too), how many there are.  A type that contains itself is refused:
 * no tensor can be made of it, and what remains is a finite tree, in which a named type
 * may stand in several places.
 *
 * Names are full ones ("shop.Order").  What the specification (1.11) lets a reader ignore
 * is ignored: unknown attributes, unknown or unfitting logical types.
 *
 * Depends on: base/status.h, base/span.h; jansson, of which no type is needed here.
 * Ownership: a schema owns its nodes; those of other schemas that it refers to by name
 * are borrowed, and must live as long.
 * Threads: a parsed schema is read-only, for any. */
#ifndef MILLRACE_CODEC_AVRO_SCHEMA_H
#define MILLRACE_CODEC_AVRO_SCHEMA_H

#include "base/span.h"
#include "base/status.h"

#define AVRO_TEXT_SIZE_MAX ((size_t)1 << 20) /* bytes of a schema's JSON */
#define AVRO_DEPTH_MAX 64                    /* types inside each other */
#define AVRO_NODES_MAX 32768                 /* types in all, each place counted */
#define AVRO_NAMED_MAX 1024                  /* records, enums and fixed */
#define AVRO_FIELDS_MAX 4096                 /* of a record */
#define AVRO_SYMBOLS_MAX 4096                /* of an enum */
#define AVRO_BRANCHES_MAX 256                /* of a union */
#define AVRO_ALIASES_MAX 64
#define AVRO_NAME_SIZE_MAX 512                /* bytes of a full name */
#define AVRO_FIXED_SIZE_MAX ((size_t)1 << 24) /* bytes */

enum avro_kind {
    AVRO_KIND_NULL,
    AVRO_KIND_BOOLEAN,
    AVRO_KIND_INT,
    AVRO_KIND_LONG,
    AVRO_KIND_FLOAT,
    AVRO_KIND_DOUBLE,
    AVRO_KIND_BYTES,
    AVRO_KIND_STRING, /* the last of the primitive types */
    AVRO_KIND_RECORD,
    AVRO_KIND_ENUM,
    AVRO_KIND_FIXED,
    AVRO_KIND_ARRAY,
    AVRO_KIND_MAP,
    AVRO_KIND_UNION,
    AVRO_KIND_COUNT
};

enum avro_logical {
    AVRO_LOGICAL_NONE,
    AVRO_LOGICAL_DECIMAL,
    AVRO_LOGICAL_UUID,
    AVRO_LOGICAL_DATE,
    AVRO_LOGICAL_TIME_MILLIS,
    AVRO_LOGICAL_TIME_MICROS,
    AVRO_LOGICAL_TIMESTAMP_MILLIS,
    AVRO_LOGICAL_TIMESTAMP_MICROS,
    AVRO_LOGICAL_TIMESTAMP_NANOS,
    AVRO_LOGICAL_LOCAL_TIMESTAMP_MILLIS,
    AVRO_LOGICAL_LOCAL_TIMESTAMP_MICROS,
    AVRO_LOGICAL_LOCAL_TIMESTAMP_NANOS,
    AVRO_LOGICAL_COUNT
};

struct json_t;

struct avro_names { /* other names of a named type or field */
    const char *const *items;
    int count;
};

struct avro_field {
    const char *name;
    struct avro_names aliases;
    const struct avro_node *type;
    const struct json_t *fallback; /* the default as it stands in the text, unchecked;
                                      NULL where there is none */
};

/* One type.  Which members hold depends on `kind`. */
struct avro_node {
    enum avro_kind kind;
    enum avro_logical logical;
    int precision, scale;            /* of a decimal */
    int depth;                       /* types inside each other from here; 1 for a leaf */
    size_t size_min;                 /* least bytes a value takes; 0 only for those that
                                        always take none, and at most READER_ITEM_SIZE_MAX */
    size_t size;                     /* of a fixed */
    const char *name;                /* full; of a record, enum or fixed, or NULL */
    struct avro_names aliases;       /* full; of the same */
    int count;                       /* of fields, symbols or branches */
    const struct avro_field *fields; /* of a record */
    const char *const *symbols;      /* of an enum */
    int symbol_default;              /* of an enum; negative where there is none */
    const struct avro_node *item;    /* of an array or a map */
    const struct avro_node **branches; /* of a union; none of them a union */
};

struct avro_schema; /* opaque */

/* How a schema finds types that others define.  `find` returns NULL where it knows no
 * such full name; what it returns must outlive the schema.  A NULL `find` knows none. */
struct avro_resolver {
    const struct avro_node *(*find)(void *opaque, const char *name);
    void *opaque;
};

/* Parses `json`.  STATUS_INVALID for what is no schema, with the place in it;
 * STATUS_UNSUPPORTED for a type that contains itself and what is over a limit;
 * STATUS_NO_MEMORY.  `resolver` may be NULL. */
MUST_CHECK enum status avro_schema_parse(struct span json,
                                         const struct avro_resolver *resolver,
                                         struct avro_schema **out, struct error *err);

/* Accepts NULL. */
void avro_schema_destroy(struct avro_schema *schema);

const struct avro_node *avro_schema_root(const struct avro_schema *schema);

/* The JSON value that was parsed, for deriving another schema; borrowed. */
const struct json_t *avro_schema_json(const struct avro_schema *schema);

/* The type that this schema defines under the full name, or NULL. */
const struct avro_node *avro_schema_named(const struct avro_schema *schema,
                                          const char *name);

/* Parsing Canonical Form: as long as the schema lives.  And its CRC-64-AVRO. */
struct span avro_schema_canonical(const struct avro_schema *schema);
uint64_t avro_schema_fingerprint(const struct avro_schema *schema);

/* "record", "array", ... */
const char *avro_kind_name(enum avro_kind kind);

/* The index of the field, or -1. */
int avro_field_find(const struct avro_node *record, struct span name);

/* Does `names` hold `name`? */
bool avro_names_hold(struct avro_names names, const char *name);

/* The part behind the last dot. */
const char *avro_short_name(const char *name);

/* May it stand as a type's, field's or symbol's name: a letter or _, then digits too? */
bool avro_name_valid(const char *name);

#endif
