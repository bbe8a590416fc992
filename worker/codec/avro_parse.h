/* avro_parse.h - what the parts of the schema parser share; see avro_schema.h.
 *
 * Depends on: base/arena.h, codec/avro_schema.h, jansson.
 * Ownership, threads: as there. */
#ifndef MILLRACE_CODEC_AVRO_PARSE_H
#define MILLRACE_CODEC_AVRO_PARSE_H

#include <jansson.h>

#include "base/arena.h"
#include "codec/avro_schema.h"

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

/* Writes the canonical form into the schema. */
MUST_CHECK enum status avro_canonical_set(struct avro_schema *schema, struct error *err);

/* The logical type that `json` gives a node of a known kind and size, with its decimals;
 * none where it is unknown or does not fit. */
void avro_logical_set(const json_t *json, struct avro_node *node);

#endif
