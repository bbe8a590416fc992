/* score_batch.c - a thread's way from a chunk of rows to bytes of the output; see
 * score.h.
 *
 * Rows are gathered into a batch of one shape; what cannot be read is set aside alone.  A
 * batch that fails is halved until the rows that make it fail are alone. */
#include <assert.h>
#include <stdlib.h>

#include "base/size.h"
#include "tools/score.h"

enum { RANGES_MAX = 16 };
_Static_assert(BATCH_ROWS_MAX <= 1 << (RANGES_MAX - 1), "halving fits the stack");

/* A row that waits for its batch. */
struct waiting {
    struct span record, raw;
    int64_t row; /* of the chunk */
};

struct range {
    int first, count;
};

struct score_batch {
    const struct score_plan *plan;
    struct session *session;
    struct mapping_rows *rows;
    struct batch *batch;
    struct waiting *waiting; /* by row of the batch */
    struct score_chunk *chunk;
    struct rows_buffer record; /* an output's record */
    struct result_output outputs[MODEL_OUTPUTS_MAX];
    size_t row_size[MODEL_OUTPUTS_MAX];
    struct job job;
};

enum status score_batch_create(const struct score_plan *plan, struct score_batch **out,
                               struct error *err) {
    struct score_batch *batch = calloc(1, sizeof(*batch));
    enum status status;
    *out = NULL;
    if (batch == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a thread");
    }
    batch->plan = plan;
    batch->rows = mapping_rows_create(plan->mapping.mapping);
    batch->waiting = calloc((size_t)plan->batch_model.rows_max, sizeof(*batch->waiting));
    status = batch->rows == NULL || batch->waiting == NULL
                 ? error_set(err, STATUS_NO_MEMORY, "no memory for a thread")
                 : session_create(plan->model, 0, &batch->session, err);
    if (status == STATUS_OK) {
        status = batch_create(&plan->batch_model, 0, &batch->batch, err);
    }
    if (status != STATUS_OK) {
        score_batch_destroy(batch);
        return status;
    }
    *out = batch;
    return STATUS_OK;
}

void score_batch_destroy(struct score_batch *batch) {
    if (batch == NULL) {
        return;
    }
    batch_destroy(batch->batch);
    if (batch->session != NULL) {
        session_destroy(batch->session);
    }
    mapping_rows_destroy(batch->rows);
    free(batch->waiting);
    rows_buffer_release(&batch->record);
    free(batch);
}

/* ---- bad rows -----------------------------------------------------------------------
 */

static void fail_chunk(struct score_batch *b, const struct error *err) {
    if (b->chunk->status == STATUS_OK) {
        b->chunk->status = err->status;
        b->chunk->err = *err;
    }
}

static void set_aside(struct score_batch *b, int64_t row, const char *text) {
    struct score_bad bad = {.row = row};
    struct error err;
    (void)snprintf(bad.text, sizeof(bad.text), "%s", text);
    if (rows_buffer_add(&b->chunk->bad, &bad, sizeof(bad), &err) != STATUS_OK) {
        fail_chunk(b, &err);
    }
}

static int compare_bad(const void *a, const void *b) {
    const struct score_bad *x = a, *y = b;
    return (x->row > y->row) - (x->row < y->row);
}

/* ---- a batch ------------------------------------------------------------------------
 */

static enum status bind_outputs(struct score_batch *b, int rows, struct error *err) {
    for (int i = 0; i < b->plan->batch_model.output_count; i++) {
        const struct tensor *y = session_output(b->session, i);
        const char *name = b->plan->outputs[i].name;
        struct tensor *row = &b->outputs[i].row;
        if (y->rank < 1 || y->dims[0] != rows) {
            return error_set(err, STATUS_POISON,
                             "output '%s' does not have one row for each of %d rows",
                             name, rows);
        }
        *row = (struct tensor){.dtype = y->dtype, .rank = y->rank - 1};
        memcpy(row->dims, &y->dims[1], sizeof(y->dims[0]) * (size_t)row->rank);
        b->outputs[i].name = span_text(name);
        b->row_size[i] = tensor_size(row);
    }
    return STATUS_OK;
}

static enum status compute(struct score_batch *b, struct range range, struct error *err) {
    struct tensor inputs[MODEL_INPUTS_MAX];
    enum status status;
    for (int i = 0; i < model_input_count(b->plan->model); i++) {
        inputs[i] = b->batch->inputs[i];
        inputs[i].dims[0] = range.count;
        inputs[i].data = batch_at(b->batch, i, range.first);
    }
    status = session_prepare(b->session, inputs, err);
    if (status == STATUS_OK) {
        status = session_run(b->session, inputs, err);
    }
    return status == STATUS_OK ? bind_outputs(b, range.count, err) : status;
}

/* Output row `row` of the last run, which is that of `waiting`. */
static enum status encode(struct score_batch *b, int row, const struct waiting *waiting,
                          struct error *err) {
    size_t body = b->chunk->body.size;
    uint8_t *end;
    enum status status;
    for (int i = 0; i < b->plan->batch_model.output_count; i++) {
        b->outputs[i].row.data = (unsigned char *)session_output(b->session, i)->data +
                                 (size_t)row * b->row_size[i];
    }
    b->record.size = 0;
    status = rows_buffer_reserve(
        &b->record, record_out_size_max(b->plan->out, waiting->record, b->outputs), err);
    if (status == STATUS_OK) {
        status = record_out_encode(b->plan->out, waiting->record, b->outputs,
                                   b->record.data, &end, err);
    }
    if (status == STATUS_OK) {
        status = rows_writer_row(b->plan->writer, waiting->raw,
                                 span_of(b->record.data, (size_t)(end - b->record.data)),
                                 &b->chunk->body, err);
    }
    if (status == STATUS_OK) {
        b->chunk->good_count++;
    } else {
        b->chunk->body.size = body;
    }
    return status;
}

