/* product.c - see product.h. */
#include "engine/ops/product.h"

#include <stdlib.h>

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

const float *product_bias(const struct exec *exec) {
    return exec_has(exec, 2) ? exec->x[2]->data : NULL;
}
