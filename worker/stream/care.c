#include "stream/care.h"

#include <assert.h>

#include "base/clock.h"
#include "base/log.h"
#include "stream/fence.h"
#include "stream/internal.h"
#include "stream/mark.h"
#include "stream/offsets.h"

#define ALONE_MAX 2 /* ends with a record alone, before it is condemned */
#define RETRY_US 200000
#define HIDDEN_PATIENCE_US 900000 /* markers of a commit are written in less */
#define CLOSE_TIMEOUT_MS 1000
/* Rounds of the poll thread after which it has seen what was stored for it. */
#define ROUNDS 2

/* ---- marks ---- */

/* A mark that says of the lease what is known of it. */
static struct mark mark_of(const struct stream *stream, const struct lease *lease,
                           char state) {
    struct mark mark = {.state = state,
                        .crashes = lease->care.crashes,
                        .alone = lease->care.alone,
                        .suspects = lease->care.suspects,
                        .step = lease->care.step};

    if (stream->opts.delivery == STREAM_EXACTLY_ONCE) {
        snprintf(mark.owner, sizeof mark.owner, "%s", stream->identity.name);
    }
    return mark;
}

/* Marks what is committed already. */
static void mark_again(const struct stream *stream, const struct lease *lease, char state,
                       rd_kafka_topic_partition_t *partition) {
    struct mark mark = mark_of(stream, lease, state);

    partition->offset = atomic_load(&lease->committed_offset);
    assert(partition->offset >= 0);
    mark_set(partition, &mark, &lease->ahead);
}

/* What is handed out and not committed yet. */
static int64_t in_worker(struct stream *stream, const struct lease *lease) {
    uint64_t released;

    pthread_mutex_lock(&stream->window.lock);
    released = lease->released;
    pthread_mutex_unlock(&stream->window.lock);
    return (int64_t)(atomic_load(&lease->polled) - released);
}

void care_add_mark(struct stream *stream, const struct lease *lease,
                   rd_kafka_topic_partition_t *partition) {
    struct mark mark = mark_of(stream, lease, 'o');
    int64_t left = in_worker(stream, lease) - (int64_t)lease->taken_count;
    struct ahead ahead;

    if (atomic_load(&lease->care.state) == CARE_ACTIVE) {
        int64_t handed = (int64_t)(atomic_load(&lease->polled) - lease->care.granted);
        mark.suspects -= handed - left;
        mark.suspects = mark.suspects > 0 ? mark.suspects : 0;
        /* The next one has its own count. */
        mark.crashes -= mark.alone;
        mark.alone = 0;
    } else {
        /* More may come before the next commit: twice as many as there are now. */
        mark.suspects = 2 * left;
    }
    partition->offset = lease_commit_offset(lease, &ahead);
    mark_set(partition, &mark, &ahead);
}

static rd_kafka_topic_partition_t *list_add(struct stream *stream,
                                            rd_kafka_topic_partition_list_t *list,
                                            const struct lease *lease) {
    return rd_kafka_topic_partition_list_add(list, stream->inputs[lease->input].topic,
                                             lease->partition);
}

static bool all_fine(rd_kafka_event_t *event) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(event);
    bool fine = rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR;

    for (int i = 0; fine && list != NULL && i < list->cnt; i++) {
        fine = list->elems[i].err == RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    return fine;
}

/* Commits the list by itself and waits for the answer; false where none came, or no, or
 * where a lease was lost since `losses`. */
