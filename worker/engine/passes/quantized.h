/* quantized.h - inside the pass `quantized`: floats that are bytes, and what is computed
 * on these instead.
 *
 *     bytes ──► DequantizeLinear ──► Conv ──► Relu ──► QuantizeLinear ──► bytes
 *     bytes ──────────────────► QLinearConv ────────────────────────────► bytes
 *
 * The walk (quantized.c) goes through the nodes in order and keeps a fact about each
 * value of floats: which bytes it was made from, and by which function.  Rules
 * (quantized_*.c) add nodes on bytes beside those of the model, which then go by
 * themselves where nobody reads them any more.
 *
 * Depends on: engine/graph.h.
 * Ownership: what is made is the graph's; the working arrays are the pass's.
 * Threads: one, while loading. */
#ifndef MILLRACE_ENGINE_PASSES_QUANTIZED_H
#define MILLRACE_ENGINE_PASSES_QUANTIZED_H

#include "engine/graph.h"

/* How bytes stand for floats: (byte - zero) * scale.  Constants of one element. */
struct form {
    int scale, zero;
};

/* The value is table[root], element by element. */
struct function {
    int root;  /* of bytes; VALUE_NONE: there is none */
    int table; /* a constant of 256 elements, by a byte's bits; VALUE_NONE: not made yet
                */
};

/* What is known of a value; VALUE_NONE everywhere where nothing is. */
struct fact {
    int alias; /* the same value of bytes, to be read instead */
    /* Of floats. */
    int bytes; /* the value is these, dequantised */
    struct form form;
    struct function functions[2]; /* the first of `bytes`, if the value is these */
    /* Of bytes. */
    struct function made; /* by a ByteTable */
};

struct quantized {
    struct graph *graph;
    struct error *err;
    struct fact *facts; /* by value */
    int fact_count;
    int *readers;       /* by value: the last of the old nodes that reads it */
    int reader_count;   /* values there were before */
    bool *done;         /* by old node: what it makes is made already */
    struct node *nodes; /* the new order */
    int node_count, node_room;
    int zeros[2]; /* constants 0 of uint8 and int8, or VALUE_NONE */
    int iotas[2]; /* all bytes */
};

#define QUANTIZED_BYTES 256

enum status quantized_no_memory(const struct quantized *q);

/* Room for a fact about each value. */
MUST_CHECK bool quantized_grow(struct quantized *q);

/* The fact about `value`, which holds until the next value is added. */
struct fact *quantized_fact(struct quantized *q, int value);

/* A new constant; `x` tells dtype and dims, `data` is copied. */
MUST_CHECK enum status quantized_constant(struct quantized *q, const struct tensor *x,
                                          const void *data, int *made);

/* A constant 0 of `dtype`, of bytes. */
MUST_CHECK enum status quantized_zero(struct quantized *q, enum dtype dtype, int *made);

/* A constant of all bytes, in the order of their bits. */
MUST_CHECK enum status quantized_all_bytes(struct quantized *q, enum dtype dtype,
                                           int *made);

/* A node of `type`, neither prepared nor in the new order yet. */
MUST_CHECK enum status quantized_make(struct quantized *q, const char *name,
                                      const char *domain, const char *type,
                                      const int *inputs, int input_count, int output,
                                      struct node *node);

/* `node` stands last in the new order. */
MUST_CHECK enum status quantized_push(struct quantized *q, const struct node *node);

/* A new node at the end of the new order, named after `like`, that makes `output`. */
MUST_CHECK enum status quantized_emit(struct quantized *q, const struct node *like,
                                      const char *domain, const char *type,
                                      const int *inputs, int input_count,
                                      const struct attr_list *attrs, int output);

/* A copy of `like` that reads `inputs` and makes `outputs`. */
MUST_CHECK enum status quantized_emit_like(struct quantized *q, const struct node *like,
                                           const int *inputs, const int *outputs);

/* A new value. */
MUST_CHECK enum status quantized_value(struct quantized *q, const struct node *like,
                                       int *made);

/* Where the values of a float operator go that are wanted as bytes alone: to a
 * QuantizeLinear of one scale, clamped on the way perhaps. */
struct sink {
    int node; /* the QuantizeLinear's, among the old ones */
    struct form form;
    enum dtype dtype;
    bool is_direct;
};

bool quantized_sink(struct quantized *q, int value, struct sink *sink);

/* The value of bytes that an operator is to make in place of `value`. */
MUST_CHECK enum status quantized_sink_output(struct quantized *q, int value,
                                             struct sink *sink, int *made);

/* The value is `bytes` dequantised. */
void quantized_learn(struct quantized *q, int value, int bytes, struct form form);

/* `value` as the bytes that `quantize`, a QuantizeLinear, makes of it: *made is `output`,
 * or a value there is already; VALUE_NONE where `value` is no function of bytes. */
MUST_CHECK enum status quantized_bytes(struct quantized *q, const struct node *quantize,
                                       int value, int output, int *made);

/* How a DequantizeLinear or QuantizeLinear reads its constants of one scale. */
bool quantized_form(struct quantized *q, const struct node *node, struct form *form);

/* Bytes of constant weights with a scale, and a zero point, for all or for each place of
 * an axis. */
struct byte_weights {
    int bytes, scale, zero;
    const struct tensor *x;
};

/* The weights behind `value`, with scales for each place of `axis` at most; an axis below
 * 0 counts from the last. */
MUST_CHECK enum status quantized_weights(struct quantized *q, int value, int axis,
                                         struct byte_weights *weights, bool *found);

/* ---- constants --------------------------------------------------------------------- */

bool quantized_is_blocked(struct node *node);

/* All of a constant's scales are such that bytes keep their order. */
bool quantized_scales_fit(const struct tensor *scale);

/* The zero point of input 2, made where there is none. */
MUST_CHECK enum status quantized_zero_of(struct quantized *q, const struct node *node,
                                         enum dtype dtype, int *zero);

/* What `node`, which is prepared, computes of constants; VALUE_NONE where that is too
 * large. */
MUST_CHECK enum status quantized_compute(struct quantized *q, const struct node *node,
                                         const int *inputs, int *made);

float quantized_scale(const struct quantized *q, int scale);

/* One rule for each family.  What it makes of the node stands in the new order then;
 * *keep tells whether the node itself goes there too. */
typedef enum status quantized_rule(struct quantized *q, struct node *node, bool *keep);

quantized_rule quantized_elementwise, quantized_move, quantized_concat, quantized_pad,
    quantized_resize, quantized_pool, quantized_global_pool, quantized_binary,
    quantized_conv, quantized_matmul, quantized_gemm;

#endif
