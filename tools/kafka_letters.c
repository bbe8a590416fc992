/* kafka_letters.c - see kafka_letters.h: reading and deleting. */
#include "tools/kafka_letters.h"

#include "base/clock.h"
#include "base/text.h"
#include "tools/kafka_client.h"

#define READ_TIMEOUT_MS 30000

static const struct kafka_setting reader_settings[] = {
    {"group.id", "millrace-dlq"}, /* wanted by librdkafka, never joined */
    {"enable.auto.commit", "false"},       {"auto.offset.reset", "earliest"},
    {"isolation.level", "read_committed"}, {"enable.partition.eof", "true"},
    {"allow.auto.create.topics", "false"}, {"fetch.wait.max.ms", "50"},
};

struct letters {
    rd_kafka_t *client;
    rd_kafka_message_t *message; /* lent out by the last next */
    struct kafka_report report;
    int left; /* partitions whose end has not come */
};

/* ---- headers ------------------------------------------------------------------------
 */

bool letter_header(const struct letter *letter, const char *name, struct span *value) {
    rd_kafka_headers_t *headers;
    const void *data;
    size_t size;
    if (rd_kafka_message_headers(letter->message, &headers) != 0 ||
        rd_kafka_header_get_last(headers, name, &data, &size) != 0) {
        return false;
    }
    *value = span_of(data, size);
    return true;
}

bool letter_header_at(const struct letter *letter, size_t index, const char **name,
                      struct span *value) {
    rd_kafka_headers_t *headers;
    const void *data;
    size_t size;
    if (rd_kafka_message_headers(letter->message, &headers) != 0 ||
        rd_kafka_header_get_all(headers, index, name, &data, &size) != 0) {
        return false;
    }
    *value = span_of(data, size);
    return true;
}

int64_t letter_number(const struct letter *letter, const char *name, int64_t otherwise) {
    char text[24];
    struct span value;
    int64_t number;
    if (!letter_header(letter, name, &value) || value.size >= sizeof(text)) {
        return otherwise;
    }
    (void)snprintf(text, sizeof(text), "%.*s", (int)value.size,
                   value.data != NULL ? (const char *)value.data : "");
    return text_parse_int(text, &number) ? number : otherwise;
}

/* ---- reading ------------------------------------------------------------------------
 */

static enum status assign(struct letters *letters, const char *topic, int partitions,
                          struct error *err) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    rd_kafka_resp_err_t code;
    for (int p = 0; p < partitions; p++) {
        rd_kafka_topic_partition_list_add(list, topic, p)->offset =
            RD_KAFKA_OFFSET_BEGINNING;
    }
    code = rd_kafka_assign(letters->client, list);
    rd_kafka_topic_partition_list_destroy(list);
    letters->left = partitions;
    return code == RD_KAFKA_RESP_ERR_NO_ERROR
               ? STATUS_OK
               : error_set(err, STATUS_FATAL, "cannot read: %s", rd_kafka_err2str(code));
}

enum status letters_open(const struct kafka_io_opts *opts, const char *topic,
                         struct letters **letters, struct error *err) {
    struct letters *made = calloc(1, sizeof(*made));
    int partitions = 0;
    enum status status;
    *letters = NULL;
    if (made == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a consumer");
    }
    status = kafka_client_open(opts, RD_KAFKA_CONSUMER, reader_settings,
                               ARRAY_COUNT(reader_settings), &made->report, &made->client,
                               err);
    if (status == STATUS_OK) {
        (void)rd_kafka_poll_set_consumer(made->client); /* cannot fail on a consumer */
        status = kafka_client_await(made->client, opts, &made->report, topic, &partitions,
                                    err);
    }
    if (status == STATUS_OK) {
        status = assign(made, topic, partitions, err);
    }
    if (status != STATUS_OK) {
        letters_close(made);
        return status;
    }
    *letters = made;
    return STATUS_OK;
}

void letters_close(struct letters *letters) {
    if (letters == NULL) {
        return;
    }
    if (letters->message != NULL) {
        rd_kafka_message_destroy(letters->message);
    }
    if (letters->client != NULL) {
        (void)rd_kafka_consumer_close(letters->client); /* there is no group to leave */
        rd_kafka_destroy(letters->client);
    }
    free(letters);
}

static void fill(struct letter *letter, rd_kafka_message_t *message) {
    rd_kafka_timestamp_type_t kind;
    *letter = (struct letter){
        .partition = message->partition,
        .offset = message->offset,
        .timestamp_ms = rd_kafka_message_timestamp(message, &kind),
        .key = span_of(message->key, message->key_len),
        .value = span_of(message->payload, message->len),
        .message = message,
    };
}

enum status letters_next(struct letters *letters, struct letter *letter, bool *end,
                         struct error *err) {
    int64_t deadline_us = clock_now_us() + (int64_t)READ_TIMEOUT_MS * 1000;
    for (;;) {
        rd_kafka_message_t *message;
        *end = letters->left == 0;
        if (*end) {
            return STATUS_OK;
        }
        if (letters->message != NULL) {
            rd_kafka_message_destroy(letters->message);
        }
        message = letters->message = rd_kafka_consumer_poll(letters->client, 100);
        if (message != NULL && message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            fill(letter, message);
            return STATUS_OK;
        }
        if (message != NULL && message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            letters->left--;
        }
        if (clock_now_us() > deadline_us) {
            return error_set(
                err, STATUS_AGAIN, "nothing came within %d s%s%s", READ_TIMEOUT_MS / 1000,
                letters->report.problem[0] ? ": " : "", letters->report.problem);
        }
    }
}

/* ---- deleting -----------------------------------------------------------------------
 */

static enum status check_deleted(rd_kafka_event_t *event, struct error *err) {
    const rd_kafka_topic_partition_list_t *list;
    if (event == NULL) {
        return error_set(err, STATUS_AGAIN, "deleting: no answer");
    }
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return error_set(err, STATUS_AGAIN, "deleting: %s",
                         rd_kafka_event_error_string(event));
    }
    list =
        rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event));
    for (int i = 0; i < list->cnt; i++) {
        if (list->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            return error_set(err, STATUS_AGAIN, "deleting from partition %d: %s",
                             (int)list->elems[i].partition,
                             rd_kafka_err2str(list->elems[i].err));
        }
    }
    return STATUS_OK;
}

enum status letters_delete(const struct kafka_io_opts *opts, const char *topic,
                           const int64_t *before, int32_t partitions, struct error *err) {
    struct kafka_report report = {.delivered = 0};
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    rd_kafka_t *client = NULL;
    enum status status =
        kafka_client_open(opts, RD_KAFKA_PRODUCER, NULL, 0, &report, &client, err);
    for (int32_t p = 0; p < partitions; p++) {
        if (before[p] >= 0) {
            rd_kafka_topic_partition_list_add(list, topic, p)->offset = before[p];
        }
    }
    if (status == STATUS_OK && list->cnt > 0) {
        rd_kafka_DeleteRecords_t *wanted = rd_kafka_DeleteRecords_new(list);
        rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
        rd_kafka_event_t *event;
        rd_kafka_DeleteRecords(client, &wanted, 1, NULL, queue);
        event = rd_kafka_queue_poll(queue, READ_TIMEOUT_MS);
        status = check_deleted(event, err);
        if (event != NULL) {
            rd_kafka_event_destroy(event);
        }
        rd_kafka_DeleteRecords_destroy(wanted);
        rd_kafka_queue_destroy(queue);
    }
    rd_kafka_topic_partition_list_destroy(list);
    if (client != NULL) {
        rd_kafka_destroy(client);
    }
    return status;
}
