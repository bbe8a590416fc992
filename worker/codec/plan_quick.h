/* plan_quick.h - the commonest cases of a plan's steps, done without the reader.
 *
 * Every step has a quick form beside it, of the same number, which may be QUICK_NONE.  A
 * quick form only tries: whatever is not as it should be, or is rare, it leaves to the
 * step itself, which then finds the record as if nobody had looked.  So every check is
 * made here or there, and errors are told there alone.
 *
 * A union of null and one value is one quick step, QUICK_MAYBE_..., at its PLAN_BRANCH.
 *
 * Inside plan_*.c only: made by plan_quick.c, run by the loop of plan_run.c.
 *
 * Depends on: codec/plan_run.h.
 * Ownership: all in the plan's arena. */
#ifndef MILLRACE_CODEC_PLAN_QUICK_H
#define MILLRACE_CODEC_PLAN_QUICK_H

#include <math.h>

#include "base/copy.h"
#include "codec/number.h"
#include "codec/plan_run.h"

enum quick_op {
    QUICK_NONE,
    QUICK_END,
    QUICK_INT, /* one value to one float32, without changes: in the order of the MAYBEs */
    QUICK_LONG,
    QUICK_FLOAT,
    QUICK_DOUBLE,
    QUICK_BOOLEAN,
    QUICK_SKIP,  /* past a bytes */
    QUICK_BYTES, /* past one string */
    QUICK_MAYBE_INT,
    QUICK_MAYBE_LONG,
    QUICK_MAYBE_FLOAT,
    QUICK_MAYBE_DOUBLE,
    QUICK_MAYBE_BOOLEAN,
    QUICK_MAYBE_SKIP,
    QUICK_MAYBE_BYTES,
    QUICK_NULL,
    QUICK_SKIP_INTS, /* past a of them */
    QUICK_SKIP_LONGS,
    QUICK_SKIP_BOOLEAN,
    QUICK_SKIP_ENUM, /* of a symbols */
    QUICK_BRANCH,
    QUICK_JUMP,
    QUICK_LIST, /* into a list of one block that is of no level; over an empty one */
    QUICK_NEXT,
    QUICK_ROW,   /* several fields of known sizes: see struct quick_row */
    QUICK_NOTE,  /* an array of one block, of items of a bytes and of the kind b */
    QUICK_RAW,   /* bytes that are all of a tensor */
    QUICK_FLOATS /* an array of one block of float, into its places */
};

#define QUICK_MAYBE(op) ((op) + (QUICK_MAYBE_INT - QUICK_INT))
#define QUICK_BRANCHES_MAX 64    /* their index is one byte */
#define QUICK_BRANCH_NEVER 0x100 /* no byte is this */

struct quick_step {
    uint8_t op; /* enum quick_op */
    uint8_t tensor;
    bool listed;
    uint8_t value_index; /* of the branches, as encoded */
    uint16_t null_index; /* or QUICK_BRANCH_NEVER */
    uint16_t slot;
    uint32_t offset;     /* bytes into the row */
    uint32_t values_max; /* of a list */
    uint32_t next;       /* the step behind the union, counted from this one */
    uint32_t a, b;       /* as a step's, but places are counted from this one */
    float fallback;
};

/* Fields of known sizes that follow each other: their places in the record are known too,
 * so that the bytes left are looked at once and one kind is done after the other.  Those
 * that are wanted go to one tensor's row. */
struct quick_field {
    uint32_t from; /* bytes behind the first field */
    uint32_t to;   /* bytes into the row */
};

struct quick_row {
    const struct quick_field *fields; /* doubles, then floats, then booleans */
    uint32_t double_count, float_count, boolean_count;
    uint32_t size; /* bytes of all, with those that are skipped */
};

/* Where the float32 of a step goes; NULL where a list has no room for it. */
ALWAYS_INLINE float *quick_place(const struct quick_step *step,
                                 const struct plan_out *out) {
    uint8_t *to = out->rows[step->tensor] + step->offset;
    uint32_t *values;
    if (step->listed) {
        values = &out->values[step->slot];
        if (UNLIKELY(*values == step->values_max)) {
            return NULL;
        }
        to += sizeof(float) * (*values)++;
    }
    return (float *)(void *)to;
}

ALWAYS_INLINE bool quick_store(const struct quick_step *step, const struct plan_out *out,
                               float value) {
    float *to = quick_place(step, out);
    if (UNLIKELY(to == NULL)) {
        return false;
    }
    *to = value;
    return true;
}

