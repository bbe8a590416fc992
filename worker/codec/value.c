/* value.c - see value.h. */
#include "codec/value.h"

#include <assert.h>
#include <math.h>

#include "base/size.h"
#include "codec/murmur.h"
#include "codec/number.h"

#define DAY_S 86400 /* seconds */
#define HOUR_S 3600

static const char *const change_names[] = {
    [CHANGE_SCALE] = "scale",     [CHANGE_CLIP] = "clip",
    [CHANGE_LOG1P] = "log1p",     [CHANGE_VOCABULARY] = "vocabulary",
    [CHANGE_HASH] = "hash",       [CHANGE_ONE_HOT] = "one_hot",
    [CHANGE_SECONDS] = "seconds", [CHANGE_HOUR] = "hour",
    [CHANGE_WEEKDAY] = "weekday",
};
_Static_assert(ARRAY_COUNT(change_names) == CHANGE_COUNT, "every change has a name");

enum change_kind change_parse(const char *name) {
    int kind = 0;
    while (kind < CHANGE_COUNT && strcmp(change_names[kind], name) != 0) {
        kind++;
    }
    return (enum change_kind)kind;
}

/* ---- what time a number means ------------------------------------------------------ */

struct clock_unit {
    int64_t per_second; /* ticks; 0 where a tick is a day */
    bool has_day;       /* it says which day */
};

static const struct clock_unit units[AVRO_LOGICAL_COUNT] = {
    [AVRO_LOGICAL_DATE] = {0, true},
    [AVRO_LOGICAL_TIME_MILLIS] = {1000, false},
    [AVRO_LOGICAL_TIME_MICROS] = {1000000, false},
    [AVRO_LOGICAL_TIMESTAMP_MILLIS] = {1000, true},
    [AVRO_LOGICAL_TIMESTAMP_MICROS] = {1000000, true},
    [AVRO_LOGICAL_TIMESTAMP_NANOS] = {1000000000, true},
    [AVRO_LOGICAL_LOCAL_TIMESTAMP_MILLIS] = {1000, true},
    [AVRO_LOGICAL_LOCAL_TIMESTAMP_MICROS] = {1000000, true},
    [AVRO_LOGICAL_LOCAL_TIMESTAMP_NANOS] = {1000000000, true},
};

static int64_t floor_div(int64_t a, int64_t b) {
    return a / b - (a % b < 0);
}

static int64_t floor_mod(int64_t a, int64_t b) {
    return a - floor_div(a, b) * b;
}

static struct value in_seconds(int64_t ticks, struct clock_unit unit) {
    if (unit.per_second == 0) {
        return value_real((double)ticks * DAY_S);
    }
    return value_real((double)ticks / (double)unit.per_second);
}

static struct value hour_of(int64_t ticks, struct clock_unit unit) {
    return value_integer(floor_mod(floor_div(ticks, unit.per_second), DAY_S) / HOUR_S);
}

/* 1970-01-01 was a Thursday. */
static struct value weekday_of(int64_t ticks, struct clock_unit unit) {
    int64_t day =
        unit.per_second == 0 ? ticks : floor_div(ticks, unit.per_second * DAY_S);
    return value_integer(floor_mod(floor_mod(day, 7) + 3, 7));
}

/* ---- checks, when a plan is made ----------------------------------------------------
 */

static enum status check_clock(struct change *change, enum value_kind kind,
                               enum avro_logical logical, struct error *err) {
    struct clock_unit unit = units[logical];
    const char *name = change_names[change->kind];
    bool timed = unit.per_second > 0 || unit.has_day;
    if (kind != VALUE_INTEGER || !timed) {
        return error_set(err, STATUS_INVALID,
                         "%s needs a date, time or timestamp (a logical type)", name);
    }
    if (change->kind == CHANGE_HOUR && unit.per_second == 0) {
        return error_set(err, STATUS_INVALID, "a date has no %s", name);
    }
    if (change->kind == CHANGE_WEEKDAY && !unit.has_day) {
        return error_set(err, STATUS_INVALID, "a time of day has no %s", name);
    }
    change->logical = logical;
    return STATUS_OK;
}

