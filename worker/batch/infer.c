/* infer.c - see infer.h. */
#include "batch/infer.h"

#include <assert.h>

#include "base/size.h"
#include "batch/pad.h"
#include "codec/framing.h"
#include "codec/record_out.h"
#include "codec/result.h"

/* Ranges still to be run: halving a batch of BATCH_ROWS_MAX leaves at most one half
 * behind at each level. */
enum { RANGES_MAX = 16 };
_Static_assert(BATCH_ROWS_MAX <= 1 << (RANGES_MAX - 1), "halving fits the stack");

struct range {
    int first, count;
};

struct run {
    struct session *session;
    const struct batch *batch;
    struct answers *answers; /* this run holds one reference while it encodes */
    const struct infer_sink *sink;
    int64_t (*now_us)(void);
    struct infer_times *times;
    int64_t started_us; /* of the batch */
    int first;          /* row of the batch, of those of the last run */
    struct result_output outputs[MODEL_OUTPUTS_MAX];
    uint8_t *data[MODEL_OUTPUTS_MAX]; /* of the first row of the last run */
    size_t row_size[MODEL_OUTPUTS_MAX];
    struct result result; /* of the batch: what its jobs differ in is set for each */
    int axis[MODEL_OUTPUTS_MAX]; /* of a row: what is cut to its length; -1: nothing */
};

static struct answers *answers_take(struct answers_pool *pool) {
    struct answers *answers;
    (void)pthread_mutex_lock(&pool->lock); /* fails only on misuse */
    answers = pool->unused;
    if (answers != NULL) {
        pool->unused = answers->next;
    }
    (void)pthread_mutex_unlock(&pool->lock);
    if (answers == NULL) {
        answers = calloc(1, sizeof(*answers));
        if (answers == NULL) {
            return NULL;
        }
        answers->pool = pool;
    }
    answers->used = 0;
    atomic_store_explicit(&answers->refs, 1, memory_order_relaxed);
    return answers;
}

/* The reason of a job of several rows says which one it was. */
static void fail_part(struct run *run, const struct batch_row *row,
                      const struct error *reason) {
    struct parts *parts = row->parts;
    struct error named = *reason;
    (void)error_prefix(&named, "row %d of %d", row->part, parts->rows);
    if (parts_fail(parts, 1, 0, &named)) {
        struct error first = parts->reason;
        int cause = parts->cause;
        parts_give_back(parts);
        run->sink->failed(run->sink->opaque, row, cause, &first);
        run->times->failed++;
    }
}

static void fail_range(struct run *run, struct range range, const struct error *reason) {
    for (int i = range.first; i < range.first + range.count; i++) {
        const struct batch_row *row = &run->batch->rows[i];
        if (row->parts != NULL) {
            fail_part(run, row, reason);
        } else {
            run->sink->failed(run->sink->opaque, row, 0, reason);
            run->times->failed++;
        }
    }
}

/* Takes what was padded off the rows of output `i`; each stays where it begins. */
static void cut_rows(const struct run *run, int i, int rows, int64_t padded) {
    const struct tensor *row = &run->outputs[i].row;
    struct pad_layout layout = pad_layout(row->dtype, row->dims, row->rank, run->axis[i]);
    for (int r = 0; r < rows && layout.count > 1; r++) {
        pad_cut((uint8_t *)row->data + (size_t)r * run->row_size[i], layout,
                run->batch->rows[run->first + r].length, padded);
    }
}

static enum status cut_outputs(struct run *run, int rows, struct error *err) {
    const struct batch_model *model = run->batch->model;
    const struct batch_pad *pad = &model->pad;
    int index = run->batch->length_index;
    for (int i = 0; i < model->output_count; i++) {
        const struct tensor *row = &run->outputs[i].row;
        int axis = run->axis[i] = index < 0 ? -1 : pad->output_axis[model->outputs[i]];
        if (axis < 0) {
            continue;
        }
        if (axis >= row->rank || row->dims[axis] != pad->lengths[index].length) {
            return error_set(err, STATUS_POISON,
                             "output '%.*s' is not as long as its padded inputs, so that "
                             "it cannot be cut back",
                             (int)run->outputs[i].name.size,
                             (const char *)run->outputs[i].name.data);
        }
        cut_rows(run, i, rows, pad->lengths[index].length);
    }
    return STATUS_OK;
}

