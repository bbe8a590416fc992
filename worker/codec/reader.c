/* reader.c - see reader.h. */
#include "codec/reader.h"

#include <assert.h>
#include <stdarg.h>

void reader_report(struct reader *r, const uint8_t *at, const char *fmt, ...) {
    size_t offset = (size_t)(at - r->begin);
    const char *field = r->field == NULL ? "message" : r->field;
    char reason[256];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(reason, sizeof(reason), fmt, args); /* cut is intended */
    va_end(args);
    if (r->list != NULL) {
        (void)error_set(r->err, STATUS_POISON, "%s[%zu].%s at byte %zu: %s", r->list,
                        r->item, field, offset, reason);
    } else {
        (void)error_set(r->err, STATUS_POISON, "%s at byte %zu: %s", field, offset,
                        reason);
    }
}

struct varint varint_read_slow(const uint8_t *at, const uint8_t *end) {
    const struct varint bad = {NULL, 0};
    uint64_t value = 0;
    for (int i = 0; i < VARINT_SIZE_MAX && at < end; i++) {
        uint64_t byte = *at++;
        if (i == VARINT_SIZE_MAX - 1 && byte > 1) {
            return bad; /* past 64 bits */
        }
        value |= (byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            return (struct varint){at, value};
        }
    }
    return bad;
}

void reader_report_varint(struct reader *r) {
    if (reader_left(r) >= VARINT_SIZE_MAX) {
        reader_report(r, r->at, "a number longer than 64 bits");
    } else {
        reader_report(r, r->at, "the message ends %s a number",
                      reader_left(r) == 0 ? "before" : "within");
    }
}

void reader_report_length(struct reader *r, size_t size_min, size_t size_max) {
    const uint8_t *at = r->at;
    int64_t length = 0;
    if (!reader_long(r, &length)) {
        return; /* it has told */
    }
    if (length < 0) {
        reader_report(r, at, "a negative length");
    } else if ((uint64_t)length > size_max) {
        reader_report(r, at, "%lld bytes, more than the limit of %zu", (long long)length,
                      size_max);
    } else if ((uint64_t)length < size_min) {
        reader_report(r, at, "%lld bytes, fewer than %zu", (long long)length, size_min);
    } else {
        reader_report(r, at, "%lld bytes, but %zu bytes are left", (long long)length,
                      reader_left(r));
    }
}

/* A negative count is followed by the block's size in bytes. */
static bool block_size(struct reader *r, int64_t *count, struct reader_block *block) {
    const uint8_t *at = r->at;
    int64_t size = 0;
    if (*count == INT64_MIN) {
        return reader_fail(r, at, "an impossible item count");
    }
    *count = -*count;
    if (!reader_long(r, &size)) {
        return false;
    }
    if (size < 0 || (uint64_t)size > reader_left(r)) {
        return reader_fail(r, at, "a block of %lld bytes, but %zu bytes are left",
                           (long long)size, reader_left(r));
    }
    block->end = r->at + size;
    return true;
}

bool reader_block_items(struct reader *r, size_t item_size_min, size_t count_max,
                        struct reader_block *block) {
    const uint8_t *at = r->at;
    size_t left;
    int64_t count = 0;
    assert(item_size_min > 0);
    assert(item_size_min <= READER_ITEM_SIZE_MAX);
    block->count = 0;
    block->end = NULL;
    if (!reader_long(r, &count)) {
        return false;
    }
    if (UNLIKELY(count < 0) && !block_size(r, &count, block)) {
        return false;
    }
    left = block->end == NULL ? reader_left(r) : (size_t)(block->end - r->at);
    if (UNLIKELY((uint64_t)count > count_max)) {
        return reader_fail(r, at, "%lld more items than the %zu allowed",
                           (long long)((uint64_t)count - count_max), count_max);
    }
    if (UNLIKELY((uint64_t)count > left || (uint64_t)count * item_size_min > left)) {
        return reader_fail(r, at,
                           "%lld items of %zu or more bytes, but %zu bytes are left",
                           (long long)count, item_size_min, left);
    }
    block->count = (size_t)count;
    return true;
}
