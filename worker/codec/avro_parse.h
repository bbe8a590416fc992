/* avro_parse.h - what the parts of the schema parser share; see avro_schema.h.
 *
 * Depends on: base/arena.h, codec/avro_schema.h, jansson.
 * Ownership, threads: as there. */
#ifndef MILLRACE_CODEC_AVRO_PARSE_H
#define MILLRACE_CODEC_AVRO_PARSE_H

#include <jansson.h>

#include "base/arena.h"
#include "codec/avro_schema.h"
#include "codec/utf8.h"

struct avro_named {
    const struct avro_node *node; /* its members are set once it is closed */
    bool open; /* its definition is being read: it contains what asks */
};

struct avro_schema {
    struct arena arena;
    json_t *json; /* owned */
    const struct avro_node *root;
    struct avro_named named[AVRO_NAMED_MAX];
    int named_count;
    struct span canonical; /* in the arena */
    uint64_t fingerprint;
};

#define PARSER_PLACE_SIZE_MAX 256 /* bytes of a place in an error */

struct parser {
    struct avro_schema *schema;
    const struct avro_resolver *resolver; /* or NULL */
    int node_count;
    int depth;                         /* of the JSON so far */
    char place[PARSER_PLACE_SIZE_MAX]; /* path of the field being read, cut where too long
                                        */
    struct error *err;
};

#define parser_fail(p, ...) (error_set((p)->err, STATUS_INVALID, __VA_ARGS__), false)
#define parser_refuse(p, ...) \
    (error_set((p)->err, STATUS_UNSUPPORTED, __VA_ARGS__), false)

/* avro_types.c: the type that `json` stands for, where `space` is the namespace around;
 * NULL after an error. */
const struct avro_node *parser_node(struct parser *p, const json_t *json,
                                    const char *space);

/* avro_names.c; false or NULL after an error. */
bool parser_no_memory(struct parser *p);
const char *parser_text(const json_t *json);
const char *parser_shown(const char *name, char text[UTF8_SHOWN_SIZE]);
bool parser_aliases(struct parser *p, const json_t *json, const char *space,
                    struct avro_names *names);
const struct avro_node *parser_primitive(enum avro_kind kind);
const struct avro_node *parser_reference(struct parser *p, const char *name,
                                         const char *space);
bool parser_open_named(struct parser *p, const json_t *json, const char **space,
                       struct avro_node *node);
void parser_close_named(struct parser *p, const struct avro_node *node);

/* Writes the canonical form into the schema. */
MUST_CHECK enum status avro_canonical_set(struct avro_schema *schema, struct error *err);

/* The logical type that `json` gives a node of a known kind and size, with its decimals;
 * none where it is unknown or does not fit. */
void avro_logical_set(const json_t *json, struct avro_node *node);

#endif
