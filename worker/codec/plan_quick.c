/* plan_quick.c - see plan_quick.h: which steps have a quick form. */
#include "codec/plan_quick.h"

#include <assert.h>

#define ROW_STEPS_MIN 2    /* one alone is quicker by itself */
#define ROW_SIZE_MAX 65536 /* bytes */

/* Those that store one float32, and those that walk. */
static const uint8_t stores[PLAN_OP_COUNT] = {
    [PLAN_INT] = QUICK_INT,         [PLAN_LONG] = QUICK_LONG,
    [PLAN_FLOAT] = QUICK_FLOAT,     [PLAN_DOUBLE] = QUICK_DOUBLE,
    [PLAN_BOOLEAN] = QUICK_BOOLEAN, [PLAN_NULL] = QUICK_NULL,
};
static const uint8_t walks[PLAN_OP_COUNT] = {
    [PLAN_SKIP] = QUICK_SKIP,
    [PLAN_SKIP_INTS] = QUICK_SKIP_INTS,
    [PLAN_SKIP_LONGS] = QUICK_SKIP_LONGS,
    [PLAN_JUMP] = QUICK_JUMP,
};

/* A slot whose places fit the fields of a quick step. */
static bool set_place(struct quick_step *quick, const struct plan_step *step,
                      const struct plan_slot *slot) {
    if (slot->change_count > 0 || slot->dtype != DTYPE_F32 || step->narrow ||
        slot->offset > UINT32_MAX || slot->tensor > UINT8_MAX) {
        return false;
    }
    quick->offset = (uint32_t)slot->offset;
    quick->tensor = (uint8_t)slot->tensor;
    quick->listed = slot->listed;
    quick->slot = step->slot;
    quick->values_max = slot->values_max;
    return true;
}

static void set_store(struct quick_step *quick, const struct plan_step *step,
                      const struct plan_slot *slot) {
    const char *why;
    if (step->op == PLAN_NULL &&
        (!slot->has_fallback || (slot->listed && step->a == 0))) {
        return;
    }
    if (!set_place(quick, step, slot)) {
        return;
    }
    quick->op = stores[step->op];
    if (step->op == PLAN_NULL) {
        why = plan_store_fallback(slot, &quick->fallback);
        assert(why == NULL); /* check_fallback has tried it */
        (void)why;
    }
}

/* Whole lists. */
static void set_array(struct quick_step *quick, const struct plan_step *step,
                      const struct plan_slot *slot) {
    bool floats = step->a == JOB_DATA_FLOATS;
    if (step->op == PLAN_COPY) {
        bool fits = floats && step->c == 0 && set_place(quick, step, slot);
        quick->op = fits ? QUICK_FLOATS : QUICK_NONE;
    } else if (slot->tensor <= UINT8_MAX && (floats || step->a == JOB_DATA_DOUBLES)) {
        quick->op = QUICK_NOTE;
        quick->tensor = (uint8_t)slot->tensor;
        quick->a = floats ? sizeof(float) : sizeof(double);
        quick->b = step->a;
    }
}

