/* mapping.c - see mapping.h. */
#include "codec/mapping.h"

#include <assert.h>

#include "base/size.h"
#include "codec/avro_path.h"
#include "codec/plan_compile.h"

#define PLACE_SIZE_MAX 48 /* bytes */

struct input {
    enum mapping_use use;
    char *name; /* owned */
    enum dtype dtype;
    size_t size; /* bytes of an element */
    int rank;
    int64_t dims[TENSOR_RANK_MAX];
    int free;        /* the free dimension, or -1 */
    size_t elements; /* of a row; with a free dimension, of one step along that */
    size_t room;     /* elements that its staged row has room for */
    int want;        /* the list that has any length, or -1 */
    size_t width;    /* elements of one of its values */
};

struct mapping {
    struct plan *plan;
    struct job blank; /* what all jobs have in common; dims and data are a record's own */
    int input_count, model_count; /* of these, the model's: the first */
    struct input inputs[JOB_INPUTS_MAX];
    int want_count;
};

struct mapping_rows {
    uint8_t *rows[JOB_INPUTS_MAX]; /* owned */
    uint32_t *values;              /* owned; by want */
    struct plan_out out;           /* these, and the tensors of the job at hand */
};

/* What making a mapping needs besides. */
struct builder {
    const struct avro_node *root; /* that paths lead through */
    struct plan_want wants[PLAN_WANTS_MAX];
    char places[PLAN_WANTS_MAX][128];
    struct error *err;
};

/* ---- sources ------------------------------------------------------------------------
 */

/* What one source gives. */
struct share {
    size_t width;  /* elements of a value */
    size_t values; /* 0: a list of a length that is not known yet */
};

/* A long path is cut at its front: the line is behind it. */
static const char *say_place(struct builder *b, int want, const struct mapping_input *in,
                             int source) {
    const char *place =
        in->sources[source].place == NULL ? "" : in->sources[source].place;
    size_t size = strlen(place);
    bool cut = size > PLACE_SIZE_MAX;
    (void)snprintf(b->places[want], sizeof(b->places[want]),
                   "input '%.40s', source %d%s%s%s%s", in->name, source + 1,
                   size == 0 ? "" : " (", cut ? "..." : "",
                   cut ? place + size - PLACE_SIZE_MAX : place, size == 0 ? "" : ")");
    return b->places[want];
}

static enum status fail_at(struct builder *b, const char *place) {
    return error_prefix(b->err, "%s", place);
}

/* The changes with the field's type; sets the share of a single value. */
static enum status check_changes(struct builder *b, const struct mapping_source *source,
                                 enum value_kind kind, enum avro_logical logical,
                                 enum dtype dtype, struct share *share) {
    struct change changes[CHANGES_MAX];
    if (source->change_count > CHANGES_MAX) {
        return error_set(b->err, STATUS_INVALID, "more than %d changes", CHANGES_MAX);
    }
    for (int i = 0; i < source->change_count; i++) {
        changes[i] = source->changes[i];
    }
    return changes_check(changes, source->change_count, kind, logical, dtype,
                         &share->width, b->err);
}

/* Whole numbers, and of the times only the one that is in the deadline's own unit. */
static enum status check_own(struct builder *b, const struct mapping_input *in,
                             const struct avro_path_end *end) {
    bool deadline = in->use == MAPPING_DEADLINE;
    enum avro_logical logical = end->type->logical;
    if (end->lists == 0 &&
        (end->type->kind == AVRO_KIND_INT || end->type->kind == AVRO_KIND_LONG) &&
        (logical == AVRO_LOGICAL_NONE ||
         (deadline && logical == AVRO_LOGICAL_TIMESTAMP_MILLIS))) {
        return STATUS_OK;
    }
    return error_set(b->err, STATUS_INVALID, "must be %s, not %s%s%s",
                     deadline ? "a timestamp-millis, or a long of milliseconds since 1970"
                              : "an int or a long",
                     end->lists > 0 ? "a list of " : "", avro_kind_name(end->type->kind),
                     logical == AVRO_LOGICAL_NONE ? "" : " of another logical type");
}

