/* attention.c - see attention.h; the loops over one type are attention.inc. */
#include "engine/kernels/attention.h"

#include <math.h>
#include <string.h>

#include "base/size.h"
#include "engine/kernels/act.h"
#include "engine/kernels/gemm.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/vmath.h"

/* Five tiles of the product's AVX-512 kernel. */
#define QUERY_BLOCK 70

struct place {
    int64_t batch, head, query;
};

/* Keys lo .. hi. */
struct range {
    int64_t lo, hi;
};

static int64_t min64(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t max64(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* The keys a query may see before its mask: lo .. hi, both within the keys. */
static void visible_keys(const struct attention *call, const struct place *at,
                         int64_t *lo, int64_t *hi) {
    int64_t first = 0, end = call->keys, offset = call->past;
    if (call->valid != NULL) {
        const int64_t valid = max64(-ATTENTION_WINDOW_MAX,
                                    min64(call->valid[at->batch], ATTENTION_WINDOW_MAX));
        end = min64(end, valid);
        offset = valid - call->queries;
    }
    if (call->mask.data != NULL) {
        end = min64(end, call->mask_keys);
    }
    const int64_t self = at->query + offset;
    if (call->causal) {
        end = min64(end, self + 1);
    }
    if (call->right != ATTENTION_UNBOUNDED) {
        end = min64(end, self + call->right + 1);
    }
    if (call->left != ATTENTION_UNBOUNDED) {
        first = max64(first, self - call->left);
    }
    *hi = max64(end, 0);
    *lo = min64(first, *hi);
}

static size_t scores_count(const struct attention *call) {
    size_t count = SIZE_MAX;
    const size_t rows = (size_t)min64(call->queries, QUERY_BLOCK);
    return size_mul(rows, (size_t)call->keys, &count) ? count : SIZE_MAX;
}

/* ---- float32 ------------------------------------------------------------------- */

struct pair_f32 {
    const float *k, *v; /* packed */
    float *scores;
};

size_t attention_f32_scratch_size(const struct attention *call) {
    const size_t k = gemm_pack_size(call->size, call->keys);
    const size_t v = gemm_pack_size(call->keys, call->v_size);
    size_t size;
    if (k == SIZE_MAX || v == SIZE_MAX ||
        !size_mul(scores_count(call), sizeof(float), &size) ||
        !size_add(size, k, &size) || !size_add(size, v, &size)) {
        return SIZE_MAX;
    }
    return size;
}

static float *rows_f32(const struct attention_rows *x, int64_t batch, int64_t head) {
    return (float *)x->data + batch * x->batch + head * x->head;
}

static struct pair_f32 load_pair_f32(const struct attention *call, int64_t batch,
                                     int64_t head, void *scratch) {
    float *k = scratch;
    float *v = k + gemm_pack_size(call->size, call->keys) / sizeof(float);
    float *scores = v + gemm_pack_size(call->keys, call->v_size) / sizeof(float);
    gemm_pack(call->size, call->keys, rows_f32(&call->k, batch, head), call->k.row, true,
              k);
    gemm_pack(call->keys, call->v_size, rows_f32(&call->v, batch, head), call->v.row,
              false, v);
    return (struct pair_f32){k, v, scores};
}

static void multiply_k_f32(const struct attention *call, int64_t count, const float *q,
                           const struct pair_f32 *pair, float *scores) {
    const struct gemm_tail tail = {.alpha = call->scale};
    gemm_run(count, call->keys, call->size, q, call->q.row, pair->k, &tail, scores,
             call->keys);
}

static void multiply_v_f32(const struct attention *call, int64_t count,
                           const float *scores, const struct pair_f32 *pair, float *y) {
    gemm_run(count, call->v_size, call->keys, scores, call->keys, pair->v, NULL, y,
             call->y.row);
}

static void cap_f32(int64_t count, float cap, float *x) {
    const struct act act = {.kind = ACT_SCALED_TANH, .alpha = cap, .beta = 1.0F / cap};
    act_run(&act, count, x, x);
}

static float highest_f32(int64_t count, const float *x) {
    return kernels_current()->max(count, x);
}

static void softmax_f32(int64_t rows, int64_t cols, float *x) {
    vmath_softmax_rows(rows, cols, x, x);
}

#define REAL float
#define NAME(name) name##_f32
#include "engine/kernels/attention.inc"

/* ---- float64 ------------------------------------------------------------------- */

struct pair_f64 {
    const double *k, *v; /* where they lie */
    double *scores;
};

size_t attention_f64_scratch_size(const struct attention *call) {
    size_t size;
    return size_mul(scores_count(call), sizeof(double), &size) ? size : SIZE_MAX;
}

static double *rows_f64(const struct attention_rows *x, int64_t batch, int64_t head) {
    return (double *)x->data + batch * x->batch + head * x->head;
}

static struct pair_f64 load_pair_f64(const struct attention *call, int64_t batch,
                                     int64_t head, void *scratch) {
    return (struct pair_f64){rows_f64(&call->k, batch, head),
                             rows_f64(&call->v, batch, head), scratch};
}

static void multiply_k_f64(const struct attention *call, int64_t count, const double *q,
                           const struct pair_f64 *pair, double *scores) {
    gemm_f64(false, true, count, call->keys, call->size, (double)call->scale, q,
             call->q.row, pair->k, call->k.row, 0, scores, call->keys);
}

static void multiply_v_f64(const struct attention *call, int64_t count,
                           const double *scores, const struct pair_f64 *pair, double *y) {
    gemm_f64(false, false, count, call->v_size, call->keys, 1, scores, call->keys,
             pair->v, call->v.row, 0, y, call->y.row);
}

static void cap_f64(int64_t count, float cap, double *x) {
    for (int64_t i = 0; i < count; i++) {
        x[i] = tanh(x[i] / (double)cap) * (double)cap;
    }
}

static double highest_f64(int64_t count, const double *x) {
    double most = -INFINITY;
    for (int64_t i = 0; i < count; i++) {
        most = x[i] > most || isnan(x[i]) ? x[i] : most;
    }
    return most;
}

static void softmax_f64(int64_t rows, int64_t cols, double *x) {
    for (int64_t r = 0; r < rows; r++, x += cols) {
        const double most = highest_f64(cols, x);
        double sum = 0;
        for (int64_t i = 0; i < cols; i++) {
            x[i] = exp(x[i] - most);
            sum += x[i];
        }
        for (int64_t i = 0; i < cols; i++) {
            x[i] /= sum;
        }
    }
}

#define REAL double
#define NAME(name) name##_f64
#include "engine/kernels/attention.inc"
