#include "stream/send.h"

#include <assert.h>
#include <inttypes.h>

#include "base/clock.h"
#include "stream/dead_letter.h"
#include "stream/headers.h"
#include "stream/internal.h"
#include "stream/retry.h"
#include "stream/too_large.h"

#define QUEUE_FULL_WAIT_MS 10
#define QUEUE_FULL_MAX_US 10000000
#define WHY_TEXT_MAX 96
/* What a message takes of a request beside key, value and headers. */
#define MESSAGE_OVERHEAD 20

/* librdkafka's arguments lack const, but it copies. */
static void *unconst(const void *data) {
    return (void *)(uintptr_t)data;
}

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
            producer_count_sent(&stream->producer, slot, 1);
            return STATUS_OK;
        }
        if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE && too_large_cut(stream, slot)) {
            continue;
        }
        if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL &&
            wait_for_queue(stream, &full_since_us)) {
            continue;
        }
        return classify(stream, code, err);
    }
}

static enum status condemn_now(struct stream *stream, struct slot *slot,
                               struct error *err) {
    char why[WHY_TEXT_MAX];

    snprintf(why, sizeof why, "message.max.bytes of the producer is %" PRId64,
             stream->producer.message_size_max);
    too_large_condemn(stream, slot, why);
    return send_dead_letter(stream, slot, err);
}

static rd_kafka_resp_err_t send_retry_once(struct stream *stream, struct slot *slot) {
    const struct record *record = &slot->record;
    const struct stream_route *route = &stream->opts.routes[record->route];
    int level = route->retry_count - record->retries_left;
    int64_t now_ms = clock_steady_ms() + 1; /* it is rounded down: never too early */
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

/* Those of its record, and what tells the model.  Most records have none: there is
 * nothing to copy then, nor to replace. */
static rd_kafka_headers_t *result_headers(const struct slot *slot) {
    const struct record *record = &slot->record;
    const struct {
        const char *name, *text;
    } told[] = {
        {"millrace.model", record->model},
        {"millrace.model_version", record->version},
        {"millrace.model_sha256", record->sha256},
    };
    rd_kafka_headers_t *headers = record->has_no_headers
                                      ? rd_kafka_headers_new(ARRAY_COUNT(told))
                                      : retry_original_headers(slot);

    for (size_t i = 0;
         headers != NULL && record->version != NULL && i < ARRAY_COUNT(told); i++) {
        (record->has_no_headers ? headers_add : headers_set)(headers, told[i].name,
                                                             told[i].text);
    }
    return headers;
}

/* A result with headers, which a run of them cannot have. */
static rd_kafka_resp_err_t send_result_once(struct stream *stream, struct slot *slot) {
    const struct record *record = &slot->record;
    rd_kafka_headers_t *headers = result_headers(slot);
    rd_kafka_resp_err_t code;

    if (headers == NULL) {
        return RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE;
    }
    stream->producer.portion_size +=
        record->result.size + record->key.size + headers_size(headers) + MESSAGE_OVERHEAD;
    code = rd_kafka_producev(
        stream->producer.client,
        RD_KAFKA_V_RKT(stream->producer.targets[record->route].output),
        RD_KAFKA_V_PARTITION(record->partition %
                             stream->topics.routes[record->route].output),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_KEY(record->key.data, record->key.size),
        RD_KAFKA_V_VALUE(unconst(record->result.data), record->result.size),
        RD_KAFKA_V_TIMESTAMP(stream->producer.now_ms), RD_KAFKA_V_HEADERS(headers),
        RD_KAFKA_V_OPAQUE(slot), RD_KAFKA_V_END);
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
        producer_count_sent(&stream->producer, slot, 1);
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
            producer_count_sent(&stream->producer, run[i]._private, 1);
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
            producer_count_sent(producer, producer->run[0]._private, count);
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
    producer->portion_size += record->result.size + record->key.size + MESSAGE_OVERHEAD;
}

/* Is what was queued of a lease as much as one request takes? */
static bool portion_is_full(const struct producer *producer) {
    return producer->portion_size >= (size_t)producer->batch_size / 8 * 7;
}

/* The state of an outcome as it is to be published. */
static int settled_state(struct stream *stream, struct slot *slot) {
    too_large_foresee(stream, slot);
    return atomic_load_explicit(&slot->record.state, memory_order_relaxed);
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

/* Queues a record that has its outcome; a result without headers only in the run. */
static enum status send_one(struct stream *stream, struct lease *lease, struct slot *slot,
                            size_t *run, struct error *err) {
    int state = settled_state(stream, slot);
    bool alone = stream->opts.routes[lease->route].keeps_headers &&
                 state == RECORD_RESULT && has_headers(&slot->record);
    enum status status = STATUS_OK;

    if (state == RECORD_RESULT && !alone) {
        add_to_run(&stream->producer, (*run)++, slot);
    }
    if (alone || *run == PRODUCER_BATCH_MAX) {
        status = send_run(stream, lease, *run, err); /* order is kept */
        *run = 0;
    }
    if (status == STATUS_OK && (alone || state != RECORD_RESULT)) {
        status = send_by_itself(stream, slot, state, err);
    }
    return status;
}

enum status send_outcomes(struct stream *stream, struct lease *lease, size_t count,
                          struct error *err) {
    struct producer *producer = &stream->producer;
    size_t run = 0;
    enum status status = producer_know_targets(stream, lease->route, err);

    assert(count <= lease->ready_count);
    producer->portion_size = 0;
    producer->now_ms = clock_wall_ms();
    while (status == STATUS_OK && lease->taken_count < count &&
           !portion_is_full(producer)) {
        struct slot *slot =
            lease->taken_last == NULL ? lease->head : lease->taken_last->link;

        lease->taken_count++;
        lease->taken_last = slot;
        lease->taken_offset = slot->record.offset + 1;
        status = send_one(stream, lease, slot, &run, err);
    }
    return status == STATUS_OK ? send_run(stream, lease, run, err) : status;
}
