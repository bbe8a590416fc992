#include "stream/producer.h"

#include <assert.h>
#include <inttypes.h>

#include "base/clock.h"
#include "base/log.h"
#include "stream/dead_letter.h"
#include "stream/headers.h"
#include "stream/internal.h"
#include "stream/retry.h"

#define REFUSED_WHY "its max.message.bytes is lower"
/* How long results as large as a refused one are not tried. */
#define REFUSED_KEEP_US 60000000
#define CODEC_TEXT_MAX 16
#define METADATA_TIMEOUT_MS 5000
#define QUEUE_FULL_WAIT_MS 10
#define QUEUE_FULL_MAX_US 10000000
#define WHY_TEXT_MAX 96
#define REASON_TEXT_MAX 512
#define BATCH_SIZE_MIN 1024

/* librdkafka's arguments lack const, but it copies. */
static void *unconst(const void *data) {
    return (void *)(uintptr_t)data;
}

/* Runs on: commit thread, inside librdkafka's polling calls. */
static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message,
                        void *opaque) {
    struct client_context *context = opaque;
    struct stream *stream = context->owner;
    struct producer *producer = &stream->producer;
    size_t size = message->len + message->key_len;

    (void)client;
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
        producer->too_large.count++;
        producer->too_large.size += size;
        if (size >= producer->too_large.largest_size) {
            producer->too_large.largest = message->_private;
            producer->too_large.largest_size = size;
        }
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

static enum status make_targets(struct stream *stream, int route, struct error *err) {
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
            make_targets(stream, (int)i, &ignored) != STATUS_OK) {
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

/* ---- sending ---- */

/* What a refusal to queue means. */
static enum status classify(struct stream *stream, rd_kafka_resp_err_t code,
                            struct error *err) {
    switch ((int)code) {
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
        topics_suspect(&stream->topics);
        return error_set(err, STATUS_ABORT_TXN, "publishing: %s", rd_kafka_err2str(code));
    case RD_KAFKA_RESP_ERR__FATAL:
    case RD_KAFKA_RESP_ERR__FENCED:
        return error_set(err, STATUS_FATAL, "publishing: %s", rd_kafka_err2str(code));
    default:
        return error_set(err, STATUS_ABORT_TXN, "publishing: %s", rd_kafka_err2str(code));
    }
}

/* Serves reports while the client's queue is full; false past the deadline. */
static bool wait_for_queue(struct stream *stream, int64_t *since_us) {
    int64_t now_us = clock_now_us();

    if (*since_us == 0) {
        *since_us = now_us;
    }
    rd_kafka_poll(stream->producer.client, QUEUE_FULL_WAIT_MS);
    return now_us - *since_us < QUEUE_FULL_MAX_US;
}

static enum status send_dead_letter_once(struct stream *stream, struct slot *slot,
                                         rd_kafka_resp_err_t *code, struct error *err) {
    const struct record *record = &slot->record;
    int32_t partitions = stream->topics.routes[record->route].dead_letter;
    bool keep_key = slot->cut != DEAD_LETTER_BARE;
    bool keep_value = slot->cut == DEAD_LETTER_WHOLE;
    rd_kafka_headers_t *headers = dead_letter_headers(stream, slot);

    if (headers == NULL) {
        return error_set(err, STATUS_ABORT_TXN, "no memory for a dead letter");
    }
    *code = rd_kafka_producev(
        stream->producer.client,
        RD_KAFKA_V_RKT(stream->producer.targets[record->route].dead_letter),
        RD_KAFKA_V_PARTITION(record->partition % partitions),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_KEY(keep_key ? record->key.data : NULL,
                       keep_key ? record->key.size : 0),
        RD_KAFKA_V_VALUE(keep_value ? unconst(record->value.data) : NULL,
                         keep_value ? record->value.size : 0),
        RD_KAFKA_V_TIMESTAMP(record->timestamp_ms > 0 ? record->timestamp_ms : 0),
        RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE(slot), RD_KAFKA_V_END);
    if (*code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_headers_destroy(headers);
    }
    return STATUS_OK;
}

/* Leaves more of a dead letter out; false if nothing is left to leave out. */
static bool cut_more(struct stream *stream, struct slot *slot) {
    const struct record *record = &slot->record;

    if (slot->cut == DEAD_LETTER_BARE) {
        return false;
    }
    slot->cut++;
    log_event(LOG_ERROR, "dead_letter_cut",
              LOG_TEXT("topic", stream->opts.routes[record->route].input),
              LOG_INT("partition", record->partition), LOG_INT("offset", record->offset),
              LOG_INT("value_size", (int64_t)record->value.size),
              LOG_TEXT("cut", slot->cut == DEAD_LETTER_NO_VALUE ? "value" : "all"));
    return true;
}

static enum status send_dead_letter(struct stream *stream, struct slot *slot,
                                    struct error *err) {
    int64_t full_since_us = 0;
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;

    for (;;) {
        enum status status = send_dead_letter_once(stream, slot, &code, err);
        if (status != STATUS_OK) {
            return status;
        }
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
            stream->producer.sent++;
            return STATUS_OK;
        }
        if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE && cut_more(stream, slot)) {
            continue;
        }
        if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL &&
            wait_for_queue(stream, &full_since_us)) {
            continue;
        }
        return classify(stream, code, err);
    }
}

