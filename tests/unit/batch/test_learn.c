/* test_learn.c - what could not be measured at start is learned from batches that are
 * run.
 */
#include "batch/learn.h"

#include "tests/unit/suite.h"

enum { ROWS_MAX = 64, KIND = 9 };

static struct learn *learn;
static int completed; /* times that a curve was told to be complete */

static void open_learn(int batch_size, int slice_ms) {
    const struct learn_opts opts = {
        .rows_max = ROWS_MAX, .batch_size = batch_size, .slice_ms = slice_ms};
    struct error err;
    completed = 0;
    ck_assert_int_eq(learn_create(&opts, &learn, &err), STATUS_OK);
}

static void note(int kind, int rows, int64_t ns) {
    struct learned learned;
    if (learn_note(learn, kind, rows, ns, &learned)) {
        completed += learned.complete;
    }
}

/* A batch costs 1 ms and so much for each row. */
static int64_t batch_ns(int rows, int64_t row_us) {
    return 1000000 + rows * row_us * 1000;
}

/* Runs full batches, as where there is more work than time; returns the largest. */
static int serve(int kind, int batches, int64_t row_us) {
    int most = 0;
    for (int i = 0; i < batches; i++) {
        int rows = learn_aim(learn, kind).rows;
        ck_assert_int_le(rows, ROWS_MAX); /* a batch has no room for more */
        note(kind, rows, batch_ns(rows, row_us));
        most = rows > most ? rows : most;
    }
    return most;
}

START_TEST(batches_climb_to_the_size_that_is_best) {
    struct batch_aim aim;
    open_learn(0, 0);
    aim = learn_aim(learn, KIND);
    ck_assert_int_eq(aim.rows, 1);
    ck_assert_int_eq(aim.early_rows, 1);
    ck_assert_int_eq(learn_ns(learn, KIND, 1), 0);
    serve(KIND, 2, 1000); /* 2 ms, then 3 ms for two */
    ck_assert_int_eq(learn_aim(learn, KIND).rows, 2);
    serve(KIND, 12, 1000);
    ck_assert_int_eq(completed, 1);
    aim = learn_aim(learn, KIND);
    ck_assert_int_eq(aim.rows, 32); /* 1.03 ms a row: as cheap as 64, but for a bit */
    ck_assert_int_eq(aim.early_rows, 2);
    ck_assert_int_eq(aim.reason, BATCH_FULL);
    ck_assert_int_eq(learn_ns(learn, KIND, 3), batch_ns(3, 1000));
    serve(KIND, 1000, 1000);
    ck_assert_int_eq(completed, 1);
    learn_destroy(learn);
    open_learn(0, 0);
    serve(KIND, 20, 40000); /* nothing is won by more than one row */
    ck_assert_int_eq(learn_aim(learn, KIND).rows, 1);
    learn_destroy(learn);
    open_learn(0, 0);
    ck_assert_int_eq(serve(KIND, 1000, 1), ROWS_MAX);
    learn_destroy(learn);
}
END_TEST

/* What takes long is not tried only to know it. */
START_TEST(no_size_is_tried_that_takes_too_long) {
    struct batch_aim aim;
    open_learn(0, 20);
    ck_assert_int_le(serve(KIND, 500, 4000), 4);
    aim = learn_aim(learn, KIND);
    ck_assert_int_eq(aim.rows, 4);
    ck_assert_int_eq(completed, 1);
    learn_destroy(learn);
    open_learn(0, 3); /* not even one row */
    ck_assert_int_eq(serve(KIND, 500, 4000), 1);
    ck_assert_int_eq(learn_aim(learn, KIND).reason, BATCH_FULL);
    learn_destroy(learn);
    open_learn(0, 0);
    ck_assert_int_le(batch_ns(serve(KIND, 500, 40000), 40000),
                     (int64_t)LEARN_LONGEST_MS * 1000000);
    learn_destroy(learn);
}
END_TEST

START_TEST(a_slice_bounds_what_has_become_slower) {
    struct batch_aim aim;
    open_learn(0, 20);
    serve(KIND, 40, 100);
    ck_assert_int_eq(learn_aim(learn, KIND).rows, 64);
    for (int i = 0; i < 100; i++) {
        for (int rows = 1; rows <= ROWS_MAX; rows *= 2) {
            note(KIND, rows, batch_ns(rows, 4000));
        }
    }
    aim = learn_aim(learn, KIND);
    ck_assert_int_eq(aim.rows, 4);
    ck_assert_int_eq(aim.reason, BATCH_SLICE);
    learn_destroy(learn);
}
END_TEST

