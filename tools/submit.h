/* submit.h - what millrace submit's two ways have in common: .npy files whole, and files
 * of rows.
 *
 * Depends on: tools/model_options.h, registry_options.h, rows.h.
 * Ownership: options borrow from argv.  Threads: one. */
#ifndef MILLRACE_TOOLS_SUBMIT_H
#define MILLRACE_TOOLS_SUBMIT_H

#include "tools/model_options.h"
#include "tools/registry_options.h"
#include "tools/rows.h"

struct submit_options {
    const char *bootstrap, *topic, *model, *id_prefix, *key;
    struct cli_list inputs, properties;
    int64_t count, first, wait_s;
    double rate;
    bool json;
    /* of --rows */
    const char *rows, *as, *model_file, *from, *subject, *progress;
    const char *schema_out, *delimiter;
    struct registry_flags registry;
    struct model_flags how; /* the model of model_file is loaded */
    struct cli_list maps, ignored, types;
    double save_s, timeout_s;
    bool skip_bad, follow, no_header;
};

/* Sends the rows of a file; returns the exit code. */
int submit_rows(const struct cli_command *command, const struct submit_options *options);

/* Writes the id of a number into `id`; returns its bytes, 0 where it is too long. */
size_t submit_id(const char *prefix, int64_t number, char *id, size_t size);

#endif
