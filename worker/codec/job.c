/* job.c - see job.h: the message as a whole; its elements are in job_fill.c. */
#include "codec/job.h"

#include <assert.h>

#include "base/size.h"
#include "base/text.h"
#include "codec/reader.h"
#include "codec/schema.h"
#include "codec/tensors.h"
#include "codec/writer.h"

/* ---- reading --------------------------------------------------------------------- */

static bool read_id(struct reader *r, struct job *job) {
    return reader_text(r, 1, JOB_ID_SIZE_MAX, &job->id);
}

static bool read_model(struct reader *r, struct job *job) {
    return reader_text(r, 0, JOB_MODEL_SIZE_MAX, &job->model);
}

static bool read_version(struct reader *r, struct job *job) {
    return tensors_read_optional(r, JOB_VERSION_SIZE_MAX, &job->version);
}

static bool read_deadline(struct reader *r, struct job *job) {
    int branch = 0;
    job->deadline_ms = 0;
    if (!reader_branch(r, 2, &branch)) {
        return false;
    }
    job->has_deadline = branch == 1;
    return branch == 0 || reader_long(r, &job->deadline_ms);
}

static bool read_headers(struct reader *r, struct job *job) {
    struct span priority;
    job->priority = 0;
    if (!tensors_read_headers(r, &job->headers, JOB_PRIORITY_HEADER, &priority)) {
        return false;
    }
    if (!text_parse_int_bytes(priority.data, priority.size, &job->priority)) {
        job->priority = 0; /* none, or no number: their header is not ours to refuse */
    }
    return true;
}

static bool read_inputs(struct reader *r, struct job *job) {
    const uint8_t *at = r->at;
    if (!tensors_read(r, "inputs", job->inputs, &job->input_count)) {
        return false;
    }
    return job->input_count > 0 || reader_fail(r, at, "a job without inputs");
}

/* The fields of an InferenceJob, in the schema's order. */
struct step {
    const char *field;
    bool (*read)(struct reader *r, struct job *job);
};

static const struct step steps[] = {
    {"id", read_id},           {"model", read_model},
    {"version", read_version}, {"deadline_ms", read_deadline},
    {"headers", read_headers}, {"inputs", read_inputs},
};

/* What precedes the record: nothing, or the header of single-object encoding. */
static bool read_framing(struct reader *r) {
    const uint8_t *at = r->at;
    uint64_t fingerprint;
    if (r->at == r->end) {
        return reader_fail(r, at, "an empty message");
    }
    if (*at == 0x00) { /* as a bare job it would have an empty id */
        return reader_fail(r, at,
                           "Confluent wire format needs a schema registry; send bare "
                           "Avro or single-object encoding");
    }
    if (*at == '{') { /* as a bare job it would have an id of negative length */
        return reader_fail(r, at,
                           "this looks like JSON; a job is bare Avro, see "
                           "millrace schema job");
    }
    if (reader_left(r) < 2 || at[0] != SCHEMA_MARK_0 || at[1] != SCHEMA_MARK_1) {
        return true;
    }
    if (reader_left(r) < SCHEMA_FRAME_SIZE) {
        return reader_fail(r, at, "the message ends within its schema's fingerprint");
    }
    memcpy(&fingerprint, at + 2, sizeof(fingerprint));
    if (fingerprint != SCHEMA_JOB_FINGERPRINT) {
        return reader_fail(
            r, at, "written with schema %016llx, but InferenceJob is %016llx",
            (unsigned long long)fingerprint, (unsigned long long)SCHEMA_JOB_FINGERPRINT);
    }
    r->at += SCHEMA_FRAME_SIZE;
    return true;
}

enum status job_parse(struct span message, struct job *job, struct error *err) {
    struct reader r;
    reader_init(&r, message, err);
    if (!read_framing(&r)) {
        return STATUS_POISON;
    }
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
        r.field = steps[i].field;
        if (!steps[i].read(&r, job)) {
            return STATUS_POISON;
        }
    }
    if (r.at != r.end) {
        r.field = NULL;
        reader_report(&r, r.at, "%zu bytes behind the job", reader_left(&r));
        return STATUS_POISON;
    }
    return STATUS_OK;
}

/* ---- writing --------------------------------------------------------------------- */

/* Null version, null deadline, empty headers and the end of the inputs. */
#define JOB_FIXED_SIZE 4

size_t job_size_max(struct span id, struct span model, const struct span *names,
                    const struct tensor *inputs, int input_count) {
    size_t size = JOB_FIXED_SIZE + WRITER_LONG_SIZE_MAX;
    size += writer_bytes_size_max(id) + writer_bytes_size_max(model);
    for (int i = 0; i < input_count; i++) {
        size += tensors_size_max(names[i], &inputs[i]);
    }
    return size;
}

static enum status check_limits(struct span id, struct span model, int input_count,
                                struct error *err) {
    if (id.size < 1 || id.size > JOB_ID_SIZE_MAX) {
        return error_set(err, STATUS_INVALID, "a job's id has 1 to %d bytes, not %zu",
                         JOB_ID_SIZE_MAX, id.size);
    }
    if (model.size > JOB_MODEL_SIZE_MAX) {
        return error_set(err, STATUS_INVALID,
                         "a model's name has at most %d bytes, not %zu",
                         JOB_MODEL_SIZE_MAX, model.size);
    }
    if (input_count < 1 || input_count > JOB_INPUTS_MAX) {
        return error_set(err, STATUS_INVALID, "a job has 1 to %d inputs, not %d",
                         JOB_INPUTS_MAX, input_count);
    }
    return STATUS_OK;
}

enum status job_encode(struct span id, struct span model, const struct span *names,
                       const struct tensor *inputs, int input_count, uint8_t *to,
                       size_t room, size_t *size, struct error *err) {
    uint8_t *at = to;
    enum status status = check_limits(id, model, input_count, err);
    size_t size_max;
    if (status != STATUS_OK) {
        return status;
    }
    size_max = job_size_max(id, model, names, inputs, input_count);
    if (size_max > room) {
        return error_set(err, STATUS_INVALID, "a job of up to %zu bytes, room for %zu",
                         size_max, room);
    }
    at = writer_bytes(at, id);
    at = writer_bytes(at, model);
    *at++ = 0; /* version: null */
    *at++ = 0; /* deadline_ms: null */
    *at++ = 0; /* headers: an empty map */
    at = writer_size(at, (size_t)input_count);
    for (int i = 0; i < input_count; i++) {
        at = tensors_write(at, names[i], &inputs[i]);
    }
    *at++ = 0; /* end of the inputs */
    *size = (size_t)(at - to);
    assert(*size <= size_max);
    return STATUS_OK;
}