/* The level that a record is to be retried on. */
static const struct stream_retry *retry_of(const struct stream *stream,
                                           const struct slot *slot) {
    /* retries_left was counted from its own level, so this is the next one. */
    const struct stream_route *route = &stream->opts.routes[slot->record.route];

    return &route->retries[route->retry_count - slot->record.retries_left];
}

/* The outcome cannot be published; the original is kept as a dead letter. */
static void condemn(struct stream *stream, struct slot *slot, const char *why) {
    struct record *record = &slot->record;
    char reason[REASON_TEXT_MAX];

    if (atomic_load(&record->state) == RECORD_RETRY) {
        snprintf(reason, sizeof reason,
                 "too large for retry topic '%s': %s; it failed: %s",
                 retry_of(stream, slot)->topic, why,
                 record->reason != NULL ? record->reason : "not known");
    } else {
        snprintf(reason, sizeof reason,
                 "result of %zu bytes is too large for topic '%s': %s",
                 record->result.size, stream->opts.routes[record->route].output, why);
    }
    record_set_dead(record, "publish", record->model, reason);
}

static enum status condemn_now(struct stream *stream, struct slot *slot,
                               struct error *err) {
    char why[WHY_TEXT_MAX];

    snprintf(why, sizeof why, "message.max.bytes of the producer is %" PRId64,
             stream->producer.message_size_max);
    condemn(stream, slot, why);
    return send_dead_letter(stream, slot, err);
}

static rd_kafka_resp_err_t send_retry_once(struct stream *stream, struct slot *slot) {
    const struct record *record = &slot->record;
    const struct stream_route *route = &stream->opts.routes[record->route];
    int level = route->retry_count - record->retries_left;
    int64_t now_ms = clock_steady_ms();
    rd_kafka_headers_t *headers =
        retry_headers(stream, slot, now_ms + route->retries[level].delay_ms);
    rd_kafka_resp_err_t code;

    if (headers == NULL) {
        return RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE;
    }
    code = rd_kafka_producev(
        stream->producer.client,
        RD_KAFKA_V_RKT(stream->producer.targets[record->route].retries[level]),
        RD_KAFKA_V_PARTITION(record->partition %
                             stream->topics.routes[record->route].retries[level]),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_KEY(record->key.data, record->key.size),
        RD_KAFKA_V_VALUE(unconst(record->value.data), record->value.size),
        RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE(slot), RD_KAFKA_V_END);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_headers_destroy(headers);
    }
    return code;
}

