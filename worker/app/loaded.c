/* loaded.c - see loaded.h. */
#include "app/loaded.h"

#include <strings.h>

#include "app/measure.h"
#include "app/padding.h"
#include "base/clock.h"
#include "batch/learn.h"
#include "batch/pad.h"

#define MEASURE_US 500000

/* Where the batch goes.  A first dimension of 1 in the file is a batch of one. */
static enum status check_port(const struct model_port *port, const char *kind,
                              int *rows_max, struct error *err) {
    char shape[TENSOR_SHAPE_TEXT_MAX];
    if (port->type.dtype >= DTYPE_PLAIN_COUNT) {
        return error_set(err, STATUS_UNSUPPORTED,
                         "%s '%s' is of %s, which no record can hold: cast it in the "
                         "model",
                         kind, port->name, dtype_name(port->type.dtype));
    }
    if (port->type.rank >= 1 && port->type.dims[0] == 1) {
        *rows_max = 1;
    } else if (port->type.rank < 1 || port->type.dims[0] >= 0) {
        return error_set(
            err, STATUS_UNSUPPORTED,
            "%s '%s' has the shape %s; its first dimension must be free (the "
            "batch) or 1: export the model with a dynamic batch dimension",
            kind, port->name,
            tensor_shape_text(port->type.dims, port->type.rank, shape, sizeof(shape)));
    }
    return STATUS_OK;
}

static enum status check_ports(struct batch_model *item, struct error *err) {
    int inputs = model_input_count(item->model);
    int outputs = model_output_count(item->model);
    enum status status = STATUS_OK;
    if (inputs == 0) {
        return error_set(err, STATUS_UNSUPPORTED, "the model has no inputs");
    }
    for (int i = 0; i < inputs && status == STATUS_OK; i++) {
        status = check_port(model_input(item->model, i), "input", &item->rows_max, err);
    }
    for (int i = 0; i < outputs && status == STATUS_OK; i++) {
        const struct model_port *port = model_output(item->model, i);
        if ((port->type.rank > 0 && port->type.dims[0] > 1) ||
            port->type.dtype >= DTYPE_PLAIN_COUNT) {
            int unused;
            status = check_port(port, "output", &unused, err);
        }
    }
    return status;
}

static enum status choose_outputs(struct batch_model *item,
                                  const struct config_model *from, struct error *err) {
    int count = model_output_count(item->model);
    if (from->output_count == 0) {
        for (int i = 0; i < count; i++) {
            item->outputs[i] = i;
        }
        item->output_count = count;
        return STATUS_OK;
    }
    for (size_t i = 0; i < from->output_count; i++) {
        int index = model_output_find(item->model, span_text(from->outputs[i]));
        if (index < 0) {
            return error_set(err, STATUS_INVALID,
                             "the model has no output '%s'; its first one is '%s'",
                             from->outputs[i], model_output(item->model, 0)->name);
        }
        item->outputs[item->output_count++] = index;
    }
    return STATUS_OK;
}

/* After a run of rows_max rows: does every answer have its row? */
static enum status check_outputs(const struct batch_model *item,
                                 const struct session *session, struct error *err) {
    char shape[TENSOR_SHAPE_TEXT_MAX];
    for (int i = 0; i < item->output_count; i++) {
        const struct tensor *y = session_output(session, item->outputs[i]);
        if (y->rank < 1 || y->dims[0] != item->rows_max) {
            return error_set(err, STATUS_UNSUPPORTED,
                             "output '%s' has the shape %s for a batch of %d; its first "
                             "dimension must "
                             "be the batch",
                             model_output(item->model, item->outputs[i])->name,
                             tensor_shape_text(y->dims, y->rank, shape, sizeof(shape)),
                             item->rows_max);
        }
    }
    return STATUS_OK;
}

/* The largest batch, of zeros, padded to the length of that index if it is not -1; NULL
 * where the jobs choose a shape, which is planned when it comes. */
