/* graph_fixture.h - models of graphs that a test writes itself, and what became of them.
 *
 * Ownership: as session_fixture.h. */
#ifndef MILLRACE_TESTS_ENGINE_GRAPH_FIXTURE_H
#define MILLRACE_TESTS_ENGINE_GRAPH_FIXTURE_H

#include "session_fixture.h"
#include "tests/unit/engine/onnx_writer.h"

/* The graph as a file, in memory of its exact size, opened with `passes`. */
static inline struct model *open_graph_of(int64_t opset, const struct bytes *graph,
                                          unsigned passes) {
    static struct bytes file;
    struct model *model;
    struct error err;
    file.size = 0;
    put_model(&file, opset, graph);
    uint8_t *data = keep(malloc(file.size));
    memcpy(data, file.data, file.size);
    ck_assert_msg(model_open_bytes((struct span){data, file.size}, passes, &model,
                                   &err) == STATUS_OK,
                  "%s", err.text);
    return opened_models[model_count++] = model;
}

static inline struct model *open_graph(const struct bytes *graph, unsigned passes) {
    return open_graph_of(17, graph, passes);
}

#endif
