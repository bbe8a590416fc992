/* product.c - see product.h. */
#include "engine/ops/product.h"

#include <stdlib.h>

#include "base/size.h"
#include "engine/kernels/gemm.h"
#include "engine/weights.h"

/* Weights of the form [n,k] are packed where they lie: no new memory is touched. */
static float *pack_in_place(struct load *load, int64_t k, int64_t n) {
    float *b = NULL;
    float *panel = malloc(gemm_panel_count(k) * sizeof(*panel));
    if (panel != NULL) {
        b = weights_take(load->weights, load->node, 1, gemm_pack_size(k, n));
    }
    if (b != NULL) {
        gemm_pack_in_place(k, n, b, panel);
    }
    free(panel);
    return b;
}

enum status product_pack(struct load *load, bool trans, const float **packed,
                         struct error *err) {
    const struct tensor *b = graph_constant(load->graph, load->node, 1);
    int64_t k, n;
    size_t size;
    float *memory = NULL;
    if (b == NULL || b->dtype != DTYPE_F32 || b->rank != 2) {
        return STATUS_OK;
    }
    k = b->dims[trans ? 1 : 0];
    n = b->dims[trans ? 0 : 1];
    size = gemm_pack_size(k, n);
    if (trans) {
        memory = pack_in_place(load, k, n);
    }
    if (memory == NULL) {
        memory = size == SIZE_MAX ? NULL : graph_memory(load->graph, size);
        if (memory == NULL) {
            return load_no_memory(load, err);
        }
        gemm_pack(k, n, b->data, b->dims[1], trans, memory);
    }
    load->consumed = 1U << 1;
    *packed = memory;
    return STATUS_OK;
}

/* Fewer rows are turned as fast when they are needed. */
#define LEFT_ROWS_MIN 32

enum status product_pack_left(struct load *load, struct product_left *left,
                              struct error *err) {
    const struct tensor *a = graph_constant(load->graph, load->node, 0);
    size_t count, size;
    float *packed;
    left->constant = a != NULL;
    if (a == NULL || a->dtype != DTYPE_F32 || a->rank < 2 || tensor_count(a) == 0 ||
        a->dims[a->rank - 2] < LEFT_ROWS_MIN) {
        return STATUS_OK;
    }
    const int64_t m = a->dims[a->rank - 2], k = a->dims[a->rank - 1];
    count = tensor_count(a) / (size_t)(m * k);
    size = gemm_pack_size(k, m);
    left->rows = m;
    left->step = size / sizeof(float);
    packed = size_mul(size, count, &size) ? graph_memory(load->graph, size) : NULL;
    if (packed == NULL) {
        return load_no_memory(load, err);
    }
    for (size_t i = 0; i < count; i++) {
        gemm_pack(k, m, (const float *)a->data + i * (size_t)(m * k), k, true,
                  packed + i * left->step);
    }
    left->packed = packed;
    return STATUS_OK;
}

/* y' = b' A' has the same chains of sums as A B. */
void product_column(const struct exec *exec, const struct product_left *left, int64_t m,
                    int64_t k, float alpha, const float *a, const float *b, float *y) {
    const struct gemm_tail tail = {.alpha = alpha};
    if (left->packed == NULL) {
        gemm_f32_column(m, k, alpha, a, k, b, y);
        return;
    }
    const int64_t rows = left->rows;
    const int64_t first = (a - (const float *)exec->x[0]->data) / k / rows;
    for (int64_t i = 0; i < m / rows; i++) {
        gemm_run(1, rows, k, b, k, left->packed + (size_t)(first + i) * left->step, &tail,
                 y + i * rows, rows);
    }
}

const float *product_bias(const struct exec *exec) {
    return exec_has(exec, 2) ? exec->x[2]->data : NULL;
}
