/* bytes.c - see bytes.h. */
#include "engine/kernels/bytes.h"

#include "engine/kernels/kernels.h"

void bytes_add(const struct bytes_add *add, int64_t count, const uint8_t *a,
               const uint8_t *b, uint8_t *y) {
    kernels_current()->bytes_add[add->is_signed](add, count, a, b, y);
}

void bytes_add_one(const struct bytes_add *add, int64_t count, const uint8_t *a,
                   uint8_t b, uint8_t *y) {
    const float value = add->is_signed ? (float)(int8_t)b : (float)b;
    kernels_current()->bytes_shift[add->is_signed](
        add->a_scale, add->shift + value * add->b_scale, count, a, y);
}

void bytes_mul(const struct bytes_mul *mul, int64_t count, const uint8_t *a,
               const uint8_t *b, uint8_t *y) {
    kernels_current()->bytes_mul[mul->is_signed](mul, count, a, b, y);
}

void bytes_mul_one(const struct bytes_mul *mul, int64_t count, const uint8_t *a,
                   uint8_t b, uint8_t *y) {
    kernels_current()->bytes_mul_one[mul->is_signed](mul, count, a, b, y);
}

void bytes_floats(bool is_signed, int64_t count, const uint8_t *x, float zero,
                  float scale, float *y) {
    kernels_current()->bytes_floats[is_signed](count, x, zero, scale, y);
}

#if defined(__x86_64__)
static bool has_vbmi(void) {
    __builtin_cpu_init();
    return kernels_current()->level >= CPU_AVX512 &&
           __builtin_cpu_supports("avx512vbmi") != 0;
}
#endif

void bytes_table(const uint8_t table[BYTES_TABLE_SIZE], int64_t count, const uint8_t *x,
                 uint8_t *y) {
#if defined(__x86_64__)
    if (has_vbmi()) {
        bytes_table_vbmi(table, count, x, y);
        return;
    }
#endif
    for (int64_t i = 0; i < count; i++) {
        y[i] = table[x[i]];
    }
}