static bool commit_marks(struct stream *stream, rd_kafka_topic_partition_list_t *list,
                         uint64_t losses, int timeout_ms) {
    rd_kafka_queue_t *queue = rd_kafka_queue_new(stream->source.consumer);
    rd_kafka_event_t *event = NULL;
    bool fine = false;

    if (queue == NULL) {
        return false;
    }
    if (offsets_send(stream, list, losses, queue, NULL) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        event = rd_kafka_queue_poll(queue, timeout_ms);
    }
    if (event != NULL) {
        fine =
            rd_kafka_event_type(event) == RD_KAFKA_EVENT_OFFSET_COMMIT && all_fine(event);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(queue);
    return fine;
}

/* Commits one lease's offset again, with a mark. */
static bool mark_one(struct stream *stream, const struct lease *lease, char state,
                     int timeout_ms) {
    uint64_t losses = window_losses(&stream->window);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    bool fine;

    mark_again(stream, lease, state, list_add(stream, list, lease));
    fine = !window_is_lost(&stream->window, lease) &&
           commit_marks(stream, list, losses, timeout_ms);
    rd_kafka_topic_partition_list_destroy(list);
    if (!fine) {
        stream->care_retry_us = clock_now_us() + RETRY_US;
    }
    return fine;
}

/* ---- what the last holder left ---- */

static void judge(struct lease *lease, const rd_kafka_topic_partition_t *found) {
    struct mark mark = {.state = 'c'};

    if (lease->care.tried) {
        return; /* the mark that is there now may be our own */
    }
    lease->care.tried = true;
    if (found->offset >= 0) {
        atomic_store(&lease->committed_offset, found->offset);
        mark_parse(found->metadata, found->metadata_size, &mark);
        mark_parse_ahead(found->metadata, found->metadata_size, found->offset,
                         &lease->ahead);
        lease->inherited = lease->ahead;
    } else {
        /* Nothing was ever committed: the start is where the first record stands. */
        atomic_store(&lease->committed_offset, atomic_load(&lease->first_offset));
    }
    if (mark_take_over(&mark)) {
        log_event(LOG_WARN, "unclean_end", LOG_INT("partition", lease->partition),
                  LOG_INT("offset", found->offset), LOG_INT("crashes", mark.crashes),
                  LOG_INT("suspects", mark.suspects), LOG_INT("step", mark.step));
    }
    lease->care.crashes = mark.crashes;
    lease->care.alone = mark.alone;
    lease->care.suspects = mark.suspects;
    lease->care.step = mark.step;
}

/* One that was asked for and has no offset yet can be marked when a record has come. */
static bool needs_mark(struct stream *stream, const struct lease *lease) {
    return atomic_load(&lease->care.state) == CARE_UNKNOWN &&
           (!atomic_load(&lease->care.asked) || atomic_load(&lease->first_offset) >= 0) &&
           !window_is_lost(&stream->window, lease);
}

static rd_kafka_topic_partition_list_t *list_unknown(struct stream *stream) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);

    for (struct lease *lease = stream->window.leases; lease != NULL;
         lease = lease->next) {
        if (needs_mark(stream, lease)) {
            list_add(stream, list, lease);
        }
    }
    return list;
}

/* Of each lease of the list: what is known of it now, and the mark that says so.  Leases
 * that have neither an offset nor a record stay unknown. */
static void judge_all(struct stream *stream, rd_kafka_topic_partition_list_t *found,
                      rd_kafka_topic_partition_list_t *marks) {
    for (struct lease *lease = stream->window.leases; lease != NULL;
         lease = lease->next) {
        const rd_kafka_topic_partition_t *one = rd_kafka_topic_partition_list_find(
            found, stream->inputs[lease->input].topic, lease->partition);
        if (one == NULL || atomic_load(&lease->care.state) != CARE_UNKNOWN ||
            one->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            continue;
        }
        atomic_store(&lease->care.asked, true);
        if (one->offset < 0 && atomic_load(&lease->first_offset) < 0) {
            continue;
        }
        judge(lease, one);
        mark_again(stream, lease, lease->care.suspects == 0 ? 'o' : 'r',
                   list_add(stream, marks, lease));
    }
}

static void take_up(struct stream *stream, rd_kafka_topic_partition_list_t *marks) {
    for (struct lease *lease = stream->window.leases; lease != NULL;
         lease = lease->next) {
        if (atomic_load(&lease->care.state) == CARE_UNKNOWN &&
            rd_kafka_topic_partition_list_find(marks, stream->inputs[lease->input].topic,
                                               lease->partition) != NULL) {
            atomic_store(&lease->care.state,
                         lease->care.suspects == 0 ? CARE_FREE : CARE_RESTING);
        }
    }
}

static bool are_hidden(const rd_kafka_topic_partition_list_t *found) {
    for (int i = 0; i < found->cnt; i++) {
        if (found->elems[i].err == RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT) {
            return true;
        }
    }
    return false;
}

