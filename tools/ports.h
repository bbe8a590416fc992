/* ports.h - inputs and outputs of a model, for people and as JSON.
 *
 * Depends on: engine/model.h, jansson.  Ownership: the caller owns what is returned.
 * Threads: any. */
#ifndef MILLRACE_TOOLS_PORTS_H
#define MILLRACE_TOOLS_PORTS_H

#include <jansson.h>

#include "engine/model.h"

/* {"name", "dtype", "shape"}: a free dimension is its name, or null. */
json_t *port_json(const struct model_port *port);

/* "[batch,28,28,1]", "?" for a dimension without a name. */
#define PORT_SHAPE_TEXT_MAX 512
const char *port_shape(const struct model_port *port, char *text, size_t size);

#endif
