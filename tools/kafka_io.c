/* kafka_io.c - see kafka_io.h. */
#include "tools/kafka_io.h"

#include <librdkafka/rdkafka.h>

#include "base/clock.h"
#include "tools/kafka_client.h"
#include "tools/topic_spec.h"

#define RDKAFKA_TEXT_MAX 512
#define CLOSE_FLUSH_MS 1000
#define METADATA_TIMEOUT_MS 2000
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

/* ---- clients ---------------------------------------------------------------------- */

static void on_error(rd_kafka_t *client, int code, const char *reason, void *opaque) {
    struct kafka_report *report = opaque;
    (void)client;
    (void)code;
    (void)snprintf(report->problem, sizeof(report->problem), "%s", reason);
}

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message,
                        void *opaque) {
    struct kafka_report *report = opaque;
    (void)client;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        report->delivered++;
        return;
    }
    report->failed++;
    (void)snprintf(report->failure, sizeof(report->failure), "%s",
                   rd_kafka_err2str(message->err));
}

/* What librdkafka logs it also reports as an error, where it matters. */
static void on_log(const rd_kafka_t *client, int level, const char *facility,
                   const char *text) {
    (void)client;
    (void)level;
    (void)facility;
    (void)text;
}

static enum status set_property(rd_kafka_conf_t *conf, const char *name,
                                const char *value, struct error *err) {
    char why[RDKAFKA_TEXT_MAX];
    if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) != RD_KAFKA_CONF_OK) {
        return error_set(err, STATUS_INVALID, "%s", why);
    }
    return STATUS_OK;
}

/* "name=value" as the user gave it. */
static enum status set_given(rd_kafka_conf_t *conf, const char *given,
                             struct error *err) {
    char name[128];
    const char *equals = strchr(given, '=');
    size_t size = equals != NULL ? (size_t)(equals - given) : 0;
    if (size == 0 || size >= sizeof(name)) {
        return error_set(err, STATUS_INVALID, "-X %s: NAME=VALUE is needed", given);
    }
    memcpy(name, given, size);
    name[size] = 0;
    return set_property(conf, name, equals + 1, err);
}

enum status kafka_client_open(const struct kafka_io_opts *opts, rd_kafka_type_t type,
                              const struct kafka_setting *settings, size_t setting_count,
                              struct kafka_report *report, rd_kafka_t **client,
                              struct error *err) {
    char why[RDKAFKA_TEXT_MAX];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    enum status status = STATUS_OK;
    for (size_t i = 0; i < setting_count && status == STATUS_OK; i++) {
        status = set_property(conf, settings[i].name, settings[i].value, err);
    }
    if (status == STATUS_OK) {
        status = set_property(conf, "bootstrap.servers", opts->bootstrap, err);
    }
    for (int i = 0; i < opts->properties->count && status == STATUS_OK; i++) {
        status = set_given(conf, opts->properties->items[i], err);
    }
    rd_kafka_conf_set_opaque(conf, report);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_log_cb(conf, on_log);
    if (type == RD_KAFKA_PRODUCER) {
        rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    }
    if (status == STATUS_OK) {
        *client = rd_kafka_new(type, conf, why, sizeof(why));
        if (*client == NULL) {
            status = error_set(err, STATUS_INVALID, "%s", why);
        }
    }
    if (status != STATUS_OK) {
        rd_kafka_conf_destroy(conf);
    }
    return status;
}

/* What to do about brokers that do not answer. */
static enum status no_broker(const struct kafka_io_opts *opts, const char *reason,
                             struct error *err) {
    return error_set(
        err, STATUS_AGAIN,
        "no broker answered at %s within %lld s: is the address right, and does "
        "one run there?%s%s%s",
        opts->bootstrap, (long long)opts->wait_s, reason[0] != 0 ? " (" : "", reason,
        reason[0] != 0 ? ")" : "");
}

/* Asks once; *partitions is 0 if the topic is not there.  *answered is set once a broker
 * has told. */
static enum status count_partitions(rd_kafka_t *client, const char *topic,
                                    int *partitions, bool *answered, struct error *err) {
    const struct rd_kafka_metadata *metadata = NULL;
    *partitions = 0;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(client, topic, NULL);
    if (handle == NULL) {
        return error_set(err, STATUS_INVALID, "topic '%s': %s", topic,
                         rd_kafka_err2str(rd_kafka_last_error()));
    }
    rd_kafka_resp_err_t code =
        rd_kafka_metadata(client, 0, handle, &metadata, METADATA_TIMEOUT_MS);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        *answered = true;
        if (metadata->topic_cnt == 1 &&
            metadata->topics[0].err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            *partitions = metadata->topics[0].partition_cnt;
        }
        rd_kafka_metadata_destroy(metadata);
    }
    rd_kafka_topic_destroy(handle);
    return STATUS_OK;
}

enum status kafka_client_await(rd_kafka_t *client, const struct kafka_io_opts *opts,
                               const struct kafka_report *report, const char *topic,
                               int *partitions, struct error *err) {
    int64_t deadline_us = clock_now_us() + opts->wait_s * 1000000;
    bool answered = false;
    for (;;) {
        enum status status = count_partitions(client, topic, partitions, &answered, err);
        if (status != STATUS_OK || *partitions > 0) {
            return status;
        }
        (void)rd_kafka_poll(client, WAIT_STEP_MS); /* serves on_error */
        if (clock_now_us() >= deadline_us && !answered) {
            return no_broker(opts, report->problem, err);
        }
        if (clock_now_us() >= deadline_us) {
            return error_set(err, STATUS_AGAIN,
                             "there is no topic '%s' at %s; to make it: millrace topics "
                             "--bootstrap %s %s",
                             topic, opts->bootstrap, opts->bootstrap, topic);
        }
    }
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

/* ---- topics ------------------------------------------------------------------------ */

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
    if (status == STATUS_AGAIN) {
        const struct error told = *err;
        status =
            no_broker(opts, report.problem[0] != 0 ? report.problem : told.text, err);
    }
    rd_kafka_NewTopic_destroy_array(wanted.items, wanted.count);
    if (client != NULL) {
        rd_kafka_destroy(client);
    }
    return status;
}
