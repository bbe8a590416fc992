/* plan_run.c - see plan.h: the steps of a plan, run over the bytes of a record. */
#include <assert.h>
#include <math.h>

#include "base/size.h"
#include "codec/decimal.h"
#include "codec/number.h"
#include "codec/plan_compile.h"
#include "codec/tensors.h"

struct frame {          /* an array or map that is being walked */
    size_t left;        /* items of this block */
    size_t total;       /* items of the blocks so far */
    const uint8_t *end; /* of the block, or NULL */
    uint64_t seen;      /* keys of the map */
};

struct run {
    struct reader r;
    const struct plan *plan;
    struct plan_out *out;
    const struct plan_step *step; /* being run */
    const uint8_t *mark;
    int depth;
    struct frame frames[AVRO_DEPTH_MAX + 1]; /* set when entered */
    size_t levels[PLAN_LEVELS_MAX + 1]; /* items of lists in lists; SIZE_MAX at first */
};

/* ---- storing ------------------------------------------------------------------------
 */

/* Where the next value of the slot goes; NULL, after an error, where there is no room. */
static inline uint8_t *next_place(struct run *run, const struct plan_slot *slot) {
    uint8_t *to = run->out->rows[slot->tensor] + slot->offset;
    uint32_t *values;
    if (LIKELY(!slot->listed)) {
        return to;
    }
    values = &run->out->values[run->step->slot];
    if (UNLIKELY(*values == slot->values_max)) {
        reader_report(&run->r, run->r.at, "more than %u values", slot->values_max);
        return NULL;
    }
    return to + slot->stride * (*values)++;
}

static bool does_not_fit(struct run *run, const struct plan_slot *slot) {
    return reader_fail(&run->r, run->r.at, "does not fit %s, which %s takes",
                       dtype_name(slot->dtype), slot->place);
}

static bool store_changed(struct run *run, const struct plan_slot *slot,
                          struct value value, uint8_t *to) {
    const char *why =
        value_store(value, slot->changes, slot->change_count, slot->dtype, to);
    return why == NULL || reader_fail(&run->r, run->r.at, "%s", why);
}

static inline bool store_real(struct run *run, double real) {
    const struct plan_slot *slot = &run->plan->slots[run->step->slot];
    uint8_t *to = next_place(run, slot);
    if (UNLIKELY(to == NULL)) {
        return false;
    }
    if (slot->change_count > 0) {
        return store_changed(run, slot, value_real(real), to);
    }
    if (LIKELY(slot->dtype == DTYPE_F32)) {
        return real_to_f32(real, (float *)(void *)to) || does_not_fit(run, slot);
    }
    return value_store_real(real, slot->dtype, to) || does_not_fit(run, slot);
}

static inline bool store_integer(struct run *run, int64_t integer) {
    const struct plan_slot *slot = &run->plan->slots[run->step->slot];
    uint8_t *to;
    if (UNLIKELY(run->step->narrow)) {
        return store_real(run, (double)(float)integer);
    }
    to = next_place(run, slot);
    if (UNLIKELY(to == NULL)) {
        return false;
    }
    if (slot->change_count > 0) {
        return store_changed(run, slot, value_integer(integer), to);
    }
    if (LIKELY(slot->dtype == DTYPE_F32)) {
        return long_to_f32(integer, (float *)(void *)to);
    }
    return value_store_integer(integer, slot->dtype, to) || does_not_fit(run, slot);
}

static bool store_text(struct run *run, struct span text) {
    const struct plan_slot *slot = &run->plan->slots[run->step->slot];
    uint8_t *to = next_place(run, slot);
    if (to == NULL) {
        return false;
    }
    if (slot->change_count > 0) {
        return store_changed(run, slot, value_text(text), to);
    }
    *(struct span *)(void *)to = text;
    return true;
}

static bool store_value(struct run *run, struct value value) {
    switch (value.kind) {
    case VALUE_INTEGER:
        return store_integer(run, value.integer);
    case VALUE_REAL:
        return store_real(run, value.real);
    case VALUE_TEXT:
        return store_text(run, value.text);
    }
    return false;
}

