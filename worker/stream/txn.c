#include "stream/txn.h"

#include <assert.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/size.h"
#include "stream/care.h"
#include "stream/internal.h"
#include "stream/offsets.h"
#include "stream/rejoin.h"

/* Most records of one transaction, so that a large backlog of outcomes cannot outlast the
 * transaction's timeout. */
#define RECORDS_MAX 100000
#define CALL_TIMEOUT_MS 5000
/* Commits that are not waited for take at most a part of the time in this: under load
 * they would come one after the other, each with little in it. */
#define EAGER_COMMITS_PART 4
/* How often it is looked at what care wants, while it wants anything. */
#define CARE_INTERVAL_US 2000
#define BACKOFF_MIN_US 10000
#define BACKOFF_MAX_US 2000000

static bool exactly_once(const struct stream *stream) {
    return stream->opts.delivery == STREAM_EXACTLY_ONCE;
}

static bool legal(enum txn_phase from, enum txn_phase to) {
    switch (to) {
    case TXN_START:
        return from == TXN_REBUILD;
    case TXN_RECOVER:
        return from == TXN_START;
    case TXN_IDLE:
        return from == TXN_RECOVER || from == TXN_COMMIT || from == TXN_ABORT;
    case TXN_PUBLISH:
        return from == TXN_IDLE;
    case TXN_OFFSETS:
        return from == TXN_PUBLISH;
    case TXN_COMMIT:
        return from == TXN_OFFSETS;
    case TXN_ABORT:
        return from == TXN_PUBLISH || from == TXN_OFFSETS || from == TXN_COMMIT;
    case TXN_REBUILD:
        return from != TXN_REBUILD;
    case TXN_PHASE_COUNT:
        break;
    }
    return false;
}

static const char *const phase_failpoints[] = {
    [TXN_START] = "txn.start",     [TXN_RECOVER] = "txn.recover",
    [TXN_IDLE] = "txn.idle",       [TXN_PUBLISH] = "txn.publish",
    [TXN_OFFSETS] = "txn.offsets", [TXN_COMMIT] = "txn.commit",
    [TXN_ABORT] = "txn.abort",     [TXN_REBUILD] = "txn.rebuild",
};
_Static_assert(ARRAY_COUNT(phase_failpoints) == TXN_PHASE_COUNT, "every phase can fail");

static void enter(struct stream *stream, enum txn_phase to) {
    assert(legal(stream->txn.phase, to));
    failpoint_die(phase_failpoints[to]);
    stream->txn.phase = to;
    stream->txn.phase_since_us = clock_now_us();
}

/* ---- failures ---- */

static void back_off(struct txn *txn) {
    txn->backoff_us = txn->backoff_us == 0 ? BACKOFF_MIN_US : txn->backoff_us * 2;
    if (txn->backoff_us > BACKOFF_MAX_US) {
        txn->backoff_us = BACKOFF_MAX_US;
    }
    txn->retry_at_us = clock_now_us() + txn->backoff_us;
}

/* Whether the broker says that the group has moved on since our generation. */
static bool is_fencing(rd_kafka_resp_err_t code) {
    return code == RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION ||
           code == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID ||
           code == RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS ||
           code == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID;
}

/* Who must react to a failed transaction call: STATUS_AGAIN resumes it, STATUS_ABORT_TXN
 * rolls back, STATUS_FATAL replaces the client.  Takes `error`. */
