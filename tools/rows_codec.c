/* rows_codec.c - see rows_codec.h. */
#include "tools/rows_codec.h"

#include <libdeflate.h>
#include <snappy-c.h>
#include <stdlib.h>
#include <zstd.h>

#include "base/size.h"

#define STEP_SIZE ((size_t)256 << 10) /* by which unpacking grows */
#define DEFLATE_LEVEL 1 /* a third of the time of the default, for 5 % more */
/* Some writers leave zlib's checksum, or part of it, behind the deflated bytes. */
#define ADLER_SIZE 4
#define CHECKSUM_SIZE 4 /* behind a snappy block: CRC-32 of what was packed */

/* ---- buffers ------------------------------------------------------------------------
 */

enum status rows_buffer_reserve(struct rows_buffer *buffer, size_t size,
                                struct error *err) {
    size_t needed, room = buffer->room;
    uint8_t *grown;
    if (size <= buffer->room - buffer->size) {
        return STATUS_OK;
    }
    if (!size_add(buffer->size, size, &needed) || needed > SIZE_MAX / 4) {
        return error_set(err, STATUS_NO_MEMORY, "a buffer of %zu bytes more", size);
    }
    room = size_align(size_max(needed, room + room / 2), 4096);
    grown = realloc(buffer->data, room);
    if (grown == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for %zu bytes", room);
    }
    buffer->data = grown;
    buffer->room = room;
    return STATUS_OK;
}

enum status rows_buffer_add(struct rows_buffer *buffer, const void *bytes, size_t size,
                            struct error *err) {
    if (rows_buffer_reserve(buffer, size, err) != STATUS_OK) {
        return err->status;
    }
    if (size > 0) {
        memcpy(buffer->data + buffer->size, bytes, size);
    }
    buffer->size += size;
    return STATUS_OK;
}

void rows_buffer_release(struct rows_buffer *buffer) {
    free(buffer->data);
    *buffer = (struct rows_buffer){.data = NULL};
}

/* ---- unpacking ----------------------------------------------------------------------
 */

static enum status too_large(struct error *err) {
    return error_set(err, STATUS_INVALID, "a block unpacks to more than %zu bytes",
                     ROWS_BLOCK_SIZE_MAX);
}

static enum status not_packed(enum rows_codec codec, struct error *err) {
    return error_set(err, STATUS_INVALID, "a block is damaged: it is no %s",
                     rows_codec_name(codec));
}

/* Room for the next step of unpacking, up to a byte more than there may be. */
static enum status grow(struct rows_buffer *to, size_t start, struct error *err) {
    size_t used = to->size - start;
    return used > ROWS_BLOCK_SIZE_MAX
               ? too_large(err)
               : rows_buffer_reserve(
                     to, size_min(STEP_SIZE + used, ROWS_BLOCK_SIZE_MAX + 1 - used), err);
}

static enum status unpack_null(struct span from, struct rows_buffer *to,
                               struct error *err) {
    return from.size > ROWS_BLOCK_SIZE_MAX
               ? too_large(err)
               : rows_buffer_add(to, from.data, from.size, err);
}

