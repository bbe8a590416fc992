/* What is fetched ahead: a wait ends when there is something to take, and librdkafka is
 * made to fetch again in time. */
#include <pthread.h>

#include "stream/internal.h"
#include "tests/unit/stream/calls.h"
#include "tests/unit/stream/fixture.h"

#define WAIT_MS 60000
#define SOON_US 20000000 /* far from the end of a wait */
#define WINDOW_RECORDS 16
#define RECORD_SIZE 1000

/* ---- waits ---- */

static atomic_bool waits; /* the poll thread, for what the group wants */

rd_kafka_message_t *rd_kafka_consumer_poll(rd_kafka_t *client, int timeout_ms) {
    rd_kafka_message_t *(*real)(rd_kafka_t *, int);
    CALLS_REAL(real, "rd_kafka_consumer_poll");
    if (timeout_ms == WAIT_MS) {
        atomic_store(&waits, true);
    }
    return real(client, timeout_ms);
}

static void *poll_until_records(void *opaque) {
    struct record **chain = opaque;
    struct error err;
    int64_t deadline_us = clock_now_us() + PATIENCE_US;
    /* Other news end a wait, too. */
    while (*chain == NULL && clock_now_us() < deadline_us) {
        ck_assert_int_eq(stream_poll(fixture.stream, WAIT_MS, chain, &err), STATUS_OK);
    }
    return NULL;
}

/* Polls on another thread; once that waits, `then` happens, which is to end the wait. */
static struct record *wait_while(void (*then)(void)) {
    int64_t begun_us = clock_now_us();
    struct record *chain = NULL;
    pthread_t thread;
    atomic_store(&waits, false);
    ck_assert_int_eq(pthread_create(&thread, NULL, poll_until_records, &chain), 0);
    while (!atomic_load(&waits)) {
        ck_assert_int_lt(clock_now_us() - begun_us, PATIENCE_US);
        sched_yield();
    }
    then();
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_lt(clock_now_us() - begun_us, SOON_US);
    return chain;
}

/* A worker that has taken `count` records, and keeps them.  All are of one partition:
 * the first record of each waits for a mark of the commit thread. */
static void start_with(int count, size_t window) {
    fixture_start(STREAM_EXACTLY_ONCE);
    fixture.opts.window_records_max = window;
    fixture.answer = fixture_keep;
    fixture_send_numbers_to(0, count);
    fixture_open();
    while (fixture_stats().records_in < window &&
           (int)fixture_stats().records_in < count) {
        fixture_round();
    }
}

static void send_one(void) {
    fixture_send_numbers_to(0, 1);
}

START_TEST(a_record_that_comes_ends_the_wait) {
    struct record *record;
    start_with(1, WINDOW_RECORDS);
    record = wait_while(send_one);
    ck_assert_ptr_nonnull(record);
    fixture_keep(&fixture, record);
    fixture_answer_kept();
    fixture_run_until_committed(2);
    fixture_stop();
}
END_TEST

static void commit_all(void) {
    struct error err;
    size_t committed = 0;
    fixture_answer_kept();
    stream_wake(fixture.stream);
    while (committed == 0) {
        enum status status = stream_commit(fixture.stream, 100, &committed, &err);
        ck_assert_msg(status == STATUS_OK || status == STATUS_AGAIN, "%s", err.text);
    }
    fixture.committed += committed;
}

START_TEST(room_that_comes_ends_the_wait) {
    struct record *chain;
    start_with(2 * WINDOW_RECORDS, WINDOW_RECORDS);
    chain = wait_while(commit_all);
    ck_assert_ptr_nonnull(chain);
    while (chain != NULL) {
        struct record *record = chain;
        chain = record->next;
        fixture_keep(&fixture, record);
    }
    fixture_answer_kept();
    fixture.answer = fixture_echo;
    fixture_run_until_committed(2 * WINDOW_RECORDS);
    fixture_stop();
}
END_TEST

/* ---- fetching again ---- */

static size_t length; /* of the route's queue */
static int version;
static int asked; /* how often, for the offsets of all partitions */

int rd_kafka_version(void) {
    return version;
}

size_t rd_kafka_queue_length(rd_kafka_queue_t *queue) {
    (void)queue;
    return length;
}

rd_kafka_resp_err_t rd_kafka_offsets_for_times(rd_kafka_t *client,
                                               rd_kafka_topic_partition_list_t *offsets,
                                               int timeout_ms) {
    (void)client;
    ck_assert_int_eq(timeout_ms, 0); /* nobody waits for brokers */
    ck_assert_int_eq(offsets->cnt, PARTITIONS);
    ck_assert_str_eq(offsets->elems[0].topic, "in");
    asked++;
    return RD_KAFKA_RESP_ERR__TIMED_OUT;
}

/* How often it is asked while a queue goes from that many records to a tenth. */
static int asked_from(size_t most, size_t record_size) {
    asked = 0;
    for (length = most / 10 * 9; length <= most; length += most / 10) {
        fetched_refill(fixture.stream, 0, 2, 2 * record_size);
    }
    for (length = most; length > most / 10; length -= most / 10) {
        fetched_refill(fixture.stream, 0, 2, 2 * record_size);
    }
    return asked;
}

START_TEST(a_queue_that_was_full_is_filled_again_in_time) {
    size_t full;
    version = 0x020002ff;
    start_with(1, WINDOW_RECORDS);
    full = fixture.stream->source.fetched_max / RECORD_SIZE;
    ck_assert_uint_eq(full, (size_t)65536 * 1024 / RECORD_SIZE);
    ck_assert_int_eq(asked_from(full, RECORD_SIZE), 1);
    ck_assert_int_eq(asked_from(full / 2, RECORD_SIZE), 0); /* it was never full */
    ck_assert_int_eq(asked_from(full, RECORD_SIZE / 2), 0);
    ck_assert_int_eq(asked_from(full, RECORD_SIZE), 1);
    fixture_answer_kept();
    fixture_run_until_committed(1);
    fixture_stop();
}
END_TEST

START_TEST(newer_librdkafka_does_that_itself) {
    version = FETCHED_REFILLS_SINCE;
    ck_assert_uint_eq(fetched_max_of(NULL), 0);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_record_that_comes_ends_the_wait,
        room_that_comes_ends_the_wait,
        a_queue_that_was_full_is_filled_again_in_time,
        newer_librdkafka_does_that_itself,
    };
    return suite_run("fetched", tests, ARRAY_COUNT(tests));
}
