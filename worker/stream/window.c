#include "stream/window.h"

#include <assert.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/size.h"

/* Slots added where the window overflows: a rebalance may deliver a little after full. */
#define SLOTS_GROWTH 256

/* As long as no answer is known, it is expected to be large: a job of few bytes may have
 * one of megabytes, and a window full of them would take all memory. */
#define ANSWER_SIZE_FIRST ((size_t)1 << 20)
#define ANSWERS_FIRST 256

struct slot_chunk {
    struct slot_chunk *next;
    size_t count;
    struct slot slots[];
};

static bool grow(struct window *window, size_t count) {
    size_t size;
    struct slot_chunk *chunk;

    assert(window->untouched_count == 0);
    if (!size_mul(count, sizeof(struct slot), &size) ||
        !size_add(size, sizeof *chunk, &size)) {
        return false;
    }
    chunk = calloc(1, size);
    if (chunk == NULL) {
        return false;
    }
    chunk->count = count;
    chunk->next = window->chunks;
    window->chunks = chunk;
    window->untouched = chunk->slots;
    window->untouched_count = count;
    return true;
}

/* Makes spare slots of some that were never used: the rest takes no memory so far. */
static void touch_some(struct window *window) {
    size_t count = size_min(window->untouched_count, SLOTS_GROWTH);

    for (size_t i = count; i-- > 0;) {
        window->untouched[i].link = window->spare;
        window->spare = &window->untouched[i];
    }
    window->untouched += count;
    window->untouched_count -= count;
}

enum status window_init(struct window *window, size_t records_max, size_t size_max,
                        struct error *err) {
    *window = (struct window){.records_max = records_max, .size_max = size_max};
    if (pthread_mutex_init(&window->lock, NULL) != 0) {
        return error_set(err, STATUS_NO_MEMORY, "no mutex for the window");
    }
    if (!cond_init(&window->room) || !cond_init(&window->outcome)) {
        return error_set(err, STATUS_NO_MEMORY, "no condition for the window");
    }
    if (!grow(window, records_max)) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a window of %zu records",
                         records_max);
    }
    return STATUS_OK;
}

static void free_leases(struct lease *lease) {
    while (lease != NULL) {
        struct lease *next = lease->next;
        free(lease);
        lease = next;
    }
}

void window_release(struct window *window) {
    if (window->chunks == NULL) {
        return; /* was not initialised, or is released */
    }
    while (window->fresh != NULL) {
        struct lease *lease = window->fresh;
        window->fresh = lease->fresh_next;
        free(lease);
    }
    free_leases(window->leases);
    while (window->chunks != NULL) {
        struct slot_chunk *next = window->chunks->next;
        free(window->chunks);
        window->chunks = next;
    }
    pthread_cond_destroy(&window->room);
    pthread_cond_destroy(&window->outcome);
    pthread_mutex_destroy(&window->lock);
    *window = (struct window){0};
}

/* ---- the poll thread's side ---- */

struct slot *window_take(struct window *window) {
    struct slot *slot = window->spare;

    if (slot == NULL) {
        pthread_mutex_lock(&window->lock);
        window->spare = window->returned;
        window->returned = NULL;
        pthread_mutex_unlock(&window->lock);
        if (window->spare == NULL) {
            if (window->untouched_count == 0 && !grow(window, SLOTS_GROWTH)) {
                return NULL;
            }
            touch_some(window);
        }
        slot = window->spare;
    }
    window->spare = slot->link;
    slot->link = NULL;
    return slot;
}

void window_untake(struct window *window, struct slot *slot) {
    slot->link = window->spare;
    window->spare = slot;
}

void window_append(struct window *window, struct slot *first, struct slot *last,
                   size_t count, size_t size) {
    pthread_mutex_lock(&window->lock);
    if (window->incoming == NULL) {
        window->incoming = first;
    } else {
        window->incoming_last->link = first;
    }
    window->incoming_last = last;
    window->records += count;
    window->size += size;
    pthread_mutex_unlock(&window->lock);
}

void window_wait_release(struct window *window, int64_t timeout_us) {
    int64_t deadline_us = clock_now_us() + timeout_us;
    size_t before;

    pthread_mutex_lock(&window->lock);
    before = window->records;
    while (window->records >= before &&
           cond_wait_until(&window->room, &window->lock, deadline_us)) {
    }
    pthread_mutex_unlock(&window->lock);
}

void window_note_answer(struct lease *lease, size_t size) {
    size_t expected = atomic_load_explicit(&lease->answer_size, memory_order_relaxed);

    /* Up at once, down little by little; an update that is lost makes no difference. */
    expected = size > expected ? size : expected - (expected - size) / 16;
    atomic_store_explicit(&lease->answer_size, expected, memory_order_relaxed);
}

struct lease *window_lease(struct window *window, int route, int input,
                           int32_t partition) {
    struct lease *lease = calloc(1, sizeof *lease);

    if (lease == NULL) {
        return NULL;
    }
    lease->route = route;
    lease->input = input;
    lease->partition = partition;
    lease->last_offset = -1;
    atomic_store(&lease->answer_size,
                 size_min(ANSWER_SIZE_FIRST, window->size_max / ANSWERS_FIRST));
    lease->seen_offset = -1;
    atomic_store(&lease->first_offset, -1);
    atomic_store(&lease->committed_offset, -1);
    pthread_mutex_lock(&window->lock);
    lease->fresh_next = window->fresh;
    window->fresh = lease;
    window->leases_held += input < window->inputs_counted;
    window->woken = true; /* its mark is to be read */
    pthread_cond_signal(&window->outcome);
    pthread_mutex_unlock(&window->lock);
    return lease;
}