static enum status judge(struct stream *stream, const char *call, rd_kafka_error_t *error,
                         struct error *err) {
    enum status status = STATUS_FATAL;
    rd_kafka_resp_err_t code;

    if (error == NULL) {
        return STATUS_OK;
    }
    code = rd_kafka_error_code(error);
    if (rd_kafka_error_is_fatal(error)) {
        status = STATUS_FATAL;
    } else if (rd_kafka_error_txn_requires_abort(error)) {
        status = STATUS_ABORT_TXN;
    } else if (rd_kafka_error_is_retriable(error)) {
        status = STATUS_AGAIN;
    }
    if (is_fencing(code)) {
        atomic_store(&stream->source.generation_stale, true);
    }
    error_set(err, status, "%s: %s", call, rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return status;
}

static void tell_problem(struct stream *stream, const struct error *err) {
    problems_report(&stream->problems, PROBLEM_COMMIT, "nothing can be published now: %s",
                    err->text);
}

/* A phase could not be finished: the next call resumes it, unless that has been tried for
 * longer than a transaction may live. */
static enum status resume_later(struct stream *stream, struct error *err) {
    struct txn *txn = &stream->txn;
    int64_t limit_us = 2 * stream->producer.transaction_timeout_us;

    back_off(txn);
    if (clock_now_us() - txn->phase_since_us > limit_us && txn->phase != TXN_START &&
        txn->phase != TXN_RECOVER) {
        enter(stream, TXN_REBUILD);
    }
    if (clock_now_us() - txn->phase_since_us > BACKOFF_MAX_US) {
        tell_problem(stream, err);
    }
    return error_set(err, STATUS_AGAIN, "%s", err->text);
}

/* Enters the phase that `status` of a failed phase asks for. */
static enum status fail(struct stream *stream, enum status status, struct error *err) {
    log_event(status == STATUS_AGAIN ? LOG_DEBUG : LOG_WARN, "commit_failed",
              LOG_TEXT("reaction", status_name(status)), LOG_TEXT("reason", err->text));
    if (status == STATUS_AGAIN) {
        return resume_later(stream, err);
    }
    back_off(&stream->txn);
    if (status == STATUS_ABORT_TXN && stream->txn.phase != TXN_ABORT) {
        enter(stream, TXN_ABORT);
        return STATUS_OK;
    }
    tell_problem(stream, err);
    enter(stream, TXN_REBUILD);
    return STATUS_OK;
}

/* ---- letting go ---- */

/* Lets `count` records of the lease go, as published or as lost. */
static void let_go(struct stream *stream, struct lease *lease, size_t count,
                   bool published) {
    struct slot *chain = window_pop(&stream->window, lease, count);
    uint64_t counts[RECORD_STATE_COUNT] = {0};

    for (struct slot *slot = chain; slot != NULL; slot = slot->link) {
        counts[atomic_load_explicit(&slot->record.state, memory_order_relaxed)]++;
        stream_let_go(stream, slot);
    }
    window_return(&stream->window, lease, chain);
    if (published) {
        atomic_fetch_add(&stream->counters.dead_letters_out, counts[RECORD_DEAD]);
        atomic_fetch_add(&stream->counters.retries_out, counts[RECORD_RETRY]);
        atomic_fetch_add(&stream->counters.results_out, counts[RECORD_RESULT]);
    } else {
        atomic_fetch_add(&stream->counters.records_lost, count);
    }
}

/* Drops the outcomes that came too late.  Not while they are in an open transaction. */
static void drop_lost(struct stream *stream) {
    for (struct lease *lease = stream->window.leases; lease != NULL;
         lease = lease->next) {
        if (lease->ready_count > 0 && window_is_lost(&stream->window, lease)) {
            let_go(stream, lease, lease->ready_count, false);
        }
    }
    window_sweep(&stream->window);
}

static size_t finish(struct stream *stream) {
    size_t committed = 0;

    for (struct lease *lease = stream->window.leases; lease != NULL;
         lease = lease->next) {
        size_t count = lease->taken_count;
        if (count > 0) {
            window_committed(lease);
        }
        lease->taken_count = 0;
        let_go(stream, lease, count, true);
        committed += count;
    }
    return committed;
}

/* What was published counts for nothing: it is all to be done again. */
static void forget(struct stream *stream) {
    for (struct lease *lease = stream->window.leases; lease != NULL;
         lease = lease->next) {
        atomic_fetch_add(&stream->counters.records_replayed, lease->taken_count);
        lease->taken_count = 0;
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
        status = judge(stream, "init_transactions",
                       rd_kafka_init_transactions(stream->producer.client,
                                                  stream->txn.call_timeout_ms),
                       err);
        watchdog_leave(&stream->watchdog);
    }
    if (status != STATUS_OK) {
        return fail(stream, status, err);
    }
    enter(stream, TXN_RECOVER);
    return STATUS_OK;
}

/* Lets go of what is committed after all.  Such records all had outcomes: they were in
 * the transaction. */
static size_t finish_committed(struct stream *stream, struct lease *lease, int64_t offset,
                               const struct ahead *ahead) {
    const struct slot *slot = lease->head;
    size_t count = 0;

    while (count < lease->ready_count &&
           (slot->record.offset < offset || ahead_has(ahead, slot->record.offset))) {
        slot = slot->link;
        count++;
    }
    if (offset >= 0) {
        atomic_store(&lease->committed_offset, offset);
        lease->ahead = *ahead;
        lease->passed = true; /* what is left may stand in any order */
    }
    let_go(stream, lease, count, true);
    return count;
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
            return fail(stream, STATUS_AGAIN, err);
        }
        for (struct lease *lease = stream->window.leases; lease != NULL;
             lease = lease->next) {
            struct ahead ahead;
            int64_t offset = offsets_find(stream, offsets, lease, &ahead);
            *committed += finish_committed(stream, lease, offset, &ahead);
        }
        rd_kafka_topic_partition_list_destroy(offsets);
        stream->txn.unsure = false;
    }
    enter(stream, TXN_IDLE);
    return STATUS_OK;
}