static enum status look_at(struct builder *b, const struct mapping_input *in,
                           const struct mapping_source *source, struct share *share) {
    enum dtype dtype = in->dtype;
    struct avro_path_end end;
    *share = (struct share){1, 1};
    if (source->path == NULL) {
        if (!source->has_value) {
            return error_set(b->err, STATUS_INVALID, "neither a field nor a value");
        }
        share->values = source->count > 0 ? source->count : 1;
        return check_changes(b, source, source->value.kind, AVRO_LOGICAL_NONE, dtype,
                             share);
    }
    if (avro_path_find(b->root, source->path, &end, b->err) != STATUS_OK) {
        return error_prefix(b->err, "field '%.100s'", source->path);
    }
    if (in->use != MAPPING_MODEL && check_own(b, in, &end) != STATUS_OK) {
        return error_prefix(b->err, "field '%.100s'", source->path);
    }
    if (plan_raw(end.type, dtype, source->change_count)) {
        share->values = source->count;
        return STATUS_OK;
    }
    if (end.lists > 0) {
        share->values = source->count;
    } else if (source->count > 1) {
        return error_set(b->err, STATUS_INVALID,
                         "field '%.100s' is one value, not a list of %zu", source->path,
                         source->count);
    }
    if (check_changes(b, source, plan_value_kind(end.type), end.type->logical, dtype,
                      share) != STATUS_OK) {
        return error_prefix(b->err, "field '%.100s'", source->path);
    }
    return STATUS_OK;
}

/* ---- inputs -------------------------------------------------------------------------
 */

static enum status measure(const struct mapping_input *in, struct input *input,
                           struct error *err) {
    int64_t dims[TENSOR_RANK_MAX];
    input->free = -1;
    for (int i = 0; i < in->rank; i++) {
        dims[i] = in->dims[i] < 0 ? 1 : in->dims[i];
        if (in->dims[i] < 0 && input->free >= 0) {
            return error_set(err, STATUS_UNSUPPORTED,
                             "input '%s' has more than one free dimension", in->name);
        }
        input->free = in->dims[i] < 0 ? i : input->free;
    }
    if (!tensor_dims_count(dims, in->rank, &input->elements)) {
        return error_set(err, STATUS_UNSUPPORTED, "input '%s' is too large", in->name);
    }
    return STATUS_OK;
}

/* One list may have any length: what is left of the row; or of any row, where a dimension
 * is free and the list is alone. */
static enum status share_out(struct builder *b, const struct mapping_input *in,
                             struct input *input, struct share *shares) {
    char shape[TENSOR_SHAPE_TEXT_MAX];
    size_t sum = 0;
    int open = -1;
    for (int i = 0; i < in->source_count; i++) {
        if (shares[i].values == 0 && open >= 0) {
            return error_set(b->err, STATUS_INVALID,
                             "input '%s': sources %d and %d are lists; give the count of "
                             "one",
                             in->name, open + 1, i + 1);
        }
        open = shares[i].values == 0 ? i : open;
        sum += shares[i].width * shares[i].values;
    }
    if (input->free >= 0) {
        if (open >= 0 && in->source_count > 1) {
            return error_set(b->err, STATUS_INVALID,
                             "input '%s': a list beside other sources needs a count, as "
                             "the input has a free dimension",
                             in->name);
        }
        input->want = open;
        input->width = open >= 0 ? shares[open].width : 1;
        input->room = open >= 0 ? PLAN_VALUES_MAX * shares[0].width : sum;
        return STATUS_OK;
    }
    if (open >= 0 && sum < input->elements &&
        (input->elements - sum) % shares[open].width == 0) {
        shares[open].values = (input->elements - sum) / shares[open].width;
        sum = input->elements;
    }
    if (sum != input->elements) {
        return error_set(b->err, STATUS_INVALID,
                         "input '%s': its sources give %zu elements, but the model takes "
                         "%zu, %s a row",
                         in->name, sum, input->elements,
                         tensor_shape_text(in->dims, in->rank, shape, sizeof(shape)));
    }
    input->room = input->elements;
    return STATUS_OK;
}

