/* test_fill.c - elements on their way into a batch: what fits, what is refused. */
#include <math.h>

#include "codec/half.h"
#include "codec/job.h"
#include "tests/unit/codec/fixture.h"

static struct error err;

/* A tensor as job_parse leaves one, its items in one block. */
static struct job_tensor tensor_of(enum dtype dtype, enum job_data kind,
                                   const void *items, size_t size, size_t count) {
    return (struct job_tensor){.name = span_text("x"),
                               .dtype = dtype,
                               .kind = kind,
                               .count = count,
                               .contiguous = true,
                               .data = span_of(items, size)};
}

static enum status fill_double(double value, enum dtype dtype, void *to) {
    struct job_tensor x = tensor_of(dtype, JOB_DATA_DOUBLES, &value, sizeof(value), 1);
    return job_fill(&x, dtype, 1, to, &err);
}

static enum status fill_float(float value, enum dtype dtype, void *to) {
    struct job_tensor x = tensor_of(dtype, JOB_DATA_FLOATS, &value, sizeof(value), 1);
    return job_fill(&x, dtype, 1, to, &err);
}

static enum status fill_long(int64_t value, enum dtype dtype, void *to) {
    uint8_t bytes[WRITER_LONG_SIZE_MAX];
    size_t size = (size_t)(writer_long(bytes, value) - bytes);
    struct job_tensor x = tensor_of(dtype, JOB_DATA_LONGS, bytes, size, 1);
    return job_fill(&x, dtype, 1, to, &err);
}

/* The range of each integer dtype, as longs and as doubles. */
static const struct range {
    enum dtype dtype;
    int64_t least, most; /* as longs; uint64 goes further than a long can */
    double past;         /* the first double that is too large */
} ranges[] = {
    {DTYPE_I8, INT8_MIN, INT8_MAX, 0x1p7},     {DTYPE_I16, INT16_MIN, INT16_MAX, 0x1p15},
    {DTYPE_I32, INT32_MIN, INT32_MAX, 0x1p31}, {DTYPE_I64, INT64_MIN, INT64_MAX, 0x1p63},
    {DTYPE_U8, 0, UINT8_MAX, 0x1p8},           {DTYPE_U16, 0, UINT16_MAX, 0x1p16},
    {DTYPE_U32, 0, UINT32_MAX, 0x1p32},        {DTYPE_U64, 0, INT64_MAX, 0x1p64},
};

START_TEST(integers_are_held_to_their_range) {
    for (size_t i = 0; i < ARRAY_COUNT(ranges); i++) {
        const struct range *range = &ranges[i];
        int64_t to = 0;
        ck_assert_int_eq(fill_long(range->least, range->dtype, &to), STATUS_OK);
        ck_assert_int_eq(memcmp(&to, &range->least, dtype_size(range->dtype)), 0);
        to = 0;
        ck_assert_int_eq(fill_long(range->most, range->dtype, &to), STATUS_OK);
        ck_assert_int_eq(memcmp(&to, &range->most, dtype_size(range->dtype)), 0);
        if (range->least > INT64_MIN) {
            ck_assert_int_eq(fill_long(range->least - 1, range->dtype, &to),
                             STATUS_POISON);
        }
        if (range->most < INT64_MAX) {
            ck_assert_int_eq(fill_long(range->most + 1, range->dtype, &to),
                             STATUS_POISON);
        }
    }
}
END_TEST

START_TEST(reals_become_integers_only_where_they_are_integers) {
    for (size_t i = 0; i < ARRAY_COUNT(ranges); i++) {
        const struct range *range = &ranges[i];
        const double least = (double)range->least;
        const double bad[] = {
            range->past, nextafter(least, -INFINITY) - 1, 1.5, 0.1, INFINITY, -INFINITY,
            NAN};
        uint64_t to = 0;
        for (size_t k = 0; k < ARRAY_COUNT(bad); k++) {
            if (range->dtype == DTYPE_I64 && k == 1) {
                ck_assert_int_eq(fill_double(-0x1.0000000000001p63, DTYPE_I64, &to),
                                 STATUS_POISON);
                continue;
            }
            ck_assert_int_eq(fill_double(bad[k], range->dtype, &to), STATUS_POISON);
        }
        ck_assert_int_eq(fill_double(least, range->dtype, &to), STATUS_OK);
        ck_assert_int_eq(fill_double(-0.0, range->dtype, &to), STATUS_OK);
        ck_assert_int_eq(fill_double(nextafter(range->past, 0) - 0.0, range->dtype, &to),
                         range->past < 0x1p53 ? STATUS_POISON : STATUS_OK);
        ck_assert_int_eq(fill_float(100.0f, range->dtype, &to), STATUS_OK);
        ck_assert_int_eq(memcmp(&to, "d", 1), 0);
    }
}
END_TEST

