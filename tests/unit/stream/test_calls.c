/* What the stream's calls carry to the brokers when the group or the brokers move between
 * two of them. */
#include "stream/internal.h"
#include "stream/rebalance.h"
#include "tests/unit/stream/calls.h"
#include "tests/unit/stream/fixture.h"

enum { PRODUCE = 0, ADD_OFFSETS_TO_TXN = 25, TXN_OFFSET_COMMIT = 28 };
#define COUNT 200

static size_t kept_count;

static void keep(struct fixture *f, struct record *record) {
    fixture_keep(f, record);
    kept_count++;
}

static void keep_all(size_t count) {
    int64_t deadline_us = clock_now_us() + PATIENCE_US;
    kept_count = 0;
    fixture.answer = keep;
    while (kept_count < count) {
        fixture_round();
        ck_assert(clock_now_us() < deadline_us);
    }
}

static void answer_kept(void (*answer)(struct fixture *fixture, struct record *record)) {
    while (fixture.kept != NULL) {
        struct record *record = fixture.kept;
        fixture.kept = record->next;
        answer(&fixture, record);
    }
}

/* All records have their outcomes before the next round, so that they are committed
 * together. */
static void keep_and_answer(size_t count) {
    keep_all(count);
    answer_kept(fixture_echo);
}

static void round_until(bool (*is_so)(void)) {
    int64_t deadline_us = clock_now_us() + PATIENCE_US;
    while (!is_so()) {
        fixture_round();
        ck_assert(clock_now_us() < deadline_us);
    }
}

/* ---- runs of results ---- */

static int runs;           /* queued so far */
static int refused_run;    /* the one that is refused; 0 for none */
static size_t queued_size; /* of values and keys, since nothing was under way */
static size_t queued_max;

int rd_kafka_produce_batch(rd_kafka_topic_t *topic, int32_t partition, int flags,
                           rd_kafka_message_t *messages, int count) {
    int (*real)(rd_kafka_topic_t *, int32_t, int, rd_kafka_message_t *, int);
    if (rd_kafka_outq_len(fixture.stream->producer.client) == 0) {
        queued_size = 0;
    }
    for (int i = 0; i < count; i++) {
        queued_size += messages[i].len + messages[i].key_len;
    }
    queued_max = queued_size > queued_max ? queued_size : queued_max;
    if (++runs != refused_run) {
        CALLS_REAL(real, "rd_kafka_produce_batch");
        return real(topic, partition, flags, messages, count);
    }
    for (int i = 0; i < count; i++) {
        messages[i].err = RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
    }
    return 0;
}

static bool an_attempt_failed(void) {
    return fixture_stats().transactions_aborted > 0;
}

/* The first run of the attempt is on its way when the second is refused: its report must
 * be in before the next attempt, which would count it as its own. */
START_TEST(at_least_once_counts_no_report_of_an_attempt_before) {
    fixture_start(STREAM_AT_LEAST_ONCE);
    fixture_send_numbers(0, COUNT);
    fixture_open();
    fixture.stream->txn.call_timeout_ms = 100;
    keep_and_answer(COUNT);
    rd_kafka_mock_broker_push_request_error_rtts(fixture.cluster, 1, PRODUCE, 1,
                                                 RD_KAFKA_RESP_ERR_NO_ERROR, 1500);
    refused_run = 2;
    round_until(an_attempt_failed);
    ck_assert_int_eq(runs, 2);
    ck_assert_int_eq(rd_kafka_outq_len(fixture.stream->producer.client), 0);
    fixture_run_until_committed(COUNT);
    ck_assert_uint_eq(fixture_stats().results_out, COUNT);
    fixture_stop();
}
END_TEST

static void echo_at_length(struct fixture *f, struct record *record) {
    static const char text[100];
    record_set_result(record, span_of(text, sizeof text), f);
}

/* What waits behind a request under way makes librdkafka's thread spin.  All stand in one
 * partition and in one transaction; the last of them is queued when the others are
 * delivered. */
