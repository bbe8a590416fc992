/* bytes.h - loops over quantised bytes: sums, products, functions by table.
 *
 * Bytes have a sign or not, all operands and the result alike.  What is rounded goes to
 * the nearest number, halves to the even one, and what a byte does not reach saturates.
 * The levels agree to the bit.
 *
 * Depends on: nothing.
 * Ownership: arrays are the caller's; a result may not lie over an operand.
 * Threads: pure; any. */
#ifndef MILLRACE_ENGINE_KERNELS_BYTES_H
#define MILLRACE_ENGINE_KERNELS_BYTES_H

#include <stdbool.h>
#include <stdint.h>

#define BYTES_TABLE_SIZE 256

struct bytes_add {
    bool is_signed;
    float a_scale, b_scale, shift;
};

/* y[i] = a[i] * a_scale + b[i] * b_scale + shift. */
void bytes_add(const struct bytes_add *add, int64_t count, const uint8_t *a,
               const uint8_t *b, uint8_t *y);

/* The same where all of b is one byte. */
void bytes_add_one(const struct bytes_add *add, int64_t count, const uint8_t *a,
                   uint8_t b, uint8_t *y);

struct bytes_mul {
    bool is_signed;
    int32_t a_zero, b_zero; /* bytes */
    float scale, shift;
};

/* y[i] = (a[i] - a_zero) * (b[i] - b_zero) * scale + shift. */
void bytes_mul(const struct bytes_mul *mul, int64_t count, const uint8_t *a,
               const uint8_t *b, uint8_t *y);
void bytes_mul_one(const struct bytes_mul *mul, int64_t count, const uint8_t *a,
                   uint8_t b, uint8_t *y);

/* y[i] = (x[i] - zero) * scale. */
void bytes_floats(bool is_signed, int64_t count, const uint8_t *x, float zero,
                  float scale, float *y);

/* y[i] = table[x[i]], whatever signs bytes have. */
void bytes_table(const uint8_t table[BYTES_TABLE_SIZE], int64_t count, const uint8_t *x,
                 uint8_t *y);

#endif
