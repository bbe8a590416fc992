/* conv_bytes_impl.h - inside conv_bytes: what conv_bytes.c, depthwise_bytes.c and
 * direct_bytes.c share.
 *
 * Depends on, ownership, threads: as conv_bytes.h. */
#ifndef MILLRACE_ENGINE_KERNELS_CONV_BYTES_IMPL_H
#define MILLRACE_ENGINE_KERNELS_CONV_BYTES_IMPL_H

#include <string.h>

#include "base/compiler.h"
#include "engine/kernels/conv_bytes.h"

/* One image, channels last on both sides. */
struct conv_bytes_image {
    const uint8_t *x;
    uint8_t flip, x_zero; /* of x; x_zero is of x ^ flip */
    const void *packed;
    const struct gemm_bytes_tail *tail;
    void *y;
    uint8_t *scratch;
};

size_t depthwise_bytes_pack_size(const struct conv_bytes *c);
size_t depthwise_bytes_scratch_size(const struct conv_bytes *c);
void depthwise_bytes_pack(const struct conv_bytes *c, const uint8_t *w,
                          const int32_t *zero, void *packed);
void depthwise_bytes_columns(const struct conv_bytes *c, const void *packed,
                             int32_t *sums);

/* Puts the tail's numbers in the order of the sums, once for all images. */
void depthwise_bytes_begin(const struct conv_bytes *c, const struct gemm_bytes_tail *tail,
                           uint8_t *scratch);
void depthwise_bytes_run(const struct conv_bytes *c, const struct conv_bytes_image *i);

/* How the direct way sees the image: one axis is one row. */
bool direct_bytes_fits(const struct conv_bytes *c);
/* Bytes of a row of taps in packed weights: a multiple of 4. */
int64_t direct_bytes_piece(const struct conv_bytes *c);
size_t direct_bytes_scratch_size(const struct conv_bytes *c);
void direct_bytes_run(const struct conv_bytes *c, const struct conv_bytes_image *i);

/* A few bytes are copied without a call: the last 16 (8, 4) overlap those before. */
ALWAYS_INLINE void copy_bytes(uint8_t *restrict to, const uint8_t *restrict from,
                              int64_t count) {
    struct sixteen {
        uint64_t half[2];
    } piece;
    uint64_t eight;
    uint32_t four;
    if (count >= 256) {
        memcpy(to, from, (size_t)count);
    } else if (count >= 16) {
        for (int64_t i = 0; i < count - 16; i += 16) {
            memcpy(&piece, from + i, sizeof(piece));
            memcpy(to + i, &piece, sizeof(piece));
        }
        memcpy(&piece, from + count - 16, sizeof(piece));
        memcpy(to + count - 16, &piece, sizeof(piece));
    } else if (count >= 8) {
        memcpy(&eight, from, sizeof(eight));
        memcpy(to, &eight, sizeof(eight));
        memcpy(&eight, from + count - 8, sizeof(eight));
        memcpy(to + count - 8, &eight, sizeof(eight));
    } else if (count >= 4) {
        memcpy(&four, from, sizeof(four));
        memcpy(to, &four, sizeof(four));
        memcpy(&four, from + count - 4, sizeof(four));
        memcpy(to + count - 4, &four, sizeof(four));
    } else {
        for (int64_t i = 0; i < count; i++) {
            to[i] = from[i];
        }
    }
}

#endif