START_TEST(a_transaction_queues_no_more_of_a_partition_than_a_request_holds) {
    static const struct stream_property batch_size = {"batch.size", "3000"};
    fixture_start(STREAM_EXACTLY_ONCE);
    fixture.opts.producer = &batch_size;
    fixture.opts.producer_count = 1;
    for (int i = 0; i < COUNT; i++) {
        fixture_send("in", 1, "key", "value", 5);
    }
    ck_assert_int_eq(rd_kafka_flush(fixture.client, 10000), 0);
    fixture_open();
    keep_all(COUNT);
    answer_kept(echo_at_length);
    fixture_run_until_committed(COUNT);
    ck_assert_uint_eq(fixture_stats().transactions_committed, 1);
    ck_assert_int_ge(runs, COUNT * 100 / 3000);
    ck_assert_uint_le(queued_max, 3000);
    fixture_stop();
}
END_TEST

/* ---- the generation that offsets go with ---- */

#define SENDS_MAX 64

static struct {
    void *bytes[SENDS_MAX]; /* of the group's metadata in each call */
    size_t sizes[SENDS_MAX];
    size_t count;
} sent;

rd_kafka_error_t *rd_kafka_send_offsets_to_transaction(
    rd_kafka_t *client, const rd_kafka_topic_partition_list_t *offsets,
    const rd_kafka_consumer_group_metadata_t *metadata, int timeout_ms) {
    rd_kafka_error_t *(*real)(rd_kafka_t *, const rd_kafka_topic_partition_list_t *,
                              const rd_kafka_consumer_group_metadata_t *, int);
    ck_assert_uint_lt(sent.count, SENDS_MAX);
    ck_assert_ptr_null(rd_kafka_consumer_group_metadata_write(
        metadata, &sent.bytes[sent.count], &sent.sizes[sent.count]));
    sent.count++;
    CALLS_REAL(real, "rd_kafka_send_offsets_to_transaction");
    return real(client, offsets, metadata, timeout_ms);
}

static bool offsets_were_sent(void) {
    return sent.count > 0;
}

static bool the_transaction_ended(void) {
    return fixture_stats().transactions_committed + fixture_stats().transactions_aborted >
           0;
}

/* What the poll thread does when the group has moved on. */
static void move_on(void) {
    struct generation *old = fixture.stream->source.generation;
    struct generation *moved = malloc(sizeof *moved);
    ck_assert_ptr_nonnull(moved);
    *moved =
        (struct generation){.metadata = rd_kafka_consumer_group_metadata_new_with_genid(
                                "group", 1000, "somebody", NULL),
                            .references = 1};
    fixture.stream->source.generation = moved;
    source_generation_drop(fixture.stream, old);
}

/* A call that was not answered is resumed as it was: with a later generation the broker
 * would take the offsets of whoever held the partitions before. */
START_TEST(offsets_go_with_the_generation_of_their_transaction) {
    fixture_start(STREAM_EXACTLY_ONCE);
    log_setup(LOG_LEVEL_COUNT, LOG_FORMAT_TEXT); /* librdkafka's errors are meant */
    fixture_send_numbers(0, COUNT);
    fixture_open();
    fixture.stream->txn.call_timeout_ms = 200;
    keep_and_answer(COUNT);
    for (int i = 0; i < 1000; i++) {
        rd_kafka_mock_push_request_errors(fixture.cluster, ADD_OFFSETS_TO_TXN, 1,
                                          RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS);
    }
    round_until(offsets_were_sent);
    ck_assert_int_eq(fixture.stream->txn.phase, TXN_OFFSETS);
    move_on();
    rd_kafka_mock_clear_request_errors(fixture.cluster, ADD_OFFSETS_TO_TXN);
    round_until(the_transaction_ended);
    ck_assert_uint_ge(sent.count, 2);
    for (size_t i = 0; i < sent.count; i++) {
        ck_assert_uint_eq(sent.sizes[i], sent.sizes[0]);
        ck_assert_mem_eq(sent.bytes[i], sent.bytes[0], sent.sizes[0]);
    }
    for (size_t i = 0; i < sent.count; i++) {
        free(sent.bytes[i]);
    }
    fixture_stop();
}
END_TEST

static bool names_somebody(size_t call) {
    for (size_t i = 0; i + 8 <= sent.sizes[call]; i++) {
        if (memcmp((const char *)sent.bytes[call] + i, "somebody", 8) == 0) {
            return true;
        }
    }
    return false;
}

static bool something_was_committed(void) {
    return fixture_stats().transactions_committed > 0;
}

