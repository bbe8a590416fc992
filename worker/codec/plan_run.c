/* plan_run.c - see plan.h: the steps of a plan, run over the bytes of a record. */
#include <assert.h>

#include "codec/plan_quick.h"

/* Runs one step; *next is the one behind it, and stays so where it does not jump. */
static inline bool run_step(struct run *run, const struct plan_step **next) {
    const struct plan_step *step = run->step;
    struct span skipped;
    switch ((enum plan_op)step->op) {
    case PLAN_SKIP:
        return reader_items(&run->r, step->a, 1, &skipped);
    case PLAN_SKIP_INTS:
        return run_skip_varints(&run->r, step->a, true);
    case PLAN_SKIP_LONGS:
        return run_skip_varints(&run->r, step->a, false);
    case PLAN_SKIP_BOOLEAN:
        return run_skip_boolean(&run->r);
    case PLAN_SKIP_BYTES:
        return run_skip_bytes(&run->r, step->a);
    case PLAN_SKIP_ENUM:
        return run_skip_enum(&run->r, step->a);
    case PLAN_SKIP_LIST:
        return run_skip_list(run);
    case PLAN_SKIP_EMPTIES:
        return run_skip_empties(&run->r);
    case PLAN_BRANCH:
        return run_take_branch(run, next);
    case PLAN_JUMP:
        *next = &run->plan->steps[step->a];
        return true;
    case PLAN_FAIL:
        return reader_fail(&run->r, run->r.at, "%s", run->plan->texts[step->a]);
    case PLAN_LIST:
        return run_enter_list(run, next);
    case PLAN_NEXT:
        return run_next_item(run, next);
    case PLAN_KEY:
        return run_read_key(run, next);
    case PLAN_ABSENT:
        if ((run->frames[run->depth].seen >> step->a & 1) != 0) {
            *next = &run->plan->steps[step->b];
        }
        return true;
    case PLAN_MARK:
        run->mark = run->r.at;
        return true;
    case PLAN_REWIND:
        run->r.at = run->mark;
        return true;
    case PLAN_INT:
        return run_take_int(run);
    case PLAN_LONG:
        return run_take_long(run);
    case PLAN_FLOAT:
        return run_take_float(run);
    case PLAN_DOUBLE:
        return run_take_double(run);
    case PLAN_BOOLEAN:
        return run_take_boolean(run);
    case PLAN_ENUM:
        return run_take_enum(run);
    case PLAN_TEXT:
    case PLAN_BYTES:
    case PLAN_FIXED:
        return run_take_text(run);
    case PLAN_RAW:
    case PLAN_RAW_FIXED:
        return run_take_raw(run);
    case PLAN_DECIMAL:
    case PLAN_DECIMAL_FIXED:
        return run_take_decimal(run);
    case PLAN_NOTE:
        return run_note_list(run);
    case PLAN_COPY:
        return run_take_list(run);
    case PLAN_CONST:
        return run_store_value(run, run->plan->values[step->a]);
    case PLAN_NULL:
        return run_store_null(run);
    case PLAN_END:
    case PLAN_OP_COUNT:
        break;
    }
    assert(!"no such step");
    return false;
}

/* Tries the quick form of a step and returns the place behind what it has read; NULL,
 * with nothing done, where that does not go. */
