/* padding.c - see padding.h. */
#include "app/padding.h"

#include <assert.h>
#include <math.h>

#include "base/log.h"
#include "base/size.h"
#include "base/small_float.h"
#include "batch/pad.h"

/* Of values around 1; what another order of summation makes is far below. */
#define DIFFERENCE_MAX 1e-3

/* ---- inputs ---- */

static enum status find_axis(const struct model_port *port, int *axis,
                             struct error *err) {
    char shape[TENSOR_SHAPE_TEXT_MAX];
    *axis = -1;
    for (int i = 1; i < port->type.rank; i++) {
        if (port->type.dims[i] >= 0) {
            continue;
        }
        if (*axis >= 0) {
            return error_set(
                err, STATUS_UNSUPPORTED,
                "pad_to pads one dimension, but input '%s' of shape %s has several that "
                "are free besides the batch: fix them in the model, or do without pad_to",
                port->name,
                tensor_shape_text(port->type.dims, port->type.rank, shape,
                                  sizeof(shape)));
        }
        *axis = i - 1;
    }
    return STATUS_OK;
}

enum status padding_inputs(struct batch_model *item, const struct config_model *config,
                           struct error *err) {
    struct batch_pad *pad = &item->pad;
    int inputs = model_input_count(item->model);
    bool found = false;
    for (int i = 0; i < inputs; i++) {
        enum status status =
            find_axis(model_input(item->model, i), &pad->input_axis[i], err);
        if (status != STATUS_OK) {
            return status;
        }
        found = found || pad->input_axis[i] >= 0;
    }
    if (!found) {
        return error_set(err, STATUS_INVALID,
                         "pad_to is set, but no input has a free dimension besides the "
                         "batch: there is nothing to pad");
    }
    for (size_t i = 0; i < config->pad_length_count; i++) {
        pad->lengths[pad->count++].length = config->pad_lengths[i];
    }
    return STATUS_OK;
}

/* ---- a made-up row ---- */

/* One row of `length` steps, padded to `padded`. */
struct trial {
    struct batch_model model; /* the one that is tried, for batches of one row */
    struct session *session;
    int64_t length, padded;
    bool negative; /* values below zero, with which a model need not run at all */
    struct batch *batch;
    struct tensor alone[MODEL_OUTPUTS_MAX]; /* owned: what the row alone came to */
};

enum made_up { ABOVE_ZERO, BELOW_ZERO, ONES };

/* Values that no model should take for padding, nor masks for a no: those of floats
 * differ from step to step, and integers are in every vocabulary. */
static void make_up(enum dtype dtype, enum made_up kind, void *data, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint32_t varied = (uint32_t)i * UINT32_C(2654435761) >> 16; /* Knuth's hash */
        float some = kind == ONES ? 1 : 0.5f + (float)varied / 65536;
        float value = kind == BELOW_ZERO ? -some : some;
        switch (dtype) {
        case DTYPE_F32:
            ((float *)data)[i] = value;
            break;
        case DTYPE_F64:
            ((double *)data)[i] = (double)value;
            break;
        case DTYPE_F16:
        case DTYPE_BF16:
            ((uint16_t *)data)[i] =
                (uint16_t)small_from_f32(small_float_of(dtype), value, true);
            break;
        case DTYPE_STRING:
            ((struct span *)data)[i] = span_text("a");
            break;
        case DTYPE_I64:
        case DTYPE_U64:
            ((int64_t *)data)[i] = 1;
            break;
        case DTYPE_I32:
        case DTYPE_U32:
            ((int32_t *)data)[i] = 1;
            break;
        case DTYPE_I16:
        case DTYPE_U16:
            ((int16_t *)data)[i] = 1;
            break;
        case DTYPE_I8:
        case DTYPE_U8:
        case DTYPE_BOOL:
            ((int8_t *)data)[i] = 1;
            break;
        case DTYPE_NONE:
        CASE_DTYPE_UNUSUAL:
            break; /* inputs are plain */
        }
    }
}

/* Zeros may be the least of a row, or the largest, so that both signs are tried.  One
 * number a step beside other inputs may be a mask, which is never below zero. */
static enum made_up kind_of(const struct trial *trial, int input) {
    const struct model *model = trial->model.model;
    bool mask = model_input_count(model) > 1 && model_input(model, input)->type.rank == 2;
    return !trial->negative ? ABOVE_ZERO : mask ? ONES : BELOW_ZERO;
}