static void encode_range(struct score_batch *b, struct range range) {
    for (int i = 0; i < range.count; i++) {
        const struct waiting *waiting = &b->waiting[range.first + i];
        struct error err;
        enum status status = encode(b, i, waiting, &err);
        if (status == STATUS_POISON) {
            set_aside(b, waiting->row, err.text);
        } else if (status != STATUS_OK) {
            fail_chunk(b, &err);
            return;
        }
    }
}

static void run_batch(struct score_batch *b) {
    struct range ranges[RANGES_MAX] = {{.first = 0, .count = b->batch->count}};
    int left = b->batch->count > 0 ? 1 : 0;
    while (left > 0 && b->chunk->status == STATUS_OK) {
        struct range range = ranges[--left];
        struct error err;
        enum status status = compute(b, range, &err);
        if (status == STATUS_OK) {
            encode_range(b, range);
        } else if (range.count == 1 && status == STATUS_POISON) {
            set_aside(b, b->waiting[range.first].row, err.text);
        } else if (range.count == 1) {
            fail_chunk(b, &err);
        } else {
            assert(left + 2 <= RANGES_MAX);
            ranges[left] = (struct range){range.first + range.count / 2,
                                          range.count - range.count / 2};
            ranges[left + 1] = (struct range){range.first, range.count / 2};
            left += 2;
        }
    }
    b->batch->count = 0;
}

/* ---- rows into it -------------------------------------------------------------------
 */

/* The row of b->job into the batch. */
static enum status place(struct score_batch *b, const struct waiting *waiting,
                         struct error *err) {
    struct row_shape shapes[MODEL_INPUTS_MAX];
    const struct model *model = b->plan->model;
    enum status status = STATUS_OK;
    int unused; /* a mapping makes one row, never several */
    for (int i = 0; i < b->job.input_count && status == STATUS_OK; i++) {
        const struct tensor *type = &model_input(model, i)->type;
        status = job_shape_check(&b->job.inputs[i], &type->dims[1], type->rank - 1,
                                 shapes[i].dims, &unused, err);
    }
    if (status == STATUS_OK && b->batch->count > 0 && !batch_fits(b->batch, shapes)) {
        run_batch(b);
    }
    if (status == STATUS_OK && b->batch->count == 0) {
        status = batch_shape(b->batch, shapes, -1, err);
    }
    for (int i = 0; i < b->job.input_count && status == STATUS_OK; i++) {
        enum dtype dtype = b->batch->inputs[i].dtype;
        status =
            job_fill(&b->job.inputs[i], dtype, b->batch->row_size[i] / dtype_size(dtype),
                     batch_at(b->batch, i, b->batch->count), err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    b->waiting[b->batch->count++] = *waiting;
    if (b->batch->count == b->plan->batch_model.rows_max) {
        run_batch(b);
    }
    return STATUS_OK;
}

/* Parses the row's record; an open one is told how long it is. */
static enum status parse(struct score_batch *b, struct rows_row *row, struct error *err) {
    const struct mapping *mapping = b->plan->mapping.mapping;
    struct error damage;
    enum status status;
    size_t size = 0;
    if (!row->open) {
        return mapping_parse(mapping, b->rows, row->record, &b->job, err);
    }
    status = mapping_parse_next(mapping, b->rows, row->record, &b->job, &size, err);
    if (status == STATUS_POISON &&
        rows_measure(b->plan->reader, row->record, &size, &damage) != STATUS_OK) {
        *err = damage; /* where it ends is not known, nor what comes after */
        return STATUS_INVALID;
    }
    row->record.size = size;
    rows_took(&b->chunk->rows, size);
    return status;
}

static void take_row(struct score_batch *b, struct rows_row *row, int64_t index) {
    struct error err;
    enum status status;
    if (row->bad != NULL) {
        set_aside(b, index, row->bad);
        return;
    }
    status = parse(b, row, &err);
    if (status == STATUS_OK) {
        const struct waiting waiting = {row->record, row->raw, index};
        status = place(b, &waiting, &err);
    }
    if (status == STATUS_POISON) {
        set_aside(b, index, err.text);
    } else if (status != STATUS_OK) {
        fail_chunk(b, &err);
    }
}

void score_batch_run(struct score_batch *b, struct score_chunk *chunk) {
    struct rows_row row;
    struct error err;
    b->chunk = chunk;
    b->batch->count = 0;
    chunk->row_count = chunk->good_count = 0;
    chunk->body.size = chunk->out.size = chunk->bad.size = 0;
    chunk->status = STATUS_OK;
    if (rows_decode(b->plan->reader, &chunk->rows, &err) != STATUS_OK) {
        fail_chunk(b, &err);
    }
    while (chunk->status == STATUS_OK && rows_next(b->plan->reader, &chunk->rows, &row)) {
        take_row(b, &row, chunk->row_count++);
    }
    if (chunk->status == STATUS_OK) {
        run_batch(b);
    }
    if (chunk->status == STATUS_OK &&
        rows_writer_pack(b->plan->writer, chunk->good_count, &chunk->body, &chunk->out,
                         &err) != STATUS_OK) {
        fail_chunk(b, &err);
    }
    if (chunk->bad.size > 0) {
        qsort(chunk->bad.data, chunk->bad.size / sizeof(struct score_bad),
              sizeof(struct score_bad), compare_bad);
    }
}
