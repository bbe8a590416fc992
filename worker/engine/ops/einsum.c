/* einsum.c - Einsum: operands are contracted from left to right, each pair as one batched
 * matrix product.
 *
 *     labels of a pair:   in both, kept -> batch      in both, not kept -> k
 *                         in the left alone -> m      in the right alone -> n
 *     A [batch, m, k]  B [batch, k, n]  ->  [batch, m, n]
 *
 * A label is kept while a later operand or the result has it.  What one operand alone has
 * and nobody keeps is summed first; a label twice in one operand is its diagonal, by
 * steps.  Axes of size 1 broadcast, so they are left out of all this.
 *
 * shape() takes the same walk as run(), only to count the memory. */
#include "base/size.h"
#include "engine/kernels/gemm.h"
#include "engine/ops/ops.h"
#include "engine/ops/strided.h"

enum {
    EINSUM_OPERANDS_MAX = 16,
    LETTERS = 52,
    LABELS = LETTERS + TENSOR_RANK_MAX, /* then the axes of an ellipsis, aligned right */
    ELLIPSIS = LABELS,
};

/* The labels of an operand or of the result as they are written. */
struct term {
    int count, labels[TENSOR_RANK_MAX + 1];
    bool has_ellipsis;
};

struct einsum_state {
    int operands;
    struct term terms[EINSUM_OPERANDS_MAX], result;
    bool first_constant; /* then n may be the rows of a batch */
};

struct view {
    const uint8_t *data;
    int rank, labels[STRIDED_RANK_MAX];
    int64_t steps[STRIDED_RANK_MAX];
};

/* Some of a walk's labels, in order. */
struct list {
    int count, labels[STRIDED_RANK_MAX];
};

struct walk {
    const struct exec *exec;
    enum dtype dtype;
    int64_t size[LABELS];
    struct list result;
    uint8_t *memory; /* NULL while memory is counted */
    size_t used;
    bool too_large;
};

/* ---- the equation ------------------------------------------------------------------ */

static int letter(uint8_t c) {
    return c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' + 26 : -1;
}

/* Reads a term up to ',', '-' or the end; false where it is none. */
static bool parse_term(struct span text, size_t *at, struct term *term) {
    *term = (struct term){0};
    for (; *at < text.size && text.data[*at] != ',' && text.data[*at] != '-'; (*at)++) {
        int label = letter(text.data[*at]);
        if (text.data[*at] == ' ') {
            continue;
        }
        if (label < 0) {
            if (text.size - *at < 3 || memcmp(text.data + *at, "...", 3) != 0 ||
                term->has_ellipsis) {
                return false;
            }
            label = ELLIPSIS;
            term->has_ellipsis = true;
            *at += 2;
        }
        if (term->count == TENSOR_RANK_MAX + 1) {
            return false;
        }
        term->labels[term->count++] = label;
    }
    return true;
}

/* Without an arrow the result has the ellipsis and each letter that occurs once. */
static bool imply_result(struct einsum_state *state) {
    int seen[LABELS + 1] = {0};
    struct term *result = &state->result;
    *result = (struct term){0};
    for (int t = 0; t < state->operands; t++) {
        for (int i = 0; i < state->terms[t].count; i++) {
            seen[state->terms[t].labels[i]]++;
        }
    }
    if (seen[ELLIPSIS] > 0) {
        result->labels[result->count++] = ELLIPSIS;
        result->has_ellipsis = true;
    }
    for (int label = 0; label < LETTERS; label++) {
        if (seen[label] == 1) {
            if (result->count == TENSOR_RANK_MAX + 1) {
                return false;
            }
            result->labels[result->count++] = label;
        }
    }
    return true;
}

/* Each label of the result stands there once and in some operand. */
static bool check_result(const struct einsum_state *state) {
    bool there[LABELS + 1] = {false};
    there[ELLIPSIS] = true;
    for (int t = 0; t < state->operands; t++) {
        for (int i = 0; i < state->terms[t].count; i++) {
            there[state->terms[t].labels[i]] = true;
        }
    }
    for (int i = 0; i < state->result.count; i++) {
        if (!there[state->result.labels[i]]) {
            return false;
        }
        there[state->result.labels[i]] = false;
    }
    return true;
}