ALWAYS_INLINE const uint8_t *quick_integer(const struct quick_step *step,
                                           const struct plan_out *out, const uint8_t *at,
                                           const uint8_t *end, bool narrow) {
    struct varint v = varint_read(at, end);
    int64_t integer = varint_zigzag(v.value);
    if (UNLIKELY(v.next == NULL ||
                 (narrow && (integer < INT32_MIN || integer > INT32_MAX)))) {
        return NULL;
    }
    return quick_store(step, out, (float)integer) ? v.next : NULL;
}

ALWAYS_INLINE const uint8_t *quick_float(const struct quick_step *step,
                                         const struct plan_out *out, const uint8_t *at,
                                         const uint8_t *end) {
    float value;
    if (UNLIKELY(end - at < (ptrdiff_t)sizeof(value))) {
        return NULL;
    }
    memcpy(&value, at, sizeof(value));
    return quick_store(step, out, value) ? at + sizeof(value) : NULL;
}

ALWAYS_INLINE const uint8_t *quick_double(const struct quick_step *step,
                                          const struct plan_out *out, const uint8_t *at,
                                          const uint8_t *end) {
    double wide;
    float narrow;
    if (UNLIKELY(end - at < (ptrdiff_t)sizeof(wide))) {
        return NULL;
    }
    memcpy(&wide, at, sizeof(wide));
    return real_to_f32(wide, &narrow) && quick_store(step, out, narrow)
               ? at + sizeof(wide)
               : NULL;
}

/* Behind a string or bytes, not looked into; *bytes is what it holds. */
ALWAYS_INLINE const uint8_t *quick_bytes(const uint8_t *at, const uint8_t *end,
                                         struct span *bytes) {
    struct varint v = varint_read_length(at, end);
    size_t size = (size_t)(v.value >> 1);
    if (UNLIKELY(v.next == NULL || (v.value & 1) != 0 || size > (size_t)(end - v.next))) {
        return NULL;
    }
    *bytes = span_of(v.next, size);
    return v.next + size;
}

ALWAYS_INLINE const uint8_t *quick_varints(const uint8_t *at, const uint8_t *end,
                                           uint32_t count, uint64_t value_max) {
    for (uint32_t i = 0; i < count; i++) {
        struct varint v = varint_read(at, end);
        if (UNLIKELY(v.next == NULL || v.value > value_max)) {
            return NULL;
        }
        at = v.next;
    }
    return at;
}

/* An index below `count`, which is 64 at most: one byte, and not negative. */
ALWAYS_INLINE bool quick_is_index(const uint8_t *at, const uint8_t *end, uint32_t count) {
    return at < end && (*at & 0x81) == 0 && *at >> 1 < count;
}

/* One value, or past it; `op` is a constant, QUICK_INT to QUICK_BYTES. */
ALWAYS_INLINE const uint8_t *quick_value(enum quick_op op, const struct quick_step *step,
                                         const struct plan_out *out, const uint8_t *at,
                                         const uint8_t *end) {
    struct span skipped;
    if (op == QUICK_INT || op == QUICK_LONG) {
        return quick_integer(step, out, at, end, op == QUICK_INT);
    }
    if (op == QUICK_FLOAT) {
        return quick_float(step, out, at, end);
    }
    if (op == QUICK_DOUBLE) {
        return quick_double(step, out, at, end);
    }
    if (op == QUICK_BOOLEAN) {
        return at < end && *at <= 1 && quick_store(step, out, (float)*at) ? at + 1 : NULL;
    }
    if (op == QUICK_SKIP) {
        return step->a <= (size_t)(end - at) ? at + step->a : NULL;
    }
    return quick_bytes(at, end, &skipped);
}

/* A union of null and a value; *next is set where that went. */
ALWAYS_INLINE const uint8_t *quick_maybe(enum quick_op op, const struct quick_step *step,
                                         const struct plan_out *out, const uint8_t *at,
                                         const uint8_t *end,
                                         const struct quick_step **next) {
    bool stores = op < QUICK_SKIP;
    const uint8_t *behind = NULL;
    if (UNLIKELY(at == end)) {
        return NULL;
    }
    if (*at == step->value_index) {
        behind = quick_value(op, step, out, at + 1, end);
    } else if (*at == step->null_index &&
               (!stores || quick_store(step, out, step->fallback))) {
        behind = at + 1;
    }
    *next = behind != NULL ? step + step->next : *next;
    return behind;
}

/* A value that does not fit is told by its own step, which stores again what went before.
 */
