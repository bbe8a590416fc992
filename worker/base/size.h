/* size.h - checked arithmetic on sizes and counts that come from outside.
 *
 * Each returns false, and leaves *out alone, where the true result does not fit.
 * An unchecked `count * size` of outside numbers is a bug.
 *
 * Depends on: base/compiler.h.  Threads: pure. */
#ifndef MILLRACE_BASE_SIZE_H
#define MILLRACE_BASE_SIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

MUST_CHECK static inline bool size_mul(size_t a, size_t b, size_t *out) {
    /* Numbers of half the bits cannot overflow, and a division is slow. */
    if ((a | b) >> (sizeof(size_t) * 4) != 0 && b != 0 && a > SIZE_MAX / b) {
        return false;
    }
    *out = a * b;
    return true;
}

MUST_CHECK static inline bool size_add(size_t a, size_t b, size_t *out) {
    if (a > SIZE_MAX - b) {
        return false;
    }
    *out = a + b;
    return true;
}

/* Rounds up to a multiple of `align`, a power of two. */
static inline size_t size_align(size_t size, size_t align) {
    return (size + align - 1) & ~(align - 1);
}

static inline size_t size_min(size_t a, size_t b) {
    return a < b ? a : b;
}

static inline size_t size_max(size_t a, size_t b) {
    return a > b ? a : b;
}

#endif