static bool parse(struct span text, struct einsum_state *state) {
    size_t at = 0;
    for (;;) {
        if (state->operands == EINSUM_OPERANDS_MAX ||
            !parse_term(text, &at, &state->terms[state->operands++])) {
            return false;
        }
        if (at == text.size || text.data[at] != ',') {
            break;
        }
        at++;
    }
    if (at == text.size) {
        return imply_result(state);
    }
    if (text.size - at < 2 || text.data[at + 1] != '>') {
        return false;
    }
    at += 2;
    return parse_term(text, &at, &state->result) && at == text.size &&
           check_result(state);
}

static enum status prepare(struct load *load, struct error *err) {
    struct einsum_state *state = load_state(load, struct einsum_state);
    struct span equation;
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = attr_text(load->node, "equation", "", &equation, err);
    if (status == STATUS_OK &&
        (!parse(equation, state) || state->operands != load->node->input_count)) {
        status =
            node_error(load->node, err, STATUS_INVALID,
                       "equation '%.*s' does not suit %d inputs, at most %d",
                       (int)size_min(equation.size, 100), (const char *)equation.data,
                       load->node->input_count, EINSUM_OPERANDS_MAX);
    }
    return status;
}

static enum status pack_state(struct load *load, struct error *err) {
    struct einsum_state *state = load->node->state;
    (void)err; /* cannot fail */
    state->first_constant = graph_constant(load->graph, load->node, 0) != NULL;
    return STATUS_OK;
}

/* ---- views ------------------------------------------------------------------------- */

static int view_find(const struct view *view, int label) {
    for (int i = 0; i < view->rank; i++) {
        if (view->labels[i] == label) {
            return i;
        }
    }
    return -1;
}

/* The label of axis `axis`; -1 where the term has too few. */
static int axis_label(const struct term *term, int rank, int axis) {
    int extra = rank - (term->count - (term->has_ellipsis ? 1 : 0)), at = 0;
    for (int i = 0; i < term->count; i++) {
        int width = term->labels[i] == ELLIPSIS ? extra : 1;
        if (axis < at + width) {
            return term->labels[i] == ELLIPSIS ? LABELS - extra + axis - at
                                               : term->labels[i];
        }
        at += width;
    }
    return -1;
}

static enum status take_sizes(const struct exec *exec, struct walk *walk,
                              struct error *err) {
    const struct einsum_state *state = exec->node->state;
    for (int t = 0; t < state->operands; t++) {
        const struct tensor *x = exec->x[t];
        const struct term *term = &state->terms[t];
        int rank = x->rank, extra = rank - term->count + (term->has_ellipsis ? 1 : 0);
        bool fits = extra == 0 || (extra > 0 && term->has_ellipsis);
        for (int i = 0; fits && i < rank; i++) {
            int label = axis_label(term, rank, i);
            int64_t *size = label < 0 ? NULL : &walk->size[label];
            fits = size != NULL && (*size == x->dims[i] || *size == 1 || x->dims[i] == 1);
            if (fits && x->dims[i] != 1) {
                *size = x->dims[i];
            }
        }
        if (!fits) {
            char text[TENSOR_SHAPE_TEXT_MAX];
            return node_error(exec->node, err, STATUS_POISON,
                              "input %d of shape %s does not suit the equation", t,
                              tensor_shape_text(x->dims, x->rank, text, sizeof(text)));
        }
    }
    return STATUS_OK;
}

/* Operand `t` without its axes of size 1. */
static struct view view_of(const struct walk *walk, int t) {
    const struct einsum_state *state = walk->exec->node->state;
    const struct tensor *x = walk->exec->x[t];
    struct view view = {.data = x->data};
    int64_t steps[TENSOR_RANK_MAX];
    strided_dense(x->dims, x->rank, steps);
    for (int i = 0; i < x->rank; i++) {
        int label = axis_label(&state->terms[t], x->rank, i), at;
        if (x->dims[i] == 1) {
            continue;
        }
        at = view_find(&view, label);
        if (at < 0) {
            at = view.rank++;
            view.labels[at] = label;
            view.steps[at] = 0;
        }
        view.steps[at] += steps[i];
    }
    return view;
}

static int64_t product_of(struct walk *walk, const struct list *list) {
    int64_t product = 1;
    for (int i = 0; i < list->count; i++) {
        if (__builtin_mul_overflow(product, walk->size[list->labels[i]], &product)) {
            walk->too_large = true;
            return 0;
        }
    }
    return product;
}

static void list_add(struct walk *walk, struct list *list, int label) {
    if (list->count == STRIDED_RANK_MAX) {
        walk->too_large = true;
        return;
    }
    list->labels[list->count++] = label;
}