START_TEST(reals_are_rounded_but_never_become_infinite) {
    float f32;
    double f64;
    uint16_t half;
    ck_assert_int_eq(fill_double(0.1, DTYPE_F32, &f32), STATUS_OK);
    ck_assert(f32 == 0.1f);
    ck_assert_int_eq(fill_double(1e39, DTYPE_F32, &f32), STATUS_POISON);
    ck_assert_int_eq(fill_double(-INFINITY, DTYPE_F32, &f32), STATUS_OK);
    ck_assert(isinf(f32));
    ck_assert_int_eq(fill_double(NAN, DTYPE_F32, &f32), STATUS_OK);
    ck_assert(isnan(f32));
    ck_assert_int_eq(fill_float(0.5f, DTYPE_F64, &f64), STATUS_OK);
    ck_assert(f64 == 0.5);
    ck_assert_int_eq(fill_float(65519.0f, DTYPE_F16, &half), STATUS_OK);
    ck_assert_uint_eq(half, 0x7bff);
    ck_assert_int_eq(fill_float(65520.0f, DTYPE_F16, &half), STATUS_POISON);
    ck_assert_int_eq(fill_float(-INFINITY, DTYPE_F16, &half), STATUS_OK);
    ck_assert_uint_eq(half, 0xfc00);
    ck_assert_int_eq(fill_float(INFINITY, DTYPE_BF16, &half), STATUS_OK);
    ck_assert_uint_eq(half, 0x7f80);
    ck_assert_int_eq(fill_double(3.4e38, DTYPE_BF16, &half), STATUS_POISON);
    ck_assert_int_eq(fill_long(70000, DTYPE_F16, &half), STATUS_POISON);
    ck_assert_int_eq(fill_long(-3, DTYPE_F32, &f32), STATUS_OK);
    ck_assert(f32 == -3.0f);
}
END_TEST

/* The double that 16 bits with `mantissa` stored bits stand for. */
static double widen(unsigned bits, int mantissa) {
    int exponent_max = (1 << (15 - mantissa)) - 1, bias = exponent_max / 2;
    int exponent = (int)(bits >> mantissa) & exponent_max;
    double fraction = bits & ((1u << mantissa) - 1);
    double value = exponent == 0
                       ? ldexp(fraction, 1 - bias - mantissa)
                       : ldexp(fraction + (1 << mantissa), exponent - bias - mantissa);
    return bits & 0x8000 ? -value : value;
}

START_TEST(halves_round_to_the_nearest_and_ties_to_even) {
    for (int mantissa = 7; mantissa <= 10; mantissa += 3) {
        unsigned infinity = mantissa == 7 ? HALF_BF16_INFINITY : HALF_F16_INFINITY;
        for (unsigned bits = 0; bits + 1 < infinity; bits++) {
            double low = widen(bits, mantissa), high = widen(bits + 1, mantissa);
            double middle = low + (high - low) / 2;
            ck_assert_uint_eq(half_round(low, mantissa), bits);
            ck_assert_uint_eq(half_round(-low, mantissa), bits | 0x8000);
            ck_assert_uint_eq(half_round(middle, mantissa), bits + (bits & 1));
            ck_assert_uint_eq(half_round(nextafter(middle, low), mantissa), bits);
            ck_assert_uint_eq(half_round(nextafter(middle, high), mantissa), bits + 1);
        }
        ck_assert_uint_eq(half_round(INFINITY, mantissa), infinity);
        ck_assert_uint_gt(half_round(NAN, mantissa) & 0x7fff, infinity);
        ck_assert_uint_eq(half_round(0x1p-1074, mantissa), 0);
        ck_assert_uint_eq(half_round(0x1p1000, mantissa), infinity);
    }
}
END_TEST

