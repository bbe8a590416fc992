/* plan.c - see plan.h. */
#include "engine/plan.h"

#include <assert.h>
#include <stdbool.h>

#include "base/size.h"

/* Largest first; equal sizes by index, so that the result is the same everywhere. */
static bool before(const struct plan_item *items, int a, int b) {
    if (items[a].size != items[b].size) {
        return items[a].size > items[b].size;
    }
    return a < b;
}

/* Shell sort: qsort may allocate. */
static void sort_by_size(const struct plan_item *items, int *order, int count) {
    int gap = 1;
    while (gap < count / 3) {
        gap = 3 * gap + 1;
    }
    for (; gap > 0; gap /= 3) {
        for (int i = gap; i < count; i++) {
            int item = order[i], at = i;
            for (; at >= gap && before(items, item, order[at - gap]); at -= gap) {
                order[at] = order[at - gap];
            }
            order[at] = item;
        }
    }
}

static bool alive_together(const struct plan_item *a, const struct plan_item *b) {
    return a->first <= b->last && b->first <= a->last;
}

/* The tightest gap between the placed items, which `placed` lists by offset. */
static size_t best_offset(const struct plan_item *items, const int *placed, int count,
                          const struct plan_item *item) {
    size_t end = 0, best = SIZE_MAX, best_gap = SIZE_MAX;
    for (int i = 0; i < count; i++) {
        const struct plan_item *other = &items[placed[i]];
        if (!alive_together(item, other)) {
            continue;
        }
        if (other->offset >= end) {
            size_t gap = other->offset - end;
            if (gap >= item->size && gap < best_gap) {
                best_gap = gap;
                best = end;
            }
        }
        end = size_max(end, size_align(other->offset + other->size, PLAN_ALIGN));
    }
    return best == SIZE_MAX ? end : best;
}

size_t plan_place(struct plan_item *items, int count, int *order) {
    int *placed = order + count;
    size_t total = 0;
    for (int i = 0; i < count; i++) {
        order[i] = i;
    }
    sort_by_size(items, order, count);
    for (int i = 0; i < count; i++) {
        struct plan_item *item = &items[order[i]];
        int at = i;
        assert(item->first <= item->last);
        item->offset = best_offset(items, placed, i, item);
        if (item->offset > SIZE_MAX / 2 || item->size > SIZE_MAX / 4) {
            return SIZE_MAX;
        }
        for (; at > 0 && items[placed[at - 1]].offset > item->offset; at--) {
            placed[at] = placed[at - 1];
        }
        placed[at] = order[i];
        total = size_max(total, size_align(item->offset + item->size, PLAN_ALIGN));
    }
    return total;
}
