/* reader.h - Avro's binary primitives, read from bytes nobody vouches for.
 *
 * Every read is bounded by the bytes left, allocates nothing and does not recurse.  The
 * first failure fills the reader's error with the field's path, the byte offset and the
 * reason ("inputs[2].shape at byte 57: ..."); the values of a message are never part of
 * it, lengths and counts are.  After a failure the reader is not used again.
 *
 * The walk over an array or a map:
 *
 *     for (size_t total = 0;; total += block.count) {
 *         if (!reader_block(r, ITEM_SIZE_MIN, COUNT_MAX - total, &block)) return false;
 *         if (block.count == 0) break;
 *         ... read block.count items ...
 *         if (!reader_block_end(r, &block)) return false;
 *     }
 *
 * ITEM_SIZE_MIN, 1 to READER_ITEM_SIZE_MAX, ties the count to the bytes left, so that a
 * few bytes cannot announce a million items.
 *
 * Depends on: base/span.h, base/status.h, codec/utf8.h.
 * Ownership: borrows the message; spans it returns point into it.
 * Threads: a reader belongs to one. */
#ifndef MILLRACE_CODEC_READER_H
#define MILLRACE_CODEC_READER_H

#include <assert.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "codec/utf8.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "Avro's floats and our tensors are copied as they are");

#define VARINT_SIZE_MAX 10                      /* bytes of the longest 64-bit varint */
#define READER_MESSAGE_SIZE_MAX (SIZE_MAX / 16) /* bytes; no memory is that large */
#define READER_ITEM_SIZE_MAX 16                 /* bytes that an item is known to take */

struct reader {
    const uint8_t *begin; /* of the message; offsets in errors count from here */
    const uint8_t *at;    /* the next byte: begin <= at <= end */
    const uint8_t *end;
    const char *list;  /* the array whose item is being read, or NULL at the top */
    size_t item;       /* which item of `list` */
    const char *field; /* the field being read */
    struct error *err; /* borrowed; filled by the first failure */
};

/* One block of an array or map. */
struct reader_block {
    size_t count;       /* items in it; 0 closes the array or map */
    const uint8_t *end; /* where it must end; NULL where the writer did not say */
};

/* A varint and the byte behind it; `next` is NULL where the bytes end within it or it
 * does not fit 64 bits. */
struct varint {
    const uint8_t *next;
    uint64_t value;
};

/* Where the message begins; a place of its own for an empty one. */
static inline const uint8_t *reader_begin(struct span message) {
    static const uint8_t nothing[1];
    return message.size == 0 ? nothing : message.data;
}

static inline void reader_init(struct reader *r, struct span message, struct error *err) {
    const uint8_t *begin = reader_begin(message);
    assert(message.size <= READER_MESSAGE_SIZE_MAX);
    *r = (struct reader){
        .begin = begin, .at = begin, .end = begin + message.size, .err = err};
}

/* Fills the error with path, offset of `at` and the text; is false, and a compiler that
 * sees so knows what is left set where a read has failed. */
#define reader_fail(r, at, ...) (reader_report((r), (at), __VA_ARGS__), false)

