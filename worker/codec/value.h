/* value.h - one value of a record on its way into a tensor, and what may be done to it.
 *
 * A field is read into a value; its changes are applied in their order; what comes out is
 * stored as elements of the tensor's type.  Changes are checked when a plan is made
 * (changes_check), so that only the value itself can fail.
 *
 *     SCALE       number * a + b
 *     CLIP        number, not below a nor above b
 *     LOG1P       log(1 + number); below -1 is an error
 *     VOCABULARY  the index of a text, or of an integer's digits
 *     HASH        murmurhash3_32(text, seed a) % count, as scikit-learn's, of a text's
 * bytes or an integer's digits ONE_HOT     `count` elements, 1 at the number and 0
 * elsewhere; all 0 below 0 SECONDS     a date, time or timestamp in seconds HOUR its hour
 * of the day, 0 to 23 (UTC) WEEKDAY     its day of the week, 0 for Monday (UTC)
 *
 * Depends on: base/, codec/avro_schema.h, codec/vocabulary.h.
 * Ownership: texts are borrowed, from the message or the plan.
 * Threads: pure functions. */
#ifndef MILLRACE_CODEC_VALUE_H
#define MILLRACE_CODEC_VALUE_H

#include "base/tensor.h"
#include "codec/avro_schema.h"
#include "codec/vocabulary.h"

enum value_kind { VALUE_INTEGER, VALUE_REAL, VALUE_TEXT };

struct value {
    enum value_kind kind;
    int64_t integer;
    double real;
    struct span text;
};

enum change_kind {
    CHANGE_SCALE,
    CHANGE_CLIP,
    CHANGE_LOG1P,
    CHANGE_VOCABULARY,
    CHANGE_HASH,
    CHANGE_ONE_HOT,
    CHANGE_SECONDS,
    CHANGE_HOUR,
    CHANGE_WEEKDAY,
    CHANGE_COUNT
};

#define CHANGES_MAX 8                        /* of one field */
#define CHANGE_BUCKETS_MAX ((size_t)1 << 24) /* of a hash */
#define CHANGE_ONE_HOT_MAX 65536             /* elements */

struct change {
    enum change_kind kind;
    double a, b;
    size_t count;
    const struct vocabulary *vocabulary; /* borrowed */
    enum avro_logical logical;           /* set by changes_check */
};

static inline struct value value_integer(int64_t integer) {
    return (struct value){.kind = VALUE_INTEGER, .integer = integer};
}

static inline struct value value_real(double real) {
    return (struct value){.kind = VALUE_REAL, .real = real};
}

static inline struct value value_text(struct span text) {
    return (struct value){.kind = VALUE_TEXT, .text = text};
}

/* The change of a name: "scale", "one_hot", ...; CHANGE_COUNT if none. */
enum change_kind change_parse(const char *name);

/* Can values of `kind` and `logical` pass the changes into elements of `dtype`?  Sets
 * `logical` of those that ask for it; *width is the elements that a value becomes.
 * STATUS_INVALID, saying which change is wrong. */
MUST_CHECK enum status changes_check(struct change *changes, int count,
                                     enum value_kind kind, enum avro_logical logical,
                                     enum dtype dtype, size_t *width, struct error *err);

/* Applies the changes and stores the elements at `to`.  On failure returns why, as the
 * end of a sentence that begins with the field; else NULL. */
MUST_CHECK const char *value_store(struct value value, const struct change *changes,
                                   int count, enum dtype dtype, void *to);

/* Without changes. */
MUST_CHECK bool value_store_integer(int64_t integer, enum dtype dtype, void *to);
MUST_CHECK bool value_store_real(double real, enum dtype dtype, void *to);

#endif
