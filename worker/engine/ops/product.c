/* product.c - see product.h. */
#include "engine/ops/product.h"

#include "engine/kernels/gemm.h"

enum status product_pack(struct load *load, bool trans, const float **packed,
                         struct error *err) {
    const struct tensor *b = graph_constant(load->graph, load->node, 1);
    int64_t k, n;
    size_t size;
    float *memory;
    if (b == NULL || b->dtype != DTYPE_F32 || b->rank != 2) {
        return STATUS_OK;
    }
    k = b->dims[trans ? 1 : 0];
    n = b->dims[trans ? 0 : 1];
    size = gemm_pack_size(k, n);
    memory = size == SIZE_MAX ? NULL : graph_memory(load->graph, size);
    if (memory == NULL) {
        return load_no_memory(load, err);
    }
    gemm_pack(k, n, b->data, b->dims[1], trans, memory);
    load->consumed = 1U << 1;
    *packed = memory;
    return STATUS_OK;
}

const float *product_bias(const struct exec *exec) {
    return exec_has(exec, 2) ? exec->x[2]->data : NULL;
}
