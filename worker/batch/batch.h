/* batch.h - rows of one model and one shape, side by side, ready to be run.
 *
 *     tensor i:  | row 0 | row 1 | ... | row count-1 | free up to rows_max |
 *
 * Depends on: engine/model.h, codec/record_out.h, codec/framing.h, base/.
 * Ownership: a batch owns its tensors' memory and reuses it; ids and headers of rows
 * are borrowed from the records behind them, which outlive the batch.
 * Threads: one at a time; queues pass it on. */
#ifndef MILLRACE_BATCH_BATCH_H
#define MILLRACE_BATCH_BATCH_H

#include "base/span.h"
#include "batch/cost.h"
#include "codec/framing.h"
#include "codec/record_out.h"
#include "engine/model.h"

#define BATCH_ROWS_MAX 4096
#define BATCH_SHA256_SIZE 32
#define BATCH_VERSION_SIZE_MAX 128 /* bytes of a version that is named in a header */
#define BATCH_TENSOR_SIZE_MAX ((size_t)1 << 30) /* bytes of one input, all rows */

/* Why a batch was run when it was. */
enum batch_reason {
    BATCH_FULL,     /* it had the rows that are aimed at */
    BATCH_SLICE,    /* it had as many as the other models have to wait for */
    BATCH_LINGER,   /* its oldest job had waited long enough */
    BATCH_DEADLINE, /* that of one of its jobs is near */
    BATCH_PRIORITY, /* one of its jobs waits for no company */
    BATCH_IDLE,     /* nothing more was waiting, or a thread had nothing to do */
    BATCH_ROOM,     /* rows of another shape needed its place */
    BATCH_REASON_COUNT
};

/* "full", "linger" and so on. */
extern const char *const batch_reason_names[BATCH_REASON_COUNT];

/* How many rows a batch is to have, 1 to rows_max. */
struct batch_aim {
    int rows;                 /* most rows a second: when all threads are busy */
    int early_rows;           /* an answer soonest: when one has nothing to do; <= rows */
    enum batch_reason reason; /* what a batch of `rows` is called */
};

#define BATCH_LENGTHS_MAX 16

/* A length that rows are padded to, and what batches of it cost. */
struct batch_length {
    int64_t length;
    struct batch_aim aim;
    struct cost cost;
};

/* Rows of different lengths side by side; see batch/pad.h. */
struct batch_pad {
    int count; /* 0: only rows of exactly the same shape share a batch */
    struct batch_length lengths[BATCH_LENGTHS_MAX]; /* rising */
    /* Which dimension of a row is the length; -1: none.  Of all outputs of the model. */
    int input_axis[MODEL_INPUTS_MAX], output_axis[MODEL_OUTPUTS_MAX];
};

struct learn;

/* How one model is batched; made at start, read-only afterwards. */
struct batch_model {
    const struct model *model;
    const char *name;        /* as configured */
    const char *version;     /* as configured, "" if none */
    const uint8_t *sha256;   /* of its file, BATCH_SHA256_SIZE bytes; NULL: not known */
    const char *sha256_text; /* the same in hexadecimal */
    int rows_max;            /* 1 .. BATCH_ROWS_MAX */
    struct batch_aim aim;
    struct cost cost;    /* as measured at start; of no points if it was not */
    struct learn *learn; /* what batches cost where it was not; may be NULL */
    struct batch_pad pad;
    int weight;        /* of its share of the threads */
    int64_t linger_us; /* longest wait of a batch's oldest job while others compute */
    bool nan_rejected;
    int outputs[MODEL_OUTPUTS_MAX]; /* indexes of the outputs that answers carry */
    int output_count;
};

/* How rows of records are answered; made once for each schema they are written with. */
struct batch_answer {
    const struct record_out *out;
    struct framing framing; /* what stands before an answer */
    bool names_model;       /* by headers */
};

/* The dimensions of one row of an input: the input's rank less one of them. */
struct row_shape {
    int64_t dims[TENSOR_RANK_MAX];
};

struct parts;

struct batch_row {
    void *tag; /* the caller's own: the record */
    struct span id;
    struct span headers;               /* an encoded Avro map */
    const struct batch_answer *answer; /* NULL: a job's, answered by a result */
    struct span record;                /* with `answer`: the bytes behind the framing */
    int64_t timestamp_ms;
    int64_t received_us;
    int64_t deadline_us; /* by clock_now_us; INT64_MAX for none */
    int64_t run_us;      /* when its batch has to be done for that, INT64_MAX for none */
    bool urgent;         /* it waits for no company */
    struct parts *parts; /* of a job that has several rows; otherwise NULL */
    int part;            /* which of them this is */
    int64_t length;      /* before it was padded; 0 where it is not */
};

struct batch {
    int model_index;
    const struct batch_model *model;
    int count;
    int length_index; /* of the model's pad: what its rows are padded to; -1: nothing */
    int kind;         /* of its rows, as batch/learn.h tells them apart */
    int64_t due_us;   /* when it must be run, by clock_now_us */
    enum batch_reason due_reason;           /* what due_us comes of */
    enum batch_reason reason;               /* why it was emitted */
    struct batch_aim aim;                   /* what it was begun with */
    int64_t cost_us;                        /* what it is expected to take */
    int64_t full_us;                        /* the same of as many rows as it may get */
    struct batch *next;                     /* in a queue */
    int64_t deadline_us;                    /* the first of its rows */
    struct batch_row *rows;                 /* rows_max of them */
    struct tensor inputs[MODEL_INPUTS_MAX]; /* dims[0] is count once taken to be run */
    size_t row_size[MODEL_INPUTS_MAX];      /* bytes of one row */
    size_t room[MODEL_INPUTS_MAX];          /* bytes allocated */
};

MUST_CHECK enum status batch_create(const struct batch_model *model, int model_index,
                                    struct batch **batch, struct error *err);
void batch_destroy(struct batch *batch);

/* Empties the batch and shapes it for rows of these dimensions, one for each input,
 * padded to the model's length of that index, if it is not -1. Allocates only where rows
 * are larger than any before. STATUS_POISON where a batch of such rows would be past
 * BATCH_TENSOR_SIZE_MAX. */
MUST_CHECK enum status batch_shape(struct batch *batch, const struct row_shape *shapes,
                                   int length_index, struct error *err);

/* Bytes of a full batch's tensors, where rows are of one size; otherwise 0. */
size_t batch_fixed_size(const struct batch_model *model);

/* How large it is to be, begun now, and nanoseconds that so many rows in it are expected
 * to take, 0 where that is not known. */
struct batch_aim batch_aim_of(const struct batch *batch);
int64_t batch_cost_ns(const struct batch *batch, int rows);

/* Sets *aim: to batch_size, or if that is 0 to the best sizes by the cost, or to
 * rows_max; not beyond what takes slice_ms, unless that is 0 or
 * batch_size says how large. */
void batch_aim_by(struct batch_aim *aim, const struct cost *cost, int rows_max,
                  int batch_size, int slice_ms);

/* Are its rows of these dimensions? */
bool batch_fits(const struct batch *batch, const struct row_shape *shapes);

/* Takes a row out; the last one moves into its place. */
void batch_drop(struct batch *batch, int row);

/* Where row `row` of input `input` is. */
void *batch_at(const struct batch *batch, int input, int row);

#endif