static void set_quick(const struct plan *plan, const struct plan_step *step,
                      struct quick_step *quick) {
    const struct plan_slot *slot = &plan->slots[step->slot];
    quick->a = step->a;
    quick->b = step->b;
    if (step->op == PLAN_JUMP || step->op == PLAN_LIST || step->op == PLAN_NEXT) {
        quick->a = (uint32_t)(&plan->steps[step->a] - step);
    }
    switch ((enum plan_op)step->op) {
    case PLAN_SKIP_BYTES:
        quick->op = step->a == 1 ? QUICK_BYTES : QUICK_NONE;
        break;
    case PLAN_SKIP_BOOLEAN:
        quick->op = QUICK_SKIP_BOOLEAN;
        break;
    case PLAN_SKIP_ENUM:
    case PLAN_BRANCH:
        if (step->a <= QUICK_BRANCHES_MAX) {
            quick->op = step->op == PLAN_BRANCH ? QUICK_BRANCH : QUICK_SKIP_ENUM;
        }
        break;
    case PLAN_LIST:
    case PLAN_NEXT:
        if (step->b > 0 && step->c == 0) {
            quick->op = step->op == PLAN_LIST ? QUICK_LIST : QUICK_NEXT;
        }
        break;
    case PLAN_NOTE:
    case PLAN_COPY:
        set_array(quick, step, slot);
        break;
    case PLAN_RAW:
        if (slot->whole && slot->tensor <= UINT8_MAX) {
            quick->op = QUICK_RAW;
            quick->tensor = (uint8_t)slot->tensor;
        }
        break;
    case PLAN_SKIP:
    case PLAN_SKIP_INTS:
    case PLAN_SKIP_LONGS:
    case PLAN_JUMP:
        quick->op = walks[step->op];
        break;
    case PLAN_INT:
    case PLAN_LONG:
    case PLAN_FLOAT:
    case PLAN_DOUBLE:
    case PLAN_BOOLEAN:
    case PLAN_NULL:
        set_store(quick, step, slot);
        break;
    case PLAN_END:
        quick->op = QUICK_END;
        break;
    case PLAN_SKIP_LIST:
    case PLAN_SKIP_EMPTIES:
    case PLAN_FAIL:
    case PLAN_KEY:
    case PLAN_ABSENT:
    case PLAN_MARK:
    case PLAN_REWIND:
    case PLAN_ENUM:
    case PLAN_TEXT:
    case PLAN_BYTES:
    case PLAN_FIXED:
    case PLAN_RAW_FIXED:
    case PLAN_DECIMAL:
    case PLAN_DECIMAL_FIXED:
    case PLAN_CONST:
    case PLAN_OP_COUNT:
        break;
    }
}

/* ---- unions -------------------------------------------------------------------------
 */

/* The step behind the union: the last branch falls through to it, those before jump. */
static uint32_t union_end(const struct plan *plan, const struct plan_step *branch) {
    uint32_t last = plan->targets[branch->b + branch->a - 1];
    const struct plan_step *jump = &plan->steps[last - 1];
    return branch->a > 1 && jump->op == PLAN_JUMP ? jump->a : 0;
}

/* Is the branch at `at` one step, and then behind the union? */
static bool stands_alone(const struct plan *plan, uint32_t at, uint32_t end) {
    const struct plan_step *behind = &plan->steps[at + 1];
    return at + 1 == end || (behind->op == PLAN_JUMP && behind->a == end);
}

/* A union of null and a value becomes one step; other branches are left to PLAN_BRANCH.
 */
static void set_maybe(const struct plan *plan, uint32_t index) {
    const struct plan_step *branch = &plan->steps[index];
    struct quick_step *quick = &plan->quick[index];
    struct quick_step one = {.op = QUICK_NONE, .null_index = QUICK_BRANCH_NEVER};
    uint32_t end = union_end(plan, branch);
    for (uint32_t i = 0; i < branch->a; i++) {
        uint32_t at = plan->targets[branch->b + i];
        const struct quick_step *it = &plan->quick[at];
        if (one.op == QUICK_NONE && at < end && it->op >= QUICK_INT &&
            it->op <= QUICK_BYTES && stands_alone(plan, at, end)) {
            one = *it;
            one.null_index = QUICK_BRANCH_NEVER;
            one.value_index = (uint8_t)(2 * i);
        }
    }
    if (one.op == QUICK_NONE) {
        return;
    }
    for (uint32_t i = 0; i < branch->a; i++) {
        uint32_t at = plan->targets[branch->b + i];
        const struct quick_step *it = &plan->quick[at];
        bool same = at < end && it->op == QUICK_NULL && one.op < QUICK_SKIP &&
                    it->slot == one.slot && stands_alone(plan, at, end);
        if (same || (at == end && one.op >= QUICK_SKIP)) {
            one.null_index = (uint8_t)(2 * i);
            one.fallback = it->fallback;
        }
    }
    one.op = (uint8_t)QUICK_MAYBE(one.op);
    one.next = end - index;
    *quick = one;
}

/* ---- fields of known sizes ----------------------------------------------------------
 */

/* Bytes of the field, or 0 for one that a row cannot hold. */
static uint32_t fixed_size(const struct quick_step *quick) {
    switch ((int)quick->op) {
    case QUICK_DOUBLE:
        return quick->listed ? 0 : sizeof(double);
    case QUICK_FLOAT:
        return quick->listed ? 0 : sizeof(float);
    case QUICK_BOOLEAN:
        return quick->listed ? 0 : 1;
    case QUICK_SKIP:
        return quick->a <= ROW_SIZE_MAX ? quick->a : 0;
    default:
        return 0;
    }
}

