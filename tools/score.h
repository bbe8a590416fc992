/* score.h - the parts of millrace score.
 *
 *     score_plan   which columns go in, what comes out; made once, then read-only
 *     score_batch  a thread's way from a chunk of rows to bytes of the output
 *     score_run    the threads: one reads, several compute, one writes, in order
 *
 * Depends on: app/recipe.h, batch/batch.h, codec/record_out.h, engine/session.h,
 * tools/rows.h, tools/row_mapping.h, tools/part_file.h.
 * Ownership: said at each struct.
 * Threads: said at each function. */
#ifndef MILLRACE_TOOLS_SCORE_H
#define MILLRACE_TOOLS_SCORE_H

#include "app/recipe.h"
#include "batch/batch.h"
#include "codec/record_out.h"
#include "engine/session.h"
#include "tools/model_options.h"
#include "tools/part_file.h"
#include "tools/row_mapping.h"
#include "tools/rows.h"

#define SCORE_THREADS_MAX 256

/* ---- what is to be done -------------------------------------------------------------
 */

struct score_opts {
    const char *model, *input, *output;
    const char *from, *to, *codec, *delimiter;
    const char *mapping, *route; /* a configuration, and the input topic of its route */
    struct cli_list maps, ignored, types, predictions;
    int64_t threads, batch;
    bool only_predictions, missing_refused, no_header, restart, json;
    const char *on_error;   /* "fail", "skip" or a file */
    double save_s;          /* seconds between two notes of how far it has come */
    struct model_flags how; /* the model is loaded */
};

struct score_plan {
    const struct score_opts *opts;
    struct model *model; /* owned; as all below */
    struct batch_model batch_model;
    struct rows_reader *reader;
    struct row_mapping mapping;
    struct config *config; /* of --mapping; so is the next */
    struct recipe *recipe;
    struct record_out *out;
    struct rows_writer *writer;
    struct record_field fields[RECORD_OUT_FIELDS_MAX];
    char *names[RECORD_OUT_FIELDS_MAX]; /* owned */
    int field_count;
    struct record_output outputs[MODEL_OUTPUTS_MAX];
    enum rows_format from, to;
    enum rows_codec codec;
    bool raw;       /* rows of text are copied as they are */
    bool goes_on;   /* where a run before was stopped: neither end is a stream */
    bool no_header; /* the output is CSV and has none */
    uint8_t sync[ROWS_SYNC_SIZE];
};

/* STATUS_INVALID for what the user must change, with what to do. */
MUST_CHECK enum status score_plan_create(const struct score_opts *opts,
                                         struct score_plan *plan, struct error *err);
/* Chooses the fields of the predictions; a part of the above. */
/* Takes mapping and fields from a configuration's route; another part. */
MUST_CHECK enum status score_recipe_apply(struct score_plan *plan, struct error *err);
MUST_CHECK enum status score_fields_choose(struct score_plan *plan, struct error *err);
void score_plan_release(struct score_plan *plan);

/* ---- one thread's work --------------------------------------------------------------
 */

/* A row that has no prediction: its place in the chunk and why. */
struct score_bad {
    int64_t row;
    char text[ROWS_BAD_TEXT_MAX];
};

struct score_chunk {
    struct rows_chunk rows;
    int64_t sequence;
    struct rows_buffer body, out; /* of the output */
    struct rows_buffer bad;       /* struct score_bad, by row */
    int64_t row_count, good_count;
    enum status status; /* of the chunk as a whole */
    struct error err;
};

struct score_batch; /* opaque */

MUST_CHECK enum status score_batch_create(const struct score_plan *plan,
                                          struct score_batch **out, struct error *err);
void score_batch_destroy(struct score_batch *batch);

/* Decodes, computes and encodes the chunk; what fails is noted in it. */
void score_batch_run(struct score_batch *batch, struct score_chunk *chunk);

/* ---- all of it ----------------------------------------------------------------------
 */

struct score_result {
    int64_t rows, good, bad;
    int64_t resumed; /* rows of runs before */
    double seconds;
    bool stopped; /* by a signal */
};

/* Runs on: the main thread.  Shows progress; ends well after SIGINT and SIGTERM. */
MUST_CHECK enum status score_run(struct score_plan *plan, struct score_result *result,
                                 struct error *err);

#endif
