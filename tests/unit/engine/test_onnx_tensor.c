/* test_onnx_tensor.c - a tensor's numbers arrive whichever field of the file holds them.
 */
#include "engine/onnx_tensor.h"

#include <stdlib.h>

#include "tests/unit/engine/onnx_writer.h"

static struct arena arena;
static struct bytes file;

static void set_up(void) {
    arena_init(&arena, 0);
    file.size = 0;
}

static void tear_down(void) {
    arena_release(&arena);
}

/* Reads the first `size` bytes of the file from memory of that size. */
static enum status read_part(size_t size, struct tensor *out, struct error *err) {
    uint8_t *copy = malloc(size > 0 ? size : 1);
    const char *name = NULL;
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, file.data, size);
    const enum status status =
        onnx_tensor_read(span_of(copy, size), &arena, out, &name, err);
    free(copy);
    ck_assert(status != STATUS_OK || strcmp(name, "t") == 0);
    return status;
}

static struct tensor read_whole(void) {
    struct tensor out = {0};
    struct error err;
    const enum status status = read_part(file.size, &out, &err);
    ck_assert_msg(status == STATUS_OK, "%s", err.text);
    return out;
}

static const int64_t two[] = {2};

/* Two numbers as varints in `field`. */
static void put_numbers(int64_t dtype, unsigned field, int64_t first, int64_t second) {
    put_tensor_head(&file, "t", dtype, two, 1);
    put_int(&file, field, first);
    put_int(&file, field, second);
}

enum { INT32_DATA = 5, STRING_DATA = 6, INT64_DATA = 7, RAW_DATA = 9, UINT64_DATA = 11 };

/* The bytes that two numbers become, for each dtype that varint fields hold. */
static const struct {
    enum dtype dtype;
    unsigned field;
    int64_t numbers[2];
    uint8_t bytes[16];
} integers[] = {
    {DTYPE_U8, INT32_DATA, {200, 1}, {200, 1}},
    {DTYPE_I8, INT32_DATA, {-2, 1}, {0xfe, 1}},
    {DTYPE_BOOL, INT32_DATA, {7, 0}, {1, 0}},
    {DTYPE_U16, INT32_DATA, {0xfedc, 1}, {0xdc, 0xfe, 1, 0}},
    {DTYPE_I16, INT32_DATA, {-2, 1}, {0xfe, 0xff, 1, 0}},
    {DTYPE_F16, INT32_DATA, {0x3c00, 1}, {0, 0x3c, 1, 0}},
    {DTYPE_BF16, INT32_DATA, {0x3f80, 1}, {0x80, 0x3f, 1, 0}},
    {DTYPE_I32, INT32_DATA, {-2, 1}, {0xfe, 0xff, 0xff, 0xff, 1}},
    {DTYPE_U32, UINT64_DATA, {0xfffffffe, 1}, {0xfe, 0xff, 0xff, 0xff, 1}},
    {DTYPE_I64, INT64_DATA, {-2, 1}, {0xfe, 255, 255, 255, 255, 255, 255, 255, 1}},
    {DTYPE_U64, UINT64_DATA, {-2, 1}, {0xfe, 255, 255, 255, 255, 255, 255, 255, 1}},
};

START_TEST(integer_fields_become_their_type) {
    for (size_t i = 0; i < ARRAY_COUNT(integers); i++) {
        file.size = 0;
        put_numbers(integers[i].dtype, integers[i].field, integers[i].numbers[0],
                    integers[i].numbers[1]);
        const struct tensor x = read_whole();
        ck_assert_int_eq(x.dtype, integers[i].dtype);
        ck_assert_msg(memcmp(x.data, integers[i].bytes, tensor_size(&x)) == 0, "%s",
                      dtype_name(x.dtype));
    }
}
END_TEST

