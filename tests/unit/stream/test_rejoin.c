/* What the stream does when the group fences its consumer. */
#include "stream/internal.h"
#include "stream/rejoin.h"
#include "tests/unit/stream/fixture.h"

enum { HEARTBEAT = 12, ADD_OFFSETS_TO_TXN = 25 };
#define COUNT 200

static size_t kept_count;

static void keep(struct fixture *f, struct record *record) {
    fixture_keep(f, record);
    kept_count++;
}

/* The mock keeps a fenced member until its session is over: a short one, but longer than
 * the 3 s for which the mock waits for members. */
static void open_with(enum stream_delivery delivery) {
    static const struct stream_property properties[] = {
        {"session.timeout.ms", "5000"},
        {"heartbeat.interval.ms", "100"},
    };
    fixture_start(delivery);
    log_setup(LOG_LEVEL_COUNT, LOG_FORMAT_TEXT); /* librdkafka's errors are meant */
    fixture.opts.consumer = properties;
    fixture.opts.consumer_count = ARRAY_COUNT(properties);
    fixture_send_numbers(0, COUNT);
    fixture_open();
}

static bool is_fenced(void) {
    return atomic_load(&fixture.stream->source.fenced);
}

static void push_fence(void) {
    rd_kafka_mock_push_request_errors(fixture.cluster, HEARTBEAT, 1,
                                      RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID);
}

static void push_again(size_t count) {
    for (size_t i = 0; i < count; i++) {
        rd_kafka_mock_push_request_errors(fixture.cluster, ADD_OFFSETS_TO_TXN, 1,
                                          RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS);
    }
}

/* All records are in the pipeline when the consumer is fenced. */
static void open_and_be_fenced(enum stream_delivery delivery) {
    int64_t deadline_us = clock_now_us() + PATIENCE_US;
    open_with(delivery);
    fixture.answer = keep;
    while (kept_count < COUNT) {
        fixture_round();
        ck_assert(clock_now_us() < deadline_us);
    }
    push_fence();
    while (!is_fenced()) {
        fixture_round();
        ck_assert(clock_now_us() < deadline_us);
    }
    ck_assert_uint_eq(fixture_stats().partitions_assigned, 0);
}

static void is_replaced(enum stream_delivery delivery) {
    open_and_be_fenced(delivery);
    /* Their messages are the old consumer's: it has to wait for them. */
    for (int i = 0; i < 3; i++) {
        fixture_round();
    }
    ck_assert(is_fenced());
    ck_assert_uint_eq(fixture_stats().records_in_flight, COUNT);
    fixture_answer_kept();
    fixture.answer = fixture_echo;
    fixture_run_until_committed(COUNT);
    ck_assert_uint_eq(fixture_stats().records_lost, COUNT);
    ck_assert_uint_eq(fixture_stats().results_out, COUNT);
    ck_assert_uint_eq(fixture_stats().partitions_assigned, PARTITIONS);
    ck_assert_int_eq(fixture.stream->source.rejoins, 1);
    ck_assert_uint_eq(fixture_stats().rebalance_pauses, 1);
    ck_assert_int_gt(fixture_stats().rebalance_pause_us, 0);
    ck_assert_int_eq(fixture_stats().rebalance_pause_last_us,
                     fixture_stats().rebalance_pause_us);
    ck_assert_int_eq(fixture.released, 2 * COUNT);
    ck_assert_int_lt(fixture_topic_size("out"), 2 * COUNT); /* with markers, if any */
    fixture_stop();
}

START_TEST(a_fenced_consumer_is_replaced_and_its_records_done_again) {
    is_replaced(STREAM_EXACTLY_ONCE);
}
END_TEST

START_TEST(at_least_once_replaces_a_fenced_consumer) {
    is_replaced(STREAM_AT_LEAST_ONCE);
}
END_TEST

#define EMPTY_WAIT 60000000

/* As if the consumer had been fenced so much longer ago. */
static void let_pass(int64_t time_us) {
    fixture.stream->source.fenced_us -= time_us;
}

START_TEST(who_does_not_get_its_records_back_ends_and_says_why) {
    struct error err;
    size_t committed;
    open_and_be_fenced(STREAM_EXACTLY_ONCE);
    let_pass(EMPTY_WAIT / 2);
    fixture_round();
    let_pass(EMPTY_WAIT / 2);
    ck_assert_int_eq(stream_commit(fixture.stream, 5, &committed, &err), STATUS_FATAL);
    ck_assert_msg(strstr(err.text, "fenced, and 200 records are still in work") != NULL,
                  "%s", err.text);
    fixture_answer_kept();
    fixture_stop();
    ck_assert_int_eq(fixture.released, COUNT);
}
END_TEST

