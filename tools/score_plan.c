/* score_plan.c - what is to be scored, and how; see score.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/size.h"
#include "tools/score.h"

/* ---- formats ------------------------------------------------------------------------
 */

static enum status choose_formats(struct score_plan *plan, struct error *err) {
    const struct score_opts *opts = plan->opts;
    struct stat in, out;
    if (rows_format_choose("--from", opts->from, opts->input, &plan->from, err) !=
            STATUS_OK ||
        rows_format_choose("--to", opts->to, opts->output, &plan->to, err) != STATUS_OK) {
        return err->status;
    }
    plan->goes_on = !rows_is_stream(opts->input) && !rows_is_stream(opts->output);
    plan->no_header = opts->no_header && plan->from == ROWS_CSV && plan->to == ROWS_CSV;
    if (opts->no_header && plan->from != ROWS_CSV) {
        return error_set(err, STATUS_INVALID, "--no-header: %s is no CSV", opts->input);
    }
    if (plan->to == ROWS_NPY && rows_is_stream(opts->output)) {
        return error_set(err, STATUS_INVALID,
                         "--to npy: the count of rows stands in front of them, so that "
                         "it cannot go to standard output: name a file");
    }
    if (plan->goes_on && stat(opts->input, &in) == 0 && stat(opts->output, &out) == 0 &&
        in.st_dev == out.st_dev && in.st_ino == out.st_ino) {
        return error_set(err, STATUS_INVALID, "%s would be written over itself",
                         opts->input);
    }
    plan->raw = !opts->only_predictions && opts->mapping == NULL &&
                plan->from == plan->to &&
                (plan->from == ROWS_CSV || plan->from == ROWS_JSONL);
    return STATUS_OK;
}

static enum rows_codec choose_codec(const struct score_plan *plan) {
    return plan->opts->codec != NULL ? rows_codec_parse(span_text(plan->opts->codec))
           : plan->from == ROWS_AVRO ? rows_reader_codec(plan->reader)
                                     : ROWS_CODEC_DEFLATE;
}

/* ---- the model ----------------------------------------------------------------------
 */

/* Is the first dimension the batch: free, or 1? */
static enum status check_port(const struct model_port *port, const char *kind,
                              int *rows_max, struct error *err) {
    char shape[TENSOR_SHAPE_TEXT_MAX];
    if (port->type.dtype >= DTYPE_PLAIN_COUNT) {
        return error_set(err, STATUS_UNSUPPORTED, "%s '%s' is of %s, which no row holds",
                         kind, port->name, dtype_name(port->type.dtype));
    }
    if (port->type.rank >= 1 && port->type.dims[0] == 1) {
        *rows_max = 1;
    } else if (port->type.rank < 1 || port->type.dims[0] >= 0) {
        return error_set(
            err, STATUS_UNSUPPORTED,
            "%s '%s' has the shape %s; its first dimension must be free (the batch) or 1",
            kind, port->name,
            tensor_shape_text(port->type.dims, port->type.rank, shape, sizeof(shape)));
    }
    return STATUS_OK;
}

static enum status open_model(struct score_plan *plan, struct error *err) {
    struct batch_model *model = &plan->batch_model;
    const struct model_options how = model_options_of(&plan->opts->how);
    enum status status = model_open_with(plan->opts->model, &how, &plan->model, err);
    if (status != STATUS_OK) {
        return status;
    }
    *model = (struct batch_model){.model = plan->model,
                                  .name = plan->opts->model,
                                  .version = "",
                                  .rows_max = (int)plan->opts->batch,
                                  .output_count = model_output_count(plan->model)};
    for (int i = 0; i < model_input_count(plan->model) && status == STATUS_OK; i++) {
        status = check_port(model_input(plan->model, i), "input", &model->rows_max, err);
    }
    for (int i = 0; i < model->output_count && status == STATUS_OK; i++) {
        const struct model_port *port = model_output(plan->model, i);
        struct record_output *to = &plan->outputs[i];
        int unused;
        model->outputs[i] = i;
        status = check_port(port, "output", &unused, err);
        *to = (struct record_output){
            .name = port->name, .dtype = port->type.dtype, .rank = port->type.rank - 1};
        if (status == STATUS_OK) {
            memcpy(to->dims, &port->type.dims[1], sizeof(to->dims[0]) * (size_t)to->rank);
        }
    }
    if (status == STATUS_OK && model_input_count(plan->model) == 0) {
        status = error_set(err, STATUS_UNSUPPORTED, "the model has no inputs");
    }
    return status == STATUS_OK ? status : error_prefix(err, "%s", plan->opts->model);
}

/* ---- in and out ---------------------------------------------------------------------
 */

static enum status open_input(struct score_plan *plan, struct error *err) {
    const struct score_opts *opts = plan->opts;
    struct rows_reader_opts reader = {
        .path = opts->input, .format = plan->from, .no_header = opts->no_header};
    struct row_mapping_opts mapping = {
        .model = plan->model,
        .maps = &opts->maps,
        .ignored = &opts->ignored,
        .types = &opts->types,
        .missing_refused = opts->missing_refused,
        .needed_only = plan->raw || opts->only_predictions,
    };
    enum status status = rows_delimiter_choose(opts->delimiter, &reader.delimiter, err);
    if (status == STATUS_OK) {
        status = rows_reader_open(&reader, &plan->reader, err);
    }
    mapping.reader = plan->reader;
    if (status == STATUS_OK && opts->mapping != NULL) {
        return score_recipe_apply(plan, err);
    }
    return status == STATUS_OK ? row_mapping_create(&mapping, &plan->mapping, err)
                               : status;
}