static enum status zero_batch(const struct batch_model *item, int length_index,
                              struct batch **batch, struct error *err) {
    struct row_shape shapes[MODEL_INPUTS_MAX];
    int inputs = model_input_count(item->model);
    enum status status;
    *batch = NULL;
    pad_own_shapes(item, length_index < 0 ? 0 : item->pad.lengths[length_index].length,
                   shapes);
    for (int i = 0; i < inputs; i++) {
        const struct tensor *type = &model_input(item->model, i)->type;
        size_t count;
        if (type->dtype == DTYPE_STRING ||
            !tensor_dims_count(shapes[i].dims, type->rank - 1, &count)) {
            return STATUS_OK;
        }
    }
    status = batch_create(item, 0, batch, err);
    if (status == STATUS_OK) {
        status = batch_shape(*batch, shapes, length_index, err);
    }
    for (int i = 0; i < inputs && status == STATUS_OK; i++) {
        (*batch)->inputs[i].dims[0] = item->rows_max;
        memset((*batch)->inputs[i].data, 0, (*batch)->room[i]);
    }
    return status;
}

/* Runs the largest batch once: plans the memory, pays at start what a first run costs,
 * and shows outputs that are no rows. */
static enum status warm_up(const struct batch_model *item, struct session *session,
                           const struct batch *zeros, struct error *err) {
    struct error ignored; /* zeros need not be values the model can compute with */
    enum status status = session_prepare(session, zeros->inputs, err);
    if (status == STATUS_OK &&
        session_run(session, zeros->inputs, &ignored) == STATUS_OK) {
        status = check_outputs(item, session, err);
    }
    return status;
}

static void log_model(const struct loaded *loaded, int64_t started_us) {
    struct model_info info;
    model_info(loaded->item.model, &info);
    log_event(LOG_INFO, "model_loaded", LOG_TEXT("model", loaded->item.name),
              LOG_TEXT("path", info.path), LOG_TEXT("version", loaded->version),
              LOG_TEXT("sha256", loaded->sha256_text), LOG_INT("opset", info.opset),
              LOG_INT("parameters", (int64_t)info.parameter_count),
              LOG_INT("weight_bytes", (int64_t)info.weight_size),
              LOG_INT("weight_bytes_max", (int64_t)info.memory_max),
              LOG_INT("batch_max", loaded->item.rows_max),
              LOG_INT("load_ms", (clock_now_us() - started_us) / 1000));
}

/* Loads the file, and makes sure that what was loaded is what the digest is of. */
static enum status read_file(struct loaded *loaded, const struct loaded_source *source,
                             struct error *err) {
    const struct model_options how = {
        .memory_max = (size_t)source->config->memory_mb << 20,
        .external_data = source->config->external_data == CONFIG_EXTERNAL_ALLOW};
    const char *expected = source->sha256;
    uint8_t after[DIGEST_SIZE];
    struct model *model;
    enum status status = digest_file(loaded->path, loaded->sha256, err);
    if (status != STATUS_OK) {
        return status;
    }
    digest_text(loaded->sha256, loaded->sha256_text);
    if (expected != NULL && expected[0] != 0 &&
        strcasecmp(expected, loaded->sha256_text) != 0) {
        return error_set(err, STATUS_INVALID, "%s has the SHA-256 %s, not %.64s",
                         loaded->path, loaded->sha256_text, expected);
    }
    status = model_open_with(loaded->path, &how, &model, err);
    if (status != STATUS_OK) {
        return status;
    }
    loaded->item.model = model;
    status = digest_file(loaded->path, after, err);
    if (status == STATUS_OK && memcmp(after, loaded->sha256, DIGEST_SIZE) != 0) {
        status = error_set(err, STATUS_INVALID,
                           "%s changed while it was read: write a new file and rename it "
                           "into place",
                           loaded->path);
    }
    return status;
}

static enum status open_sessions(struct loaded *loaded, int threads,
                                 const struct batch *zeros, struct error *err) {
    enum status status = STATUS_OK;
    loaded->sessions = calloc((size_t)threads, sizeof(*loaded->sessions));
    if (loaded->sessions == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for sessions");
    }
    for (int i = 0; i < threads && status == STATUS_OK; i++) {
        status = session_create(loaded->item.model, 0, &loaded->sessions[i], err);
        if (status == STATUS_OK) {
            loaded->session_count++;
        }
        if (status == STATUS_OK && zeros != NULL) {
            status = warm_up(&loaded->item, loaded->sessions[i], zeros, err);
        }
    }
    return status;
}