/* What comes out of a change of values of `kind`. */
static enum status check_one(struct change *change, enum value_kind *kind,
                             enum avro_logical logical, struct error *err) {
    const char *name = change_names[change->kind];
    bool is_number = *kind != VALUE_TEXT;
    switch (change->kind) {
    case CHANGE_SCALE:
    case CHANGE_CLIP:
    case CHANGE_LOG1P:
        *kind = VALUE_REAL;
        return is_number ? STATUS_OK
                         : error_set(err, STATUS_INVALID, "%s needs a number", name);
    case CHANGE_VOCABULARY:
    case CHANGE_HASH:
        if (*kind == VALUE_REAL) {
            return error_set(err, STATUS_INVALID, "%s needs a text or an integer", name);
        }
        if (change->kind == CHANGE_HASH &&
            (change->count < 1 || change->count > CHANGE_BUCKETS_MAX)) {
            return error_set(err, STATUS_INVALID, "hash into 1 to %zu buckets, not %zu",
                             CHANGE_BUCKETS_MAX, change->count);
        }
        assert(change->kind == CHANGE_HASH || change->vocabulary != NULL);
        *kind = VALUE_INTEGER;
        return STATUS_OK;
    case CHANGE_ONE_HOT:
        if (!is_number) {
            return error_set(err, STATUS_INVALID,
                             "one_hot needs a number; put a vocabulary before it");
        }
        if (change->count < 1 || change->count > CHANGE_ONE_HOT_MAX) {
            return error_set(err, STATUS_INVALID, "one_hot of 1 to %d elements, not %zu",
                             CHANGE_ONE_HOT_MAX, change->count);
        }
        return STATUS_OK;
    case CHANGE_SECONDS:
    case CHANGE_HOUR:
    case CHANGE_WEEKDAY:
        if (check_clock(change, *kind, logical, err) != STATUS_OK) {
            return err->status;
        }
        *kind = change->kind == CHANGE_SECONDS ? VALUE_REAL : VALUE_INTEGER;
        return STATUS_OK;
    case CHANGE_COUNT:
        break;
    }
    assert(!"unknown change");
    return STATUS_INVALID;
}

enum status changes_check(struct change *changes, int count, enum value_kind kind,
                          enum avro_logical logical, enum dtype dtype, size_t *width,
                          struct error *err) {
    *width = 1;
    if (count > CHANGES_MAX) {
        return error_set(err, STATUS_INVALID, "more than %d changes", CHANGES_MAX);
    }
    for (int i = 0; i < count; i++) {
        if (*width > 1) {
            return error_set(err, STATUS_INVALID, "nothing may follow one_hot");
        }
        if (check_one(&changes[i], &kind, logical, err) != STATUS_OK) {
            return err->status;
        }
        logical = AVRO_LOGICAL_NONE;
        *width = changes[i].kind == CHANGE_ONE_HOT ? changes[i].count : 1;
    }
    if (kind == VALUE_TEXT && dtype != DTYPE_STRING) {
        return error_set(err, STATUS_INVALID,
                         "a text for a tensor of %s: give a vocabulary or hash it",
                         dtype_name(dtype));
    }
    if (kind != VALUE_TEXT && dtype == DTYPE_STRING) {
        return error_set(err, STATUS_INVALID, "a number for a tensor of strings");
    }
    return STATUS_OK;
}

/* ---- storing ------------------------------------------------------------------------
 */

bool value_store_integer(int64_t integer, enum dtype dtype, void *to) {
    switch (dtype) {
    case DTYPE_F32:
        return long_to_f32(integer, to);
    case DTYPE_F64:
        return long_to_f64(integer, to);
    case DTYPE_F16:
        return long_to_f16(integer, to);
    case DTYPE_BF16:
        return long_to_bf16(integer, to);
    case DTYPE_I8:
        return long_to_i8(integer, to);
    case DTYPE_I16:
        return long_to_i16(integer, to);
    case DTYPE_I32:
        return long_to_i32(integer, to);
    case DTYPE_I64:
        return long_to_i64(integer, to);
    case DTYPE_U8:
        return long_to_u8(integer, to);
    case DTYPE_U16:
        return long_to_u16(integer, to);
    case DTYPE_U32:
        return long_to_u32(integer, to);
    case DTYPE_U64:
        return long_to_u64(integer, to);
    case DTYPE_BOOL:
        *(uint8_t *)to = (uint8_t)integer;
        return integer == 0 || integer == 1;
    case DTYPE_NONE:
    case DTYPE_STRING:
    CASE_DTYPE_UNUSUAL:
        break;
    }
    assert(!"changes_check let this pass");
    return false;
}

