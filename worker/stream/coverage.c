#include "stream/coverage.h"

#include "base/clock.h"
#include "base/log.h"
#include "stream/internal.h"

#define SOON_US 5000000
#define INTERVAL_US 30000000
#define TIMEOUT_MS 5000
#define METADATA_TIMEOUT_MS 1000
#define WHY_TEXT_MAX 256
/* Brokers tell each other of a new topic, and cooperative members hand over in two steps:
 * a gap counts once it was seen so often in a row. */
#define GAPS_MIN 2

/* The embedded broker does not know the request, and librdkafka 2.0.2 aborts where a
 * coordinator does not; its clusters are known by their name. */
#define EMBEDDED_PREFIX "mockCluster"

/* What one answer of the coordinator says. */
struct view {
    const char *topic; /* with a partition that no member holds; NULL: there is none */
    int32_t held, partitions;
    int rank; /* of this member among all, by name: they go one after the other */
};

void coverage_suspect(struct coverage *coverage) {
    coverage->due_us = clock_now_us() + SOON_US;
    coverage->gaps = 0;
}

void coverage_release(struct coverage *coverage) {
    if (coverage->answers != NULL) {
        rd_kafka_queue_destroy(coverage->answers);
        coverage->answers = NULL;
    }
    coverage->due_us = 0; /* not before there is an assignment */
}

static bool is_embedded(rd_kafka_t *consumer) {
    char *id = rd_kafka_clusterid(consumer, 0);
    bool is = id == NULL || strncmp(id, EMBEDDED_PREFIX, strlen(EMBEDDED_PREFIX)) == 0;

    if (id != NULL) {
        rd_kafka_mem_free(consumer, id);
    }
    return is; /* or nobody knows yet: it is asked again */
}

static void ask(struct stream *stream) {
    struct coverage *coverage = &stream->source.coverage;
    rd_kafka_t *consumer = stream->source.consumer;
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(consumer, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS);
    char why[WHY_TEXT_MAX];

    coverage->answers = rd_kafka_queue_new(consumer);
    if (options != NULL && coverage->answers != NULL) {
        const char *group = stream->opts.group;
        (void)rd_kafka_AdminOptions_set_request_timeout(options, TIMEOUT_MS, why,
                                                        sizeof why);
        rd_kafka_DescribeConsumerGroups(consumer, &group, 1, options, coverage->answers);
    }
    if (options != NULL) {
        rd_kafka_AdminOptions_destroy(options);
    }
}

/* Partitions of the topic that members hold. */
static int32_t held_of(const rd_kafka_ConsumerGroupDescription_t *group,
                       const char *topic) {
    int32_t held = 0;

    for (size_t m = 0; m < rd_kafka_ConsumerGroupDescription_member_count(group); m++) {
        const rd_kafka_topic_partition_list_t *list =
            rd_kafka_MemberAssignment_partitions(rd_kafka_MemberDescription_assignment(
                rd_kafka_ConsumerGroupDescription_member(group, m)));
        for (int i = 0; list != NULL && i < list->cnt; i++) {
            held += strcmp(list->elems[i].topic, topic) == 0;
        }
    }
    return held;
}

static int rank_of(const rd_kafka_ConsumerGroupDescription_t *group, const char *name) {
    int rank = 0;

    for (size_t m = 0; m < rd_kafka_ConsumerGroupDescription_member_count(group); m++) {
        const char *other = rd_kafka_MemberDescription_consumer_id(
            rd_kafka_ConsumerGroupDescription_member(group, m));
        rank += strcmp(other, name) < 0;
    }
    return rank;
}

static void compare(struct stream *stream,
                    const rd_kafka_ConsumerGroupDescription_t *group,
                    const struct rd_kafka_metadata *metadata, struct view *view) {
    for (size_t i = 0; i < stream->input_count && view->topic == NULL; i++) {
        const char *name = stream->inputs[i].topic;
        for (int t = 0; t < metadata->topic_cnt; t++) {
            const rd_kafka_metadata_topic_t *topic = &metadata->topics[t];
            if (strcmp(topic->topic, name) == 0 &&
                held_of(group, name) < topic->partition_cnt) {
                view->topic = name;
                view->held = held_of(group, name);
                view->partitions = topic->partition_cnt;
            }
        }
    }
}

/* Says of a group at rest what nobody holds; false where the answer says nothing. */
static bool look(struct stream *stream, rd_kafka_event_t *event, struct view *view) {
    rd_kafka_t *consumer = stream->source.consumer;
    const rd_kafka_DescribeConsumerGroups_result_t *result =
        rd_kafka_event_DescribeConsumerGroups_result(event);
    const rd_kafka_ConsumerGroupDescription_t **groups;
    const struct rd_kafka_metadata *metadata = NULL;
    size_t count = 0;
    char *name;

    *view = (struct view){0};
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR || result == NULL) {
        return false;
    }
    groups = rd_kafka_DescribeConsumerGroups_result_groups(result, &count);
    if (count != 1 || rd_kafka_ConsumerGroupDescription_error(groups[0]) != NULL ||
        rd_kafka_ConsumerGroupDescription_state(groups[0]) !=
            RD_KAFKA_CONSUMER_GROUP_STATE_STABLE ||
        rd_kafka_metadata(consumer, 0, NULL, &metadata, METADATA_TIMEOUT_MS) !=
            RD_KAFKA_RESP_ERR_NO_ERROR) {
        return false;
    }
    compare(stream, groups[0], metadata, view);
    rd_kafka_metadata_destroy(metadata);
    name = rd_kafka_memberid(consumer);
    view->rank = name != NULL ? rank_of(groups[0], name) : 0;
    if (name != NULL) {
        rd_kafka_mem_free(consumer, name);
    }
    return true;
}

bool coverage_has_gap(struct stream *stream) {
    struct coverage *coverage = &stream->source.coverage;
    rd_kafka_event_t *event;
    struct view view = {0};
    bool known;

    if (coverage->due_us == 0 || clock_now_us() < coverage->due_us) {
        return false;
    }
    if (coverage->answers == NULL) {
        if (is_embedded(stream->source.consumer)) {
            coverage->due_us = clock_now_us() + INTERVAL_US;
            return false;
        }
        ask(stream);
    }
    event = rd_kafka_queue_poll(coverage->answers, 0);
    if (event == NULL) {
        return false; /* it comes: the request has a timeout */
    }
    known = look(stream, event, &view);
    rd_kafka_event_destroy(event);
    coverage_release(coverage);
    coverage->gaps = known && view.topic != NULL ? coverage->gaps + 1 : 0;
    coverage->due_us = clock_now_us() + (coverage->gaps > 0 ? SOON_US : INTERVAL_US);
    if (coverage->gaps < GAPS_MIN + view.rank) {
        return false;
    }
    log_event(LOG_WARN, "partitions_unread", LOG_TEXT("topic", view.topic),
              LOG_INT("held", view.held), LOG_INT("partitions", view.partitions),
              LOG_TEXT("action", "joins the group anew, to have them shared out"));
    return true;
}