START_TEST(bytes_are_as_many_as_the_elements) {
    static const uint8_t bytes[8] = {0, 1, 1, 0, 1, 0, 0, 2};
    uint8_t to[8];
    struct job_tensor x = tensor_of(DTYPE_F32, JOB_DATA_BYTES, bytes, 8, 8);
    ck_assert_int_eq(job_fill(&x, DTYPE_F32, 2, to, &err), STATUS_OK);
    ck_assert_int_eq(memcmp(to, bytes, 8), 0);
    ck_assert_int_eq(job_fill(&x, DTYPE_F32, 1, to, &err), STATUS_POISON);
    ck_assert_int_eq(job_fill(&x, DTYPE_F32, 3, to, &err), STATUS_POISON);
    ck_assert_int_eq(job_fill(&x, DTYPE_F32, SIZE_MAX / 4 + 3, to, &err), STATUS_POISON);
    x.dtype = DTYPE_BOOL;
    ck_assert_int_eq(job_fill(&x, DTYPE_BOOL, 8, to, &err), STATUS_POISON);
    ck_assert_str_eq(err.text, "element 7 is a bool that is neither 0 nor 1");
    x.dtype = DTYPE_STRING;
    ck_assert_int_eq(job_fill(&x, DTYPE_STRING, 8, to, &err), STATUS_POISON);
}
END_TEST

START_TEST(a_pair_without_meaning_is_refused) {
    static const uint8_t bytes[16] = {0};
    static const uint32_t allowed[] = {
        [JOB_DATA_BOOLEANS] = 1u << DTYPE_BOOL,
        [JOB_DATA_STRINGS] = 1u << DTYPE_STRING,
    };
    const uint32_t numeric =
        ((1u << DTYPE_PLAIN_COUNT) - 1) &
        ~(1u << DTYPE_BOOL | 1u << DTYPE_STRING | 1u | 1u << 14 | 1u << 15);
    for (int kind = JOB_DATA_FLOATS; kind < JOB_DATA_COUNT; kind++) {
        for (int dtype = 1; dtype < DTYPE_PLAIN_COUNT; dtype++) {
            struct job_tensor x =
                tensor_of((enum dtype)dtype, (enum job_data)kind, bytes, 8, 1);
            uint32_t want = kind < JOB_DATA_BOOLEANS ? numeric : allowed[kind];
            uint64_t to[2];
            if (dtype == 14 || dtype == 15) {
                continue; /* no such dtype */
            }
            ck_assert_msg((job_fill(&x, (enum dtype)dtype, 1, to, &err) == STATUS_OK) ==
                              ((want >> dtype & 1) != 0),
                          "kind %d dtype %d", kind, dtype);
        }
    }
}
END_TEST

START_TEST(another_dtype_or_count_is_refused) {
    static const float values[2] = {1, 2};
    struct job_tensor x = tensor_of(DTYPE_F32, JOB_DATA_FLOATS, values, 8, 2);
    double to[2];
    ck_assert_int_eq(job_fill(&x, DTYPE_F64, 2, to, &err), STATUS_POISON);
    ck_assert_str_eq(err.text, "the type is float32, but the model takes float64");
    ck_assert_int_eq(job_fill(&x, DTYPE_F32, 3, to, &err), STATUS_POISON);
    ck_assert_str_eq(err.text, "2 elements, but 3 are expected");
}
END_TEST

START_TEST(a_value_that_does_not_fit_is_found_but_not_shown) {
    struct message m = {{0}, 0};
    struct job job;
    uint8_t to[8];
    put_job(&m, "id", "");
    put_long(&m, 1);
    put_tensor(&m, "a\nb", SYMBOL_I8, -1, JOB_DATA_INTS);
    for (int block = 0; block < 2; block++) {
        put_long(&m, 2);
        put_long(&m, 5);
        put_long(&m, block == 0 ? 5 : 12345);
    }
    put_bytes(&m, "\0\0", 2);
    ck_assert_int_eq(job_parse(span_of(m.bytes, m.size), &job, &err), STATUS_OK);
    ck_assert(!job.inputs[0].contiguous);
    ck_assert_int_eq(job_fill(&job.inputs[0], DTYPE_I8, 4, to, &err), STATUS_POISON);
    ck_assert_str_eq(err.text, "element 3 does not fit int8");
}
END_TEST

/* ---- shapes ---------------------------------------------------------------------- */

static int rows; /* that the last shape spoke of */

