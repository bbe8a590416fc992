#include "stream/due.h"

#include "base/clock.h"
#include "stream/care.h"
#include "stream/internal.h"
#include "stream/let_go.h"

/* Commits that are not waited for take at most a part of the time in this: under load
 * they would come one after the other, each with little in it. */
#define EAGER_COMMITS_PART 4
/* How often it is looked at what care wants, while it wants anything. */
#define CARE_INTERVAL_US 2000

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

    let_go_lost(stream);
    ready = count_publishable(stream);
    if (now_us < txn->retry_at_us) {
        *until_us = txn->retry_at_us;
        return false;
    }
    if (ready == 0) {
        return false;
    }
    if (ready >= TXN_RECORDS_MAX || stream->window.revoking ||
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

bool due_wait(struct stream *stream, int64_t deadline_us) {
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

bool due_wait_retry(struct stream *stream, int64_t deadline_us) {
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
