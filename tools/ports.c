/* ports.c - see ports.h. */
#include "tools/ports.h"

json_t *port_json(const struct model_port *port) {
    json_t *shape = json_array();
    for (int i = 0; i < port->type.rank; i++) {
        json_t *dim = port->type.dims[i] >= 0    ? json_integer(port->type.dims[i])
                      : port->symbols[i] != NULL ? json_string(port->symbols[i])
                                                 : json_null();
        json_array_append_new(shape, dim);
    }
    return json_pack("{s:s, s:s, s:o}", "name", port->name, "dtype",
                     dtype_name(port->type.dtype), "shape", shape);
}

const char *port_shape(const struct model_port *port, char *text, size_t size) {
    size_t used = (size_t)snprintf(text, size, "[");
    for (int i = 0; i < port->type.rank && used < size; i++) {
        const char *gap = i > 0 ? "," : "";
        int n = port->type.dims[i] >= 0
                    ? snprintf(text + used, size - used, "%s%lld", gap,
                               (long long)port->type.dims[i])
                    : snprintf(text + used, size - used, "%s%.64s", gap,
                               port->symbols[i] != NULL ? port->symbols[i] : "?");
        used += n > 0 ? (size_t)n : 0;
    }
    if (used < size) {
        (void)snprintf(text + used, size - used, "]"); /* a cut shape is still one */
    }
    return text;
}
