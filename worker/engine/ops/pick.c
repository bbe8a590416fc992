/* pick.c - operators whose output size follows from values: Compress, NonZero, OneHot,
 * EyeLike; and ReverseSequence, BitCast. */
#include "base/size.h"
#include "engine/onnx_tensor.h"
#include "engine/ops/number.h"
#include "engine/ops/ops.h"

/* ---- Compress ---------------------------------------------------------------------- */

struct compress_state {
    int64_t axis;
    bool flat;
};

static enum status compress_prepare(struct load *load, struct error *err) {
    struct compress_state *state = load_state(load, struct compress_state);
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    state->flat = attr_find(load->node, "axis") == NULL;
    return attr_int(load->node, "axis", 0, &state->axis, err);
}

static enum status compress_shape(struct exec *exec, struct error *err) {
    const struct compress_state *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    const bool *wanted = exec->x[1]->data;
    int64_t length = (int64_t)tensor_count(x), given = (int64_t)tensor_count(exec->x[1]);
    int64_t kept = 0;
    int axis = 0;
    enum status status =
        state->flat ? STATUS_OK : exec_axis(exec, state->axis, x->rank, &axis, err);
    if (status != STATUS_OK) {
        return status;
    }
    length = state->flat ? length : x->dims[axis];
    if (given > length) {
        return node_error(exec->node, err, STATUS_POISON, "%lld conditions for %lld rows",
                          (long long)given, (long long)length);
    }
    for (int64_t i = 0; i < given; i++) {
        kept += wanted[i] ? 1 : 0;
    }
    exec_same_shape(exec, 0, 0);
    if (state->flat) {
        exec->y[0]->rank = 1;
    }
    exec->y[0]->dims[axis] = kept;
    return STATUS_OK;
}

static enum status compress_run(struct exec *exec, struct error *err) {
    const struct compress_state *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    const bool *wanted = exec->x[1]->data;
    size_t outer = 1, inner = dtype_size(x->dtype), length = tensor_count(x);
    size_t given = tensor_count(exec->x[1]);
    uint8_t *to = exec->y[0]->data;
    int axis = 0;
    enum status status =
        state->flat ? STATUS_OK : exec_axis(exec, state->axis, x->rank, &axis, err);
    if (!state->flat) {
        for (int i = 0; i < x->rank; i++) {
            if (i != axis) {
                *(i < axis ? &outer : &inner) *= (size_t)x->dims[i];
            }
        }
        length = (size_t)x->dims[axis];
    }
    for (size_t i = 0; inner > 0 && i < outer; i++) {
        for (size_t k = 0; k < given; k++) {
            if (wanted[k]) {
                memcpy(to, (const uint8_t *)x->data + (i * length + k) * inner, inner);
                to += inner;
            }
        }
    }
    return status;
}

/* ---- NonZero ----------------------------------------------------------------------- */

static bool is_zero(const struct tensor *x, int64_t i) {
    return (TYPES_FLOAT & TYPE_BIT(x->dtype)) != 0 ? number_real(x, i) == 0
                                                   : number_integer(x, i) == 0;
}

static enum status nonzero_shape(struct exec *exec, struct error *err) {
    const struct tensor *x = exec->x[0];
    int64_t count = (int64_t)tensor_count(x), found = 0;
    (void)err; /* cannot fail */
    for (int64_t i = 0; i < count; i++) {
        found += is_zero(x, i) ? 0 : 1;
    }
    exec->y[0]->rank = 2;
    exec->y[0]->dims[0] = x->rank;
    exec->y[0]->dims[1] = found;
    return STATUS_OK;
}

static enum status nonzero_run(struct exec *exec, struct error *err) {
    const struct tensor *x = exec->x[0];
    int64_t *y = exec->y[0]->data, found = exec->y[0]->dims[1], at = 0;
    int64_t count = (int64_t)tensor_count(x);
    (void)err; /* cannot fail */
    for (int64_t i = 0; i < count; i++) {
        int64_t left = i;
        if (is_zero(x, i)) {
            continue;
        }
        for (int k = x->rank - 1; k >= 0; k--) {
            y[k * found + at] = left % x->dims[k];
            left /= x->dims[k];
        }
        at++;
    }
    return STATUS_OK;
}

/* ---- OneHot ------------------------------------------------------------------------ */

struct one_hot_state {
    int64_t axis;
};

static enum status one_hot_prepare(struct load *load, struct error *err) {
    struct one_hot_state *state = load_state(load, struct one_hot_state);
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    graph_set_output(load->graph, load->node, 0,
                     graph_input_dtype(load->graph, load->node, 2));
    return attr_int(load->node, "axis", -1, &state->axis, err);
}

