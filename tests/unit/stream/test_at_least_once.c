/* At least once: offsets are committed by a request of their own, and what counts is the
 * answer to that very request, for partitions that are still held. */
#include "stream/internal.h"
#include "stream/rebalance.h"
#include "tests/unit/stream/calls.h"
#include "tests/unit/stream/fixture.h"

enum { PRODUCE = 0, OFFSET_COMMIT = 8 };
#define COUNT 200

/* ---- what the brokers are asked ---- */

static int commits;               /* of what was published */
static int commits_unlimited = 1; /* from this one on an attempt has all the time */

typedef void commit_cb(rd_kafka_t *client, rd_kafka_resp_err_t code,
                       rd_kafka_topic_partition_list_t *offsets, void *opaque);

rd_kafka_resp_err_t rd_kafka_commit_queue(rd_kafka_t *client,
                                          const rd_kafka_topic_partition_list_t *offsets,
                                          rd_kafka_queue_t *queue, commit_cb *callback,
                                          void *opaque) {
    rd_kafka_resp_err_t (*real)(rd_kafka_t *, const rd_kafka_topic_partition_list_t *,
                                rd_kafka_queue_t *, commit_cb *, void *);
    struct stream *stream = fixture.stream;
    CALLS_REAL(real, "rd_kafka_commit_queue");
    if (queue == stream->txn.offset_replies) {
        if (++commits == commits_unlimited) {
            stream->producer.transaction_timeout_us = PATIENCE_US;
        }
        for (int i = 0; i < offsets->cnt; i++) { /* nothing stands in the others */
            ck_assert_int_gt(offsets->elems[i].offset, 0);
        }
    }
    return real(client, offsets, queue, callback, opaque);
}

static size_t in_flight(void) {
    return fixture_stats().records_in_flight;
}

static void round_while(bool (*is_so)(void)) {
    int64_t deadline_us = clock_now_us() + PATIENCE_US;
    while (is_so()) {
        fixture_round();
        ck_assert(clock_now_us() < deadline_us);
    }
}

static bool some_are_to_come(void) {
    return in_flight() < COUNT;
}

static bool nothing_is_committed_or_aborted(void) {
    return fixture_stats().transactions_committed +
               fixture_stats().transactions_aborted ==
           0;
}

/* All records have their outcomes before the next round, to be committed together. */
static void start_with_outcomes(void) {
    fixture_start(STREAM_AT_LEAST_ONCE);
    log_setup(LOG_LEVEL_COUNT, LOG_FORMAT_TEXT); /* what is refused is meant */
    fixture_send_numbers(0, COUNT);
    fixture_open();
    fixture.stream->txn.call_timeout_ms = 100;
    fixture.answer = fixture_keep;
    round_while(some_are_to_come);
    while (fixture.kept != NULL) {
        struct record *record = fixture.kept;
        fixture.kept = record->next;
        fixture_echo(&fixture, record);
    }
    fixture.answer = fixture_echo;
}

static void answer_after(int16_t api, rd_kafka_resp_err_t code, int time_ms) {
    ck_assert_int_eq(rd_kafka_mock_broker_push_request_error_rtts(fixture.cluster, 1, api,
                                                                  1, code, time_ms),
                     0);
}

static bool no_problem_is_told(void) {
    return fixture_stats().problem[0] == '\0';
}

START_TEST(an_answer_that_is_late_is_waited_for_and_that_is_told) {
    start_with_outcomes();
    answer_after(OFFSET_COMMIT, RD_KAFKA_RESP_ERR_NO_ERROR, 5000);
    round_while(no_problem_is_told);
    ck_assert_str_eq(fixture_stats().problem,
                     "nothing can be published now: committing offsets: no answer");
    fixture_run_until_committed(COUNT);
    ck_assert_str_eq(fixture_stats().problem, "");
    ck_assert_int_eq(commits, 1);
    ck_assert_uint_eq(fixture_stats().transactions_aborted, 0);
    ck_assert_int_eq(fixture_topic_size("out"), COUNT);
    fixture_stop();
}
END_TEST

