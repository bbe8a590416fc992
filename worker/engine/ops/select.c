/* select.c - TopK and NonMaxSuppression: the best of many, by sorting. */
#include <math.h>

#include "engine/body.h"
#include "engine/ops/number.h"
#include "engine/ops/ops.h"

#define SIGN ((uint64_t)1 << 63)

/* What is sorted: best first, the earlier first where two are equal. */
struct ranked {
    uint64_t order; /* the larger the better */
    int64_t index;
};

/* Compiled into the loops: a call for each comparison takes longer than that. */
static inline bool is_better(const struct ranked *a, const struct ranked *b) {
    return a->order != b->order ? a->order > b->order : a->index < b->index;
}

static int compare(const void *a, const void *b) {
    return is_better(a, b) ? -1 : is_better(b, a);
}

/* Numbers in the order of their values; a zero below zero is one, and NaN, as NumPy has
 * it, larger than anything. */
static uint64_t order_of_real(double value) {
    uint64_t bits;
    if (isnan(value)) {
        return UINT64_MAX;
    }
    value += 0.0;
    memcpy(&bits, &value, sizeof(bits));
    return (bits & SIGN) != 0 ? ~bits : bits | SIGN;
}

/* ---- TopK -------------------------------------------------------------------------- */

struct top_state {
    int64_t axis, k;
    bool largest;
};

