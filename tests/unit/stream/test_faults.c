/* What the stream does when calls to the brokers fail.  The mock keeps aborted records,
 * so that a replay is seen as a second copy: counts here are at least, and the stream's
 * own figures say what it took for committed. */
#include "stream/internal.h"
#include "tests/unit/stream/fixture.h"

enum {
    PRODUCE = 0,
    OFFSET_COMMIT = 8,
    OFFSET_FETCH = 9,
    INIT_PRODUCER_ID = 22,
    ADD_PARTITIONS_TO_TXN = 24
};
enum { ADD_OFFSETS_TO_TXN = 25, END_TXN = 26, TXN_OFFSET_COMMIT = 28 };

#define COUNT 200

static void ignore(const rd_kafka_message_t *message) {
    (void)message;
}

static void push(int16_t api, size_t count, rd_kafka_resp_err_t code) {
    for (size_t i = 0; i < count; i++) {
        rd_kafka_mock_push_request_errors(fixture.cluster, api, 1, code);
    }
}

/* Opens, gets a first transaction through, and has the next meet the errors. */
static void run_with(enum stream_delivery delivery, int16_t api, size_t count,
                     rd_kafka_resp_err_t code) {
    fixture_start(delivery);
    fixture_send_numbers(0, COUNT);
    fixture_open();
    fixture_run_until_committed(COUNT);
    fixture_send_numbers(COUNT, COUNT);
    push(api, count, code);
    fixture_run_until_committed(2 * COUNT);
    ck_assert_uint_eq(fixture.committed, 2 * COUNT);
    ck_assert_int_eq(fixture.released, 2 * COUNT);
    ck_assert_uint_eq(fixture_stats().results_out, 2 * COUNT);
    ck_assert_str_eq(fixture_stats().problem, "");
    fixture_read("out", 2 * COUNT, ignore);
}

START_TEST(a_moving_coordinator_is_followed) {
    run_with(STREAM_EXACTLY_ONCE, ADD_OFFSETS_TO_TXN, 2,
             RD_KAFKA_RESP_ERR_NOT_COORDINATOR);
    fixture_stop();
}
END_TEST

START_TEST(a_loading_coordinator_is_waited_for) {
    run_with(STREAM_EXACTLY_ONCE, END_TXN, 3,
             RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS);
    ck_assert_uint_eq(fixture_stats().transactions_aborted, 0);
    fixture_stop();
}
END_TEST

START_TEST(a_failed_delivery_is_replayed_from_memory) {
    run_with(STREAM_EXACTLY_ONCE, PRODUCE, 1, RD_KAFKA_RESP_ERR_INVALID_RECORD);
    ck_assert_uint_ge(fixture_stats().transactions_aborted, 1);
    ck_assert_uint_ge(fixture_stats().records_replayed, 1);
    ck_assert_uint_eq(fixture_stats().records_in, 2 * COUNT); /* not read again */
    fixture_stop();
}
END_TEST

START_TEST(offsets_of_an_old_generation_are_rolled_back) {
    run_with(STREAM_EXACTLY_ONCE, TXN_OFFSET_COMMIT, 1,
             RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION);
    ck_assert_uint_ge(fixture_stats().transactions_aborted, 1);
    fixture_stop();
}
END_TEST

/* Offsets without a generation would be taken by the broker, whoever has the partitions.
 */
START_TEST(without_a_generation_nothing_is_committed) {
    int64_t deadline_us = clock_now_us() + PATIENCE_US;
    struct generation *generation;
    fixture_start(STREAM_EXACTLY_ONCE);
    fixture_open();
    while (fixture_stats().partitions_assigned == 0) {
        fixture_round();
        ck_assert(clock_now_us() < deadline_us);
    }
    generation = fixture.stream->source.generation;
    ck_assert_ptr_nonnull(generation);
    fixture.stream->source.generation = NULL;
    fixture_send_numbers(0, COUNT);
    while (fixture_stats().transactions_aborted < 2) {
        fixture_round();
        ck_assert(clock_now_us() < deadline_us);
    }
    ck_assert_uint_eq(fixture_stats().results_out, 0);
    fixture.stream->source.generation = generation;
    fixture_run_until_committed(COUNT);
    fixture_stop();
}
END_TEST

START_TEST(a_fenced_producer_is_replaced) {
    run_with(STREAM_EXACTLY_ONCE, ADD_PARTITIONS_TO_TXN, 1,
             RD_KAFKA_RESP_ERR_PRODUCER_FENCED);
    ck_assert_uint_ge(fixture_stats().records_replayed, 1);
    fixture_stop();
}
END_TEST

static size_t kept_count;

