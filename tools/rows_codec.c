/* rows_codec.c - see rows_codec.h. */
#include "tools/rows_codec.h"

#include <snappy-c.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "base/size.h"

#define STEP_SIZE ((size_t)256 << 10) /* by which unpacking grows */
#define RAW_DEFLATE (-15)             /* zlib's window bits: no header, largest window */
#define DEFLATE_LEVEL 1               /* half the time of the default for 5 % more */
#define DEFLATE_MEMORY 8
/* Some writers leave zlib's own checksum, or part of it, behind the deflated bytes. */
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

static enum status unpack_deflate(struct span from, struct rows_buffer *to,
                                  struct error *err) {
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)from.data,
                       .avail_in = (uInt)from.size};
    size_t start = to->size;
    int code = from.size > ROWS_BLOCK_SIZE_MAX ? Z_DATA_ERROR
                                               : inflateInit2(&stream, RAW_DEFLATE);
    enum status status = STATUS_OK;
    if (code != Z_OK) {
        return error_set(err, STATUS_NO_MEMORY, "zlib cannot unpack %zu bytes",
                         from.size);
    }
    while (code == Z_OK && status == STATUS_OK) {
        status = grow(to, start, err);
        if (status == STATUS_OK) {
            stream.next_out = to->data + to->size;
            stream.avail_out = (uInt)(to->room - to->size);
            code = inflate(&stream, Z_NO_FLUSH);
            to->size = to->room - stream.avail_out;
        }
    }
    (void)inflateEnd(&stream); /* frees; its verdict is on misuse alone */
    if (status == STATUS_OK && to->size - start > ROWS_BLOCK_SIZE_MAX) {
        status = too_large(err);
    }
    if (status == STATUS_OK && (code != Z_STREAM_END || stream.avail_in > ADLER_SIZE)) {
        status = not_packed(ROWS_CODEC_DEFLATE, err);
    }
    return status;
}

static uint32_t checksum_of(const uint8_t *data, size_t size) {
    return (uint32_t)crc32_z(crc32_z(0, NULL, 0), data, size);
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
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)from.data,
                       .avail_in = (uInt)from.size};
    int code = deflateInit2(&stream, DEFLATE_LEVEL, Z_DEFLATED, RAW_DEFLATE,
                            DEFLATE_MEMORY, Z_DEFAULT_STRATEGY);
    size_t bound = code == Z_OK ? deflateBound(&stream, (uLong)from.size) : 0;
    enum status status = STATUS_OK;
    if (code != Z_OK) {
        return error_set(err, STATUS_NO_MEMORY, "no memory to pack with zlib");
    }
    status = rows_buffer_reserve(to, bound, err);
    if (status == STATUS_OK) {
        stream.next_out = to->data + to->size;
        stream.avail_out = (uInt)bound;
        code = deflate(&stream, Z_FINISH);
        to->size += bound - stream.avail_out;
        status = code == Z_STREAM_END
                     ? STATUS_OK
                     : error_set(err, STATUS_FATAL, "zlib failed with %d", code);
    }
    (void)deflateEnd(&stream); /* frees; its verdict is on misuse alone */
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
