#include "tests/unit/stream/fixture.h"

static int seen_count;
static int last_of_partition[PARTITIONS] = {-1, -1, -1, -1};

static void see_number_in_order(const rd_kafka_message_t *message) {
    char text[16] = "";
    int number;
    ck_assert_uint_lt(message->len, sizeof text);
    memcpy(text, message->payload, message->len);
    number = (int)strtol(text, NULL, 10);
    ck_assert_int_eq(number % PARTITIONS, message->partition);
    ck_assert_int_gt(number, last_of_partition[message->partition]);
    ck_assert_uint_eq(message->key_len, message->len);
    ck_assert_int_eq(memcmp(message->key, message->payload, message->len), 0);
    last_of_partition[message->partition] = number;
    seen_count++;
}

static void check_all_answered(enum stream_delivery delivery) {
    fixture_start(delivery);
    fixture_send_numbers(0, 1000);
    fixture_open();
    fixture_run_until_committed(1000);
    fixture_read("out", 1000, see_number_in_order);
    ck_assert_int_eq(seen_count, 1000);
    ck_assert_int_eq(fixture.released, 1000);
    ck_assert_uint_eq(fixture_stats().records_in_flight, 0);
    ck_assert_uint_eq(fixture_stats().bytes_in_flight, 0);
    ck_assert_uint_eq(fixture_stats().results_out, 1000);
    fixture_stop();
}

START_TEST(exactly_once_answers_all_in_order) {
    check_all_answered(STREAM_EXACTLY_ONCE);
}
END_TEST

START_TEST(at_least_once_answers_all_in_order) {
    check_all_answered(STREAM_AT_LEAST_ONCE);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        exactly_once_answers_all_in_order,
        at_least_once_answers_all_in_order,
    };
    return suite_run("stream", tests, ARRAY_COUNT(tests));
}
