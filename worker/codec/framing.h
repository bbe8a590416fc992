/* framing.h - what stands before a record: which schema it was written with.
 *
 *     bare             nothing: the route names the schema
 *     single object    C3 01, the schema's CRC-64-AVRO, little-endian (Avro
 * specification) confluent        00, the schema's number in a registry, big-endian
 *
 * A message shows its framing by its first bytes.  Where a route allows bare records
 * beside others, those that happen to begin so are mistaken: 00 and C3 01 are also how an
 * empty first string, or a first number of 0, look.  So a route that takes bare records
 * best allows nothing else.
 *
 * Depends on: base/.  Ownership: the record is borrowed from the message.
 * Threads: pure functions. */
#ifndef MILLRACE_CODEC_FRAMING_H
#define MILLRACE_CODEC_FRAMING_H

#include "base/span.h"
#include "base/status.h"

enum framing_kind { /* bits, for what a route allows */
                    FRAMING_BARE = 1,
                    FRAMING_SINGLE_OBJECT = 2,
                    FRAMING_CONFLUENT = 4,
                    FRAMING_ANY = 7
};

#define FRAMING_SIZE_MAX 10 /* bytes before a record */

struct framing {
    enum framing_kind kind;
    uint32_t id;          /* of the registry */
    uint64_t fingerprint; /* of the schema */
    struct span record;
};

/* STATUS_POISON where the message has none of the framings in `allowed`. */
MUST_CHECK enum status framing_read(struct span message, unsigned allowed,
                                    struct framing *framing, struct error *err);

/* Writes what stands before the record; returns the place behind. */
uint8_t *framing_write(uint8_t *to, const struct framing *framing);

#endif
