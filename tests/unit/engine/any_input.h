/* any_input.h - made-up inputs of every type, for models that are not known.
 *
 * Ownership: the data of an input is the caller's to free.  Threads: plain data. */
#ifndef MILLRACE_TESTS_UNIT_ENGINE_ANY_INPUT_H
#define MILLRACE_TESTS_UNIT_ENGINE_ANY_INPUT_H

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "engine/model.h"

#ifndef ANY_ELEMENTS_MAX
#define ANY_ELEMENTS_MAX 4096
#endif

static inline unsigned any_random(unsigned *state) {
    *state = *state * 1664525U + 1013904223U;
    return *state >> 8;
}

/* Small numbers mostly, since most integers are indices, axes or sizes. */
static inline void any_fill(struct tensor *x, size_t count, unsigned *state) {
    uint8_t *bytes = x->data;
    size_t each = dtype_size(x->dtype);
    for (size_t i = 0; i < count; i++) {
        unsigned number = any_random(state);
        uint8_t *to = bytes + i * each;
        if (x->dtype == DTYPE_STRING) {
            static const char *const texts[] = {"", "a", "b c", "\xc3\xa9,1.5", "-7"};
            *(struct span *)to = span_text(texts[number % ARRAY_COUNT(texts)]);
        } else if (x->dtype == DTYPE_BOOL) {
            *to = number & 1;
        } else if (x->dtype == DTYPE_F32) {
            float value = number % 61 == 0 ? (float)NAN : (float)(number % 200) / 40 - 2;
            memcpy(to, &value, sizeof(value));
        } else if (x->dtype == DTYPE_F64) {
            double value = number % 61 == 0 ? (double)INFINITY : number % 200 / 40.0 - 2;
            memcpy(to, &value, sizeof(value));
        } else if (number % 31 == 0) {
            memset(to, number % 62 == 0 ? 0x7f : 0xff, each);
        } else {
            int64_t value = (int64_t)(number % 7) - 1;
            memcpy(to, &value, each);
        }
        if (dtype_packed_bits(x->dtype) != 0) {
            *to &= (uint8_t)((1U << dtype_packed_bits(x->dtype)) - 1);
            if (x->dtype == DTYPE_I4 || x->dtype == DTYPE_I2) {
                *to = (uint8_t)(*to & 1);
            }
        }
    }
}

/* A tensor of the port's type with free dimensions of `open_dim`; sequences and optionals
 * are empty.  False where it would be too large. */
static inline bool any_input(const struct model_port *port, int64_t open_dim,
                             struct tensor *x, unsigned *state) {
    size_t count = 0;
    *x = port->type;
    if (x->rank < 0) {
        x->rank = (int)(any_random(state) % 4);
        for (int i = 0; i < x->rank; i++) {
            x->dims[i] = -1;
        }
    }
    for (int i = 0; i < x->rank; i++) {
        if (x->dims[i] < 0) {
            x->dims[i] = open_dim;
        }
    }
    if (x->dtype == DTYPE_SEQUENCE || x->dtype == DTYPE_OPTIONAL) {
        x->dims[0] = 0;
    }
    if (!tensor_dims_count(x->dims, x->rank, &count) || count > ANY_ELEMENTS_MAX) {
        return false;
    }
    x->data = calloc(count + 1, dtype_size(x->dtype));
    assert(x->data != NULL);
    any_fill(x, count, state);
    return true;
}

#endif