/* What the file says goes, though other models wait for longer than they are meant to. */
static void warn_of_long(const struct loaded_source *source, const struct cost *cost,
                         const struct batch_aim *aim) {
    int64_t ms = cost_ns(cost, aim->rows) / 1000000; /* 0 if not measured */
    if (source->config->batch_size > 0 && source->slice_ms > 0 && ms > source->slice_ms) {
        log_event(LOG_WARN, "batch_longer_than_slice",
                  LOG_TEXT("model", source->config->name), LOG_INT("rows", aim->rows),
                  LOG_INT("takes_ms", ms), LOG_INT("slice_ms", source->slice_ms),
                  LOG_TEXT("advice", "other models wait for it; lower its batch_size, or "
                                     "leave it out and slice_ms decides"));
    }
}

/* What batches cost, by those of `zeros` where there are any, and how large they are to
 * be. */
static void measure(struct loaded *loaded, const struct loaded_source *source,
                    const struct batch *zeros, struct cost *cost, struct batch_aim *aim) {
    int lengths = loaded->item.pad.count > 0 ? loaded->item.pad.count : 1;
    if (zeros != NULL) {
        measure_cost(cost, loaded->sessions[0], zeros, MEASURE_US / lengths);
    }
    batch_aim_by(aim, cost, loaded->item.rows_max, source->config->batch_size,
                 source->slice_ms);
    warn_of_long(source, cost, aim);
}

/* `largest` is of the longest rows, NULL where nothing can be measured. */
static enum status measure_all(struct loaded *loaded, const struct loaded_source *source,
                               const struct batch *largest, struct error *err) {
    struct batch_model *item = &loaded->item;
    struct batch_length *lengths = item->pad.lengths;
    int last = item->pad.count - 1;
    for (int i = 0; i < last; i++) {
        struct batch *zeros = NULL;
        enum status status =
            largest == NULL ? STATUS_OK : zero_batch(item, i, &zeros, err);
        if (status == STATUS_OK) {
            measure(loaded, source, zeros, &lengths[i].cost, &lengths[i].aim);
        }
        batch_destroy(zeros);
        if (status != STATUS_OK) {
            return status;
        }
    }
    measure(loaded, source, largest, &item->cost, &item->aim);
    if (last >= 0) { /* what is shown of the model is what the longest rows cost */
        lengths[last].cost = item->cost;
        lengths[last].aim = item->aim;
    }
    return STATUS_OK;
}

/* What could not be measured is learned. */
static enum status learn(struct loaded *loaded, const struct loaded_source *source,
                         struct error *err) {
    const struct learn_opts opts = {.rows_max = loaded->item.rows_max,
                                    .batch_size = source->config->batch_size,
                                    .slice_ms = source->slice_ms};
    return learn_create(&opts, &loaded->item.learn, err);
}

/* Makes it fit to run. */
static enum status make_ready(struct loaded *loaded, const struct loaded_source *source,
                              struct error *err) {
    struct batch_model *item = &loaded->item;
    struct batch *zeros = NULL;
    enum status status = STATUS_OK;
    if (source->threads > 0) {
        status = zero_batch(item, item->pad.count - 1, &zeros, err);
    }
    if (status == STATUS_OK && source->threads > 0) {
        status = open_sessions(loaded, source->threads, zeros, err);
    }
    if (status == STATUS_OK && source->threads > 0 && item->pad.count > 0) {
        status =
            padding_outputs(item, source->config->pad_check, loaded->sessions[0], err);
    }
    if (status == STATUS_OK) {
        status = measure_all(loaded, source, zeros, err);
    }
    if (status == STATUS_OK && source->threads > 0 && item->cost.count == 0) {
        status = learn(loaded, source, err);
    }
    if (status == STATUS_OK && zeros != NULL) {
        status = session_prepare(loaded->sessions[0], zeros->inputs, err);
    }
    batch_destroy(zeros);
    return status;
}