void window_revoke(struct window *window, struct lease *lease) {
    pthread_mutex_lock(&window->lock);
    assert(lease->state == LEASE_HELD);
    lease->state = LEASE_REVOKED;
    window->revoking = true;
    window->woken = true;
    pthread_cond_signal(&window->outcome);
    pthread_mutex_unlock(&window->lock);
}

bool window_wait_drained(struct window *window, const struct lease *lease,
                         int64_t deadline_us) {
    bool drained;

    pthread_mutex_lock(&window->lock);
    while (!(drained = lease->released == lease->polled) &&
           cond_wait_until(&window->room, &window->lock, deadline_us)) {
    }
    pthread_mutex_unlock(&window->lock);
    return drained;
}

void window_lose(struct window *window, struct lease *lease) {
    pthread_mutex_lock(&window->lock);
    assert(lease->state != LEASE_LOST);
    lease->state = LEASE_LOST;
    window->losses++;
    window->leases_held -= lease->input < window->inputs_counted;
    window->woken = true;
    pthread_cond_signal(&window->outcome);
    pthread_mutex_unlock(&window->lock);
}

uint64_t window_losses(struct window *window) {
    uint64_t losses;

    pthread_mutex_lock(&window->lock);
    losses = window->losses;
    pthread_mutex_unlock(&window->lock);
    return losses;
}

/* ---- the commit thread's side ---- */

void window_wake(struct window *window) {
    pthread_mutex_lock(&window->lock);
    window->woken = true;
    pthread_cond_signal(&window->outcome);
    pthread_mutex_unlock(&window->lock);
}

void window_wait(struct window *window, int64_t timeout_us) {
    int64_t deadline_us = clock_now_us() + timeout_us;

    pthread_mutex_lock(&window->lock);
    while (!window->woken &&
           cond_wait_until(&window->outcome, &window->lock, deadline_us)) {
    }
    window->woken = false;
    pthread_mutex_unlock(&window->lock);
}

size_t window_collect(struct window *window) {
    struct slot *slot;
    size_t records;

    pthread_mutex_lock(&window->lock);
    slot = window->incoming;
    window->incoming = window->incoming_last = NULL;
    records = window->records;
    while (window->fresh != NULL) {
        struct lease *lease = window->fresh;
        window->fresh = lease->fresh_next;
        lease->next = window->leases;
        window->leases = lease;
    }
    pthread_mutex_unlock(&window->lock);

    while (slot != NULL) {
        struct slot *next = slot->link;
        lease_add(slot->lease, slot);
        slot = next;
    }
    for (struct lease *lease = window->leases; lease != NULL; lease = lease->next) {
        lease_advance(lease);
    }
    return records;
}

bool window_half_is_ready(struct window *window, size_t ready) {
    size_t record_size;

    if (ready >= window->records_max / 2) {
        return true;
    }
    pthread_mutex_lock(&window->lock);
    record_size = window->records > 0 ? window->size / window->records : 0;
    pthread_mutex_unlock(&window->lock);
    return ready * record_size >= window->size_max / 2;
}

bool window_owns_taken(struct window *window) {
    bool owns = true;

    pthread_mutex_lock(&window->lock);
    for (const struct lease *lease = window->leases; lease != NULL; lease = lease->next) {
        owns = owns && (lease->taken_count == 0 || lease->state != LEASE_LOST);
    }
    pthread_mutex_unlock(&window->lock);
    return owns;
}

void window_free_add(struct window_free *slots, struct slot *slot) {
    slot->link = NULL;
    if (slots->last == NULL) {
        slots->first = slot;
    } else {
        slots->last->link = slot;
    }
    slots->last = slot;
    slots->count++;
    slots->size += slot->size;
}

void window_return(struct window *window, struct lease *lease,
                   const struct window_free *slots) {
    if (slots->count == 0) {
        return;
    }
    pthread_mutex_lock(&window->lock);
    slots->last->link = window->returned;
    window->returned = slots->first;
    lease->released += slots->count;
    lease->released_size += slots->size;
    window->records -= slots->count;
    window->size -= slots->size;
    pthread_cond_signal(&window->room);
    pthread_mutex_unlock(&window->lock);
}

/* The first lease becomes the last. */
static void rotate(struct window *window) {
    struct lease *first = window->leases, **link = &window->leases;

    if (first == NULL || first->next == NULL) {
        return;
    }
    window->leases = first->next;
    while (*link != NULL) {
        link = &(*link)->next;
    }
    first->next = NULL;
    *link = first;
}

void window_sweep(struct window *window) {
    struct lease **link = &window->leases;

    pthread_mutex_lock(&window->lock);
    window->revoking = false;
    while (*link != NULL) {
        struct lease *lease = *link;
        if (lease->state == LEASE_REVOKED && lease->released != lease->polled) {
            window->revoking = true;
        }
        /* `polled` is final once the lease is lost. */
        if (lease->state == LEASE_LOST && lease->released == lease->polled) {
            *link = lease->next;
            free(lease);
        } else {
            link = &lease->next;
        }
    }
    pthread_mutex_unlock(&window->lock);
    rotate(window);
}

bool window_is_lost(struct window *window, const struct lease *lease) {
    bool lost;

    pthread_mutex_lock(&window->lock);
    lost = lease->state == LEASE_LOST;
    pthread_mutex_unlock(&window->lock);
    return lost;
}

void window_each(struct window *window, void (*visit)(void *context, struct slot *slot),
                 void *context) {
    for (struct slot_chunk *chunk = window->chunks; chunk != NULL; chunk = chunk->next) {
        for (size_t i = 0; i < chunk->count; i++) {
            if (chunk->slots[i].record.message != NULL) {
                visit(context, &chunk->slots[i]);
            }
        }
    }
}
