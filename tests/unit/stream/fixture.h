/* fixture.h - an embedded broker, a stream against it, and a pipeline of one thread.
 *
 * The mock cluster serves groups and the transaction calls but does not enforce
 * transactions: it proves call order and error handling, never exactly-once. */
#ifndef MILLRACE_TESTS_UNIT_STREAM_FIXTURE_H
#define MILLRACE_TESTS_UNIT_STREAM_FIXTURE_H

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "base/clock.h"
#include "base/log.h"
#include "stream/stream.h"
#include "tests/unit/suite.h"

#define PATIENCE_US 60000000
#define PARTITIONS 4

struct fixture {
    rd_kafka_t *client; /* owns the cluster, and produces the inputs */
    rd_kafka_mock_cluster_t *cluster;
    struct stream *stream;
    struct stream_property bootstrap;
    struct stream_route route;
    struct stream_opts opts;
    size_t committed;
    int released; /* holders given back */
    /* What the pipeline does with a record; the default echoes the value. */
    void (*answer)(struct fixture *fixture, struct record *record);
    struct record *kept; /* records put aside by fixture_keep, by next */
};

static struct fixture fixture; /* each test is a process of its own */

static inline void fixture_release(void *holder) {
    ck_assert_ptr_eq(holder, &fixture);
    fixture.released++;
}

static inline void fixture_echo(struct fixture *f, struct record *record) {
    record_set_result(record, record->value, f);
}

/* As `answer`: puts the record aside. */
static inline void fixture_keep(struct fixture *f, struct record *record) {
    record->next = f->kept;
    f->kept = record;
}

static inline void fixture_answer_kept(void) {
    while (fixture.kept != NULL) {
        struct record *record = fixture.kept;
        fixture.kept = record->next;
        fixture_echo(&fixture, record);
    }
}

static inline void fixture_create_topic(const char *topic) {
    ck_assert_int_eq(rd_kafka_mock_topic_create(fixture.cluster, topic, PARTITIONS, 1),
                     0);
}

/* A cluster with topics in, out and dead, and options for a stream on it. */
static inline void fixture_start(enum stream_delivery delivery) {
    char reason[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    log_setup(getenv("VERBOSE") != NULL ? LOG_DEBUG : LOG_ERROR, LOG_FORMAT_TEXT);
    fixture.client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof reason);
    ck_assert_ptr_nonnull(fixture.client);
    fixture.cluster = rd_kafka_mock_cluster_new(fixture.client, 1);
    ck_assert_ptr_nonnull(fixture.cluster);
    ck_assert_int_ge(
        rd_kafka_brokers_add(fixture.client,
                             rd_kafka_mock_cluster_bootstraps(fixture.cluster)),
        1);
    fixture_create_topic("in");
    fixture_create_topic("out");
    fixture_create_topic("dead");
    fixture.bootstrap = (struct stream_property){
        "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(fixture.cluster)};
    fixture.route =
        (struct stream_route){.input = "in", .output = "out", .dead_letter = "dead"};
    fixture.opts = (struct stream_opts){
        .common = &fixture.bootstrap,
        .common_count = 1,
        .routes = &fixture.route,
        .route_count = 1,
        .group = "group",
        .instance = "",
        .delivery = delivery,
        .commit_interval_us = 10000,
        .window_records_max = 10000,
        .window_size_max = 64 << 20,
        .watchdog_us = 60000000,
        .crashes_max = 5,
        .release = fixture_release,
    };
    fixture.answer = fixture_echo;
}

static inline void fixture_open(void) {
    struct error err;
    enum status status = stream_open(&fixture.opts, &fixture.stream, &err);
    ck_assert_msg(status == STATUS_OK, "%s", err.text);
}

static inline void fixture_stop(void) {
    stream_close(fixture.stream, 10000);
    rd_kafka_mock_cluster_destroy(fixture.cluster);
    rd_kafka_destroy(fixture.client);
}

static inline void fixture_send(const char *topic, int32_t partition, const char *key,
                                const void *value, size_t size) {
    size_t key_size = key != NULL ? strlen(key) : 0;
    rd_kafka_resp_err_t code = rd_kafka_producev(
        fixture.client, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key, key_size),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)value, size),
        RD_KAFKA_V_HEADER("origin", "test", 4), RD_KAFKA_V_END);
    ck_assert_int_eq(code, 0);
}

