/* ml_encode.c - LabelEncoder, CategoryMapper and OneHotEncoder: values looked up in a
 * table that the model lists. */
#include <math.h>

#include "engine/ops/ml.h"
#include "engine/ops/number.h"
#include "engine/ops/ops.h"

/* Keys in order, so that they are found by halving; the first of equal ones counts. */
struct table {
    struct tensor keys, values; /* of the same count */
    struct tensor fallback;     /* one value */
    size_t *order;
    size_t count;
};

/* ---- lists ------------------------------------------------------------------------- */

/* The attribute as a tensor of rank 1 where it is a list or a tensor; false otherwise. */
static bool as_list(struct load *load, const char *name, struct tensor *list) {
    const struct attr *attr = attr_find(load->node, name);
    size_t count;
    if (attr == NULL || (attr->kind != ATTR_TENSOR && attr->count == 0)) {
        return false;
    }
    *list = (struct tensor){.rank = 1, .dims = {(int64_t)attr->count}};
    if (attr->kind == ATTR_TENSOR) {
        *list = *attr->as.tensor;
        count = tensor_count(list);
        list->rank = 1;
        list->dims[0] = (int64_t)count;
    } else if (attr->kind == ATTR_INTS) {
        list->dtype = DTYPE_I64;
        list->data = (void *)(uintptr_t)attr->as.ints; /* which is only read */
    } else if (attr->kind == ATTR_FLOATS) {
        list->dtype = DTYPE_F32;
        list->data = (void *)(uintptr_t)attr->as.floats;
    } else if (attr->kind == ATTR_TEXTS) {
        list->dtype = DTYPE_STRING;
        list->data = (void *)(uintptr_t)attr->as.texts;
    }
    return list->dtype != DTYPE_NONE;
}

static bool first_list(struct load *load, const char *const *names, struct tensor *list) {
    bool found = false;
    for (int i = 0; names[i] != NULL; i++) {
        struct tensor one;
        if (as_list(load, names[i], &one) && !found) {
            *list = one;
            found = true;
        }
    }
    return found;
}

/* Two keys of the same dtype; NaN is one key, after all numbers. */
static int compare(const struct tensor *a, size_t i, const struct tensor *b, size_t k) {
    if (a->dtype == DTYPE_STRING) {
        const struct span *p = (const struct span *)a->data + i;
        const struct span *q = (const struct span *)b->data + k;
        size_t least = p->size < q->size ? p->size : q->size;
        int order = least == 0 ? 0 : memcmp(p->data, q->data, least);
        return order != 0 ? order : (p->size > q->size) - (p->size < q->size);
    }
    if ((TYPES_FLOAT & TYPE_BIT(a->dtype)) != 0) {
        double p = number_real(a, (int64_t)i), q = number_real(b, (int64_t)k);
        return isnan(p) || isnan(q) ? isnan(p) - isnan(q) : (p > q) - (p < q);
    }
    int64_t p = number_integer(a, (int64_t)i), q = number_integer(b, (int64_t)k);
    return (p > q) - (p < q);
}

/* Merges two ordered runs of table->order; stable. */
static void merge(const struct table *table, size_t *to, size_t low, size_t middle,
                  size_t high) {
    size_t a = low, b = middle;
    for (size_t i = low; i < high; i++) {
        bool take_b =
            a == middle || (b < high && compare(&table->keys, table->order[b],
                                                &table->keys, table->order[a]) < 0);
        to[i] = table->order[take_b ? b++ : a++];
    }
}

static enum status sort_keys(struct load *load, struct table *table, struct error *err) {
    struct arena *arena = &load->graph->arena;
    size_t *other = arena_alloc(arena, table->count + 1, sizeof(*other));
    table->order = arena_alloc(arena, table->count + 1, sizeof(*table->order));
    if (table->order == NULL || other == NULL) {
        return load_no_memory(load, err);
    }
    for (size_t i = 0; i < table->count; i++) {
        table->order[i] = i;
    }
    for (size_t run = 1; run < table->count; run *= 2) {
        size_t *sorted = other;
        for (size_t low = 0; low < table->count; low += 2 * run) {
            size_t middle = low + run < table->count ? low + run : table->count;
            size_t high = low + 2 * run < table->count ? low + 2 * run : table->count;
            merge(table, sorted, low, middle, high);
        }
        other = table->order;
        table->order = sorted;
    }
    return STATUS_OK;
}

/* The place of x[i] among the keys, or table->count. */
static size_t look_up(const struct table *table, const struct tensor *x, size_t i) {
    size_t low = 0, high = table->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(&table->keys, table->order[middle], x, i) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < table->count && compare(&table->keys, table->order[low], x, i) == 0
               ? table->order[low]
               : table->count;
}

