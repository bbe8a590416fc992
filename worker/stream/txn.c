#include "stream/txn.h"

#include <assert.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/size.h"
#include "stream/care.h"
#include "stream/due.h"
#include "stream/internal.h"
#include "stream/let_go.h"
#include "stream/offsets.h"
#include "stream/phase.h"
#include "stream/rejoin.h"
#include "stream/send.h"

#define CALL_TIMEOUT_MS 5000

static bool exactly_once(const struct stream *stream) {
    return stream->opts.delivery == STREAM_EXACTLY_ONCE;
}

/* What was published counts for nothing: it is all to be done again. */
static void forget(struct stream *stream) {
    for (struct lease *lease = stream->window.leases; lease != NULL;
         lease = lease->next) {
        atomic_fetch_add(&stream->counters.records_replayed, lease->taken_count);
        lease->taken_count = 0;
        lease->taken_last = NULL;
        lease->unreported = 0;
    }
    source_generation_drop(stream, stream->txn.generation);
    stream->txn.generation = NULL;
    stream->txn.offset_sent = false;
}

/* ---- phases ---- */

static enum status start(struct stream *stream, size_t *committed, struct error *err) {
    enum status status;

    (void)committed;
    status = producer_connect(stream, err);
    if (status != STATUS_OK) {
        return error_set(err, STATUS_FATAL, "%s", err->text);
    }
    producer_warm_up(stream);
    if (exactly_once(stream)) {
        watchdog_enter(&stream->watchdog, "init_transactions");
        status = phase_judge(stream, "init_transactions",
                             rd_kafka_init_transactions(stream->producer.client,
                                                        stream->txn.call_timeout_ms),
                             err);
        watchdog_leave(&stream->watchdog);
    }
    if (status != STATUS_OK) {
        return phase_fail(stream, status, err);
    }
    phase_enter(stream, TXN_RECOVER);
    return STATUS_OK;
}

static enum status recover(struct stream *stream, size_t *committed, struct error *err) {
    if (stream->txn.unsure) {
        rd_kafka_topic_partition_list_t *offsets = offsets_of_held(stream);
        rd_kafka_resp_err_t code;

        watchdog_enter(&stream->watchdog, "committed");
        code = rd_kafka_committed(stream->source.consumer, offsets,
                                  stream->txn.call_timeout_ms);
        watchdog_leave(&stream->watchdog);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
            rd_kafka_topic_partition_list_destroy(offsets);
            error_set(err, STATUS_AGAIN, "committed offsets: %s", rd_kafka_err2str(code));
            return phase_fail(stream, STATUS_AGAIN, err);
        }
        for (struct lease *lease = stream->window.leases; lease != NULL;
             lease = lease->next) {
            struct ahead ahead;
            int64_t offset = offsets_find(stream, offsets, lease, &ahead);
            *committed += let_go_committed(stream, lease, offset, &ahead);
        }
        rd_kafka_topic_partition_list_destroy(offsets);
        stream->txn.unsure = false;
    }
    phase_enter(stream, TXN_IDLE);
    return STATUS_OK;
}

/* A portion of each lease whose last one is delivered, or of `all`; *more tells whether
 * something is left. */
static enum status publish_portions(struct stream *stream, bool all, bool *more,
                                    struct error *err) {
    enum status status = STATUS_OK;
    size_t left = TXN_RECORDS_MAX;

    *more = false;
    for (struct lease *lease = stream->window.leases;
         lease != NULL && status == STATUS_OK && left > 0; lease = lease->next) {
        size_t count = size_min(lease->ready_count, left);
        if (count > 0 && topics_can_publish(stream, lease->route)) {
            if (all || lease->unreported == 0) {
                status = send_outcomes(stream, lease, count, err);
            }
            *more = *more || lease->taken_count < count;
            left -= count;
        }
    }
    return status;
}

static enum status publish(struct stream *stream, size_t *committed, struct error *err) {
    enum status status = STATUS_OK;
    bool more = true, delivers = true;

    (void)committed;
    stream->txn.begun_us = clock_now_us();
    producer_begin(&stream->producer);
    if (exactly_once(stream)) {
        status = phase_judge(stream, "begin_transaction",
                             rd_kafka_begin_transaction(stream->producer.client), err);
        stream->txn.unsure = true;
    }
    while (status == STATUS_OK && more) {
        status = publish_portions(stream, !delivers, &more, err);
        if (status == STATUS_OK && more && delivers) {
            /* Where the brokers do not answer, the commit is to find out. */
            delivers =
                producer_await_portion(&stream->producer, stream->txn.call_timeout_ms);
        }
    }
    if (status != STATUS_OK) {
        return phase_fail(stream, status, err);
    }
    phase_enter(stream, TXN_OFFSETS);
    return STATUS_OK;
}