/* The group may move on without a change for this member, and so without its hearing. */
START_TEST(once_offsets_were_refused_the_generation_is_asked_for_again) {
    fixture_start(STREAM_EXACTLY_ONCE);
    log_setup(LOG_LEVEL_COUNT, LOG_FORMAT_TEXT);
    fixture_send_numbers(0, COUNT);
    fixture_open();
    keep_and_answer(COUNT);
    move_on(); /* to one that is not the group's */
    rd_kafka_mock_push_request_errors(fixture.cluster, TXN_OFFSET_COMMIT, 1,
                                      RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION);
    round_until(something_was_committed);
    ck_assert_uint_ge(sent.count, 2);
    ck_assert(names_somebody(0));
    ck_assert(!names_somebody(sent.count - 1));
    fixture_stop();
}
END_TEST

static const char *member_names[2]; /* that are told one after the other; NULL: its own */
static int names_told;

char *rd_kafka_memberid(const rd_kafka_t *client) {
    char *(*real)(const rd_kafka_t *);
    CALLS_REAL(real, "rd_kafka_memberid");
    return member_names[0] == NULL ? real(client)
                                   : strdup(member_names[names_told++ % 2]);
}

static bool has_generation_as(const char *before, const char *after) {
    names_told = 0;
    member_names[0] = before;
    member_names[1] = after;
    rebalance_refresh(fixture.stream);
    member_names[0] = NULL;
    return fixture.stream->source.generation != NULL;
}

/* The broker fences nothing that comes without a member's name. */
START_TEST(who_is_no_member_has_no_generation) {
    fixture_start(STREAM_EXACTLY_ONCE);
    fixture_send_numbers(0, COUNT);
    fixture_open();
    fixture_run_until_committed(COUNT);
    ck_assert(has_generation_as("me", "me"));
    ck_assert(!atomic_load(&fixture.stream->source.generation_stale));
    ck_assert(!has_generation_as("", ""));
    ck_assert(!has_generation_as("me", "")); /* it went in between */
    ck_assert(!has_generation_as("me", "another"));
    ck_assert(atomic_load(&fixture.stream->source.generation_stale)); /* asks again */
    fixture_send_numbers(0, COUNT);
    fixture_run_until_committed(2 * COUNT);
    fixture_stop();
}
END_TEST

/* Brokers that refuse everything would be asked without a pause. */
START_TEST(what_failed_is_not_tried_again_before_its_time) {
    fixture_start(STREAM_EXACTLY_ONCE);
    fixture_send_numbers(0, COUNT);
    fixture_open();
    keep_and_answer(COUNT);
    fixture.stream->txn.retry_at_us = clock_now_us() + 2 * PATIENCE_US;
    for (int i = 0; i < 20; i++) { /* none of them as long as its wait */
        fixture_round();
    }
    ck_assert_uint_eq(sent.count, 0);
    ck_assert_uint_eq(fixture_stats().records_in_flight, COUNT);
    fixture.stream->txn.retry_at_us = 0;
    fixture_run_until_committed(COUNT);
    fixture_stop();
}
END_TEST

/* ---- records that come again ---- */

static int seen[2 * COUNT];

static void see(const rd_kafka_message_t *message) {
    char text[16] = "";
    long number;
    ck_assert_uint_lt(message->len, sizeof text);
    memcpy(text, message->payload, message->len);
    number = strtol(text, NULL, 10);
    ck_assert_int_lt(number, 2 * COUNT);
    ck_assert_int_eq(seen[number]++, 0);
}

/* As some versions of librdkafka do when partitions are resumed. */
static void rewind_all(void) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(PARTITIONS);
    for (int32_t p = 0; p < PARTITIONS; p++) {
        rd_kafka_topic_partition_list_add(list, "in", p)->offset = 0;
    }
    rd_kafka_error_destroy(
        rd_kafka_seek_partitions(fixture.stream->source.consumer, list, 10000));
    rd_kafka_topic_partition_list_destroy(list);
}

START_TEST(a_record_that_comes_again_is_not_taken_again) {
    fixture_start(STREAM_EXACTLY_ONCE);
    fixture_send_numbers(0, COUNT);
    fixture_open();
    fixture_run_until_committed(COUNT);
    rewind_all();
    fixture_send_numbers(COUNT, COUNT);
    fixture_run_until_committed(2 * COUNT);
    ck_assert_uint_eq(fixture_stats().records_in, 2 * COUNT);
    fixture_read("out", 2 * COUNT, see);
    fixture_stop();
}
END_TEST

