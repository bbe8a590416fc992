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
ALWAYS_INLINE const uint8_t *run_quick(struct run *run, const struct plan *plan,
                                       const struct plan_out *out,
                                       const struct quick_step *step, const uint8_t *at,
                                       const uint8_t *end,
                                       const struct quick_step **next) {
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
        *next = &plan->quick[plan->targets[step->b + (*at >> 1)]];
        return at + 1;
    case QUICK_JUMP:
        *next = step + (int32_t)step->a;
        return at;
    case QUICK_LIST:
        return quick_list(step, run, at, end, next);
    case QUICK_NEXT:
        return quick_next(step, run, at, end, next);
    case QUICK_ROW:
        at = quick_row(&plan->rows[step->a], out->rows[step->tensor], at, end);
        *next = at != NULL ? step + step->next : *next;
        return at;
    case QUICK_NOTE:
        return quick_note(step, out, at, end);
    case QUICK_RAW:
        return run->depth == 0 ? quick_raw(step, out, at, end) : NULL;
    case QUICK_FLOATS:
        return quick_floats(step, out, at, end);
    }
    return NULL;
}

/* Runs the step itself, where its quick form has not gone, from run->r.at to there, and
 * returns the next; NULL after an error. */
NEVER_INLINE static const struct quick_step *run_slow(struct run *run,
                                                      const struct quick_step *quick) {
    const struct plan *plan = run->plan;
    const struct plan_step *to;
    run->step = &plan->steps[quick - plan->quick];
    run->r.field = run->step->path;
    to = run->step + 1;
    return LIKELY(run_step(run, &to)) ? &plan->quick[to - plan->steps] : NULL;
}

/* Most records have no such step: the reader is made for the first. */
NEVER_INLINE static void run_init(struct run *run, const struct plan *plan,
                                  struct plan_out *out, struct span message,
                                  struct error *err) {
    reader_init(&run->r, message, err);
    run->plan = plan;
    run->out = out;
    for (int i = 1; i <= plan->level_count; i++) {
        run->levels[i] = SIZE_MAX;
    }
}

static inline bool check_lists(const struct plan *plan, const struct plan_out *out,
                               struct error *err) {
    for (int i = 0; i < plan->list_count; i++) {
        const struct plan_slot *slot = &plan->slots[plan->lists[i]];
        uint32_t values = out->values[plan->lists[i]];
        bool noted = slot->whole && out->tensors[slot->tensor].kind != JOB_DATA_STAGED;
        if (UNLIKELY(!noted && values < slot->values_min)) {
            (void)error_set(err, STATUS_POISON, "%s: %u values, but %u are needed",
                            slot->place, values, slot->values_min);
            return false;
        }
    }
    return true;
}

NEVER_INLINE static enum status fail_behind(struct span message, size_t at,
                                            struct error *err) {
    struct reader r;
    reader_init(&r, message, err);
    reader_report(&r, r.begin + at, "%zu bytes behind the record", message.size - at);
    return STATUS_POISON;
}

NEVER_INLINE static enum status run_steps(const struct plan *plan, struct span message,
                                          struct plan_out *out, size_t *size,
                                          struct error *err) {
    const uint8_t *begin = reader_begin(message);
    const uint8_t *at = begin, *end = begin + message.size;
    const struct quick_step *next = plan->quick;
    struct run run;
    run.plan = NULL;
    run.depth = 0;
    for (int i = 0; i < plan->tensor_count; i++) {
        out->tensors[i].kind = JOB_DATA_STAGED;
    }
    for (int i = 0; i < plan->list_count; i++) {
        out->values[plan->lists[i]] = 0;
    }
    for (;;) {
        const struct quick_step *quick = next++;
        const uint8_t *behind = run_quick(&run, plan, out, quick, at, end, &next);
        if (LIKELY(behind != NULL)) {
            at = behind;
        } else if (quick->op == QUICK_END) {
            break;
        } else {
            if (run.plan == NULL) {
                run_init(&run, plan, out, message, err);
            }
            run.r.at = at;
            next = run_slow(&run, quick);
            if (UNLIKELY(next == NULL)) {
                return STATUS_POISON;
            }
            at = run.r.at;
        }
    }
    *size = (size_t)(at - begin);
    return check_lists(plan, out, err) ? STATUS_OK : STATUS_POISON;
}

/* A record of plan->noted: what is behind it, or NULL where something is not as it should
 * be or is rare.  The row that was copied before keeps the processor at one store a cycle
 * for longer than this takes, so that stores are all that it costs: it makes those of the
 * notes, calls nothing and saves no register. */
ALWAYS_INLINE const uint8_t *run_noted(const struct plan *plan, struct span message,
                                       const struct plan_out *out) {
    const uint8_t *at = message.data, *end = at + message.size;
    for (const struct quick_step *step = plan->quick; at != NULL; step++) {
        struct span bytes;
        switch ((int)step->op) {
        case QUICK_END:
            return at;
        case QUICK_SKIP:
            at = quick_value(QUICK_SKIP, step, out, at, end);
            break;
        case QUICK_NOTE:
            at = quick_note(step, out, at, end);
            break;
        default: /* QUICK_RAW and QUICK_BYTES */
            at = quick_bytes(at, end, &bytes);
            if (step->op == QUICK_RAW && at != NULL) {
                quick_set_raw(step, out, bytes);
            }
        }
    }
    return NULL;
}

enum status plan_run_next(const struct plan *plan, struct span message,
                          struct plan_out *out, size_t *size, struct error *err) {
    assert(message.size <= READER_MESSAGE_SIZE_MAX);
    if (plan->noted && message.size > 0) {
        const uint8_t *behind = run_noted(plan, message, out);
        if (LIKELY(behind != NULL)) {
            *size = (size_t)(behind - message.data);
            return STATUS_OK;
        }
    }
    return run_steps(plan, message, out, size, err);
}

NEVER_INLINE static enum status run_all(const struct plan *plan, struct span message,
                                        struct plan_out *out, struct error *err) {
    size_t size;
    enum status status = run_steps(plan, message, out, &size, err);
    return status != STATUS_OK || size == message.size ? status
                                                       : fail_behind(message, size, err);
}

enum status plan_run(const struct plan *plan, struct span message, struct plan_out *out,
                     struct error *err) {
    assert(message.size <= READER_MESSAGE_SIZE_MAX);
    if (plan->noted && message.size > 0 &&
        LIKELY(run_noted(plan, message, out) == message.data + message.size)) {
        return STATUS_OK;
    }
    return run_all(plan, message, out, err);
}