/* Describes the outputs that answers carry, as one row each. */
static enum status bind_outputs(struct run *run, int rows, struct error *err) {
    const struct batch_model *model = run->batch->model;
    for (int i = 0; i < model->output_count; i++) {
        const struct tensor *y = session_output(run->session, model->outputs[i]);
        const char *name = model_output(model->model, model->outputs[i])->name;
        struct tensor *row = &run->outputs[i].row;
        if (y->rank < 1 || y->dims[0] != rows) {
            return error_set(err, STATUS_POISON,
                             "output '%s' does not have one row for each of %d rows",
                             name, rows);
        }
        *row = (struct tensor){.dtype = y->dtype, .rank = y->rank - 1, .data = y->data};
        memcpy(row->dims, &y->dims[1], sizeof(y->dims[0]) * (size_t)row->rank);
        run->outputs[i].name = span_text(name);
        run->data[i] = y->data;
        run->row_size[i] = tensor_size(row);
    }
    return cut_outputs(run, rows, err);
}

/* Points the outputs at row `row` of the last run. */
static void point_outputs(struct run *run, int row) {
    int count = run->batch->model->output_count;
    for (int i = 0; i < count; i++) {
        run->outputs[i].row.data = run->data[i] + (size_t)row * run->row_size[i];
        if (run->axis[i] >= 0) {
            run->outputs[i].row.dims[run->axis[i]] =
                run->batch->rows[run->first + row].length;
        }
    }
}

/* What the results of a run have in common. */
static void describe(struct run *run) {
    const struct batch_model *model = run->batch->model;
    run->result = (struct result){
        .model = span_text(model->name),
        .version = model->version[0] == 0 ? span_of(NULL, 0) : span_text(model->version),
        .batch_size = run->batch->count,
        .compute_us = run->times->compute_us,
        .model_sha256 =
            span_of(model->sha256, model->sha256 == NULL ? 0 : BATCH_SHA256_SIZE),
    };
}

static const struct result *describe_job(struct run *run, const struct batch_row *job) {
    run->result.id = job->id;
    run->result.headers = job->headers;
    run->result.job_timestamp_ms = job->timestamp_ms;
    run->result.wait_us = run->started_us - job->received_us;
    return &run->result;
}

/* Makes room for the answers of `range` behind those that are there.  The bytes may
 * not move once a row points at them, so all of a range's room is made first, and a
 * batch that was halved takes new answers for each part. */
static bool reserve(struct answers *answers, size_t size) {
    uint8_t *bytes;
    if (size <= answers->room) {
        return true;
    }
    bytes = malloc(size_align(size, 4096));
    if (bytes == NULL) {
        return false;
    }
    free(answers->bytes);
    answers->bytes = bytes;
    answers->room = size_align(size, 4096);
    return true;
}

/* Most bytes of a result, its id and headers aside; 0 where texts make it depend on the
 * row.  Before the first row is pointed at: rows that are cut back are not longer. */
static size_t common_size_max(const struct run *run) {
    int count = run->batch->model->output_count;
    for (int i = 0; i < count; i++) {
        if (run->outputs[i].row.dtype == DTYPE_STRING) {
            return 0;
        }
    }
    return result_size_max(&run->result, run->outputs, count);
}

/* Most bytes of the answer of row `i` of the last run. */
static size_t answer_size_max(struct run *run, int i, size_t common) {
    const struct batch_row *of = &run->batch->rows[run->first + i];
    if (of->answer == NULL && common > 0) {
        return common + of->id.size + of->headers.size;
    }
    point_outputs(run, i);
    return of->answer != NULL
               ? FRAMING_SIZE_MAX +
                     record_out_size_max(of->answer->out, of->record, run->outputs)
               : result_size_max(describe_job(run, of), run->outputs,
                                 run->batch->model->output_count);
}