/* ---- marks ---- */

static rd_kafka_topic_partition_list_t *first_partition(int64_t offset) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, "in", 0)->offset = offset;
    return list;
}

static void commit_by(rd_kafka_t *member, int64_t offset) {
    rd_kafka_topic_partition_list_t *list = first_partition(offset);
    ck_assert_int_eq(rd_kafka_commit(member, list, 0), 0);
    rd_kafka_topic_partition_list_destroy(list);
}

typedef rd_kafka_resp_err_t (*committed_fn)(rd_kafka_t *,
                                            rd_kafka_topic_partition_list_t *, int);

static committed_fn real_committed(void) {
    committed_fn real;
    CALLS_REAL(real, "rd_kafka_committed");
    return real;
}

static bool is_to_go, is_taken_away; /* during a look */

/* Whether the partition's first record has come, so that it is marked after the look. */
static bool has_record(void) {
    for (const struct lease *lease = fixture.stream->window.leases; lease != NULL;
         lease = lease->next) {
        if (lease->partition == 0) {
            return atomic_load(&lease->first_offset) >= 0;
        }
    }
    return false;
}

/* The partitions go to another worker after the brokers have answered the look, and that
 * one commits; the mock takes it from members alone, so it is this one under its name. */
rd_kafka_resp_err_t rd_kafka_committed(rd_kafka_t *client,
                                       rd_kafka_topic_partition_list_t *list,
                                       int timeout_ms) {
    rd_kafka_resp_err_t code = real_committed()(client, list, timeout_ms);
    if (is_to_go && !is_taken_away && has_record()) {
        is_taken_away = true;
        rebalance_cb(client, RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS, list,
                     &fixture.stream->context);
        commit_by(client, 40);
    }
    return code;
}

static bool it_was_taken_away(void) {
    return is_taken_away;
}

START_TEST(a_mark_does_not_take_a_partition_back_that_was_taken_away) {
    rd_kafka_topic_partition_list_t *list = first_partition(0);
    fixture_start(STREAM_AT_LEAST_ONCE); /* the mock keeps offsets committed so */
    fixture_send_numbers(0, COUNT);
    fixture_open();
    is_to_go = true;
    round_until(it_was_taken_away);
    ck_assert_int_eq(real_committed()(fixture.stream->source.consumer, list, 10000), 0);
    ck_assert_int_eq(list->elems[0].offset, 40);
    rd_kafka_topic_partition_list_destroy(list);
    fixture_stop();
}
END_TEST

/* ---- the end ---- */

static int leaves; /* asked of the group */

rd_kafka_resp_err_t rd_kafka_unsubscribe(rd_kafka_t *client) {
    rd_kafka_resp_err_t (*real)(rd_kafka_t *);
    CALLS_REAL(real, "rd_kafka_unsubscribe");
    leaves++;
    return real(client);
}

/* Otherwise its partitions would be nobody's until the session is over; those of a static
 * member are to wait for it. */
START_TEST(an_orderly_end_leaves_the_group_unless_the_member_is_static) {
    fixture_start(STREAM_EXACTLY_ONCE);
    fixture_open();
    stream_close(fixture.stream, 10000);
    ck_assert_int_eq(leaves, 1);
    fixture.opts.is_static = true;
    fixture.opts.instance = "w";
    fixture_open();
    fixture_stop();
    ck_assert_int_eq(leaves, 1);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        offsets_go_with_the_generation_of_their_transaction,
        once_offsets_were_refused_the_generation_is_asked_for_again,
        who_is_no_member_has_no_generation,
        what_failed_is_not_tried_again_before_its_time,
        a_record_that_comes_again_is_not_taken_again,
        a_mark_does_not_take_a_partition_back_that_was_taken_away,
        at_least_once_counts_no_report_of_an_attempt_before,
        a_transaction_queues_no_more_of_a_partition_than_a_request_holds,
        an_orderly_end_leaves_the_group_unless_the_member_is_static,
    };
    return suite_run("calls", tests, ARRAY_COUNT(tests));
}
