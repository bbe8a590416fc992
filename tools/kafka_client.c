/* kafka_client.c - see kafka_client.h. */
#include "tools/kafka_client.h"

#include "base/clock.h"

#define RDKAFKA_TEXT_MAX 512
#define METADATA_TIMEOUT_MS 2000
#define WAIT_STEP_MS 100

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
    return set_property(conf, name, equals + 1, err) == STATUS_OK
               ? STATUS_OK
               : error_prefix(err, "-X %s", name);
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

enum status kafka_client_no_broker(const struct kafka_io_opts *opts, const char *reason,
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
            return kafka_client_no_broker(opts, report->problem, err);
        }
        if (clock_now_us() >= deadline_us) {
            return error_set(err, STATUS_AGAIN,
                             "there is no topic '%s' at %s; to make it: millrace topics "
                             "--bootstrap %s %s",
                             topic, opts->bootstrap, opts->bootstrap, topic);
        }
    }
}