int plan_fallback_first(const struct plan_slot *slot) {
    int first = 0;
    while (first < slot->change_count && slot->changes[first].kind >= CHANGE_SECONDS) {
        first++;
    }
    return first;
}

const char *plan_store_fallback(const struct plan_slot *slot, void *to) {
    int first = plan_fallback_first(slot);
    return value_store(slot->fallback, slot->changes + first, slot->change_count - first,
                       slot->dtype, to);
}

static bool store_null(struct run *run) {
    const struct plan_slot *slot = &run->plan->slots[run->step->slot];
    size_t count = slot->listed && run->step->a == 0 ? slot->values_min : 1;
    if (!slot->has_fallback) {
        return reader_fail(&run->r, run->r.at,
                           "null or absent, and %s gives no default for it", slot->place);
    }
    for (size_t i = 0; i < count; i++) {
        uint8_t *to = next_place(run, slot);
        const char *why;
        if (to == NULL) {
            return false;
        }
        why = plan_store_fallback(slot, to);
        assert(why == NULL); /* check_fallback has tried it */
        (void)why;
    }
    return true;
}

/* ---- values --------------------------------------------------------------------------
 */

static inline bool take_int(struct run *run) {
    int32_t value = 0;
    return reader_int(&run->r, &value) && store_integer(run, value);
}

static inline bool take_long(struct run *run) {
    int64_t value = 0;
    return reader_long(&run->r, &value) && store_integer(run, value);
}

static inline bool take_float(struct run *run) {
    struct span bytes;
    float value;
    if (!reader_items(&run->r, 1, sizeof(value), &bytes)) {
        return false;
    }
    memcpy(&value, bytes.data, sizeof(value));
    return store_real(run, (double)value);
}

static inline bool take_double(struct run *run) {
    struct span bytes;
    double value;
    if (!reader_items(&run->r, 1, sizeof(value), &bytes)) {
        return false;
    }
    memcpy(&value, bytes.data, sizeof(value));
    return store_real(run, value);
}

static bool take_boolean(struct run *run) {
    bool value = false;
    return reader_boolean(&run->r, &value) && store_integer(run, value);
}

static bool take_enum(struct run *run) {
    const uint8_t *at = run->r.at;
    struct span text;
    int symbol = 0;
    if (!reader_enum(&run->r, (int)run->step->a, &symbol)) {
        return false;
    }
    text = run->plan->values[run->step->b + (uint32_t)symbol].text;
    if (text.data == NULL) {
        return reader_fail(&run->r, at, "enum symbol %d is none of the reader's", symbol);
    }
    return store_text(run, text);
}

/* A string, bytes or fixed, by the step's operation. */
static bool read_text(struct run *run, struct span *text) {
    enum plan_op op = (enum plan_op)run->step->op;
    if (op == PLAN_TEXT) {
        return reader_text(&run->r, 0, SIZE_MAX, text);
    }
    if (op == PLAN_FIXED || op == PLAN_RAW_FIXED || op == PLAN_DECIMAL_FIXED) {
        return reader_items(&run->r, run->step->a, 1, text);
    }
    return reader_bytes(&run->r, 0, SIZE_MAX, text);
}

static bool take_text(struct run *run) {
    struct span text;
    return read_text(run, &text) && store_text(run, text);
}

static bool take_decimal(struct run *run) {
    struct span bytes;
    return read_text(run, &bytes) &&
           store_real(run, decimal_real(bytes, (int)run->step->b));
}

/* ---- lists ---------------------------------------------------------------------------
 */

