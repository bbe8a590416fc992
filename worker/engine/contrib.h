/* contrib.h - operators of the domain com.microsoft, which ONNX Runtime's optimizer and
 * quantizer write: each is replaced by ONNX's own while a model is imported.
 *
 *     com.microsoft.FastGelu(x, bias)  ->  Add(x, bias), Gelu(approximate = tanh)
 *
 * The passes then see what they know.  Definitions: ONNX Runtime's ContribOperators.md.
 *
 * Depends on: engine/graph.h.
 * Ownership: what is made belongs to the graph.
 * Threads: one, while loading. */
#ifndef MILLRACE_ENGINE_CONTRIB_H
#define MILLRACE_ENGINE_CONTRIB_H

#include "engine/graph.h"

struct contrib;

/* NULL where there is none of this name. */
const struct contrib *contrib_find(const char *domain, const char *type);

/* Adds the nodes that stand for `node`, whose attributes, inputs and outputs are set.
 * STATUS_UNSUPPORTED where it uses what is not handled. */
MUST_CHECK enum status contrib_expand(const struct contrib *contrib, struct graph *graph,
                                      struct node *node, struct error *err);

#endif