static void set_wants(struct builder *b, struct mapping *m,
                      const struct mapping_input *in, int index,
                      const struct share *shares) {
    size_t offset = 0;
    for (int i = 0; i < in->source_count; i++) {
        const struct mapping_source *source = &in->sources[i];
        bool any = shares[i].values == 0;
        b->wants[m->want_count + i] =
            (struct plan_want){.place = b->places[m->want_count + i],
                               .path = source->path,
                               .dtype = in->dtype,
                               .tensor = index,
                               .offset = offset,
                               .values_min = shares[i].values,
                               .values_max = any ? PLAN_VALUES_MAX : shares[i].values,
                               .whole = in->source_count == 1,
                               .has_fallback = source->has_value,
                               .fallback = source->value,
                               .changes = source->changes,
                               .change_count = source->change_count};
        offset += shares[i].width * shares[i].values;
    }
    m->want_count += in->source_count;
}

static enum status add_input(struct builder *b, struct mapping *m,
                             const struct mapping_input *in, int index) {
    struct input *input = &m->inputs[index];
    struct share *shares = NULL;
    enum status status;
    input->want = -1;
    input->use = in->use;
    input->dtype = in->dtype;
    input->rank = in->rank;
    memcpy(input->dims, in->dims, sizeof(input->dims));
    input->size = dtype_size(in->dtype);
    input->name = strdup(in->name);
    shares = calloc((size_t)in->source_count + 1, sizeof(*shares));
    if (input->name == NULL || shares == NULL) {
        free(shares);
        return error_set(b->err, STATUS_NO_MEMORY, "no memory for a mapping");
    }
    status = measure(in, input, b->err);
    if (status == STATUS_OK && in->source_count == 0) {
        status = error_set(b->err, STATUS_INVALID, "input '%s' has no source", in->name);
    }
    if (status == STATUS_OK && in->source_count > PLAN_WANTS_MAX - m->want_count) {
        status =
            error_set(b->err, STATUS_UNSUPPORTED, "more than %d sources", PLAN_WANTS_MAX);
    }
    for (int i = 0; i < in->source_count && status == STATUS_OK; i++) {
        const char *place = say_place(b, m->want_count + i, in, i);
        if (look_at(b, in, &in->sources[i], &shares[i]) != STATUS_OK) {
            status = fail_at(b, place);
        }
    }
    if (status == STATUS_OK) {
        status = share_out(b, in, input, shares);
    }
    if (status == STATUS_OK) {
        input->want = input->want < 0 ? -1 : m->want_count + input->want;
        set_wants(b, m, in, index, shares);
    }
    free(shares);
    return status;
}

/* A record has no id and no model, and the shapes are the model's own but for the free
 * dimension. */
static void set_blank(struct mapping *m) {
    m->blank = (struct job){.id = span_of("", 0),
                            .model = span_of("", 0),
                            .headers = span_of("", 0),
                            .input_count = m->model_count};
    for (int i = 0; i < m->model_count; i++) {
        const struct input *input = &m->inputs[i];
        m->blank.inputs[i].name = span_text(input->name);
        m->blank.inputs[i].dtype = input->dtype;
        m->blank.inputs[i].rank = input->free < 0 ? 0 : input->rank;
    }
}

/* ---- life ---------------------------------------------------------------------------
 */

enum status mapping_create(const struct avro_node *writer, const struct avro_node *reader,
                           const struct mapping_input *inputs, int input_count,
                           struct mapping **out, struct error *err) {
    struct mapping *mapping = calloc(1, sizeof(*mapping));
    struct builder *b = calloc(1, sizeof(*b));
    enum status status = STATUS_OK;
    *out = NULL;
    if (mapping == NULL || b == NULL) {
        status = error_set(err, STATUS_NO_MEMORY, "no memory for a mapping");
        goto done;
    }
    if (input_count > JOB_INPUTS_MAX) {
        status = error_set(err, STATUS_UNSUPPORTED, "%d inputs, over the limit of %d",
                           input_count, JOB_INPUTS_MAX);
        goto done;
    }
    b->root = reader == NULL ? writer : reader;
    b->err = err;
    mapping->input_count = input_count;
    for (int i = 0; i < input_count && status == STATUS_OK; i++) {
        mapping->model_count += inputs[i].use == MAPPING_MODEL;
        status = add_input(b, mapping, &inputs[i], i);
    }
    if (status == STATUS_OK) {
        set_blank(mapping);
        status = plan_create(writer, reader, b->wants, mapping->want_count,
                             &mapping->plan, err);
    }
done:
    free(b);
    if (status != STATUS_OK) {
        mapping_destroy(mapping);
        mapping = NULL;
    }
    *out = mapping;
    return status;
}

