/* submit_message.c - a row of a file as a job or record; see submit_sender.h. */
#include "base/size.h"
#include "tools/submit_sender.h"

static enum status send_message(struct sender *s, struct span id) {
    bool keyed = s->options->as[0] == 'r' || s->options->key[0] == 'i';
    return kafka_writer_send(s->writer, keyed ? id : span_of(NULL, 0),
                             span_of(s->message.data, s->message.size), s->err);
}

static enum status send_record(struct sender *s, struct span id, struct span record) {
    if (rows_buffer_reserve(&s->message, record.size + FRAMING_SIZE_MAX, s->err) !=
        STATUS_OK) {
        return s->err->status;
    }
    s->message.size =
        (size_t)(framing_write(s->message.data, &s->framing) - s->message.data);
    return rows_buffer_add(&s->message, record.data, record.size, s->err) == STATUS_OK
               ? send_message(s, id)
               : s->err->status;
}

/* One input's elements, as the model has them. */
static enum status fill(struct sender *s, int input, struct tensor *x) {
    const struct tensor *type = &model_input(s->model, input)->type;
    size_t count;
    int unused;
    *x = (struct tensor){.dtype = type->dtype, .rank = type->rank - 1};
    if (job_shape_check(&s->job.inputs[input], &type->dims[1], x->rank, x->dims, &unused,
                        s->err) != STATUS_OK) {
        return s->err->status;
    }
    if (!tensor_dims_count(x->dims, x->rank, &count)) {
        return error_set(s->err, STATUS_POISON, "the row is too large");
    }
    s->tensors[input].size = 0;
    if (rows_buffer_reserve(&s->tensors[input], size_max(tensor_size(x), 1), s->err) !=
        STATUS_OK) {
        return s->err->status;
    }
    x->data = s->tensors[input].data;
    return job_fill(&s->job.inputs[input], x->dtype, count, x->data, s->err);
}

static enum status send_job(struct sender *s, struct span id) {
    struct tensor inputs[JOB_INPUTS_MAX];
    struct span names[JOB_INPUTS_MAX], model = span_text(s->options->model);
    int count = s->job.input_count;
    for (int i = 0; i < count; i++) {
        names[i] = s->job.inputs[i].name;
        if (fill(s, i, &inputs[i]) != STATUS_OK) {
            return s->err->status;
        }
    }
    s->message.size = 0;
    if (rows_buffer_reserve(&s->message, job_size_max(id, model, names, inputs, count),
                            s->err) != STATUS_OK ||
        job_encode(id, model, names, inputs, count, s->message.data, s->message.room,
                   &s->message.size, s->err) != STATUS_OK) {
        return s->err->status;
    }
    return send_message(s, id);
}

/* Parses the row where it becomes a job; an open one is told how long it is. */
static enum status measure(struct sender *s, struct rows_row *row) {
    struct error damage;
    enum status status = STATUS_OK;
    size_t size = row->record.size;
    if (s->model != NULL && !row->open) {
        return mapping_parse(s->mapping.mapping, s->mapping_rows, row->record, &s->job,
                             s->err);
    }
    if (s->model != NULL) {
        status = mapping_parse_next(s->mapping.mapping, s->mapping_rows, row->record,
                                    &s->job, &size, s->err);
    }
    if (row->open && (s->model == NULL || status == STATUS_POISON) &&
        rows_measure(s->reader, row->record, &size, &damage) != STATUS_OK) {
        *s->err = damage;
        return STATUS_INVALID;
    }
    if (row->open) {
        row->record.size = size;
        rows_took(&s->chunk, size);
    }
    return status;
}

enum status submit_row(struct sender *s, struct rows_row *row) {
    char id[JOB_ID_SIZE_MAX + 1];
    size_t size =
        submit_id(s->options->id_prefix, s->options->first + s->row, id, sizeof(id));
    enum status status;
    if (size == 0) {
        return error_set(s->err, STATUS_INVALID, "--id-prefix: ids have %d bytes at most",
                         JOB_ID_SIZE_MAX);
    }
    status = row->bad != NULL ? error_set(s->err, STATUS_POISON, "%.200s", row->bad)
                              : measure(s, row);
    if (status == STATUS_OK) {
        status = s->model == NULL ? send_record(s, span_of(id, size), row->record)
                                  : send_job(s, span_of(id, size));
    }
    s->row++;
    if (status != STATUS_POISON) {
        return status;
    }
    s->bad++;
    return s->options->skip_bad ? STATUS_OK
                                : error_prefix(s->err, "%s: row %lld", s->options->rows,
                                               (long long)s->row);
}
