/* constant.c - Constant and ConstantOfShape. */
#include "base/size.h"
#include "engine/ops/ops.h"

/* ---- Constant ------------------------------------------------------------------ */

/* The one attribute that says the value; `words` are its names. */
static enum status constant_prepare(struct load *load, struct error *err) {
    static const struct {
        const char *name;
        enum attr_kind kind;
        enum dtype dtype;
    } forms[] = {
        {"value", ATTR_TENSOR, DTYPE_NONE},       {"value_float", ATTR_FLOAT, DTYPE_F32},
        {"value_floats", ATTR_FLOATS, DTYPE_F32}, {"value_int", ATTR_INT, DTYPE_I64},
        {"value_ints", ATTR_INTS, DTYPE_I64},
    };
    struct tensor *y = load_state(load, struct tensor);
    if (y == NULL) {
        return load_no_memory(load, err);
    }
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        const struct attr *attr = attr_find(load->node, forms[i].name);
        if (attr == NULL) {
            continue;
        }
        if (attr->kind != forms[i].kind) {
            return node_error(load->node, err, STATUS_INVALID,
                              "attribute %s has the wrong type", forms[i].name);
        }
        *y = (struct tensor){.dtype = forms[i].dtype};
        if (attr->kind == ATTR_TENSOR) {
            *y = *attr->as.tensor;
        } else if (attr->kind == ATTR_FLOATS || attr->kind == ATTR_INTS) {
            y->rank = 1;
            y->dims[0] = (int64_t)attr->count;
            y->data = attr->kind == ATTR_FLOATS ? (void *)(uintptr_t)attr->as.floats
                                                : (void *)(uintptr_t)attr->as.ints;
        } else {
            y->data = (void *)(uintptr_t)&attr->as;
        }
        graph_set_output(load->graph, load->node, 0, y->dtype);
        return STATUS_OK;
    }
    return node_error(load->node, err, STATUS_UNSUPPORTED,
                      "has none of the value attributes that are handled");
}

static enum status constant_shape(struct exec *exec, struct error *err) {
    const struct tensor *value = exec->node->state;
    (void)err; /* cannot fail */
    exec->y[0]->rank = value->rank;
    memcpy(exec->y[0]->dims, value->dims, sizeof(value->dims));
    return STATUS_OK;
}

static enum status constant_run(struct exec *exec, struct error *err) {
    const struct tensor *value = exec->node->state;
    size_t size = tensor_size(value);
    (void)err; /* cannot fail */
    if (size > 0) {
        memcpy(exec->y[0]->data, value->data, size);
    }
    return STATUS_OK;
}

/* ---- ConstantOfShape ----------------------------------------------------------- */

static const float zero = 0;

static enum status fill_prepare(struct load *load, struct error *err) {
    const struct attr *attr = attr_find(load->node, "value");
    struct tensor *value = load_state(load, struct tensor);
    if (value == NULL) {
        return load_no_memory(load, err);
    }
    *value = (struct tensor){.dtype = DTYPE_F32, .data = (void *)(uintptr_t)&zero};
    if (attr != NULL) {
        if (attr->kind != ATTR_TENSOR || tensor_count(attr->as.tensor) != 1) {
            return node_error(load->node, err, STATUS_INVALID,
                              "attribute value must be a tensor of one element");
        }
        *value = *attr->as.tensor;
    }
    graph_set_output(load->graph, load->node, 0, value->dtype);
    return STATUS_OK;
}

static enum status fill_shape(struct exec *exec, struct error *err) {
    struct tensor *y = exec->y[0];
    enum status status = exec_ints(exec, 0, y->dims, TENSOR_RANK_MAX, &y->rank, err);
    for (int i = 0; status == STATUS_OK && i < y->rank; i++) {
        if (y->dims[i] < 0) {
            status =
                node_error(exec->node, err, STATUS_POISON, "a dimension is negative");
        }
    }
    return status;
}

static enum status fill_run(struct exec *exec, struct error *err) {
    const struct tensor *value = exec->node->state;
    size_t size = dtype_size(value->dtype), count = tensor_count(exec->y[0]);
    uint8_t *y = exec->y[0]->data;
    (void)err; /* cannot fail */
    if (count > 0) {
        memcpy(y, value->data, size);
    }
    for (size_t done = size; done < count * size; done *= 2) {
        memcpy(y + done, y, size_min(done, count * size - done));
    }
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "Constant",
        .since = 1,
        .inputs_min = 0,
        .inputs_max = 0,
        .types = {TYPES_ALL},
        .prepare = constant_prepare,
        .shape = constant_shape,
        .run = constant_run,
    },
    {
        .name = "ConstantOfShape",
        .since = 9,
        .inputs_min = 1,
        .inputs_max = 1,
        .shape_inputs = 1,
        .types = {TYPES_I64},
        .prepare = fill_prepare,
        .shape = fill_shape,
        .run = fill_run,
    },
};

const struct op_list ops_constant = OP_LIST(ops);
