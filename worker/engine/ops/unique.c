/* unique.c - Unique: the different elements of a tensor, or slices along an axis, sorted
 * or in the order they come, with where each first was, which one each place has, and how
 * often.
 *
 * Slices are found by sorting their numbers; shape() does it, because how many there are
 * is what the outputs' shapes follow from. */
#include <math.h>

#include "engine/body.h"
#include "engine/ops/number.h"
#include "engine/ops/ops.h"

enum { OUT_VALUES, OUT_FIRST, OUT_INVERSE, OUT_COUNTS };

struct unique_state {
    int64_t axis;
    bool flat, sorted;
};

/* A slice among all: `outer` runs of `inner` elements. */
struct slice {
    const struct tensor *x;
    int64_t index; /* along the axis */
    int64_t outer, inner, step;
};

/* One of the different slices. */
struct group {
    int64_t first, count;
    int64_t rank; /* its place in the output */
};

struct unique_memo {
    struct hold slices, groups, inverse; /* of n each; inverse: group of each index */
    int64_t n, group_count;
};

static enum status prepare(struct load *load, struct error *err) {
    struct unique_state *state = load_state(load, struct unique_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    for (int i = OUT_FIRST; i <= OUT_COUNTS; i++) {
        graph_set_output(load->graph, load->node, i, DTYPE_I64);
    }
    state->flat = attr_find(load->node, "axis") == NULL;
    status = attr_int(load->node, "axis", 0, &state->axis, err);
    return status == STATUS_OK
               ? attr_bool(load->node, "sorted", true, &state->sorted, err)
               : status;
}

/* ---- order ------------------------------------------------------------------------- */

static int compare_texts(struct span a, struct span b) {
    size_t shared = a.size < b.size ? a.size : b.size;
    int order = shared == 0 ? 0 : memcmp(a.data, b.data, shared);
    return order != 0 ? order : a.size < b.size ? -1 : a.size > b.size;
}

/* NaN comes last and equals NaN, as in NumPy. */
static int compare_reals(double a, double b) {
    if (isnan(a) || isnan(b)) {
        return (isnan(a) ? 1 : 0) - (isnan(b) ? 1 : 0);
    }
    return a < b ? -1 : a > b;
}

static int compare_elements(const struct tensor *x, int64_t i, int64_t k) {
    if (x->dtype == DTYPE_STRING) {
        return compare_texts(((const struct span *)x->data)[i],
                             ((const struct span *)x->data)[k]);
    }
    if ((TYPE_BIT(x->dtype) & (TYPES_FLOAT | TYPES_HALF)) != 0) {
        return compare_reals(number_real(x, i), number_real(x, k));
    }
    int64_t a = number_integer(x, i), b = number_integer(x, k);
    if (x->dtype == DTYPE_U64) {
        return (uint64_t)a < (uint64_t)b ? -1 : (uint64_t)a > (uint64_t)b;
    }
    return a < b ? -1 : a > b;
}

static int compare_contents(const struct slice *a, const struct slice *b) {
    for (int64_t o = 0; o < a->outer; o++) {
        for (int64_t i = 0; i < a->inner; i++) {
            int64_t p = o * a->step + a->index * a->inner + i;
            int64_t q = o * b->step + b->index * b->inner + i;
            int order = compare_elements(a->x, p, q);
            if (order != 0) {
                return order;
            }
        }
    }
    return 0;
}

static int compare_slices(const void *a, const void *b) {
    const struct slice *p = a, *q = b;
    int order = compare_contents(p, q);
    return order != 0 ? order : p->index < q->index ? -1 : p->index > q->index;
}

static int compare_first(const void *a, const void *b) {
    const struct group *p = a, *q = b;
    return p->first < q->first ? -1 : p->first > q->first;
}

/* ---- shape and run ----------------------------------------------------------------- */

static enum status make_slices(struct exec *exec, struct error *err) {
    const struct unique_state *state = exec->node->state;
    struct unique_memo *memo = exec->memo;
    const struct tensor *x = exec->x[0];
    struct slice slice = {.x = x, .outer = 1, .inner = 1};
    struct slice *slices;
    int axis = 0;
    enum status status =
        state->flat ? STATUS_OK : exec_axis(exec, state->axis, x->rank, &axis, err);
    if (status != STATUS_OK) {
        return status;
    }
    memo->n = state->flat ? (int64_t)tensor_count(x) : x->dims[axis];
    for (int i = 0; !state->flat && i < x->rank; i++) {
        if (i != axis) {
            *(i < axis ? &slice.outer : &slice.inner) *= x->dims[i];
        }
    }
    slice.step = memo->n * slice.inner;
    status = hold_grow(exec, &memo->slices, (size_t)memo->n * sizeof(struct slice), err);
    if (status == STATUS_OK) {
        status =
            hold_grow(exec, &memo->groups, (size_t)memo->n * sizeof(struct group), err);
    }
    if (status == STATUS_OK) {
        status = hold_grow(exec, &memo->inverse, (size_t)memo->n * sizeof(int64_t), err);
    }
    slices = memo->slices.data;
    for (int64_t i = 0; status == STATUS_OK && i < memo->n; i++) {
        slices[i] = slice;
        slices[i].index = i;
    }
    return status;
}

/* Sorted slices into groups, then the groups into the order of the output. */
static void make_groups(struct unique_memo *memo, bool sorted) {
    struct slice *slices = memo->slices.data;
    struct group *groups = memo->groups.data;
    int64_t *inverse = memo->inverse.data, count = 0;
    for (int64_t i = 0; i < memo->n; i++) {
        if (i == 0 || compare_contents(&slices[i - 1], &slices[i]) != 0) {
            groups[count] = (struct group){.first = slices[i].index, .rank = count};
            count++;
        }
        groups[count - 1].count++;
        inverse[slices[i].index] = count - 1;
    }
    memo->group_count = count;
    if (sorted || count == 0) {
        return;
    }
    qsort(groups, (size_t)count, sizeof(*groups), compare_first);
    for (int64_t i = 0; i < count;
         i++) { /* slices[was] is no longer needed: it says where `was` is now */
        int64_t was = groups[i].rank;
        groups[i].rank = i;
        slices[was].index = i;
    }
    for (int64_t i = 0; i < memo->n; i++) {
        inverse[i] = slices[inverse[i]].index;
    }
}

static enum status shape(struct exec *exec, struct error *err) {
    const struct unique_state *state = exec->node->state;
    struct unique_memo *memo = exec->memo;
    enum status status = make_slices(exec, err);
    int axis = 0;
    if (status != STATUS_OK) {
        return status;
    }
    if (memo->n > 0) {
        qsort(memo->slices.data, (size_t)memo->n, sizeof(struct slice), compare_slices);
    }
    make_groups(memo, state->sorted);
    if (!state->flat) {
        status = exec_axis(exec, state->axis, exec->x[0]->rank, &axis, err);
    }
    if (exec_wants(exec, OUT_VALUES)) {
        exec_same_shape(exec, OUT_VALUES, 0);
        exec->y[OUT_VALUES]->rank = state->flat ? 1 : exec->x[0]->rank;
        exec->y[OUT_VALUES]->dims[axis] = memo->group_count;
    }
    for (int i = OUT_FIRST; i <= OUT_COUNTS; i++) {
        if (exec_wants(exec, i)) {
            exec->y[i]->rank = 1;
            exec->y[i]->dims[0] = i == OUT_INVERSE ? memo->n : memo->group_count;
        }
    }
    return status;
}

static enum status run(struct exec *exec, struct error *err) {
    const struct unique_state *state = exec->node->state;
    const struct unique_memo *memo = exec->memo;
    const struct tensor *x = exec->x[0];
    const struct group *groups = memo->groups.data;
    size_t inner = dtype_size(x->dtype), outer = 1, n = (size_t)memo->n;
    int axis = 0;
    enum status status =
        state->flat ? STATUS_OK : exec_axis(exec, state->axis, x->rank, &axis, err);
    for (int i = 0; !state->flat && i < x->rank; i++) {
        if (i != axis) {
            *(i < axis ? &outer : &inner) *= (size_t)x->dims[i];
        }
    }
    for (int64_t g = 0; g < memo->group_count; g++) {
        for (size_t o = 0; exec_wants(exec, OUT_VALUES) && inner > 0 && o < outer; o++) {
            memcpy((uint8_t *)exec->y[OUT_VALUES]->data +
                       (o * (size_t)memo->group_count + (size_t)g) * inner,
                   (const uint8_t *)x->data + (o * n + (size_t)groups[g].first) * inner,
                   inner);
        }
        if (exec_wants(exec, OUT_FIRST)) {
            ((int64_t *)exec->y[OUT_FIRST]->data)[g] = groups[g].first;
        }
        if (exec_wants(exec, OUT_COUNTS)) {
            ((int64_t *)exec->y[OUT_COUNTS]->data)[g] = groups[g].count;
        }
    }
    if (exec_wants(exec, OUT_INVERSE) && n > 0) {
        memcpy(exec->y[OUT_INVERSE]->data, memo->inverse.data, n * sizeof(int64_t));
    }
    return status;
}

static void release(struct exec *exec) {
    struct unique_memo *memo = exec->memo;
    hold_release(&memo->slices);
    hold_release(&memo->groups);
    hold_release(&memo->inverse);
}

static const struct op ops[] = {
    {
        .name = "Unique",
        .since = 11,
        .inputs_min = 1,
        .inputs_max = 1,
        .outputs_max = 4,
        .flags = OP_DYNAMIC,
        .types = {TYPES_NUMBER | TYPES_BOOL | TYPES_HALF | TYPES_STRING},
        .memo_size = sizeof(struct unique_memo),
        .prepare = prepare,
        .shape = shape,
        .run = run,
        .release = release,
    },
};

const struct op_list ops_unique = OP_LIST(ops);