/* `count` records with the values "0", "1", ... over all partitions. */
static inline void fixture_send_numbers(int first, int count) {
    char text[16];
    for (int i = first; i < first + count; i++) {
        snprintf(text, sizeof text, "%d", i);
        fixture_send("in", i % PARTITIONS, text, text, strlen(text));
    }
    ck_assert_int_eq(rd_kafka_flush(fixture.client, 10000), 0);
}

/* The same to one partition. */
static inline void fixture_send_numbers_to(int32_t partition, int count) {
    char text[16];
    for (int i = 0; i < count; i++) {
        snprintf(text, sizeof text, "%d", i);
        fixture_send("in", partition, text, text, strlen(text));
    }
    ck_assert_int_eq(rd_kafka_flush(fixture.client, 10000), 0);
}

static inline struct stream_stats fixture_stats(void) {
    struct stream_stats stats;
    stream_stats(fixture.stream, &stats);
    return stats;
}

/* One round of poll, answer and commit. */
static inline void fixture_round(void) {
    struct record *chain;
    struct error err;
    size_t committed;
    enum status status = stream_poll(fixture.stream, 5, &chain, &err);

    ck_assert_msg(status == STATUS_OK, "%s", err.text);
    while (chain != NULL) {
        struct record *record = chain;
        chain = record->next;
        fixture.answer(&fixture, record);
    }
    stream_wake(fixture.stream);
    status = stream_commit(fixture.stream, 5, &committed, &err);
    ck_assert_msg(status == STATUS_OK || status == STATUS_AGAIN, "%s", err.text);
    fixture.committed += committed;
}

static inline void fixture_run_until_committed(size_t count) {
    int64_t deadline_us = clock_now_us() + PATIENCE_US;
    while (fixture.committed < count) {
        fixture_round();
        ck_assert_msg(clock_now_us() < deadline_us, "%zu of %zu committed; problem: %s",
                      fixture.committed, count, fixture_stats().problem);
    }
}

/* ---- reading back ---- */

/* Calls `see` for the first `count` messages of a topic, in order per partition. */
static inline void fixture_read(const char *topic, int count,
                                void (*see)(const rd_kafka_message_t *message)) {
    char reason[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(PARTITIONS);
    int64_t deadline_us = clock_now_us() + PATIENCE_US;
    rd_kafka_t *reader;

    rd_kafka_conf_set(conf, "bootstrap.servers", fixture.bootstrap.value, NULL, 0);
    rd_kafka_conf_set(conf, "group.id", "reader", NULL, 0);
    rd_kafka_conf_set(conf, "auto.offset.reset", "earliest", NULL, 0);
    rd_kafka_conf_set(conf, "enable.auto.commit", "false", NULL, 0);
    reader = rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof reason);
    ck_assert_ptr_nonnull(reader);
    for (int p = 0; p < PARTITIONS; p++) {
        rd_kafka_topic_partition_list_add(list, topic, p)->offset =
            RD_KAFKA_OFFSET_BEGINNING;
    }
    ck_assert_int_eq(rd_kafka_assign(reader, list), 0);
    for (int seen = 0; seen < count;) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(reader, 100);
        ck_assert_msg(clock_now_us() < deadline_us, "%d of %d messages in %s", seen,
                      count, topic);
        if (message != NULL && message->err == 0) {
            see(message);
            seen++;
        }
        if (message != NULL) {
            rd_kafka_message_destroy(message);
        }
    }
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_consumer_close(reader);
    rd_kafka_destroy(reader);
}

/* Messages of a topic, aborted ones with them. */
static inline int64_t fixture_topic_size(const char *topic) {
    int64_t sum = 0;
    for (int32_t p = 0; p < PARTITIONS; p++) {
        int64_t low, high;
        ck_assert_int_eq(rd_kafka_query_watermark_offsets(fixture.client, topic, p, &low,
                                                          &high, 10000),
                         0);
        sum += high - low;
    }
    return sum;
}

/* The text that a header of the message holds, "" for none. */
static inline const char *fixture_header(const rd_kafka_message_t *message,
                                         const char *name) {
    rd_kafka_headers_t *headers;
    const void *value;
    size_t size;
    if (rd_kafka_message_headers(message, &headers) != 0 ||
        rd_kafka_header_get_last(headers, name, &value, &size) != 0) {
        return "";
    }
    return value; /* librdkafka puts a 0 behind it */
}

#endif
