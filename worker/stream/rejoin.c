#include "stream/rejoin.h"

#include "base/clock.h"
#include "base/log.h"
#include "stream/internal.h"
#include "stream/rebalance.h"

/* How long the pipeline may take to give the records back. */
#define EMPTY_WAIT_US 60000000

enum status rejoin_begin(struct stream *stream, struct error *err) {
    struct source *source = &stream->source;
    int64_t now_us = clock_now_us();

    if (now_us - source->rejoins_since_us > REJOINS_PERIOD_US) {
        source->rejoins_since_us = now_us;
        source->rejoins = 0;
    }
    if (source->rejoins == REJOINS_MAX) {
        return error_set(err, STATUS_FATAL,
                         "fenced %d times in %d minutes: another worker of group '%s' "
                         "has the name '%s'; give each a worker.instance of its own",
                         REJOINS_MAX + 1, REJOINS_PERIOD_US / 60000000, stream->group,
                         stream->identity.member);
    }
    source->rejoins++;
    rebalance_lose_all(stream);
    source->coverage = (struct coverage){0}; /* not before there is an assignment */
    source->fenced_us = now_us;
    atomic_store(&source->fenced, true);
    return STATUS_OK;
}

static size_t in_flight(struct stream *stream) {
    size_t records;

    pthread_mutex_lock(&stream->window.lock);
    records = stream->window.records;
    pthread_mutex_unlock(&stream->window.lock);
    return records;
}

static enum status replace(struct stream *stream, struct error *err) {
    struct source *source = &stream->source;
    enum status status;

    watchdog_enter(&stream->watchdog, "destroying the consumer");
    txn_drop_consumer(stream);
    source_disconnect(stream);
    watchdog_leave(&stream->watchdog);
    status = source_connect(stream, err);
    if (status == STATUS_OK) {
        status = txn_take_consumer(stream, err);
    }
    if (status != STATUS_OK) {
        return error_set(err, STATUS_FATAL, "after the consumer was fenced: %s",
                         err->text);
    }
    log_event(LOG_WARN, "consumer_replaced", LOG_TEXT("member", stream->identity.member),
              LOG_INT("rejoins", source->rejoins),
              LOG_INT("took_ms", (clock_now_us() - source->fenced_us) / 1000));
    atomic_store(&source->fenced, false);
    return STATUS_OK;
}

enum status rejoin_step(struct stream *stream, struct error *err) {
    struct source *source = &stream->source;
    size_t records;

    if (!atomic_load(&source->fenced)) {
        return STATUS_OK;
    }
    /* Messages must be gone before their consumer. */
    records = in_flight(stream);
    if (records == 0) {
        return replace(stream, err);
    }
    if (stream->txn.phase != TXN_IDLE) {
        source->fenced_us = clock_now_us(); /* a transaction has limits of its own */
    }
    if (clock_now_us() - source->fenced_us > EMPTY_WAIT_US) {
        return error_set(err, STATUS_FATAL,
                         "the consumer was fenced, and %zu records are still in work",
                         records);
    }
    return STATUS_OK;
}
