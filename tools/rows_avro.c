/* rows_avro.c - Avro object container files.
 *
 *     "Obj" 1, a map of bytes (avro.schema, avro.codec), 16 bytes of sync
 *     blocks: a count of records, the bytes they take, the bytes, packed; sync */
#include <jansson.h>

#include "base/size.h"
#include "codec/writer.h"
#include "tools/rows_impl.h"

#define MAGIC "Obj\x01"
#define MAGIC_SIZE 4
#define BLOCK_HEAD_MAX (2 * WRITER_LONG_SIZE_MAX)
#define ENTRIES_MAX 1024                        /* of the header's map */
#define CHUNK_PACKED_SIZE (ROWS_CHUNK_SIZE / 4) /* bytes, about */
#define CHUNK_RECORDS_MAX ((size_t)256 << 20)   /* bytes that these unpack to */

/* ---- the header ---------------------------------------------------------------------
 */

static enum status take_entry(struct rows_reader *reader, struct span key,
                              struct span value, bool *has_schema, struct error *err) {
    if (span_is(key, "avro.schema")) {
        *has_schema = true;
        if (reader->schema != NULL) {
            return error_set(err, STATUS_INVALID, "it has two schemas");
        }
        return avro_schema_parse(value, NULL, &reader->schema, err);
    }
    if (span_is(key, "avro.codec")) {
        reader->codec = value.size == 0 ? ROWS_CODEC_NULL : rows_codec_parse(value);
        if (reader->codec == ROWS_CODEC_COUNT) {
            return error_set(err, STATUS_UNSUPPORTED,
                             "its codec is none of null, deflate, snappy, zstandard");
        }
    }
    return STATUS_OK;
}

static enum status take_header(struct rows_reader *reader, struct reader *r,
                               struct error *err) {
    bool has_schema = false;
    struct span sync;
    for (size_t total = 0;;) {
        struct reader_block block;
        if (!reader_block(r, 2, ENTRIES_MAX - total, &block)) {
            return STATUS_INVALID;
        }
        if (block.count == 0) {
            break;
        }
        for (size_t i = 0; i < block.count; i++) {
            struct span key, value;
            if (!reader_bytes(r, 0, ROWS_HEADER_SIZE_MAX, &key) ||
                !reader_bytes(r, 0, ROWS_HEADER_SIZE_MAX, &value)) {
                return STATUS_INVALID;
            }
            enum status status = take_entry(reader, key, value, &has_schema, err);
            if (status != STATUS_OK) {
                return status;
            }
        }
        if (!reader_block_end(r, &block)) {
            return STATUS_INVALID;
        }
        total += block.count;
    }
    if (!reader_items(r, 1, ROWS_SYNC_SIZE, &sync)) {
        return STATUS_INVALID;
    }
    memcpy(reader->sync, sync.data, sync.size);
    if (!has_schema) {
        return error_set(err, STATUS_INVALID, "its header holds no schema");
    }
    if (avro_schema_root(reader->schema)->kind != AVRO_KIND_RECORD) {
        return error_set(err, STATUS_UNSUPPORTED,
                         "its rows are no records, but of type %s",
                         avro_kind_name(avro_schema_root(reader->schema)->kind));
    }
    if (avro_schema_root(reader->schema)->size_min == 0) {
        return error_set(err, STATUS_UNSUPPORTED, "its records hold nothing");
    }
    return STATUS_OK;
}

static enum status open_avro(struct rows_reader *reader, struct error *err) {
    struct rows_buffer head = {.data = NULL};
    struct reader r;
    enum status status = rows_pread(
        reader, 0, size_min((size_t)reader->size, ROWS_HEADER_SIZE_MAX), &head, err);
    if (status != STATUS_OK) {
        return status;
    }
    if (head.size < MAGIC_SIZE || memcmp(head.data, MAGIC, MAGIC_SIZE) != 0) {
        rows_buffer_release(&head);
        return error_set(err, STATUS_INVALID, "%s: it is no Avro container",
                         reader->path);
    }
    reader_init(&r, span_of(head.data, head.size), err);
    r.at += MAGIC_SIZE;
    r.field = "header";
    status = take_header(reader, &r, err);
    if (status == STATUS_INVALID) {
        err->status = status; /* to codec's readers all damage is a job's */
    }
    reader->offset = (uint64_t)(r.at - r.begin);
    rows_buffer_release(&head);
    return status == STATUS_OK ? status : (error_prefix(err, "%s", reader->path), status);
}

