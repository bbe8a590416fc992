/* test_kernel_attention.c - attention against its definition, at every level. */
#include "engine/kernels/attention.h"

#include "tests/unit/engine/kernel_test.h"

#define TOLERANCE 2e-5

static float at(const struct attention_rows *x, int64_t b, int64_t h, int64_t r,
                int64_t i) {
    return ((const float *)x->data)[b * x->batch + h * x->head + r * x->row + i];
}

static bool sees(const struct attention *call, int64_t b, int64_t i, int64_t j) {
    const int64_t offset =
        call->valid != NULL ? call->valid[b] - call->queries : call->past;
    const int64_t apart = j - (i + offset);
    return !(call->valid != NULL && j >= call->valid[b]) &&
           !(call->mask.data != NULL && j >= call->mask_keys) &&
           !(call->causal && apart > 0) &&
           !(call->left != ATTENTION_UNBOUNDED && apart < -call->left) &&
           !(call->right != ATTENTION_UNBOUNDED && apart > call->right);
}

/* The weight of key j, not yet divided by their sum. */
static double weight(const struct attention *call, int64_t b, int64_t h, int64_t i,
                     int64_t j) {
    const int64_t group = call->heads / call->kv_heads;
    double sum = 0;
    if (!sees(call, b, i, j)) {
        return 0;
    }
    for (int64_t d = 0; d < call->size; d++) {
        sum +=
            (double)at(&call->q, b, h, i, d) * (double)at(&call->k, b, h / group, j, d);
    }
    sum *= (double)call->scale;
    if (call->softcap > 0.0F) {
        sum = tanh(sum / (double)call->softcap) * (double)call->softcap;
    }
    if (call->mask.data != NULL && call->mask_is_bool) {
        const uint8_t *mask = call->mask.data;
        return mask[b * call->mask.batch + h * call->mask.head + i * call->mask.row + j]
                   ? exp(sum)
                   : 0;
    }
    return exp(sum +
               (call->mask.data == NULL
                    ? 0
                    : (double)at(&call->mask, b, h, i, call->mask_is_column ? 0 : j)));
}

static double expected(const struct attention *call, int64_t b, int64_t h, int64_t i,
                       int64_t e) {
    const int64_t group = call->heads / call->kv_heads;
    double total = 0, sum = 0;
    for (int64_t j = 0; j < call->keys; j++) {
        const double w = weight(call, b, h, i, j);
        total += w;
        sum += w * (double)at(&call->v, b, h / group, j, e);
    }
    return total > 0 ? sum / total : 0;
}

static struct attention_rows rows_random(int64_t batch, int64_t heads, int64_t rows,
                                         int64_t size) {
    struct attention_rows x = {.data = floats_random(batch * heads * rows * size),
                               .batch = heads * rows * size,
                               .head = rows * size,
                               .row = size};
    if (number_between(0, 1) == 1) { /* rows first */
        x.head = size;
        x.row = heads * size;
    }
    return x;
}

static void random_mask(struct attention *call) {
    const int64_t kind = number_between(0, 3);
    const int64_t count = call->batch * call->heads * call->queries * call->keys;
    if (kind == 0) {
        return;
    }
    call->mask_is_bool = kind == 1;
    call->mask_is_column = kind == 2;
    call->mask_keys = call->keys - (kind == 3 ? number_between(0, call->keys) / 2 : 0);
    call->mask.row = call->mask_is_column ? 1 : call->mask_keys;
    call->mask.head = number_between(0, 1) * call->queries * call->mask.row;
    call->mask.batch = number_between(0, 1) * call->queries * call->mask.row;
    float *mask = floats_random(count + call->queries);
    call->mask.data = mask;
    for (int64_t i = 0; i < count && call->mask_is_bool; i++) {
        ((uint8_t *)mask)[i] = number_between(0, 3) > 0;
    }
}

