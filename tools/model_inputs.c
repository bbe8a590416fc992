/* model_inputs.c - see model_inputs.h. */
#include "tools/model_inputs.h"

#include <assert.h>

#include "base/size.h"
#include "base/text.h"

#define ALIGNMENT 64
#define DIM_MAX INT64_C(1000000000)

static bool text_is(const char *text, struct span span) {
    return text != NULL && span_is(span, text);
}

/* Whether `name` is this dimension's symbol, or "INPUT:AXIS" of its place. */
static bool names_dim(struct span name, const struct model_port *port, int axis) {
    char place[512];
    int used = snprintf(place, sizeof(place), "%s:%d", port->name, axis);
    return text_is(port->symbols[axis], name) ||
           (used > 0 && (size_t)used < sizeof(place) && span_is(name, place));
}

static enum status apply_dim(const struct model *model, const char *entry,
                             struct model_inputs *inputs, struct error *err) {
    const char *equals = strrchr(entry, '=');
    int64_t value = 0;
    bool used = false;
    if (equals == NULL || !text_parse_int(equals + 1, &value) || value < 0 ||
        value > DIM_MAX) {
        return error_set(err, STATUS_INVALID, "--dim %s: NAME=K is needed", entry);
    }
    struct span name = span_of(entry, (size_t)(equals - entry));
    for (int i = 0; i < inputs->count; i++) {
        const struct model_port *port = model_input(model, i);
        for (int axis = 0; axis < port->type.rank; axis++) {
            if (port->type.dims[axis] < 0 && names_dim(name, port, axis)) {
                inputs->tensors[i].dims[axis] = value;
                used = true;
            }
        }
    }
    if (!used) {
        return error_set(err, STATUS_INVALID,
                         "--dim %s: no input has this free dimension", entry);
    }
    return STATUS_OK;
}

/* Free dimensions called like a first one are the batch too. */
static void apply_symbol(const struct model *model, const char *symbol, int64_t batch,
                         struct model_inputs *inputs) {
    for (int i = 0; i < inputs->count; i++) {
        const struct model_port *port = model_input(model, i);
        for (int axis = 0; axis < port->type.rank; axis++) {
            if (inputs->tensors[i].dims[axis] < 0 &&
                text_is(port->symbols[axis], span_text(symbol))) {
                inputs->tensors[i].dims[axis] = batch;
            }
        }
    }
}

static enum status apply_batch(const struct model *model, int64_t batch,
                               struct model_inputs *inputs, struct error *err) {
    int64_t fixed = -1; /* the first dimension of the first input, if fixed */
    bool any_free = false;
    for (int i = 0; i < inputs->count; i++) {
        const struct model_port *port = model_input(model, i);
        struct tensor *x = &inputs->tensors[i];
        if (port->type.rank == 0) {
            continue;
        }
        if (port->type.dims[0] >= 0) {
            fixed = fixed < 0 ? port->type.dims[0] : fixed;
            continue;
        }
        any_free = true;
        if (x->dims[0] < 0) {
            x->dims[0] = batch;
            if (port->symbols[0] != NULL) {
                apply_symbol(model, port->symbols[0], batch, inputs);
            }
        }
    }
    if (!any_free && fixed >= 0 && fixed != batch) {
        return error_set(err, STATUS_INVALID,
                         "--batch %lld is needed: the model's batch is fixed",
                         (long long)fixed);
    }
    return STATUS_OK;
}

static enum status check_all_set(const struct model *model,
                                 const struct model_inputs *inputs, struct error *err) {
    for (int i = 0; i < inputs->count; i++) {
        const struct model_port *port = model_input(model, i);
        for (int axis = 0; axis < port->type.rank; axis++) {
            const char *symbol = port->symbols[axis];
            if (inputs->tensors[i].dims[axis] >= 0) {
                continue;
            }
            if (symbol != NULL) {
                return error_set(err, STATUS_INVALID,
                                 "--dim %s=K is needed: dimension %d of input '%s' is "
                                 "free",
                                 symbol, axis, port->name);
            }
            return error_set(err, STATUS_INVALID,
                             "--dim %s:%d=K is needed: this dimension is free",
                             port->name, axis);
        }
    }
    return STATUS_OK;
}