/* How much it unpacks to is found by trying: each time with four times the room. */
static enum status unpack_deflate(struct span from, struct rows_buffer *to,
                                  struct error *err) {
    struct libdeflate_decompressor *unpacker = libdeflate_alloc_decompressor();
    enum libdeflate_result result = LIBDEFLATE_INSUFFICIENT_SPACE;
    size_t room = size_min(size_max(from.size * 4, STEP_SIZE), ROWS_BLOCK_SIZE_MAX);
    size_t used = 0, made = 0;
    enum status status = unpacker == NULL
                             ? error_set(err, STATUS_NO_MEMORY, "no memory to unpack")
                             : STATUS_OK;
    while (status == STATUS_OK && result == LIBDEFLATE_INSUFFICIENT_SPACE) {
        status = rows_buffer_reserve(to, room, err);
        if (status == STATUS_OK) {
            result = libdeflate_deflate_decompress_ex(
                unpacker, from.data, from.size, to->data + to->size, room, &used, &made);
        }
        if (result == LIBDEFLATE_INSUFFICIENT_SPACE && room == ROWS_BLOCK_SIZE_MAX) {
            status = too_large(err);
        }
        room = size_min(room * 4, ROWS_BLOCK_SIZE_MAX);
    }
    libdeflate_free_decompressor(unpacker); /* accepts NULL */
    if (status == STATUS_OK &&
        (result != LIBDEFLATE_SUCCESS || from.size - used > ADLER_SIZE)) {
        status = not_packed(ROWS_CODEC_DEFLATE, err);
    }
    to->size += status == STATUS_OK ? made : 0;
    return status;
}

static uint32_t checksum_of(const uint8_t *data, size_t size) {
    return libdeflate_crc32(0, data, size);
}

static enum status unpack_snappy(struct span from, struct rows_buffer *to,
                                 struct error *err) {
    size_t size = 0, packed = from.size < CHECKSUM_SIZE ? 0 : from.size - CHECKSUM_SIZE;
    const uint8_t *sum = from.data + packed;
    uint8_t *at;
    if (packed == 0 ||
        snappy_uncompressed_length((const char *)from.data, packed, &size) != SNAPPY_OK) {
        return not_packed(ROWS_CODEC_SNAPPY, err);
    }
    if (size > ROWS_BLOCK_SIZE_MAX) {
        return too_large(err);
    }
    if (rows_buffer_reserve(to, size_max(size, 1), err) != STATUS_OK) {
        return err->status;
    }
    at = to->data + to->size;
    if (snappy_uncompress((const char *)from.data, packed, (char *)at, &size) !=
        SNAPPY_OK) {
        return not_packed(ROWS_CODEC_SNAPPY, err);
    }
    if (checksum_of(at, size) != ((uint32_t)sum[0] << 24 | (uint32_t)sum[1] << 16 |
                                  (uint32_t)sum[2] << 8 | (uint32_t)sum[3])) {
        return error_set(err, STATUS_INVALID, "a block is damaged: its checksum differs");
    }
    to->size += size;
    return STATUS_OK;
}

/* The size that a frame claims need not be there, nor be true. */
static enum status unpack_zstandard(struct span from, struct rows_buffer *to,
                                    struct error *err) {
    ZSTD_DStream *stream = ZSTD_createDStream();
    ZSTD_inBuffer in = {from.data, from.size, 0};
    size_t start = to->size, left = 1;
    enum status status = STATUS_OK;
    if (stream == NULL || ZSTD_isError(ZSTD_initDStream(stream))) {
        (void)ZSTD_freeDStream(stream); /* accepts NULL, never fails */
        return error_set(err, STATUS_NO_MEMORY, "no memory to unpack zstandard");
    }
    while (status == STATUS_OK) {
        status = grow(to, start, err);
        if (status != STATUS_OK) {
            break;
        }
        ZSTD_outBuffer out = {to->data, to->room, to->size};
        size_t before = in.pos + out.pos;
        left = ZSTD_decompressStream(stream, &out, &in);
        to->size = out.pos;
        if (ZSTD_isError(left)) {
            status = not_packed(ROWS_CODEC_ZSTANDARD, err);
        } else if ((left == 0 && in.pos == in.size) || before == in.pos + out.pos) {
            break; /* the last frame is whole, or nothing moves any more */
        }
    }
    (void)ZSTD_freeDStream(stream);
    if (status == STATUS_OK && to->size - start > ROWS_BLOCK_SIZE_MAX) {
        status = too_large(err);
    }
    return status == STATUS_OK && left != 0 ? not_packed(ROWS_CODEC_ZSTANDARD, err)
                                            : status;
}

/* ---- packing ------------------------------------------------------------------------
 */