/* Shapes trial->batch for one row padded to `padded`, and makes the row up. */
static enum status make_row(struct trial *trial, int64_t padded, struct error *err) {
    const struct batch_model *model = &trial->model;
    struct row_shape shapes[MODEL_INPUTS_MAX];
    int inputs = model_input_count(model->model);
    enum status status;
    pad_own_shapes(model, padded, shapes);
    status = batch_shape(trial->batch, shapes, -1, err);
    for (int i = 0; i < inputs && status == STATUS_OK; i++) {
        struct tensor *x = &trial->batch->inputs[i];
        int axis = model->pad.input_axis[i];
        enum made_up kind = kind_of(trial, i);
        size_t count;
        x->dims[0] = 1;
        count = tensor_count(x);
        if (axis < 0) {
            make_up(x->dtype, kind, x->data, count);
            continue;
        }
        make_up(x->dtype, kind, x->data, count / (size_t)padded * (size_t)trial->length);
        pad_spread(x->data, pad_layout(x->dtype, &x->dims[1], x->rank - 1, axis),
                   trial->length, padded);
    }
    return status;
}

static enum status run_row(struct trial *trial, int64_t padded, struct error *err) {
    enum status status = make_row(trial, padded, err);
    if (status == STATUS_OK) {
        status = session_prepare(trial->session, trial->batch->inputs, err);
    }
    if (status == STATUS_OK) {
        status = session_run(trial->session, trial->batch->inputs, err);
    }
    return status == STATUS_OK
               ? STATUS_OK
               : error_prefix(err, "a made-up row of length %lld, padded to %lld",
                              (long long)trial->length, (long long)padded);
}

static enum status keep(struct tensor *kept, const struct tensor *y, struct error *err) {
    size_t size = tensor_size(y);
    *kept = *y;
    kept->data = malloc(size_max(size, 1));
    if (kept->data == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for %zu bytes of an output",
                         size);
    }
    if (size > 0) {
        memcpy(kept->data, y->data, size);
    }
    return STATUS_OK;
}

/* ---- outputs ---- */

/* The dimension of a row in which the two differ, which is the length; -1: none. */
static enum status find_length(const struct trial *trial, const char *name,
                               const struct tensor *alone, const struct tensor *padded,
                               int *axis, struct error *err) {
    char shapes[2][TENSOR_SHAPE_TEXT_MAX];
    int found = 0;
    *axis = -1;
    for (int i = 0; i < alone->rank && alone->rank == padded->rank; i++) {
        if (alone->dims[i] != padded->dims[i]) {
            found++;
            *axis = i - 1;
        }
    }
    if (alone->rank == padded->rank &&
        (found == 0 ||
         (found == 1 && *axis >= 0 && alone->dims[*axis + 1] == trial->length &&
          padded->dims[*axis + 1] == trial->padded))) {
        return STATUS_OK;
    }
    return error_set(
        err, STATUS_UNSUPPORTED,
        "output '%s' has the shape %s for a row of length %lld and %s padded to %lld, "
        "which cannot be cut back: choose other `outputs`, or do without pad_to",
        name, tensor_shape_text(alone->dims, alone->rank, shapes[0], sizeof(shapes[0])),
        (long long)trial->length,
        tensor_shape_text(padded->dims, padded->rank, shapes[1], sizeof(shapes[1])),
        (long long)trial->padded);
}

static double distance(double a, double b) {
    double d = fabs(a - b) / fmax(1, fabs(a));
    return a == b || (isnan(a) && isnan(b)) ? 0 : isnan(d) ? HUGE_VAL : d;
}

/* Of 16-bit floats, a few of their last places are rounding. */
#define SMALL_PLACES 4

static double small_distance(enum dtype dtype, const void *a, const void *b, size_t i) {
    const struct small_float *format = small_float_of(dtype);
    double d = distance((double)small_to_f32(format, ((const uint16_t *)a)[i]),
                        (double)small_to_f32(format, ((const uint16_t *)b)[i]));
    return d <= ldexp(SMALL_PLACES, -format->mantissa_bits) ? 0 : d;
}

/* Floats by how far they are apart; labels and indexes are the same or are not; texts
 * are not compared. */
static double difference_at(enum dtype dtype, const void *a, const void *b, size_t i) {
    size_t size = dtype_size(dtype), at = i * size;
    if (dtype == DTYPE_F32) {
        return distance((double)((const float *)a)[i], (double)((const float *)b)[i]);
    }
    if (dtype == DTYPE_F64) {
        return distance(((const double *)a)[i], ((const double *)b)[i]);
    }
    if (dtype == DTYPE_F16 || dtype == DTYPE_BF16) {
        return small_distance(dtype, a, b, i);
    }
    return dtype == DTYPE_STRING ||
                   memcmp((const uint8_t *)a + at, (const uint8_t *)b + at, size) == 0
               ? 0
               : 1;
}

static double difference_of(enum dtype dtype, const void *a, const void *b,
                            size_t count) {
    double most = 0;
    for (size_t i = 0; i < count; i++) {
        most = fmax(most, difference_at(dtype, a, b, i));
    }
    return most;
}

