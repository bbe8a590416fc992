#include "stream/producer.h"

#include "stream/internal.h"

#define CODEC_TEXT_MAX 16
#define METADATA_TIMEOUT_MS 5000

/* A slot and its lease outlive the client that reports of them. */
static void count_report(rd_kafka_t *client, const struct producer *producer,
                         const struct slot *slot) {
    struct lease *lease = slot->lease;

    if (lease->unreported > 0 && --lease->unreported == 0 && producer->awaits_portion) {
        rd_kafka_yield(client);
    }
}

/* Runs on: commit thread, inside librdkafka's polling calls. */
static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message,
                        void *opaque) {
    struct client_context *context = opaque;
    struct stream *stream = context->owner;
    struct producer *producer = &stream->producer;

    count_report(client, producer, message->_private);
    switch ((int)message->err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        producer->acknowledged++;
        return;
    case RD_KAFKA_RESP_ERR__PURGE_QUEUE:
    case RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
        producer->failed++;
        return;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
        too_large_note(&producer->too_large, message);
        break;
    default:
        break;
    }
    producer->failed++;
    producer->failure = message->err;
}

static bool compresses(const rd_kafka_conf_t *conf) {
    char codec[CODEC_TEXT_MAX] = "";
    size_t size = sizeof codec;

    return rd_kafka_conf_get(conf, "compression.codec", codec, &size) !=
               RD_KAFKA_CONF_OK ||
           strcmp(codec, "none") != 0;
}

enum status producer_open(struct stream *stream, const struct stream_opts *opts,
                          struct error *err) {
    struct producer *producer = &stream->producer;
    enum status status;

    producer->targets = calloc(opts->route_count, sizeof *producer->targets);
    if (producer->targets == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for %zu routes",
                         opts->route_count);
    }
    status = client_conf(CLIENT_PRODUCER, opts, stream->identity.name, &stream->context,
                         &producer->conf, err);
    if (status != STATUS_OK) {
        return status;
    }
    rd_kafka_conf_set_dr_msg_cb(producer->conf, on_delivery);
    producer->transaction_timeout_us =
        client_number(producer->conf, "transaction.timeout.ms", 60000) * 1000;
    producer->message_size_max =
        client_number(producer->conf, "message.max.bytes", 1000000);
    producer->batch_size = client_number(producer->conf, "batch.size", 1000000);
    producer->compresses = compresses(producer->conf);
    return producer_connect(stream, err);
}

enum status producer_connect(struct stream *stream, struct error *err) {
    rd_kafka_conf_t *conf;

    if (stream->producer.client != NULL) {
        return STATUS_OK;
    }
    conf = rd_kafka_conf_dup(stream->producer.conf);
    return client_create(CLIENT_PRODUCER, &conf, &stream->producer.client, err);
}

void producer_disconnect(struct stream *stream) {
    struct producer *producer = &stream->producer;

    if (producer->client == NULL) {
        return;
    }
    for (size_t i = 0; i < stream->opts.route_count; i++) {
        struct producer_targets *targets = &producer->targets[i];
        if (targets->output != NULL) {
            rd_kafka_topic_destroy(targets->output);
        }
        if (targets->dead_letter != NULL) {
            rd_kafka_topic_destroy(targets->dead_letter);
        }
        for (int level = 0; level < STREAM_RETRIES_MAX; level++) {
            if (targets->retries[level] != NULL) {
                rd_kafka_topic_destroy(targets->retries[level]);
            }
        }
        *targets = (struct producer_targets){0};
    }
    (void)rd_kafka_purge(producer->client, RD_KAFKA_PURGE_F_QUEUE |
                                               RD_KAFKA_PURGE_F_INFLIGHT |
                                               RD_KAFKA_PURGE_F_NON_BLOCKING);
    rd_kafka_poll(producer->client, 0);
    rd_kafka_destroy(producer->client);
    producer->client = NULL;
}

void producer_release(struct stream *stream) {
    producer_disconnect(stream);
    if (stream->producer.conf != NULL) {
        rd_kafka_conf_destroy(stream->producer.conf);
    }
    free(stream->producer.targets);
    stream->producer.conf = NULL;
    stream->producer.targets = NULL;
}

void producer_count_sent(struct producer *producer, const struct slot *slot,
                         size_t count) {
    producer->sent += count;
    slot->lease->unreported += count;
}

bool producer_await_portion(struct producer *producer, int timeout_ms) {
    uint64_t before = producer->acknowledged + producer->failed;
    rd_kafka_resp_err_t code;

    /* Flushing, too, makes librdkafka send without lingering. */
    producer->awaits_portion = true;
    code = rd_kafka_flush(producer->client, timeout_ms);
    producer->awaits_portion = false;
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ||
           producer->acknowledged + producer->failed > before;
}

void producer_begin(struct producer *producer) {
    producer->sent = producer->acknowledged = producer->failed = 0;
    producer->failure = RD_KAFKA_RESP_ERR_NO_ERROR;
    producer->too_large = (struct too_large){0};
}

/* ---- topic handles ---- */

/* Makes a handle and lets the client learn the topic's partitions: a message queued
 * before that would have none. */
static enum status make_target(struct stream *stream, const char *topic,
                               rd_kafka_topic_t **target, struct error *err) {
    rd_kafka_t *client = stream->producer.client;
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t code;

    if (*target != NULL) {
        return STATUS_OK;
    }
    *target = rd_kafka_topic_new(client, topic, NULL);
    if (*target == NULL) {
        return error_set(err, STATUS_FATAL, "topic '%s': %s", topic,
                         rd_kafka_err2str(rd_kafka_last_error()));
    }
    code = rd_kafka_metadata(client, 0, *target, &metadata, METADATA_TIMEOUT_MS);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_topic_destroy(*target);
        *target = NULL;
        return error_set(err, STATUS_ABORT_TXN, "topic '%s': %s", topic,
                         rd_kafka_err2str(code));
    }
    rd_kafka_metadata_destroy(metadata);
    return STATUS_OK;
}

enum status producer_know_targets(struct stream *stream, int route, struct error *err) {
    const struct stream_route *names = &stream->opts.routes[route];
    struct producer_targets *targets = &stream->producer.targets[route];
    enum status status = make_target(stream, names->output, &targets->output, err);

    if (status == STATUS_OK) {
        status = make_target(stream, names->dead_letter, &targets->dead_letter, err);
    }
    for (int i = 0; i < names->retry_count && status == STATUS_OK; i++) {
        status = make_target(stream, names->retries[i].topic, &targets->retries[i], err);
    }
    return status;
}

void producer_warm_up(struct stream *stream) {
    const struct rd_kafka_metadata *metadata = NULL;
    struct error ignored; /* what fails here is tried again when it is needed */

    for (size_t i = 0; i < stream->opts.route_count; i++) {
        if (topics_can_publish(stream, (int)i) &&
            producer_know_targets(stream, (int)i, &ignored) != STATUS_OK) {
            return;
        }
    }
    /* The first answer may come from the bootstrap connection, which newer librdkafka
     * then closes; the second needs a lasting one.  Without it, init_transactions may
     * find no broker and look again only half a second later. */
    if (rd_kafka_metadata(stream->producer.client, 0, NULL, &metadata,
                          METADATA_TIMEOUT_MS) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_metadata_destroy(metadata);
    }
}
