/* op.h - what an operator is, and how to find one.
 *
 *     prepare   at load, once a node: attributes, dtypes, derived numbers
 *     pack      at load, after fusing: constant inputs into the layout run wants
 *     shape     when input shapes are known: output shapes, scratch, aliases
 *     run       computes
 *
 * shape() may read the values of the inputs in `shape_inputs`, and only those.  The
 * session sees to it that they are known: where they are constant or follow from
 * shapes, the node is shaped by session_prepare; where they depend on the data, it is
 * shaped right before it runs.  So a data-dependent output size (NonZero) is nothing
 * but an operator whose shape() reads its input.
 *
 * Depends on: engine/graph.h.  Used by: load.c, session.c, passes/.
 * Ownership: every struct op is static and immutable; nobody frees one.
 * Threads: read-only, callable from any. */
#ifndef MILLRACE_ENGINE_OP_H
#define MILLRACE_ENGINE_OP_H

#include "engine/graph.h"

/* The newest opset whose operators' changes were looked at; newer models are refused
 * rather than misread. */
#define OP_OPSET_MAX 28
#define OP_TYPED_INPUTS_MAX 6
/* Bytes of an output or of scratch: more than memory, and sums of many do not overflow.
 */
#define OP_SIZE_MAX ((size_t)1 << 40)
#define OP_ANY_NUMBER NODE_INPUTS_MAX

enum op_flag {
    OP_READS_SHAPE_ONLY = 1, /* run looks at dims, never at data: Shape, Size */
    OP_IN_PLACE = 2,         /* run may be given an input's memory as output 0 */
    OP_NOT_CONSTANT = 4,     /* never folded: random, or has effects */
    OP_FUSES_ACTIVATION = 8, /* run applies node->act to float32 */
    OP_FUSES_BIAS = 16,      /* run adds input 2, one number for each column or channel,
                                where a pass or the model put it */
    OP_KEEPS_HALF = 32,      /* never computed in float32 for halves: what halves are
                                matters, or what is asked for by name */
    OP_DYNAMIC = 64,         /* shape() computes: always right before run() */
    OP_NO_FIRST = 256,       /* output 0 may be absent; others always make it */
    OP_ELEMENTWISE = 128,    /* with broadcasting; the order of axes does not matter */
    OP_REMEMBERED = 512,     /* constants it is folded to know the node they were */
};

/* Sets of dtypes, as bits. */
#define TYPE_BIT(dtype) (1U << (unsigned)(dtype))
#define TYPES_F32 TYPE_BIT(DTYPE_F32)
#define TYPES_FLOAT (TYPE_BIT(DTYPE_F32) | TYPE_BIT(DTYPE_F64))
#define TYPES_HALF (TYPE_BIT(DTYPE_F16) | TYPE_BIT(DTYPE_BF16))
#define TYPES_SIGNED \
    (TYPE_BIT(DTYPE_I8) | TYPE_BIT(DTYPE_I16) | TYPE_BIT(DTYPE_I32) | TYPE_BIT(DTYPE_I64))
#define TYPES_UNSIGNED \
    (TYPE_BIT(DTYPE_U8) | TYPE_BIT(DTYPE_U16) | TYPE_BIT(DTYPE_U32) | TYPE_BIT(DTYPE_U64))
#define TYPES_INT (TYPES_SIGNED | TYPES_UNSIGNED)
#define TYPES_NUMBER (TYPES_FLOAT | TYPES_INT)
#define TYPES_BOOL TYPE_BIT(DTYPE_BOOL)
#define TYPES_INDEX (TYPE_BIT(DTYPE_I32) | TYPE_BIT(DTYPE_I64))
#define TYPES_I64 TYPE_BIT(DTYPE_I64)
#define TYPES_STRING TYPE_BIT(DTYPE_STRING)
#define TYPES_FLOAT8                                                                  \
    (TYPE_BIT(DTYPE_F8E4M3FN) | TYPE_BIT(DTYPE_F8E4M3FNUZ) | TYPE_BIT(DTYPE_F8E5M2) | \
     TYPE_BIT(DTYPE_F8E5M2FNUZ))
#define TYPES_INT4 (TYPE_BIT(DTYPE_U4) | TYPE_BIT(DTYPE_I4))
#define TYPES_SMALL                                                                \
    (TYPES_FLOAT8 | TYPES_INT4 | TYPE_BIT(DTYPE_F4E2M1) | TYPE_BIT(DTYPE_F8E8M0) | \
     TYPE_BIT(DTYPE_U2) | TYPE_BIT(DTYPE_I2))
/* Of elements that can be moved by their size. */
#define TYPES_ALL (TYPES_NUMBER | TYPES_BOOL | TYPES_HALF | TYPES_STRING | TYPES_SMALL)
#define TYPES_SEQUENCE TYPE_BIT(DTYPE_SEQUENCE)
#define TYPES_OPTIONAL TYPE_BIT(DTYPE_OPTIONAL)
#define TYPES_VALUE (TYPES_ALL | TYPES_SEQUENCE | TYPES_OPTIONAL)

struct exec;
struct session;
struct weights;

/* What prepare and pack may use. */
struct load {
    struct graph *graph;
    struct node *node;
    struct weights *weights; /* for weights_take; NULL in prepare */
    unsigned consumed; /* set by pack: bit i for a constant input whose data run and shape
                          do not read, since its packed form stands for it */
};

