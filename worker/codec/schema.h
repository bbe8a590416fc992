/* schema.h - the Avro schemas of jobs and results, built into the program.
 *
 * The texts are those of the folder schemas/, turned into arrays when the program is
 * built.
 *
 * Depends on: base/span.h.
 * Ownership: everything is static.
 * Threads: read-only, any. */
#ifndef MILLRACE_CODEC_SCHEMA_H
#define MILLRACE_CODEC_SCHEMA_H

#include "base/span.h"

enum schema_id { SCHEMA_JOB, SCHEMA_RESULT, SCHEMA_COUNT };

struct schema {
    const char *name;      /* of the file in schemas/, less its ending */
    struct span json;      /* the file's text */
    const char *canonical; /* its Parsing Canonical Form */
    uint64_t fingerprint;  /* CRC-64-AVRO of the canonical form */
};

const struct schema *schema_get(enum schema_id id);

/* Avro single-object encoding: the mark, the fingerprint (little-endian), the record. */
#define SCHEMA_MARK_0 0xc3
#define SCHEMA_MARK_1 0x01
#define SCHEMA_FRAME_SIZE 10 /* bytes before the record */

#define SCHEMA_JOB_FINGERPRINT UINT64_C(0xa009724c21068144)
#define SCHEMA_RESULT_FINGERPRINT UINT64_C(0x379c41c0b4bda78b)

#endif