static enum status one_hot_shape(struct exec *exec, struct error *err) {
    const struct one_hot_state *state = exec->node->state;
    const struct tensor *indices = exec->x[0];
    struct tensor *y = exec->y[0];
    int64_t depth;
    int axis = 0;
    enum status status;
    if (tensor_count(exec->x[1]) != 1 || tensor_count(exec->x[2]) != 2 ||
        indices->rank == TENSOR_RANK_MAX) {
        return node_error(exec->node, err, STATUS_POISON,
                          "needs one depth, two values, and indices of rank %d at most",
                          TENSOR_RANK_MAX - 1);
    }
    depth = number_integer(exec->x[1], 0);
    status = exec_axis(exec, state->axis, indices->rank + 1, &axis, err);
    if (status == STATUS_OK && depth < 0) {
        status = node_error(exec->node, err, STATUS_POISON, "the depth is %lld",
                            (long long)depth);
    }
    if (status != STATUS_OK) {
        return status;
    }
    y->rank = indices->rank + 1;
    for (int i = 0; i < y->rank; i++) {
        y->dims[i] = i == axis ? depth : indices->dims[i < axis ? i : i - 1];
    }
    return STATUS_OK;
}

static enum status one_hot_run(struct exec *exec, struct error *err) {
    const struct one_hot_state *state = exec->node->state;
    const struct tensor *indices = exec->x[0];
    struct tensor *y = exec->y[0];
    size_t size = dtype_size(y->dtype), count = tensor_count(y);
    const uint8_t *off = exec->x[2]->data, *on = off + size;
    int64_t inner = 1, depth, numbers = (int64_t)tensor_count(indices);
    int axis = 0;
    enum status status = exec_axis(exec, state->axis, y->rank, &axis, err);
    for (size_t i = 0; i < count; i++) {
        memcpy((uint8_t *)y->data + i * size, off, size);
    }
    for (int i = axis + 1; i < y->rank; i++) {
        inner *= y->dims[i];
    }
    depth = y->dims[axis];
    for (int64_t i = 0; status == STATUS_OK && i < numbers; i++) {
        int64_t index = number_integer(indices, i);
        index += index < 0 ? depth : 0;
        if (index >= 0 && index < depth) {
            int64_t at = (i / inner * depth + index) * inner + i % inner;
            memcpy((uint8_t *)y->data + (size_t)at * size, on, size);
        }
    }
    return status;
}

/* ---- EyeLike ----------------------------------------------------------------------- */

struct eye_state {
    int64_t k;
};

static enum status eye_prepare(struct load *load, struct error *err) {
    struct eye_state *state = load_state(load, struct eye_state);
    int64_t dtype = 0;
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status =
        attr_int_in(load->node, "dtype", graph_input_dtype(load->graph, load->node, 0), 0,
                    1000, &dtype, err);
    if (status == STATUS_OK &&
        (TYPE_BIT(onnx_dtype((int32_t)dtype)) & (TYPES_NUMBER | TYPES_BOOL)) == 0) {
        return node_error(load->node, err, STATUS_UNSUPPORTED,
                          "makes elements of type number %lld", (long long)dtype);
    }
    graph_set_output(load->graph, load->node, 0, onnx_dtype((int32_t)dtype));
    return status == STATUS_OK ? attr_int(load->node, "k", 0, &state->k, err) : status;
}

static enum status eye_shape(struct exec *exec, struct error *err) {
    if (exec->x[0]->rank != 2) {
        return node_error(exec->node, err, STATUS_POISON, "the input has rank %d, not 2",
                          exec->x[0]->rank);
    }
    exec_same_shape(exec, 0, 0);
    return STATUS_OK;
}

static enum status eye_run(struct exec *exec, struct error *err) {
    const struct eye_state *state = exec->node->state;
    struct tensor *y = exec->y[0];
    (void)err; /* cannot fail */
    for (int64_t i = 0; i < y->dims[0]; i++) {
        for (int64_t k = 0; k < y->dims[1]; k++) {
            number_set_integer(y, i * y->dims[1] + k, k - i == state->k ? 1 : 0);
        }
    }
    return STATUS_OK;
}

/* ---- ReverseSequence --------------------------------------------------------------- */

struct reverse_state {
    int64_t batch_axis, time_axis;
};

