/* What is published for each kind of outcome, and how records are kept back. */
#include "stream/internal.h"
#include "stream/send.h"
#include "tests/unit/stream/calls.h"
#include "tests/unit/stream/fixture.h"

#define BIG 4000
#define MESSAGE_MAX "2000"

static int seen;

/* ---- dead letters ---- */

static void kill_it(struct fixture *f, struct record *record) {
    (void)f;
    record_set_dead(record, "decode", "digits", "not an Avro record");
}

static void see_dead_letter(const rd_kafka_message_t *message) {
    static const struct {
        const char *name, *value;
    } expected[] = {
        {"origin", "test"},
        {"__connect.errors.topic", "in"},
        {"__connect.errors.partition", "2"},
        {"__connect.errors.offset", "0"},
        {"__connect.errors.connector.name", "group"},
        {"__connect.errors.stage", "decode"},
        {"__connect.errors.class.name", "millrace"},
        {"__connect.errors.exception.class.name", "millrace.decode"},
        {"__connect.errors.exception.message", "not an Avro record"},
        {"millrace.stage", "decode"},
        {"millrace.model", "digits"},
        {"millrace.reason", "not an Avro record"},
        {"millrace.attempt", "1"},
        {"millrace.cut", ""},
    };
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++) {
        ck_assert_str_eq(fixture_header(message, expected[i].name), expected[i].value);
    }
    ck_assert_int_eq(message->partition, 2);
    ck_assert_uint_eq(message->len, 5);
    ck_assert_int_eq(memcmp(message->payload, "va\0ue", 5), 0);
    ck_assert_uint_eq(message->key_len, 3);
    ck_assert_int_eq(memcmp(message->key, "key", 3), 0);
    seen++;
}

START_TEST(a_dead_letter_is_the_original_and_says_why) {
    fixture_start(STREAM_EXACTLY_ONCE);
    fixture.answer = kill_it;
    fixture_send("in", 2, "key", "va\0ue", 5);
    fixture_open();
    fixture_run_until_committed(1);
    fixture_read("dead", 1, see_dead_letter);
    ck_assert_int_eq(seen, 1);
    ck_assert_uint_eq(fixture_stats().dead_letters_out, 1);
    ck_assert_uint_eq(fixture_stats().results_out, 0);
    ck_assert_int_eq(fixture_topic_size("out"), 0);
    fixture_stop();
}
END_TEST

static void see_nothing_in_it(const rd_kafka_message_t *message) {
    ck_assert_ptr_null(message->payload);
    ck_assert_ptr_null(message->key);
    seen++;
}

START_TEST(a_record_of_nothing_stays_one) {
    fixture_start(STREAM_EXACTLY_ONCE);
    fixture.answer = kill_it;
    fixture_send("in", 0, NULL, NULL, 0);
    fixture_open();
    fixture_run_until_committed(1);
    fixture_read("dead", 1, see_nothing_in_it);
    fixture_stop();
}
END_TEST

/* ---- too large ---- */

static char big[BIG];

/* Number 7 gets an answer that is too large. */
static void answer_seven_at_length(struct fixture *f, struct record *record) {
    bool seven = span_is(record->value, "7");
    record_set_result(record, seven ? span_of(big, BIG) : record->value, f);
}

static void see_seven(const rd_kafka_message_t *message) {
    ck_assert_uint_eq(message->len, 1);
    ck_assert_int_eq(*(const char *)message->payload, '7');
    ck_assert_str_eq(fixture_header(message, "millrace.stage"), "publish");
    ck_assert_ptr_nonnull(
        strstr(fixture_header(message, "millrace.reason"), "4000 bytes"));
    seen++;
}

static void see_any(const rd_kafka_message_t *message) {
    (void)message;
}

static void check_only_seven_is_dead(void) {
    fixture_run_until_committed(100);
    ck_assert_uint_eq(fixture_stats().dead_letters_out, 1);
    ck_assert_uint_eq(fixture_stats().results_out, 99);
    ck_assert_int_eq(fixture.released, 100);
    fixture_read("dead", 1, see_seven);
    fixture_read("out", 99, see_any);
}

