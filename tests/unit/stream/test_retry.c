/* Retry topics: what fails for now comes back when it is due, as it was; and what waits
 * keeps nothing else waiting. */
#include "stream/internal.h"
#include "stream/retry.h"
#include "tests/unit/stream/fixture.h"

#define DELAY_MS 300
#define LONG_MS 600000

static int attempts[4]; /* of the number 0 .. 3 */
static int64_t failed_us, came_back_us;

static void retry_twice(struct fixture *f, struct record *record) {
    int number = record->value.data[0] - '0';

    ck_assert_int_eq(record->attempt, ++attempts[number]);
    ck_assert_int_eq(record->retries_left, 2 - (record->attempt - 1));
    if (number == 1 && record->attempt <= 2) {
        char reason[32];
        snprintf(reason, sizeof reason, "failure %d", record->attempt);
        ck_assert(record_set_retry(record, "infer", "digits", reason));
        failed_us = clock_now_us();
        return;
    }
    if (number == 1) {
        came_back_us = clock_now_us();
    }
    fixture_echo(f, record);
}

static void retry_always(struct fixture *f, struct record *record) {
    char reason[32];
    (void)f;
    snprintf(reason, sizeof reason, "failure %d", record->attempt);
    ck_assert(record_set_retry(record, "infer", "digits", reason) ==
              (record->attempt <= 2));
}

static void start_with_retries(int64_t first_ms, int64_t second_ms) {
    fixture_start(STREAM_EXACTLY_ONCE);
    fixture.route.retries[0] = (struct stream_retry){"in.retry.1", first_ms};
    fixture.route.retries[1] = (struct stream_retry){"in.retry.2", second_ms};
    fixture.route.retry_count = 2;
}

static int seen;

