/* taps.h - which taps of a sliding window lie where, along one axis; a window may be far
 * larger than its image, so that they are counted and not tried.
 *
 * Depends on: nothing.
 * Ownership: none.
 * Threads: pure functions. */
#ifndef MILLRACE_ENGINE_KERNELS_TAPS_H
#define MILLRACE_ENGINE_KERNELS_TAPS_H

#include <stdint.h>

struct taps_range {
    int64_t first, end; /* none where end <= first */
};

static inline int64_t taps_divide_up(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

/* Taps of a window at `origin` (its first tap's place) that lie in [low, high). */
static inline struct taps_range taps_inside(int64_t origin, int64_t taps,
                                            int64_t dilation, int64_t low, int64_t high) {
    int64_t first = origin < low ? taps_divide_up(low - origin, dilation) : 0;
    int64_t end = origin < high ? taps_divide_up(high - origin, dilation) : 0;
    return (struct taps_range){.first = first < taps ? first : taps,
                               .end = end < taps ? end : taps};
}

static inline int64_t taps_count(struct taps_range taps) {
    return taps.first < taps.end ? taps.end - taps.first : 0;
}

#endif