static enum status publish(struct stream *stream, size_t *committed, struct error *err) {
    enum status status = STATUS_OK;
    size_t left = RECORDS_MAX;

    (void)committed;
    stream->txn.begun_us = clock_now_us();
    producer_begin(&stream->producer);
    if (exactly_once(stream)) {
        status = judge(stream, "begin_transaction",
                       rd_kafka_begin_transaction(stream->producer.client), err);
        stream->txn.unsure = true;
    }
    for (struct lease *lease = stream->window.leases;
         lease != NULL && status == STATUS_OK && left > 0; lease = lease->next) {
        size_t count = size_min(lease->ready_count, left);
        if (count > 0 && topics_can_publish(stream, lease->route)) {
            status = producer_publish(stream, lease, count, err);
            left -= count;
        }
    }
    if (status != STATUS_OK) {
        return fail(stream, status, err);
    }
    enter(stream, TXN_OFFSETS);
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
    status = judge(stream, "send_offsets_to_transaction",
                   rd_kafka_send_offsets_to_transaction(stream->producer.client, offsets,
                                                        txn->generation->metadata,
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
        return fail(stream, status, err);
    }
    enter(stream, TXN_COMMIT);
    return STATUS_OK;
}

static enum status end_transaction(struct stream *stream, struct error *err) {
    struct producer *producer = &stream->producer;
    enum status status;

    watchdog_enter(&stream->watchdog, "commit_transaction");
    status = judge(
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
        return fail(stream, status, err);
    }
    *committed += finish(stream);
    forget(stream);
    txn->unsure = false;
    txn->last_commit_us = clock_now_us();
    txn->last_took_us = txn->last_commit_us - txn->begun_us;
    txn->backoff_us = txn->retry_at_us = 0;
    atomic_fetch_add(&stream->counters.committed, 1);
    problems_clear(&stream->problems, PROBLEM_COMMIT);
    enter(stream, TXN_IDLE);
    return STATUS_OK;
}

static enum status abort_transaction(struct stream *stream, struct error *err) {
    enum status status;