struct op {
    const char *domain; /* NULL for ONNX's own */
    const char *name;   /* ONNX op_type, e.g. "Softmax" */
    int since;          /* first opset with these semantics */
    int until;          /* last opset they are right for; 0: OP_OPSET_MAX */
    int inputs_min, inputs_max;
    int outputs_max;       /* at least one is always there; 0 stands for 1 */
    unsigned flags;        /* enum op_flag */
    unsigned shape_inputs; /* bit i: shape() reads the value of input i */
    unsigned wide_outputs; /* bit i: output i is float32 even where inputs are halves */
    /* dtypes allowed for input i; 0 means "as input 0".  Inputs past the array are
     * as its last entry. */
    unsigned types[OP_TYPED_INPUTS_MAX];
    enum dtype output_dtype; /* of all outputs; DTYPE_NONE: as input 0 */
    size_t memo_size;        /* bytes shape() leaves for run(), per session and node */
    const void *param;       /* the operator's own table entry, for families */
    /* Each may be NULL where there is nothing to do. */
    enum status (*prepare)(struct load *load, struct error *err);
    enum status (*pack)(struct load *load, struct error *err);
    enum status (*shape)(struct exec *exec, struct error *err);
    /* Runs on: any thread.  Fails with STATUS_POISON only, for what data makes wrong. */
    enum status (*run)(struct exec *exec, struct error *err);
    void (*release)(struct exec *exec); /* frees what the memo owns */
};

/* One node at work: what shape and run see.  Inputs may not be written. */
struct exec {
    const struct node *node;
    const struct tensor *const *x; /* inputs; NULL where absent */
    struct tensor *const *y;       /* outputs; NULL where absent */
    void *memo;                    /* op->memo_size bytes, 64-byte aligned */
    size_t scratch_size;           /* set by shape: bytes run needs */
    void *scratch;                 /* 64-byte aligned, valid in run */
    /* Set by shape: bytes beside the outputs that live as long as they do: contents of
     * made strings, elements of sequences. */
    size_t extra_size;
    void *extra;             /* 64-byte aligned, valid in run */
    struct session **bodies; /* one for each of the node's bodies, the session's */
    struct budget *memory;   /* the session's, for what an operator allocates itself */
    /* Set by shape: output 0 is `alias_offset` bytes into input `alias_input`; it is
     * then not computed by run at all.  ALIAS_NONE otherwise. */
    int alias_input;
    size_t alias_offset;

    /* Set by shape: the one input whose memory output 0 may take over, as run wants it;
     * TAKE_NONE for none but what OP_IN_PLACE allows. */
    int take_input;
};

#define TAKE_NONE (-1)
#define ALIAS_NONE (-1)

/* Newest entry for `name` with since <= opset; NULL if there is none, or if its
 * `until` is below opset. */
const struct op *op_find(const char *domain, const char *name, int64_t opset);

/* The operators of one file, and all of them, for documentation and tests. */
struct op_list {
    const struct op *ops;
    size_t count;
};
#define OP_LIST(array) \
    { .ops = (array), .count = ARRAY_COUNT(array) }
const struct op_list *const *op_table(size_t *count);

/* Checks counts and dtypes of `node` against its operator and sets the dtypes of its
 * outputs, then calls prepare. */
MUST_CHECK enum status op_prepare(struct graph *graph, struct node *node,
                                  struct error *err);

/* Calls shape with no alias and no scratch set before, and checks every output's size. */
MUST_CHECK enum status op_shape(struct exec *exec, struct error *err);

/* ---- helpers for operators ------------------------------------------------------ */

static inline bool exec_has(const struct exec *exec, int input) {
    return input < exec->node->input_count && exec->x[input] != NULL;
}

/* The axis of channels in the images a node reads. */
static inline int exec_channel_axis(const struct exec *exec) {
    return exec->node->layout == NODE_CHANNELS_LAST ? exec->x[0]->rank - 1 : 1;
}

/* The first spatial axis of the images a node reads. */
static inline int exec_spatial_axis(const struct exec *exec) {
    return exec->node->layout == NODE_CHANNELS_LAST ? 1 : 2;
}

static inline bool exec_wants(const struct exec *exec, int output) {
    return output < exec->node->output_count && exec->y[output] != NULL;
}

/* Memory for a node's state, zeroed. */
#define load_state(load, type) \
    ((type *)((load)->node->state = arena_alloc(&(load)->graph->arena, 1, sizeof(type))))

/* STATUS_NO_MEMORY, said of the node. */
enum status load_no_memory(const struct load *load, struct error *err);

/* `axis` counted from the end where negative, into [0, rank); STATUS_POISON. */
MUST_CHECK enum status exec_axis(const struct exec *exec, int64_t axis, int rank,
                                 int *out, struct error *err);

/* The value of a 1-d (or scalar) int32 or int64 input, at most `room` of them;
 * STATUS_POISON otherwise. */
MUST_CHECK enum status exec_ints(const struct exec *exec, int input, int64_t *values,
                                 int room, int *count, struct error *err);

/* Output `output` gets the dims of input `input`. */
void exec_same_shape(const struct exec *exec, int output, int input);

/* Output 0 is the bytes of input `input` from `offset` on. */
static inline void exec_alias(struct exec *exec, int input, size_t offset) {
    exec->alias_input = input;
    exec->alias_offset = offset;
}

/* shape() for operators whose one output has the shape of input 0. */
enum status op_shape_same(struct exec *exec, struct error *err);

#endif
