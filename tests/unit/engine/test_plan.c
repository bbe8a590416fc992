/* test_plan.c - the plan keeps apart what lives together, and wastes little. */
#include "engine/plan.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "tests/unit/suite.h"

enum { ITEMS_MAX = 200 };

static uint64_t number_state = 7;

static int number_below(int limit) {
    number_state = number_state * 6364136223846793005U + 1442695040888963407U;
    return (int)((number_state >> 33) % (uint64_t)limit);
}

static bool alive_together(const struct plan_item *a, const struct plan_item *b) {
    return a->first <= b->last && b->first <= a->last;
}

static bool overlap(const struct plan_item *a, const struct plan_item *b) {
    return a->offset < b->offset + b->size && b->offset < a->offset + a->size;
}

static void check_plan(const struct plan_item *items, int count, size_t total) {
    for (int i = 0; i < count; i++) {
        ck_assert_uint_eq(items[i].offset % PLAN_ALIGN, 0);
        ck_assert_uint_le(items[i].offset + items[i].size, total);
        for (int j = 0; j < i; j++) {
            ck_assert(!alive_together(&items[i], &items[j]) ||
                      !overlap(&items[i], &items[j]));
        }
    }
}

static int random_items(struct plan_item *items) {
    const int count = 1 + number_below(ITEMS_MAX);
    for (int i = 0; i < count; i++) {
        const int first = number_below(count);
        items[i] = (struct plan_item){
            .size = (size_t)number_below(number_below(4) == 0 ? 100000 : 300),
            .first = first,
            .last = first + number_below(number_below(3) == 0 ? 40 : 3),
        };
    }
    return count;
}

START_TEST(items_alive_together_never_overlap) {
    struct plan_item items[ITEMS_MAX];
    int order[2 * ITEMS_MAX];
    for (int round = 0; round < 500; round++) {
        const int count = random_items(items);
        const size_t total = plan_place(items, count, order);
        check_plan(items, count, total);
    }
}
END_TEST

START_TEST(same_items_get_the_same_places) {
    struct plan_item items[ITEMS_MAX], again[ITEMS_MAX];
    int order[2 * ITEMS_MAX];
    const int count = random_items(items);
    memcpy(again, items, sizeof(items));
    ck_assert_uint_eq(plan_place(items, count, order), plan_place(again, count, order));
    for (int i = 0; i < count; i++) {
        ck_assert_uint_eq(items[i].offset, again[i].offset);
    }
}
END_TEST

/* A chain, each item made from the one before: two slots do for any length. */
START_TEST(chain_needs_two_slots) {
    struct plan_item items[ITEMS_MAX];
    int order[2 * ITEMS_MAX];
    for (int i = 0; i < ITEMS_MAX; i++) {
        items[i] = (struct plan_item){.size = 1000, .first = i, .last = i + 1};
    }
    ck_assert_uint_eq(plan_place(items, ITEMS_MAX, order), 2 * 1024);
    check_plan(items, ITEMS_MAX, 2 * 1024);
}
END_TEST

/* Both gaps between the long-lived items fit; the tight one is taken. */
START_TEST(item_goes_to_the_tightest_gap) {
    struct plan_item items[] = {
        {.size = 6400, .first = 0, .last = 9}, {.size = 3200, .first = 0, .last = 4},
        {.size = 1600, .first = 0, .last = 9}, {.size = 640, .first = 0, .last = 4},
        {.size = 640, .first = 0, .last = 9},  {.size = 600, .first = 5, .last = 9},
    };
    int order[2 * ARRAY_COUNT(items)];
    ck_assert_uint_eq(plan_place(items, ARRAY_COUNT(items), order),
                      6400 + 3200 + 1600 + 640 + 640);
    ck_assert_uint_eq(items[5].offset, 6400 + 3200 + 1600);
}
END_TEST

START_TEST(nothing_needs_nothing) {
    struct plan_item empty = {.size = 0, .first = 0, .last = 0};
    int order[2];
    ck_assert_uint_eq(plan_place(NULL, 0, order), 0);
    ck_assert_uint_eq(plan_place(&empty, 1, order), 0);
}
END_TEST

START_TEST(total_beyond_memory_is_told) {
    struct plan_item items[8];
    int order[2 * ARRAY_COUNT(items)];
    for (size_t i = 0; i < ARRAY_COUNT(items); i++) {
        items[i] = (struct plan_item){.size = SIZE_MAX / 4, .first = 0, .last = 1};
    }
    ck_assert_uint_eq(plan_place(items, ARRAY_COUNT(items), order), SIZE_MAX);
    items[0].size = SIZE_MAX;
    ck_assert_uint_eq(plan_place(items, 1, order), SIZE_MAX);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        items_alive_together_never_overlap,
        same_items_get_the_same_places,
        chain_needs_two_slots,
        item_goes_to_the_tightest_gap,
        nothing_needs_nothing,
        total_beyond_memory_is_told,
    };
    return suite_run("engine: plan", tests, ARRAY_COUNT(tests));
}
