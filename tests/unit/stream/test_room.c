/* Several routes: one whose records pile up takes its portion of the window, is held, and
 * goes on once they are gone; the others find room all the while. */
#include <inttypes.h>

#include "stream/internal.h"
#include "tests/unit/stream/fixture.h"

#define SLOW_COUNT 2000
#define FAST_COUNT 40
#define WINDOW_RECORDS 400
#define LOOKED_AT 16 /* records of the window in the tests that only look */

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
    fixture_send_numbers_to(0, SLOW_COUNT);
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
    ck_assert_int_le(slow_taken, WINDOW_RECORDS / 2);
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
        while (!fixture.stream->source.rooms.routes[0].held &&
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

/* ---- looking ---- */

static struct stream looked;
static struct lease leases[2]; /* one for each route */

static void start_looking(size_t route_count) {
    static struct lease *tables[] = {&leases[0], &leases[1]};
    static struct lease_table inputs[] = {{&tables[0], 1}, {&tables[1], 1}};
    static struct stream_input names[] = {{.route = 0}, {.route = 1}};

    pthread_mutex_init(&looked.window.lock, NULL);
    looked.window.records_max = LOOKED_AT;
    looked.window.size_max = 1000;
    looked.opts.route_count = looked.input_count = route_count;
    looked.source.tables = inputs;
    looked.inputs = names;
}

/* So much is in flight; whether a record of the first route has room. */
static bool has_room(size_t records, size_t size) {
    looked.window.records = records;
    looked.window.size = size;
    room_look(&looked);
    return room_has(&looked, 0);
}

START_TEST(room_ends_at_either_bound_and_comes_back_in_pieces) {
    start_looking(1);
    ck_assert(has_room(LOOKED_AT - 1, 0));
    ck_assert(!atomic_load(&looked.source.rooms.awaited));
    ck_assert(!has_room(LOOKED_AT, 0));
    ck_assert(!has_room(LOOKED_AT - 1, 0));
    ck_assert(atomic_load(&looked.source.rooms.awaited));
    ck_assert(has_room(LOOKED_AT - 2, 0));
    ck_assert(has_room(0, 999));
    ck_assert(!has_room(0, 1000));
    ck_assert(!has_room(0, 1001));
    ck_assert(!has_room(0, 876));
    ck_assert(has_room(0, 875));
    ck_assert_uint_eq(atomic_load(&looked.counters.pauses), 2);
}
END_TEST

START_TEST(what_is_polled_takes_room) {
    start_looking(1);
    ck_assert(has_room(LOOKED_AT - 2, 0));
    room_take(&looked, 0, 0);
    ck_assert(room_has(&looked, 0));
    room_take(&looked, 0, 0);
    ck_assert(!room_has(&looked, 0));
    ck_assert(has_room(0, 0));
    room_take(&looked, 0, 1001); /* it may go beyond the bound, and nothing after it */
    ck_assert(!room_has(&looked, 0));
}
END_TEST

START_TEST(each_of_several_routes_has_its_part) {
    start_looking(2);
    leases[0].polled = LOOKED_AT / 2;
    ck_assert(!has_room(LOOKED_AT / 2, 0));
    ck_assert(room_has(&looked, 1));
    leases[0].released = LOOKED_AT / 4 - 1;
    ck_assert(!has_room(LOOKED_AT / 4 + 1, 0));
    ck_assert(atomic_load(&looked.source.rooms.awaited));
    leases[0].released = LOOKED_AT / 4;
    ck_assert(has_room(LOOKED_AT / 4, 0));
    leases[0].polled_size = 500;
    ck_assert(!has_room(LOOKED_AT / 4, 500));
    ck_assert(room_has(&looked, 1));
    ck_assert_uint_eq(atomic_load(&looked.counters.pauses), 0);
    ck_assert(!has_room(LOOKED_AT, 500)); /* the window is the bound of all */
    ck_assert(!room_has(&looked, 1));
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        room_ends_at_either_bound_and_comes_back_in_pieces,
        what_is_polled_takes_room,
        each_of_several_routes_has_its_part,
        others_find_room_while_one_route_has_no_answer,
        others_find_room_where_bytes_are_the_bound,
        what_is_behind_is_told_of_each_route,
        a_held_route_goes_on_once_its_records_are_gone,
    };
    return suite_run("room", tests, ARRAY_COUNT(tests));
}
