/* Results of routes that keep headers go out one by one, others in runs; their order is
 * that of their jobs, whichever they are. */
#include "stream/internal.h"
#include "tests/unit/stream/calls.h"
#include "tests/unit/stream/fixture.h"

#define COUNT (2 * PRODUCER_BATCH_MAX + 100)

static size_t kept_count;
static int seen;

static void keep(struct fixture *f, struct record *record) {
    fixture_keep(f, record);
    kept_count++;
}

/* Every third one comes with a header; all stand in one partition. */
static void send_all(void) {
    for (int i = 0; i < COUNT; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        if (i % 3 == 0) {
            fixture_send("in", 1, "k", text, strlen(text));
            continue;
        }
        ck_assert_int_eq(rd_kafka_producev(fixture.client, RD_KAFKA_V_TOPIC("in"),
                                           RD_KAFKA_V_PARTITION(1),
                                           RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                           RD_KAFKA_V_VALUE(text, strlen(text)),
                                           RD_KAFKA_V_END),
                         0);
    }
    ck_assert_int_eq(rd_kafka_flush(fixture.client, 10000), 0);
}

/* In one transaction. */
static void answer_all_at_once(void) {
    int64_t deadline_us = clock_now_us() + PATIENCE_US;
    fixture.opts.window_size_max = (size_t)1 << 32; /* room for all */
    send_all();
    fixture.answer = keep;
    fixture_open();
    while (kept_count < COUNT) {
        fixture_round();
        ck_assert(clock_now_us() < deadline_us);
    }
    while (fixture.kept != NULL) {
        struct record *record = fixture.kept;
        fixture.kept = record->next;
        fixture_echo(&fixture, record);
    }
    fixture_run_until_committed(COUNT);
    ck_assert_uint_eq(fixture_stats().transactions_committed, 1);
}

static void see_next(const rd_kafka_message_t *message) {
    char text[16];
    snprintf(text, sizeof text, "%d", seen);
    ck_assert(span_is(span_of(message->payload, message->len), text));
    seen++;
}

static void see_next_with_its_headers(const rd_kafka_message_t *message) {
    ck_assert_str_eq(fixture_header(message, "origin"), seen % 3 == 0 ? "test" : "");
    see_next(message);
}

START_TEST(results_with_headers_and_without_keep_their_order) {
    fixture_start(STREAM_EXACTLY_ONCE);
    fixture.route.keeps_headers = true;
    answer_all_at_once();
    fixture_read("out", COUNT, see_next_with_its_headers);
    ck_assert_int_eq(seen, COUNT);
    fixture_stop();
}
END_TEST

static int runs;

int rd_kafka_produce_batch(rd_kafka_topic_t *topic, int32_t partition, int flags,
                           rd_kafka_message_t *messages, int count) {
    int (*real)(rd_kafka_topic_t *, int32_t, int, rd_kafka_message_t *, int);
    CALLS_REAL(real, "rd_kafka_produce_batch");
    ck_assert_int_le(count, PRODUCER_BATCH_MAX);
    runs += count > 0;
    return real(topic, partition, flags, messages, count);
}

START_TEST(more_results_than_a_run_holds_are_several_runs) {
    fixture_start(STREAM_EXACTLY_ONCE);
    answer_all_at_once();
    ck_assert_int_eq(runs, 3);
    fixture_read("out", COUNT, see_next);
    ck_assert_int_eq(seen, COUNT);
    fixture_stop();
}
END_TEST

/* librdkafka's queue, which holds less than a run. */
START_TEST(a_full_queue_is_waited_for) {
    static const struct stream_property queue = {"queue.buffering.max.messages", "100"};
    fixture_start(STREAM_EXACTLY_ONCE);
    fixture.opts.producer = &queue;
    fixture.opts.producer_count = 1;
    answer_all_at_once();
    ck_assert_uint_eq(fixture_stats().transactions_aborted, 0);
    fixture_read("out", COUNT, see_next);
    ck_assert_int_eq(seen, COUNT);
    fixture_stop();
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        results_with_headers_and_without_keep_their_order,
        more_results_than_a_run_holds_are_several_runs,
        a_full_queue_is_waited_for,
    };
    return suite_run("results", tests, ARRAY_COUNT(tests));
}