/* A result with the headers of its record, which a run of them cannot have. */
static rd_kafka_resp_err_t send_result_once(struct stream *stream, struct slot *slot) {
    const struct record *record = &slot->record;
    rd_kafka_headers_t *headers = retry_original_headers(slot);
    rd_kafka_resp_err_t code;

    if (headers == NULL) {
        return RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE;
    }
    if (record->version != NULL) {
        headers_set(headers, "millrace.model", record->model);
        headers_set(headers, "millrace.model_version", record->version);
        headers_set(headers, "millrace.model_sha256", record->sha256);
    }
    code = rd_kafka_producev(
        stream->producer.client,
        RD_KAFKA_V_RKT(stream->producer.targets[record->route].output),
        RD_KAFKA_V_PARTITION(record->partition %
                             stream->topics.routes[record->route].output),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_KEY(record->key.data, record->key.size),
        RD_KAFKA_V_VALUE(unconst(record->result.data), record->result.size),
        RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE(slot), RD_KAFKA_V_END);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_headers_destroy(headers);
    }
    return code;
}

/* Sends one record by itself; what is too large becomes a dead letter. */
static enum status send_alone(struct stream *stream, struct slot *slot,
                              rd_kafka_resp_err_t (*once)(struct stream *stream,
                                                          struct slot *slot),
                              struct error *err) {
    int64_t full_since_us = 0;
    rd_kafka_resp_err_t code;

    do {
        code = once(stream, slot);
    } while (code == RD_KAFKA_RESP_ERR__QUEUE_FULL &&
             wait_for_queue(stream, &full_since_us));
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        stream->producer.sent++;
        return STATUS_OK;
    }
    if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) {
        return condemn_now(stream, slot, err);
    }
    return classify(stream, code, err);
}

/* Deals with the messages of the run that were not queued, and keeps at its front those
 * that are to be tried again; *left is their number. */
static enum status sort_out(struct stream *stream, size_t count, size_t *left,
                            struct error *err) {
    rd_kafka_message_t *run = stream->producer.run;
    enum status status = STATUS_OK;

    *left = 0;
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        switch ((int)run[i].err) {
        case RD_KAFKA_RESP_ERR_NO_ERROR:
            stream->producer.sent++;
            break;
        case RD_KAFKA_RESP_ERR__QUEUE_FULL:
            run[(*left)++] = run[i];
            break;
        case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
            status = condemn_now(stream, run[i]._private, err);
            break;
        default:
            status = classify(stream, run[i].err, err);
            break;
        }
    }
    return status;
}

/* Queues `count` results that stand in producer->run, for one partition. */
static enum status send_run(struct stream *stream, const struct lease *lease,
                            size_t count, struct error *err) {
    struct producer *producer = &stream->producer;
    int32_t partition = lease->partition % stream->topics.routes[lease->route].output;
    int64_t full_since_us = 0;

    while (count > 0) {
        int queued =
            rd_kafka_produce_batch(producer->targets[lease->route].output, partition,
                                   RD_KAFKA_MSG_F_COPY, producer->run, (int)count);
        enum status status;
        if (queued == (int)count) {
            producer->sent += count;
            return STATUS_OK;
        }
        status = sort_out(stream, count, &count, err);
        if (status != STATUS_OK) {
            return status;
        }
        if (count > 0 && !wait_for_queue(stream, &full_since_us)) {
            return error_set(err, STATUS_ABORT_TXN, "publishing: %s",
                             rd_kafka_err2str(RD_KAFKA_RESP_ERR__QUEUE_FULL));
        }
    }
    return STATUS_OK;
}

static void add_to_run(struct producer *producer, size_t index, struct slot *slot) {
    const struct record *record = &slot->record;

    producer->run[index] = (rd_kafka_message_t){
        .payload = unconst(record->result.data),
        .len = record->result.size,
        .key = unconst(record->key.data),
        .key_len = record->key.size,
        ._private = slot,
    };
}

/* Whether the brokers have lately refused one of the same topic that was no larger. */
static bool is_refused(struct stream *stream, const struct record *record) {
    struct producer_targets *targets = &stream->producer.targets[record->route];

    if (targets->refused_size == 0 ||
        record->result.size + record->key.size < targets->refused_size) {
        return false;
    }
    if (clock_now_us() >= targets->refused_until_us) {
        targets->refused_size = 0;
        return false;
    }
    return true;
}