enum status model_inputs_shape(const struct model *model, int64_t batch,
                               const struct cli_list *dims, struct model_inputs *inputs,
                               struct error *err) {
    enum status status = STATUS_OK;
    *inputs = (struct model_inputs){.count = model_input_count(model)};
    for (int i = 0; i < inputs->count; i++) {
        inputs->tensors[i] = model_input(model, i)->type;
    }
    for (int i = 0; i < dims->count && status == STATUS_OK; i++) {
        status = apply_dim(model, dims->items[i], inputs, err);
    }
    if (status == STATUS_OK) {
        status = apply_batch(model, batch, inputs, err);
    }
    if (status == STATUS_OK) {
        status = check_all_set(model, inputs, err);
    }
    return status;
}

/* Marsaglia's xorshift64*; good enough to fill tensors. */
static uint64_t next_random(uint64_t *state) {
    uint64_t x = *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * UINT64_C(0x2545F4914F6CDD1D);
}

static double next_unit(uint64_t *state) {
    return (double)(next_random(state) >> 11) * 0x1p-53;
}

static void fill(struct tensor *x, int64_t integers_max, uint64_t *state) {
    static const uint8_t letter = 'a';
    uint64_t range = (uint64_t)integers_max + 1;
    for (size_t i = 0, count = tensor_count(x); i < count; i++) {
        uint64_t integer = next_random(state) % range;
        switch (x->dtype) {
        case DTYPE_F32:
            ((float *)x->data)[i] = (float)next_unit(state);
            break;
        case DTYPE_F64:
            ((double *)x->data)[i] = next_unit(state);
            break;
        case DTYPE_F16: /* 0.5 to 1: a random fraction under one exponent */
            ((uint16_t *)x->data)[i] = (uint16_t)(0x3800 | (next_random(state) & 0x3FF));
            break;
        case DTYPE_BF16:
            ((uint16_t *)x->data)[i] = (uint16_t)(0x3F00 | (next_random(state) & 0x7F));
            break;
        case DTYPE_BOOL:
            ((uint8_t *)x->data)[i] = (uint8_t)(next_random(state) >> 63);
            break;
        case DTYPE_U8:
        case DTYPE_I8:
            ((uint8_t *)x->data)[i] = (uint8_t)integer;
            break;
        case DTYPE_U16:
        case DTYPE_I16:
            ((uint16_t *)x->data)[i] = (uint16_t)integer;
            break;
        case DTYPE_U32:
        case DTYPE_I32:
            ((uint32_t *)x->data)[i] = (uint32_t)integer;
            break;
        case DTYPE_U64:
        case DTYPE_I64:
            ((uint64_t *)x->data)[i] = integer;
            break;
        case DTYPE_STRING:
            ((struct span *)x->data)[i] = span_of(&letter, 1);
            break;
        case DTYPE_NONE:
        CASE_DTYPE_UNUSUAL:
            assert(!"an input has a dtype");
            break;
        }
    }
}

enum status model_inputs_random(struct model_inputs *inputs, int64_t integers_max,
                                uint64_t seed, struct error *err) {
    uint64_t state = seed * 2 + 1; /* xorshift must not start from 0 */
    for (int i = 0; i < inputs->count; i++) {
        struct tensor *x = &inputs->tensors[i];
        size_t count = 0, size = 0;
        if (!tensor_dims_count(x->dims, x->rank, &count) ||
            !size_mul(count, dtype_size(x->dtype), &size) ||
            posix_memalign(&inputs->memory[i], ALIGNMENT, size_max(size, 1)) != 0) {
            inputs->memory[i] = NULL;
            return error_set(err, STATUS_NO_MEMORY, "no memory for input %d", i);
        }
        x->data = inputs->memory[i];
        fill(x, integers_max, &state);
    }
    return STATUS_OK;
}

void model_inputs_release(struct model_inputs *inputs) {
    for (int i = 0; i < inputs->count; i++) {
        free(inputs->memory[i]);
    }
    *inputs = (struct model_inputs){.count = 0};
}
