/* init_write.h - a configuration to begin with, as text with comments.
 *
 * Depends on: tools/init_propose.h.
 * Ownership: everything is borrowed for the call.
 * Threads: any. */
#ifndef MILLRACE_TOOLS_INIT_WRITE_H
#define MILLRACE_TOOLS_INIT_WRITE_H

#include <stdio.h>

#include "tools/init_propose.h"
#include "tools/model_options.h"
#include "tools/registry_options.h"

struct init_facts {
    const struct model *model;
    const char *name;       /* of the model, and the group */
    const char *model_path; /* as it stands in the file */
    const char *bootstrap;
    const char *input, *output, *dead_letter;
    /* Record mode; NULL for jobs. */
    const struct init_proposal *proposal;
    const struct avro_node *record;
    const char *schema_path; /* of bare records; NULL for Confluent's wire format */
    const struct registry_flags *registry; /* .urls is NULL where there is none */
    const struct model_flags *how;         /* the model is loaded */
    const char *labels;                    /* file of words; NULL for none */
    const char *subject;                   /* "" for the topic's own */
};

/* The output whose class words may stand for: an index, else scores; -1 for none. */
int init_labelled_output(const struct model *model);

/* Whether all was written, the caller sees by ferror. */
void init_write(FILE *to, const struct init_facts *facts);

#endif