static void list_join(struct walk *walk, struct list *list, const struct list *more) {
    for (int i = 0; i < more->count; i++) {
        list_add(walk, list, more->labels[i]);
    }
}

static struct view dense_view(struct walk *walk, const struct list *list, void *data) {
    struct view view = {.data = data, .rank = list->count};
    int64_t step = 1;
    for (int i = list->count - 1; i >= 0; i--) {
        view.labels[i] = list->labels[i];
        view.steps[i] = step;
        step *= walk->size[list->labels[i]];
    }
    return view;
}

/* Room for `count` elements; NULL while memory is counted. */
static void *take(struct walk *walk, int64_t count) {
    size_t at = walk->used, size;
    if (!size_mul((size_t)count, dtype_size(walk->dtype), &size) || size > SIZE_MAX / 4 ||
        walk->used > SIZE_MAX / 4) {
        walk->too_large = true;
        return NULL;
    }
    walk->used += size_align(size, GEMM_ALIGN);
    return walk->memory == NULL ? NULL : walk->memory + at;
}

/* ---- the steps --------------------------------------------------------------------- */

/* The view's elements, dense in the order of `list`, which has all its labels: at `to`,
 * in place where it is NULL and they lie so, or in memory of the walk. */
static const void *pack(struct walk *walk, const struct view *view,
                        const struct list *list, void *to) {
    struct strided copy = {.rank = list->count};
    struct view dense = dense_view(walk, list, NULL);
    if (walk->too_large) {
        return NULL;
    }
    for (int i = 0; i < list->count; i++) {
        int at = view_find(view, list->labels[i]);
        copy.dims[i] = walk->size[list->labels[i]];
        copy.from_step[i] = view->steps[at];
        copy.to_step[i] = dense.steps[i];
    }
    strided_simplify(&copy);
    if (to == NULL && (copy.rank == 0 || (copy.rank == 1 && copy.from_step[0] == 1))) {
        return view->data;
    }
    if (to == NULL) {
        to = take(walk, product_of(walk, list));
    }
    if (walk->memory != NULL) {
        strided_run(&copy, dtype_size(walk->dtype), view->data, to);
    }
    return to;
}

#define SUM_ROWS(type, sum_type)                            \
    for (int64_t r = 0; r < rows; r++) {                    \
        const type *row = (const type *)from + r * columns; \
        sum_type sum = 0;                                   \
        for (int64_t i = 0; i < columns; i++) {             \
            sum += (sum_type)row[i];                        \
        }                                                   \
        ((type *)to)[r] = (type)sum;                        \
    }

static void sum_rows(enum dtype dtype, int64_t rows, int64_t columns, const void *from,
                     void *to) {
    if (dtype == DTYPE_F32) {
        SUM_ROWS(float, double)
    } else if (dtype == DTYPE_F64) {
        SUM_ROWS(double, double)
    } else if (dtype == DTYPE_I32 || dtype == DTYPE_U32) {
        SUM_ROWS(uint32_t, uint32_t)
    } else {
        SUM_ROWS(uint64_t, uint64_t)
    }
}

/* Sums over `gone`; what is left lies in the order of `kept`, at `to` if that is given.
 */
static struct view reduce(struct walk *walk, const struct view *view,
                          const struct list *kept, const struct list *gone, void *to) {
    struct list all = *kept;
    const void *packed;
    list_join(walk, &all, gone);
    packed = pack(walk, view, &all, gone->count == 0 ? to : NULL);
    if (gone->count > 0) {
        int64_t rows = product_of(walk, kept), columns = product_of(walk, gone);
        to = to == NULL ? take(walk, rows) : to;
        if (walk->memory != NULL) {
            sum_rows(walk->dtype, rows, columns, packed, to);
        }
        return dense_view(walk, kept, to);
    }
    struct view result = dense_view(walk, kept, NULL);
    result.data = packed;
    return result;
}

