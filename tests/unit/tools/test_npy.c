/* test_npy.c - .npy files: all types, both orders, and files that lie. */
#include "tools/npy.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/size.h"
#include "tests/unit/suite.h"

static uint8_t bytes[4096];

/* A file of format `major` with this header and these elements. */
static struct span make_file(int major, const char *header, const void *elements,
                             size_t size) {
    size_t length = strlen(header);
    size_t used = 0;
    memcpy(bytes, "\x93NUMPY", 6);
    bytes[6] = (uint8_t)major;
    bytes[7] = 0;
    used = 8;
    for (int i = 0; i < (major == 1 ? 2 : 4); i++) {
        bytes[used++] = (uint8_t)(length >> (8 * i));
    }
    memcpy(bytes + used, header, length);
    memcpy(bytes + used + length, elements, size);
    return span_of(bytes, used + length + size);
}

START_TEST(every_format_version_is_read) {
    static const float values[] = {1.5f, -2.0f};
    for (int major = 1; major <= 3; major++) {
        struct npy_array array;
        struct error err;
        struct span file = make_file(
            major, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n", values,
            sizeof(values));
        ck_assert_int_eq(npy_parse(file, &array, &err), STATUS_OK);
        ck_assert_int_eq(array.tensor.dtype, DTYPE_F32);
        ck_assert_int_eq(array.tensor.rank, 1);
        ck_assert_int_eq(array.tensor.dims[0], 2);
        ck_assert_mem_eq(array.elements, values, sizeof(values));
        npy_release(&array);
    }
}
END_TEST

START_TEST(fortran_order_comes_out_row_major) {
    static const int32_t columns[] = {1, 4, 2, 5, 3, 6}; /* of [[1,2,3],[4,5,6]] */
    static const int32_t rows[] = {1, 2, 3, 4, 5, 6};
    struct npy_array array;
    struct error err;
    struct span file =
        make_file(1, "{'descr': '<i4', 'fortran_order': True, 'shape': (2, 3), }",
                  columns, sizeof(columns));
    ck_assert_int_eq(npy_parse(file, &array, &err), STATUS_OK);
    ck_assert_mem_eq(array.elements, rows, sizeof(rows));
    npy_release(&array);
}
END_TEST

START_TEST(the_other_byte_order_is_swapped) {
    static const uint8_t big[] = {0, 0, 1, 2};
    struct npy_array array;
    struct error err;
    struct span file = make_file(
        1, "{'descr': '>i4', 'fortran_order': False, 'shape': (), }", big, sizeof(big));
    ck_assert_int_eq(npy_parse(file, &array, &err), STATUS_OK);
    ck_assert_int_eq(array.tensor.rank, 0);
    ck_assert_int_eq(*(const int32_t *)array.elements, 0x102);
    npy_release(&array);
}
END_TEST

START_TEST(texts_lose_their_padding_and_become_utf8) {
    static const uint32_t letters[] = {'a', 0, 0, 0xE9, 0x1F600, 'b', 0xD800, 0, 0};
    struct npy_array array;
    struct error err;
    struct span file =
        make_file(1, "{'descr': '<U3', 'fortran_order': False, 'shape': (3,), }", letters,
                  sizeof(letters));
    ck_assert_int_eq(npy_parse(file, &array, &err), STATUS_OK);
    const struct span *items = array.elements;
    ck_assert_int_eq(array.tensor.dtype, DTYPE_STRING);
    ck_assert(span_is(items[0], "a"));
    ck_assert(span_is(items[1], "\xC3\xA9\xF0\x9F\x98\x80"
                                "b"));
    ck_assert(span_is(items[2], "\xEF\xBF\xBD")); /* half a surrogate pair is no text */
    npy_release(&array);
}
END_TEST

/* A random tensor of `dtype`, 2 x 3, in `memory`. */
static struct tensor sample(enum dtype dtype, void *memory) {
    struct tensor x = {.dtype = dtype, .rank = 2, .dims = {2, 3}, .data = memory};
    if (dtype == DTYPE_STRING) {
        static const char *const texts[] = {"", "a", "\xC3\xA9", "bcd", "x y", "z"};
        for (int i = 0; i < 6; i++) {
            ((struct span *)memory)[i] = span_text(texts[i]);
        }
    } else {
        for (size_t i = 0; i < tensor_size(&x); i++) {
            ((uint8_t *)memory)[i] = (uint8_t)(dtype == DTYPE_BOOL ? i % 2 : i * 37);
        }
    }
    return x;
}

START_TEST(what_is_written_is_read_back) {
    static uint64_t memory[64];
    char path[] = "/tmp/millrace-npy-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    for (int i = DTYPE_NONE + 1; i < DTYPE_PLAIN_COUNT; i++) {
        enum dtype dtype = (enum dtype)i;
        struct npy_array array;
        struct error err;
        if (dtype_size(dtype) == 0 || dtype == DTYPE_BF16) {
            continue;
        }
        struct tensor x = sample(dtype, memory);
        ck_assert_msg(npy_write(path, &x, &err) == STATUS_OK, "%s", err.text);
        ck_assert_msg(npy_read(path, &array, &err) == STATUS_OK, "%s", err.text);
        ck_assert_int_eq(array.tensor.dtype, dtype);
        ck_assert_int_eq(array.tensor.rank, 2);
        if (dtype == DTYPE_STRING) {
            for (int k = 0; k < 6; k++) {
                ck_assert(span_equal(((struct span *)array.elements)[k],
                                     ((struct span *)x.data)[k]));
            }
        } else {
            ck_assert_mem_eq(array.elements, memory, tensor_size(&x));
        }
        npy_release(&array);
    }
    close(fd);
    unlink(path);
}
END_TEST