/* The first attempt is given up before its answer is there; the offsets of the second are
 * refused.  Taken for its own, the first one's answer would say that they are committed.
 */
START_TEST(an_answer_to_an_attempt_before_says_nothing_of_this_one) {
    start_with_outcomes();
    answer_after(OFFSET_COMMIT, RD_KAFKA_RESP_ERR_NO_ERROR, 3000);
    answer_after(OFFSET_COMMIT, RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS, 500);
    commits_unlimited = 2;
    fixture.stream->producer.transaction_timeout_us = 100000;
    round_while(nothing_is_committed_or_aborted);
    ck_assert_int_eq(commits, 2);
    ck_assert_uint_eq(fixture_stats().transactions_aborted, 1);
    ck_assert_uint_eq(in_flight(), COUNT);
    fixture_run_until_committed(COUNT);
    ck_assert_int_eq(commits, 3);
    fixture_stop();
}
END_TEST

/* Partitions without records have no offset of ours to be committed. */
START_TEST(offsets_are_committed_of_what_was_published_alone) {
    fixture_start(STREAM_AT_LEAST_ONCE);
    fixture_send("in", 1, "k", "v", 1);
    fixture_open();
    fixture_run_until_committed(1);
    fixture_send("in", 2, "k", "v", 1);
    fixture_run_until_committed(2);
    ck_assert_int_eq(commits, 2);
    fixture_stop();
}
END_TEST

/* ---- partitions that go ---- */

static rd_kafka_topic_partition_list_t *new_list(int size) {
    rd_kafka_topic_partition_list_t *(*real)(int);
    CALLS_REAL(real, "rd_kafka_topic_partition_list_new");
    return real(size);
}

static void take_all_away(void) {
    rd_kafka_topic_partition_list_t *list = new_list(PARTITIONS);
    for (int32_t p = 0; p < PARTITIONS; p++) {
        rd_kafka_topic_partition_list_add(list, "in", p);
    }
    fixture.stream->source.revoke_wait_us = 0;
    rebalance_cb(fixture.stream->source.consumer, RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS,
                 list, &fixture.stream->context);
    rd_kafka_topic_partition_list_destroy(list);
}

static bool is_to_go; /* when the offsets of a commit are listed */

rd_kafka_topic_partition_list_t *rd_kafka_topic_partition_list_new(int size) {
    if (is_to_go && fixture.stream->txn.phase == TXN_COMMIT) {
        is_to_go = false;
        take_all_away();
    }
    return new_list(size);
}

static bool delivery_is_not_awaited(void) {
    return fixture.stream->txn.phase != TXN_OFFSETS;
}

static bool records_are_held(void) {
    return fixture_stats().records_lost < COUNT;
}

static void check_nothing_was_committed(void) {
    round_while(records_are_held);
    ck_assert_int_eq(commits, 0);
    ck_assert_uint_eq(fixture_stats().transactions_aborted, 1);
    ck_assert_uint_eq(fixture_stats().results_out, 0);
    fixture_stop();
}

START_TEST(what_goes_while_it_is_delivered_is_not_committed) {
    start_with_outcomes();
    answer_after(PRODUCE, RD_KAFKA_RESP_ERR_NO_ERROR, 1000);
    round_while(delivery_is_not_awaited);
    take_all_away();
    check_nothing_was_committed();
}
END_TEST

START_TEST(what_goes_while_it_is_committed_is_not_committed) {
    start_with_outcomes();
    is_to_go = true;
    check_nothing_was_committed();
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        an_answer_that_is_late_is_waited_for_and_that_is_told,
        an_answer_to_an_attempt_before_says_nothing_of_this_one,
        offsets_are_committed_of_what_was_published_alone,
        what_goes_while_it_is_delivered_is_not_committed,
        what_goes_while_it_is_committed_is_not_committed,
    };
    return suite_run("at_least_once", tests, ARRAY_COUNT(tests));
}