/* ---- LabelEncoder, CategoryMapper -------------------------------------------------- */

#define VALUE_TYPES (TYPES_NUMBER | TYPES_HALF | TYPES_BOOL | TYPE_BIT(DTYPE_STRING))

static enum status check_table(struct load *load, struct table *table,
                               struct error *err) {
    enum dtype dtype = graph_input_dtype(load->graph, load->node, 0);
    if (table->keys.dims[0] != table->values.dims[0]) {
        return node_error(load->node, err, STATUS_INVALID,
                          "has %lld keys and %lld values", (long long)table->keys.dims[0],
                          (long long)table->values.dims[0]);
    }
    if (table->keys.dtype != dtype) {
        return node_error(load->node, err, STATUS_INVALID,
                          "its keys are %s, the input %s", dtype_name(table->keys.dtype),
                          dtype_name(dtype));
    }
    if ((TYPE_BIT(table->values.dtype) & VALUE_TYPES) == 0) {
        return node_error(load->node, err, STATUS_UNSUPPORTED,
                          "its values are %s, neither numbers nor strings",
                          dtype_name(table->values.dtype));
    }
    table->count = (size_t)table->keys.dims[0];
    graph_set_output(load->graph, load->node, 0, table->values.dtype);
    return sort_keys(load, table, err);
}

static void *one(struct load *load, enum dtype dtype) {
    return arena_alloc(&load->graph->arena, 1, dtype_size(dtype));
}