START_TEST(bfloat16_is_written_as_the_same_float32) {
    uint16_t items[] = {0x3F80, 0xC020, 0x7F80}; /* 1, -2.5, infinity */
    struct tensor x = {.dtype = DTYPE_BF16, .rank = 1, .dims = {3}, .data = items};
    struct npy_array array;
    struct error err;
    char path[] = "/tmp/millrace-npy-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(npy_write(path, &x, &err), STATUS_OK);
    ck_assert_int_eq(npy_read(path, &array, &err), STATUS_OK);
    ck_assert_int_eq(array.tensor.dtype, DTYPE_F32);
    ck_assert_double_eq((double)((float *)array.elements)[0], 1.0);
    ck_assert_double_eq((double)((float *)array.elements)[1], -2.5);
    ck_assert_double_infinite((double)((float *)array.elements)[2]);
    npy_release(&array);
    close(fd);
    unlink(path);
}
END_TEST

START_TEST(files_that_lie_are_refused) {
    static const char *const headers[] = {
        "",
        "{",
        "{'descr': '<f4'}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", /* too few bytes */
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", /* too many */
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,",
        "{'descr': '<f4', 'fortran_order': Maybe, 'shape': (2,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387906,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 2), "
        "}",
        "{'descr': '<U0', 'fortran_order': False, 'shape': (9223372036854775807,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,2), }",
        "{'descr': '|O', 'fortran_order': False, 'shape': (2,), }",
        "{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }",
        "{'descr': '<U99999999999999999999', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'more': 'x'}",
    };
    static const uint8_t elements[8] = {0};
    for (size_t i = 0; i < ARRAY_COUNT(headers); i++) {
        struct npy_array array;
        struct error err = {0};
        struct span file = make_file(1, headers[i], elements, sizeof(elements));
        ck_assert_msg(npy_parse(file, &array, &err) != STATUS_OK, "%s", headers[i]);
        ck_assert_ptr_null(array.elements);
        ck_assert_int_gt((int)strlen(err.text), 0);
    }
}
END_TEST

START_TEST(a_header_past_the_limit_is_refused) {
    static const char dict[] =
        "{'descr': '|u1', 'fortran_order': False, 'shape': (0,), }";
    static uint8_t file[12 + NPY_HEADER_SIZE_MAX + 1] = "\x93NUMPY\2";
    for (size_t over = 0; over < 2; over++) {
        size_t length = NPY_HEADER_SIZE_MAX + over;
        struct npy_array array;
        struct error err;
        memset(file + 12, ' ', length);
        memcpy(file + 12, dict, sizeof(dict) - 1);
        for (size_t i = 0; i < 4; i++) {
            file[8 + i] = (uint8_t)(length >> (8 * i));
        }
        ck_assert_int_eq(npy_parse(span_of(file, 12 + length), &array, &err),
                         over == 0 ? STATUS_OK : STATUS_INVALID);
        npy_release(&array);
    }
}
END_TEST

START_TEST(every_truncation_is_refused) {
    static const uint8_t elements[8] = {0};
    struct npy_array array;
    struct error err;
    struct span whole =
        make_file(2, "{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }",
                  elements, sizeof(elements));
    for (size_t size = 0; size < whole.size; size++) {
        /* A copy of its own, so that a sanitizer sees a byte read too far. */
        uint8_t *copy = malloc(size_max(size, 1));
        memcpy(copy, whole.data, size);
        ck_assert_int_ne(npy_parse(span_of(copy, size), &array, &err), STATUS_OK);
        free(copy);
    }
    ck_assert_int_eq(npy_parse(whole, &array, &err), STATUS_OK);
    npy_release(&array);
}
END_TEST

START_TEST(an_array_without_elements_is_fine) {
    struct npy_array array;
    struct error err;
    struct span file =
        make_file(1, "{'descr': '|b1', 'fortran_order': True, 'shape': (0, 3), }", "", 0);
    ck_assert_int_eq(npy_parse(file, &array, &err), STATUS_OK);
    ck_assert_int_eq(array.tensor.dims[1], 3);
    ck_assert_ptr_nonnull(array.elements);
    npy_release(&array);
}
END_TEST

START_TEST(a_bool_is_0_or_1_whatever_its_byte) {
    static const uint8_t values[] = {0, 1, 7, 255};
    static const char *const headers[] = {
        "{'descr': '|b1', 'fortran_order': False, 'shape': (4,), }",
        "{'descr': '|b1', 'fortran_order': True, 'shape': (4,), }",
    };
    for (size_t i = 0; i < ARRAY_COUNT(headers); i++) {
        struct npy_array array;
        struct error err;
        struct span file = make_file(1, headers[i], values, sizeof(values));
        ck_assert_int_eq(npy_parse(file, &array, &err), STATUS_OK);
        ck_assert_int_eq(array.tensor.dtype, DTYPE_BOOL);
        ck_assert_mem_eq(array.elements, "\0\1\1\1", 4);
        npy_release(&array);
    }
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        every_format_version_is_read,       fortran_order_comes_out_row_major,
        the_other_byte_order_is_swapped,    texts_lose_their_padding_and_become_utf8,
        what_is_written_is_read_back,       bfloat16_is_written_as_the_same_float32,
        files_that_lie_are_refused,         a_header_past_the_limit_is_refused,
        every_truncation_is_refused,        an_array_without_elements_is_fine,
        a_bool_is_0_or_1_whatever_its_byte,
    };
    return suite_run("npy", tests, ARRAY_COUNT(tests));
}
