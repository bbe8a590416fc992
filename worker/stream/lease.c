#include "stream/lease.h"

#include <assert.h>

static bool is_done(const struct slot *slot) {
    return atomic_load_explicit(&slot->record.state, memory_order_acquire) !=
           RECORD_PENDING;
}

void lease_add(struct lease *lease, struct slot *slot) {
    slot->link = NULL;
    if (lease->tail == NULL) {
        lease->head = slot;
    } else {
        lease->tail->link = slot;
    }
    lease->tail = slot;
    lease->seen_offset = slot->record.offset;
    if (lease->pending == NULL) {
        lease->pending = slot;
    }
}

/* ---- keys that wait ---- */

/* The keys of records that are left behind. */
struct waiting_keys {
    uint64_t bits[16]; /* by hash: most keys are not among them */
    const struct slot *slots[AHEAD_LEFT_MAX];
    int count;
};

static uint64_t *bits_of(struct waiting_keys *keys, uint32_t hash, uint64_t *bit) {
    *bit = (uint64_t)1 << (hash & 63);
    return &keys->bits[(hash >> 6) & 15];
}

static void leave_behind(struct waiting_keys *keys, const struct slot *slot) {
    uint64_t bit, *bits = bits_of(keys, slot->key_hash, &bit);

    *bits |= bit;
    keys->slots[keys->count++] = slot;
}

static bool must_wait(struct waiting_keys *keys, const struct slot *slot) {
    uint64_t bit, *bits = bits_of(keys, slot->key_hash, &bit);

    if ((*bits & bit) == 0 || slot->record.key.data == NULL) {
        return false; /* records without a key have no order to keep */
    }
    for (int i = 0; i < keys->count; i++) {
        if (keys->slots[i]->key_hash == slot->key_hash &&
            span_equal(keys->slots[i]->record.key, slot->record.key)) {
            return true;
        }
    }
    return false;
}

/* Those that this lease left behind and that have not come again yet. */
static int count_unseen(const struct lease *lease) {
    int count = 0;

    for (int i = 0; i < lease->ahead.left_count; i++) {
        count += lease->ahead.left[i] > lease->seen_offset;
    }
    return count;
}

static bool is_held(const struct slot *slot) {
    return atomic_load_explicit(&slot->held, memory_order_acquire);
}

/* One more record in front of `pending` is ready. */
static void count_ready(struct lease *lease, const struct slot *slot) {
    lease->disordered = lease->disordered || slot->record.offset < lease->ready_offset;
    lease->ready_offset = slot->record.offset;
    lease->ready_count++;
}

/* Moves the slot at *link before the one at *before, which is left. */
static void move(struct lease *lease, struct slot **link, struct slot **before,
                 struct slot *last_left) {
    struct slot *slot = *link;

    lease->passed = true;
    *link = slot->link;
    slot->link = *before;
    *before = slot;
    if (lease->tail == slot) {
        lease->tail = last_left;
    }
}

/* The first pending record is held: those behind it that are done, and whose key does not
 * wait, go before it.  It ends at one that is being computed: their order stays.  One
 * that was left and is ready behind others that passed it is committed first, so that
 * those left are never more than there is room for. */
static void pass_held(struct lease *lease) {
    struct waiting_keys keys = {.count = 0};
    int room = AHEAD_LEFT_MAX - count_unseen(lease);
    struct slot **before = &lease->head; /* where the first that is left stands */
    struct slot **link, *last_left = NULL;

    while (*before != lease->pending) {
        before = &(*before)->link;
    }
    link = before;
    while (*link != NULL && keys.count < room && !lease->disordered) {
        struct slot *slot = *link;
        bool done = is_done(slot);
        if (!done && !is_held(slot)) {
            break;
        }
        if (!done || must_wait(&keys, slot)) {
            leave_behind(&keys, slot);
            last_left = slot;
            link = &slot->link;
            continue;
        }
        if (link == before) { /* none is left yet: it was done just now */
            link = &slot->link;
        } else {
            move(lease, link, before, last_left);
        }
        before = &slot->link;
        count_ready(lease, slot);
    }
    lease->pending = *before;
}

void lease_advance(struct lease *lease) {
    if (lease->ready_count == 0) {
        lease->ready_offset = -1;
        lease->disordered = false;
    }
    while (lease->pending != NULL && is_done(lease->pending)) {
        count_ready(lease, lease->pending);
        lease->pending = lease->pending->link;
    }
    if (lease->pending != NULL && is_held(lease->pending)) {
        pass_held(lease);
    }
}

/* ---- what is committed ---- */

static void add_left(struct ahead *ahead, int64_t offset) {
    int i = ahead->left_count++;

    assert(i < AHEAD_LEFT_MAX);
    for (; i > 0 && ahead->left[i - 1] > offset; i--) {
        ahead->left[i] = ahead->left[i - 1];
    }
    ahead->left[i] = offset;
}

int64_t lease_commit_offset(const struct lease *lease, struct ahead *ahead) {
    const struct slot *slot = lease->head;
    size_t i;

    *ahead = (struct ahead){.upto = lease->ahead.upto};
    if (!lease->passed && lease->ahead.left_count == 0) { /* as almost always */
        ahead->upto =
            lease->taken_offset > ahead->upto ? lease->taken_offset : ahead->upto;
        return ahead->upto;
    }
    for (i = 0; i < lease->taken_count; i++, slot = slot->link) {
        if (slot->record.offset >= ahead->upto) {
            ahead->upto = slot->record.offset + 1;
        }
    }
    /* Behind those that are ready, the records stand in the order of their offsets. */
    for (; slot != NULL && (i < lease->ready_count || slot->record.offset < ahead->upto);
         i++, slot = slot->link) {
        if (slot->record.offset < ahead->upto) {
            add_left(ahead, slot->record.offset);
        }
    }
    for (int k = 0; k < lease->ahead.left_count; k++) {
        if (lease->ahead.left[k] > lease->seen_offset) {
            add_left(ahead, lease->ahead.left[k]);
        }
    }
    return ahead->left_count > 0 ? ahead->left[0] : ahead->upto;
}

void lease_committed(struct lease *lease) {
    struct ahead ahead;

    atomic_store(&lease->committed_offset, lease_commit_offset(lease, &ahead));
    lease->passed = lease->passed &&
                    (ahead.left_count > 0 || lease->taken_count < lease->ready_count);
    lease->ahead = ahead;
}

struct slot *lease_pop(struct lease *lease) {
    struct slot *slot = lease->head;

    assert(lease->ready_count > 0);
    lease->head = slot->link;
    if (lease->head == NULL) {
        lease->tail = NULL;
    }
    lease->ready_count--;
    return slot;
}