bool value_store_real(double real, enum dtype dtype, void *to) {
    switch (dtype) {
    case DTYPE_F32:
        return real_to_f32(real, to);
    case DTYPE_F64:
        return real_to_f64(real, to);
    case DTYPE_F16:
        return real_to_f16(real, to);
    case DTYPE_BF16:
        return real_to_bf16(real, to);
    case DTYPE_I8:
        return real_to_i8(real, to);
    case DTYPE_I16:
        return real_to_i16(real, to);
    case DTYPE_I32:
        return real_to_i32(real, to);
    case DTYPE_I64:
        return real_to_i64(real, to);
    case DTYPE_U8:
        return real_to_u8(real, to);
    case DTYPE_U16:
        return real_to_u16(real, to);
    case DTYPE_U32:
        return real_to_u32(real, to);
    case DTYPE_U64:
        return real_to_u64(real, to);
    case DTYPE_BOOL:
        return real_to_u8(real, to) && *(uint8_t *)to <= 1;
    case DTYPE_NONE:
    case DTYPE_STRING:
    CASE_DTYPE_UNUSUAL:
        break;
    }
    assert(!"changes_check let this pass");
    return false;
}

static double number_of(struct value value) {
    return value.kind == VALUE_REAL ? value.real : (double)value.integer;
}

/* A text as it is; an integer's digits are written to `digits`. */
static struct span text_of(struct value value, char digits[24]) {
    if (value.kind == VALUE_TEXT) {
        return value.text;
    }
    (void)snprintf(digits, 24, "%lld", (long long)value.integer);
    return span_text(digits);
}

static const char *change_apply(const struct change *change, struct value *value) {
    char digits[24];
    double number;
    switch (change->kind) {
    case CHANGE_SCALE:
        *value = value_real(number_of(*value) * change->a + change->b);
        return NULL;
    case CHANGE_CLIP:
        number = number_of(*value);
        number = number < change->a ? change->a : number; /* a NaN stays one */
        *value = value_real(number > change->b ? change->b : number);
        return NULL;
    case CHANGE_LOG1P:
        number = number_of(*value);
        *value = value_real(log1p(number));
        return number < -1 ? "is below -1, so that log1p has no value" : NULL;
    case CHANGE_VOCABULARY:
        value->text = text_of(*value, digits);
        if (!vocabulary_find(change->vocabulary, value->text, &value->integer)) {
            return "is not in the vocabulary";
        }
        value->kind = VALUE_INTEGER;
        return NULL;
    case CHANGE_HASH:
        *value = value_integer(murmur32(text_of(*value, digits), (uint32_t)change->a) %
                               (uint32_t)change->count);
        return NULL;
    case CHANGE_SECONDS:
        *value = in_seconds(value->integer, units[change->logical]);
        return NULL;
    case CHANGE_HOUR:
        *value = hour_of(value->integer, units[change->logical]);
        return NULL;
    case CHANGE_WEEKDAY:
        *value = weekday_of(value->integer, units[change->logical]);
        return NULL;
    case CHANGE_ONE_HOT:
    case CHANGE_COUNT:
        break;
    }
    assert(!"one_hot is the last, and stored");
    return NULL;
}

static const char *store_one_hot(struct value value, size_t count, enum dtype dtype,
                                 uint8_t *to) {
    int64_t index = value.integer;
    size_t size = dtype_size(dtype);
    if (value.kind == VALUE_REAL && !real_to_i64(value.real, &index)) {
        return "is no whole number, as one_hot needs";
    }
    if (index >= (int64_t)count) {
        return "is past the elements of one_hot";
    }
    memset(to, 0, count * size);
    if (index >= 0) {
        bool stored = value_store_integer(1, dtype, to + (size_t)index * size);
        assert(stored);
        (void)stored; /* 1 fits every type of number */
    }
    return NULL;
}

const char *value_store(struct value value, const struct change *changes, int count,
                        enum dtype dtype, void *to) {
    bool fits = true;
    for (int i = 0; i < count; i++) {
        const char *why;
        if (changes[i].kind == CHANGE_ONE_HOT) {
            return store_one_hot(value, changes[i].count, dtype, to);
        }
        why = change_apply(&changes[i], &value);
        if (why != NULL) {
            return why;
        }
    }
    if (value.kind == VALUE_TEXT) {
        *(struct span *)to = value.text;
    } else if (value.kind == VALUE_INTEGER) {
        fits = value_store_integer(value.integer, dtype, to);
    } else {
        fits = value_store_real(value.real, dtype, to);
    }
    return fits ? NULL : "does not fit the tensor's type";
}
