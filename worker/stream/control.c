#include "stream/control.h"

#include <librdkafka/rdkafka.h>

#include "base/clock.h"
#include "base/log.h"
#include "stream/client.h"
#include "stream/problems.h"

#define NAME_MAX 512
#define METADATA_TIMEOUT_MS 1000
/* How often it is looked whether the topic is there. */
#define RETRY_US 2000000

struct control {
    rd_kafka_t *consumer;
    char *topic; /* owned */
    struct client_context context;
    struct problems problems;
    bool assigned, told;
    int64_t retry_us;            /* when to look again */
    rd_kafka_message_t *message; /* owned; the record that was read last */
};

enum status control_open(const struct stream_opts *opts, const char *topic,
                         struct control **out, struct error *err) {
    struct control *control = calloc(1, sizeof *control);
    rd_kafka_conf_t *conf = NULL;
    char name[NAME_MAX];
    enum status status;

    *out = NULL;
    if (control == NULL || !problems_init(&control->problems)) {
        free(control);
        return error_set(err, STATUS_NO_MEMORY, "no memory for the control topic");
    }
    control->context.problems = &control->problems;
    control->topic = strdup(topic);
    /* It never joins the group; a name of its own costs nothing. */
    snprintf(name, sizeof name, "%s.control", opts->group);
    status =
        control->topic == NULL
            ? error_set(err, STATUS_NO_MEMORY, "no memory for a name")
            : client_conf(CLIENT_CONSUMER, opts, name, &control->context, &conf, err);
    if (status == STATUS_OK) {
        status = client_create(CLIENT_CONSUMER, &conf, &control->consumer, err);
    }
    if (status != STATUS_OK) {
        control_close(control);
        return status;
    }
    rd_kafka_poll_set_consumer(control->consumer);
    *out = control;
    return STATUS_OK;
}

/* Assigns all partitions of the topic; false where it is not there. */
static bool assign(struct control *control) {
    rd_kafka_topic_t *topic = rd_kafka_topic_new(control->consumer, control->topic, NULL);
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_topic_partition_list_t *list;
    int count = 0;

    if (topic == NULL) {
        return false;
    }
    if (rd_kafka_metadata(control->consumer, 0, topic, &metadata, METADATA_TIMEOUT_MS) ==
            RD_KAFKA_RESP_ERR_NO_ERROR &&
        metadata->topic_cnt == 1 &&
        metadata->topics[0].err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        count = metadata->topics[0].partition_cnt;
    }
    list = rd_kafka_topic_partition_list_new(count > 0 ? count : 1);
    for (int i = 0; i < count; i++) {
        rd_kafka_topic_partition_list_add(list, control->topic, i)->offset =
            RD_KAFKA_OFFSET_BEGINNING;
    }
    control->assigned = count > 0 && rd_kafka_assign(control->consumer, list) ==
                                         RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_topic_partition_list_destroy(list);
    if (metadata != NULL) {
        rd_kafka_metadata_destroy(metadata);
    }
    rd_kafka_topic_destroy(topic);
    return control->assigned;
}

static void look_for_topic(struct control *control) {
    int64_t now_us = clock_now_us();

    if (now_us < control->retry_us) {
        return;
    }
    control->retry_us = now_us + RETRY_US;
    if (assign(control)) {
        log_event(LOG_INFO, "control_topic_read", LOG_TEXT("topic", control->topic));
    } else if (!control->told) {
        control->told = true;
        log_event(LOG_WARN, "control_topic_missing", LOG_TEXT("topic", control->topic),
                  LOG_TEXT("advice", "make it, compacted, with one partition; it is "
                                     "waited for"));
    }
}

bool control_read(struct control *control, int timeout_ms,
                  struct control_record *record) {
    if (control->message != NULL) {
        rd_kafka_message_destroy(control->message);
        control->message = NULL;
    }
    if (!control->assigned) {
        look_for_topic(control);
    }
    control->message = rd_kafka_consumer_poll(control->consumer, timeout_ms);
    if (control->message == NULL || control->message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return false; /* librdkafka tries again what it can, and has logged it */
    }
    *record = (struct control_record){
        .value = span_of(control->message->payload, control->message->len),
        .partition = control->message->partition,
        .offset = control->message->offset,
    };
    return true;
}

void control_close(struct control *control) {
    if (control == NULL) {
        return;
    }
    if (control->message != NULL) {
        rd_kafka_message_destroy(control->message);
    }
    if (control->consumer != NULL) {
        rd_kafka_consumer_close(control->consumer);
        rd_kafka_destroy(control->consumer);
    }
    problems_release(&control->problems);
    free(control->topic);
    free(control);
}