void mapping_destroy(struct mapping *mapping) {
    if (mapping == NULL) {
        return;
    }
    plan_destroy(mapping->plan);
    for (int i = 0; i < mapping->input_count; i++) {
        free(mapping->inputs[i].name);
    }
    free(mapping);
}

struct mapping_rows *mapping_rows_create(const struct mapping *mapping) {
    struct mapping_rows *rows = calloc(1, sizeof(*rows));
    if (rows == NULL) {
        return NULL;
    }
    rows->values = calloc((size_t)mapping->want_count + 1, sizeof(*rows->values));
    for (int i = 0; i < mapping->input_count && rows->values != NULL; i++) {
        const struct input *input = &mapping->inputs[i];
        rows->rows[i] = calloc(input->room + 1, dtype_size(input->dtype));
        if (rows->rows[i] == NULL) {
            mapping_rows_destroy(rows);
            return NULL;
        }
    }
    if (rows->values == NULL) {
        mapping_rows_destroy(rows);
        return NULL;
    }
    rows->out = (struct plan_out){.rows = rows->rows, .values = rows->values};
    return rows;
}

void mapping_rows_destroy(struct mapping_rows *rows) {
    if (rows == NULL) {
        return;
    }
    for (int i = 0; i < JOB_INPUTS_MAX; i++) {
        free(rows->rows[i]);
    }
    free(rows->values);
    free(rows);
}

/* ---- records ------------------------------------------------------------------------
 */

/* The free dimension is what the number of elements makes it. */
NEVER_INLINE static enum status set_free(const struct input *input, struct job_tensor *x,
                                         struct error *err) {
    size_t count = x->count / (x->kind == JOB_DATA_BYTES ? input->size : 1);
    if (input->elements == 0 || count % input->elements != 0) {
        return error_set(err, STATUS_POISON,
                         "input '%s': %zu elements do not fill rows of %zu", input->name,
                         count, input->elements);
    }
    memcpy(x->dims, input->dims, sizeof(x->dims));
    x->dims[input->free] = (int64_t)(count / input->elements);
    return STATUS_OK;
}

static inline void set_own(const struct mapping *mapping, struct mapping_rows *rows,
                           struct job *job) {
    for (int i = mapping->model_count; i < mapping->input_count; i++) {
        const int64_t *value = (const int64_t *)(const void *)rows->rows[i];
        if (mapping->inputs[i].use == MAPPING_PRIORITY) {
            job->priority = *value;
        } else {
            job->has_deadline = *value != MAPPING_NONE;
            job->deadline_ms = *value;
        }
    }
}

static inline enum status set_inputs(const struct mapping *mapping,
                                     struct mapping_rows *rows, struct job *job,
                                     struct error *err) {
    memcpy(job, &mapping->blank, offsetof(struct job, inputs));
    set_own(mapping, rows, job);
    for (int i = 0; i < mapping->model_count; i++) {
        const struct input *input = &mapping->inputs[i];
        struct job_tensor *x = &job->inputs[i];
        memcpy(x, &mapping->blank.inputs[i], offsetof(struct job_tensor, dims));
        if (x->kind == JOB_DATA_STAGED) {
            x->count =
                input->want < 0 ? input->room : rows->values[input->want] * input->width;
            x->contiguous = true;
            x->data = span_of(rows->rows[i], x->count * input->size);
        }
        if (UNLIKELY(input->free >= 0) && set_free(input, x, err) != STATUS_OK) {
            return err->status;
        }
    }
    return STATUS_OK;
}

enum status mapping_parse(const struct mapping *mapping, struct mapping_rows *rows,
                          struct span message, struct job *job, struct error *err) {
    enum status status;
    rows->out.tensors = job->inputs;
    status = plan_run(mapping->plan, message, &rows->out, err);
    return status != STATUS_OK ? status : set_inputs(mapping, rows, job, err);
}

enum status mapping_parse_next(const struct mapping *mapping, struct mapping_rows *rows,
                               struct span message, struct job *job, size_t *size,
                               struct error *err) {
    enum status status;
    rows->out.tensors = job->inputs;
    status = plan_run_next(mapping->plan, message, &rows->out, size, err);
    return status != STATUS_OK ? status : set_inputs(mapping, rows, job, err);
}
