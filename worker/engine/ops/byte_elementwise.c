/* byte_elementwise.c - ByteAdd, ByteMul, ByteTable: elementwise operators on quantised
 * bytes, which passes make out of DequantizeLinear, an operator on floats, and
 * QuantizeLinear.
 *
 *     ByteAdd, ByteMul   of a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero: the
 *                        last is of one kind with a and b, and all but these constants
 *     ByteTable          any function of a byte, by a table: attributes `table`, of 256
 *                        bytes, and `to`, the dtype */
#include <string.h>

#include "engine/kernels/bytes.h"
#include "engine/ops/broadcast.h"
#include "engine/ops/bytes.h"
#include "engine/ops/number.h"
#include "engine/ops/ops.h"

enum { IN_A, IN_A_SCALE, IN_A_ZERO, IN_B, IN_B_SCALE, IN_B_ZERO, IN_Y_SCALE, IN_Y_ZERO };

/* ---- sums and products ------------------------------------------------------------- */

/* Each also for the operands' sides changed. */
struct binary_state {
    struct bytes_add add[2];
    struct bytes_mul mul[2];
};

static bool read_forms(const struct load *load, float *scale, int32_t *zero) {
    static const int places[] = {IN_A_SCALE, IN_B_SCALE, IN_Y_SCALE};
    const enum dtype dtype = graph_input_dtype(load->graph, load->node, IN_A);
    for (int i = 0; i < 3; i++) {
        const struct tensor *s = graph_constant(load->graph, load->node, places[i]);
        const struct tensor *z = graph_constant(load->graph, load->node, places[i] + 1);
        if (s == NULL || z == NULL || s->dtype != DTYPE_F32 || z->dtype != dtype ||
            tensor_count(s) != 1 || tensor_count(z) != 1) {
            return false;
        }
        scale[i] = *(const float *)s->data;
        zero[i] = (int32_t)number_integer(z, 0);
    }
    return true;
}

/* As ONNX Runtime takes them, in float32 and this order. */
static void set_factors(struct binary_state *state, const float *scale,
                        const int32_t *zero, bool is_signed) {
    const float a = scale[0] / scale[2], b = scale[1] / scale[2];
    const float shift = (float)zero[2] - (a * (float)zero[0] + b * (float)zero[1]);
    const float both = scale[0] * scale[1] / scale[2];
    for (int i = 0; i < 2; i++) {
        state->add[i] = (struct bytes_add){.is_signed = is_signed,
                                           .a_scale = i == 0 ? a : b,
                                           .b_scale = i == 0 ? b : a,
                                           .shift = shift};
        state->mul[i] = (struct bytes_mul){.is_signed = is_signed,
                                           .a_zero = zero[i],
                                           .b_zero = zero[1 - i],
                                           .scale = both,
                                           .shift = (float)zero[2]};
    }
}

static enum status binary_prepare(struct load *load, struct error *err) {
    struct binary_state *state = load_state(load, struct binary_state);
    float scale[3];
    int32_t zero[3];
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    if (!read_forms(load, scale, zero)) {
        return node_error(load->node, err, STATUS_UNSUPPORTED,
                          "scales and zero points are not constants of one kind");
    }
    set_factors(state, scale, zero,
                graph_input_dtype(load->graph, load->node, IN_A) == DTYPE_I8);
    return STATUS_OK;
}

/* Lines shorter than this are laid side by side where one operand's are the same for all
 * of the last outer axis: a factor for each channel, channels innermost. */
#define LINE_SHORT 512
#define TILE_SIZE 1024

struct binary_memo {
    struct broadcast plan;
    int repeated;     /* the operand whose lines are, or -1 */
    int64_t repeats;  /* of the last outer axis, which `plan` has no longer then */
    int64_t per_tile; /* lines */
};

static void plan_tiles(struct exec *exec, struct binary_memo *memo) {
    struct broadcast *plan = &memo->plan;
    const int last = plan->rank - 1;
    memo->repeated = -1;
    if (last < 0 || plan->line >= LINE_SHORT || plan->line == 0 || plan->dims[last] < 2 ||
        plan->line_step[0] == 0 || plan->line_step[1] == 0) {
        return;
    }
    for (int i = 0; i < 2; i++) {
        if (plan->step[i][last] == 0 && plan->step[1 - i][last] == plan->line) {
            memo->repeated = i;
        }
    }
    if (memo->repeated < 0) {
        return;
    }
    memo->repeats = plan->dims[last];
    memo->per_tile = TILE_SIZE / plan->line;
    plan->rank = last;
    exec->scratch_size = TILE_SIZE;
}

static enum status binary_shape(struct exec *exec, struct error *err) {
    const struct tensor *x[2] = {exec->x[IN_A], exec->x[IN_B]};
    struct binary_memo *memo = exec->memo;
    enum status status = broadcast_shape(exec, x, 2, exec->y[0], err);
    if (status == STATUS_OK) {
        broadcast_init(&memo->plan, x, 2, exec->y[0]);
        plan_tiles(exec, memo);
    }
    return status;
}

typedef void line_fn(const struct binary_state *state, int side, bool is_one,
                     int64_t count, const uint8_t *a, const uint8_t *b, uint8_t *y);

static void add_line(const struct binary_state *state, int side, bool is_one,
                     int64_t count, const uint8_t *a, const uint8_t *b, uint8_t *y) {
    if (is_one) {
        bytes_add_one(&state->add[side], count, a, *b, y);
    } else {
        bytes_add(&state->add[side], count, a, b, y);
    }
}