    watchdog_enter(&stream->watchdog, "abort_transaction");
    status = judge(
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
        return fail(stream, status, err);
    }
    atomic_fetch_add(&stream->counters.aborted, 1);
    stream->txn.unsure = false;
    forget(stream);
    enter(stream, producer_settle_too_large(stream) ? TXN_REBUILD : TXN_IDLE);
    return STATUS_OK;
}

static enum status rebuild(struct stream *stream, size_t *committed, struct error *err) {
    (void)committed;
    (void)err;
    watchdog_enter(&stream->watchdog, "destroying the producer");
    producer_disconnect(stream);
    watchdog_leave(&stream->watchdog);
    (void)producer_settle_too_large(stream); /* there is no client now to replace */
    producer_begin(&stream->producer);
    forget(stream);
    enter(stream, TXN_START);
    return STATUS_OK;
}

typedef enum status (*phase_fn)(struct stream *, size_t *, struct error *);

static const phase_fn phases[] = {
    [TXN_START] = start,     [TXN_RECOVER] = recover, [TXN_IDLE] = NULL,
    [TXN_PUBLISH] = publish, [TXN_OFFSETS] = offsets, [TXN_COMMIT] = commit,
    [TXN_ABORT] = abort_it,  [TXN_REBUILD] = rebuild,
};
_Static_assert(ARRAY_COUNT(phases) == TXN_PHASE_COUNT, "a function for every phase");

/* ---- when to commit ---- */

static size_t count_publishable(const struct stream *stream) {
    size_t count = 0;

    for (const struct lease *lease = stream->window.leases; lease != NULL;
         lease = lease->next) {
        if (topics_can_publish(stream, lease->route)) {
            count += lease->ready_count;
        }
    }
    return count;
}

/* Whether to commit now; otherwise *until_us is when to look again if nothing happens. */
static bool is_due(struct stream *stream, int64_t now_us, int64_t *until_us) {
    const struct txn *txn = &stream->txn;
    size_t in_flight = window_collect(&stream->window);
    size_t ready;
    int64_t interval_us = stream->opts.commit_interval_us;

    drop_lost(stream);
    ready = count_publishable(stream);
    if (now_us < txn->retry_at_us) {
        *until_us = txn->retry_at_us;
        return false;
    }
    if (ready == 0) {
        return false;
    }
    if (ready >= RECORDS_MAX || stream->window.revoking ||
        window_half_is_ready(&stream->window, ready)) {
        return true;
    }
    /* With nothing else in flight, waiting would only add to the answers' age. */
    if (ready == in_flight && txn->last_took_us * EAGER_COMMITS_PART < interval_us) {
        interval_us = txn->last_took_us * EAGER_COMMITS_PART;
    }
    if (ready == in_flight && stream->care_active) {
        return true; /* the next step waits for this one's end */
    }
    *until_us = txn->last_commit_us + interval_us;
    return now_us >= *until_us;
}

static bool wait_until_due(struct stream *stream, int64_t deadline_us) {
    for (;;) {
        int64_t now_us = clock_now_us(), until_us = deadline_us;
        if (is_due(stream, now_us, &until_us)) {
            return true;
        }
        if (care_step(stream) && until_us > now_us + CARE_INTERVAL_US) {
            until_us = now_us + CARE_INTERVAL_US;
        }
        if (now_us >= deadline_us) {
            return false;
        }
        window_wait(&stream->window,
                    (until_us < deadline_us ? until_us : deadline_us) - now_us);
    }
}

/* A phase that failed is not tried again before its time. */
static bool wait_for_retry(struct stream *stream, int64_t deadline_us) {
    for (;;) {
        int64_t now_us = clock_now_us(), retry_us = stream->txn.retry_at_us;

        if (now_us >= retry_us) {
            return true;
        }
        if (now_us >= deadline_us) {
            return false;
        }
        window_wait(&stream->window,
                    (retry_us < deadline_us ? retry_us : deadline_us) - now_us);
    }
}

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
        if (!wait_until_due(stream, deadline_us)) {
            return STATUS_OK;
        }
        care_absolve(stream);
        enter(stream, TXN_PUBLISH);
    } else if (!wait_for_retry(stream, deadline_us)) {
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