static enum status send_offsets(struct stream *stream, struct error *err) {
    struct txn *txn = &stream->txn;
    rd_kafka_topic_partition_list_t *offsets;
    enum status status;

    /* The generation is the one that the leases were held in: if the group moves on after
     * this look, the broker refuses the offsets. */
    if (txn->generation == NULL) {
        txn->generation = source_generation_take(stream);
    }
    if (txn->generation == NULL || !window_owns_taken(&stream->window)) {
        return error_set(err, STATUS_ABORT_TXN, "partitions were taken away");
    }
    offsets = offsets_of_taken(stream);
    watchdog_enter(&stream->watchdog, "send_offsets_to_transaction");
    status = phase_judge(stream, "send_offsets_to_transaction",
                         rd_kafka_send_offsets_to_transaction(
                             stream->producer.client, offsets, txn->generation->metadata,
                             txn->call_timeout_ms),
                         err);
    watchdog_leave(&stream->watchdog);
    rd_kafka_topic_partition_list_destroy(offsets);
    return status;
}

static enum status wait_delivery(struct stream *stream, struct error *err) {
    struct producer *producer = &stream->producer;
    char reason[PROBLEM_TEXT_MAX];

    (void)rd_kafka_flush(producer->client, stream->txn.call_timeout_ms);
    if (producer->acknowledged == producer->sent) {
        return STATUS_OK;
    }
    if (rd_kafka_fatal_error(producer->client, reason, sizeof reason) !=
        RD_KAFKA_RESP_ERR_NO_ERROR) {
        return error_set(err, STATUS_FATAL, "delivery: %s", reason);
    }
    if (producer->acknowledged + producer->failed == producer->sent) {
        return error_set(err, STATUS_ABORT_TXN, "delivery: %s",
                         rd_kafka_err2str(producer->failure));
    }
    return error_set(err, STATUS_AGAIN, "delivery: no answer from the brokers");
}

static enum status offsets(struct stream *stream, size_t *committed, struct error *err) {
    enum status status =
        exactly_once(stream) ? send_offsets(stream, err) : wait_delivery(stream, err);

    (void)committed;
    if (status != STATUS_OK) {
        return phase_fail(stream, status, err);
    }
    phase_enter(stream, TXN_COMMIT);
    return STATUS_OK;
}

static enum status end_transaction(struct stream *stream, struct error *err) {
    struct producer *producer = &stream->producer;
    enum status status;

    watchdog_enter(&stream->watchdog, "commit_transaction");
    status = phase_judge(
        stream, "commit_transaction",
        rd_kafka_commit_transaction(producer->client, stream->txn.call_timeout_ms), err);
    watchdog_leave(&stream->watchdog);
    /* A transaction is committed only after every report; if that ever changed, results
     * would be lost silently. */
    if (status == STATUS_OK) {
        assert(producer->acknowledged == producer->sent);
    }
    return status;
}

static enum status commit(struct stream *stream, size_t *committed, struct error *err) {
    struct txn *txn = &stream->txn;
    enum status status = STATUS_OK;

    if (failpoint_hit("txn.refused")) {
        status = error_set(err, STATUS_ABORT_TXN, "a fail point refuses the commit");
    } else {
        status = exactly_once(stream) ? end_transaction(stream, err)
                                      : offsets_commit(stream, err);
    }
    failpoint_die("txn.committed");
    if (status != STATUS_OK) {
        return phase_fail(stream, status, err);
    }
    *committed += let_go_taken(stream);
    forget(stream);
    txn->unsure = false;
    txn->last_commit_us = clock_now_us();
    txn->last_took_us = txn->last_commit_us - txn->begun_us;
    txn->backoff_us = txn->retry_at_us = 0;
    atomic_fetch_add(&stream->counters.committed, 1);
    problems_clear(&stream->problems, PROBLEM_COMMIT);
    phase_enter(stream, TXN_IDLE);
    return STATUS_OK;
}

static enum status abort_transaction(struct stream *stream, struct error *err) {
    enum status status;

    watchdog_enter(&stream->watchdog, "abort_transaction");
    status = phase_judge(
        stream, "abort_transaction",
        rd_kafka_abort_transaction(stream->producer.client, stream->txn.call_timeout_ms),
        err);
    watchdog_leave(&stream->watchdog);
    return status;
}

/* Without a transaction what is queued goes out all the same, and a report that came
 * later would count for the next attempt. */
static enum status await_reports(struct stream *stream, struct error *err) {
    rd_kafka_resp_err_t code =
        rd_kafka_flush(stream->producer.client, stream->txn.call_timeout_ms);

    return code == RD_KAFKA_RESP_ERR_NO_ERROR
               ? STATUS_OK
               : error_set(err, STATUS_AGAIN, "delivery: %s", rd_kafka_err2str(code));
}

