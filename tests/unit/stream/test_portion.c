/* Several routes: one whose records pile up takes its portion of the window, is held, and
 * goes on once they are gone; the others find room all the while. */
#include <inttypes.h>

#include "stream/internal.h"
#include "tests/unit/stream/fixture.h"

#define SLOW_COUNT 2000
#define FAST_COUNT 40
#define WINDOW_RECORDS 400

static struct stream_route routes[2];
static int slow_taken, fast_taken;

/* The first route's records are put aside, the second's answered. */
static void take(struct fixture *f, struct record *record) {
    if (record->route == 0) {
        slow_taken++;
        fixture_keep(f, record);
    } else {
        fast_taken++;
        fixture_echo(f, record);
    }
}

static void start_with_a_backlog(size_t window_size) {
    char text[16];

    fixture_start(STREAM_EXACTLY_ONCE);
    fixture_create_topic("in.fast");
    fixture_create_topic("out.fast");
    routes[0] = fixture.route;
    routes[1] = (struct stream_route){
        .input = "in.fast", .output = "out.fast", .dead_letter = "dead"};
    fixture.opts.routes = routes;
    fixture.opts.route_count = ARRAY_COUNT(routes);
    fixture.opts.window_records_max = WINDOW_RECORDS;
    fixture.opts.window_size_max = window_size;
    fixture.answer = take;
    for (int i = 0; i < SLOW_COUNT; i++) {
        snprintf(text, sizeof text, "%d", i);
        fixture_send("in", 0, text, text, strlen(text));
    }
    ck_assert_int_eq(rd_kafka_flush(fixture.client, 10000), 0);
    fixture_open();
}

static void run_until(const int *taken, int count) {
    int64_t deadline_us = clock_now_us() + PATIENCE_US;

    while (*taken < count) {
        fixture_round();
        ck_assert_msg(clock_now_us() < deadline_us, "%d of %d taken", *taken, count);
    }
}

static void send_fast_ones(void) {
    for (int i = 0; i < FAST_COUNT; i++) {
        fixture_send("in.fast", i % PARTITIONS, "k", "v", 1);
    }
    ck_assert_int_eq(rd_kafka_flush(fixture.client, 10000), 0);
}

/* Before the first answer each record counts with what an answer may take at most: the
 * window is then full by its bytes. */
static void others_find_room(size_t window_size) {
    start_with_a_backlog(window_size);
    run_until(&slow_taken, 1);
    send_fast_ones();
    run_until(&fast_taken, FAST_COUNT);
    ck_assert_int_lt(slow_taken, WINDOW_RECORDS);
    fixture_answer_kept();
    fixture_stop();
}

START_TEST(others_find_room_while_one_route_has_no_answer) {
    others_find_room((size_t)1 << 30);
}
END_TEST

START_TEST(others_find_room_where_bytes_are_the_bound) {
    others_find_room((size_t)64 << 20);
}
END_TEST

static void run_until_behind(int64_t slow, int64_t fast) {
    int64_t deadline_us = clock_now_us() + PATIENCE_US;

    while (stream_behind(fixture.stream, 0) != slow ||
           stream_behind(fixture.stream, 1) != fast) {
        fixture_round();
        ck_assert_msg(clock_now_us() < deadline_us, "%" PRIi64 " and %" PRIi64 " behind",
                      stream_behind(fixture.stream, 0), stream_behind(fixture.stream, 1));
    }
}

START_TEST(what_is_behind_is_told_of_each_route) {
    start_with_a_backlog((size_t)1 << 30);
    ck_assert_int_eq(stream_behind(fixture.stream, 0), -1);
    run_until_behind(SLOW_COUNT, 0); /* some of it in flight */
    ck_assert_int_gt(slow_taken, 0);
    fixture.answer = fixture_echo;
    fixture_answer_kept();
    run_until_behind(0, 0);
    fixture_stop();
}
END_TEST

START_TEST(a_held_route_goes_on_once_its_records_are_gone) {
    int64_t deadline_us = clock_now_us() + PATIENCE_US;

    start_with_a_backlog((size_t)1 << 30);
    while (fixture_stats().records_in < SLOW_COUNT) {
        while (fixture.stream->source.held_count == 0 &&
               fixture_stats().records_in < SLOW_COUNT) {
            fixture_round();
            ck_assert_int_lt(clock_now_us(), deadline_us);
        }
        ck_assert_uint_lt(fixture_stats().records_in_flight, WINDOW_RECORDS);
        fixture_answer_kept();
        fixture_round();
    }
    fixture_answer_kept();
    fixture_run_until_committed(SLOW_COUNT);
    ck_assert_int_eq(slow_taken, SLOW_COUNT);
    ck_assert_uint_eq(fixture_stats().pauses, 0);
    fixture_stop();
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        others_find_room_while_one_route_has_no_answer,
        others_find_room_where_bytes_are_the_bound,
        what_is_behind_is_told_of_each_route,
        a_held_route_goes_on_once_its_records_are_gone,
    };
    return suite_run("portion", tests, ARRAY_COUNT(tests));
}
