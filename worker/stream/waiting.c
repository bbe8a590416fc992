#include "stream/waiting.h"

#include <assert.h>

#include "stream/internal.h"

bool waiting_must(const struct slot *slot, int64_t now_us) {
    /* Behind one that waits, its order is kept. */
    return slot->lease->waiting != NULL || slot->due_us > now_us;
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
    lease->pause_wanted = true;
    stream->source.pauses_changed = true;
}

static struct slot *take_first(struct stream *stream, struct lease *lease) {
    struct slot *slot = lease->waiting;

    lease->waiting = slot->link;
    slot->link = NULL;
    assert(lease->waiting_count > 0);
    lease->waiting_count--;
    if (lease->waiting == NULL) {
        lease->waiting_last = NULL;
        lease->pause_wanted = false;
        stream->source.pauses_changed = true;
    }
    return slot;
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

void waiting_release(struct stream *stream, size_t records, size_t size, int64_t now_us) {
    struct source *source = &stream->source;
    size_t input = 0, partition = 0;
    struct lease *lease;

    while ((lease = next_waiting(stream, &input, &partition)) != NULL) {
        while (lease->waiting != NULL && lease->waiting->due_us <= now_us &&
               source->batch_count < records && source->batch_size <= size) {
            struct slot *slot = take_first(stream, lease);
            slot->record.received_us = now_us; /* its time here begins now */
            source_batch_add(stream, slot);
        }
    }
}

int64_t waiting_due_us(const struct stream *stream) {
    size_t input = 0, partition = 0;
    const struct lease *lease;
    int64_t due_us = INT64_MAX;

    while ((lease = next_waiting(stream, &input, &partition)) != NULL) {
        due_us = lease->waiting->due_us < due_us ? lease->waiting->due_us : due_us;
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