static enum status bind_avro(struct rows_reader *reader, struct error *err) {
    (void)reader, (void)err;
    return STATUS_OK;
}

/* ---- blocks -------------------------------------------------------------------------
 */

struct head {
    size_t count, size; /* records, bytes packed */
    size_t head_size;
};

static enum status damaged(const struct rows_reader *reader, uint64_t at,
                           const char *what, struct error *err) {
    return error_set(err, STATUS_INVALID, "%s: the block at byte %llu %s", reader->path,
                     (unsigned long long)at, what);
}

static enum status take_head(const struct rows_reader *reader, uint64_t at,
                             struct span bytes, struct head *head, struct error *err) {
    struct varint count = varint_read(bytes.data, bytes.data + bytes.size);
    struct varint size =
        count.next == NULL ? count : varint_read(count.next, bytes.data + bytes.size);
    if (size.next == NULL) {
        return damaged(reader, at, "is cut, or no block", err);
    }
    if ((count.value & 1) != 0 || (size.value & 1) != 0 ||
        size.value >> 1 > ROWS_BLOCK_SIZE_MAX) {
        return damaged(reader, at, "has a size or count that is negative or over 64 MiB",
                       err);
    }
    head->count = (size_t)(count.value >> 1);
    head->size = (size_t)(size.value >> 1);
    head->head_size = (size_t)(size.next - bytes.data);
    return STATUS_OK;
}

/* Whole blocks, as many as make a chunk. */
static enum status read_avro(struct rows_reader *reader, struct rows_chunk *chunk,
                             struct error *err) {
    uint64_t left = reader->size - reader->offset;
    size_t used = 0, whole;
    chunk->begin = chunk->end = reader->offset;
    chunk->raw.size = 0;
    if (rows_pread(reader, reader->offset, size_min((size_t)left, CHUNK_PACKED_SIZE),
                   &chunk->raw, err) != STATUS_OK) {
        return err->status;
    }
    while (used < chunk->raw.size) {
        struct head head;
        struct span rest = span_of(chunk->raw.data + used, chunk->raw.size - used);
        bool cut = rest.size < BLOCK_HEAD_MAX && used > 0;
        if (cut) {
            break; /* left to the next chunk */
        }
        if (take_head(reader, reader->offset + used, rest, &head, err) != STATUS_OK) {
            return err->status;
        }
        whole = head.head_size + head.size + ROWS_SYNC_SIZE;
        if (whole > rest.size && used > 0) {
            break;
        }
        if (whole > rest.size &&
            rows_pread(reader, reader->offset + chunk->raw.size, whole - rest.size,
                       &chunk->raw, err) != STATUS_OK) {
            return err->status;
        }
        if (whole > chunk->raw.size - used) {
            return damaged(reader, reader->offset + used,
                           "is cut: the file ends within it", err);
        }
        used += whole;
    }
    chunk->raw.size = used;
    reader->offset += used;
    chunk->end = reader->offset;
    return STATUS_OK;
}

