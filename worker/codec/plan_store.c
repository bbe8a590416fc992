/* plan_store.c - see plan_run.h: values read from the record and stored in its places. */
#include <assert.h>
#include <math.h>

#include "codec/decimal.h"
#include "codec/number.h"
#include "codec/plan_run.h"
#include "codec/tensors.h"

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

bool run_store_value(struct run *run, struct value value) {
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

bool run_store_null(struct run *run) {
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

bool run_take_int(struct run *run) {
    int32_t value = 0;
    return reader_int(&run->r, &value) && store_integer(run, value);
}

bool run_take_long(struct run *run) {
    int64_t value = 0;
    return reader_long(&run->r, &value) && store_integer(run, value);
}

bool run_take_float(struct run *run) {
    struct span bytes;
    float value;
    if (!reader_items(&run->r, 1, sizeof(value), &bytes)) {
        return false;
    }
    memcpy(&value, bytes.data, sizeof(value));
    return store_real(run, (double)value);
}

bool run_take_double(struct run *run) {
    struct span bytes;
    double value;
    if (!reader_items(&run->r, 1, sizeof(value), &bytes)) {
        return false;
    }
    memcpy(&value, bytes.data, sizeof(value));
    return store_real(run, value);
}

bool run_take_boolean(struct run *run) {
    bool value = false;
    return reader_boolean(&run->r, &value) && store_integer(run, value);
}

bool run_take_enum(struct run *run) {
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

bool run_take_text(struct run *run) {
    struct span text;
    return read_text(run, &text) && store_text(run, text);
}

bool run_take_decimal(struct run *run) {
    struct span bytes;
    return read_text(run, &bytes) &&
           store_real(run, decimal_real(bytes, (int)run->step->b));
}

/* ---- lists ---------------------------------------------------------------------------
 */

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

bool run_take_list(struct run *run) {
    struct job_tensor x;
    return tensors_read_array(&run->r, (enum job_data)run->step->a, &x) &&
           run_check_level(run, x.count) && copy_list(run, &x);
}

bool run_note_list(struct run *run) {
    const struct plan_slot *slot = &run->plan->slots[run->step->slot];
    return tensors_read_array(&run->r, (enum job_data)run->step->a,
                              &run->out->tensors[slot->tensor]);
}

/* Bytes that are the elements themselves. */
bool run_take_raw(struct run *run) {
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
