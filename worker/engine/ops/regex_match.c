/* regex_match.c - RegexFullMatch: which texts match a regular expression as a whole. */
#include "engine/ops/ops.h"
#include "engine/ops/regex.h"

struct match_state {
    const struct regex *regex;
};

static enum status prepare(struct load *load, struct error *err) {
    struct match_state *state = load_state(load, struct match_state);
    struct span pattern;
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = attr_text(load->node, "pattern", "", &pattern, err);
    if (status == STATUS_OK) {
        status = regex_compile(&load->graph->arena, pattern, &state->regex, err);
    }
    return status == STATUS_OK
               ? status
               : error_prefix(err, "RegexFullMatch '%.100s'", load->node->name);
}

static enum status shape(struct exec *exec, struct error *err) {
    const struct match_state *state = exec->node->state;
    (void)err; /* cannot fail */
    exec_same_shape(exec, 0, 0);
    exec->scratch_size = regex_scratch_size(state->regex);
    return STATUS_OK;
}

static enum status run(struct exec *exec, struct error *err) {
    const struct match_state *state = exec->node->state;
    size_t count = tensor_count(exec->x[0]);
    (void)err; /* cannot fail */
    for (size_t i = 0; i < count; i++) {
        ((bool *)exec->y[0]->data)[i] = regex_matches(
            state->regex, ((const struct span *)exec->x[0]->data)[i], exec->scratch);
    }
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "RegexFullMatch",
        .since = 20,
        .inputs_min = 1,
        .inputs_max = 1,
        .types = {TYPES_STRING},
        .output_dtype = DTYPE_BOOL,
        .prepare = prepare,
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_regex_match = OP_LIST(ops);
