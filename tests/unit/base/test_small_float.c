/* test_small_float.c - every pattern of the small floats, and how values round. */
#include "base/small_float.h"

#include <math.h>

#include "tests/unit/suite.h"

static const enum dtype dtypes[] = {DTYPE_F16,        DTYPE_BF16,   DTYPE_F8E4M3FN,
                                    DTYPE_F8E4M3FNUZ, DTYPE_F8E5M2, DTYPE_F8E5M2FNUZ,
                                    DTYPE_F4E2M1};

static unsigned patterns(enum dtype dtype) {
    unsigned bits = dtype_packed_bits(dtype);
    return 1U << (bits != 0 ? bits : 8 * (unsigned)dtype_size(dtype));
}

START_TEST(every_number_comes_back_as_its_pattern) {
    for (size_t d = 0; d < ARRAY_COUNT(dtypes); d++) {
        const struct small_float *format = small_float_of(dtypes[d]);
        for (unsigned bits = 0; bits < patterns(dtypes[d]); bits++) {
            float value = small_to_f32(format, bits);
            if (!isnan(value)) {
                ck_assert_msg(small_from_f32(format, value, false) == bits, "%s %x",
                              dtype_name(dtypes[d]), bits);
            }
        }
    }
}
END_TEST

START_TEST(numbers_between_go_to_the_nearer_one_and_ties_to_even) {
    for (size_t d = 0; d < ARRAY_COUNT(dtypes); d++) {
        const struct small_float *format = small_float_of(dtypes[d]);
        for (unsigned bits = 0; bits + 1 < patterns(dtypes[d]) / 2; bits++) {
            float low = small_to_f32(format, bits), high = small_to_f32(format, bits + 1);
            float middle = low + (high - low) / 2;
            if (!isfinite(high)) {
                break;
            }
            ck_assert_uint_eq(small_from_f32(format, middle, true),
                              bits % 2 == 0 ? bits : bits + 1);
            ck_assert_uint_eq(small_from_f32(format, nextafterf(middle, low), true),
                              bits);
            ck_assert_uint_eq(small_from_f32(format, nextafterf(middle, high), true),
                              bits + 1);
        }
    }
}
END_TEST

START_TEST(what_is_too_large_saturates_or_is_infinite_or_no_number) {
    ck_assert_uint_eq(small_from_f32(&small_f8e4m3fn, 1e9F, true), 0x7e);
    ck_assert_uint_eq(small_from_f32(&small_f8e4m3fn, 1e9F, false), 0x7f);
    ck_assert_uint_eq(small_from_f32(&small_f8e5m2, -1e9F, true), 0xfb);
    ck_assert_uint_eq(small_from_f32(&small_f8e5m2, -1e9F, false), 0xfc);
    ck_assert_uint_eq(small_from_f32(&small_f8e4m3fnuz, INFINITY, false), 0x80);
    ck_assert_uint_eq(small_from_f32(&small_f8e5m2fnuz, -0.0F, true), 0);
    ck_assert_uint_eq(small_from_f32(&small_f4e2m1, -INFINITY, false), 0xf);
    ck_assert_uint_eq(small_from_f32(&small_f16, 65520.0F, false), 0x7c00);
}
END_TEST

START_TEST(powers_of_two_round_as_told) {
    ck_assert_uint_eq(e8m0_from_f32(1.0F, true, E8M0_UP), 127);
    ck_assert_uint_eq(e8m0_from_f32(1.1F, true, E8M0_UP), 128);
    ck_assert_uint_eq(e8m0_from_f32(1.1F, true, E8M0_DOWN), 127);
    ck_assert_uint_eq(e8m0_from_f32(1.5F, true, E8M0_NEAREST), 128);
    ck_assert_uint_eq(e8m0_from_f32(NAN, true, E8M0_UP), 255);
    ck_assert(e8m0_to_f32(126) == 0.5F);
}
END_TEST

START_TEST(small_integers_keep_their_sign) {
    ck_assert_int_eq(small_signed(0xf, 4), -1);
    ck_assert_int_eq(small_signed(0x8, 4), -8);
    ck_assert_int_eq(small_signed(0x7, 4), 7);
    ck_assert_int_eq(small_signed(0x2, 2), -2);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        every_number_comes_back_as_its_pattern,
        numbers_between_go_to_the_nearer_one_and_ties_to_even,
        what_is_too_large_saturates_or_is_infinite_or_no_number,
        powers_of_two_round_as_told,
        small_integers_keep_their_sign,
    };
    return suite_run("small_float", tests, ARRAY_COUNT(tests));
}
