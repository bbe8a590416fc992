/* span.h - a borrowed range of bytes.
 *
 * Depends on: nothing.  Ownership: borrowed by definition; whoever hands a span
 * out says until when.  Threads: plain data. */
#ifndef MILLRACE_BASE_SPAN_H
#define MILLRACE_BASE_SPAN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct span {
    const uint8_t *data;
    size_t size; /* bytes */
};

static inline struct span span_of(const void *data, size_t size) {
    return (struct span){.data = data, .size = size};
}

/* The text without its final 0; `text` may not be NULL. */
static inline struct span span_text(const char *text) {
    return span_of(text, strlen(text));
}

static inline bool span_equal(struct span a, struct span b) {
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool span_is(struct span a, const char *text) {
    return span_equal(a, span_text(text));
}

#endif