/* Reads what is committed; false where no answer came.  Offsets that stay hidden by an
 * open transaction are a dead worker's. */
static bool look(struct stream *stream, rd_kafka_topic_partition_list_t *found) {
    int64_t begin_us = clock_now_us();
    rd_kafka_resp_err_t code;

    watchdog_enter(&stream->watchdog, "committed");
    code = rd_kafka_committed(stream->source.consumer, found, CARE_LOOK_MS);
    watchdog_leave(&stream->watchdog);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR && !are_hidden(found)) {
        stream->care_hidden_us = 0;
        return true;
    }
    if (stream->care_hidden_us == 0) {
        stream->care_hidden_us = begin_us;
    }
    if (clock_now_us() - stream->care_hidden_us >= HIDDEN_PATIENCE_US) {
        fence_owners(stream, found);
        stream->care_hidden_us = 0;
    }
    return code == RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void learn(struct stream *stream) {
    uint64_t losses = window_losses(&stream->window);
    rd_kafka_topic_partition_list_t *found = list_unknown(stream);
    rd_kafka_topic_partition_list_t *marks = rd_kafka_topic_partition_list_new(16);
    bool fine = found->cnt == 0 || look(stream, found);

    if (found->cnt > 0 && fine) {
        judge_all(stream, found, marks);
        fine = marks->cnt == 0 ||
               commit_marks(stream, marks, losses, stream->txn.call_timeout_ms);
    }
    if (fine) {
        take_up(stream, marks);
    }
    if (!fine) {
        stream->care_retry_us = clock_now_us() + RETRY_US;
    }
    rd_kafka_topic_partition_list_destroy(found);
    rd_kafka_topic_partition_list_destroy(marks);
}

/* ---- one at a time ---- */

static void allow(struct stream *stream, struct lease *lease, uint64_t allowed) {
    if (atomic_load(&lease->allowed) != allowed) {
        atomic_store(&lease->allowed, allowed);
        stream->care_round = atomic_load(&stream->source.rounds);
    }
}

/* Whether the poll thread has come round since anything was allowed or forbidden. */
static bool is_seen(const struct stream *stream) {
    return atomic_load(&stream->source.rounds) >= stream->care_round + ROUNDS;
}

static void allow_free(struct stream *stream, uint64_t allowed) {
    for (struct lease *lease = stream->window.leases; lease != NULL;
         lease = lease->next) {
        if (atomic_load(&lease->care.state) == CARE_FREE) {
            allow(stream, lease, allowed);
        }
    }
}

static void grant(struct stream *stream, struct lease *lease) {
    lease->care.granted = atomic_load(&lease->polled);
    allow(stream, lease, lease->care.granted + (uint64_t)lease->care.step);
}

static void activate(struct stream *stream, struct lease *lease) {
    if (!mark_one(stream, lease, 'o', stream->txn.call_timeout_ms)) {
        return;
    }
    atomic_store(&lease->care.state, CARE_ACTIVE);
    if (lease->care.alone >= ALONE_MAX &&
        lease->care.crashes >= stream->opts.crashes_max) {
        log_event(LOG_ERROR, "record_condemned",
                  LOG_TEXT("topic", stream->inputs[lease->input].topic),
                  LOG_INT("partition", lease->partition),
                  LOG_INT("offset", atomic_load(&lease->committed_offset)),
                  LOG_INT("crashes", lease->care.crashes));
        atomic_store(&lease->condemned, lease->care.crashes);
    }
    grant(stream, lease);
}

/* What was handed out in this step is past: it is not to blame. */
static void acquit(struct lease *lease, uint64_t polled) {
    lease->care.suspects -= (int64_t)(polled - lease->care.granted);
    if (polled > lease->care.granted) {
        lease->care.crashes -= lease->care.alone; /* the next one has its own count */
        lease->care.alone = 0;
    }
    lease->care.granted = polled;
    if (lease->care.suspects <= 0) {
        lease->care.suspects = 0;
        lease->care.step = 0;
        lease->care.crashes = 0;
    }
}

