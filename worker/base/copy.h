/* copy.h - memcpy for rows of a batch: some hundred bytes to some ten thousands.
 *
 * From 2112 bytes the C library's memcpy is `rep movsb` on processors that announce it as
 * fast.  On a Zen 4 that takes 34 ns for 3136 bytes, where plain 32-byte moves take 27,
 * and 890 ns where `to` stands a few bytes further into its page than `from` into its
 * own, which no caller can see to.
 *
 * Depends on: base/compiler.h.  Threads: pure. */
#ifndef MILLRACE_BASE_COPY_H
#define MILLRACE_BASE_COPY_H

#include <string.h>

#include "base/compiler.h"

/* Between these sizes, in bytes, it pays; above, memory is what takes the time. */
#define COPY_WIDE_MIN 128
#define COPY_WIDE_MAX (256 * 1024)

#if defined(__x86_64__)
/* For processors with AVX2, and 32 bytes or more. */
void copy_wide(void *restrict to, const void *restrict from, size_t size);
#endif

/* As memcpy; both may be NULL where `size` is 0. */
static inline void copy_bytes(void *restrict to, const void *restrict from, size_t size) {
#if defined(__x86_64__)
    if (LIKELY(size >= COPY_WIDE_MIN && size <= COPY_WIDE_MAX && CPU_HAS("avx2"))) {
        copy_wide(to, from, size);
        return;
    }
#endif
    if (size > 0) {
        memcpy(to, from, size);
    }
}

#endif
