/* kafka_topics.c - topics are made; see kafka_io.h. */
#include "tools/kafka_client.h"
#include "tools/topic_spec.h"

#define RDKAFKA_TEXT_MAX 512

struct new_topics {
    rd_kafka_NewTopic_t *items[KAFKA_IO_TOPICS_MAX];
    size_t count;
};

static enum status parse_topics(const char *topics, int replicas,
                                struct new_topics *wanted, struct error *err) {
    char why[RDKAFKA_TEXT_MAX];
    while (*topics != 0) {
        struct topic_spec spec;
        enum status status = topic_spec_take(&topics, &spec, err);
        if (status != STATUS_OK) {
            return status;
        }
        if (wanted->count == KAFKA_IO_TOPICS_MAX) {
            return error_set(err, STATUS_INVALID, "more than %d topics",
                             KAFKA_IO_TOPICS_MAX);
        }
        rd_kafka_NewTopic_t *item =
            rd_kafka_NewTopic_new(spec.name, spec.partitions, replicas, why, sizeof(why));
        if (item == NULL) {
            return error_set(err, STATUS_INVALID, "topic '%s': %s", spec.name, why);
        }
        wanted->items[wanted->count++] = item;
    }
    return STATUS_OK;
}

/* What the brokers said of each topic; the first refusal is the answer. */
static enum status check_created(rd_kafka_event_t *event, struct error *err) {
    size_t count = 0;
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return error_set(err, STATUS_AGAIN, "%s", rd_kafka_event_error_string(event));
    }
    const rd_kafka_topic_result_t **results = rd_kafka_CreateTopics_result_topics(
        rd_kafka_event_CreateTopics_result(event), &count);
    for (size_t i = 0; i < count; i++) {
        rd_kafka_resp_err_t code = rd_kafka_topic_result_error(results[i]);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR &&
            code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
            return error_set(err, STATUS_INVALID, "topic '%s': %s",
                             rd_kafka_topic_result_name(results[i]),
                             rd_kafka_topic_result_error_string(results[i]));
        }
    }
    return STATUS_OK;
}

/* Asks for the topics and waits for the answer. */
static enum status create_topics(rd_kafka_t *client, int timeout_ms,
                                 struct new_topics *wanted, struct error *err) {
    char why[RDKAFKA_TEXT_MAX];
    enum status status = STATUS_OK;
    rd_kafka_event_t *event = NULL;
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_AdminOptions_t *admin =
        rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    if (rd_kafka_AdminOptions_set_request_timeout(admin, timeout_ms, why, sizeof(why)) !=
            RD_KAFKA_RESP_ERR_NO_ERROR ||
        rd_kafka_AdminOptions_set_operation_timeout(
            admin, timeout_ms, why, sizeof(why)) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        status = error_set(err, STATUS_INVALID, "%s", why);
        goto done;
    }
    rd_kafka_CreateTopics(client, wanted->items, wanted->count, admin, queue);
    event = rd_kafka_queue_poll(queue, -1); /* ends: the request has a timeout */
    status = event != NULL ? check_created(event, err)
                           : error_set(err, STATUS_AGAIN, "no answer");
done:
    if (event != NULL) {
        rd_kafka_event_destroy(event);
    }
    rd_kafka_AdminOptions_destroy(admin);
    rd_kafka_queue_destroy(queue);
    return status;
}

enum status kafka_io_create_topics(const struct kafka_io_opts *opts, const char *topics,
                                   int replicas, struct error *err) {
    struct new_topics wanted = {.count = 0};
    struct kafka_report report = {.delivered = 0};
    rd_kafka_t *client = NULL;
    enum status status = parse_topics(topics, replicas, &wanted, err);
    if (status == STATUS_OK) {
        status =
            kafka_client_open(opts, RD_KAFKA_PRODUCER, NULL, 0, &report, &client, err);
    }
    if (status == STATUS_OK) {
        status = create_topics(client, (int)opts->wait_s * 1000, &wanted, err);
        (void)rd_kafka_poll(client, 0); /* serves on_error */
    }
    if (status == STATUS_AGAIN && report.problem[0] != 0) {
        status = kafka_client_no_broker(opts, report.problem, err);
    } else if (status == STATUS_AGAIN) {
        const struct error told = *err;
        status = error_set(err, STATUS_AGAIN,
                           "%s did not make the topics within %lld s: %s (that of "
                           "'millrace broker' makes its own, by --topics)",
                           opts->bootstrap, (long long)opts->wait_s, told.text);
    }
    rd_kafka_NewTopic_destroy_array(wanted.items, wanted.count);
    if (client != NULL) {
        rd_kafka_destroy(client);
    }
    return status;
}