START_TEST(rows_of_another_size_are_learned_apart) {
    open_learn(0, 100);
    serve(3, 40, 50);
    serve(12, 40, 30000);
    ck_assert_int_eq(learn_aim(learn, 3).rows, 64);
    ck_assert_int_eq(learn_aim(learn, 12).rows, 1);
    ck_assert_int_eq(learn_aim(learn, 5).rows, 1); /* nothing is known of it */
    ck_assert_int_eq(completed, 2);
    ck_assert_int_eq(learn_kind(0), 0);
    ck_assert_int_eq(learn_kind(1), 0);
    ck_assert_int_eq(learn_kind(511), 8);
    ck_assert_int_eq(learn_kind(512), 9);
    ck_assert_int_eq(learn_kind(SIZE_MAX), LEARN_KINDS - 1);
    learn_destroy(learn);
}
END_TEST

/* Caches that were cold, or a processor that was busy, do not decide for ever. */
START_TEST(a_size_that_had_bad_luck_is_tried_again) {
    open_learn(0, 0);
    note(KIND, 1, 100 * batch_ns(1, 100)); /* the very first one */
    note(KIND, 1, batch_ns(1, 100));
    ck_assert_int_eq(learn_ns(learn, KIND, 1), batch_ns(1, 100));
    for (int rows = 2; rows <= ROWS_MAX; rows *= 2) {
        for (int i = 0; i < LEARN_RUNS; i++) {
            note(KIND, rows, (rows > 8 ? 20 : 1) * batch_ns(rows, 100));
        }
    }
    ck_assert_int_eq(completed, 1);
    ck_assert_int_eq(learn_aim(learn, KIND).rows, 8);
    serve(KIND, 100 * LEARN_PROBE, 100);
    ck_assert_int_ge(learn_aim(learn, KIND).rows, 32);
    learn_destroy(learn);
}
END_TEST

START_TEST(costs_are_known_though_no_batch_was_ever_full) {
    open_learn(0, 0);
    for (int i = 0; i < 100; i++) {
        note(KIND, 1 + i % 3, batch_ns(1 + i % 3, 1000));
    }
    ck_assert_int_eq(learn_ns(learn, KIND, 1), batch_ns(1, 1000));
    ck_assert_int_gt(learn_ns(learn, KIND, 30), 20 * batch_ns(1, 100));
    ck_assert_int_eq(learn_aim(learn, KIND).rows, 4); /* next to be tried */
    ck_assert_int_le(learn_aim(learn, KIND).early_rows, 3);
    ck_assert_int_eq(completed, 0);
    learn_destroy(learn);
}
END_TEST

START_TEST(a_batch_size_in_the_file_is_kept_and_its_cost_learned) {
    open_learn(24, 5);
    ck_assert_int_eq(serve(KIND, 200, 1000), 24);
    ck_assert_int_eq(learn_aim(learn, KIND).early_rows, 24);
    ck_assert_int_eq(learn_ns(learn, KIND, 24), batch_ns(24, 1000));
    learn_destroy(learn);
}
END_TEST

START_TEST(what_is_told_is_of_the_kind_that_comes_most) {
    struct learned learned;
    open_learn(0, 0);
    serve(3, 50, 10);
    for (int i = 0; i < 40; i++) {
        bool told = learn_note(learn, 7, 1, batch_ns(1, 10), &learned);
        ck_assert(!told || !learned.usual);
    }
    for (int i = 0; i < 200; i++) {
        if (learn_note(learn, 7, 1, batch_ns(1, 10), &learned) && learned.usual) {
            ck_assert_int_gt(i, 9);
            ck_assert_int_eq(learned.row_size, 256);
            ck_assert_int_eq(learned.cost.count, 1);
            ck_assert_int_eq(learned.cost.ns[0], batch_ns(1, 10));
            learn_destroy(learn);
            return;
        }
    }
    ck_abort_msg("it is not told");
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        batches_climb_to_the_size_that_is_best,
        no_size_is_tried_that_takes_too_long,
        a_slice_bounds_what_has_become_slower,
        rows_of_another_size_are_learned_apart,
        a_size_that_had_bad_luck_is_tried_again,
        costs_are_known_though_no_batch_was_ever_full,
        a_batch_size_in_the_file_is_kept_and_its_cost_learned,
        what_is_told_is_of_the_kind_that_comes_most,
    };
    return suite_run("learn", tests, ARRAY_COUNT(tests));
}