static void keep(struct fixture *f, struct record *record) {
    fixture_keep(f, record);
    kept_count++;
}

/* Commits behind the stream's back, as a broker does whose answer is lost. */
static void commit_offsets(int64_t offset) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(PARTITIONS);
    for (int32_t p = 0; p < PARTITIONS; p++) {
        rd_kafka_topic_partition_list_add(list, "in", p)->offset = offset;
    }
    ck_assert_int_eq(rd_kafka_commit(fixture.stream->source.consumer, list, 0), 0);
    rd_kafka_topic_partition_list_destroy(list);
}

/* All records have their outcomes, and nobody says what came of their transaction: the
 * brokers are asked next what they have, and that is the first `committed` of each
 * partition, 0 for nothing. */
static void lose_sight_of_a_transaction(int64_t committed) {
    int64_t deadline_us = clock_now_us() + PATIENCE_US;
    fixture_start(STREAM_EXACTLY_ONCE);
    log_setup(LOG_LEVEL_COUNT, LOG_FORMAT_TEXT); /* librdkafka's errors are meant */
    fixture.answer = keep;
    fixture_send_numbers(0, COUNT);
    fixture_open();
    while (kept_count < COUNT) {
        fixture_round();
        ck_assert(clock_now_us() < deadline_us);
    }
    if (committed > 0) {
        commit_offsets(committed);
    }
    push(END_TXN, 1, RD_KAFKA_RESP_ERR_PRODUCER_FENCED);
    while (fixture.kept != NULL) {
        struct record *record = fixture.kept;
        fixture.kept = record->next;
        fixture_echo(&fixture, record);
    }
    while (fixture.stream->txn.phase != TXN_REBUILD) {
        fixture_round();
        ck_assert(clock_now_us() < deadline_us);
    }
}

/* Half of them were in the transaction that counted: the other half is published a second
 * time. */
static void check_half_is_published_again(void) {
    fixture_run_until_committed(COUNT);
    ck_assert_int_eq(fixture_topic_size("out"), COUNT + COUNT / 2);
    ck_assert_uint_eq(fixture_stats().results_out, COUNT);
    fixture_stop();
}

START_TEST(after_an_unknown_outcome_the_brokers_offsets_decide) {
    lose_sight_of_a_transaction(COUNT / PARTITIONS / 2);
    check_half_is_published_again();
}
END_TEST

