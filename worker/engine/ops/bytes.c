/* bytes.c - see bytes.h. */
#include "engine/ops/bytes.h"

#include "engine/ops/number.h"

const struct tensor *bytes_input(const struct exec *exec, int input) {
    return input > 0 && exec_has(exec, input) ? exec->x[input] : NULL;
}

static enum status check_type(const struct load *load, int input, enum dtype wanted,
                              struct error *err) {
    const enum dtype dtype =
        input > 0 ? graph_input_dtype(load->graph, load->node, input) : DTYPE_NONE;
    return dtype == DTYPE_NONE || dtype == wanted
               ? STATUS_OK
               : node_error(load->node, err, STATUS_UNSUPPORTED,
                            "input %d has type %s, which is not handled here", input,
                            dtype_name(dtype));
}

enum status bytes_check_types(const struct load *load, const int *floats, size_t count,
                              int sums, struct error *err) {
    enum status status = check_type(load, sums, DTYPE_I32, err);
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        status = check_type(load, floats[i], DTYPE_F32, err);
    }
    return status;
}

bool bytes_fits(const struct tensor *x, int64_t lines) {
    const int64_t count = x == NULL ? 1 : (int64_t)tensor_count(x);
    return count == 1 || count == lines;
}

static int32_t number_at(const struct tensor *x, int64_t line) {
    return x == NULL ? 0 : (int32_t)number_integer(x, tensor_count(x) == 1 ? 0 : line);
}

int32_t bytes_left_zero(const struct tensor *zero, int64_t line, uint8_t flip) {
    return number_at(zero, line) + flip;
}

bool bytes_right_zeros(const struct tensor *zero, int64_t lines, uint8_t flip,
                       int32_t *zeros) {
    const int64_t step = zero == NULL || tensor_count(zero) == 1 ? 0 : 1;
    int32_t any = 0;
    if (zero == NULL) {
        any = -(int32_t)flip;
        for (int64_t i = 0; i < lines; i++) {
            zeros[i] = any;
        }
    } else if (zero->dtype == DTYPE_I8) {
        for (int64_t i = 0; i < lines; i++) {
            zeros[i] = ((const int8_t *)zero->data)[i * step] - flip;
            any |= zeros[i];
        }
    } else {
        for (int64_t i = 0; i < lines; i++) {
            zeros[i] = ((const uint8_t *)zero->data)[i * step] - flip;
            any |= zeros[i];
        }
    }
    memset(zeros + lines, 0, GEMM_BYTES_SLACK * sizeof(*zeros));
    return any != 0;
}

/* Unsigned inside, where wrapping around is defined. */
void bytes_terms(int64_t count, int64_t k, int32_t left_zero, const int32_t *columns,
                 const int32_t *zeros, const int32_t *bias, int64_t step, int32_t *add) {
    const uint32_t zero = (uint32_t)left_zero, both = zero * (uint32_t)k;
    for (int64_t i = 0; i < count; i++) {
        add[i] = (int32_t)(0 - zero * (uint32_t)columns[i]);
    }
    for (int64_t i = 0; i < count && zeros != NULL; i++) {
        add[i] = (int32_t)((uint32_t)add[i] + both * (uint32_t)zeros[i]);
    }
    for (int64_t i = 0; i < count && bias != NULL; i++) {
        add[i] = (int32_t)((uint32_t)add[i] + (uint32_t)bias[i * step]);
    }
    memset(add + count, 0, GEMM_BYTES_SLACK * sizeof(*add));
}

void bytes_scales(int64_t count, float a, const struct tensor *b, const struct tensor *y,
                  float *scales) {
    const float *right = b->data;
    const float by = y == NULL ? 1 : *(const float *)y->data;
    const int64_t step = tensor_count(b) == 1 ? 0 : 1;
    for (int64_t i = 0; i < count; i++) {
        scales[i] = a * right[i * step] / by;
    }
    memset(scales + count, 0, GEMM_BYTES_SLACK * sizeof(*scales));
}