/* A file of .npy holds one output alone. */
static enum status check_npy(struct score_plan *plan, struct tensor *row,
                             struct error *err) {
    const struct record_field *field = &plan->fields[0];
    int index = model_output_find(plan->model, span_text(field->output));
    const struct record_output *output = &plan->outputs[index];
    char shape[TENSOR_SHAPE_TEXT_MAX];
    size_t count;
    if (plan->field_count != 1) {
        return error_set(err, STATUS_INVALID,
                         "--predict OUTPUT is needed: a .npy file holds one output, the "
                         "model has %d",
                         plan->field_count);
    }
    *row = (struct tensor){.dtype = output->dtype, .rank = output->rank};
    memcpy(row->dims, output->dims, sizeof(row->dims));
    if (field->form == RECORD_ELEMENT || field->form == RECORD_SCORE) {
        row->rank = 0;
    } else if (field->form == RECORD_LABEL) {
        *row = (struct tensor){.dtype = DTYPE_I64};
    } else if (field->form == RECORD_TOP) {
        return error_set(err, STATUS_INVALID, "a .npy file cannot hold a topN");
    }
    if (!tensor_dims_count(row->dims, row->rank, &count)) {
        return error_set(err, STATUS_UNSUPPORTED,
                         "output '%s' has the shape %s a row, which may differ from row "
                         "to row: a .npy file cannot hold it",
                         output->name,
                         tensor_shape_text(row->dims, row->rank, shape, sizeof(shape)));
    }
    row->dtype = row->dtype == DTYPE_BF16 ? DTYPE_F32 : row->dtype;
    return STATUS_OK;
}

static enum status open_output(struct score_plan *plan, struct error *err) {
    const struct score_opts *opts = plan->opts;
    bool alone = plan->raw || opts->only_predictions || plan->to == ROWS_NPY;
    const struct record_out_opts out = {
        .writer = alone ? NULL : rows_reader_schema(plan->reader),
        .name = plan->from == ROWS_AVRO ? NULL : "Scored",
        .fields = plan->fields,
        .field_count = plan->field_count,
        .outputs = plan->outputs,
        .output_count = model_output_count(plan->model)};
    struct rows_writer_opts writer = {
        .format = plan->to,
        .codec = plan->codec,
        .delimiter = plan->to == plan->from ? rows_reader_delimiter(plan->reader) : ',',
        .raw = plan->raw,
        .header = rows_reader_header(plan->reader),
        .no_header = plan->no_header,
        .sync = plan->sync};
    enum status status = STATUS_OK;
    if (plan->to == ROWS_NPY && opts->mapping != NULL) {
        return error_set(err, STATUS_INVALID, "--mapping: a .npy file holds no records");
    }
    if (plan->to == ROWS_NPY) {
        status = check_npy(plan, &writer.row, err);
    }
    if (status == STATUS_OK && plan->out == NULL) {
        status = record_out_create(&out, &plan->out, err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (!alone && opts->mapping == NULL) {
        writer.columns = rows_reader_columns(plan->reader, &writer.column_count);
    }
    writer.schema = record_out_schema(plan->out);
    writer.json = record_out_json(plan->out);
    return rows_writer_create(&writer, &plan->writer, err);
}

/* What stands between an Avro container's blocks: random, so that no record holds it. */
static enum status make_sync(struct score_plan *plan, struct error *err) {
    int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    bool done = fd >= 0 && read(fd, plan->sync, ROWS_SYNC_SIZE) == ROWS_SYNC_SIZE;
    if (fd >= 0) {
        (void)close(fd); /* was only read from */
    }
    return done ? STATUS_OK
                : error_set(err, STATUS_FATAL, "/dev/urandom: %s", strerror(errno));
}

enum status score_plan_create(const struct score_opts *opts, struct score_plan *plan,
                              struct error *err) {
    enum status status;
    *plan = (struct score_plan){.opts = opts};
    status = choose_formats(plan, err);
    if (status == STATUS_OK) {
        status = open_model(plan, err);
    }
    if (status == STATUS_OK) {
        status = open_input(plan, err);
    }
    if (status == STATUS_OK) {
        plan->codec = choose_codec(plan);
    }
    if (status == STATUS_OK && opts->mapping == NULL) {
        status = score_fields_choose(plan, err);
    }
    if (status == STATUS_OK) {
        status = open_output(plan, err);
    }
    return status == STATUS_OK ? make_sync(plan, err) : status;
}

void score_plan_release(struct score_plan *plan) {
    rows_writer_destroy(plan->writer);
    record_out_destroy(plan->out);
    for (int i = 0; i < plan->field_count; i++) {
        free(plan->names[i]);
    }
    row_mapping_release(&plan->mapping);
    recipe_destroy(plan->recipe);
    config_free(plan->config);
    rows_reader_close(plan->reader);
    if (plan->model != NULL) {
        model_close(plan->model);
    }
    *plan = (struct score_plan){.opts = NULL};
}