static enum status fill(struct loaded *loaded, const struct loaded_source *source,
                        struct error *err) {
    const struct config_model *config = source->config;
    enum status status;
    loaded->index = source->index;
    loaded->path = strdup(source->path);
    loaded->version = strdup(source->version == NULL ? "" : source->version);
    if (loaded->path == NULL || loaded->version == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a name");
    }
    loaded->item = (struct batch_model){.name = config->name,
                                        .version = loaded->version,
                                        .sha256 = loaded->sha256,
                                        .sha256_text = loaded->sha256_text,
                                        .rows_max = config->batch_max,
                                        .weight = config->weight,
                                        .linger_us = (int64_t)config->linger_ms * 1000,
                                        .nan_rejected = config->nan == CONFIG_NAN_REJECT};
    status = read_file(loaded, source, err);
    if (status == STATUS_OK) {
        status = check_ports(&loaded->item, err);
    }
    if (status == STATUS_OK) {
        status = choose_outputs(&loaded->item, config, err);
    }
    if (status == STATUS_OK && config->pad_length_count > 0) {
        status = padding_inputs(&loaded->item, config, err);
    }
    return status == STATUS_OK ? make_ready(loaded, source, err) : status;
}

enum status loaded_open(const struct loaded_source *source, struct loaded **out,
                        struct error *err) {
    int64_t started_us = clock_now_us();
    struct loaded *loaded = calloc(1, sizeof(*loaded));
    enum status status;
    *out = NULL;
    if (loaded == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a model");
    }
    status = fill(loaded, source, err);
    if (status != STATUS_OK) {
        loaded_close(loaded);
        return status;
    }
    log_model(loaded, started_us);
    measure_log(&loaded->item);
    *out = loaded;
    return STATUS_OK;
}

void loaded_close(struct loaded *loaded) {
    /* Owned here; everyone else may only read it. */
    union {
        const struct model *borrowed;
        struct model *owned;
    } model;
    if (loaded == NULL) {
        return;
    }
    for (int i = 0; i < loaded->session_count; i++) {
        session_destroy(loaded->sessions[i]);
    }
    free(loaded->sessions);
    learn_destroy(loaded->item.learn);
    model.borrowed = loaded->item.model;
    model_close(model.owned);
    free(loaded->path);
    free(loaded->version);
    free(loaded);
}

static enum status check_port_like(const struct model_port *old,
                                   const struct model_port *next, const char *kind,
                                   struct error *err) {
    char shape[2][TENSOR_SHAPE_TEXT_MAX];
    size_t size = sizeof(old->type.dims[0]) * (size_t)old->type.rank;
    if (strcmp(old->name, next->name) == 0 && old->type.dtype == next->type.dtype &&
        old->type.rank == next->type.rank &&
        (size == 0 || memcmp(old->type.dims, next->type.dims, size) == 0)) {
        return STATUS_OK;
    }
    return error_set(
        err, STATUS_INVALID,
        "its %s '%s' is %s%s, where '%s' is %s%s now: restart to "
        "serve it",
        kind, next->name, dtype_name(next->type.dtype),
        tensor_shape_text(next->type.dims, next->type.rank, shape[0], sizeof(shape[0])),
        old->name, dtype_name(old->type.dtype),
        tensor_shape_text(old->type.dims, old->type.rank, shape[1], sizeof(shape[1])));
}

enum status loaded_check_inputs(const struct loaded *old, const struct loaded *next,
                                struct error *err) {
    const struct model *a = old->item.model, *b = next->item.model;
    enum status status = STATUS_OK;
    if (model_input_count(a) != model_input_count(b)) {
        return error_set(err, STATUS_INVALID,
                         "it has %d inputs, where there are %d now: restart to serve it",
                         model_input_count(b), model_input_count(a));
    }
    for (int i = 0; i < model_input_count(a) && status == STATUS_OK; i++) {
        status = check_port_like(model_input(a, i), model_input(b, i), "input", err);
    }
    return status;
}

enum status loaded_check_like(const struct loaded *old, const struct loaded *next,
                              struct error *err) {
    enum status status = loaded_check_inputs(old, next, err);
    if (status == STATUS_OK && (old->item.output_count != next->item.output_count ||
                                old->item.rows_max != next->item.rows_max)) {
        return error_set(err, STATUS_INVALID,
                         "it has %d outputs and batches of %d, where there are %d and %d "
                         "now: restart to serve it",
                         next->item.output_count, next->item.rows_max,
                         old->item.output_count, old->item.rows_max);
    }
    for (int i = 0; i < old->item.output_count && status == STATUS_OK; i++) {
        status = check_port_like(model_output(old->item.model, old->item.outputs[i]),
                                 model_output(next->item.model, next->item.outputs[i]),
                                 "output", err);
    }
    return status;
}