static enum status check(int job_rank, int64_t d0, int64_t d1, size_t count, int rank,
                         const int64_t *row, int64_t *out) {
    struct job_tensor x = tensor_of(DTYPE_F32, JOB_DATA_FLOATS, NULL, 0, count);
    x.rank = job_rank;
    x.dims[0] = d0;
    x.dims[1] = d1;
    return job_shape_check(&x, row, rank, out, &rows, &err);
}

START_TEST(a_shape_agrees_with_the_model_row) {
    const int64_t fixed[] = {3}, open[] = {-1};
    int64_t out[TENSOR_RANK_MAX] = {0};
    ck_assert_int_eq(check(1, 3, 0, 3, 1, fixed, out), STATUS_OK);
    ck_assert_int_eq(out[0], 3);
    ck_assert_int_eq(check(0, 0, 0, 3, 1, fixed, out), STATUS_OK);
    ck_assert_int_eq(rows, -1);
    ck_assert_int_eq(check(2, 1, 3, 3, 1, fixed, out), STATUS_OK);
    ck_assert_int_eq(rows, 1);
    ck_assert_int_eq(out[0], 3);
    ck_assert_int_eq(check(2, 1, 5, 5, 1, open, out), STATUS_OK);
    ck_assert_int_eq(out[0], 5);
    ck_assert_int_eq(check(1, 0, 0, 0, 1, open, out), STATUS_OK);
    ck_assert_int_eq(check(0, 0, 0, 1, 0, NULL, out), STATUS_OK);
    ck_assert_int_eq(check(1, 1, 0, 1, 0, NULL, out), STATUS_OK);
    ck_assert_int_eq(check(2, 2, 3, 6, 1, fixed, out), STATUS_OK);
    ck_assert_int_eq(out[0], 3);
    ck_assert_int_eq(rows, 2);
    ck_assert_int_eq(check(1, 7, 0, 7, 0, NULL, out), STATUS_OK);
    ck_assert_int_eq(rows, 7);
    ck_assert_int_eq(check(2, 2, 3, 5, 1, fixed, out), STATUS_POISON);
    ck_assert_str_eq(err.text, "5 floats do not make the shape [2,3] of float32");
    ck_assert_int_eq(check(2, 2, 4, 8, 1, fixed, out), STATUS_POISON);
    ck_assert_str_eq(err.text, "the shape is [2,4], but the model takes [3] a row");
    ck_assert_int_eq(check(2, 0, 3, 0, 1, fixed, out), STATUS_POISON);
    ck_assert_str_eq(err.text, "the shape [0,3] has 0 rows, but a job has 1 to 65536");
    ck_assert_int_eq(check(2, 65537, 0, 0, 1, open, out), STATUS_POISON);
    ck_assert_int_eq(check(2, INT64_MAX, 3, 3, 1, fixed, out), STATUS_POISON);
    ck_assert_int_eq(check(1, 4, 0, 4, 1, fixed, out), STATUS_POISON);
    ck_assert_str_eq(err.text, "the shape is [4], but the model takes [3] a row");
    ck_assert_int_eq(check(1, 3, 0, 2, 1, fixed, out), STATUS_POISON);
    ck_assert_str_eq(err.text, "2 floats do not make the shape [3] of float32");
    ck_assert_int_eq(check(0, 0, 0, 3, 1, open, out), STATUS_POISON);
}
END_TEST

START_TEST(a_shape_counts_bytes_by_their_dtype) {
    const int64_t row[] = {2};
    int64_t out[1];
    struct job_tensor x = tensor_of(DTYPE_F64, JOB_DATA_BYTES, NULL, 0, 16);
    ck_assert_int_eq(job_shape_check(&x, row, 1, out, &rows, &err), STATUS_OK);
    x.count = 2;
    ck_assert_int_eq(job_shape_check(&x, row, 1, out, &rows, &err), STATUS_POISON);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        integers_are_held_to_their_range,
        reals_become_integers_only_where_they_are_integers,
        reals_are_rounded_but_never_become_infinite,
        halves_round_to_the_nearest_and_ties_to_even,
        bytes_are_as_many_as_the_elements,
        a_pair_without_meaning_is_refused,
        another_dtype_or_count_is_refused,
        a_value_that_does_not_fit_is_found_but_not_shown,
        a_shape_agrees_with_the_model_row,
        a_shape_counts_bytes_by_their_dtype,
    };
    return run_tests("fill", tests, ARRAY_COUNT(tests));
}
