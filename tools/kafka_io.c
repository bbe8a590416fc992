/* kafka_io.c - see kafka_io.h. */
#include "tools/kafka_io.h"

#include <librdkafka/rdkafka.h>

#include "base/clock.h"
#include "tools/kafka_client.h"

#define CLOSE_FLUSH_MS 1000
#define WAIT_STEP_MS 100
#define BOOTSTRAP_VARIABLE "MILLRACE_KAFKA_BOOTSTRAP_SERVERS"

static const struct kafka_setting writer_settings[] = {
    {"enable.idempotence", "true"},
    {"linger.ms", "5"},
    {"batch.size", "262144"},
    {"queue.buffering.max.messages", "200000"},
    {"queue.buffering.max.kbytes", "262144"},
};

static const struct kafka_setting reader_settings[] = {
    {"group.id", "millrace-collect"}, /* wanted by librdkafka, never joined */
    {"enable.auto.commit", "false"},       {"auto.offset.reset", "earliest"},
    {"isolation.level", "read_committed"}, {"fetch.wait.max.ms", "50"},
    {"allow.auto.create.topics", "false"},
};

struct kafka_writer {
    rd_kafka_t *client;
    rd_kafka_topic_t *topic;
    struct kafka_report report;
    int64_t sent;
};

struct kafka_reader {
    rd_kafka_t *client;
    rd_kafka_message_t *message; /* lent out by the last next */
    struct kafka_report report;
};

const char *kafka_io_version(void) {
    return rd_kafka_version_str();
}

const char *kafka_io_bootstrap(const char *flag) {
    return flag != NULL ? flag : getenv(BOOTSTRAP_VARIABLE);
}

int kafka_io_no_bootstrap(const struct cli_command *command) {
    return cli_misuse(command,
                      "which brokers? --bootstrap HOST:PORT,... is needed, or the "
                      "variable " BOOTSTRAP_VARIABLE);
}

/* ---- sending ----------------------------------------------------------------------- */

enum status kafka_writer_open(const struct kafka_io_opts *opts, const char *topic,
                              struct kafka_writer **writer, struct error *err) {
    int partitions = 0;
    struct kafka_writer *made = calloc(1, sizeof(*made));
    *writer = NULL;
    if (made == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a producer");
    }
    enum status status = kafka_client_open(opts, RD_KAFKA_PRODUCER, writer_settings,
                                           ARRAY_COUNT(writer_settings), &made->report,
                                           &made->client, err);
    if (status == STATUS_OK) {
        status = kafka_client_await(made->client, opts, &made->report, topic, &partitions,
                                    err);
    }
    if (status == STATUS_OK) {
        made->topic = rd_kafka_topic_new(made->client, topic, NULL);
        if (made->topic == NULL) {
            status = error_set(err, STATUS_INVALID, "topic '%s': %s", topic,
                               rd_kafka_err2str(rd_kafka_last_error()));
        }
    }
    if (status != STATUS_OK) {
        kafka_writer_close(made);
        return status;
    }
    *writer = made;
    return STATUS_OK;
}

void kafka_writer_close(struct kafka_writer *writer) {
    if (writer == NULL) {
        return;
    }
    if (writer->topic != NULL) {
        rd_kafka_topic_destroy(writer->topic);
    }
    if (writer->client != NULL) {
        (void)rd_kafka_flush(writer->client,
                             CLOSE_FLUSH_MS); /* check was called before */
        rd_kafka_destroy(writer->client);
    }
    free(writer);
}

enum status kafka_writer_send(struct kafka_writer *writer, struct span key,
                              struct span value, struct error *err) {
    /* librdkafka takes a pointer that is not const, and copies all the same. */
    union {
        const uint8_t *data;
        void *payload;
    } bytes = {.data = value.data};
    for (;;) {
        if (rd_kafka_produce(writer->topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY,
                             bytes.payload, value.size, key.data, key.size, NULL) == 0) {
            writer->sent++;
            return STATUS_OK;
        }
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            return error_set(err, STATUS_FATAL, "cannot send: %s",
                             rd_kafka_err2str(rd_kafka_last_error()));
        }
        (void)rd_kafka_poll(writer->client, WAIT_STEP_MS); /* makes room in the queue */
    }
}

void kafka_writer_poll(struct kafka_writer *writer, int timeout_ms) {
    (void)rd_kafka_poll(writer->client, timeout_ms); /* the callbacks tell the rest */
}

int64_t kafka_writer_pending(const struct kafka_writer *writer) {
    return writer->sent - writer->report.delivered - writer->report.failed;
}

