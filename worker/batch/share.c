/* share.c - see share.h. */
#include "batch/share.h"

#include <assert.h>

/* A cost is kept in finer steps than microseconds, so that weights do not round it off.
 */
#define STEPS 1000

void share_add(struct shares *shares, int model) {
    struct share *share = &shares->items[model];
    if (share->waiting == 0 && share->clock < shares->clock) {
        share->clock = shares->clock; /* time without work is no credit */
    }
    share->waiting++;
}

int share_take(struct shares *shares) {
    int next = -1;
    for (int i = 0; i < shares->count; i++) {
        const struct share *share = &shares->items[i];
        if (share->waiting > 0 &&
            (next < 0 || share->clock < shares->items[next].clock)) {
            next = i;
        }
    }
    if (next >= 0) {
        shares->items[next].waiting--;
        if (shares->items[next].clock > shares->clock) {
            shares->clock = shares->items[next].clock;
        }
    }
    return next;
}

void share_charge(struct shares *shares, int model, int64_t cost_us) {
    struct share *share = &shares->items[model];
    assert(share->weight >= 1);
    share->clock += cost_us * STEPS / share->weight;
}

bool share_urgent_first(int *passed, bool urgent, bool ordinary) {
    if (urgent && ordinary && *passed < SHARE_PASSED_MAX) {
        ++*passed;
        return true;
    }
    *passed = 0;
    return urgent && !ordinary;
}
