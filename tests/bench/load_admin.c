/* load_admin.c - loadgen create, drop and wait: topics, and the state of a group. */
#include "tests/bench/loadgen.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    CALL_TIMEOUT_MS = 30000,
    WATCH_INTERVAL_MS = 10, /* between two looks at a group that is joining */
    COUNT_INTERVAL_MS = 100 /* and at one that works, which must not be disturbed */
};

static void sleep_ms(int ms) {
    struct timespec pause = {.tv_nsec = ms * 1000000L};

    nanosleep(&pause, NULL);
}

static rd_kafka_t *open_client(const struct load_options *o) {
    const struct setting defaults[] = {
        {NULL, NULL},
    };

    return make_client(RD_KAFKA_PRODUCER,
                       make_conf("admin", o->bootstrap, defaults, &o->properties));
}

int load_partition_count(rd_kafka_t *client, const char *topic) {
    const struct rd_kafka_metadata *metadata;
    int64_t deadline_us = monotonic_us() + CALL_TIMEOUT_MS * INT64_C(1000);
    rd_kafka_topic_t *handle = rd_kafka_topic_new(client, topic, NULL);
    int count = 0;

    /* A topic made just now may not be known to every broker yet. */
    while (count == 0 && monotonic_us() < deadline_us) {
        rd_kafka_resp_err_t code =
            rd_kafka_metadata(client, 0, handle, &metadata, CALL_TIMEOUT_MS);
        if (code != 0) {
            die("metadata of %s: %s", topic, rd_kafka_err2str(code));
        }
        if (metadata->topic_cnt == 1 && metadata->topics[0].err == 0) {
            count = metadata->topics[0].partition_cnt;
        }
        rd_kafka_metadata_destroy(metadata);
        if (count == 0) {
            sleep_ms(WATCH_INTERVAL_MS);
        }
    }
    if (count == 0) {
        die("there is no topic %s", topic);
    }
    rd_kafka_topic_destroy(handle);
    return count;
}

/* The answer to an admin request, owned by the caller. */
static rd_kafka_event_t *await_answer(rd_kafka_queue_t *queue, const char *what) {
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, CALL_TIMEOUT_MS);

    if (event == NULL) {
        die("%s: no answer", what);
    }
    if (rd_kafka_event_error(event) != 0) {
        die("%s: %s", what, rd_kafka_event_error_string(event));
    }
    return event;
}

/* Ends the program unless the one topic result is fine or `tolerated`. */
static void check_topic(const rd_kafka_topic_result_t **results,
                        rd_kafka_resp_err_t tolerated) {
    rd_kafka_resp_err_t code = rd_kafka_topic_result_error(results[0]);

    if (code != 0 && code != tolerated) {
        die("topic %s: %s", rd_kafka_topic_result_name(results[0]),
            rd_kafka_topic_result_error_string(results[0]));
    }
}

