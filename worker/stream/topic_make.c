#include "stream/topic_make.h"

#define TIMEOUT_MS 5000
#define WHY_TEXT_MAX 256

static enum status judge(rd_kafka_event_t *event, struct error *err) {
    size_t count = 0;
    const rd_kafka_topic_result_t **results;
    rd_kafka_resp_err_t code;

    if (event == NULL) {
        return error_set(err, STATUS_AGAIN, "no answer");
    }
    code = rd_kafka_event_error(event);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return error_set(err,
                         code == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE
                             ? STATUS_UNSUPPORTED
                             : STATUS_AGAIN,
                         "%s", rd_kafka_event_error_string(event));
    }
    results = rd_kafka_CreateTopics_result_topics(
        rd_kafka_event_CreateTopics_result(event), &count);
    for (size_t i = 0; i < count; i++) {
        code = rd_kafka_topic_result_error(results[i]);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR &&
            code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
            return error_set(err, STATUS_AGAIN, "%s",
                             rd_kafka_topic_result_error_string(results[i]));
        }
    }
    err->status = STATUS_OK;
    return STATUS_OK;
}

enum status topic_make(rd_kafka_t *client, const char *topic, int32_t partitions,
                       int replicas, struct error *err) {
    char why[WHY_TEXT_MAX] = "";
    rd_kafka_NewTopic_t *wanted =
        rd_kafka_NewTopic_new(topic, partitions, replicas, why, sizeof why);
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_event_t *event = NULL;
    enum status status;

    if (wanted == NULL ||
        rd_kafka_AdminOptions_set_request_timeout(options, TIMEOUT_MS, why, sizeof why) !=
            RD_KAFKA_RESP_ERR_NO_ERROR) {
        status = error_set(err, STATUS_AGAIN, "%s", why);
    } else {
        rd_kafka_CreateTopics(client, &wanted, 1, options, queue);
        event = rd_kafka_queue_poll(queue, -1); /* ends: the request has a timeout */
        status = judge(event, err);
    }
    if (event != NULL) {
        rd_kafka_event_destroy(event);
    }
    if (wanted != NULL) {
        rd_kafka_NewTopic_destroy(wanted);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    return status;
}
