/* On a route that keeps the order of each key, records of other keys pass one that is put
 * off, and the next worker knows what is published. */
#include "stream/internal.h"
#include "stream/mark.h"
#include "tests/unit/stream/fixture.h"

#define COUNT 40

static struct record *held;
static int seen[COUNT];
static int last_of_key[2];

/* "0", "1", ... have the keys "k0" and "k1" in turn; all stand in one partition. */
static void send_all(int first, int count) {
    for (int i = first; i < first + count; i++) {
        char text[16], key[8];
        snprintf(text, sizeof text, "%d", i);
        snprintf(key, sizeof key, "k%d", i % 2);
        fixture_send("in", 0, key, text, strlen(text));
    }
    ck_assert_int_eq(rd_kafka_flush(fixture.client, 10000), 0);
}

static int number_of(struct span value) {
    char text[16] = "";
    memcpy(text, value.data, value.size < sizeof text - 1 ? value.size : 0);
    return (int)strtol(text, NULL, 10);
}

static void hold_the_fourth(struct fixture *f, struct record *record) {
    if (record->offset == 4) {
        held = record;
        record_hold(record);
    } else {
        fixture_echo(f, record);
    }
}

static void see(const rd_kafka_message_t *message) {
    int number = number_of(span_of(message->payload, message->len));
    ck_assert_int_ge(number, 0);
    ck_assert_int_lt(number, COUNT);
    seen[number]++;
    ck_assert_int_gt(number, last_of_key[number % 2]);
    last_of_key[number % 2] = number;
}

static void check_all(void) {
    last_of_key[0] = last_of_key[1] = -1;
    fixture_read("out", COUNT, see);
    ck_assert_int_eq(fixture_topic_size("out"), COUNT);
    for (int i = 0; i < COUNT; i++) {
        ck_assert_int_eq(seen[i], 1);
    }
}

static void start(void) {
    fixture_start(STREAM_AT_LEAST_ONCE); /* the mock keeps offsets committed so */
    fixture.route.keyed = true;
    fixture.answer = hold_the_fourth;
    send_all(0, COUNT);
    fixture_open();
}

/* Those before it, and those of the other key. */
enum { PASSED = 4 + (COUNT - 4) / 2 };

START_TEST(others_go_on_past_one_that_is_held) {
    start();
    fixture_run_until_committed(PASSED);
    ck_assert_uint_eq(fixture_stats().records_in_flight, COUNT - PASSED);
    ck_assert_int_eq(fixture_topic_size("out"), PASSED);
    fixture_echo(&fixture, held);
    fixture_run_until_committed(COUNT);
    check_all();
    fixture_stop();
}
END_TEST

START_TEST(the_next_worker_does_only_what_is_left) {
    start();
    fixture_run_until_committed(PASSED);
    record_set_result(held, held->value, &fixture); /* too late: nobody commits it */
    stream_close(fixture.stream, 10000);
    fixture.answer = fixture_echo;
    fixture.committed = 0;
    fixture_open();
    fixture_run_until_committed(COUNT - PASSED);
    ck_assert_uint_eq(fixture_stats().records_in, COUNT - PASSED);
    check_all();
    fixture_stop();
}
END_TEST

enum { END_TXN = 26 };

static size_t kept_count;

static void keep(struct fixture *f, struct record *record) {
    fixture_keep(f, record);
    kept_count++;
}

/* Commits behind the stream's back, as a broker does whose answer is lost: the offset of
 * the one that is held, and that all others up to the last of the other key are done. */
static void commit_past_the_fourth(void) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *one = rd_kafka_topic_partition_list_add(list, "in", 0);
    struct ahead ahead = {.upto = COUNT};
    struct mark mark = {.state = 'o'};
    for (int i = 4; i < COUNT; i += 2) {
        ahead.left[ahead.left_count++] = i;
    }
    one->offset = 4;
    mark_set(one, &mark, &ahead);
    ck_assert_int_eq(rd_kafka_commit(fixture.stream->source.consumer, list, 0), 0);
    rd_kafka_topic_partition_list_destroy(list);
}

/* The next commit is to say so again. */
static void check_those_that_passed_are_known(void) {
    const struct lease *lease = fixture.stream->source.tables[0].leases[0];
    struct ahead ahead;
    ck_assert_int_eq(lease_commit_offset(lease, &ahead), 4);
    for (int i = 5; i < COUNT; i++) {
        ck_assert(ahead_has(&ahead, i) == (i % 2 == 1));
    }
}

/* What was published beyond the offset was in the transaction, too. */
START_TEST(after_an_unknown_outcome_those_that_passed_are_not_sent_again) {
    int64_t deadline_us = clock_now_us() + PATIENCE_US;
    fixture_start(STREAM_EXACTLY_ONCE);
    log_setup(LOG_LEVEL_COUNT, LOG_FORMAT_TEXT); /* librdkafka's errors are meant */
    fixture.route.keyed = true;
    fixture.answer = keep;
    send_all(0, COUNT);
    fixture_open();
    while (kept_count < COUNT) {
        fixture_round();
        ck_assert(clock_now_us() < deadline_us);
    }
    commit_past_the_fourth();
    rd_kafka_mock_push_request_errors(fixture.cluster, END_TXN, 1,
                                      RD_KAFKA_RESP_ERR_PRODUCER_FENCED);
    while (fixture.kept != NULL) {
        struct record *record = fixture.kept;
        fixture.kept = record->next;
        hold_the_fourth(&fixture, record);
    }
    fixture_run_until_committed(PASSED);
    ck_assert_int_eq(fixture_topic_size("out"), PASSED);
    check_those_that_passed_are_known();
    fixture_echo(&fixture, held);
    fixture_run_until_committed(COUNT);
    ck_assert_int_eq(fixture_topic_size("out"), COUNT);
    fixture_stop();
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        others_go_on_past_one_that_is_held,
        the_next_worker_does_only_what_is_left,
        after_an_unknown_outcome_those_that_passed_are_not_sent_again,
    };
    return suite_run("keys", tests, ARRAY_COUNT(tests));
}
