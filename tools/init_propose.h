/* init_propose.h - which fields of a record may be a model's inputs: a guess to begin
 * with.
 *
 * A list or bytes fill an input that has more than one element; inputs of one element are
 * found by their names; an input of many is filled by the fields of its kind, in their
 * order, without those that are called like an id.  What no field was found for is a
 * constant, and is told.
 *
 * Depends on: codec/avro_path.h, engine/model.h.
 * Ownership: a proposal borrows the inputs and the schema.
 * Threads: any. */
#ifndef MILLRACE_TOOLS_INIT_PROPOSE_H
#define MILLRACE_TOOLS_INIT_PROPOSE_H

#include "codec/avro_path.h"
#include "engine/model.h"

#define INIT_FIELDS_MAX 1024
#define INIT_PATH_MAX 256 /* bytes; fields with longer paths are left out */

struct init_field {
    char path[INIT_PATH_MAX];
    const struct avro_node *type;
    int lists;
    bool nullable;
    bool used;
};

/* Elements of an input: a field, or `count` times a constant. */
struct init_source {
    const struct init_field *field; /* NULL for a constant */
    int64_t count;                  /* of a constant */
};

struct init_input {
    const struct model_port *port;
    int64_t elements;                            /* of a row; negative where free */
    struct init_source sources[INIT_FIELDS_MAX]; /* in the order of the elements */
    int source_count;
};

struct init_proposal {
    struct init_field fields[INIT_FIELDS_MAX];
    int field_count;
    struct init_input inputs[MODEL_INPUTS_MAX];
    int input_count;
    int constant_count; /* elements that no field was found for */
};

/* Fills the proposal, which is large: not for a stack. */
void init_propose(const struct model_port *const *inputs, int input_count,
                  const struct avro_node *record, struct init_proposal *proposal);

#endif