/* Ends a step of the active lease, if it is at its end, and begins the next. */
static void go_on(struct stream *stream, struct lease *lease) {
    uint64_t polled = atomic_load(&lease->polled);
    bool dry = is_seen(stream) && !atomic_load(&lease->wants);
    int timeout_ms = stream->txn.call_timeout_ms;

    if (in_worker(stream, lease) > 0 || (polled < atomic_load(&lease->allowed) && !dry)) {
        return;
    }
    acquit(lease, polled);
    if (lease->care.suspects == 0) {
        if (mark_one(stream, lease, 'o', timeout_ms)) {
            atomic_store(&lease->care.state, CARE_FREE);
        }
    } else if (dry) {
        allow(stream, lease, polled);
        if (mark_one(stream, lease, 'r', timeout_ms)) {
            atomic_store(&lease->care.state, CARE_RESTING);
        }
    } else {
        grant(stream, lease);
    }
}

/* Whether the first has fewer steps to go than the second, if there is one. */
static bool is_sooner(const struct lease *lease, const struct lease *other) {
    return other == NULL || lease->care.suspects / lease->care.step <
                                other->care.suspects / other->care.step;
}

static bool is_empty(struct stream *stream) {
    bool empty;

    pthread_mutex_lock(&stream->window.lock);
    empty = stream->window.records == 0;
    pthread_mutex_unlock(&stream->window.lock);
    return empty;
}

void care_absolve(struct stream *stream) {
    for (const struct lease *lease = stream->window.leases; lease != NULL;
         lease = lease->next) {
        if (atomic_load(&lease->care.state) == CARE_ACTIVE && lease->care.alone > 0 &&
            lease->ready_count > 0 && !window_is_lost(&stream->window, lease)) {
            /* Where it fails, the record is under suspicion as before. */
            (void)mark_one(stream, lease, 'r', stream->txn.call_timeout_ms);
        }
    }
}

bool care_step(struct stream *stream) {
    struct lease *active = NULL, *next = NULL;
    int unknown = 0, suspected = 0;

    for (struct lease *lease = stream->window.leases; lease != NULL;
         lease = lease->next) {
        int state = atomic_load(&lease->care.state);
        if (state == CARE_FREE || window_is_lost(&stream->window, lease)) {
            continue;
        }
        unknown += needs_mark(stream, lease);
        suspected += state == CARE_RESTING || state == CARE_ACTIVE;
        active = state == CARE_ACTIVE ? lease : active;
        if (state == CARE_RESTING && atomic_load(&lease->wants) &&
            is_sooner(lease, next)) {
            next = lease;
        }
    }
    atomic_store(&stream->counters.suspected, (uint64_t)suspected);
    stream->care_active = active != NULL;
    if (clock_now_us() < stream->care_retry_us) {
        return true;
    }
    if (unknown > 0) {
        learn(stream);
    }
    if (active != NULL) {
        go_on(stream, active);
    } else if (next != NULL) {
        allow_free(stream, 0);
        if (is_seen(stream) && is_empty(stream)) {
            activate(stream, next);
        }
    } else {
        allow_free(stream, UINT64_MAX);
    }
    return unknown > 0 || active != NULL || next != NULL;
}

void care_close_add(struct stream *stream, rd_kafka_topic_partition_list_t *list,
                    const struct lease *lease) {
    int64_t offset = atomic_load(&lease->committed_offset);

    int state = atomic_load(&lease->care.state);

    if ((state == CARE_FREE || state == CARE_ACTIVE) && offset >= 0) {
        /* The suspicion goes on, but this end is no crash.  The lease is drained: the
         * commit thread changes nothing of it any more. */
        mark_again(stream, lease, state == CARE_ACTIVE ? 'r' : 'c',
                   list_add(stream, list, lease));
    }
}

void care_close(struct stream *stream, rd_kafka_topic_partition_list_t *list) {
    if (list->cnt > 0) {
        /* The leases are lost, but the group does not know yet.  Where it fails, the next
         * holder takes care without need. */
        (void)commit_marks(stream, list, window_losses(&stream->window),
                           CLOSE_TIMEOUT_MS);
    }
    rd_kafka_topic_partition_list_destroy(list);
}