static enum status decode_avro(const struct rows_reader *reader, struct rows_chunk *chunk,
                               struct error *err) {
    size_t least = avro_schema_root(reader->schema)->size_min;
    size_t used = 0;
    while (used < chunk->raw.size) {
        struct rows_block block;
        struct head head;
        struct span rest = span_of(chunk->raw.data + used, chunk->raw.size - used);
        const uint8_t *at;
        size_t start = chunk->records.size;
        if (take_head(reader, chunk->begin + used, rest, &head, err) != STATUS_OK) {
            return err->status;
        }
        at = rest.data + head.head_size;
        if (memcmp(at + head.size, reader->sync, ROWS_SYNC_SIZE) != 0) {
            return damaged(reader, chunk->begin + used,
                           "does not end with the file's sync marker", err);
        }
        if (rows_codec_unpack(reader->codec, span_of(at, head.size), &chunk->records,
                              err) != STATUS_OK) {
            return error_prefix(err, "%s: at byte %llu", reader->path,
                                (unsigned long long)(chunk->begin + used));
        }
        if (head.count > (chunk->records.size - start) / least) {
            return damaged(reader, chunk->begin + used,
                           "claims more records than its bytes can hold", err);
        }
        if (chunk->records.size > CHUNK_RECORDS_MAX) {
            return damaged(reader, chunk->begin + used,
                           "and those before it unpack to more than 256 MiB", err);
        }
        block = (struct rows_block){.end = chunk->records.size, .count = head.count};
        if (rows_buffer_add(&chunk->blocks, &block, sizeof(block), err) != STATUS_OK) {
            return err->status;
        }
        used += head.head_size + head.size + ROWS_SYNC_SIZE;
    }
    return STATUS_OK;
}

/* ---- writing ------------------------------------------------------------------------
 */

static enum status avro_header(const struct rows_writer *writer, int64_t rows,
                               struct rows_buffer *to, struct error *err) {
    struct span codec = span_text(rows_codec_name(writer->opts.codec));
    struct span schema = writer->opts.json;
    uint8_t *at;
    (void)rows;
    if (rows_buffer_reserve(to, schema.size + 256, err) != STATUS_OK) {
        return err->status;
    }
    at = writer_raw(to->data + to->size, MAGIC, MAGIC_SIZE);
    at = writer_size(at, 2);
    at = writer_bytes(at, span_text("avro.codec"));
    at = writer_bytes(at, codec);
    at = writer_bytes(at, span_text("avro.schema"));
    at = writer_bytes(at, schema);
    *at++ = 0;
    at = writer_raw(at, writer->opts.sync, ROWS_SYNC_SIZE);
    to->size = (size_t)(at - to->data);
    return STATUS_OK;
}

static enum status avro_row(const struct rows_writer *writer, struct span raw,
                            struct span record, struct rows_buffer *body,
                            struct error *err) {
    (void)writer, (void)raw;
    return rows_buffer_add(body, record.data, record.size, err);
}

/* The sizes stand ahead of what is packed, whose size is known only then: packed with
 * room ahead, and moved. */
static enum status avro_pack(const struct rows_writer *writer, int64_t count,
                             const struct rows_buffer *body, struct rows_buffer *to,
                             struct error *err) {
    uint8_t head[BLOCK_HEAD_MAX], *end;
    size_t start = to->size, packed, size;
    if (rows_buffer_reserve(to, BLOCK_HEAD_MAX, err) != STATUS_OK) {
        return err->status;
    }
    to->size += BLOCK_HEAD_MAX;
    if (rows_codec_pack(writer->opts.codec, span_of(body->data, body->size), to, err) !=
        STATUS_OK) {
        return err->status;
    }
    packed = to->size - start - BLOCK_HEAD_MAX;
    end = writer_size(writer_size(head, (size_t)count), packed);
    size = (size_t)(end - head);
    memmove(to->data + start + size, to->data + start + BLOCK_HEAD_MAX, packed);
    memcpy(to->data + start, head, size);
    to->size = start + size + packed;
    return rows_buffer_add(to, writer->opts.sync, ROWS_SYNC_SIZE, err);
}

static const char *const extensions[] = {"avro", NULL};
const struct rows_ops rows_avro_ops = {
    .name = "avro",
    .extensions = extensions,
    .open = open_avro,
    .bind = bind_avro,
    .read = read_avro,
    .decode = decode_avro,
    .header = avro_header,
    .row = avro_row,
    .pack = avro_pack,
};