void reader_report(struct reader *r, const uint8_t *at, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

/* Out of line, for what is rare: the last bytes of a message, varints past 8 bytes. */
struct varint varint_read_slow(const uint8_t *at, const uint8_t *end);
/* Tells what is wrong with the varint at r->at. */
void reader_report_varint(struct reader *r);

/* Tells what is wrong with the length at r->at. */
void reader_report_length(struct reader *r, size_t size_min, size_t size_max);
/* reader_block where the next byte is not the end. */
MUST_CHECK bool reader_block_items(struct reader *r, size_t item_size_min,
                                   size_t count_max, struct reader_block *block);

static inline size_t reader_left(const struct reader *r) {
    return (size_t)(r->end - r->at);
}

static inline int64_t varint_zigzag(uint64_t value) {
    return (int64_t)((value >> 1) ^ (0 - (value & 1)));
}

/* Up to 8 bytes are gathered at once, without a branch for each, since lengths of numbers
 * in a row are hard to foretell.  `next` is NULL, too, where fewer than 8 bytes are left
 * or the varint has more. */
static inline struct varint varint_gather(const uint8_t *at, const uint8_t *end) {
    const uint64_t stops = UINT64_C(0x8080808080808080);
    uint64_t bytes, stop;
    if (UNLIKELY(end - at < (ptrdiff_t)sizeof(bytes))) {
        return (struct varint){NULL, 0};
    }
    memcpy(&bytes, at, sizeof(bytes));
    stop = ~bytes & stops;
    if (UNLIKELY(stop == 0)) {
        return (struct varint){NULL, 0};
    }
    stop &= 0 - stop; /* the top bit of the varint's last byte */
    bytes &= (stop | (stop - 1)) & ~stops;
    bytes = (bytes & 0x007f007f007f007f) | (bytes & 0x7f007f007f007f00) >> 1;
    bytes = (bytes & 0x00003fff00003fff) | (bytes & 0x3fff00003fff0000) >> 2;
    bytes = (bytes & 0x000000000fffffff) | (bytes & 0x0fffffff00000000) >> 4;
    return (struct varint){at + TRAILING_ZEROS(stop) / 8 + 1, bytes};
}

/* One byte is the commonest length. */
static inline struct varint varint_read(const uint8_t *at, const uint8_t *end) {
    struct varint v;
    if (LIKELY(at < end && *at < 0x80)) {
        return (struct varint){at + 1, *at};
    }
    v = varint_gather(at, end);
    return LIKELY(v.next != NULL) ? v : varint_read_slow(at, end);
}

/* The same for lengths and counts, which hardly change from record to record: a branch
 * for each of the first two bytes is foretold, and what comes behind need not wait.  More
 * than a byte stands for 64 bytes or more, so that `next` may be NULL where fewer than 8
 * are left: varint_read tells. */
static inline struct varint varint_read_length(const uint8_t *at, const uint8_t *end) {
    if (LIKELY(end - at >= 2 && (at[0] & 0x80) != 0 && at[1] < 0x80)) {
        return (struct varint){at + 2, (uint64_t)(at[0] & 0x7f) | (uint64_t)at[1] << 7};
    }
    if (LIKELY(at < end && *at < 0x80)) {
        return (struct varint){at + 1, *at};
    }
    return varint_gather(at, end);
}

MUST_CHECK static inline bool reader_long(struct reader *r, int64_t *value) {
    struct varint v = varint_read(r->at, r->end);
    if (UNLIKELY(v.next == NULL)) {
        reader_report_varint(r);
        return false;
    }
    r->at = v.next;
    *value = varint_zigzag(v.value);
    return true;
}

MUST_CHECK static inline bool reader_int(struct reader *r, int32_t *value) {
    const uint8_t *at = r->at;
    int64_t wide = 0;
    if (!reader_long(r, &wide)) {
        return false;
    }
    if (UNLIKELY(wide < INT32_MIN || wide > INT32_MAX)) {
        return reader_fail(r, at, "does not fit an int");
    }
    *value = (int32_t)wide;
    return true;
}

/* The index of an enum symbol or a union branch: 0 .. count - 1. */
MUST_CHECK static inline bool reader_index(struct reader *r, const char *what, int count,
                                           int *index) {
    const uint8_t *at = r->at;
    int64_t wide = 0;
    if (!reader_long(r, &wide)) {
        return false;
    }
    if (UNLIKELY(wide < 0 || wide >= count)) {
        return reader_fail(r, at, "%s %lld of %d", what, (long long)wide, count);
    }
    *index = (int)wide;
    return true;
}

MUST_CHECK static inline bool reader_enum(struct reader *r, int count, int *symbol) {
    return reader_index(r, "enum symbol", count, symbol);
}

MUST_CHECK static inline bool reader_branch(struct reader *r, int count, int *branch) {
    return reader_index(r, "union branch", count, branch);
}

/* A string or bytes of `size_min` to `size_max` bytes; not looked into. */
MUST_CHECK static inline bool reader_bytes(struct reader *r, size_t size_min,
                                           size_t size_max, struct span *bytes) {
    struct varint v = varint_read(r->at, r->end);
    size_t length = (size_t)(v.value >> 1);
    if (UNLIKELY(v.next == NULL || (v.value & 1) != 0 || length < size_min ||
                 length > size_max || length > (size_t)(r->end - v.next))) {
        reader_report_length(r, size_min, size_max);
        return false;
    }
    *bytes = span_of(v.next, length);
    r->at = v.next + length;
    return true;
}

/* The same, and it must be UTF-8. */
MUST_CHECK static inline bool reader_text(struct reader *r, size_t size_min,
                                          size_t size_max, struct span *text) {
    if (!reader_bytes(r, size_min, size_max, text)) {
        return false;
    }
    if (UNLIKELY(!utf8_valid(*text))) {
        return reader_fail(r, text->data, "is not UTF-8");
    }
    return true;
}

/* The next block: at most `count_max` items of at least `item_size_min` bytes. */
MUST_CHECK static inline bool reader_block(struct reader *r, size_t item_size_min,
                                           size_t count_max, struct reader_block *block) {
    if (LIKELY(r->at < r->end && *r->at == 0)) {
        r->at++;
        *block = (struct reader_block){0, NULL};
        return true;
    }
    return reader_block_items(r, item_size_min, count_max, block);
}

/* `count` items of `item_size` bytes each, side by side.  The product cannot overflow:
 * the count is compared with the bytes left first. */
MUST_CHECK static inline bool reader_items(struct reader *r, size_t count,
                                           size_t item_size, struct span *items) {
    if (UNLIKELY(count > reader_left(r) || count * item_size > reader_left(r))) {
        return reader_fail(r, r->at, "%zu items of %zu bytes, but %zu bytes are left",
                           count, item_size, reader_left(r));
    }
    *items = span_of(r->at, count * item_size);
    r->at += items->size;
    return true;
}

MUST_CHECK static inline bool reader_float(struct reader *r, float *value) {
    struct span item;
    if (!reader_items(r, 1, sizeof(*value), &item)) {
        return false;
    }
    memcpy(value, item.data, sizeof(*value));
    return true;
}

MUST_CHECK static inline bool reader_double(struct reader *r, double *value) {
    struct span item;
    if (!reader_items(r, 1, sizeof(*value), &item)) {
        return false;
    }
    memcpy(value, item.data, sizeof(*value));
    return true;
}

MUST_CHECK static inline bool reader_boolean(struct reader *r, bool *value) {
    struct span item;
    if (!reader_items(r, 1, 1, &item)) {
        return false;
    }
    if (UNLIKELY(*item.data > 1)) {
        return reader_fail(r, item.data, "a boolean is neither 0 nor 1");
    }
    *value = *item.data == 1;
    return true;
}

/* The block's items were read: they must end where its header said. */
MUST_CHECK static inline bool reader_block_end(struct reader *r,
                                               const struct reader_block *block) {
    if (UNLIKELY(block->end != NULL && block->end != r->at)) {
        return reader_fail(r, r->at, "a block's items end %s its announced size",
                           r->at < block->end ? "before" : "behind");
    }
    return true;
}

#endif