ALWAYS_INLINE const uint8_t *quick_row(const struct quick_row *row, uint8_t *to,
                                       const uint8_t *at, const uint8_t *end) {
    const struct quick_field *field = row->fields;
    if (UNLIKELY((size_t)(end - at) < row->size)) {
        return NULL;
    }
    for (uint32_t i = row->double_count; i > 0; i--, field++) {
        double wide;
        memcpy(&wide, at + field->from, sizeof(wide));
        if (UNLIKELY(!real_to_f32(wide, (float *)(void *)(to + field->to)))) {
            return NULL;
        }
    }
    for (uint32_t i = row->float_count; i > 0; i--, field++) {
        memcpy(to + field->to, at + field->from, sizeof(float));
    }
    for (uint32_t i = row->boolean_count; i > 0; i--, field++) {
        uint8_t value = at[field->from];
        if (UNLIKELY(value > 1)) {
            return NULL;
        }
        *(float *)(void *)(to + field->to) = (float)value;
    }
    return at + row->size;
}

/* The items of an array that is one block of `count` items of `size` bytes, none of them
 * negative, and its end behind them. */
ALWAYS_INLINE const uint8_t *quick_array(const uint8_t *at, const uint8_t *end,
                                         size_t size, size_t *count,
                                         const uint8_t **items) {
    struct varint v = varint_read_length(at, end);
    size_t left;
    if (UNLIKELY(v.next == NULL || (v.value & 1) != 0 || v.value == 0)) {
        return NULL;
    }
    left = (size_t)(end - v.next);
    *count = (size_t)(v.value >> 1);
    *items = v.next;
    if (UNLIKELY(*count >= left || *count * size >= left || v.next[*count * size] != 0)) {
        return NULL;
    }
    return v.next + *count * size + 1;
}

ALWAYS_INLINE const uint8_t *quick_note(const struct quick_step *step,
                                        const struct plan_out *out, const uint8_t *at,
                                        const uint8_t *end) {
    struct job_tensor *x = &out->tensors[step->tensor];
    const uint8_t *items;
    size_t count;
    const uint8_t *behind = quick_array(at, end, step->a, &count, &items);
    if (LIKELY(behind != NULL)) {
        x->kind = (enum job_data)step->b;
        x->count = count;
        x->contiguous = true;
        x->data = span_of(items, count * step->a);
    }
    return behind;
}

ALWAYS_INLINE void quick_set_raw(const struct quick_step *step,
                                 const struct plan_out *out, struct span bytes) {
    struct job_tensor *x = &out->tensors[step->tensor];
    x->kind = JOB_DATA_BYTES;
    x->count = bytes.size;
    x->contiguous = true;
    x->data = bytes;
}

ALWAYS_INLINE const uint8_t *quick_raw(const struct quick_step *step,
                                       const struct plan_out *out, const uint8_t *at,
                                       const uint8_t *end) {
    struct span bytes;
    const uint8_t *behind = quick_bytes(at, end, &bytes);
    if (LIKELY(behind != NULL)) {
        quick_set_raw(step, out, bytes);
    }
    return behind;
}

ALWAYS_INLINE const uint8_t *quick_floats(const struct quick_step *step,
                                          const struct plan_out *out, const uint8_t *at,
                                          const uint8_t *end) {
    uint32_t *values = &out->values[step->slot];
    const uint8_t *items;
    size_t count;
    const uint8_t *behind = quick_array(at, end, sizeof(float), &count, &items);
    if (UNLIKELY(behind == NULL || count > step->values_max - *values)) {
        return NULL;
    }
    copy_bytes(out->rows[step->tensor] + step->offset + *values * sizeof(float), items,
               count * sizeof(float));
    *values += (uint32_t)count;
    return behind;
}

/* Into a list whose items take `b` bytes at least; behind it, at `a`, where it is empty.
 */
ALWAYS_INLINE const uint8_t *quick_list(const struct quick_step *step, struct run *run,
                                        const uint8_t *at, const uint8_t *end,
                                        const struct quick_step **next) {
    struct varint v = varint_read_length(at, end);
    struct frame *frame = &run->frames[run->depth];
    size_t count = (size_t)(v.value >> 1), left;
    if (UNLIKELY(v.next == NULL || (v.value & 1) != 0)) {
        return NULL;
    }
    left = (size_t)(end - v.next);
    if (UNLIKELY(count > left || count * step->b > left)) {
        return NULL;
    }
    *frame = (struct frame){.left = count, .total = count};
    if (count == 0) {
        *next = step + (int32_t)step->a;
    } else {
        run->depth++;
    }
    return v.next;
}

/* To the next item, at `a`; behind the list where that was the last of its only block. */
ALWAYS_INLINE const uint8_t *quick_next(const struct quick_step *step, struct run *run,
                                        const uint8_t *at, const uint8_t *end,
                                        const struct quick_step **next) {
    struct frame *frame = &run->frames[run->depth - 1];
    if (LIKELY(frame->left > 1)) {
        frame->left--;
        *next = step + (int32_t)step->a;
        return at;
    }
    if (UNLIKELY(frame->end != NULL || at == end || *at != 0)) {
        return NULL;
    }
    run->depth--;
    return at + 1;
}

#endif
