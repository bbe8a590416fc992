/* test_ahead.c - a record that is put off lets those of other keys pass, and nothing is
 * done twice, left out, or out of its key's order, whoever goes on. */
#include "stream/ahead.h"

#include "stream/window.h"
#include "tests/unit/suite.h"

START_TEST(what_is_written_is_read) {
    struct ahead ahead = {.upto = 20, .left_count = 3, .left = {7, 9, 12}}, back;
    char text[AHEAD_TEXT_MAX];
    ck_assert_uint_eq(ahead_write(&ahead, 7, text), strlen(text));
    ck_assert_str_eq(text, "13:0,2,5");
    ahead_read(text, 7, &back);
    ck_assert_int_eq(back.upto, 20);
    ck_assert_int_eq(back.left_count, 3);
    ck_assert_int_eq(back.left[2], 12);
    ck_assert(!ahead_has(&back, 7));
    ck_assert(ahead_has(&back, 8));
    ck_assert(!ahead_has(&back, 20));
    ahead.upto = 7;
    ck_assert_uint_eq(ahead_write(&ahead, 7, text), 0);
}
END_TEST

START_TEST(the_largest_fits_and_others_texts_mean_nothing) {
    static const char *const others[] = {
        "",     "x",     "5",     "5:x",  "5:1,",   "5:2,1",
        "5:-1", "5:1;2", "5:1,5", "-5:1", "5:1 ,2", "99999999999999999999:1",
    };
    struct ahead ahead = {.upto = INT64_MAX / 4, .left_count = AHEAD_LEFT_MAX}, back;
    char text[AHEAD_TEXT_MAX];
    for (int i = 0; i < AHEAD_LEFT_MAX; i++) {
        ahead.left[i] = INT64_MAX / 8 + i;
    }
    ck_assert_uint_lt(ahead_write(&ahead, 5, text), AHEAD_TEXT_MAX);
    ahead_read(text, 5, &back);
    ck_assert_int_eq(back.left_count, AHEAD_LEFT_MAX);
    ck_assert_int_eq(back.left[AHEAD_LEFT_MAX - 1], ahead.left[AHEAD_LEFT_MAX - 1]);
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        ahead_read(others[i], 0, &back);
        ck_assert_msg(back.upto == 0 || strcmp(others[i], "5:1,") == 0, "%s", others[i]);
    }
}
END_TEST

/* ---- a worker, as far as a window knows one ---------------------------------------- */

#define RECORDS 400
#define KEYS 9

static struct window window;
static struct lease *lease;
static struct slot *slots[RECORDS]; /* in this worker; NULL for none */
static char keys[KEYS][8];
static int published[RECORDS]; /* how often, in what is committed */
static int order[RECORDS];     /* the records in the order in which they were */
static int order_count;
static int64_t committed; /* the group's offset, and its metadata */
static char metadata[AHEAD_TEXT_MAX];
static int64_t polled; /* the next one to come */
static uint32_t seed;

static uint32_t dice(uint32_t sides) {
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % sides;
}

static int key_of(int64_t offset) {
    return (int)((offset * 7 + offset / 5) % (KEYS + 1)); /* KEYS: it has none */
}

static void open_worker(void) {
    struct error err;
    ck_assert_int_eq(window_init(&window, RECORDS, 1 << 20, &err), STATUS_OK);
    lease = window_lease(&window, 0, 0, 0);
    window_collect(&window);
    ahead_read(metadata, committed, &lease->ahead);
    lease->inherited = lease->ahead;
    polled = committed;
    memset(slots, 0, sizeof slots);
}

static void poll_one(void) {
    int64_t offset = polled++;
    int key = key_of(offset);
    struct slot *slot;
    if (ahead_has(&lease->inherited, offset)) {
        return;
    }
    slot = window_take(&window);
    slot->record = (struct record){.offset = offset};
    if (key < KEYS) {
        slot->record.key = span_text(keys[key]);
    }
    slot->key_hash = (uint32_t)key % 4; /* some are alike */
    atomic_store(&slot->held, false);
    slot->lease = lease;
    slot->size = 1;
    lease->polled++;
    window_append(&window, slot, slot, 1, 1);
    slots[offset] = slot;
}

/* Something happens to a record in the worker: it is put off, or has an outcome. */
static void touch_one(void) {
    int64_t offset = committed + dice(40);
    struct slot *slot = offset < RECORDS ? slots[offset] : NULL;
    if (slot == NULL || atomic_load(&slot->record.state) != RECORD_PENDING) {
        return;
    }
    if (!atomic_load(&slot->held) && dice(4) == 0) {
        atomic_store(&slot->held, true);
    } else if (!atomic_load(&slot->held) || dice(10) == 0) {
        atomic_store(&slot->record.state, RECORD_RESULT);
    }
}

