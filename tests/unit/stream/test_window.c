#include "stream/window.h"

#include "base/clock.h"
#include "tests/unit/suite.h"

#define SIZE 10

static struct window window;

static void open_window(size_t records_max, size_t size_max) {
    struct error err;
    ck_assert_int_eq(window_init(&window, records_max, size_max, &err), STATUS_OK);
}

/* A record in flight, as the poll thread makes one. */
static struct slot *fly(struct lease *lease, int64_t offset) {
    struct slot *slot = window_take(&window);
    ck_assert_ptr_nonnull(slot);
    slot->record = (struct record){.offset = offset};
    slot->lease = lease;
    slot->size = SIZE;
    lease->polled++;
    window_append(&window, slot, slot, 1, SIZE);
    return slot;
}

static void finish(struct slot *slot) {
    atomic_store(&slot->record.state, RECORD_RESULT);
}

static size_t let_go(struct lease *lease, size_t count) {
    struct window_free slots = {.first = NULL};
    for (size_t i = 0; i < count; i++) {
        window_free_add(&slots, lease_pop(lease));
    }
    window_return(&window, lease, &slots);
    return slots.count;
}

START_TEST(only_what_stands_before_the_first_pending_is_ready) {
    struct lease *lease;
    struct slot *slots[4];
    open_window(8, 1000);
    lease = window_lease(&window, 0, 0, 0);
    for (int i = 0; i < 4; i++) {
        slots[i] = fly(lease, i * 7); /* offsets have gaps */
    }
    finish(slots[1]);
    finish(slots[3]);
    ck_assert_uint_eq(window_collect(&window), 4);
    ck_assert_uint_eq(lease->ready_count, 0);
    finish(slots[0]);
    window_collect(&window);
    ck_assert_uint_eq(lease->ready_count, 2);
    finish(slots[2]);
    window_collect(&window);
    ck_assert_uint_eq(lease->ready_count, 4);
    ck_assert_ptr_eq(lease->head, slots[0]);
    window_release(&window);
}
END_TEST

START_TEST(one_partition_does_not_wait_for_another) {
    struct lease *slow, *fast;
    struct slot *slot;
    open_window(8, 1000);
    slow = window_lease(&window, 0, 0, 0);
    fast = window_lease(&window, 0, 0, 1);
    fly(slow, 1);
    slot = fly(fast, 1);
    finish(slot);
    window_collect(&window);
    ck_assert_uint_eq(slow->ready_count, 0);
    ck_assert_uint_eq(fast->ready_count, 1);
    window_release(&window);
}
END_TEST

START_TEST(a_record_beyond_the_bound_still_finds_a_place) {
    struct lease *lease;
    open_window(2, 1000);
    lease = window_lease(&window, 0, 0, 0);
    for (int i = 0; i < 1000; i++) {
        finish(fly(lease, i));
    }
    ck_assert_uint_eq(window_collect(&window), 1000);
    ck_assert_uint_eq(lease->ready_count, 1000);
    window_release(&window);
}
END_TEST

START_TEST(slots_are_used_again_without_new_memory) {
    struct lease *lease;
    open_window(4, 1000);
    lease = window_lease(&window, 0, 0, 0);
    for (int i = 0; i < 100; i++) {
        finish(fly(lease, i));
        finish(fly(lease, i));
        window_collect(&window);
        ck_assert_uint_eq(let_go(lease, 2), 2);
    }
    ck_assert_ptr_null(*(void **)window.chunks); /* no second chunk */
    window_release(&window);
}
END_TEST

START_TEST(a_lost_lease_stays_until_its_last_record_is_back) {
    struct lease *lease;
    struct slot *first, *second;
    open_window(4, 1000);
    window.inputs_counted = 1;
    lease = window_lease(&window, 0, 0, 0);
    ck_assert_uint_eq(window.leases_held, 1);
    first = fly(lease, 1);
    second = fly(lease, 2);
    finish(first);
    window_collect(&window);
    lease->taken_count = 1;
    ck_assert(window_owns_taken(&window));
    window_lose(&window, lease);
    ck_assert(!window_owns_taken(&window));
    lease->taken_count = 0;
    let_go(lease, 1);
    window_sweep(&window);
    ck_assert_ptr_nonnull(window.leases);
    finish(second);
    window_collect(&window);
    let_go(lease, 1);
    window_sweep(&window);
    ck_assert_ptr_null(window.leases);
    ck_assert_uint_eq(window.leases_held, 0);
    window_release(&window);
}
END_TEST

START_TEST(a_revoked_lease_says_when_it_is_drained) {
    struct lease *lease;
    open_window(4, 1000);
    lease = window_lease(&window, 0, 0, 0);
    finish(fly(lease, 1));
    window_collect(&window);
    window_revoke(&window, lease);
    ck_assert(window.revoking);
    ck_assert(!window_wait_drained(&window, lease, clock_now_us() + 1000));
    let_go(lease, 1);
    ck_assert(window_wait_drained(&window, lease, clock_now_us() + 1000));
    window_sweep(&window);
    ck_assert(!window.revoking);
    window_release(&window);
}
END_TEST

START_TEST(a_wake_before_the_wait_is_not_missed) {
    int64_t start_us;
    open_window(4, 1000);
    window_wake(&window);
    start_us = clock_now_us();
    window_wait(&window, 10000000);
    ck_assert_int_lt(clock_now_us() - start_us, 5000000);
    window_release(&window);
}
END_TEST

START_TEST(release_accepts_a_zeroed_window) {
    struct window zeroed = {0};
    window_release(&zeroed);
}
END_TEST

START_TEST(answers_count_before_they_are_there) {
    struct window big;
    struct lease *lease;
    struct error err;
    ck_assert_int_eq(window_init(&big, 16, (size_t)1 << 30, &err), STATUS_OK);
    lease = window_lease(&big, 0, 0, 0);
    ck_assert_ptr_nonnull(lease);
    ck_assert_uint_eq(atomic_load(&lease->answer_size), (size_t)1 << 20); /* unknown */
    for (int i = 0; i < 1000; i++) {
        window_note_answer(lease, 100);
    }
    ck_assert_uint_le(atomic_load(&lease->answer_size), 120); /* as they are */
    window_note_answer(lease, 5000000);
    ck_assert_uint_eq(atomic_load(&lease->answer_size), 5000000); /* at once */
    window_release(&big);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        only_what_stands_before_the_first_pending_is_ready,
        one_partition_does_not_wait_for_another,
        a_record_beyond_the_bound_still_finds_a_place,
        slots_are_used_again_without_new_memory,
        a_lost_lease_stays_until_its_last_record_is_back,
        a_revoked_lease_says_when_it_is_drained,
        a_wake_before_the_wait_is_not_missed,
        answers_count_before_they_are_there,
        release_accepts_a_zeroed_window,
    };
    return suite_run("window", tests, ARRAY_COUNT(tests));
}
