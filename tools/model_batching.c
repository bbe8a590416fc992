/* model_batching.c - see model_batching.h. */
#include "tools/model_batching.h"

#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/size.h"
#include "tools/element.h"

/* Less and more than the tiles of products, whole and with rests. */
static const int64_t sizes[] = {2, 3, 7, 16};
#define SIZE_LARGEST 16

struct batching {
    const struct model *model;
    struct session *session;
    const struct tensor *inputs; /* as given: `rows` rows each */
    int64_t rows;
    double tolerance;
    struct arena arena;                      /* all tensors' data below */
    struct tensor batch[MODEL_INPUTS_MAX];   /* room for SIZE_LARGEST rows */
    struct tensor *alone[MODEL_OUTPUTS_MAX]; /* each row's answer; NULL: passed over */
    double largest[MODEL_OUTPUTS_MAX];       /* finite element, without its sign */
};

/* How many rows the inputs have together; 0 where the model has no batches. */
static int64_t common_rows(const struct model *model, const struct tensor *inputs) {
    int64_t rows = 0;
    for (int i = 0; i < model_input_count(model); i++) {
        const struct tensor *type = &model_input(model, i)->type;
        if (type->rank < 1 || type->dims[0] >= 0 || type->dtype >= DTYPE_SEQUENCE ||
            (i > 0 && inputs[i].dims[0] != rows)) {
            return 0;
        }
        rows = inputs[i].dims[0];
    }
    return rows;
}

static size_t row_size(const struct tensor *x) {
    return x->dims[0] == 0 ? 0 : tensor_size(x) / (size_t)x->dims[0];
}

/* Which of the given rows stands in place `i` of a batch: all come, in no order. */
static int64_t row_in(const struct batching *batching, int64_t size, int64_t i) {
    return (i * 5 + size) % batching->rows;
}

static enum status run_batch(struct batching *batching, int64_t size, int64_t only,
                             struct error *err) {
    for (int k = 0; k < model_input_count(batching->model); k++) {
        const struct tensor *from = &batching->inputs[k];
        size_t each = row_size(from);
        batching->batch[k].dims[0] = size;
        for (int64_t i = 0; i < size && each > 0; i++) {
            int64_t row = only >= 0 ? only : row_in(batching, size, i);
            memcpy((uint8_t *)batching->batch[k].data + (size_t)i * each,
                   (const uint8_t *)from->data + (size_t)row * each, each);
        }
    }
    enum status status = session_prepare(batching->session, batching->batch, err);
    return status == STATUS_OK ? session_run(batching->session, batching->batch, err)
                               : status;
}

static enum status no_memory(struct error *err) {
    return error_set(err, STATUS_NO_MEMORY, "no memory for batches");
}

static enum status make_room(struct batching *batching, struct error *err) {
    for (int k = 0; k < model_input_count(batching->model); k++) {
        size_t each = row_size(&batching->inputs[k]);
        batching->batch[k] = batching->inputs[k];
        batching->batch[k].data = arena_alloc(&batching->arena, SIZE_LARGEST, each + 1);
        if (batching->batch[k].data == NULL) {
            return no_memory(err);
        }
    }
    for (int k = 0; k < model_output_count(batching->model); k++) {
        batching->alone[k] =
            arena_alloc(&batching->arena, (size_t)batching->rows, sizeof(struct tensor));
        if (batching->alone[k] == NULL) {
            return no_memory(err);
        }
    }
    return STATUS_OK;
}

static void note_largest(struct batching *batching, int k, const struct tensor *y) {
    for (size_t i = 0; i < tensor_count(y); i++) {
        double element = fabs(element_real(y, i));
        if (isfinite(element) && element > batching->largest[k]) {
            batching->largest[k] = element;
        }
    }
}