START_TEST(brokers_that_do_not_say_what_is_committed_are_asked_again) {
    lose_sight_of_a_transaction(COUNT / PARTITIONS / 2);
    push(OFFSET_FETCH, 1, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
    check_half_is_published_again();
}
END_TEST

START_TEST(a_partition_that_went_after_an_unknown_outcome_is_not_asked_for) {
    struct lease **place;
    lose_sight_of_a_transaction(0);
    place = &fixture.stream->source.tables[0].leases[1];
    window_lose(&fixture.stream->window, *place);
    *place = NULL;
    fixture_run_until_committed(COUNT - COUNT / PARTITIONS);
    ck_assert_uint_eq(fixture_stats().records_lost, COUNT / PARTITIONS);
    ck_assert_uint_eq(fixture_stats().results_out, COUNT - COUNT / PARTITIONS);
    fixture_stop();
}
END_TEST

START_TEST(at_least_once_replays_a_failed_delivery) {
    run_with(STREAM_AT_LEAST_ONCE, PRODUCE, 1, RD_KAFKA_RESP_ERR_INVALID_RECORD);
    ck_assert_uint_ge(fixture_stats().records_replayed, 1);
    fixture_stop();
}
END_TEST

START_TEST(at_least_once_commits_offsets_again_after_a_refusal) {
    run_with(STREAM_AT_LEAST_ONCE, OFFSET_COMMIT, 1,
             RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS);
    /* Not by the commit of a later one. */
    ck_assert_uint_ge(fixture_stats().transactions_aborted, 1);
    ck_assert_uint_ge(fixture_stats().records_replayed, 1);
    fixture_stop();
}
END_TEST

START_TEST(a_problem_of_the_group_is_over_when_records_come) {
    fixture_start(STREAM_EXACTLY_ONCE);
    fixture_open();
    problems_report(&fixture.stream->problems, PROBLEM_GROUP, "consuming: no");
    ck_assert_str_eq(fixture_stats().problem, "consuming: no");
    fixture_send_numbers(0, COUNT);
    fixture_run_until_committed(COUNT);
    ck_assert_str_eq(fixture_stats().problem, "");
    fixture_stop();
}
END_TEST

START_TEST(a_broker_that_goes_and_comes_is_told_and_survived) {
    int64_t deadline_us = clock_now_us() + PATIENCE_US;
    fixture_start(STREAM_EXACTLY_ONCE);
    fixture_send_numbers(0, COUNT);
    fixture_open();
    fixture_run_until_committed(COUNT);
    rd_kafka_mock_broker_set_down(fixture.cluster, 1);
    while (fixture_stats().broker_up && clock_now_us() < deadline_us) {
        fixture_round();
    }
    ck_assert(!fixture_stats().broker_up);
    ck_assert_ptr_nonnull(strstr(fixture_stats().problem, "no broker of"));
    ck_assert_ptr_nonnull(strstr(fixture_stats().problem, fixture.bootstrap.value));
    rd_kafka_mock_broker_set_up(fixture.cluster, 1);
    fixture_send_numbers(COUNT, COUNT);
    fixture_run_until_committed(2 * COUNT);
    while (!fixture_stats().broker_up && clock_now_us() < deadline_us) {
        fixture_round();
    }
    ck_assert_str_eq(fixture_stats().problem, "");
    fixture_stop();
}
END_TEST

START_TEST(missing_topics_are_named_until_they_are_made) {
    int64_t deadline_us = clock_now_us() + PATIENCE_US;
    fixture_start(STREAM_EXACTLY_ONCE);
    /* The mock makes the topics that it is asked for. */
    rd_kafka_mock_topic_set_error(fixture.cluster, "out",
                                  RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    rd_kafka_mock_topic_set_error(fixture.cluster, "dead",
                                  RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    fixture_send_numbers(0, COUNT);
    fixture_open();
    while (fixture_stats().problem[0] == '\0' && clock_now_us() < deadline_us) {
        fixture_round();
    }
    ck_assert_msg(strstr(fixture_stats().problem, "missing on the cluster: out,dead;"),
                  "%s", fixture_stats().problem);
    ck_assert_ptr_nonnull(strstr(fixture_stats().problem, "millrace topics"));
    ck_assert(!fixture_stats().topics_ready);
    ck_assert_uint_eq(fixture.committed, 0);
    rd_kafka_mock_topic_set_error(fixture.cluster, "out", RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_mock_topic_set_error(fixture.cluster, "dead", RD_KAFKA_RESP_ERR_NO_ERROR);
    fixture_run_until_committed(COUNT);
    ck_assert(fixture_stats().topics_ready);
    ck_assert_str_eq(fixture_stats().problem, "");
    fixture_stop();
}
END_TEST

START_TEST(a_route_whose_topics_are_missing_keeps_no_other_waiting) {
    struct stream_route routes[2];
    fixture_start(STREAM_EXACTLY_ONCE);
    fixture_create_topic("in.other");
    routes[0] = fixture.route;
    routes[1] = (struct stream_route){
        .input = "in.other", .output = "out.other", .dead_letter = "dead"};
    fixture.opts.routes = routes;
    fixture.opts.route_count = 2;
    rd_kafka_mock_topic_set_error(fixture.cluster, "out.other",
                                  RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    for (int32_t p = 0; p < PARTITIONS; p++) {
        fixture_send("in.other", p, "k", "v", 1);
    }
    fixture_open();
    while (fixture_stats().records_in < PARTITIONS) {
        fixture_round();
    }
    fixture_send_numbers(0, COUNT);
    fixture_run_until_committed(COUNT);
    ck_assert_uint_eq(fixture_stats().transactions_aborted, 0);
    ck_assert_uint_eq(fixture_stats().records_in_flight, PARTITIONS);
    rd_kafka_mock_topic_set_error(fixture.cluster, "out.other",
                                  RD_KAFKA_RESP_ERR_NO_ERROR);
    fixture_run_until_committed(COUNT + PARTITIONS);
    fixture_stop();
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_moving_coordinator_is_followed,
        a_loading_coordinator_is_waited_for,
        a_failed_delivery_is_replayed_from_memory,
        offsets_of_an_old_generation_are_rolled_back,
        without_a_generation_nothing_is_committed,
        a_fenced_producer_is_replaced,
        after_an_unknown_outcome_the_brokers_offsets_decide,
        brokers_that_do_not_say_what_is_committed_are_asked_again,
        a_partition_that_went_after_an_unknown_outcome_is_not_asked_for,
        at_least_once_replays_a_failed_delivery,
        at_least_once_commits_offsets_again_after_a_refusal,
        a_problem_of_the_group_is_over_when_records_come,
        a_broker_that_goes_and_comes_is_told_and_survived,
        missing_topics_are_named_until_they_are_made,
        a_route_whose_topics_are_missing_keeps_no_other_waiting,
    };
    return suite_run("faults", tests, ARRAY_COUNT(tests));
}