static void see_retry(const rd_kafka_message_t *message) {
    static const struct {
        const char *name, *value;
    } expected[] = {
        {"origin", "test"},
        {"millrace.retry.attempt", "1"},
        {"millrace.retry.topic", "in"},
        {"millrace.retry.partition", "1"},
        {"millrace.retry.offset", "0"},
        {"millrace.retry.first_error", "infer: failure 1"},
        {"millrace.retry.last_error", "infer: failure 1"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++) {
        ck_assert_str_eq(fixture_header(message, expected[i].name), expected[i].value);
    }
    ck_assert_int_eq(message->partition, 1);
    ck_assert_uint_eq(message->key_len, 1);
    ck_assert_int_eq(memcmp(message->payload, "1", 1), 0);
    seen++;
}

static void ignore(const rd_kafka_message_t *message) {
    (void)message;
}

START_TEST(a_record_that_fails_for_now_is_answered_by_a_later_attempt) {
    start_with_retries(DELAY_MS, DELAY_MS);
    fixture.answer = retry_twice;
    fixture_send_numbers(0, 4);
    fixture_open();
    fixture_run_until_committed(4 + 2);
    ck_assert_int_eq(attempts[0], 1);
    ck_assert_int_eq(attempts[1], 3);
    ck_assert_uint_eq(fixture_stats().results_out, 4);
    ck_assert_uint_eq(fixture_stats().retries_out, 2);
    ck_assert_uint_eq(fixture_stats().dead_letters_out, 0);
    ck_assert_int_ge(came_back_us - failed_us, DELAY_MS * 1000);
    fixture_read("in.retry.1", 1, see_retry);
    ck_assert_int_eq(seen, 1);
    fixture_read("out", 4, ignore);
    fixture_stop();
}
END_TEST

static void see_given_up(const rd_kafka_message_t *message) {
    static const struct {
        const char *name, *value;
    } expected[] = {
        {"origin", "test"},
        {"millrace.attempt", "3"},
        {"millrace.reason", "failure 3"},
        {"millrace.first_error", "infer: failure 1"},
        {"millrace.retry.attempt", ""},
        {"millrace.retry.not_before", ""},
        {"__connect.errors.topic", "in"},
        {"__connect.errors.partition", "2"},
        {"__connect.errors.offset", "0"},
        {"__connect.errors.exception.stacktrace",
         "millrace.infer: failure 3\nFirst error: infer: failure 1"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++) {
        ck_assert_str_eq(fixture_header(message, expected[i].name), expected[i].value);
    }
    ck_assert_int_eq(memcmp(message->payload, "2", 1), 0);
    seen++;
}

START_TEST(a_record_that_fails_on_every_level_is_one_dead_letter) {
    start_with_retries(1, 1);
    fixture.answer = retry_always;
    fixture_send("in", 2, "2", "2", 1);
    fixture_open();
    fixture_run_until_committed(3);
    ck_assert_uint_eq(fixture_stats().dead_letters_out, 1);
    ck_assert_int_eq(fixture_topic_size("dead"), 1);
    fixture_read("dead", 1, see_given_up);
    ck_assert_int_eq(seen, 1);
    fixture_stop();
}
END_TEST

static void retry_odd(struct fixture *f, struct record *record) {
    if (record->attempt == 1 && record->value.data[record->value.size - 1] % 2 == 1) {
        ck_assert(record_set_retry(record, "infer", NULL, "not now"));
    } else {
        ck_assert_int_eq(record->attempt, 1); /* the others are not due */
        fixture_echo(f, record);
    }
}

START_TEST(what_waits_keeps_nothing_else_waiting) {
    start_with_retries(LONG_MS, LONG_MS);
    fixture.answer = retry_odd;
    fixture_send_numbers(0, 200);
    fixture_open();
    fixture_run_until_committed(200);
    fixture_send_numbers(200, 200);
    fixture_run_until_committed(400);
    ck_assert_uint_eq(fixture_stats().results_out, 200);
    ck_assert_uint_eq(fixture_stats().retries_out, 200);
    /* They are no work in flight, so that a worker need not wait to stop. */
    ck_assert_uint_eq(fixture_stats().records_in_flight, 0);
    ck_assert_uint_eq(fixture_stats().records_in, 400);
    fixture_stop();
}
END_TEST

START_TEST(what_waited_in_a_closed_worker_is_done_by_the_next) {
    start_with_retries(DELAY_MS, DELAY_MS);
    fixture.opts.delivery = STREAM_AT_LEAST_ONCE; /* the mock keeps such offsets */
    fixture.answer = retry_twice;
    fixture_send("in", 1, "1", "1", 1);
    fixture_open();
    fixture_run_until_committed(1);
    stream_close(fixture.stream, 10000);
    fixture_open();
    fixture_run_until_committed(3);
    ck_assert_uint_eq(fixture_stats().results_out, 1);
    ck_assert_int_eq(fixture_topic_size("out"), 1);
    fixture_stop();
}
END_TEST

static void see_too_large(const rd_kafka_message_t *message) {
    ck_assert_str_eq(fixture_header(message, "millrace.stage"), "publish");
    ck_assert_str_eq(fixture_header(message, "millrace.reason"),
                     "too large for retry topic 'in.retry.1': message.max.bytes of the "
                     "producer is 2000; it failed: failure 1");
    ck_assert_ptr_null(message->payload);
    seen++;
}

START_TEST(a_retry_too_large_to_send_is_a_dead_letter_that_says_why) {
    static const struct stream_property max = {"message.max.bytes", "2000"};
    static const char big[4000];
    start_with_retries(1, 1);
    log_setup(LOG_LEVEL_COUNT, LOG_FORMAT_TEXT);
    fixture.opts.producer = &max;
    fixture.opts.producer_count = 1;
    fixture.answer = retry_always;
    fixture_send("in", 1, "k", big, sizeof big);
    fixture_open();
    fixture_run_until_committed(1);
    fixture_read("dead", 1, see_too_large);
    ck_assert_int_eq(seen, 1);
    fixture_stop();
}
END_TEST

/* ---- times ---- */

static struct slot last_slot;
static struct lease lease;
static int64_t wall_ms, now_us;

static void read_it(const rd_kafka_message_t *message) {
    static const struct stream_retry level = {"in", 5000};
    last_slot = (struct slot){
        .lease = &lease,
        .record = {.message = (void *)(uintptr_t)message, .timestamp_ms = 5}};
    retry_read(&last_slot, &level, now_us, wall_ms);
}

static char letter = 'v';

static void send_header(const char *name, const char *value) {
    ck_assert_int_eq(
        rd_kafka_producev(fixture.client, RD_KAFKA_V_TOPIC("in"), RD_KAFKA_V_PARTITION(0),
                          RD_KAFKA_V_VALUE(&letter, 1),
                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                          RD_KAFKA_V_HEADER(name, value, -1), RD_KAFKA_V_END),
        0);
    ck_assert_int_eq(rd_kafka_flush(fixture.client, 10000), 0);
}

START_TEST(a_wait_is_read_once_and_never_longer_than_its_level) {
    static const struct {
        int64_t wall_ms, wait_ms;
    } cases[] = {
        {1000, 4000}, {4999, 1},        {5000, 0}, {9000, 0}, /* the clock went on */
        {0, 5000},    {-1000000, 5000},                       /* it was set back */
    };
    fixture_start(STREAM_EXACTLY_ONCE);
    send_header("millrace.retry.not_before", "5000");
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        now_us = 7000000;
        wall_ms = cases[i].wall_ms;
        lease.behind_ms = 0;
        fixture_read("in", 1, read_it);
        /* What is due is due at once, and pauses nothing. */
        ck_assert_int_eq(last_slot.due_us,
                         cases[i].wait_ms > 0 ? now_us + cases[i].wait_ms * 1000 : 0);
    }
    rd_kafka_mock_cluster_destroy(fixture.cluster);
    rd_kafka_destroy(fixture.client);
}
END_TEST

/* Records of a writer whose clock is an hour ahead of ours were written one after the
 * other: so they are due, and not each a whole delay after the one before. */
START_TEST(a_clock_behind_the_writers_delays_all_but_once) {
    static const char *const due[] = {"3605000", "3605100", "3605200"};
    fixture_start(STREAM_EXACTLY_ONCE);
    for (size_t i = 0; i < ARRAY_COUNT(due); i++) {
        send_header("millrace.retry.not_before", due[i]);
    }
    lease.behind_ms = 0;
    wall_ms = 0;
    now_us = 0;
    fixture_read("in", 1, read_it); /* the first, as it comes */
    ck_assert_int_eq(last_slot.due_us, 5000000);
    wall_ms = 5000; /* the others, after it */
    now_us = 5000000;
    fixture_read("in", 3, read_it);
    ck_assert_int_eq(last_slot.due_us, 5200000);
    /* One of a writer with our clock waits as ever. */
    send_header("millrace.retry.not_before", "9000");
    fixture_read("in", 4, read_it);
    ck_assert_int_eq(last_slot.due_us, 9000000);
    rd_kafka_mock_cluster_destroy(fixture.cluster);
    rd_kafka_destroy(fixture.client);
}
END_TEST

START_TEST(headers_that_are_no_numbers_are_passed_over) {
    static const char *const bad[] = {"", "x", "-1", "1e9", "99999999999999999999999"};
    fixture_start(STREAM_EXACTLY_ONCE);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        send_header(i % 2 == 0 ? "millrace.retry.attempt" : "millrace.retry.not_before",
                    bad[i]);
    }
    now_us = 7000000;
    wall_ms = 1;
    for (int i = 1; i <= (int)ARRAY_COUNT(bad); i++) {
        fixture_read("in", i, read_it);
        ck_assert_int_ge(last_slot.record.attempt, 2);
        ck_assert_int_eq(last_slot.due_us, 0);
        ck_assert_int_eq(last_slot.record.timestamp_ms, 5);
    }
    rd_kafka_mock_cluster_destroy(fixture.cluster);
    rd_kafka_destroy(fixture.client);
}
END_TEST

START_TEST(a_retry_topic_of_another_use_is_refused) {
    struct error err;
    start_with_retries(1, 1);
    fixture.route.retries[1].topic = "dead";
    ck_assert_int_eq(stream_open(&fixture.opts, &fixture.stream, &err), STATUS_INVALID);
    ck_assert_msg(strstr(err.text, "'dead'") != NULL, "%s", err.text);
    fixture.route.retry_count = STREAM_RETRIES_MAX + 1;
    ck_assert_int_eq(stream_open(&fixture.opts, &fixture.stream, &err), STATUS_INVALID);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_record_that_fails_for_now_is_answered_by_a_later_attempt,
        a_record_that_fails_on_every_level_is_one_dead_letter,
        what_waits_keeps_nothing_else_waiting,
        what_waited_in_a_closed_worker_is_done_by_the_next,
        a_retry_too_large_to_send_is_a_dead_letter_that_says_why,
        a_wait_is_read_once_and_never_longer_than_its_level,
        a_clock_behind_the_writers_delays_all_but_once,
        headers_that_are_no_numbers_are_passed_over,
        a_retry_topic_of_another_use_is_refused,
    };
    return suite_run("retry", tests, ARRAY_COUNT(tests));
}