/* Keeps what row `row` alone gives. */
static enum status keep_alone(struct batching *batching, int64_t row, struct error *err) {
    enum status status = run_batch(batching, 1, row, err);
    for (int k = 0; k < model_output_count(batching->model) && status == STATUS_OK; k++) {
        const struct tensor *y = session_output(batching->session, k);
        if (batching->alone[k] == NULL || y->rank < 1 || y->dims[0] != 1 ||
            y->dtype == DTYPE_STRING || y->dtype >= DTYPE_SEQUENCE) {
            batching->alone[k] = NULL;
            continue;
        }
        struct tensor *kept = &batching->alone[k][row];
        *kept = *y;
        kept->data = arena_alloc(&batching->arena, 1, tensor_size(y) + 1);
        if (kept->data == NULL) {
            return no_memory(err);
        }
        memcpy(kept->data, y->data, tensor_size(y));
        note_largest(batching, k, kept);
    }
    return status;
}

static bool same_row_shape(const struct tensor *batch, const struct tensor *row,
                           int64_t size) {
    bool same = batch->rank == row->rank && batch->dims[0] == size;
    for (int i = 1; same && i < row->rank; i++) {
        same = batch->dims[i] == row->dims[i];
    }
    return same;
}

/* The largest difference of row `i` of `y` from `row`; infinite where only one of two
 * elements is a NaN or an infinity. */
static double row_difference(const struct tensor *y, int64_t i,
                             const struct tensor *row) {
    size_t count = tensor_count(row), first = (size_t)i * count;
    double most = 0.0;
    for (size_t j = 0; j < count; j++) {
        double a = element_real(y, first + j), b = element_real(row, j);
        bool equal = (isnan(a) && isnan(b)) || (a <= b && a >= b);
        double difference = equal ? 0.0 : fabs(a - b);
        most = difference <= most ? most : isfinite(difference) ? difference : HUGE_VAL;
    }
    return most;
}

static enum status compare_output(const struct batching *batching, int k, int64_t size,
                                  struct error *err) {
    const struct tensor *y = session_output(batching->session, k);
    for (int64_t i = 0; i < size; i++) {
        const struct tensor *row = &batching->alone[k][row_in(batching, size, i)];
        if (!same_row_shape(y, row, size)) {
            return error_set(err, STATUS_INVALID,
                             "a batch of %lld has rows of another shape than one row",
                             (long long)size);
        }
        double difference = row_difference(y, i, row);
        if (difference > batching->tolerance * batching->largest[k]) {
            return error_set(err, STATUS_INVALID,
                             "row %lld of a batch of %lld differs from the row alone, "
                             "by %.3g of the largest element",
                             (long long)i, (long long)size,
                             difference / batching->largest[k]);
        }
    }
    return STATUS_OK;
}

static enum status compare_batches(struct batching *batching, struct error *err) {
    for (size_t s = 0; s < ARRAY_COUNT(sizes); s++) {
        enum status status = run_batch(batching, sizes[s], -1, err);
        for (int k = 0; k < model_output_count(batching->model); k++) {
            if (status == STATUS_OK && batching->alone[k] != NULL) {
                status = compare_output(batching, k, sizes[s], err);
            }
            if (status != STATUS_OK) {
                return error_prefix(err, "output %d '%s'", k,
                                    model_output(batching->model, k)->name);
            }
        }
    }
    return STATUS_OK;
}

enum status batching_check(const struct model *model, struct session *session,
                           const struct tensor *inputs, double tolerance,
                           struct error *err) {
    struct batching batching = {.model = model,
                                .session = session,
                                .inputs = inputs,
                                .rows = common_rows(model, inputs),
                                .tolerance = tolerance};
    if (batching.rows == 0) {
        return STATUS_OK;
    }
    arena_init(&batching.arena, 0);
    enum status status = make_room(&batching, err);
    for (int64_t row = 0; row < batching.rows && status == STATUS_OK; row++) {
        status = keep_alone(&batching, row, err);
    }
    if (status == STATUS_OK) {
        status = compare_batches(&batching, err);
    }
    arena_release(&batching.arena);
    return status;
}
