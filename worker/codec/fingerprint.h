/* fingerprint.h - CRC-64-AVRO, the fingerprint of the Avro specification.
 *
 * Depends on: base/span.h.  Ownership: nothing is kept.  Threads: pure. */
#ifndef MILLRACE_CODEC_FINGERPRINT_H
#define MILLRACE_CODEC_FINGERPRINT_H

#include "base/span.h"

/* Of a schema when `text` is its Parsing Canonical Form. */
uint64_t fingerprint_crc64(struct span text);

#endif