/* What stands for a key that is not there: an attribute, or -1, -0.0 and "_Unused". */
static enum status read_fallback(struct load *load, struct table *table,
                                 struct error *err) {
    enum dtype dtype = table->values.dtype;
    struct tensor given;
    int64_t whole = -1;
    float real = -0.0F;
    struct span text;
    enum status status = attr_int(load->node, "default_int64", -1, &whole, err);
    if (status == STATUS_OK) {
        status = attr_float(load->node, "default_float", -0.0F, &real, err);
    }
    if (status == STATUS_OK) {
        status = attr_text(load->node, "default_string", "_Unused", &text, err);
    }
    table->fallback = (struct tensor){.dtype = dtype, .data = one(load, dtype)};
    if (status == STATUS_OK && table->fallback.data == NULL) {
        return load_no_memory(load, err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (as_list(load, "default_tensor", &given)) {
        if (given.dtype != dtype || given.dims[0] != 1) {
            return node_error(load->node, err, STATUS_INVALID,
                              "attribute default_tensor is not one %s",
                              dtype_name(dtype));
        }
        table->fallback.data = given.data;
    } else if (dtype == DTYPE_STRING) {
        *(struct span *)table->fallback.data = text;
    } else if ((TYPES_FLOAT & TYPE_BIT(dtype)) != 0) {
        number_set_real(&table->fallback, 0, (double)real);
    } else {
        number_set_integer(&table->fallback, 0, whole);
    }
    return STATUS_OK;
}

static enum status encoder_prepare(struct load *load, struct error *err) {
    static const char *const keys[] = {"keys_tensor", "keys_strings", "keys_int64s",
                                       "keys_floats", NULL};
    static const char *const values[] = {"values_tensor", "values_strings",
                                         "values_int64s", "values_floats", NULL};
    struct table *table = load_state(load, struct table);
    enum status status;
    if (table == NULL) {
        return load_no_memory(load, err);
    }
    if (!first_list(load, keys, &table->keys) ||
        !first_list(load, values, &table->values)) {
        return node_error(load->node, err, STATUS_INVALID, "has no keys or no values");
    }
    status = check_table(load, table, err);
    return status == STATUS_OK ? read_fallback(load, table, err) : status;
}

/* Strings to integers or the other way, whichever the input asks for.  Without integers
 * of their own, the strings are numbered. */
static enum status pair_prepare(struct load *load, struct error *err) {
    static const char *const texts[] = {"cats_strings", "classes_strings", NULL};
    static const char *const ints[] = {"cats_int64s", NULL};
    struct table *table = load_state(load, struct table);
    struct tensor strings, numbers;
    enum status status;
    bool from_text = graph_input_dtype(load->graph, load->node, 0) == DTYPE_STRING;
    if (table == NULL) {
        return load_no_memory(load, err);
    }
    if (!first_list(load, texts, &strings) || strings.dtype != DTYPE_STRING) {
        return node_error(load->node, err, STATUS_INVALID, "lists no strings");
    }
    if (!first_list(load, ints, &numbers)) {
        int64_t *made =
            arena_alloc(&load->graph->arena, (size_t)strings.dims[0], sizeof(*made));
        if (made == NULL) {
            return load_no_memory(load, err);
        }
        for (int64_t i = 0; i < strings.dims[0]; i++) {
            made[i] = i;
        }
        numbers = strings;
        numbers.dtype = DTYPE_I64;
        numbers.data = made;
    }
    table->keys = from_text ? strings : numbers;
    table->values = from_text ? numbers : strings;
    status = check_table(load, table, err);
    return status == STATUS_OK ? read_fallback(load, table, err) : status;
}

static enum status encoder_run(struct exec *exec, struct error *err) {
    const struct table *table = exec->node->state;
    const struct tensor *x = exec->x[0];
    size_t count = tensor_count(x), size = dtype_size(table->values.dtype);
    (void)err; /* cannot fail */
    for (size_t i = 0; i < count; i++) {
        size_t at = look_up(table, x, i);
        const uint8_t *from = at == table->count
                                  ? table->fallback.data
                                  : (const uint8_t *)table->values.data + at * size;
        memcpy((uint8_t *)exec->y[0]->data + i * size, from, size);
    }
    return STATUS_OK;
}

/* ---- OneHotEncoder ----------------------------------------------------------------- */

struct one_hot {
    struct table table;
    bool zeros; /* what is in no category gives all zeros; else it is refused */
};

static enum status one_hot_prepare(struct load *load, struct error *err) {
    static const char *const names[] = {"cats_strings", "cats_int64s", NULL};
    struct one_hot *state = load_state(load, struct one_hot);
    bool text = graph_input_dtype(load->graph, load->node, 0) == DTYPE_STRING;
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = attr_bool(load->node, "zeros", true, &state->zeros, err);
    if (status != STATUS_OK) {
        return status;
    }
    if (!first_list(load, names, &state->table.keys) ||
        state->table.keys.dtype != (text ? DTYPE_STRING : DTYPE_I64)) {
        return node_error(load->node, err, STATUS_INVALID,
                          "has no categories of the input's type");
    }
    state->table.count = (size_t)state->table.keys.dims[0];
    return sort_keys(load, &state->table, err);
}

static enum status one_hot_shape(struct exec *exec, struct error *err) {
    const struct one_hot *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    if (x->rank == TENSOR_RANK_MAX) {
        return node_error(exec->node, err, STATUS_POISON,
                          "the input has rank %d, one less is handled", x->rank);
    }
    exec_same_shape(exec, 0, 0);
    exec->y[0]->dims[x->rank] = (int64_t)state->table.count;
    exec->y[0]->rank = x->rank + 1;
    return STATUS_OK;
}

static enum status one_hot_run(struct exec *exec, struct error *err) {
    const struct one_hot *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    size_t count = tensor_count(x), width = state->table.count;
    float *y = exec->y[0]->data;
    memset(y, 0, tensor_size(exec->y[0]));
    for (size_t i = 0; i < count; i++) {
        size_t at;
        if (x->dtype == DTYPE_STRING) {
            at = look_up(&state->table, x, i);
        } else {
            int64_t number = number_integer(x, (int64_t)i);
            const struct tensor key = {.dtype = DTYPE_I64, .data = &number};
            at = look_up(&state->table, &key, 0);
        }
        if (at < width) {
            y[i * width + at] = 1;
        } else if (!state->zeros) {
            return node_error(exec->node, err, STATUS_POISON,
                              "element %zu is in none of the %zu categories", i, width);
        }
    }
    return STATUS_OK;
}

#define ENCODER(text, from, to, prepare_fn)                                             \
    {                                                                                   \
        .domain = ML_DOMAIN, .name = text, .since = from, .until = to, .inputs_min = 1, \
        .inputs_max = 1, .types = {TYPES_NUMBER | TYPES_STRING}, .prepare = prepare_fn, \
        .shape = op_shape_same, .run = encoder_run,                                     \
    }

static const struct op ops[] = {
    ENCODER("LabelEncoder", 1, 1, pair_prepare),
    ENCODER("LabelEncoder", 2, 0, encoder_prepare),
    ENCODER("CategoryMapper", 1, 0, pair_prepare),
    {
        .domain = ML_DOMAIN,
        .name = "OneHotEncoder",
        .since = 1,
        .inputs_min = 1,
        .inputs_max = 1,
        .types = {TYPES_NUMBER | TYPES_STRING},
        .output_dtype = DTYPE_F32,
        .prepare = one_hot_prepare,
        .shape = one_hot_shape,
        .run = one_hot_run,
    },
};

const struct op_list ops_ml_encode = OP_LIST(ops);