ALWAYS_INLINE const uint8_t *run_quick(struct run *run, const struct quick_step *step,
                                       const uint8_t *at, const uint8_t *end,
                                       const struct quick_step **next) {
    const struct plan_out *out = run->out;
    switch ((enum quick_op)step->op) {
    case QUICK_NONE:
    case QUICK_END:
        return NULL;
    case QUICK_INT:
        return quick_value(QUICK_INT, step, out, at, end);
    case QUICK_LONG:
        return quick_value(QUICK_LONG, step, out, at, end);
    case QUICK_FLOAT:
        return quick_value(QUICK_FLOAT, step, out, at, end);
    case QUICK_DOUBLE:
        return quick_value(QUICK_DOUBLE, step, out, at, end);
    case QUICK_BOOLEAN:
        return quick_value(QUICK_BOOLEAN, step, out, at, end);
    case QUICK_SKIP:
        return quick_value(QUICK_SKIP, step, out, at, end);
    case QUICK_BYTES:
        return quick_value(QUICK_BYTES, step, out, at, end);
    case QUICK_MAYBE_INT:
        return quick_maybe(QUICK_INT, step, out, at, end, next);
    case QUICK_MAYBE_LONG:
        return quick_maybe(QUICK_LONG, step, out, at, end, next);
    case QUICK_MAYBE_FLOAT:
        return quick_maybe(QUICK_FLOAT, step, out, at, end, next);
    case QUICK_MAYBE_DOUBLE:
        return quick_maybe(QUICK_DOUBLE, step, out, at, end, next);
    case QUICK_MAYBE_BOOLEAN:
        return quick_maybe(QUICK_BOOLEAN, step, out, at, end, next);
    case QUICK_MAYBE_SKIP:
        return quick_maybe(QUICK_SKIP, step, out, at, end, next);
    case QUICK_MAYBE_BYTES:
        return quick_maybe(QUICK_BYTES, step, out, at, end, next);
    case QUICK_NULL:
        return quick_store(step, out, step->fallback) ? at : NULL;
    case QUICK_SKIP_INTS:
        return quick_varints(at, end, step->a, UINT32_MAX);
    case QUICK_SKIP_LONGS:
        return quick_varints(at, end, step->a, UINT64_MAX);
    case QUICK_SKIP_BOOLEAN:
        return at < end && *at <= 1 ? at + 1 : NULL;
    case QUICK_SKIP_ENUM:
        return quick_is_index(at, end, step->a) ? at + 1 : NULL;
    case QUICK_BRANCH:
        if (!quick_is_index(at, end, step->a)) {
            return NULL;
        }
        *next = &run->plan->quick[run->plan->targets[step->b + (*at >> 1)]];
        return at + 1;
    case QUICK_JUMP:
        *next = step + (int32_t)step->a;
        return at;
    case QUICK_LIST:
        return quick_list(step, run, at, end, next);
    case QUICK_NEXT:
        return quick_next(step, run, at, end, next);
    case QUICK_ROW:
        at = quick_row(&run->plan->rows[step->a], out->rows[step->tensor], at, end);
        *next = at != NULL ? step + step->next : *next;
        return at;
    case QUICK_NOTE:
        return quick_note(step, out, at, end);
    case QUICK_RAW:
        return quick_raw(step, run, at, end);
    case QUICK_FLOATS:
        return quick_floats(step, out, at, end);
    }
    return NULL;
}

static bool check_lists(struct run *run) {
    const struct plan *plan = run->plan;
    for (int i = 0; i < plan->list_count; i++) {
        const struct plan_slot *slot = &plan->slots[plan->lists[i]];
        uint32_t values = run->out->values[plan->lists[i]];
        bool noted =
            slot->whole && run->out->tensors[slot->tensor].kind != JOB_DATA_STAGED;
        if (!noted && values < slot->values_min) {
            (void)error_set(run->r.err, STATUS_POISON, "%s: %u values, but %u are needed",
                            slot->place, values, slot->values_min);
            return false;
        }
    }
    return true;
}

static inline bool run_steps(struct run *run) {
    const struct plan *plan = run->plan;
    const uint8_t *at = run->r.at, *end = run->r.end;
    const struct quick_step *next = plan->quick;
    for (int i = 0; i < plan->list_count; i++) {
        run->out->values[plan->lists[i]] = 0;
    }
    for (;;) {
        const struct quick_step *quick = next++;
        const uint8_t *behind = run_quick(run, quick, at, end, &next);
        const struct plan_step *to;
        if (LIKELY(behind != NULL)) {
            at = behind;
            continue;
        }
        if (quick->op == QUICK_END) {
            break;
        }
        run->step = &plan->steps[quick - plan->quick];
        run->r.field = run->step->path;
        run->r.at = at;
        to = run->step + 1;
        if (UNLIKELY(!run_step(run, &to))) {
            return false;
        }
        next = &plan->quick[to - plan->steps];
        at = run->r.at;
    }
    run->r.at = at;
    return check_lists(run);
}

static inline void run_init(struct run *run, const struct plan *plan, struct span message,
                            struct plan_out *out, struct error *err) {
    reader_init(&run->r, message, err);
    run->plan = plan;
    run->out = out;
    run->depth = 0;
    run->mark = run->r.at;
    for (int i = 1; i <= plan->level_count; i++) {
        run->levels[i] = SIZE_MAX;
    }
    for (int i = 0; i < plan->tensor_count; i++) {
        out->tensors[i].kind = JOB_DATA_STAGED;
    }
}

/* `size` is NULL where nothing may stand behind the record. */
static enum status run_plan(const struct plan *plan, struct span message,
                            struct plan_out *out, size_t *size, struct error *err) {
    struct run run;
    run_init(&run, plan, message, out, err);
    if (!run_steps(&run)) {
        return STATUS_POISON;
    }
    if (size != NULL) {
        *size = (size_t)(run.r.at - run.r.begin);
    } else if (run.r.at != run.r.end) {
        run.r.field = NULL;
        reader_report(&run.r, run.r.at, "%zu bytes behind the record",
                      reader_left(&run.r));
        return STATUS_POISON;
    }
    return STATUS_OK;
}

enum status plan_run_next(const struct plan *plan, struct span message,
                          struct plan_out *out, size_t *size, struct error *err) {
    return run_plan(plan, message, out, size, err);
}

enum status plan_run(const struct plan *plan, struct span message, struct plan_out *out,
                     struct error *err) {
    return run_plan(plan, message, out, NULL, err);
}
