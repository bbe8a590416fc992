#include "stream/topics.h"

#include "base/clock.h"
#include "stream/internal.h"

#define CHECK_INTERVAL_US 2000000
#define METADATA_TIMEOUT_MS 2000

enum status topics_init(struct topics *topics, size_t route_count, struct error *err) {
    *topics = (struct topics){.routes = calloc(route_count, sizeof *topics->routes)};
    if (topics->routes == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for %zu routes", route_count);
    }
    return STATUS_OK;
}

void topics_release(struct topics *topics) {
    free(topics->routes);
    topics->routes = NULL;
}

void topics_suspect(struct topics *topics) {
    atomic_store(&topics->suspect, true);
}

bool topics_can_publish(const struct topics *topics, int route) {
    return topics->routes[route].output > 0 && topics->routes[route].dead_letter > 0;
}

static void tell(struct stream *stream, const char *topic, rd_kafka_resp_err_t code) {
    switch ((int)code) {
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
        problems_report(&stream->problems, PROBLEM_TOPICS,
                        "topic '%s' does not exist on the cluster; create it, e.g. "
                        "kafka-topics.sh --create --topic %s --bootstrap-server %s",
                        topic, topic, stream->context.brokers);
        break;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        problems_report(
            &stream->problems, PROBLEM_TOPICS,
            "topic '%s' may not be seen by this worker; allow its user to describe "
            "it (kafka-acls.sh)",
            topic);
        break;
    default:
        problems_report(&stream->problems, PROBLEM_TOPICS, "topic '%s': %s", topic,
                        rd_kafka_err2str(code));
    }
}

/* Partitions of `topic`, 0 and a problem told if there are none.  *answered is false
 * where no broker answers. */
static int32_t ask(struct stream *stream, const char *topic, bool *answered) {
    rd_kafka_t *consumer = stream->source.consumer;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(consumer, topic, NULL);
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__FAIL;
    int32_t count = 0;

    if (handle != NULL) {
        code = rd_kafka_metadata(consumer, 0, handle, &metadata, METADATA_TIMEOUT_MS);
        rd_kafka_topic_destroy(handle);
    }
    *answered = code == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (!*answered) {
        problems_report(
            &stream->problems, PROBLEM_BROKER,
            "no broker of %s answers; check the address, the network and that the "
            "brokers run",
            stream->context.brokers);
        return 0;
    }
    code = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    if (metadata->topic_cnt == 1) {
        code = metadata->topics[0].err;
        count = metadata->topics[0].partition_cnt;
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR &&
        code != RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE) {
        count = 0;
    }
    if (count == 0) {
        tell(stream, topic, code);
    }
    rd_kafka_metadata_destroy(metadata);
    return count;
}

/* The group looks for new topics only now and then; a full listing makes it look now. */
static void announce(struct stream *stream) {
    const struct rd_kafka_metadata *metadata = NULL;

    if (rd_kafka_metadata(stream->source.consumer, 1, NULL, &metadata,
                          METADATA_TIMEOUT_MS) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_metadata_destroy(metadata);
    }
}

/* Looks at what route `index` lacks, or at all of it; whether a broker answered. */
static bool check_route(struct stream *stream, size_t index, bool *complete) {
    const struct stream_route *route = &stream->opts.routes[index];
    struct topic_counts *counts = &stream->topics.routes[index];
    bool missed = counts->input == 0, answered;

    counts->input = ask(stream, route->input, &answered);
    if (answered) {
        counts->output = ask(stream, route->output, &answered);
    }
    if (answered) {
        counts->dead_letter = ask(stream, route->dead_letter, &answered);
    }
    if (missed && counts->input > 0) {
        announce(stream);
    }
    *complete =
        *complete && counts->input > 0 && counts->output > 0 && counts->dead_letter > 0;
    return answered;
}

void topics_check(struct stream *stream) {
    struct topics *topics = &stream->topics;
    int64_t now_us = clock_now_us();
    bool complete = true, answered = true;
    bool due = !atomic_load(&topics->ready) || atomic_load(&topics->suspect) ||
               !problems_is_clear(&stream->problems, PROBLEM_BROKER);

    if (!due || now_us < topics->next_check_us) {
        return;
    }
    atomic_store(&topics->suspect, false);
    for (size_t i = 0; i < stream->opts.route_count && answered; i++) {
        answered = check_route(stream, i, &complete);
    }
    if (answered) {
        problems_clear(&stream->problems, PROBLEM_BROKER);
    }
    if (answered && complete) {
        problems_clear(&stream->problems, PROBLEM_TOPICS);
    }
    atomic_store(&topics->ready, answered && complete);
    topics->next_check_us = clock_now_us() + CHECK_INTERVAL_US;
}