static void mul_line(const struct binary_state *state, int side, bool is_one,
                     int64_t count, const uint8_t *a, const uint8_t *b, uint8_t *y) {
    if (is_one) {
        bytes_mul_one(&state->mul[side], count, a, *b, y);
    } else {
        bytes_mul(&state->mul[side], count, a, b, y);
    }
}

static void run_lines(const struct exec *exec, line_fn *line) {
    const struct binary_state *state = exec->node->state;
    const struct binary_memo *memo = exec->memo;
    const struct broadcast *plan = &memo->plan;
    const uint8_t *a = exec->x[IN_A]->data, *b = exec->x[IN_B]->data;
    uint8_t *y = exec->y[0]->data;
    struct broadcast_walk walk = {0};
    /* What is one byte for a whole line stands on the right. */
    const int side = plan->line_step[0] == 0 ? 1 : 0;
    const bool is_one = plan->line_step[1 - side] == 0;
    do {
        const uint8_t *left = a + walk.at[0], *right = b + walk.at[1];
        line(state, side, is_one, plan->line, side == 0 ? left : right,
             side == 0 ? right : left, y + walk.out);
    } while (broadcast_next(plan, &walk));
}

/* The repeated operand stands on the right. */
static void run_tiles(const struct exec *exec, line_fn *line) {
    const struct binary_memo *memo = exec->memo;
    const struct broadcast *plan = &memo->plan;
    const int right = memo->repeated, left = 1 - right;
    const uint8_t *const x[2] = {exec->x[IN_A]->data, exec->x[IN_B]->data};
    const int64_t each = plan->line;
    uint8_t *tile = exec->scratch, *y = exec->y[0]->data;
    struct broadcast_walk walk = {0};
    do {
        for (int64_t i = 0; i < memo->per_tile && i < memo->repeats; i++) {
            memcpy(tile + i * each, x[right] + walk.at[right], (size_t)each);
        }
        for (int64_t i = 0; i < memo->repeats; i += memo->per_tile) {
            const int64_t rest = memo->repeats - i;
            const int64_t lines = rest < memo->per_tile ? rest : memo->per_tile;
            line(exec->node->state, left, false, lines * each,
                 x[left] + walk.at[left] + i * each, tile, y);
            y += lines * each;
        }
    } while (broadcast_next(plan, &walk));
}

static void run_binary(const struct exec *exec, line_fn *line) {
    const struct binary_memo *memo = exec->memo;
    if (tensor_count(exec->y[0]) == 0) {
        return;
    }
    if (memo->repeated >= 0) {
        run_tiles(exec, line);
    } else {
        run_lines(exec, line);
    }
}

static enum status add_run(struct exec *exec, struct error *err) {
    (void)err; /* cannot fail */
    run_binary(exec, add_line);
    return STATUS_OK;
}

static enum status mul_run(struct exec *exec, struct error *err) {
    (void)err; /* cannot fail */
    run_binary(exec, mul_line);
    return STATUS_OK;
}

/* ---- tables ------------------------------------------------------------------------ */

static enum status table_prepare(struct load *load, struct error *err) {
    struct span table;
    int64_t dtype;
    enum status status = attr_text(load->node, "table", "", &table, err);
    if (status == STATUS_OK) {
        status = attr_int_in(load->node, "to", DTYPE_U8, 0, DTYPE_COUNT - 1, &dtype, err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (table.size != BYTES_TABLE_SIZE || (dtype != DTYPE_U8 && dtype != DTYPE_I8)) {
        return node_error(load->node, err, STATUS_UNSUPPORTED,
                          "a table of %zu bytes for dtype %lld", table.size,
                          (long long)dtype);
    }
    load->node->state = (void *)(uintptr_t)table.data; /* read only */
    graph_set_output(load->graph, load->node, 0, (enum dtype)dtype);
    return STATUS_OK;
}

static enum status table_run(struct exec *exec, struct error *err) {
    (void)err; /* cannot fail */
    bytes_table(exec->node->state, (int64_t)tensor_count(exec->x[0]), exec->x[0]->data,
                exec->y[0]->data);
    return STATUS_OK;
}

#define TYPES_8 (TYPE_BIT(DTYPE_U8) | TYPE_BIT(DTYPE_I8))
#define BINARY(text, run_fn)                                                 \
    {                                                                        \
        .domain = "millrace", .name = text, .since = 1, .inputs_min = 8,     \
        .inputs_max = 8, .flags = OP_ELEMENTWISE,                            \
        .types = {TYPES_8, TYPES_F32, 0, 0, TYPES_F32, TYPES_8 | TYPES_F32}, \
        .memo_size = sizeof(struct binary_memo), .prepare = binary_prepare,  \
        .shape = binary_shape, .run = run_fn,                                \
    }

static const struct op ops[] = {
    BINARY("ByteAdd", add_run),
    BINARY("ByteMul", mul_run),
    {
        .domain = "millrace",
        .name = "ByteTable",
        .since = 1,
        .inputs_min = 1,
        .inputs_max = 1,
        .flags = OP_ELEMENTWISE,
        .types = {TYPES_8},
        .prepare = table_prepare,
        .shape = op_shape_same,
        .run = table_run,
    },
};

const struct op_list ops_byte_elementwise = OP_LIST(ops);
