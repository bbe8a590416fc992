/* test_arena.c - arenas hand out separate, aligned, zeroed memory, and keep to a limit.
 */
#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>

#include "tests/unit/suite.h"

START_TEST(memory_is_zeroed_aligned_and_apart) {
    enum { PIECES = 2000 };
    static unsigned char *pieces[PIECES];
    struct arena arena;
    arena_init(&arena, 0);
    for (size_t i = 0; i < PIECES; i++) {
        size_t size = 1 + i % 100;
        pieces[i] = arena_alloc(&arena, size, 1);
        ck_assert_ptr_nonnull(pieces[i]);
        ck_assert_uint_eq((uintptr_t)pieces[i] % alignof(max_align_t), 0);
        for (size_t k = 0; k < size; k++) {
            ck_assert_uint_eq(pieces[i][k], 0);
        }
        memset(pieces[i], (int)(i % 251 + 1), size);
    }
    for (size_t i = 0; i < PIECES; i++) { /* nobody wrote into a neighbour */
        for (size_t k = 0; k < 1 + i % 100; k++) {
            ck_assert_uint_eq(pieces[i][k], i % 251 + 1);
        }
    }
    arena_release(&arena);
}
END_TEST

START_TEST(large_requests_get_blocks_of_their_own) {
    struct arena arena;
    unsigned char *small;
    unsigned char *large;
    arena_init(&arena, 0);
    small = arena_alloc(&arena, 8, 1);
    large = arena_alloc(&arena, 1 << 20, 1);
    ck_assert_ptr_nonnull(small);
    ck_assert_ptr_nonnull(large);
    memset(large, 0xff, 1 << 20);
    ck_assert_uint_eq(small[0], 0);
    ck_assert_uint_ge(arena.total, 1 << 20);
    arena_release(&arena);
}
END_TEST

START_TEST(overflowing_products_are_refused) {
    struct arena arena;
    arena_init(&arena, 0);
    ck_assert_ptr_null(arena_alloc(&arena, SIZE_MAX, 2));
    ck_assert_ptr_null(arena_alloc(&arena, SIZE_MAX / 2 + 2, 1));
    ck_assert_ptr_null(arena_alloc(&arena, SIZE_MAX, 1));
    ck_assert_ptr_null(arena_text(&arena, "", SIZE_MAX));
    arena_release(&arena);
}
END_TEST

START_TEST(limit_holds_over_all_blocks) {
    struct arena arena;
    size_t pieces = 0;
    arena_init(&arena, 100 * 1024);
    ck_assert_ptr_null(arena_alloc(&arena, 101 * 1024, 1));
    while (arena_alloc(&arena, 1024, 1) != NULL) {
        pieces++;
        ck_assert_uint_le(pieces, 100);
    }
    ck_assert_uint_ge(pieces, 80);
    ck_assert_uint_le(arena.total, arena.limit);
    arena_release(&arena);
}
END_TEST

START_TEST(text_is_copied_and_ended) {
    static const char source[] = {'a', 0, 'b', 'c'};
    struct arena arena;
    char *text;
    arena_init(&arena, 0);
    text = arena_text(&arena, source, sizeof(source));
    ck_assert_ptr_nonnull(text);
    ck_assert_mem_eq(text, "a\0bc", 5);
    text = arena_text(&arena, NULL, 0);
    ck_assert_ptr_nonnull(text);
    ck_assert_str_eq(text, "");
    arena_release(&arena);
}
END_TEST

START_TEST(release_leaves_a_zeroed_arena_that_may_be_released_again) {
    struct arena arena;
    struct arena zero = {0};
    arena_init(&arena, 0);
    ck_assert_ptr_nonnull(arena_alloc(&arena, 1, 1));
    arena_release(&arena);
    ck_assert_mem_eq(&arena, &zero, sizeof(zero));
    arena_release(&arena);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        memory_is_zeroed_aligned_and_apart,
        large_requests_get_blocks_of_their_own,
        overflowing_products_are_refused,
        limit_holds_over_all_blocks,
        text_is_copied_and_ended,
        release_leaves_a_zeroed_arena_that_may_be_released_again,
    };
    return suite_run("arena", tests, ARRAY_COUNT(tests));
}