/* The largest difference of the two, relative where values are over 1. */
static double difference(const struct tensor *alone, const struct tensor *padded,
                         int axis, const struct trial *trial) {
    struct pad_layout layout = {.count = 1};
    size_t piece = tensor_size(alone), step = 0; /* one piece, the whole row */
    double most = 0;
    if (axis >= 0) {
        layout = pad_layout(alone->dtype, &alone->dims[1], alone->rank - 1, axis);
        piece = layout.size * (size_t)trial->length;
        step = layout.size * (size_t)trial->padded;
    }
    for (size_t i = 0; i < layout.count; i++) {
        most = fmax(most,
                    difference_of(alone->dtype, (const uint8_t *)alone->data + i * piece,
                                  (const uint8_t *)padded->data + i * step,
                                  piece / dtype_size(alone->dtype)));
    }
    return most;
}

static bool overlap(const struct tensor *a, const struct tensor *b) {
    uintptr_t at = (uintptr_t)a->data, other = (uintptr_t)b->data;
    return at < other + tensor_size(b) && other < at + tensor_size(a);
}

/* Rows of answer `i` are cut in place, which must not be that of an input or of an answer
 * before it. */
static bool is_shared(const struct trial *trial, int i) {
    const struct batch_model *model = &trial->model;
    const struct tensor *y = session_output(trial->session, model->outputs[i]);
    int inputs = model_input_count(model->model);
    bool shared = false;
    for (int k = 0; k < inputs; k++) {
        shared = shared || overlap(y, &trial->batch->inputs[k]);
    }
    for (int k = 0; k < i; k++) {
        shared = shared || overlap(y, session_output(trial->session, model->outputs[k]));
    }
    return shared;
}

static enum status compare(struct trial *trial, struct batch_pad *pad, double *most,
                           int *which, struct error *err) {
    for (int i = 0; i < trial->model.output_count; i++) {
        int output = trial->model.outputs[i];
        const char *name = model_output(trial->model.model, output)->name;
        const struct tensor *y = session_output(trial->session, output);
        double d;
        int axis;
        enum status status = find_length(trial, name, &trial->alone[i], y, &axis, err);
        if (status != STATUS_OK) {
            return status;
        }
        if (axis > 0 && is_shared(trial, i)) {
            return error_set(
                err, STATUS_UNSUPPORTED,
                "output '%s' is an input or another output as it is, so that "
                "it cannot be cut by itself: choose other `outputs`",
                name);
        }
        pad->output_axis[output] = axis;
        d = difference(&trial->alone[i], y, axis, trial);
        if (d > *most) {
            *most = d;
            *which = output;
        }
    }
    return STATUS_OK;
}

static enum status run_both(struct trial *trial, struct batch_pad *pad, double *most,
                            int *which, struct error *err) {
    const struct batch_model *model = &trial->model;
    enum status status = run_row(trial, trial->length, err);
    for (int i = 0; i < model->output_count && status == STATUS_OK; i++) {
        status = keep(&trial->alone[i], session_output(trial->session, model->outputs[i]),
                      err);
    }
    if (status == STATUS_OK) {
        status = run_row(trial, trial->padded, err);
    }
    if (status == STATUS_OK) {
        status = compare(trial, pad, most, which, err);
    }
    for (int i = 0; i < model->output_count; i++) {
        free(trial->alone[i].data);
        trial->alone[i].data = NULL;
    }
    return status;
}

static enum status judge(const struct batch_model *item, const struct trial *trial,
                         enum config_pad_check check, double most, int which,
                         struct error *err) {
    char text[32];
    if (most > DIFFERENCE_MAX && check == CONFIG_PAD_REFUSE) {
        return error_set(
            err, STATUS_INVALID,
            "padding changes its answers: output '%s' by %.3g for a row of length %lld "
            "padded to %lld with zeros. Give the model a mask, do without pad_to, or "
            "accept it with pad_check = \"accept\"",
            model_output(item->model, which)->name, most, (long long)trial->length,
            (long long)trial->padded);
    }
    (void)snprintf(text, sizeof(text), "%.3g", most);
    log_event(most > DIFFERENCE_MAX ? LOG_WARN : LOG_INFO, "padding_tried",
              LOG_TEXT("model", item->name), LOG_INT("length", trial->length),
              LOG_INT("padded", trial->padded), LOG_TEXT("difference", text));
    return STATUS_OK;
}

enum status padding_outputs(struct batch_model *item, enum config_pad_check check,
                            struct session *session, struct error *err) {
    const struct batch_length *lengths = item->pad.lengths;
    struct trial trial = {.model = *item,
                          .session = session,
                          .length = (lengths[0].length + 1) / 2,
                          .padded = lengths[item->pad.count - 1].length};
    double most = 0;
    int which = 0;
    enum status status;
    trial.model.rows_max = 1;
    status = batch_create(&trial.model, 0, &trial.batch, err);
    if (status == STATUS_OK) {
        status = run_both(&trial, &item->pad, &most, &which, err);
    }
    if (status == STATUS_OK) {
        struct error ignored;
        trial.negative = true;
        (void)!run_both(&trial, &item->pad, &most, &which, &ignored);
    }
    batch_destroy(trial.batch);
    return status == STATUS_OK ? judge(item, &trial, check, most, which, err) : status;
}
