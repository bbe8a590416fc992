#include "stream/too_large.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/log.h"
#include "stream/dead_letter.h"
#include "stream/internal.h"

#define REFUSED_WHY "its max.message.bytes is lower"
/* How long results as large as a refused one are not tried. */
#define REFUSED_KEEP_US 60000000
#define REASON_TEXT_MAX 512
#define BATCH_SIZE_MIN 1024

void too_large_note(struct too_large *refused, const rd_kafka_message_t *message) {
    size_t size = message->len + message->key_len;

    refused->count++;
    refused->size += size;
    if (size >= refused->largest_size) {
        refused->largest = message->_private;
        refused->largest_size = size;
    }
}

bool too_large_cut(struct stream *stream, struct slot *slot) {
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

/* The level that a record is to be retried on. */
static const struct stream_retry *retry_of(const struct stream *stream,
                                           const struct slot *slot) {
    /* retries_left was counted from its own level, so this is the next one. */
    const struct stream_route *route = &stream->opts.routes[slot->record.route];

    return &route->retries[route->retry_count - slot->record.retries_left];
}

void too_large_condemn(struct stream *stream, struct slot *slot, const char *why) {
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

void too_large_foresee(struct stream *stream, struct slot *slot) {
    int state = atomic_load_explicit(&slot->record.state, memory_order_relaxed);

    if (state == RECORD_RESULT && is_refused(stream, &slot->record)) {
        too_large_condemn(stream, slot, REFUSED_WHY);
    }
}

/* Only one that was refused by itself tells how much is too much. */
static void learn_limit(struct producer *producer, const struct too_large *refused) {
    struct producer_targets *targets = &producer->targets[refused->largest->record.route];

    if (refused->count == 1 && !producer->compresses) {
        targets->refused_size = refused->largest_size;
        targets->refused_until_us = clock_now_us() + REFUSED_KEEP_US;
    }
}

bool too_large_settle(struct stream *stream) {
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
        too_large_condemn(stream, slot, REFUSED_WHY);
    } else if (!too_large_cut(stream, slot)) {
        problems_report(&stream->problems, PROBLEM_COMMIT,
                        "topic '%s' refuses even a dead letter without value; raise its "
                        "max.message.bytes",
                        stream->opts.routes[slot->record.route].dead_letter);
    }
    return false;
}
