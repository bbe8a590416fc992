/* test_copy.c - all bytes arrive, and none beside them. */
#include "base/copy.h"

#include <stdint.h>

#include "tests/unit/suite.h"

#define ROOM 1024
#define OFFSETS 64 /* bytes: all places in a cache line */

static uint8_t from[ROOM + OFFSETS], to[ROOM + 2 * OFFSETS];

static void check_copy(size_t size, size_t from_offset, size_t to_offset) {
    memset(to, 0xee, sizeof(to));
    copy_bytes(to + OFFSETS + to_offset, from + from_offset, size);
    for (size_t i = 0; i < sizeof(to); i++) {
        size_t k = i - OFFSETS - to_offset; /* wraps before the first */
        uint8_t wanted = k < size ? from[from_offset + k] : 0xee;
        ck_assert_msg(to[i] == wanted, "%zu bytes, %zu to %zu: byte %zu", size,
                      from_offset, to_offset, i);
    }
}

START_TEST(every_size_arrives_whole) {
    for (size_t size = 0; size <= ROOM - OFFSETS; size++) {
        check_copy(size, 2, size % OFFSETS);
    }
}
END_TEST

START_TEST(every_place_in_a_cache_line_will_do) {
    for (size_t from_offset = 0; from_offset < OFFSETS; from_offset += 3) {
        for (size_t to_offset = 0; to_offset < OFFSETS; to_offset++) {
            check_copy(COPY_WIDE_MIN, from_offset, to_offset);
            check_copy(COPY_WIDE_MIN + 77, from_offset, to_offset);
        }
    }
}
END_TEST

START_TEST(nothing_may_be_nowhere) {
    copy_bytes(NULL, NULL, 0);
}
END_TEST

/* Sanitizers see what is read and written past blocks of the exact sizes. */
START_TEST(large_ones_arrive_whole) {
    static const size_t sizes[] = {COPY_WIDE_MAX - 1, COPY_WIDE_MAX, COPY_WIDE_MAX + 1};
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        uint8_t *x = malloc(sizes[i]), *y = calloc(1, sizes[i]);
        ck_assert_ptr_nonnull(x);
        ck_assert_ptr_nonnull(y);
        for (size_t k = 0; k < sizes[i]; k++) {
            x[k] = (uint8_t)(k * 31 >> 3);
        }
        copy_bytes(y, x, sizes[i]);
        ck_assert(memcmp(x, y, sizes[i]) == 0);
        free(x);
        free(y);
    }
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        every_size_arrives_whole,
        every_place_in_a_cache_line_will_do,
        nothing_may_be_nowhere,
        large_ones_arrive_whole,
    };
    for (size_t i = 0; i < sizeof(from); i++) {
        from[i] = (uint8_t)(i * 7 + 1);
    }
    return suite_run("copy", tests, ARRAY_COUNT(tests));
}
