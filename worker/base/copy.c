/* copy.c - see copy.h. */
#include "base/copy.h"

#if defined(__x86_64__)
#include <assert.h>
#include <stdint.h>

typedef uint8_t VECTOR(32) lane; /* one register of AVX2 */

#define LANE sizeof(lane)

/* Stores are aligned, since one that crosses a cache line takes twice as long; the first
 * and the last lane overlap those between them. */
TARGET("avx2")
void copy_wide(void *restrict to, const void *restrict from, size_t size) {
    const uint8_t *x = from;
    uint8_t *y = to, *last = y + size - LANE;
    size_t skip = LANE - ((uintptr_t)y & (LANE - 1));
    lane tail;
    assert(size >= LANE);
    tail = *(const lane *)(x + size - LANE);
    *(lane *)y = *(const lane *)x;
    x += skip;
    y += skip;
    for (; last - y >= (ptrdiff_t)(4 * LANE); x += 4 * LANE, y += 4 * LANE) {
        const lane *in = (const lane *)x;
        lane *out = (lane *)y;
        lane a = in[0], b = in[1], c = in[2], d = in[3];
        out[0] = a;
        out[1] = b;
        out[2] = c;
        out[3] = d;
    }
    for (; y < last; x += LANE, y += LANE) {
        *(lane *)y = *(const lane *)x;
    }
    *(lane *)last = tail;
}
#endif