static void multiply(struct walk *walk, int64_t batch, int64_t m, int64_t n, int64_t k,
                     const void *a, const void *b, void *c) {
    const struct einsum_state *state = walk->exec->node->state;
    bool f32 = walk->dtype == DTYPE_F32;
    size_t room = f32 ? gemm_f32_scratch_size(false, m, n, k) / sizeof(float) : 0;
    float *scratch = take(walk, (int64_t)room + 1);
    for (int64_t i = 0; walk->memory != NULL && i < batch; i++) {
        int64_t p = i * m * k, q = i * k * n, r = i * m * n;
        if (f32 && n == 1 && state->first_constant) {
            gemm_f32_column(m, k, 1, (const float *)a + p, k, (const float *)b + q,
                            (float *)c + r);
        } else if (f32) {
            gemm_f32(false, false, m, n, k, 1, (const float *)a + p, k,
                     (const float *)b + q, n, 0, (float *)c + r, n, scratch);
        } else if (walk->dtype == DTYPE_F64) {
            gemm_f64(false, false, m, n, k, 1, (const double *)a + p, k,
                     (const double *)b + q, n, 0, (double *)c + r, n);
        } else if (dtype_size(walk->dtype) == sizeof(int32_t)) {
            gemm_i32(m, n, k, (const int32_t *)a + p, k, (const int32_t *)b + q, n,
                     (int32_t *)c + r, n);
        } else {
            gemm_i64(m, n, k, (const int64_t *)a + p, k, (const int64_t *)b + q, n,
                     (int64_t *)c + r, n);
        }
    }
}

/* True where the result or an operand from `next` on has the label. */
static bool is_kept(const struct walk *walk, int label, int next) {
    const struct einsum_state *state = walk->exec->node->state;
    for (int i = 0; i < walk->result.count; i++) {
        if (walk->result.labels[i] == label) {
            return true;
        }
    }
    for (int t = next; t < state->operands; t++) {
        struct view view = view_of(walk, t);
        if (view_find(&view, label) >= 0) {
            return true;
        }
    }
    return false;
}

/* Sums what `view` alone has and nobody keeps. */
static struct view reduce_alone(struct walk *walk, const struct view *view,
                                const struct view *other, int next) {
    struct list kept = {0}, gone = {0};
    for (int i = 0; i < view->rank; i++) {
        int label = view->labels[i];
        bool stays = view_find(other, label) >= 0 || is_kept(walk, label, next);
        list_add(walk, stays ? &kept : &gone, label);
    }
    return gone.count == 0 ? *view : reduce(walk, view, &kept, &gone, NULL);
}

static bool same_list(const struct list *a, const struct list *b) {
    return a->count == b->count &&
           memcmp(a->labels, b->labels, (size_t)a->count * sizeof(a->labels[0])) == 0;
}

/* The result's labels first where they occur, so that it need not be turned. */
static void classify(struct walk *walk, const struct view *a, const struct view *b,
                     int next, struct list *parts) {
    for (int pass = 0; pass < 2; pass++) {
        int count = pass == 0 ? walk->result.count : a->rank + b->rank;
        for (int i = 0; i < count; i++) {
            int label = pass == 0     ? walk->result.labels[i]
                        : i < a->rank ? a->labels[i]
                                      : b->labels[i - a->rank];
            bool in_a = view_find(a, label) >= 0, in_b = view_find(b, label) >= 0;
            bool known = false;
            for (int p = 0; p < 4; p++) {
                for (int k = 0; k < parts[p].count; k++) {
                    known = known || parts[p].labels[k] == label;
                }
            }
            if (!known && (in_a || in_b)) {
                int part = !in_b ? 1 : !in_a ? 2 : is_kept(walk, label, next) ? 0 : 3;
                list_add(walk, &parts[part], label);
            }
        }
    }
}

/* `target` is the result where this is the last pair, else NULL. */
static struct view contract(struct walk *walk, const struct view *left,
                            const struct view *right, int next, void *target) {
    struct list parts[4] = {{0}}; /* batch, m, n, k */
    struct view a = reduce_alone(walk, left, right, next);
    struct view b = reduce_alone(walk, right, left, next);
    struct list a_order, b_order, c_order;
    const void *a_data, *b_data;
    void *c;
    classify(walk, &a, &b, next, parts);
    a_order = b_order = c_order = parts[0];
    list_join(walk, &a_order, &parts[1]);
    list_join(walk, &a_order, &parts[3]);
    list_join(walk, &b_order, &parts[3]);
    list_join(walk, &b_order, &parts[2]);
    list_join(walk, &c_order, &parts[1]);
    list_join(walk, &c_order, &parts[2]);
    a_data = pack(walk, &a, &a_order, NULL);
    b_data = pack(walk, &b, &b_order, NULL);
    c = target != NULL && same_list(&c_order, &walk->result)
            ? target
            : take(walk, product_of(walk, &c_order));
    if (!walk->too_large) {
        multiply(walk, product_of(walk, &parts[0]), product_of(walk, &parts[1]),
                 product_of(walk, &parts[2]), product_of(walk, &parts[3]), a_data, b_data,
                 c);
    }
    return dense_view(walk, &c_order, c);
}