static struct attention random_call(void) {
    struct attention call = {.batch = number_between(1, 3),
                             .kv_heads = number_between(1, 2),
                             .queries = number_between(1, 90),
                             .keys = number_between(1, 40),
                             .size = number_between(1, 33),
                             .v_size = number_between(1, 40),
                             .scale = 0.5F,
                             .left = ATTENTION_UNBOUNDED,
                             .right = ATTENTION_UNBOUNDED};
    call.heads = call.kv_heads * number_between(1, 3);
    call.q = rows_random(call.batch, call.heads, call.queries, call.size);
    call.k = rows_random(call.batch, call.kv_heads, call.keys, call.size);
    call.v = rows_random(call.batch, call.kv_heads, call.keys, call.v_size);
    call.y = rows_random(call.batch, call.heads, call.queries, call.v_size);
    call.causal = number_between(0, 2) == 0;
    call.softcap = number_between(0, 2) == 0 ? 2.0F : 0.0F;
    call.past = number_between(0, 5);
    if (number_between(0, 2) == 0) {
        call.left = number_between(0, 9);
        call.right = number_between(-1, 9);
    }
    random_mask(&call);
    return call;
}

static void check(const struct attention *call) {
    void *scratch = memory_aligned(attention_f32_scratch_size(call));
    attention_f32(call, scratch);
    for (int64_t b = 0; b < call->batch; b++) {
        for (int64_t h = 0; h < call->heads; h++) {
            for (int64_t i = 0; i < call->queries; i++) {
                for (int64_t e = 0; e < call->v_size; e += 7) {
                    ck_assert_double_eq_tol((double)at(&call->y, b, h, i, e),
                                            expected(call, b, h, i, e), TOLERANCE);
                }
            }
        }
    }
}

START_TEST(random_calls_agree_with_the_definition) {
    FOR_EACH_LEVEL(level) {
        for (int round = 0; round < 60; round++) {
            const struct attention call = random_call();
            check(&call);
        }
    }
}
END_TEST

START_TEST(padding_is_not_seen_however_hostile_its_length) {
    static const int64_t valid[] = {INT64_MIN, -1, 0, 3, 7, INT64_MAX};
    FOR_EACH_LEVEL(level) {
        for (size_t i = 0; i < ARRAY_COUNT(valid); i++) {
            struct attention call = random_call();
            int64_t lengths[3] = {valid[i], valid[i], valid[i]};
            call.mask.data = NULL;
            call.valid = lengths;
            void *scratch = memory_aligned(attention_f32_scratch_size(&call));
            attention_f32(&call, scratch);
            for (int64_t e = 0; e < call.v_size; e++) {
                const float y = at(&call.y, 0, 0, 0, e);
                ck_assert(isfinite(y));
                ck_assert(valid[i] > 0 || y == 0.0F);
            }
        }
    }
}
END_TEST

START_TEST(a_sequence_does_not_depend_on_the_others) {
    FOR_EACH_LEVEL(level) {
        struct attention call = random_call();
        call.mask.data = NULL;
        call.batch = 1;
        const int64_t count = call.heads * call.queries * call.v_size;
        float *alone = floats_random(count), *many = floats_random(3 * count);
        call.y = (struct attention_rows){alone, count, call.queries * call.v_size,
                                         call.v_size};
        attention_f32(&call, memory_aligned(attention_f32_scratch_size(&call)));
        call.batch = 3;
        call.q.batch = call.k.batch = call.v.batch = 0;
        call.y.data = many;
        attention_f32(&call, memory_aligned(attention_f32_scratch_size(&call)));
        for (int64_t b = 0; b < 3; b++) {
            ck_assert(same_bits(count, alone, many + b * count));
        }
    }
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        random_calls_agree_with_the_definition,
        padding_is_not_seen_however_hostile_its_length,
        a_sequence_does_not_depend_on_the_others,
    };
    return suite_run_kernels("attention kernels", tests, ARRAY_COUNT(tests));
}
