/* ml_map.c - ZipMap: scores and labels, woven into a list of maps.
 *
 * The engine has no maps, and what reads answers has no use for them: ZipMap gives its
 * input, scores [N, classes] in the order of its labels. */
#include "engine/ops/ml.h"
#include "engine/ops/ops.h"

struct zip {
    int64_t classes;
};

static enum status zip_prepare(struct load *load, struct error *err) {
    const struct attr *texts = attr_find(load->node, "classlabels_strings");
    struct zip *state = load_state(load, struct zip);
    struct attr_ints ints;
    enum status status = attr_ints(load->node, "classlabels_int64s", &ints, err);
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    state->classes =
        (int64_t)(texts != NULL && texts->kind == ATTR_TEXTS && texts->count > 0
                      ? texts->count
                      : ints.count);
    if (status == STATUS_OK && state->classes == 0) {
        status = node_error(load->node, err, STATUS_INVALID,
                            "neither classlabels_int64s nor classlabels_strings name a "
                            "class");
    }
    return status;
}

static enum status zip_shape(struct exec *exec, struct error *err) {
    const struct zip *state = exec->node->state;
    int64_t rows, cols = 0;
    enum status status = ml_rows(exec, &rows, &cols, err);
    if (status == STATUS_OK && cols != state->classes) {
        return node_error(exec->node, err, STATUS_POISON,
                          "%lld scores in a row, there are %lld classes", (long long)cols,
                          (long long)state->classes);
    }
    exec_same_shape(exec, 0, 0);
    exec_alias(exec, 0, 0);
    return status;
}

/* Only where the result may not lie in the input. */
static enum status zip_run(struct exec *exec, struct error *err) {
    const size_t size = tensor_size(exec->y[0]);
    (void)err; /* cannot fail */
    if (size > 0) {
        memcpy(exec->y[0]->data, exec->x[0]->data, size);
    }
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .domain = ML_DOMAIN,
        .name = "ZipMap",
        .since = 1,
        .inputs_min = 1,
        .inputs_max = 1,
        .types = {TYPES_FLOAT},
        .prepare = zip_prepare,
        .shape = zip_shape,
        .run = zip_run,
    },
};

int64_t zip_map_classes(const struct node *node) {
    const struct zip *state = node->state;
    return node->op == &ops[0] ? state->classes : 0;
}

const struct op_list ops_ml_map = OP_LIST(ops);