/* Lists that stand side by side in a list have one length. */
static bool check_level(struct run *run, size_t count) {
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

/* Elements of `x` into the slot's next places. */
static bool copy_list(struct run *run, struct job_tensor *x) {
    const struct plan_slot *slot = &run->plan->slots[run->step->slot];
    uint32_t *values = &run->out->values[run->step->slot];
    size_t size = dtype_size(slot->dtype);
    size_t count = x->kind == JOB_DATA_BYTES ? x->count / size : x->count;
    struct error why;
    if (count > slot->values_max - *values) {
        return reader_fail(&run->r, run->r.at, "more than %u values", slot->values_max);
    }
    x->dtype = slot->dtype;
    if (job_fill(x, slot->dtype, count,
                 run->out->rows[slot->tensor] + slot->offset + *values * size,
                 &why) != STATUS_OK) {
        return reader_fail(&run->r, run->r.at, "%s", why.text);
    }
    *values += (uint32_t)count;
    return true;
}

static bool take_list(struct run *run) {
    struct job_tensor x;
    return tensors_read_array(&run->r, (enum job_data)run->step->a, &x) &&
           check_level(run, x.count) && copy_list(run, &x);
}

static bool note_list(struct run *run) {
    const struct plan_slot *slot = &run->plan->slots[run->step->slot];
    return tensors_read_array(&run->r, (enum job_data)run->step->a,
                              &run->out->tensors[slot->tensor]);
}

/* Bytes that are the elements themselves. */
static bool take_raw(struct run *run) {
    const struct plan_slot *slot = &run->plan->slots[run->step->slot];
    struct job_tensor *noted = &run->out->tensors[slot->tensor];
    struct job_tensor x = {.kind = JOB_DATA_BYTES, .contiguous = true};
    uint32_t one = 0;
    if (!read_text(run, &x.data)) {
        return false;
    }
    x.count = x.data.size;
    if (slot->whole && run->depth == 0) {
        noted->kind = JOB_DATA_BYTES;
        noted->contiguous = true;
        noted->count = x.count;
        noted->data = x.data;
        return true;
    }
    if (!slot->listed) { /* one element, whatever was there before */
        run->out->values[run->step->slot] = one;
        if (x.count != dtype_size(slot->dtype)) {
            return reader_fail(&run->r, run->r.at, "%zu bytes for one %s", x.count,
                               dtype_name(slot->dtype));
        }
    }
    return copy_list(run, &x);
}

/* ---- walking -------------------------------------------------------------------------
 */

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

static bool skip_empties(struct reader *r) {
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
static inline bool enter_list(struct run *run, const struct plan_step **next) {
    struct frame *frame = &run->frames[run->depth];
    frame->total = 0;
    frame->seen = 0;
    if (!next_block(run, frame)) {
        return false;
    }
    if (frame->left == 0) {
        *next = &run->plan->steps[run->step->a];
        return check_level(run, 0);
    }
    run->depth++;
    return true;
}

/* On to the next item, or behind the list. */
static inline bool next_item(struct run *run, const struct plan_step **next) {
    struct frame *frame = &run->frames[run->depth - 1];
    const struct reader_block block = {frame->total, frame->end};
    if (--frame->left == 0) {
        if (!reader_block_end(&run->r, &block) || !next_block(run, frame)) {
            return false;
        }
        if (frame->left == 0) {
            run->depth--;
            return check_level(run, frame->total);
        }
    }
    *next = &run->plan->steps[run->step->a];
    return true;
}

static bool read_key(struct run *run, const struct plan_step **next) {
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

static inline bool take_branch(struct run *run, const struct plan_step **next) {
    const struct plan_step *step = run->step;
    int branch = 0;
    if (!reader_branch(&run->r, (int)step->a, &branch)) {
        return false;
    }
    *next = &run->plan->steps[run->plan->targets[step->b + (uint32_t)branch]];
    return true;
}

static inline bool skip_varints(struct reader *r, uint32_t count, bool ints) {
    for (uint32_t i = 0; i < count; i++) {
        int64_t wide;
        int32_t narrow;
        if (ints ? !reader_int(r, &narrow) : !reader_long(r, &wide)) {
            return false;
        }
    }
    return true;
}

static bool skip_bytes(struct reader *r, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        struct span bytes;
        if (!reader_bytes(r, 0, SIZE_MAX, &bytes)) {
            return false;
        }
    }
    return true;
}

static bool skip_boolean(struct reader *r) {
    bool value;
    return reader_boolean(r, &value);
}

static bool skip_enum(struct reader *r, uint32_t count) {
    int symbol;
    return reader_enum(r, (int)count, &symbol);
}

static bool skip_list(struct run *run) {
    struct job_tensor x;
    return tensors_read_array(&run->r, (enum job_data)run->step->a, &x);
}

/* ---- the loop ------------------------------------------------------------------------
 */

/* Runs one step; *next is the one behind it, and stays so where it does not jump. */
static inline bool run_step(struct run *run, const struct plan_step **next) {
    const struct plan_step *step = run->step;
    struct span skipped;
    switch ((enum plan_op)step->op) {
    case PLAN_SKIP:
        return reader_items(&run->r, step->a, 1, &skipped);
    case PLAN_SKIP_INTS:
        return skip_varints(&run->r, step->a, true);
    case PLAN_SKIP_LONGS:
        return skip_varints(&run->r, step->a, false);
    case PLAN_SKIP_BOOLEAN:
        return skip_boolean(&run->r);
    case PLAN_SKIP_BYTES:
        return skip_bytes(&run->r, step->a);
    case PLAN_SKIP_ENUM:
        return skip_enum(&run->r, step->a);
    case PLAN_SKIP_LIST:
        return skip_list(run);
    case PLAN_SKIP_EMPTIES:
        return skip_empties(&run->r);
    case PLAN_BRANCH:
        return take_branch(run, next);
    case PLAN_JUMP:
        *next = &run->plan->steps[step->a];
        return true;
    case PLAN_FAIL:
        return reader_fail(&run->r, run->r.at, "%s", run->plan->texts[step->a]);
    case PLAN_LIST:
        return enter_list(run, next);
    case PLAN_NEXT:
        return next_item(run, next);
    case PLAN_KEY:
        return read_key(run, next);
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
        return take_int(run);
    case PLAN_LONG:
        return take_long(run);
    case PLAN_FLOAT:
        return take_float(run);
    case PLAN_DOUBLE:
        return take_double(run);
    case PLAN_BOOLEAN:
        return take_boolean(run);
    case PLAN_ENUM:
        return take_enum(run);
    case PLAN_TEXT:
    case PLAN_BYTES:
    case PLAN_FIXED:
        return take_text(run);
    case PLAN_RAW:
    case PLAN_RAW_FIXED:
        return take_raw(run);
    case PLAN_DECIMAL:
    case PLAN_DECIMAL_FIXED:
        return take_decimal(run);
    case PLAN_NOTE:
        return note_list(run);
    case PLAN_COPY:
        return take_list(run);
    case PLAN_CONST:
        return store_value(run, run->plan->values[step->a]);
    case PLAN_NULL:
        return store_null(run);
    case PLAN_END:
    case PLAN_OP_COUNT:
        break;
    }
    assert(!"no such step");
    return false;
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

/* Where the float32 of a quick step goes; NULL where a list has no room for it. */
ALWAYS_INLINE float *quick_place(const struct plan_step *step,
                                 const struct plan_out *out) {
    uint8_t *to = out->rows[step->tensor] + step->offset;
    uint32_t *values;
    if (step->listed) {
        values = &out->values[step->slot];
        if (UNLIKELY(*values == step->b)) {
            return NULL;
        }
        to += sizeof(float) * (*values)++;
    }
    return (float *)(void *)to;
}

ALWAYS_INLINE bool quick_store(const struct plan_step *step, const struct plan_out *out,
                               float value) {
    float *to = quick_place(step, out);
    if (UNLIKELY(to == NULL)) {
        return false;
    }
    *to = value;
    return true;
}

/* A varint, as that of an int or long; NULL where it is none. */
ALWAYS_INLINE const uint8_t *quick_integer(const struct plan_step *step,
                                           const struct plan_out *out, const uint8_t *at,
                                           const uint8_t *end) {
    struct varint v = varint_read(at, end);
    int64_t integer = varint_zigzag(v.value);
    bool narrow = step->quick == PLAN_QUICK_INT;
    if (UNLIKELY(v.next == NULL ||
                 (narrow && (integer < INT32_MIN || integer > INT32_MAX)))) {
        return NULL;
    }
    return quick_store(step, out, (float)integer) ? v.next : NULL;
}

ALWAYS_INLINE const uint8_t *quick_double(const struct plan_step *step,
                                          const struct plan_out *out, const uint8_t *at) {
    double wide;
    float narrow;
    memcpy(&wide, at, sizeof(wide));
    return real_to_f32(wide, &narrow) && quick_store(step, out, narrow)
               ? at + sizeof(wide)
               : NULL;
}

/* A string's or bytes' end, not looked into; NULL where it is none. */
ALWAYS_INLINE const uint8_t *quick_bytes(const uint8_t *at, const uint8_t *end) {
    struct varint v = varint_read(at, end);
    size_t size = (size_t)(v.value >> 1);
    if (UNLIKELY(v.next == NULL || (v.value & 1) != 0 || size > (size_t)(end - v.next))) {
        return NULL;
    }
    return v.next + size;
}

/* Tries the quick form of a step and returns the place behind what it has read; NULL,
 * with nothing done, where that does not go. */
ALWAYS_INLINE const uint8_t *run_quick(const struct plan *plan,
                                       const struct plan_step *step,
                                       const struct plan_out *out, const uint8_t *at,
                                       const uint8_t *end,
                                       const struct plan_step **next) {
    size_t left = (size_t)(end - at);
    float narrow;
    switch ((enum plan_quick)step->quick) {
    case PLAN_QUICK_NONE:
        return NULL;
    case PLAN_QUICK_SKIP:
        return step->a <= left ? at + step->a : NULL;
    case PLAN_QUICK_BYTES:
        return quick_bytes(at, end);
    case PLAN_QUICK_BRANCH:
        if (left == 0 || (*at & 0x81) != 0 || *at >> 1 >= step->a) {
            return NULL;
        }
        *next = &plan->steps[plan->targets[step->b + (*at >> 1)]];
        return at + 1;
    case PLAN_QUICK_JUMP:
        *next = &plan->steps[step->a];
        return at;
    case PLAN_QUICK_INT:
    case PLAN_QUICK_LONG:
        return quick_integer(step, out, at, end);
    case PLAN_QUICK_FLOAT:
        if (left < sizeof(narrow)) {
            return NULL;
        }
        memcpy(&narrow, at, sizeof(narrow));
        return quick_store(step, out, narrow) ? at + sizeof(narrow) : NULL;
    case PLAN_QUICK_DOUBLE:
        return left >= sizeof(double) ? quick_double(step, out, at) : NULL;
    case PLAN_QUICK_BOOLEAN:
        return left > 0 && *at <= 1 && quick_store(step, out, (float)*at) ? at + 1 : NULL;
    case PLAN_QUICK_NULL:
        memcpy(&narrow, &step->c, sizeof(narrow));
        return quick_store(step, out, narrow) ? at : NULL;
    }
    return NULL;
}

static bool run_steps(struct run *run) {
    const struct plan *plan = run->plan;
    const struct plan_out *out = run->out;
    const uint8_t *at = run->r.at, *end = run->r.end;
    const struct plan_step *next = plan->steps;
    for (int i = 0; i < plan->list_count; i++) {
        out->values[plan->lists[i]] = 0;
    }
    while (next->op != PLAN_END) {
        const struct plan_step *step = next++;
        const uint8_t *behind = run_quick(plan, step, out, at, end, &next);
        if (LIKELY(behind != NULL)) {
            at = behind;
            continue;
        }
        run->step = step;
        run->r.field = step->path;
        run->r.at = at;
        if (UNLIKELY(!run_step(run, &next))) {
            return false;
        }
        at = run->r.at;
    }
    run->r.at = at;
    return check_lists(run);
}

static void run_init(struct run *run, const struct plan *plan, struct span message,
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

enum status plan_run_next(const struct plan *plan, struct span message,
                          struct plan_out *out, size_t *size, struct error *err) {
    struct run run;
    run_init(&run, plan, message, out, err);
    if (!run_steps(&run)) {
        return STATUS_POISON;
    }
    *size = (size_t)(run.r.at - run.r.begin);
    return STATUS_OK;
}

enum status plan_run(const struct plan *plan, struct span message, struct plan_out *out,
                     struct error *err) {
    struct run run;
    run_init(&run, plan, message, out, err);
    if (!run_steps(&run)) {
        return STATUS_POISON;
    }
    if (run.r.at != run.r.end) {
        run.r.field = NULL;
        reader_report(&run.r, run.r.at, "%zu bytes behind the record",
                      reader_left(&run.r));
        return STATUS_POISON;
    }
    return STATUS_OK;
}