static enum status encode_answer(struct run *run, int row, uint8_t *to, uint8_t **end,
                                 struct error *err) {
    const struct batch_row *of = &run->batch->rows[row];
    if (of->answer != NULL) {
        to = framing_write(to, &of->answer->framing);
        return record_out_encode(of->answer->out, of->record, run->outputs, to, end, err);
    }
    *end = to + result_encode(describe_job(run, of), run->outputs,
                              run->batch->model->output_count, to);
    return STATUS_OK;
}

/* How many rows are jobs of their own goes to *alone. */
static enum status reserve_range(struct run *run, struct range range, int *alone,
                                 struct error *err) {
    size_t size = 0, common;
    describe(run);
    common = common_size_max(run);
    *alone = 0;
    for (int i = 0; i < range.count; i++) {
        if (run->batch->rows[range.first + i].parts != NULL) {
            continue;
        }
        ++*alone;
        if (!size_add(size, answer_size_max(run, i, common), &size)) {
            return error_set(err, STATUS_NO_MEMORY, "the answers' sizes overflow");
        }
    }
    if (!reserve(run->answers, size)) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for %zu bytes of answers",
                         size);
    }
    return STATUS_OK;
}

/* ---- jobs of several rows ---------------------------------------------------------- */

/* The answer of a job all of whose rows are there; NULL without memory. */
static struct answers *encode_parts(struct run *run, const struct batch_row *row,
                                    struct answers_pool *pool, struct span *encoded) {
    const struct parts *parts = row->parts;
    struct result result = *describe_job(run, row);
    struct result_output outputs[MODEL_OUTPUTS_MAX];
    struct answers *answers = answers_take(pool);
    assert(row->answer == NULL); /* a record is one row */
    result.batch_size = parts->batch_size;
    result.wait_us = parts->wait_us;
    result.compute_us = parts->compute_us;
    for (int i = 0; i < parts->output_count; i++) {
        outputs[i].name = run->outputs[i].name;
        outputs[i].row = parts->outputs[i];
    }
    if (answers != NULL &&
        !reserve(answers, result_size_max(&result, outputs, parts->output_count))) {
        answers_unref(answers);
        answers = NULL;
    }
    if (answers != NULL) {
        *encoded =
            span_of(answers->bytes,
                    result_encode(&result, outputs, parts->output_count, answers->bytes));
    }
    return answers;
}

/* The last row is there: answers or fails the job, and gives its parts back. */
static void end_parts(struct run *run, const struct batch_row *row,
                      struct answers_pool *pool) {
    struct error reason = row->parts->reason;
    int cause = row->parts->cause;
    struct answers *answers = NULL;
    struct span encoded;
    if (reason.status == STATUS_OK) {
        cause = 0;
        answers = encode_parts(run, row, pool, &encoded);
        if (answers == NULL) {
            (void)error_set(&reason, STATUS_NO_MEMORY, "no memory for the answer");
        }
    }
    parts_give_back(row->parts);
    if (answers != NULL) {
        run->times->answered++;
        run->sink->answered(run->sink->opaque, row, encoded, answers);
    } else {
        run->times->failed++;
        run->sink->failed(run->sink->opaque, row, cause, &reason);
    }
}

/* Row `i` of the range and those behind it that are of the same job; returns how many. */
static int store_parts(struct run *run, struct range range, int i,
                       struct answers_pool *pool) {
    const struct batch_row *row = &run->batch->rows[range.first + i];
    struct tensor outputs[MODEL_OUTPUTS_MAX];
    struct parts_rows rows = {.first = row->part,
                              .count = 1,
                              .outputs = outputs,
                              .strides = run->row_size,
                              .output_count = run->batch->model->output_count,
                              .batch_size = run->batch->count,
                              .wait_us = run->started_us - row->received_us,
                              .compute_us = run->times->compute_us};
    while (i + rows.count < range.count && row[rows.count].parts == row->parts &&
           row[rows.count].part == row->part + rows.count) {
        rows.count++;
    }
    point_outputs(run, i);
    for (int k = 0; k < rows.output_count; k++) {
        outputs[k] = run->outputs[k].row;
    }
    if (parts_store(row->parts, &rows)) {
        end_parts(run, row, pool);
    }
    return rows.count;
}

/* ---- a range ----------------------------------------------------------------------- */