int load_create_topic(const struct load_options *o) {
    char error[BENCH_ERROR_SIZE], name[256];
    rd_kafka_t *client = open_client(o);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(
        o->topic, (int)o->partitions, (int)o->replication, error, sizeof(error));
    size_t count;

    if (topic == NULL) {
        die("topic %s: %s", o->topic, error);
    }
    for (int i = 0; i < o->topic_config.count; i++) {
        const char *line = o->topic_config.lines[i];
        const char *value = strchr(line, '=') + 1;
        snprintf(name, sizeof(name), "%.*s", (int)(value - line - 1), line);
        rd_kafka_NewTopic_set_config(topic, name, value);
    }
    rd_kafka_CreateTopics(client, &topic, 1, NULL, queue);
    rd_kafka_event_t *event = await_answer(queue, "create");
    check_topic(rd_kafka_CreateTopics_result_topics(
                    rd_kafka_event_CreateTopics_result(event), &count),
                RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_event_destroy(event);
    rd_kafka_NewTopic_destroy(topic);
    rd_kafka_queue_destroy(queue);
    /* Ready is when a client can see it. */
    printf("{\"partitions\":%d}\n", load_partition_count(client, o->topic));
    rd_kafka_destroy(client);
    return 0;
}

int load_drop_topic(const struct load_options *o) {
    rd_kafka_t *client = open_client(o);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(o->topic);
    size_t count;

    rd_kafka_DeleteTopics(client, &topic, 1, NULL, queue);
    rd_kafka_event_t *event = await_answer(queue, "drop");
    check_topic(rd_kafka_DeleteTopics_result_topics(
                    rd_kafka_event_DeleteTopics_result(event), &count),
                RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    puts("{}");
    rd_kafka_event_destroy(event);
    rd_kafka_DeleteTopic_destroy(topic);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(client);
    return 0;
}

/* Whether a member of the group has partitions now. */
static bool has_assignment(rd_kafka_t *client, rd_kafka_queue_t *queue,
                           const char *group) {
    size_t count;
    bool assigned = false;

    rd_kafka_DescribeConsumerGroups(client, &group, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, CALL_TIMEOUT_MS);
    /* There is no coordinator before the first member asks for one. */
    if (event == NULL || rd_kafka_event_error(event) != 0) {
        if (event != NULL) {
            rd_kafka_event_destroy(event);
        }
        return false;
    }
    const rd_kafka_ConsumerGroupDescription_t **groups =
        rd_kafka_DescribeConsumerGroups_result_groups(
            rd_kafka_event_DescribeConsumerGroups_result(event), &count);
    size_t members =
        count == 1 ? rd_kafka_ConsumerGroupDescription_member_count(groups[0]) : 0;
    for (size_t i = 0; i < members && !assigned; i++) {
        const rd_kafka_MemberAssignment_t *assignment =
            rd_kafka_MemberDescription_assignment(
                rd_kafka_ConsumerGroupDescription_member(groups[0], i));
        assigned = assignment != NULL &&
                   rd_kafka_MemberAssignment_partitions(assignment)->cnt > 0;
    }
    rd_kafka_event_destroy(event);
    return assigned;
}

static int wait_assigned(const struct load_options *o) {
    rd_kafka_t *client = open_client(o);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    int64_t deadline_us = monotonic_us() + o->timeout_seconds * 1000000;
    bool assigned = false;

    while (!stop_requested && !assigned && monotonic_us() < deadline_us) {
        assigned = has_assignment(client, queue, o->group);
        if (!assigned) {
            sleep_ms(WATCH_INTERVAL_MS);
        }
    }
    printf("{\"assigned\":%s,\"wall_us\":%" PRId64 "}\n", assigned ? "true" : "false",
           wall_us());
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(client);
    return assigned ? 0 : 1;
}

/* The sum of the group's committed offsets. A topic filled without transactions numbers
 * its records from 0 without a gap, so that it counts the records. */
static int64_t committed(rd_kafka_t *consumer, rd_kafka_topic_partition_list_t *list) {
    int64_t sum = 0;
    rd_kafka_resp_err_t code = rd_kafka_committed(consumer, list, CALL_TIMEOUT_MS);

    if (code != 0) {
        die("committed offsets: %s", rd_kafka_err2str(code));
    }
    for (int i = 0; i < list->cnt; i++) {
        sum += list->elems[i].offset > 0 ? list->elems[i].offset : 0;
    }
    return sum;
}

static int wait_count(const struct load_options *o) {
    const struct setting defaults[] = {
        {"group.id", o->group},
        {"enable.auto.commit", "false"},
        /* Not to be held up by the transaction that is just being committed. */
        {"isolation.level", "read_uncommitted"},
        {NULL, NULL},
    };
    rd_kafka_t *consumer = make_client(
        RD_KAFKA_CONSUMER, make_conf("consumer", o->bootstrap, defaults, &o->properties));
    int partitions = load_partition_count(consumer, o->topic);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    int64_t deadline_us = monotonic_us() + o->timeout_seconds * 1000000, count = 0;

    rd_kafka_topic_partition_list_add_range(list, o->topic, 0, partitions - 1);
    while (!stop_requested && monotonic_us() < deadline_us) {
        count = committed(consumer, list);
        if (count >= o->count) {
            break;
        }
        sleep_ms(COUNT_INTERVAL_MS);
    }
    printf("{\"committed\":%" PRId64 ",\"wall_us\":%" PRId64 "}\n", count, wall_us());
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(consumer);
    return count >= o->count ? 0 : 1;
}

int load_wait(const struct load_options *o) {
    if (o->group == NULL || (o->count == 0 && !o->assigned)) {
        misuse("--group and one of --assigned and --count are needed");
    }
    return o->assigned ? wait_assigned(o) : wait_count(o);
}