static void set_producer_property(const char *name, const char *value) {
    static struct stream_property property;
    property = (struct stream_property){name, value};
    fixture.opts.producer = &property;
    fixture.opts.producer_count = 1;
}

START_TEST(a_result_too_large_to_send_is_a_dead_letter) {
    fixture_start(STREAM_EXACTLY_ONCE);
    fixture.answer = answer_seven_at_length;
    set_producer_property("message.max.bytes", MESSAGE_MAX);
    fixture_send_numbers(0, 100);
    fixture_open();
    check_only_seven_is_dead();
    ck_assert_uint_eq(fixture_stats().transactions_aborted, 0);
    fixture_stop();
}
END_TEST

/* The mock refuses whole batches as a broker does; only the first is refused here, in
 * which number 7 is by far the largest. */
START_TEST(a_result_too_large_for_the_topic_is_a_dead_letter) {
    fixture_start(STREAM_EXACTLY_ONCE);
    fixture.answer = answer_seven_at_length;
    fixture_send("in", 3, "7", "7", 1);
    ck_assert_int_eq(rd_kafka_flush(fixture.client, 10000), 0);
    rd_kafka_mock_push_request_errors(fixture.cluster, 0, 1,
                                      RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    fixture_open();
    fixture_run_until_committed(1);
    ck_assert_uint_ge(fixture_stats().transactions_aborted, 1);
    fixture_read("dead", 1, see_seven);
    ck_assert_int_eq(seen, 1);
    fixture_stop();
}
END_TEST

/* The mock would take the second; it is known by then that the topic does not. */
START_TEST(what_is_as_large_as_a_refused_result_is_not_tried) {
    fixture_start(STREAM_EXACTLY_ONCE);
    fixture.answer = answer_seven_at_length;
    fixture_send("in", 3, "7", "7", 1);
    ck_assert_int_eq(rd_kafka_flush(fixture.client, 10000), 0);
    rd_kafka_mock_push_request_errors(fixture.cluster, 0, 1,
                                      RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    fixture_open();
    fixture_run_until_committed(1);
    fixture_send("in", 3, "7", "7", 1);
    fixture_send("in", 3, "8", "8", 1);
    fixture_run_until_committed(3);
    ck_assert_uint_eq(fixture_stats().dead_letters_out, 2);
    ck_assert_uint_eq(fixture_stats().results_out, 1);
    fixture_stop();
}
END_TEST

static void see_the_first_without_value(const rd_kafka_message_t *message) {
    ck_assert_uint_eq(message->key_len, 3);
    ck_assert_str_eq(fixture_header(message, "origin"), "test");
    ck_assert_uint_eq(message->len, seen == 0 ? 0 : 5);
    ck_assert_str_eq(fixture_header(message, "millrace.cut"),
                     seen == 0 ? "value: value of 4000 bytes, key of 3 bytes" : "");
    seen++;
}

START_TEST(a_dead_letter_too_large_goes_without_its_value) {
    fixture_start(STREAM_EXACTLY_ONCE);
    log_setup(LOG_LEVEL_COUNT, LOG_FORMAT_TEXT);
    fixture.answer = kill_it;
    set_producer_property("message.max.bytes", MESSAGE_MAX);
    fixture.opts.window_records_max = 1; /* the next one takes its place */
    fixture_send("in", 1, "key", big, BIG);
    fixture_open();
    fixture_run_until_committed(1);
    fixture_send("in", 1, "key", "small", 5);
    fixture_run_until_committed(2);
    fixture_read("dead", 2, see_the_first_without_value);
    ck_assert_int_eq(seen, 2);
    fixture_stop();
}
END_TEST

static void see_refused_letter(const rd_kafka_message_t *message) {
    ck_assert_ptr_null(message->payload);
    ck_assert_str_eq(fixture_header(message, "millrace.cut"),
                     "value: value of 5 bytes, key of 3 bytes");
    ck_assert_str_eq(fixture_header(message, "millrace.stage"), "decode");
    seen++;
}

/* Or it would be sent for ever. */
START_TEST(a_dead_letter_that_its_topic_refuses_goes_without_its_value) {
    fixture_start(STREAM_EXACTLY_ONCE);
    log_setup(LOG_LEVEL_COUNT, LOG_FORMAT_TEXT);
    fixture.answer = kill_it;
    fixture_send("in", 1, "key", "value", 5);
    ck_assert_int_eq(rd_kafka_flush(fixture.client, 10000), 0);
    rd_kafka_mock_push_request_errors(fixture.cluster, 0, 1,
                                      RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    fixture_open();
    fixture_run_until_committed(1);
    fixture_read("dead", 1, see_refused_letter);
    ck_assert_int_eq(seen, 1);
    fixture_stop();
}
END_TEST

START_TEST(small_results_are_not_blamed_for_a_batch_that_is_too_large) {
    fixture_start(STREAM_EXACTLY_ONCE);
    fixture_send_numbers(0, 100);
    rd_kafka_mock_push_request_errors(fixture.cluster, 0, 1,
                                      RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    fixture_open();
    fixture_run_until_committed(100);
    ck_assert_uint_eq(fixture_stats().results_out, 100);
    ck_assert_uint_eq(fixture_stats().dead_letters_out, 0);
    ck_assert_int_lt(fixture.stream->producer.batch_size, 1000000);
    fixture_stop();
}
END_TEST

/* ---- keeping back ---- */

START_TEST(a_full_window_is_waited_for_and_each_record_comes_once) {
    int64_t deadline_us = clock_now_us() + PATIENCE_US;
    fixture_start(STREAM_EXACTLY_ONCE);
    fixture.opts.window_records_max = 50;
    fixture.answer = fixture_keep;
    fixture_send_numbers(0, 500);
    fixture_open();
    while (fixture.committed < 500) {
        uint64_t pauses = fixture_stats().pauses;
        /* Nothing is answered until the window is full. */
        while (fixture_stats().pauses == pauses && fixture_stats().records_in < 500) {
            fixture_round();
            ck_assert_int_lt(clock_now_us(), deadline_us);
        }
        ck_assert_uint_le(fixture_stats().records_in_flight, 50);
        fixture_answer_kept();
        fixture_round();
    }
    ck_assert_uint_ge(fixture_stats().pauses, 5);
    ck_assert_uint_eq(fixture_stats().records_in, 500);
    ck_assert_int_eq(fixture_topic_size("out"), 500);
    fixture_stop();
}
END_TEST

static void keep_those_of_the_first_partition(struct fixture *f, struct record *record) {
    if (record->partition == 0) {
        fixture_keep(f, record);
    } else {
        fixture_echo(f, record);
    }
}

/* Otherwise a window would bound the answers of an interval, however fast they come. */
START_TEST(half_a_window_of_answers_is_committed_before_its_time) {
    fixture_start(STREAM_EXACTLY_ONCE);
    fixture.opts.commit_interval_us = 600000000;
    fixture.opts.window_records_max = 200;
    fixture.answer = keep_those_of_the_first_partition;
    fixture_send_numbers(0, 100 * PARTITIONS);
    fixture_open();
    /* The first commit waits for nothing, and holds no more than a window. */
    fixture_run_until_committed(201);
    fixture_stop();
}
END_TEST

/* The group waits for it. */
START_TEST(what_is_done_of_a_revoked_partition_is_committed_before_its_time) {
    struct lease **place, *lease;
    fixture_start(STREAM_EXACTLY_ONCE);
    fixture.opts.commit_interval_us = 600000000;
    fixture_send_numbers(0, PARTITIONS);
    fixture_open();
    fixture_run_until_committed(PARTITIONS); /* the first commit waits for nothing */
    fixture.answer = keep_those_of_the_first_partition;
    fixture_send("in", 0, "k", "v", 1);
    while (fixture_stats().records_in < PARTITIONS + 1) {
        fixture_round();
    }
    /* While that one is computed nothing else is committed for want of work. */
    fixture_send_numbers(0, 100);
    while (fixture_stats().records_in < PARTITIONS + 101) {
        fixture_round();
    }
    fixture_round();
    ck_assert_uint_eq(fixture.committed, PARTITIONS);
    place = &fixture.stream->source.tables[0].leases[1];
    lease = *place;
    *place = NULL;
    window_revoke(&fixture.stream->window, lease);
    fixture_run_until_committed(PARTITIONS + 75);
    ck_assert(window_wait_drained(&fixture.stream->window, lease, 0));
    window_lose(&fixture.stream->window, lease);
    fixture_stop();
}
END_TEST

/* Until one is known, they are taken to be large. */
START_TEST(what_an_answer_may_take_counts_while_it_is_computed) {
    fixture_start(STREAM_EXACTLY_ONCE);
    fixture.answer = fixture_keep;
    fixture_send("in", 1, "key", "value", 5);
    fixture_open();
    while (fixture_stats().records_in == 0) {
        fixture_round();
    }
    ck_assert_uint_eq(fixture_stats().bytes_in_flight,
                      8 + fixture.opts.window_size_max / 256);
    fixture_answer_kept();
    fixture_run_until_committed(1);
    fixture_stop();
}
END_TEST

static int polls; /* of the consumer */

rd_kafka_message_t *rd_kafka_consumer_poll(rd_kafka_t *client, int timeout_ms) {
    rd_kafka_message_t *(*real)(rd_kafka_t *, int);
    CALLS_REAL(real, "rd_kafka_consumer_poll");
    polls++;
    return real(client, timeout_ms);
}

START_TEST(draining_finishes_what_is_there_and_takes_no_more) {
    fixture_start(STREAM_EXACTLY_ONCE);
    fixture.answer = fixture_keep;
    fixture_send_numbers(0, 100);
    fixture_open();
    while (fixture_stats().records_in < 100) {
        fixture_round();
    }
    stream_drain(fixture.stream);
    fixture_send_numbers(100, 100);
    for (int i = 0; i < 50; i++) {
        int polls_before = polls;
        fixture_round();
        ck_assert_int_gt(polls, polls_before); /* or the group would miss it */
    }
    fixture_answer_kept();
    fixture_run_until_committed(100);
    ck_assert_uint_eq(fixture_stats().records_in, 100);
    ck_assert_uint_eq(fixture_stats().records_in_flight, 0);
    fixture_stop();
}
END_TEST

START_TEST(closing_with_records_in_flight_gives_all_back) {
    fixture_start(STREAM_EXACTLY_ONCE);
    fixture.answer = fixture_keep;
    fixture_send_numbers(0, 100);
    fixture_open();
    while (fixture_stats().records_in < 100) {
        fixture_round();
    }
    fixture_answer_kept();
    fixture_stop(); /* before a commit */
    ck_assert_int_eq(fixture.released, 100);
}
END_TEST

START_TEST(what_a_closed_worker_left_is_done_by_the_next) {
    fixture_start(STREAM_EXACTLY_ONCE);
    fixture.answer = fixture_keep;
    fixture_send_numbers(0, 100);
    fixture_open();
    while (fixture_stats().records_in < 100) {
        fixture_round();
    }
    stream_close(fixture.stream, 10000);
    fixture.kept = NULL;
    fixture.answer = fixture_echo;
    fixture_open();
    fixture_run_until_committed(100);
    ck_assert_int_eq(fixture_topic_size("out"), 100);
    fixture_stop();
}
END_TEST

/* ---- as much as a request holds ---- */

#define PORTION_RECORDS 200 /* a window takes no more before it knows an answer */
#define REQUEST_SIZE 3000   /* of the 200 about a half */

static void answer_all_kept(void) {
    while (fixture.kept != NULL) {
        struct record *record = fixture.kept;
        fixture.kept = record->next;
        fixture_echo(&fixture, record);
    }
}

static void see_next_number(const rd_kafka_message_t *message) {
    char text[16];
    snprintf(text, sizeof text, "%d", seen++);
    ck_assert(span_is(span_of(message->payload, message->len), text));
}

/* What waits behind a request makes librdkafka's thread spin until it is answered. */
START_TEST(no_more_is_queued_of_a_partition_than_a_request_holds) {
    struct lease *lease;
    struct error err;
    int portions = 0;
    fixture_start(STREAM_AT_LEAST_ONCE);
    set_producer_property("batch.size", "3000");
    fixture.answer = fixture_keep;
    fixture_send_numbers_to(1, PORTION_RECORDS);
    fixture_open();
    while (fixture_stats().records_in < PORTION_RECORDS) {
        fixture_round();
    }
    answer_all_kept();
    (void)window_collect(&fixture.stream->window);
    for (lease = fixture.stream->window.leases; lease->ready_count == 0;) {
        lease = lease->next;
    }
    for (size_t before = 0; before < PORTION_RECORDS; before = lease->taken_count) {
        ck_assert_int_eq(send_outcomes(fixture.stream, lease, PORTION_RECORDS, &err),
                         STATUS_OK);
        ck_assert_uint_gt(lease->taken_count, before);
        ck_assert_uint_lt(fixture.stream->producer.portion_size, REQUEST_SIZE);
        ck_assert(producer_await_portion(&fixture.stream->producer, 10000));
        portions++;
    }
    ck_assert_int_ge(portions, 2);
    ck_assert_int_le(portions, 3);
    fixture_read("out", PORTION_RECORDS, see_next_number);
    fixture_stop();
}
END_TEST

/* ---- options ---- */

static void check_refused(const char *word) {
    struct error err;
    ck_assert_int_eq(stream_open(&fixture.opts, &fixture.stream, &err), STATUS_INVALID);
    ck_assert_ptr_null(fixture.stream);
    ck_assert_msg(strstr(err.text, word) != NULL, "%s", err.text);
}

START_TEST(options_that_cannot_work_are_refused) {
    struct stream_route twice[] = {
        {.input = "in", .output = "out", .dead_letter = "dead"},
        {.input = "in", .output = "out2", .dead_letter = "dead"},
    };
    fixture_start(STREAM_EXACTLY_ONCE);
    fixture.opts.routes = twice;
    fixture.opts.route_count = 2;
    check_refused("two routes");
    fixture.opts.route_count = 0;
    check_refused("routes");
    fixture.opts.route_count = 1;
    twice[0].output = "in";
    check_refused("both");
    twice[0].output = "out";
    fixture.opts.route_count = 2;
    twice[1] = (struct stream_route){.input = "out", .output = "in", .dead_letter = "d"};
    check_refused("come back to it"); /* by way of the other route */
    twice[1] = (struct stream_route){.input = "dead", .output = "x", .dead_letter = "d"};
    check_refused("dead letters");
    twice[1] = (struct stream_route){.input = "out", .output = "x", .dead_letter = "d"};
    ck_assert_int_eq(stream_check(&fixture.opts, &(struct error){0}), STATUS_OK);
    fixture.opts.route_count = 1;
    fixture.opts.group = "";
    check_refused("group");
    fixture.opts.group = "group";
    set_producer_property("acks", "1");
    check_refused("acks");
    set_producer_property("message.timeout.ms", "600000"); /* beyond the transaction's */
    check_refused("message.timeout.ms");
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_dead_letter_is_the_original_and_says_why,
        a_record_of_nothing_stays_one,
        a_result_too_large_to_send_is_a_dead_letter,
        a_result_too_large_for_the_topic_is_a_dead_letter,
        what_is_as_large_as_a_refused_result_is_not_tried,
        a_dead_letter_too_large_goes_without_its_value,
        a_dead_letter_that_its_topic_refuses_goes_without_its_value,
        small_results_are_not_blamed_for_a_batch_that_is_too_large,
        a_full_window_is_waited_for_and_each_record_comes_once,
        half_a_window_of_answers_is_committed_before_its_time,
        what_is_done_of_a_revoked_partition_is_committed_before_its_time,
        what_an_answer_may_take_counts_while_it_is_computed,
        draining_finishes_what_is_there_and_takes_no_more,
        closing_with_records_in_flight_gives_all_back,
        what_a_closed_worker_left_is_done_by_the_next,
        no_more_is_queued_of_a_partition_than_a_request_holds,
        options_that_cannot_work_are_refused,
    };
    return suite_run("outcomes", tests, ARRAY_COUNT(tests));
}