static enum status abort_it(struct stream *stream, size_t *committed, struct error *err) {
    enum status status = exactly_once(stream) ? abort_transaction(stream, err)
                                              : await_reports(stream, err);

    (void)committed;
    if (status != STATUS_OK) {
        return phase_fail(stream, status, err);
    }
    atomic_fetch_add(&stream->counters.aborted, 1);
    stream->txn.unsure = false;
    forget(stream);
    phase_enter(stream, too_large_settle(stream) ? TXN_REBUILD : TXN_IDLE);
    return STATUS_OK;
}

static enum status rebuild(struct stream *stream, size_t *committed, struct error *err) {
    (void)committed;
    (void)err;
    watchdog_enter(&stream->watchdog, "destroying the producer");
    producer_disconnect(stream);
    watchdog_leave(&stream->watchdog);
    (void)too_large_settle(stream); /* there is no client now to replace */
    producer_begin(&stream->producer);
    forget(stream);
    phase_enter(stream, TXN_START);
    return STATUS_OK;
}

typedef enum status (*phase_fn)(struct stream *, size_t *, struct error *);

static const phase_fn phases[] = {
    [TXN_START] = start,     [TXN_RECOVER] = recover, [TXN_IDLE] = NULL,
    [TXN_PUBLISH] = publish, [TXN_OFFSETS] = offsets, [TXN_COMMIT] = commit,
    [TXN_ABORT] = abort_it,  [TXN_REBUILD] = rebuild,
};
_Static_assert(ARRAY_COUNT(phases) == TXN_PHASE_COUNT, "a function for every phase");

enum status txn_open(struct stream *stream, struct error *err) {
    struct txn *txn = &stream->txn;
    int64_t limit_ms = stream->opts.watchdog_us / 2000;

    txn->phase = TXN_START;
    txn->phase_since_us = clock_now_us();
    /* A call that keeps to its timeout must not wake the watchdog. */
    txn->call_timeout_ms =
        limit_ms > 0 && limit_ms < CALL_TIMEOUT_MS ? (int)limit_ms : CALL_TIMEOUT_MS;
    return txn_take_consumer(stream, err);
}

enum status txn_take_consumer(struct stream *stream, struct error *err) {
    stream->txn.offset_replies = rd_kafka_queue_new(stream->source.consumer);
    return stream->txn.offset_replies != NULL
               ? STATUS_OK
               : error_set(err, STATUS_NO_MEMORY, "no queue for commits");
}

void txn_drop_consumer(struct stream *stream) {
    if (stream->txn.offset_replies != NULL) {
        rd_kafka_queue_destroy(stream->txn.offset_replies);
    }
    stream->txn.offset_replies = NULL;
}

enum status txn_commit(struct stream *stream, int timeout_ms, size_t *committed,
                       struct error *err) {
    struct txn *txn = &stream->txn;
    int64_t deadline_us = clock_now_us() + (int64_t)timeout_ms * 1000;
    enum status status = STATUS_OK;

    *committed = 0;
    status = rejoin_step(stream, err);
    if (status != STATUS_OK) {
        return status;
    }
    topics_check(stream);
    if (txn->phase == TXN_IDLE) {
        rd_kafka_poll(stream->producer.client, 0); /* serves its error callback */
        if (!due_wait(stream, deadline_us)) {
            return STATUS_OK;
        }
        care_absolve(stream);
        phase_enter(stream, TXN_PUBLISH);
    } else if (!due_wait_retry(stream, deadline_us)) {
        return error_set(err, STATUS_AGAIN, "waiting before the next attempt");
    }
    do {
        status = phases[txn->phase](stream, committed, err);
    } while (status == STATUS_OK && txn->phase != TXN_IDLE &&
             clock_now_us() >= txn->retry_at_us);
    return status;
}

void txn_close(struct stream *stream, int timeout_ms) {
    struct txn *txn = &stream->txn;
    bool open = txn->phase == TXN_OFFSETS || txn->phase == TXN_COMMIT ||
                txn->phase == TXN_ABORT || txn->phase == TXN_PUBLISH;

    if (open && exactly_once(stream) && stream->producer.client != NULL) {
        /* A commit that is under way can only be resumed, not aborted. */
        rd_kafka_error_t *error =
            txn->phase == TXN_COMMIT
                ? rd_kafka_commit_transaction(stream->producer.client, timeout_ms)
                : rd_kafka_abort_transaction(stream->producer.client, timeout_ms);
        if (error != NULL) {
            log_event(LOG_WARN, "close_transaction_failed",
                      LOG_TEXT("reason", rd_kafka_error_string(error)));
            rd_kafka_error_destroy(error);
        }
    }
    forget(stream);
    txn_drop_consumer(stream);
}