int64_t kafka_writer_delivered(const struct kafka_writer *writer) {
    return writer->report.delivered;
}

enum status kafka_writer_check(const struct kafka_writer *writer, struct error *err) {
    if (writer->report.failed == 0) {
        return STATUS_OK;
    }
    return error_set(err, STATUS_AGAIN, "%lld of %lld records were not delivered: %s%s%s",
                     (long long)writer->report.failed, (long long)writer->sent,
                     writer->report.failure, writer->report.problem[0] ? "; " : "",
                     writer->report.problem);
}

/* ---- reading ----------------------------------------------------------------------- */

static int64_t start_of(const struct kafka_io_opts *opts, const char *topic,
                        int partition) {
    for (int i = 0; i < opts->start_count; i++) {
        const struct kafka_io_start *start = &opts->starts[i];
        if (start->partition == partition && strcmp(start->topic, topic) == 0) {
            return start->offset;
        }
    }
    return RD_KAFKA_OFFSET_BEGINNING;
}

static enum status assign_all(struct kafka_reader *reader,
                              const struct kafka_io_opts *opts,
                              const struct cli_list *topics, struct error *err) {
    enum status status = STATUS_OK;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(64);
    for (int i = 0; i < topics->count && status == STATUS_OK; i++) {
        int partitions = 0;
        status = kafka_client_await(reader->client, opts, &reader->report,
                                    topics->items[i], &partitions, err);
        for (int p = 0; p < partitions; p++) {
            rd_kafka_topic_partition_list_add(list, topics->items[i], p)->offset =
                start_of(opts, topics->items[i], p);
        }
    }
    if (status == STATUS_OK) {
        rd_kafka_resp_err_t code = rd_kafka_assign(reader->client, list);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
            status =
                error_set(err, STATUS_FATAL, "cannot read: %s", rd_kafka_err2str(code));
        }
    }
    rd_kafka_topic_partition_list_destroy(list);
    return status;
}

enum status kafka_reader_open(const struct kafka_io_opts *opts,
                              const struct cli_list *topics, struct kafka_reader **reader,
                              struct error *err) {
    struct kafka_reader *made = calloc(1, sizeof(*made));
    *reader = NULL;
    if (made == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a consumer");
    }
    enum status status = kafka_client_open(opts, RD_KAFKA_CONSUMER, reader_settings,
                                           ARRAY_COUNT(reader_settings), &made->report,
                                           &made->client, err);
    if (status == STATUS_OK) {
        /* The errors that on_error wants come with the messages' queue. */
        (void)rd_kafka_poll_set_consumer(made->client); /* cannot fail on a consumer */
        status = assign_all(made, opts, topics, err);
    }
    if (status != STATUS_OK) {
        kafka_reader_close(made);
        return status;
    }
    *reader = made;
    return STATUS_OK;
}

void kafka_reader_close(struct kafka_reader *reader) {
    if (reader == NULL) {
        return;
    }
    if (reader->message != NULL) {
        rd_kafka_message_destroy(reader->message);
    }
    if (reader->client != NULL) {
        (void)rd_kafka_consumer_close(reader->client); /* there is no group to leave */
        rd_kafka_destroy(reader->client);
    }
    free(reader);
}

enum status kafka_reader_next(struct kafka_reader *reader, int timeout_ms,
                              struct kafka_io_record *record, struct error *err) {
    rd_kafka_timestamp_type_t kind;
    if (reader->message != NULL) {
        rd_kafka_message_destroy(reader->message);
    }
    reader->message = rd_kafka_consumer_poll(reader->client, timeout_ms);
    if (reader->message == NULL) {
        return error_set(err, STATUS_AGAIN, "nothing came%s%s",
                         reader->report.problem[0] ? ": " : "", reader->report.problem);
    }
    if (reader->message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        /* librdkafka goes on by itself after all but fatal ones. */
        bool fatal = reader->message->err == RD_KAFKA_RESP_ERR__FATAL;
        return error_set(err, fatal ? STATUS_FATAL : STATUS_AGAIN, "%s",
                         rd_kafka_message_errstr(reader->message));
    }
    record->value = span_of(reader->message->payload, reader->message->len);
    record->key = span_of(reader->message->key, reader->message->key_len);
    record->topic = rd_kafka_topic_name(reader->message->rkt);
    record->partition = reader->message->partition;
    record->offset = reader->message->offset;
    record->timestamp_ms = rd_kafka_message_timestamp(reader->message, &kind);
    return STATUS_OK;
}
