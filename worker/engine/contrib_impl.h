/* contrib_impl.h - inside contrib: one node that is being replaced, and how nodes are
 * made for it.
 *
 * contrib.c holds the table and most operators, contrib_quantized.c those of quantised
 * numbers, contrib_build.c the building.
 *
 * Depends on, ownership, threads: as contrib.h. */
#ifndef MILLRACE_ENGINE_CONTRIB_IMPL_H
#define MILLRACE_ENGINE_CONTRIB_IMPL_H

#include "engine/contrib.h"

struct expansion;

struct contrib {
    const char *name;
    const char *param; /* the operator that a family is about */
    int inputs_min, inputs_max;
    enum status (*expand)(struct expansion *x);
};

/* One node being replaced. */
struct expansion {
    const struct contrib *contrib;
    struct graph *graph;
    struct node *node;
    struct error *err;
};

#define INPUTS(...) \
    (int[]){__VA_ARGS__}, (int)(sizeof((int[]){__VA_ARGS__}) / sizeof(int))
#define NO_ATTRS NULL, 0

enum status contrib_no_memory(struct expansion *x);

/* A node of ONNX's operator `type`; outputs that are VALUE_NONE get a value. */
MUST_CHECK enum status contrib_add_node(struct expansion *x, const char *type,
                                        const int *inputs, int input_count,
                                        const struct attr *attrs, int attr_count,
                                        int *outputs, int output_count);

/* The same with one output, which becomes *made. */
MUST_CHECK enum status contrib_add(struct expansion *x, const char *type,
                                   const int *inputs, int input_count,
                                   const struct attr *attrs, int attr_count, int *made);
struct attr contrib_int_attr(const char *name, int64_t value);
struct attr contrib_float_attr(const char *name, float value);
MUST_CHECK enum status contrib_add_ints(struct expansion *x, const int64_t *values,
                                        size_t count, int *made);
int contrib_input(const struct expansion *x, int i);
int contrib_output(const struct expansion *x, int i);

/* The node's first output is `value`. */
MUST_CHECK enum status contrib_finish(struct expansion *x, int value);

/* *value plus input `i`, if that is there. */
MUST_CHECK enum status contrib_add_input(struct expansion *x, int i, int *value);

/* Copies attributes that mean the same there. */
int contrib_copy_attrs(struct expansion *x, struct attr *to, int room);

/* Two operands, each with scale and zero point; then those of the result. */
MUST_CHECK enum status contrib_expand_q_binary(struct expansion *x);

/* One operand, and attributes as ONNX's operator has them. */
MUST_CHECK enum status contrib_expand_q_unary(struct expansion *x);

/* The result's scale and zero point come first here. */
MUST_CHECK enum status contrib_expand_q_concat(struct expansion *x);
MUST_CHECK enum status contrib_expand_q_gemm(struct expansion *x);
MUST_CHECK enum status contrib_expand_dynamic_matmul(struct expansion *x);
MUST_CHECK enum status contrib_expand_dynamic_lstm(struct expansion *x);

#endif