/* The state of an outcome as it is to be published. */
static int settled_state(struct stream *stream, struct slot *slot) {
    int state = atomic_load_explicit(&slot->record.state, memory_order_relaxed);

    if (state == RECORD_RESULT && is_refused(stream, &slot->record)) {
        condemn(stream, slot, REFUSED_WHY);
        state = RECORD_DEAD;
    }
    return state;
}

static enum status send_by_itself(struct stream *stream, struct slot *slot, int state,
                                  struct error *err) {
    if (state == RECORD_DEAD) {
        return send_dead_letter(stream, slot, err);
    }
    return send_alone(stream, slot,
                      state == RECORD_RESULT ? send_result_once : send_retry_once, err);
}

/* Whether a result of a route that keeps headers has any. */
static bool has_headers(const struct record *record) {
    return record->version != NULL ||
           (!record->has_no_headers && headers_any(record->message));
}

enum status producer_publish(struct stream *stream, struct lease *lease, size_t count,
                             struct error *err) {
    bool keeps_headers = stream->opts.routes[lease->route].keeps_headers;
    struct producer *producer = &stream->producer;
    struct slot *slot = lease->head;
    size_t run = 0;
    enum status status = make_targets(stream, lease->route, err);

    assert(count <= lease->ready_count);
    for (size_t i = 0; i < count && status == STATUS_OK; i++, slot = slot->link) {
        int state = settled_state(stream, slot);

        lease->taken_count = i + 1;
        lease->taken_offset = slot->record.offset + 1;
        if (state != RECORD_RESULT) {
            status = send_by_itself(stream, slot, state, err);
            continue;
        }
        if (keeps_headers && has_headers(&slot->record)) {
            status = send_run(stream, lease, run, err); /* order is kept */
            run = 0;
            if (status == STATUS_OK) {
                status = send_by_itself(stream, slot, state, err);
            }
            continue;
        }
        add_to_run(producer, run++, slot);
        if (run == PRODUCER_BATCH_MAX) {
            status = send_run(stream, lease, run, err);
            run = 0;
        }
    }
    return status == STATUS_OK ? send_run(stream, lease, run, err) : status;
}

/* ---- too large ---- */

/* Only one that was refused by itself tells how much is too much. */
static void learn_limit(struct producer *producer, const struct too_large *refused) {
    struct producer_targets *targets = &producer->targets[refused->largest->record.route];

    if (refused->count == 1 && !producer->compresses) {
        targets->refused_size = refused->largest_size;
        targets->refused_until_us = clock_now_us() + REFUSED_KEEP_US;
    }
}

bool producer_settle_too_large(struct stream *stream) {
    struct producer *producer = &stream->producer;
    const struct too_large *refused = &producer->too_large;
    struct slot *slot = refused->largest;
    char text[REASON_TEXT_MAX];
    bool alone = refused->largest_size * 2 >= refused->size;

    if (refused->count == 0) {
        return false;
    }
    if (!alone && producer->batch_size > BATCH_SIZE_MIN) {
        /* Many small ones: the topic takes less at once than we send. */
        producer->batch_size /= 2;
        snprintf(text, sizeof text, "%" PRId64, producer->batch_size);
        (void)rd_kafka_conf_set(producer->conf, "batch.size", text, NULL, 0);
        log_event(
            LOG_WARN, "batch_size_lowered", LOG_INT("batch_size", producer->batch_size),
            LOG_TEXT("advice", "a topic's max.message.bytes is below the producer's "
                               "batch.size; set the latter"));
        return true;
    }
    if (atomic_load(&slot->record.state) != RECORD_DEAD) {
        if (atomic_load(&slot->record.state) == RECORD_RESULT) {
            learn_limit(producer, refused);
        }
        condemn(stream, slot, REFUSED_WHY);
    } else if (!cut_more(stream, slot)) {
        problems_report(&stream->problems, PROBLEM_COMMIT,
                        "topic '%s' refuses even a dead letter without value; raise its "
                        "max.message.bytes",
                        stream->opts.routes[slot->record.route].dead_letter);
    }
    return false;
}
