/* rows_codec.h - the codecs of Avro containers: null, deflate, snappy, zstandard.
 *
 * What comes out of a block is bounded, whatever its bytes claim or unfold into.
 *
 * Depends on: base/; libdeflate, snappy and zstd, of which no type is needed here.
 * Ownership: a buffer owns its bytes until rows_buffer_release.
 * Threads: any; a buffer belongs to one. */
#ifndef MILLRACE_TOOLS_ROWS_CODEC_H
#define MILLRACE_TOOLS_ROWS_CODEC_H

#include "base/span.h"
#include "base/status.h"

#define ROWS_BLOCK_SIZE_MAX ((size_t)64 << 20) /* bytes of a block, packed or not */

/* What a flag of a codec takes. */
#define ROWS_CODECS "null|deflate|snappy|zstandard"

enum rows_codec {
    ROWS_CODEC_NULL,
    ROWS_CODEC_DEFLATE,
    ROWS_CODEC_SNAPPY,
    ROWS_CODEC_ZSTANDARD,
    ROWS_CODEC_COUNT
};

/* Bytes that grow. */
struct rows_buffer {
    uint8_t *data; /* owned */
    size_t size, room;
};

/* Sees to room for `size` more bytes behind those that are there. */
MUST_CHECK enum status rows_buffer_reserve(struct rows_buffer *buffer, size_t size,
                                           struct error *err);
MUST_CHECK enum status rows_buffer_add(struct rows_buffer *buffer, const void *bytes,
                                       size_t size, struct error *err);
/* Accepts a zeroed buffer and leaves it zeroed. */
void rows_buffer_release(struct rows_buffer *buffer);

/* "deflate"; and the codec of a name, or ROWS_CODEC_COUNT. */
const char *rows_codec_name(enum rows_codec codec);
enum rows_codec rows_codec_parse(struct span name);

/* Both append to *to.  STATUS_INVALID for bytes that the codec did not write, and for
 * more than ROWS_BLOCK_SIZE_MAX of them. */
MUST_CHECK enum status rows_codec_unpack(enum rows_codec codec, struct span from,
                                         struct rows_buffer *to, struct error *err);
MUST_CHECK enum status rows_codec_pack(enum rows_codec codec, struct span from,
                                       struct rows_buffer *to, struct error *err);

#endif