static enum status pack_null(struct span from, struct rows_buffer *to,
                             struct error *err) {
    return rows_buffer_add(to, from.data, from.size, err);
}

static enum status pack_deflate(struct span from, struct rows_buffer *to,
                                struct error *err) {
    struct libdeflate_compressor *packer = libdeflate_alloc_compressor(DEFLATE_LEVEL);
    size_t bound =
        packer == NULL ? 0 : libdeflate_deflate_compress_bound(packer, from.size);
    enum status status = packer == NULL
                             ? error_set(err, STATUS_NO_MEMORY, "no memory to pack")
                             : rows_buffer_reserve(to, bound, err);
    if (status == STATUS_OK) {
        size_t size = libdeflate_deflate_compress(packer, from.data, from.size,
                                                  to->data + to->size, bound);
        to->size += size;
        status = size > 0 ? STATUS_OK : error_set(err, STATUS_FATAL, "libdeflate failed");
    }
    libdeflate_free_compressor(packer); /* accepts NULL */
    return status;
}

static enum status pack_snappy(struct span from, struct rows_buffer *to,
                               struct error *err) {
    size_t size = snappy_max_compressed_length(from.size);
    uint32_t sum = checksum_of(from.data, from.size);
    const uint8_t tail[] = {(uint8_t)(sum >> 24), (uint8_t)(sum >> 16),
                            (uint8_t)(sum >> 8), (uint8_t)sum};
    if (rows_buffer_reserve(to, size, err) != STATUS_OK) {
        return err->status;
    }
    if (snappy_compress((const char *)from.data, from.size, (char *)to->data + to->size,
                        &size) != SNAPPY_OK) {
        return error_set(err, STATUS_FATAL, "snappy failed");
    }
    to->size += size;
    return rows_buffer_add(to, tail, sizeof(tail), err);
}

static enum status pack_zstandard(struct span from, struct rows_buffer *to,
                                  struct error *err) {
    size_t size = ZSTD_compressBound(from.size);
    if (rows_buffer_reserve(to, size, err) != STATUS_OK) {
        return err->status;
    }
    size = ZSTD_compress(to->data + to->size, size, from.data, from.size, 1);
    if (ZSTD_isError(size)) {
        return error_set(err, STATUS_FATAL, "zstd failed: %s", ZSTD_getErrorName(size));
    }
    to->size += size;
    return STATUS_OK;
}

/* ---- the table ----------------------------------------------------------------------
 */

typedef enum status (*codec_fn)(struct span from, struct rows_buffer *to,
                                struct error *err);

static const struct {
    const char *name;
    codec_fn unpack, pack;
} codecs[] = {
    [ROWS_CODEC_NULL] = {"null", unpack_null, pack_null},
    [ROWS_CODEC_DEFLATE] = {"deflate", unpack_deflate, pack_deflate},
    [ROWS_CODEC_SNAPPY] = {"snappy", unpack_snappy, pack_snappy},
    [ROWS_CODEC_ZSTANDARD] = {"zstandard", unpack_zstandard, pack_zstandard},
};
_Static_assert(ARRAY_COUNT(codecs) == ROWS_CODEC_COUNT, "every codec has its functions");

const char *rows_codec_name(enum rows_codec codec) {
    return codecs[codec].name;
}

enum rows_codec rows_codec_parse(struct span name) {
    for (int i = 0; i < ROWS_CODEC_COUNT; i++) {
        if (span_is(name, codecs[i].name)) {
            return (enum rows_codec)i;
        }
    }
    return ROWS_CODEC_COUNT;
}

enum status rows_codec_unpack(enum rows_codec codec, struct span from,
                              struct rows_buffer *to, struct error *err) {
    return codecs[codec].unpack(from, to, err);
}

enum status rows_codec_pack(enum rows_codec codec, struct span from,
                            struct rows_buffer *to, struct error *err) {
    return codecs[codec].pack(from, to, err);
}
