/* onnx_node.h - ONNX's nodes into the graph's; inside the import.
 *
 * Depends on: engine/scope.h.
 * Ownership: all that is made is the graph's.
 * Threads: one. */
#ifndef MILLRACE_ENGINE_ONNX_NODE_H
#define MILLRACE_ENGINE_ONNX_NODE_H

#include "engine/scope.h"

/* Bodies and calls of functions inside each other; deeper ones are refused. */
#define IMPORT_DEPTH_MAX 16
/* Calls of functions in all: a few functions that call each other twice could make 2^N.
 */
#define IMPORT_CALLS_MAX 100000
#define IMPORT_MISSING_MAX 64

/* What is missing, and how often it is used. */
struct missing {
    const char *type;
    int count;
};

struct import {
    const Onnx__ModelProto *proto;
    struct error *err;
    int calls;
    struct missing missing[IMPORT_MISSING_MAX];
    int missing_count;
    bool more_missing;
};

/* Adds the nodes to the scope's graph; operators we lack are noted, not refused. */
MUST_CHECK enum status import_nodes(struct import *import, struct scope *scope,
                                    Onnx__NodeProto **nodes, size_t count);

/* Initialisers, inputs, nodes and outputs of a graph of `scope`; declared types go to
 * ports.  (onnx_import.c) */
MUST_CHECK enum status import_graph(struct import *import, struct scope *scope,
                                    const Onnx__GraphProto *proto,
                                    struct onnx_ports *ports);

/* A declared type; dims and symbols where there are any.  DTYPE_NONE stands for the
 * sequence of maps that ZipMap makes.  STATUS_UNSUPPORTED.  (onnx_import.c) */
MUST_CHECK enum status import_type(struct import *import, const Onnx__TypeProto *proto,
                                   const char *name, struct model_port *port);

#endif
