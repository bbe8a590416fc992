/* plan_walk.c - see plan_run.h: the ways over lists, maps and unions, and past values. */
#include "base/size.h"
#include "codec/plan_run.h"
#include "codec/tensors.h"

/* ---- walking -------------------------------------------------------------------------
 */

/* Lists that stand side by side in a list have one length. */
bool run_check_level(struct run *run, size_t count) {
    size_t *level = &run->levels[run->step->c];
    if (run->step->c == 0) {
        return true;
    }
    if (*level == SIZE_MAX) {
        *level = count;
    }
    return *level == count ||
           reader_fail(&run->r, run->r.at, "a list of %zu beside lists of %zu", count,
                       *level);
}

/* The header of a block whose items take no bytes: their number cannot be held against
 * the bytes left. */
static bool read_empties(struct reader *r, struct reader_block *block) {
    const uint8_t *at = r->at;
    int64_t count = 0, size = 0;
    *block = (struct reader_block){0, NULL};
    if (!reader_long(r, &count)) {
        return false;
    }
    if (count < 0 && (!reader_long(r, &size) || size != 0)) {
        return reader_fail(r, at, "a block of items without bytes that has some");
    }
    if (count < -PLAN_EMPTY_ITEMS_MAX || count > PLAN_EMPTY_ITEMS_MAX) {
        return reader_fail(r, at, "more than %d items without bytes",
                           PLAN_EMPTY_ITEMS_MAX);
    }
    block->count = (size_t)(count < 0 ? -count : count);
    return true;
}

bool run_skip_empties(struct reader *r) {
    struct reader_block block;
    do {
        if (!read_empties(r, &block)) {
            return false;
        }
    } while (block.count > 0);
    return true;
}

static inline bool next_block(struct run *run, struct frame *frame) {
    struct reader_block block;
    if (UNLIKELY(run->step->b == 0)) {
        if (!read_empties(&run->r, &block)) {
            return false;
        }
    } else if (!reader_block(&run->r, run->step->b, SIZE_MAX, &block)) {
        return false;
    }
    frame->left = block.count;
    frame->end = block.end;
    frame->total += block.count;
    return true;
}

/* On to the first item, or behind the list. */
bool run_enter_list(struct run *run, const struct plan_step **next) {
    struct frame *frame = &run->frames[run->depth];
    frame->total = 0;
    frame->seen = 0;
    if (!next_block(run, frame)) {
        return false;
    }
    if (frame->left == 0) {
        *next = &run->plan->steps[run->step->a];
        return run_check_level(run, 0);
    }
    run->depth++;
    return true;
}

/* On to the next item, or behind the list. */
bool run_next_item(struct run *run, const struct plan_step **next) {
    struct frame *frame = &run->frames[run->depth - 1];
    const struct reader_block block = {frame->total, frame->end};
    if (--frame->left == 0) {
        if (!reader_block_end(&run->r, &block) || !next_block(run, frame)) {
            return false;
        }
        if (frame->left == 0) {
            run->depth--;
            return run_check_level(run, frame->total);
        }
    }
    *next = &run->plan->steps[run->step->a];
    return true;
}

bool run_read_key(struct run *run, const struct plan_step **next) {
    const struct plan_step *step = run->step;
    struct span key;
    uint32_t k = 0;
    if (!reader_text(&run->r, 0, SIZE_MAX, &key)) {
        return false;
    }
    while (k < step->c && !span_equal(run->plan->keys[step->b + k], key)) {
        k++;
    }
    if (k < step->c) {
        run->frames[run->depth - 1].seen |= UINT64_C(1) << k;
    }
    *next = &run->plan->steps[run->plan->targets[step->a + k]];
    return true;
}

bool run_take_branch(struct run *run, const struct plan_step **next) {
    const struct plan_step *step = run->step;
    int branch = 0;
    if (!reader_branch(&run->r, (int)step->a, &branch)) {
        return false;
    }
    *next = &run->plan->steps[run->plan->targets[step->b + (uint32_t)branch]];
    return true;
}

bool run_skip_varints(struct reader *r, uint32_t count, bool ints) {
    for (uint32_t i = 0; i < count; i++) {
        int64_t wide;
        int32_t narrow;
        if (ints ? !reader_int(r, &narrow) : !reader_long(r, &wide)) {
            return false;
        }
    }
    return true;
}

bool run_skip_bytes(struct reader *r, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        struct span bytes;
        if (!reader_bytes(r, 0, SIZE_MAX, &bytes)) {
            return false;
        }
    }
    return true;
}

bool run_skip_boolean(struct reader *r) {
    bool value;
    return reader_boolean(r, &value);
}

bool run_skip_enum(struct reader *r, uint32_t count) {
    int symbol;
    return reader_enum(r, (int)count, &symbol);
}

bool run_skip_list(struct run *run) {
    struct job_tensor x;
    return tensors_read_array(&run->r, (enum job_data)run->step->a, &x);
}
