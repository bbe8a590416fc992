#include "stream/room.h"

#include "base/clock.h"
#include "stream/internal.h"
#include "stream/portion.h"
#include "stream/rebalance.h"

/* Pausing throws away what librdkafka has fetched ahead, so a short stall is waited out.
 */
#define HOLD_BACK_US 300000
#define PAUSED_WAIT_US 100000

static void pause_all(struct stream *stream) {
    stream->source.paused = true;
    rebalance_apply_pauses(stream);
    atomic_fetch_add(&stream->counters.pauses, 1);
}

static void resume_all(struct stream *stream) {
    stream->source.paused = false;
    rebalance_apply_pauses(stream);
    stream->source.full_since_us = 0;
}

bool room_wait(struct stream *stream, int64_t timeout_us) {
    struct source *source = &stream->source;
    struct window *window = &stream->window;
    size_t records, size;
    int64_t now_us, left_us;
    bool crowded;

    if (source->drained) {
        return false;
    }
    if (atomic_load(&stream->draining)) {
        pause_all(stream);
        source->drained = true;
        return false;
    }
    if (source->paused) {
        if (window_wait_room(window, 2,
                             timeout_us < PAUSED_WAIT_US ? timeout_us : PAUSED_WAIT_US)) {
            resume_all(stream);
        }
        return !source->paused;
    }
    crowded = portion_crowded(stream);
    if (!crowded && window_room(window, &records, &size)) {
        source->full_since_us = 0;
        return true;
    }
    now_us = clock_now_us();
    if (source->full_since_us == 0) {
        source->full_since_us = now_us;
    }
    left_us = source->full_since_us + HOLD_BACK_US - now_us;
    if (left_us <= 0) {
        source->full_since_us = 0;
        if (portion_hold(stream)) {
            return window_room(window, &records, &size);
        }
        pause_all(stream);
        return false;
    }
    left_us = timeout_us < left_us ? timeout_us : left_us;
    if (crowded) {
        window_wait_release(window, left_us);
        return false;
    }
    if (!window_wait_room(window, 8, left_us)) {
        return false;
    }
    source->full_since_us = 0;
    return true;
}
