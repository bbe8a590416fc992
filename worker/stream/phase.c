#include "stream/phase.h"

#include <assert.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "stream/internal.h"

#define BACKOFF_MIN_US 10000
#define BACKOFF_MAX_US 2000000

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

void phase_enter(struct stream *stream, enum txn_phase to) {
    assert(legal(stream->txn.phase, to));
    failpoint_die(phase_failpoints[to]);
    stream->txn.phase = to;
    stream->txn.phase_since_us = clock_now_us();
}

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

enum status phase_judge(struct stream *stream, const char *call, rd_kafka_error_t *error,
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
        phase_enter(stream, TXN_REBUILD);
    }
    if (clock_now_us() - txn->phase_since_us > BACKOFF_MAX_US) {
        tell_problem(stream, err);
    }
    return error_set(err, STATUS_AGAIN, "%s", err->text);
}

enum status phase_fail(struct stream *stream, enum status status, struct error *err) {
    log_event(status == STATUS_AGAIN ? LOG_DEBUG : LOG_WARN, "commit_failed",
              LOG_TEXT("reaction", status_name(status)), LOG_TEXT("reason", err->text));
    if (status == STATUS_AGAIN) {
        return resume_later(stream, err);
    }
    back_off(&stream->txn);
    if (status == STATUS_ABORT_TXN && stream->txn.phase != TXN_ABORT) {
        phase_enter(stream, TXN_ABORT);
        return STATUS_OK;
    }
    tell_problem(stream, err);
    phase_enter(stream, TXN_REBUILD);
    return STATUS_OK;
}
