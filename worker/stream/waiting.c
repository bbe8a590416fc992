#include "stream/waiting.h"

#include <assert.h>

#include "stream/internal.h"

#define REASON_TEXT_MAX 128
/* How soon care may have allowed what is due. */
#define ALLOW_POLL_US 2000
#define COUNT_MAX 512
#define SIZE_MAX_WAITING ((size_t)4 << 20) /* bytes */

static bool is_allowed(const struct lease *lease) {
    return atomic_load_explicit(&lease->polled, memory_order_relaxed) <
           atomic_load_explicit(&lease->allowed, memory_order_acquire);
}

bool waiting_must(const struct slot *slot, int64_t now_us) {
    /* Behind one that waits, its order is kept. */
    return slot->lease->waiting != NULL || slot->due_us > now_us ||
           !is_allowed(slot->lease);
}

static void want_pause(struct stream *stream, struct lease *lease) {
    bool wanted = lease->waiting != NULL && (stream->inputs[lease->input].level > 0 ||
                                             lease->waiting_count >= COUNT_MAX ||
                                             lease->waiting_size >= SIZE_MAX_WAITING);

    /* Once paused, a lease stays so until all is out: each time costs a fetch. */
    if (wanted != lease->pause_wanted && (wanted || lease->waiting == NULL)) {
        lease->pause_wanted = wanted;
        stream->source.pauses_changed = true;
    }
}

void waiting_add(struct stream *stream, struct slot *slot) {
    struct lease *lease = slot->lease;

    slot->link = NULL;
    if (lease->waiting == NULL) {
        lease->waiting = slot;
    } else {
        lease->waiting_last->link = slot;
    }
    lease->waiting_last = slot;
    lease->waiting_count++;
    lease->waiting_size += slot->size;
    want_pause(stream, lease);
}

static struct slot *take_first(struct stream *stream, struct lease *lease) {
    struct slot *slot = lease->waiting;

    lease->waiting = slot->link;
    slot->link = NULL;
    assert(lease->waiting_count > 0);
    lease->waiting_count--;
    lease->waiting_size -= slot->size;
    if (lease->waiting == NULL) {
        lease->waiting_last = NULL;
    }
    want_pause(stream, lease);
    return slot;
}

/* Gives a record up that is not to be computed again; it goes to the window alone. */
static void condemn(struct stream *stream, struct slot *slot, int crashes) {
    char reason[REASON_TEXT_MAX];

    snprintf(reason, sizeof reason,
             "the worker ended %d times without notice with this record in it, at last "
             "with no other",
             crashes);
    record_set_dead(&slot->record, "crash", NULL, reason);
    atomic_fetch_add(&slot->lease->polled, 1);
    slot->lease->polled_size += slot->size;
    atomic_fetch_add(&stream->counters.records_in, 1);
    atomic_fetch_add(&stream->counters.condemned, 1);
    window_append(&stream->window, slot, slot, 1, slot->size);
    window_wake(&stream->window);
}

/* The next lease of which something waits, after `lease` or from the first. */
static struct lease *next_waiting(const struct stream *stream, size_t *input,
                                  size_t *partition) {
    for (; *input < stream->input_count; (*input)++, *partition = 0) {
        const struct lease_table *table = &stream->source.tables[*input];
        while (*partition < table->count) {
            struct lease *lease = table->leases[(*partition)++];
            if (lease != NULL && lease->waiting != NULL) {
                return lease;
            }
        }
    }
    return NULL;
}

void waiting_release(struct stream *stream, size_t records, int64_t now_us) {
    struct source *source = &stream->source;
    size_t input = 0, partition = 0;
    struct lease *lease;

    while ((lease = next_waiting(stream, &input, &partition)) != NULL) {
        while (lease->waiting != NULL && lease->waiting->due_us <= now_us &&
               is_allowed(lease) && source->batch_count < records &&
               room_has(stream, lease->route)) {
            struct slot *slot = take_first(stream, lease);
            int crashes;
            if (source_pass_over(stream, slot)) {
                continue;
            }
            crashes = atomic_exchange(&lease->condemned, 0);
            if (crashes > 0) {
                condemn(stream, slot, crashes);
                continue;
            }
            slot->record.received_us = now_us; /* its time here begins now */
            source_batch_add(stream, slot);
        }
        atomic_store(&lease->wants, lease->waiting != NULL &&
                                        lease->waiting->due_us <= now_us &&
                                        !is_allowed(lease));
    }
}

int64_t waiting_due_us(const struct stream *stream, int64_t now_us) {
    size_t input = 0, partition = 0;
    const struct lease *lease;
    int64_t due_us = INT64_MAX;

    while ((lease = next_waiting(stream, &input, &partition)) != NULL) {
        int64_t lease_us =
            room_has(stream, lease->route) ? lease->waiting->due_us : INT64_MAX;
        if (lease_us <= now_us && !is_allowed(lease)) {
            lease_us = now_us + ALLOW_POLL_US;
        }
        due_us = lease_us < due_us ? lease_us : due_us;
    }
    return due_us;
}

void waiting_drop(struct stream *stream, struct lease *lease) {
    while (lease->waiting != NULL) {
        struct slot *slot = take_first(stream, lease);

        stream_let_go(stream, slot);
        window_untake(&stream->window, slot);
    }
}

void waiting_drop_all(struct stream *stream) {
    size_t input = 0, partition = 0;
    struct lease *lease;

    while ((lease = next_waiting(stream, &input, &partition)) != NULL) {
        waiting_drop(stream, lease);
    }
}
