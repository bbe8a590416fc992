/* graph.h - a model's values and nodes, as the engine sees them.
 *
 * A value is a named tensor: a graph input, a constant, or what a node makes.  A node
 * names its inputs and outputs by value index.  Nodes stand in topological order: a
 * value is made before it is read, which import checks.
 *
 *     import     protobuf -> values and nodes (onnx_import.c)
 *     prepare    each node's operator checks it and sets its outputs' dtypes; nodes with
 *                constant inputs are computed and become constants (load.c)
 *     passes     rewrite the graph (passes/), then dead nodes are dropped
 *
 * Depends on: base/arena.h, base/tensor.h.
 * Ownership: a graph owns all it points to, by its arena and its blocks; names and
 * unconverted constant data live in the unpacked file, which the graph owns too.
 * Threads: one while loading; immutable afterwards. */
#ifndef MILLRACE_ENGINE_GRAPH_H
#define MILLRACE_ENGINE_GRAPH_H

#include "base/arena.h"
#include "base/tensor.h"
#include "engine/attr.h"
#include "engine/budget.h"
#include "engine/kernels/act.h"

#define GRAPH_NODES_MAX 1000000
#define GRAPH_VALUES_MAX 4000000
#define NODE_INPUTS_MAX 4096
#define NODE_OUTPUTS_MAX 4096
#define VALUE_NONE (-1) /* an optional input or output that is absent */
#define NODE_NONE (-1)

struct op;
struct external;
struct model;

struct value {
    const char *name;
    enum dtype dtype;    /* DTYPE_NONE until its node is prepared */
    enum dtype inner[2]; /* of a sequence's or optional's elements, and of theirs */
    int producer;        /* node index, or NODE_NONE for inputs and constants */
    int input;           /* index among the graph's inputs, or -1 */
    int use_count;       /* node inputs and graph outputs that read it */
    bool is_output;
    const struct tensor *constant; /* its value where known at load, else NULL */
    /* The node that a constant was folded out of, where its operator is OP_REMEMBERED:
     * passes may want the bytes behind the floats. */
    const struct node *origin;
};

/* How a node holds the images it reads and makes; only the pass channels_last sets it, of
 * operators that know both. */
enum node_layout {
    NODE_CHANNELS_FIRST,   /* [batch, channels, d1, ..] as ONNX says */
    NODE_CHANNELS_LAST,    /* [batch, d1, .., channels] */
    NODE_TO_CHANNELS_LAST, /* reads the former, makes the latter */
};

struct node {
    const struct op *op;
    const char *name; /* the model's, or "" */
    const char *type; /* ONNX op_type, for messages */
    int64_t opset;    /* of the operator's domain */
    int input_count, output_count;
    int explicit_count;    /* inputs the model lists; captures of bodies come after */
    int *inputs, *outputs; /* value indices or VALUE_NONE */
    struct model **bodies; /* subgraphs, in the order of their attributes; the graph's */
    int body_count;
    struct attr_list attrs;
    enum node_layout layout;
    struct act act; /* applied to the result by operators with OP_FUSES_ACTIVATION */
    void *state;    /* the operator's own, made by prepare */
    bool dead;      /* removed by a pass; dropped before sessions */
};

struct graph {
    struct arena arena;
    struct graph_block *blocks; /* large allocations: weights, folded constants */
    size_t block_size;          /* bytes in blocks */
    size_t grown_size;          /* of constants grown out of little; see load.h */
    struct budget *budget;      /* of blocks; the model's, shared with its bodies */
    void *file;                 /* struct onnx_file, owned; see onnx_file.h */
    struct external *external;  /* the model's, borrowed; NULL: not allowed */
    int64_t opset;              /* of the default domain */
    struct value *values;
    int value_count, value_room;
    struct node *nodes;
    int node_count, node_room;
    int *inputs, *outputs; /* value indices */
    int input_count, output_count, input_room;
    struct model *bodies; /* owned: of nodes here; a list by model->next_body */
    unsigned passes;      /* that load_graph was told to apply */
};

void graph_release(struct graph *graph);

/* 64-byte aligned memory that lives as long as the graph, not zeroed; NULL where
 * memory or the model's budget runs out. */
MUST_CHECK void *graph_memory(struct graph *graph, size_t size);

/* As graph_memory, for the data of constants: freed once no value has it, see weights.h.
 * Operators keep no pointers into it but by their inputs. */
MUST_CHECK void *graph_data(struct graph *graph, size_t size);
void graph_data_free(struct graph *graph, void *data);
size_t graph_data_size(const void *data);

/* It becomes graph_memory instead. */
void graph_data_keep(void *data);

/* The block of graph_data behind `data`, the first for NULL; NULL behind the last. */
void *graph_data_next(const struct graph *graph, const void *data);

/* A new value or node at the end of the array, zeroed but for its indices; arrays may
 * move.  -1 where memory or the limit runs out. */
MUST_CHECK int graph_add_value(struct graph *graph, const char *name);
MUST_CHECK int graph_add_node(struct graph *graph);

/* `value` becomes the last input. */
MUST_CHECK bool graph_add_input(struct graph *graph, int value);

/* Gives `node` room for its inputs and outputs, all VALUE_NONE. */
MUST_CHECK bool graph_node_room(struct graph *graph, struct node *node, int input_count,
                                int output_count);

/* The constant behind input `index` of `node`; NULL where there is none. */
const struct tensor *graph_constant(const struct graph *graph, const struct node *node,
                                    int index);

/* The dtype of an input; DTYPE_NONE where it is absent. */
enum dtype graph_input_dtype(const struct graph *graph, const struct node *node,
                             int index);

/* Sets the dtype of an output; an absent one is passed over. */
void graph_set_output(struct graph *graph, const struct node *node, int index,
                      enum dtype dtype);

/* Output `index` gets dtype and inner dtypes of the value `from`. */
void graph_set_output_like(struct graph *graph, const struct node *node, int index,
                           const struct value *from);

/* The value behind input `index`; NULL where it is absent. */
const struct value *graph_input(const struct graph *graph, const struct node *node,
                                int index);

/* ---- for passes ---------------------------------------------------------------- */

/* Recounts use_count and producers from the live nodes. */
void graph_recount(struct graph *graph);

/* The node that makes input `index` of `node`, if nothing else reads that value and it
 * is no graph output; NULL otherwise. */
struct node *graph_sole_producer(struct graph *graph, const struct node *node, int index);

/* The node of type `type` (in the default domain) that alone reads output 0 of `node`,
 * or NULL. */
struct node *graph_sole_reader(struct graph *graph, const struct node *node,
                               const char *type);

/* Every reader of `from` reads `to` instead. */
void graph_replace_uses(struct graph *graph, int from, int to);

/* Marks nodes dead whose outputs nobody reads, then drops dead nodes. */
void graph_sweep(struct graph *graph);

/* Fills *err with "Type 'name': text"; returns `status`. */
enum status node_error(const struct node *node, struct error *err, enum status status,
                       const char *fmt, ...) PRINTF_LIKE(4, 5);

/* Asserts what the opening comment promises; for tests and after each pass. */
void graph_check(const struct graph *graph);

#endif