START_TEST(float_fields_are_taken_as_they_are) {
    const float floats[] = {1.5F, -2.0F};
    const double doubles[] = {1.5, -2.0};
    put_tensor_head(&file, "t", DTYPE_F32, two, 1);
    put_span(&file, 4, floats, sizeof(floats));
    ck_assert_mem_eq(read_whole().data, floats, sizeof(floats));
    file.size = 0;
    put_tensor_head(&file, "t", DTYPE_F64, two, 1);
    put_span(&file, 10, doubles, sizeof(doubles));
    ck_assert_mem_eq(read_whole().data, doubles, sizeof(doubles));
}
END_TEST

START_TEST(strings_outlive_the_file) {
    put_tensor_head(&file, "t", DTYPE_STRING, two, 1);
    put_text(&file, STRING_DATA, "one");
    put_text(&file, STRING_DATA, "");
    const struct tensor x = read_whole();
    const struct span *texts = x.data;
    ck_assert(span_is(texts[0], "one"));
    ck_assert(span_is(texts[1], ""));
}
END_TEST

/* Raw data lies in the file at any address; what comes out is aligned. */
START_TEST(raw_data_is_aligned_and_its_bools_are_clean) {
    const uint8_t raw[] = {0, 2, 255, 1, 0, 0, 0, 0};
    put_tensor_head(&file, "t", DTYPE_I32, two, 1);
    put_span(&file, RAW_DATA, raw, sizeof(raw));
    const struct tensor x = read_whole();
    ck_assert_uint_eq((uintptr_t)x.data % sizeof(int32_t), 0);
    ck_assert_mem_eq(x.data, raw, sizeof(raw));
    file.size = 0;
    put_tensor_head(&file, "t", DTYPE_BOOL, two, 1);
    put_span(&file, RAW_DATA, raw, 2);
    ck_assert_mem_eq(read_whole().data, ((const uint8_t[]){0, 1}), 2);
}
END_TEST

START_TEST(scalars_and_empty_tensors_are_read) {
    const int64_t dims[] = {3, 0, 2}, number = 42;
    put_tensor_head(&file, "t", DTYPE_I64, NULL, 0);
    put_span(&file, RAW_DATA, &number, sizeof(number));
    const struct tensor scalar = read_whole();
    ck_assert_int_eq(scalar.rank, 0);
    ck_assert_mem_eq(scalar.data, &number, sizeof(number));
    file.size = 0;
    put_tensor_head(&file, "t", DTYPE_F32, dims, 3);
    const struct tensor empty = read_whole();
    ck_assert_int_eq(empty.rank, 3);
    ck_assert_uint_eq(tensor_count(&empty), 0);
    ck_assert_ptr_nonnull(empty.data);
}
END_TEST

START_TEST(every_truncation_is_refused) {
    const int64_t raw[] = {1, 2};
    put_tensor_head(&file, "t", DTYPE_I64, two, 1);
    put_span(&file, RAW_DATA, raw, sizeof(raw));
    for (size_t size = 0; size < file.size; size++) {
        struct tensor out;
        struct error err;
        const enum status status = read_part(size, &out, &err);
        ck_assert(status == STATUS_INVALID || status == STATUS_UNSUPPORTED);
    }
}
END_TEST

START_TEST(dtypes_have_their_numbers) {
    ck_assert_int_eq(onnx_dtype(1), DTYPE_F32);
    ck_assert_int_eq(onnx_dtype(16), DTYPE_BF16);
    const int32_t others[] = {INT32_MIN, -1, 0, 14, 15, 27, 28, INT32_MAX};
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        ck_assert_int_eq(onnx_dtype(others[i]), DTYPE_NONE);
    }
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        integer_fields_become_their_type,   float_fields_are_taken_as_they_are,
        strings_outlive_the_file,           raw_data_is_aligned_and_its_bools_are_clean,
        scalars_and_empty_tensors_are_read, every_truncation_is_refused,
        dtypes_have_their_numbers,
    };
    return suite_run_with("engine: onnx tensor", tests, ARRAY_COUNT(tests), set_up,
                          tear_down);
}