static void check_left(const struct ahead *ahead) {
    for (int i = 1; i < ahead->left_count; i++) {
        ck_assert_int_lt(ahead->left[i - 1], ahead->left[i]);
    }
}

static int64_t end_of(size_t count) {
    const struct slot *slot = lease->head;
    while (--count > 0) {
        slot = slot->link;
    }
    return slot->record.offset + 1;
}

/* A transaction over what is ready, or a part of it; now and then it is aborted. */
static void commit_some(void) {
    struct ahead ahead;
    struct window_free done = {.first = NULL};
    size_t count = lease->ready_count;
    if (count == 0) {
        return;
    }
    count = dice(5) == 0 ? 1 + dice((uint32_t)count) : count;
    lease->taken_count = count;
    lease->taken_offset = end_of(count);
    committed = lease_commit_offset(lease, &ahead);
    check_left(&ahead);
    if (dice(6) == 0) {
        committed = lease->committed_offset;
        lease->taken_count = 0;
        return;
    }
    (void)ahead_write(&ahead, committed, metadata);
    lease_committed(lease);
    lease->taken_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct slot *slot = lease_pop(lease);
        published[slot->record.offset]++;
        order[order_count++] = (int)slot->record.offset;
        slots[slot->record.offset] = NULL;
        window_free_add(&done, slot);
    }
    window_return(&window, lease, &done);
}

static bool all_done(void) {
    return committed >= RECORDS;
}

static void check_order(int from_seed) {
    int last[KEYS + 1];
    memset(last, -1, sizeof last);
    for (int i = 0; i < order_count; i++) {
        int key = key_of(order[i]);
        if (key < KEYS) {
            ck_assert_msg(order[i] > last[key], "seed %d: %d after %d", from_seed,
                          order[i], last[key]);
            last[key] = order[i];
        }
    }
}

START_TEST(whoever_goes_on_does_each_record_once_in_its_keys_order) {
    int passed = 0;
    seed = (uint32_t)_i;
    for (int i = 0; i < KEYS; i++) {
        snprintf(keys[i], sizeof keys[i], "key-%d", i);
    }
    open_worker();
    lease->committed_offset = 0;
    while (!all_done()) {
        for (uint32_t i = dice(12); i > 0 && polled < RECORDS; i--) {
            poll_one();
        }
        for (uint32_t i = dice(12); i > 0; i--) {
            touch_one();
        }
        window_collect(&window);
        commit_some();
        passed += metadata[0] != '\0';
        if (dice(50) == 0) { /* another one goes on from what is committed */
            window_release(&window);
            open_worker();
            lease->committed_offset = committed;
        }
    }
    window_release(&window);
    for (int i = 0; i < RECORDS; i++) {
        ck_assert_msg(published[i] == 1, "seed %d: %d published %d times", _i, i,
                      published[i]);
    }
    check_order(_i);
    ck_assert_int_gt(passed, 0);
}
END_TEST

/* No more are left behind than the metadata can say. */
START_TEST(those_left_behind_are_bounded) {
    struct ahead ahead;
    snprintf(keys[0], sizeof keys[0], "key");
    open_worker();
    while (polled < RECORDS) {
        poll_one();
    }
    for (int i = 0; i < RECORDS; i++) { /* every second one is put off, without a key */
        slots[i]->record.key = span_of(NULL, 0);
        if (i % 2 == 0) {
            atomic_store(&slots[i]->held, true);
        } else {
            atomic_store(&slots[i]->record.state, RECORD_RESULT);
        }
    }
    window_collect(&window);
    ck_assert_uint_eq(lease->ready_count, AHEAD_LEFT_MAX - 1);
    lease->taken_count = lease->ready_count;
    ck_assert_int_eq(lease_commit_offset(lease, &ahead), 0);
    ck_assert_int_eq(ahead.left_count, AHEAD_LEFT_MAX - 1);
    window_release(&window);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("ahead");
    TCase *tests = tcase_create("all");
    SRunner *runner;
    int failed;
    tcase_add_test(tests, what_is_written_is_read);
    tcase_add_test(tests, the_largest_fits_and_others_texts_mean_nothing);
    tcase_add_loop_test(tests, whoever_goes_on_does_each_record_once_in_its_keys_order, 1,
                        201);
    tcase_add_test(tests, those_left_behind_are_bounded);
    tcase_set_timeout(tests, 300);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
