#include "stream/topics.h"

#include "base/clock.h"
#include "stream/internal.h"
#include "stream/topic_make.h"

#define CHECK_INTERVAL_US 2000000
#define METADATA_TIMEOUT_MS 2000
#define MADE_WAIT_US 2000000
#define MADE_STEP_US 20000

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

/* Whether all that the route writes to is there. */
static bool has_targets(const struct stream_route *route,
                        const struct topic_counts *counts) {
    bool all = counts->output > 0 && counts->dead_letter > 0;

    for (int i = 0; i < route->retry_count; i++) {
        all = all && counts->retries[i] > 0;
    }
    return all;
}

bool topics_can_publish(const struct stream *stream, int route) {
    return has_targets(&stream->opts.routes[route], &stream->topics.routes[route]);
}

/* Adds the name, once, as far as there is room; routes may share a topic. */
static void note_missing(char *missing, const char *topic) {
    const size_t size = strlen(topic);
    size_t used = 0;

    while (missing[used] != '\0') {
        const size_t name = strcspn(missing + used, ",");
        if (name == size && memcmp(missing + used, topic, size) == 0) {
            return;
        }
        used += name + (missing[used + name] == ',');
    }
    if (used + size + 2 <= TOPICS_MISSING_MAX) {
        (void)snprintf(missing + used, TOPICS_MISSING_MAX - used, "%s%s",
                       used > 0 ? "," : "", topic);
    }
}

/* All of them in one problem: each alone would take the place of the one before. */
static void tell_missing(struct stream *stream) {
    const char *missing = stream->topics.missing;

    if (missing[0] != '\0') {
        problems_report(
            &stream->problems, PROBLEM_TOPICS,
            "missing on the cluster: %s; make what is missing as you make any "
            "topic, or: millrace topics --bootstrap %s NAME:PARTITIONS,...",
            missing, stream->context.brokers);
    }
}

static void tell(struct stream *stream, const char *topic, rd_kafka_resp_err_t code) {
    switch ((int)code) {
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
        note_missing(stream->topics.missing, topic);
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

/* What the brokers say of a topic. */
struct answer {
    int32_t partitions;       /* 0 if it is not there */
    int replicas;             /* of its first partition */
    rd_kafka_resp_err_t code; /* why it is not there */
};

static struct answer read_answer(const struct rd_kafka_metadata *metadata) {
    struct answer answer = {.code = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART};

    if (metadata->topic_cnt == 1) {
        const rd_kafka_metadata_topic_t *topic = &metadata->topics[0];
        answer.code = topic->err;
        answer.partitions = topic->partition_cnt;
        answer.replicas = topic->partition_cnt > 0 ? topic->partitions[0].replica_cnt : 0;
    }
    if (answer.code != RD_KAFKA_RESP_ERR_NO_ERROR &&
        answer.code != RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE) {
        answer.partitions = 0;
    }
    return answer;
}

/* Asks through `client`; false, and a problem told, where no broker answers. */
static bool look_up(struct stream *stream, rd_kafka_t *client, const char *topic,
                    struct answer *answer) {
    rd_kafka_topic_t *handle = rd_kafka_topic_new(client, topic, NULL);
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__FAIL;

    *answer = (struct answer){0};
    if (handle != NULL) {
        code = rd_kafka_metadata(client, 0, handle, &metadata, METADATA_TIMEOUT_MS);
        rd_kafka_topic_destroy(handle);
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        client_unanswered(&stream->context);
        return false;
    }
    *answer = read_answer(metadata);
    rd_kafka_metadata_destroy(metadata);
    return true;
}

/* Partitions of `topic`, 0 and a problem told if there are none.  *answered is false
 * where no broker answers. */
static int32_t ask(struct stream *stream, const char *topic, int *replicas,
                   bool *answered) {
    struct answer answer;

    *answered = look_up(stream, stream->source.consumer, topic, &answer);
    if (*answered && answer.partitions == 0) {
        tell(stream, topic, answer.code);
    }
    if (replicas != NULL) {
        *replicas = answer.replicas;
    }
    return answer.partitions;
}

/* The group looks for new topics only now and then; a full listing makes it look now. */
static void announce(struct stream *stream) {
    const struct rd_kafka_metadata *metadata = NULL;

    if (rd_kafka_metadata(stream->source.consumer, 1, NULL, &metadata,
                          METADATA_TIMEOUT_MS) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_metadata_destroy(metadata);
    }
}

/* Partitions of a topic that was just made: the brokers tell each other first. */
static int32_t await_made(struct stream *stream, const char *topic, bool *answered) {
    int64_t deadline_us = clock_now_us() + MADE_WAIT_US;
    struct answer answer;

    do {
        *answered = look_up(stream, stream->source.consumer, topic, &answer);
        if (*answered && answer.partitions == 0) {
            window_wait(&stream->window, MADE_STEP_US);
        }
    } while (*answered && answer.partitions == 0 && clock_now_us() < deadline_us);
    return answer.partitions;
}

/* A retry topic, which is made where it is missing. */
static int32_t ask_retry(struct stream *stream, const char *topic, int32_t partitions,
                         int replicas, bool *answered) {
    struct answer answer;
    struct error err;

    *answered = look_up(stream, stream->source.consumer, topic, &answer);
    if (!*answered || answer.partitions > 0 || partitions == 0) {
        return answer.partitions;
    }
    if (topic_make(stream->source.consumer, topic, partitions, replicas, &err) ==
        STATUS_UNSUPPORTED) {
        /* The embedded broker makes a topic when a producer asks for it. */
        (void)look_up(stream, stream->producer.client, topic, &answer);
    } else if (err.status != STATUS_OK) {
        problems_report(&stream->problems, PROBLEM_TOPICS,
                        "retry topic '%s' is missing and cannot be made: %s; make it "
                        "with %d partitions, or set retry_delays = \"\" in its route",
                        topic, err.text, (int)partitions);
        return 0;
    }
    return await_made(stream, topic, answered);
}

/* Looks at what route `index` lacks, or at all of it; whether a broker answered. */
static bool check_route(struct stream *stream, size_t index, bool *complete) {
    const struct stream_route *route = &stream->opts.routes[index];
    struct topic_counts *counts = &stream->topics.routes[index];
    bool missed = counts->input == 0, answered;
    int replicas;

    counts->input = ask(stream, route->input, &replicas, &answered);
    if (answered) {
        counts->output = ask(stream, route->output, NULL, &answered);
    }
    if (answered) {
        counts->dead_letter = ask(stream, route->dead_letter, NULL, &answered);
    }
    for (int i = 0; i < route->retry_count && answered; i++) {
        counts->retries[i] = ask_retry(stream, route->retries[i].topic, counts->input,
                                       replicas, &answered);
    }
    if (missed && counts->input > 0) {
        announce(stream);
    }
    *complete = *complete && counts->input > 0 && has_targets(route, counts);
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
    topics->missing[0] = '\0';
    for (size_t i = 0; i < stream->opts.route_count && answered; i++) {
        answered = check_route(stream, i, &complete);
    }
    if (answered) {
        problems_clear(&stream->problems, PROBLEM_BROKER);
        tell_missing(stream);
    }
    if (answered && complete) {
        problems_clear(&stream->problems, PROBLEM_TOPICS);
    }
    atomic_store(&topics->ready, answered && complete);
    if (answered) {
        atomic_store(&topics->settled, true);
    }
    topics->next_check_us = clock_now_us() + CHECK_INTERVAL_US;
}
