/* signal.c - HannWindow, HammingWindow, BlackmanWindow, and MelWeightMatrix: the constant
 * parts of a spectrogram.  Formulas are ONNX's. */
#include <math.h>

#include "engine/onnx_tensor.h"
#include "engine/ops/number.h"
#include "engine/ops/ops.h"

#define PI 3.14159265358979323846
#define SIGNAL_SIZE_MAX (1 << 24)

/* ---- windows ----------------------------------------------------------------------- */

struct taper_state {
    bool periodic;
};

/* The window at `angle`, which runs over a whole turn. */
typedef double (*taper_fn)(double angle);

static double hann(double angle) {
    return 0.5 - 0.5 * cos(angle);
}

static double hamming(double angle) {
    return 25.0 / 46 - 21.0 / 46 * cos(angle);
}

static double blackman(double angle) {
    return 0.42 - 0.5 * cos(angle) + 0.08 * cos(2 * angle);
}

struct taper_kind {
    taper_fn at;
};

static const struct taper_kind hann_kind = {hann}, hamming_kind = {hamming},
                               blackman_kind = {blackman};

/* Attribute output_datatype: what the operator makes. */
static enum status take_dtype(struct load *load, struct error *err) {
    int64_t number = 0;
    enum status status =
        attr_int_in(load->node, "output_datatype", DTYPE_F32, 0, 1000, &number, err);
    enum dtype dtype = onnx_dtype((int32_t)number);
    if (status == STATUS_OK && (TYPE_BIT(dtype) & (TYPES_NUMBER | TYPES_HALF)) == 0) {
        return node_error(load->node, err, STATUS_UNSUPPORTED,
                          "makes elements of type number %lld", (long long)number);
    }
    graph_set_output(load->graph, load->node, 0, dtype);
    return status;
}

static enum status taper_prepare(struct load *load, struct error *err) {
    struct taper_state *state = load_state(load, struct taper_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = take_dtype(load, err);
    return status == STATUS_OK
               ? attr_bool(load->node, "periodic", true, &state->periodic, err)
               : status;
}

/* The size that input `input` tells; STATUS_POISON outside [least, SIGNAL_SIZE_MAX]. */
static enum status take_size(const struct exec *exec, int input, int64_t least,
                             int64_t *size, struct error *err) {
    int count = 0;
    enum status status = exec_ints(exec, input, size, 1, &count, err);
    if (status == STATUS_OK && (count != 1 || *size < least || *size > SIGNAL_SIZE_MAX)) {
        return node_error(exec->node, err, STATUS_POISON,
                          "input %d must be one size in [%lld, %d]", input,
                          (long long)least, SIGNAL_SIZE_MAX);
    }
    return status;
}

static enum status taper_shape(struct exec *exec, struct error *err) {
    exec->y[0]->rank = 1;
    return take_size(exec, 0, 0, &exec->y[0]->dims[0], err);
}

static enum status taper_run(struct exec *exec, struct error *err) {
    const struct taper_state *state = exec->node->state;
    const struct taper_kind *kind = exec->node->op->param;
    struct tensor *y = exec->y[0];
    int64_t count = y->dims[0], turn = state->periodic ? count : count - 1;
    (void)err; /* cannot fail */
    for (int64_t i = 0; i < count; i++) {
        double angle = turn > 0 ? 2 * PI * (double)i / (double)turn : PI;
        number_set_real(y, i, kind->at(angle));
    }
    return STATUS_OK;
}

/* ---- MelWeightMatrix --------------------------------------------------------------- */

enum { IN_BINS, IN_DFT_LENGTH, IN_RATE, IN_LOW, IN_HIGH, MEL_INPUTS };

static double mel_of(double hertz) {
    return 2595 * log10(1 + hertz / 700);
}

static double hertz_of(double mel) {
    return 700 * (pow(10, mel / 2595) - 1);
}

static enum status mel_prepare(struct load *load, struct error *err) {
    return take_dtype(load, err);
}

static enum status mel_shape(struct exec *exec, struct error *err) {
    struct tensor *y = exec->y[0];
    int64_t length = 0;
    enum status status = take_size(exec, IN_BINS, 1, &y->dims[1], err);
    if (status == STATUS_OK) {
        status = take_size(exec, IN_DFT_LENGTH, 1, &length, err);
    }
    for (int i = IN_RATE; status == STATUS_OK && i < MEL_INPUTS; i++) {
        if (tensor_count(exec->x[i]) != 1) {
            status = node_error(exec->node, err, STATUS_POISON,
                                "input %d must be a single number", i);
        }
    }
    y->rank = 2;
    y->dims[0] = length / 2 + 1;
    return status;
}

/* The bin of the spectrogram where triangle `i` begins; -1 outside of it. */
static int64_t mel_edge(const struct exec *exec, int64_t i) {
    double low = mel_of(number_real(exec->x[IN_LOW], 0));
    double high = mel_of(number_real(exec->x[IN_HIGH], 0));
    double step = (high - low) / (double)(exec->y[0]->dims[1] + 2);
    double length = number_real(exec->x[IN_DFT_LENGTH], 0);
    double rate = number_real(exec->x[IN_RATE], 0);
    double bin = floor((length + 1) * hertz_of(low + (double)i * step) / rate);
    return bin >= 0 && bin < (double)exec->y[0]->dims[0] ? (int64_t)bin : -1;
}

/* Column `i` is a triangle that rises from one edge to the next and falls to a third. */
static enum status mel_run(struct exec *exec, struct error *err) {
    struct tensor *y = exec->y[0];
    int64_t columns = y->dims[1];
    memset(y->data, 0, tensor_size(y));
    for (int64_t i = 0; i < columns; i++) {
        int64_t left = mel_edge(exec, i), top = mel_edge(exec, i + 1);
        int64_t right = mel_edge(exec, i + 2);
        if (left < 0 || top < left || right < top) {
            return node_error(exec->node, err, STATUS_POISON,
                              "the edges lie outside of the spectrogram");
        }
        for (int64_t j = left; j < right; j++) {
            double value = j >= top ? (double)(right - j) / (double)(right - top)
                                    : (double)(j - left) / (double)(top - left);
            number_set_real(y, j * columns + i, value);
        }
        number_set_real(y, top * columns + i, 1);
    }
    return STATUS_OK;
}

#define WINDOW(text, kind)                                                              \
    {                                                                                   \
        .name = text, .since = 17, .inputs_min = 1, .inputs_max = 1, .shape_inputs = 1, \
        .types = {TYPES_INDEX}, .param = &(kind), .prepare = taper_prepare,             \
        .shape = taper_shape, .run = taper_run,                                         \
    }

static const struct op ops[] = {
    WINDOW("HannWindow", hann_kind),
    WINDOW("HammingWindow", hamming_kind),
    WINDOW("BlackmanWindow", blackman_kind),
    {
        .name = "MelWeightMatrix",
        .since = 17,
        .inputs_min = MEL_INPUTS,
        .inputs_max = MEL_INPUTS,
        .shape_inputs = 1U << IN_BINS | 1U << IN_DFT_LENGTH,
        .types = {TYPES_INDEX, TYPES_INDEX, TYPES_INDEX, TYPES_FLOAT, TYPES_FLOAT},
        .prepare = mel_prepare,
        .shape = mel_shape,
        .run = mel_run,
    },
};

const struct op_list ops_signal = OP_LIST(ops);