static enum status reverse_prepare(struct load *load, struct error *err) {
    struct reverse_state *state = load_state(load, struct reverse_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = attr_int_in(load->node, "batch_axis", 1, 0, 1, &state->batch_axis, err);
    if (status == STATUS_OK) {
        status = attr_int_in(load->node, "time_axis", 0, 0, 1, &state->time_axis, err);
    }
    if (status == STATUS_OK && state->batch_axis == state->time_axis) {
        return node_error(load->node, err, STATUS_INVALID, "its two axes are both %lld",
                          (long long)state->time_axis);
    }
    return status;
}

static enum status reverse_shape(struct exec *exec, struct error *err) {
    const struct reverse_state *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    if (x->rank < 2 || (int64_t)tensor_count(exec->x[1]) != x->dims[state->batch_axis]) {
        return node_error(exec->node, err, STATUS_POISON,
                          "%zu lengths do not fit an input of rank %d",
                          tensor_count(exec->x[1]), x->rank);
    }
    exec_same_shape(exec, 0, 0);
    return STATUS_OK;
}

static enum status reverse_run(struct exec *exec, struct error *err) {
    const struct reverse_state *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    const int64_t *lengths = exec->x[1]->data;
    int64_t batches = x->dims[state->batch_axis], times = x->dims[state->time_axis];
    size_t slice = dtype_size(x->dtype);
    for (int i = 2; i < x->rank; i++) {
        slice *= (size_t)x->dims[i];
    }
    for (int64_t b = 0; b < batches; b++) {
        if (lengths[b] < 0 || lengths[b] > times) {
            return node_error(exec->node, err, STATUS_POISON,
                              "a length is outside [0, %lld]", (long long)times);
        }
        for (int64_t t = 0; slice > 0 && t < times; t++) {
            int64_t from = t < lengths[b] ? lengths[b] - 1 - t : t;
            bool time_first = state->time_axis == 0;
            int64_t to_row = time_first ? t * batches + b : b * times + t;
            int64_t from_row = time_first ? from * batches + b : b * times + from;
            memcpy((uint8_t *)exec->y[0]->data + (size_t)to_row * slice,
                   (const uint8_t *)x->data + (size_t)from_row * slice, slice);
        }
    }
    return STATUS_OK;
}

/* ---- BitCast ----------------------------------------------------------------------- */

static enum status bitcast_prepare(struct load *load, struct error *err) {
    int64_t to = 0;
    enum dtype dtype = graph_input_dtype(load->graph, load->node, 0), made;
    enum status status = attr_int_in(load->node, "to", 0, 0, 1000, &to, err);
    if (status != STATUS_OK) {
        return status;
    }
    made = onnx_dtype((int32_t)to);
    if (made == DTYPE_NONE || dtype_size(made) != dtype_size(dtype) ||
        dtype_packed_bits(made) != dtype_packed_bits(dtype) || made == DTYPE_STRING) {
        return node_error(load->node, err, STATUS_INVALID,
                          "elements of %s are no elements of type number %lld",
                          dtype_name(dtype), (long long)to);
    }
    graph_set_output(load->graph, load->node, 0, made);
    return STATUS_OK;
}

static enum status bitcast_shape(struct exec *exec, struct error *err) {
    (void)err; /* cannot fail */
    exec_same_shape(exec, 0, 0);
    exec_alias(exec, 0, 0);
    return STATUS_OK;
}

/* Only where the session cannot let the output be the input's bytes. */
static enum status bitcast_run(struct exec *exec, struct error *err) {
    size_t size = tensor_size(exec->y[0]);
    (void)err; /* cannot fail */
    if (size > 0) {
        memcpy(exec->y[0]->data, exec->x[0]->data, size);
    }
    return STATUS_OK;
}

static const struct op ops[] = {
    {.name = "Compress",
     .since = 9,
     .inputs_min = 2,
     .inputs_max = 2,
     .shape_inputs = 2,
     .types = {TYPES_ALL, TYPES_BOOL},
     .prepare = compress_prepare,
     .shape = compress_shape,
     .run = compress_run},
    {.name = "NonZero",
     .since = 9,
     .inputs_min = 1,
     .inputs_max = 1,
     .shape_inputs = 1,
     .types = {TYPES_NUMBER | TYPES_BOOL},
     .output_dtype = DTYPE_I64,
     .shape = nonzero_shape,
     .run = nonzero_run},
    {.name = "OneHot",
     .since = 9,
     .inputs_min = 3,
     .inputs_max = 3,
     .shape_inputs = 2,
     .types = {TYPES_NUMBER, TYPES_NUMBER, TYPES_ALL},
     .prepare = one_hot_prepare,
     .shape = one_hot_shape,
     .run = one_hot_run},
    {.name = "EyeLike",
     .since = 9,
     .inputs_min = 1,
     .inputs_max = 1,
     .flags = OP_READS_SHAPE_ONLY,
     .types = {TYPES_NUMBER | TYPES_BOOL},
     .prepare = eye_prepare,
     .shape = eye_shape,
     .run = eye_run},
    {.name = "ReverseSequence",
     .since = 10,
     .inputs_min = 2,
     .inputs_max = 2,
     .types = {TYPES_ALL, TYPES_I64},
     .prepare = reverse_prepare,
     .shape = reverse_shape,
     .run = reverse_run},
    {.name = "BitCast",
     .since = 26,
     .inputs_min = 1,
     .inputs_max = 1,
     .flags = OP_KEEPS_HALF,
     .types = {TYPES_ALL & ~TYPES_STRING},
     .prepare = bitcast_prepare,
     .shape = bitcast_shape,
     .run = bitcast_run},
};

const struct op_list ops_pick = OP_LIST(ops);