/* How many steps from `index` on make a row; *row and *tensor say which. */
static uint32_t row_steps(const struct plan *plan, uint32_t index, struct quick_row *row,
                          uint8_t *tensor) {
    uint32_t i = index;
    bool chosen = false;
    *row = (struct quick_row){.size = 0};
    for (; i < plan->step_count; i++) {
        const struct quick_step *quick = &plan->quick[i];
        uint32_t size = fixed_size(quick);
        if (size == 0 || row->size + size > ROW_SIZE_MAX ||
            (quick->op != QUICK_SKIP && chosen && quick->tensor != *tensor)) {
            break;
        }
        if (quick->op != QUICK_SKIP) {
            chosen = true;
            *tensor = quick->tensor;
        }
        row->double_count += quick->op == QUICK_DOUBLE;
        row->float_count += quick->op == QUICK_FLOAT;
        row->boolean_count += quick->op == QUICK_BOOLEAN;
        row->size += size;
    }
    return chosen && i - index >= ROW_STEPS_MIN ? i - index : 0;
}

static void set_fields(const struct plan *plan, uint32_t index, uint32_t count,
                       struct quick_field *fields) {
    static const uint8_t ops[] = {QUICK_DOUBLE, QUICK_FLOAT, QUICK_BOOLEAN};
    for (size_t k = 0; k < ARRAY_COUNT(ops); k++) {
        uint32_t from = 0;
        for (uint32_t i = index; i < index + count; i++) {
            if (plan->quick[i].op == ops[k]) {
                *fields++ = (struct quick_field){from, plan->quick[i].offset};
            }
            from += fixed_size(&plan->quick[i]);
        }
    }
}

/* Only a row's first step is another one then: who jumps to a later one finds that. */
static bool set_rows(struct plan *plan) {
    uint32_t row_count = 0, steps;
    struct quick_field *fields =
        arena_alloc(&plan->arena, plan->step_count, sizeof(*fields));
    plan->rows = arena_alloc(&plan->arena, plan->step_count / ROW_STEPS_MIN + 1,
                             sizeof(*plan->rows));
    if (fields == NULL || plan->rows == NULL) {
        return false;
    }
    for (uint32_t i = 0; i<plan->step_count; i += steps> 0 ? steps : 1) {
        struct quick_row *row = &plan->rows[row_count];
        uint8_t tensor = 0;
        steps = row_steps(plan, i, row, &tensor);
        if (steps > 0) {
            set_fields(plan, i, steps, fields);
            row->fields = fields;
            fields += row->double_count + row->float_count + row->boolean_count;
            plan->quick[i] = (struct quick_step){
                .op = QUICK_ROW, .tensor = tensor, .a = row_count++, .next = steps};
        }
    }
    return true;
}

/* What run_noted does not know is not noted: see there. */
static bool is_noted(const struct plan *plan) {
    int notes = 0;
    for (uint32_t i = 0; i + 1 < plan->step_count; i++) {
        uint8_t op = plan->quick[i].op;
        if (op == QUICK_NOTE || op == QUICK_RAW) {
            notes++;
        } else if (op != QUICK_BYTES && op != QUICK_SKIP) {
            return false;
        }
    }
    return notes == plan->tensor_count;
}

enum status plan_set_quick(struct plan *plan, struct error *err) {
    plan->quick = arena_alloc(&plan->arena, plan->step_count, sizeof(*plan->quick));
    if (plan->quick == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a plan");
    }
    for (uint32_t i = 0; i < plan->step_count; i++) {
        plan->quick[i] = (struct quick_step){.op = QUICK_NONE};
        set_quick(plan, &plan->steps[i], &plan->quick[i]);
    }
    for (uint32_t i = 0; i < plan->step_count; i++) {
        if (plan->quick[i].op == QUICK_BRANCH) {
            set_maybe(plan, i);
        }
    }
    plan->noted = is_noted(plan);
    return set_rows(plan) ? STATUS_OK
                          : error_set(err, STATUS_NO_MEMORY, "no memory for a plan");
}