static enum status top_prepare(struct load *load, struct error *err) {
    struct top_state *state = load_state(load, struct top_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    attr_ignore(load->node, "sorted"); /* it always is */
    graph_set_output(load->graph, load->node, 1, DTYPE_I64);
    status = attr_int(load->node, "axis", -1, &state->axis, err);
    if (status == STATUS_OK) {
        status = attr_int(load->node, "k", -1, &state->k, err);
    }
    return status == STATUS_OK
               ? attr_bool(load->node, "largest", true, &state->largest, err)
               : status;
}

static enum status top_shape(struct exec *exec, struct error *err) {
    const struct top_state *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    int64_t k = state->k;
    int axis = 0, count = 1;
    enum status status = exec_axis(exec, state->axis, x->rank, &axis, err);
    if (status == STATUS_OK && exec_has(exec, 1)) {
        status = exec_ints(exec, 1, &k, 1, &count, err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (count != 1 || k < 0 || k > x->dims[axis]) {
        return node_error(exec->node, err, STATUS_POISON,
                          "k is %lld, the axis has %lld elements", (long long)k,
                          (long long)x->dims[axis]);
    }
    for (int i = 0; i < 2; i++) {
        if (exec_wants(exec, i)) {
            exec_same_shape(exec, i, 0);
            exec->y[i]->dims[axis] = k;
        }
    }
    exec->scratch_size = (size_t)x->dims[axis] * sizeof(struct ranked);
    *(int64_t *)exec->memo = k;
    return STATUS_OK;
}

/* So few are kept sorted while the others pass; of more, all are sorted. */
#define TOP_KEPT_MAX 64

static struct ranked rank_element(const struct top_state *state, const struct tensor *x,
                                  int64_t at, int64_t index) {
    uint64_t order;
    if (x->dtype == DTYPE_F32) {
        order = order_of_real((double)((const float *)x->data)[at]);
    } else if ((TYPES_INT & TYPE_BIT(x->dtype)) == 0) {
        order = order_of_real(number_real(x, at));
    } else {
        order = (uint64_t)number_integer(x, at) ^ (x->dtype == DTYPE_U64 ? 0 : SIGN);
    }
    return (struct ranked){.order = state->largest ? order : ~order, .index = index};
}

/* Puts the best `k` of the line first, in order. */
static void rank_line(const struct top_state *state, const struct tensor *x,
                      int64_t start, int64_t step, int64_t count, int64_t k,
                      struct ranked *line) {
    bool few = k <= TOP_KEPT_MAX;
    int64_t kept = 0;
    for (int64_t i = 0; i < count; i++) {
        struct ranked next = rank_element(state, x, start + i * step, i);
        int64_t to;
        if (few && kept == k) {
            if (is_better(&line[k - 1], &next)) {
                continue;
            }
            kept--; /* the last makes room */
        }
        to = kept++;
        for (; few && to > 0 && is_better(&next, &line[to - 1]); to--) {
            line[to] = line[to - 1];
        }
        line[to] = next;
    }
    if (!few) {
        qsort(line, (size_t)count, sizeof(*line), compare);
    }
}

static enum status top_run(struct exec *exec, struct error *err) {
    const struct top_state *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    int64_t k = *(const int64_t *)exec->memo, outer = 1, inner = 1, count;
    struct ranked *line = exec->scratch;
    size_t size = dtype_size(x->dtype);
    int axis = 0;
    enum status status = exec_axis(exec, state->axis, x->rank, &axis, err);
    for (int i = 0; i < x->rank; i++) {
        if (i != axis) {
            *(i < axis ? &outer : &inner) *= x->dims[i];
        }
    }
    count = x->dims[axis];
    for (int64_t l = 0; status == STATUS_OK && k > 0 && l < outer * inner; l++) {
        int64_t from = l / inner * inner * count + l % inner;
        int64_t to = l / inner * inner * k + l % inner;
        rank_line(state, x, from, inner, count, k, line);
        for (int64_t i = 0; i < k; i++) {
            if (exec_wants(exec, 0)) {
                memcpy((uint8_t *)exec->y[0]->data + (size_t)(to + i * inner) * size,
                       (const uint8_t *)x->data +
                           (size_t)(from + line[i].index * inner) * size,
                       size);
            }
            if (exec_wants(exec, 1)) {
                ((int64_t *)exec->y[1]->data)[to + i * inner] = line[i].index;
            }
        }
    }
    return status;
}

/* ---- NonMaxSuppression ------------------------------------------------------------- */

struct nms_state {
    bool centered; /* boxes are x, y of the middle, width, height; else two corners */
};

struct nms_memo {
    struct hold ranked, chosen; /* chosen: three int64 for each box */
    int64_t count;
};

struct box {
    float top, left, bottom, right;
};

/* Batch item, class and limits of one round. */
struct nms_round {
    const float *boxes, *scores;
    int64_t box_count, limit;
    float overlap, score;
    bool has_score, centered;
};

static enum status nms_prepare(struct load *load, struct error *err) {
    struct nms_state *state = load_state(load, struct nms_state);
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    return attr_bool(load->node, "center_point_box", false, &state->centered, err);
}

static struct box read_box(const struct nms_round *round, int64_t index) {
    const float *b = round->boxes + index * 4;
    if (round->centered) {
        return (struct box){b[1] - b[3] / 2, b[0] - b[2] / 2, b[1] + b[3] / 2,
                            b[0] + b[2] / 2};
    }
    return (struct box){fminf(b[0], b[2]), fminf(b[1], b[3]), fmaxf(b[0], b[2]),
                        fmaxf(b[1], b[3])};
}

/* Intersection over union. */
static float overlap(struct box a, struct box b) {
    float height = fminf(a.bottom, b.bottom) - fmaxf(a.top, b.top);
    float width = fminf(a.right, b.right) - fmaxf(a.left, b.left);
    float shared = height > 0 && width > 0 ? height * width : 0;
    float areas =
        (a.bottom - a.top) * (a.right - a.left) + (b.bottom - b.top) * (b.right - b.left);
    return areas - shared > 0 ? shared / (areas - shared) : 0;
}

/* Sorts the boxes that are good enough; returns how many. */
static int64_t rank_boxes(const struct nms_round *round, struct ranked *ranked) {
    int64_t count = 0;
    for (int64_t i = 0; i < round->box_count; i++) {
        if (!round->has_score || round->scores[i] > round->score) {
            ranked[count++] = (struct ranked){
                .order = order_of_real((double)round->scores[i]), .index = i};
        }
    }
    qsort(ranked, (size_t)count, sizeof(*ranked), compare);
    return count;
}

/* Chosen boxes come to stand first. */
static int64_t choose_boxes(const struct nms_round *round, struct ranked *ranked,
                            int64_t count) {
    int64_t chosen = 0;
    for (int64_t i = 0; i < count && chosen < round->limit; i++) {
        struct box box = read_box(round, ranked[i].index);
        bool kept = true;
        for (int64_t k = 0; kept && k < chosen; k++) {
            kept = !(overlap(box, read_box(round, ranked[k].index)) > round->overlap);
        }
        if (kept) {
            ranked[chosen++] = ranked[i];
        }
    }
    return chosen;
}

static enum status nms_limits(const struct exec *exec, struct nms_round *round,
                              struct error *err) {
    const struct nms_state *state = exec->node->state;
    const struct tensor *boxes = exec->x[0], *scores = exec->x[1];
    if (boxes->rank != 3 || scores->rank != 3 || boxes->dims[2] != 4 ||
        boxes->dims[0] != scores->dims[0] || boxes->dims[1] != scores->dims[2]) {
        return node_error(exec->node, err, STATUS_POISON,
                          "boxes and scores do not fit together");
    }
    for (int i = 2; i < 5; i++) {
        if (exec_has(exec, i) && tensor_count(exec->x[i]) != 1) {
            return node_error(exec->node, err, STATUS_POISON,
                              "input %d must be a single number", i);
        }
    }
    round->box_count = boxes->dims[1];
    round->limit = exec_has(exec, 2) ? number_integer(exec->x[2], 0) : 0;
    round->overlap = exec_has(exec, 3) ? *(const float *)exec->x[3]->data : 0;
    round->has_score = exec_has(exec, 4);
    round->score = round->has_score ? *(const float *)exec->x[4]->data : 0;
    round->centered = state->centered;
    return STATUS_OK;
}

static enum status add_chosen(struct exec *exec, int64_t item, int64_t class,
                              int64_t count, struct error *err) {
    struct nms_memo *memo = exec->memo;
    const struct ranked *ranked = memo->ranked.data;
    enum status status = hold_grow(
        exec, &memo->chosen, (size_t)(memo->count + count) * 3 * sizeof(int64_t), err);
    for (int64_t i = 0; status == STATUS_OK && i < count; i++) {
        int64_t *to = (int64_t *)memo->chosen.data + 3 * memo->count++;
        to[0] = item;
        to[1] = class;
        to[2] = ranked[i].index;
    }
    return status;
}

/* How many there are is known only when all have been chosen. */
static enum status nms_shape(struct exec *exec, struct error *err) {
    struct nms_memo *memo = exec->memo;
    const struct tensor *scores = exec->x[1];
    struct nms_round round = {0};
    enum status status = nms_limits(exec, &round, err);
    memo->count = 0;
    if (status == STATUS_OK) {
        status = hold_grow(exec, &memo->ranked,
                           (size_t)round.box_count * sizeof(struct ranked), err);
    }
    for (int64_t i = 0; status == STATUS_OK && i < scores->dims[0] * scores->dims[1];
         i++) {
        int64_t item = i / scores->dims[1], count;
        round.boxes = (const float *)exec->x[0]->data + item * round.box_count * 4;
        round.scores = (const float *)scores->data + i * round.box_count;
        count = rank_boxes(&round, memo->ranked.data);
        count = choose_boxes(&round, memo->ranked.data, count);
        status = add_chosen(exec, item, i % scores->dims[1], count, err);
    }
    exec->y[0]->rank = 2;
    exec->y[0]->dims[0] = memo->count;
    exec->y[0]->dims[1] = 3;
    return status;
}

static enum status nms_run(struct exec *exec, struct error *err) {
    const struct nms_memo *memo = exec->memo;
    (void)err; /* shape() has chosen */
    if (memo->count > 0) {
        memcpy(exec->y[0]->data, memo->chosen.data, tensor_size(exec->y[0]));
    }
    return STATUS_OK;
}

static void nms_release(struct exec *exec) {
    struct nms_memo *memo = exec->memo;
    hold_release(&memo->ranked);
    hold_release(&memo->chosen);
}

static const struct op ops[] = {
    {
        .name = "TopK",
        .since = 1,
        .inputs_min = 1,
        .inputs_max = 2,
        .outputs_max = 2,
        .shape_inputs = 2,
        .types = {TYPES_NUMBER, TYPES_I64},
        .memo_size = sizeof(int64_t),
        .prepare = top_prepare,
        .shape = top_shape,
        .run = top_run,
    },
    {
        .name = "NonMaxSuppression",
        .since = 10,
        .inputs_min = 2,
        .inputs_max = 5,
        .flags = OP_DYNAMIC,
        .types = {TYPES_F32, TYPES_F32, TYPES_I64, TYPES_F32, TYPES_F32},
        .output_dtype = DTYPE_I64,
        .memo_size = sizeof(struct nms_memo),
        .prepare = nms_prepare,
        .shape = nms_shape,
        .run = nms_run,
        .release = nms_release,
    },
};

const struct op_list ops_select = OP_LIST(ops);
