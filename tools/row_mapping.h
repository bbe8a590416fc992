/* row_mapping.h - which columns of a file make a model's inputs.
 *
 * Without a word from the user: inputs that are called like columns are those columns;
 * a model of one input takes all columns of numbers, in their order, or the only list.
 * Missing numbers are NaN for an input of floating point, unless they are refused.
 *
 * Depends on: codec/mapping.h, batch/batch.h for struct batch_model, tools/rows.h.
 * Ownership: the mapping is owned; model, reader and texts are borrowed.
 * Threads: read-only once made. */
#ifndef MILLRACE_TOOLS_ROW_MAPPING_H
#define MILLRACE_TOOLS_ROW_MAPPING_H

#include "codec/mapping.h"
#include "engine/model.h"
#include "tools/cli.h"
#include "tools/rows.h"

#define ROW_MAPPING_TEXT_MAX \
    8192 /* bytes that say what was chosen; longer ones are cut */

struct row_mapping_opts {
    const struct model *model;
    struct rows_reader *reader;
    const struct cli_list *maps;    /* "INPUT=COLUMN,..." */
    const struct cli_list *ignored; /* columns that are not taken unasked */
    const struct cli_list *types;   /* "COLUMN=TYPE" */
    bool missing_refused;
    bool needed_only; /* other columns need not be part of the records */
};

struct row_mapping {
    struct mapping *mapping;         /* owned */
    char text[ROW_MAPPING_TEXT_MAX]; /* "input 'x' (30 values): V1, V2, ..." a line */
};

/* Sets the kinds of CSV's columns; a part of row_mapping_create, for those who need no
 * mapping. */
MUST_CHECK enum status row_mapping_types(struct rows_reader *reader,
                                         const struct cli_list *types, struct error *err);

/* Chooses, binds the reader's columns, and makes the mapping.  STATUS_INVALID says which
 * columns there are. */
MUST_CHECK enum status row_mapping_create(const struct row_mapping_opts *opts,
                                          struct row_mapping *out, struct error *err);
/* Accepts a zeroed one. */
void row_mapping_release(struct row_mapping *mapping);

#endif