/* Labels that a single operand has and the result has not. */
static void finish(struct walk *walk, const struct view *view, void *y) {
    struct list gone = {0};
    for (int i = 0; i < view->rank; i++) {
        if (!is_kept(walk, view->labels[i], EINSUM_OPERANDS_MAX)) {
            list_add(walk, &gone, view->labels[i]);
        }
    }
    if (view->data == NULL || view->data != y) {
        (void)reduce(walk, view, &walk->result, &gone, y);
    }
}

static void take_walk(struct walk *walk) {
    const struct einsum_state *state = walk->exec->node->state;
    void *y = walk->exec->y[0]->data;
    struct view view = view_of(walk, 0);
    for (int t = 1; t < state->operands; t++) {
        struct view right = view_of(walk, t);
        view = contract(walk, &view, &right, t + 1, t == state->operands - 1 ? y : NULL);
    }
    finish(walk, &view, y);
}

/* ---- shape and run ----------------------------------------------------------------- */

/* Sizes, and the result's labels; the output's dims too. */
static enum status begin(const struct exec *exec, struct walk *walk, struct error *err) {
    const struct einsum_state *state = exec->node->state;
    struct tensor *y = exec->y[0];
    enum status status;
    int extra = 0, rank = 0;
    *walk = (struct walk){.exec = exec, .dtype = exec->x[0]->dtype};
    for (int i = 0; i < LABELS; i++) {
        walk->size[i] = 1;
    }
    status = take_sizes(exec, walk, err);
    for (int t = 0; t < state->operands; t++) {
        int wide = exec->x[t]->rank - (state->terms[t].count - 1);
        if (state->terms[t].has_ellipsis && wide > extra) {
            extra = wide;
        }
    }
    for (int i = 0; status == STATUS_OK && i < state->result.count; i++) {
        int label = state->result.labels[i];
        int first = label == ELLIPSIS ? LABELS - extra : label;
        int end = label == ELLIPSIS ? LABELS : label + 1;
        for (int l = first; l < end; l++) {
            if (rank == TENSOR_RANK_MAX) {
                return node_error(exec->node, err, STATUS_POISON,
                                  "the result would have more than %d axes",
                                  TENSOR_RANK_MAX);
            }
            y->dims[rank++] = walk->size[l];
            if (walk->size[l] != 1) {
                list_add(walk, &walk->result, l);
            }
        }
    }
    y->rank = rank;
    return status;
}

static bool is_empty(const struct walk *walk) {
    for (int i = 0; i < LABELS; i++) {
        if (walk->size[i] == 0) {
            return true;
        }
    }
    return false;
}

static enum status shape(struct exec *exec, struct error *err) {
    struct walk walk;
    enum status status = begin(exec, &walk, err);
    if (status != STATUS_OK || is_empty(&walk)) {
        return status;
    }
    take_walk(&walk);
    if (walk.too_large) {
        return node_error(exec->node, err, STATUS_POISON,
                          "what is between its operands is too large");
    }
    exec->scratch_size = walk.used + GEMM_ALIGN;
    return STATUS_OK;
}

static enum status run(struct exec *exec, struct error *err) {
    struct walk walk;
    enum status status = begin(exec, &walk, err);
    if (status != STATUS_OK) {
        return status;
    }
    if (is_empty(&walk)) {
        if (tensor_size(exec->y[0]) > 0) { /* sums of nothing */
            memset(exec->y[0]->data, 0, tensor_size(exec->y[0]));
        }
        return STATUS_OK;
    }
    walk.memory = exec->scratch;
    take_walk(&walk);
    return STATUS_OK;
}

#define TYPES_EINSUM \
    (TYPES_FLOAT | TYPES_INDEX | TYPE_BIT(DTYPE_U32) | TYPE_BIT(DTYPE_U64))

static const struct op ops[] = {
    {
        .name = "Einsum",
        .since = 12,
        .inputs_min = 1,
        .inputs_max = EINSUM_OPERANDS_MAX,
        .types = {TYPES_EINSUM},
        .prepare = prepare,
        .pack = pack_state,
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_einsum = OP_LIST(ops);