/* The offsets of a transaction go with the generation in which its records were held. */
START_TEST(what_was_being_committed_when_fenced_is_rolled_back) {
    int64_t deadline_us = clock_now_us() + PATIENCE_US;
    open_with(STREAM_EXACTLY_ONCE);
    fixture.stream->txn.call_timeout_ms = 200;
    while (fixture.stream->txn.phase < TXN_IDLE) {
        fixture_round();
        ck_assert(clock_now_us() < deadline_us);
    }
    push_again(1000);
    while (fixture.stream->txn.phase != TXN_OFFSETS) {
        fixture_round();
        ck_assert(clock_now_us() < deadline_us);
    }
    ck_assert_ptr_nonnull(fixture.stream->txn.generation);
    fixture.stream->txn.retry_at_us = clock_now_us() + 2 * PATIENCE_US; /* stays in it */
    push_fence();
    while (!is_fenced()) {
        fixture_round();
        ck_assert(clock_now_us() < deadline_us);
    }
    ck_assert_int_eq(fixture.stream->txn.phase, TXN_OFFSETS);
    ck_assert_ptr_null(source_generation_take(fixture.stream));
    let_pass(2 * EMPTY_WAIT); /* a transaction has limits of its own */
    fixture_round();
    rd_kafka_mock_clear_request_errors(fixture.cluster, ADD_OFFSETS_TO_TXN);
    fixture.stream->txn.retry_at_us = 0;
    while (is_fenced()) {
        fixture_round();
        ck_assert(clock_now_us() < deadline_us);
    }
    ck_assert_uint_ge(fixture_stats().transactions_aborted, 1);
    ck_assert_uint_ge(fixture_stats().records_lost, 1);
    ck_assert_uint_eq(fixture_stats().results_out, 0);
    fixture_run_until_committed(COUNT);
    ck_assert_uint_eq(fixture_stats().results_out, COUNT);
    fixture_stop();
}
END_TEST

START_TEST(a_fenced_worker_drains_and_closes) {
    int64_t deadline_us = clock_now_us() + PATIENCE_US;
    open_and_be_fenced(STREAM_EXACTLY_ONCE);
    stream_drain(fixture.stream);
    fixture_answer_kept();
    while (fixture_stats().records_in_flight > 0) {
        fixture_round();
        ck_assert(clock_now_us() < deadline_us);
    }
    fixture_stop();
    ck_assert_int_eq(fixture.released, COUNT);
}
END_TEST

START_TEST(closing_a_fenced_worker_gives_all_back) {
    open_and_be_fenced(STREAM_EXACTLY_ONCE);
    fixture_answer_kept();
    fixture_stop();
    ck_assert_int_eq(fixture.released, COUNT);
}
END_TEST

/* Polls until that fails; the error's text is in *err. */
static enum status poll_until_failed(struct error *err) {
    int64_t deadline_us = clock_now_us() + PATIENCE_US;
    enum status status = STATUS_OK;
    while (status == STATUS_OK && clock_now_us() < deadline_us) {
        struct record *chain;
        struct error later;
        size_t committed;
        status = stream_poll(fixture.stream, 5, &chain, err);
        ck_assert_int_ne(stream_commit(fixture.stream, 5, &committed, &later),
                         STATUS_FATAL);
        if (fixture_stats().partitions_assigned > 0) {
            push_fence();
        }
    }
    return status;
}

START_TEST(who_is_fenced_again_and_again_ends_and_says_why) {
    struct error err = {0};
    open_with(STREAM_EXACTLY_ONCE);
    fixture.stream->source.rejoins = REJOINS_MAX; /* all of them just now */
    fixture.stream->source.rejoins_since_us = clock_now_us();
    ck_assert_int_eq(poll_until_failed(&err), STATUS_FATAL);
    ck_assert_msg(strstr(err.text, "fenced 4 times in 10 minutes") != NULL, "%s",
                  err.text);
    ck_assert_ptr_nonnull(strstr(err.text, fixture.stream->identity.member));
    ck_assert_ptr_nonnull(strstr(err.text, "worker.instance"));
    ck_assert(!is_fenced());
    fixture_stop();
}
END_TEST

START_TEST(who_was_fenced_long_ago_may_be_fenced_again) {
    int64_t deadline_us = clock_now_us() + PATIENCE_US;
    open_with(STREAM_EXACTLY_ONCE);
    fixture.stream->source.rejoins = REJOINS_MAX;
    fixture.stream->source.rejoins_since_us = clock_now_us() - REJOINS_PERIOD_US - 1;
    fixture_run_until_committed(COUNT);
    push_fence();
    while (fixture.stream->source.rejoins == REJOINS_MAX) {
        fixture_round();
        ck_assert(clock_now_us() < deadline_us);
    }
    ck_assert_int_eq(fixture.stream->source.rejoins, 1);
    fixture_stop();
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_fenced_consumer_is_replaced_and_its_records_done_again,
        at_least_once_replaces_a_fenced_consumer,
        what_was_being_committed_when_fenced_is_rolled_back,
        who_does_not_get_its_records_back_ends_and_says_why,
        who_was_fenced_long_ago_may_be_fenced_again,
        a_fenced_worker_drains_and_closes,
        closing_a_fenced_worker_gives_all_back,
        who_is_fenced_again_and_again_ends_and_says_why,
    };
    return suite_run("rejoin", tests, ARRAY_COUNT(tests));
}