static void encode_range(struct run *run, struct range range, int alone,
                         struct answers_pool *pool) {
    struct answers *answers = run->answers;
    atomic_fetch_add_explicit(&answers->refs, alone, memory_order_relaxed);
    for (int i = 0; i < range.count; i++) {
        const struct batch_row *row = &run->batch->rows[range.first + i];
        uint8_t *to = answers->bytes + answers->used;
        uint8_t *end = to;
        struct error err;
        if (row->parts != NULL) {
            i += store_parts(run, range, i, pool) - 1;
            continue;
        }
        point_outputs(run, i);
        if (encode_answer(run, range.first + i, to, &end, &err) != STATUS_OK) {
            /* What its answer lacks is the row's own matter. */
            fail_range(run, (struct range){.first = range.first + i, .count = 1}, &err);
            answers_unref(answers);
            continue;
        }
        answers->used += (size_t)(end - to);
        run->times->answered++;
        run->sink->answered(run->sink->opaque, row, span_of(to, (size_t)(end - to)),
                            answers);
    }
}

static enum status compute_range(struct run *run, struct range range, struct error *err) {
    const struct batch *batch = run->batch;
    struct tensor inputs[MODEL_INPUTS_MAX];
    int count = model_input_count(batch->model->model);
    int64_t from_us = run->now_us();
    enum status status;
    run->first = range.first;
    for (int i = 0; i < count; i++) {
        inputs[i] = batch->inputs[i];
        inputs[i].dims[0] = range.count;
        inputs[i].data = batch_at(batch, i, range.first);
    }
    status = session_prepare(run->session, inputs, err);
    if (status == STATUS_OK) {
        status = session_run(run->session, inputs, err);
    }
    if (status == STATUS_OK) {
        status = bind_outputs(run, range.count, err);
    }
    run->times->runs++;
    run->times->compute_us += run->now_us() - from_us;
    return status;
}

static void name_model(struct answers *answers, const struct batch *batch) {
    const struct batch_model *model = batch->model;
    if (batch->rows[0].answer == NULL) {
        return; /* its answers say it themselves */
    }
    (void)snprintf(answers->version, sizeof(answers->version), "%s", model->version);
    (void)snprintf(answers->sha256, sizeof(answers->sha256), "%s",
                   model->sha256_text == NULL ? "" : model->sha256_text);
}

/* Answers the rows of `range`, or says why not all of them could be. */
static enum status answer_range(struct run *run, struct answers_pool *pool,
                                struct range range, struct error *err) {
    enum status status = compute_range(run, range, err);
    int64_t from_us = run->now_us();
    int alone;
    if (status != STATUS_OK) {
        return status;
    }
    run->answers = answers_take(pool);
    if (run->answers == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for answers");
    }
    name_model(run->answers, run->batch);
    status = reserve_range(run, range, &alone, err);
    if (status == STATUS_OK) {
        encode_range(run, range, alone, pool);
    }
    answers_unref(run->answers);
    run->times->encode_us += run->now_us() - from_us;
    return status;
}

void infer_run(struct session *session, const struct batch *batch,
               struct answers_pool *pool, const struct infer_sink *sink,
               int64_t (*now_us)(void), struct infer_times *times) {
    struct run run = {.session = session,
                      .batch = batch,
                      .sink = sink,
                      .now_us = now_us,
                      .times = times,
                      .started_us = now_us()};
    struct range ranges[RANGES_MAX] = {{.first = 0, .count = batch->count}};
    int waiting = batch->count > 0 ? 1 : 0;
    *times = (struct infer_times){0};
    while (waiting > 0) {
        struct range range = ranges[--waiting];
        struct error err = {0};
        if (answer_range(&run, pool, range, &err) == STATUS_OK) {
            continue;
        }
        if (range.count == 1) {
            fail_range(&run, range, &err);
            continue;
        }
        assert(waiting + 2 <= RANGES_MAX);
        ranges[waiting].count = range.count - range.count / 2;
        ranges[waiting].first = range.first + range.count / 2;
        ranges[waiting + 1].count = range.count / 2;
        ranges[waiting + 1].first = range.first;
        waiting += 2;
    }
}
