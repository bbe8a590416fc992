/* writer.h - Avro's binary primitives, written.
 *
 * Each function writes at `to` and returns the place behind; the caller has made room,
 * from the sizes below and its own strings' lengths.
 *
 * Depends on: base/copy.h, base/span.h.
 * Ownership: nothing is kept.
 * Threads: pure functions. */
#ifndef MILLRACE_CODEC_WRITER_H
#define MILLRACE_CODEC_WRITER_H

#include "base/copy.h"
#include "base/span.h"

#define WRITER_INT_SIZE_MAX 5   /* bytes */
#define WRITER_LONG_SIZE_MAX 10 /* bytes; a length, a count and a branch are longs */

static inline uint8_t *writer_varint(uint8_t *to, uint64_t value) {
    while (value >= 0x80) {
        *to++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *to++ = (uint8_t)value;
    return to;
}

static inline uint8_t *writer_long(uint8_t *to, int64_t value) {
    return writer_varint(to, (uint64_t)value << 1 ^ (0 - ((uint64_t)value >> 63)));
}

/* A length, a count, an enum symbol or a union branch: never negative. */
static inline uint8_t *writer_size(uint8_t *to, size_t size) {
    return writer_varint(to, (uint64_t)size << 1);
}

static inline uint8_t *writer_raw(uint8_t *to, const void *bytes, size_t size) {
    if (size > 0) {
        memcpy(to, bytes, size);
    }
    return to + size;
}

/* The same, for what may be large. */
static inline uint8_t *writer_bulk(uint8_t *to, const void *bytes, size_t size) {
    copy_bytes(to, bytes, size);
    return to + size;
}

/* A string or bytes. */
static inline uint8_t *writer_bytes(uint8_t *to, struct span bytes) {
    return writer_raw(writer_size(to, bytes.size), bytes.data, bytes.size);
}

/* Bytes that writer_bytes needs at most. */
static inline size_t writer_bytes_size_max(struct span bytes) {
    return WRITER_LONG_SIZE_MAX + bytes.size;
}

/* A union of null and string; data NULL stands for null. */
static inline uint8_t *writer_optional(uint8_t *to, struct span text) {
    to = writer_size(to, text.data != NULL);
    return text.data == NULL ? to : writer_bytes(to, text);
}

#endif
