/* spread_phases.c - see spread_impl.h. */
#include "engine/kernels/spread_impl.h"

#include <string.h>

#include "base/size.h"
#include "engine/kernels/conv_impl.h"
#include "engine/kernels/gemm.h"
#include "engine/kernels/kernels.h"

/* Bounds of the loops over phases and offsets. */
#define STEP_MAX 16
/* Floats of the image behind a piece: it stays in the second cache for all phases. */
#define PIECE_COUNT (32 * 1024)
/* Pixels whose channels are a multiple of this many floats fight for the first cache's
 * sets: they are set apart by a line. */
#define PITCH_COUNT 256
#define LINE_COUNT ((int64_t)(CACHE_LINE / sizeof(float)))

static int64_t min64(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t max64(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* Upwards, of negative numbers too. */
static int64_t divide_up(int64_t a, int64_t b) {
    return a >= 0 ? (a + b - 1) / b : -(-a / b);
}

/* ---- which inputs an output reads -------------------------------------------------- */

struct axis {
    int64_t kernel, stride, dilation, pad, in, out;
};

static struct axis axis_h(const struct spread *s) {
    return (struct axis){s->kernel_h, s->stride_h, s->dilation_h,
                         s->pad_top,  s->in_h,     s->out_h};
}

static struct axis axis_w(const struct spread *s) {
    return (struct axis){s->kernel_w, s->stride_w, s->dilation_w,
                         s->pad_left, s->in_w,     s->out_w};
}

/* Output stride * q + phase reads input q + offset through this tap; -1 for none. */
static int64_t tap_at(const struct axis *axis, int64_t phase, int64_t offset) {
    const int64_t at = axis->pad + phase - offset * axis->stride;
    return at >= 0 && at % axis->dilation == 0 && at / axis->dilation < axis->kernel
               ? at / axis->dilation
               : -1;
}

/* The offsets of all phases lie in [lowest, highest]. */
static int64_t lowest(const struct axis *axis) {
    return divide_up(axis->pad - (axis->kernel - 1) * axis->dilation, axis->stride);
}

static int64_t highest(const struct axis *axis) {
    return divide_up(axis->pad, axis->stride);
}

/* Rising offsets that any of `count` phases reads; returns how many. */
static int64_t list_offsets(const struct axis *axis, int64_t phase, int64_t count,
                            int32_t offsets[CONV_DIRECT_TAPS_MAX]) {
    const int64_t end = highest(axis);
    int64_t n = 0;
    for (int64_t o = lowest(axis); o <= end; o++) {
        bool read = false;
        for (int64_t p = phase; p < phase + count && !read; p++) {
            read = tap_at(axis, p, o) >= 0;
        }
        if (read) {
            offsets[n++] = (int32_t)o;
        }
    }
    return n;
}

/* Outputs of a phase. */
static int64_t phase_size(const struct axis *axis, int64_t phase) {
    return axis->out > phase ? (axis->out - phase - 1) / axis->stride + 1 : 0;
}

/* ---- parts: the phases that are computed at once ----------------------------------- */

struct part {
    int64_t row, column;   /* the first phase */
    int64_t joined;        /* phases, side by side */
    int64_t outputs, taps; /* columns of the weights, and rows */
    int64_t height, width; /* of the window */
    int32_t rows[CONV_DIRECT_TAPS_MAX], columns[CONV_DIRECT_TAPS_MAX]; /* offsets */
};

/* Vectors of sums for so many outputs, on the widest level. */
static int64_t vectors(int64_t outputs) {
    return divide_up(outputs, GEMM_PANEL_STEP);
}

/* Phases of a row that are one part: all of them or one. */
static int64_t joined_phases(const struct spread *spread) {
    const struct axis w = axis_w(spread);
    const int64_t outputs = spread->channels_out;
    int32_t offsets[CONV_DIRECT_TAPS_MAX];
    int64_t apart = 0;
    if (w.stride * outputs > GEMM_PANEL || w.dilation > 1) {
        return 1;
    }
    for (int64_t p = 0; p < w.stride; p++) {
        apart += list_offsets(&w, p, 1, offsets) * vectors(outputs);
    }
    return list_offsets(&w, 0, w.stride, offsets) * vectors(w.stride * outputs) <= apart
               ? w.stride
               : 1;
}

static void part_begin(const struct spread *spread, int64_t row, int64_t column,
                       int64_t joined, struct part *part) {
    const struct axis h = axis_h(spread), w = axis_w(spread);
    part->row = row;
    part->column = column;
    part->joined = joined;
    part->outputs = joined * spread->channels_out;
    part->height = list_offsets(&h, row, 1, part->rows);
    part->width = list_offsets(&w, column, joined, part->columns);
    part->taps = part->height * part->width * spread->channels_in;
}

static bool is_dot(const struct part *part) {
    return conv_dot_suits(part->outputs, part->taps);
}

/* Columns of packed weights: at least 2, because the format for one column is another. */
static int64_t packed_columns(const struct part *part) {
    return max64(part->outputs, 2);
}

/* Floats of a part's packed weights. */
static size_t packed_count(const struct part *part) {
    return is_dot(part)
               ? size_align((size_t)(part->outputs * part->taps), (size_t)LINE_COUNT)
               : gemm_pack_size(part->taps, packed_columns(part)) / sizeof(float);
}

bool spread_phases_suit(const struct spread *spread) {
    const int64_t kernel = spread->kernel_h * spread->kernel_w;
    return spread->stride_h <= STEP_MAX && spread->stride_w <= STEP_MAX &&
           spread->dilation_h <= STEP_MAX && spread->dilation_w <= STEP_MAX &&
           spread->kernel_h <= CONV_DIRECT_TAPS_MAX &&
           spread->kernel_w <= CONV_DIRECT_TAPS_MAX && kernel <= CONV_DIRECT_TAPS_MAX &&
           divide_up(spread->kernel_h, spread->stride_h) *
                   (divide_up(spread->kernel_w, spread->stride_w) + 1) *
                   spread->channels_in <=
               CONV_DIRECT_TAPS_MAX;
}

/* ---- weights ------------------------------------------------------------------------
 */

/* The weights of one tap and phase for all outputs, `step` apart. */
static void pack_tap(const struct spread *spread, const float *w, int64_t tap,
                     int64_t step, float *packed) {
    const int64_t kernel = spread->kernel_h * spread->kernel_w;
    for (int64_t o = 0; tap >= 0 && o < spread->channels_out; o++) {
        packed[o * step] = w[o * kernel + tap];
    }
}

/* Row `t` of a part's weights: one input channel at one place of the window. */
static void pack_row(const struct spread *spread, const struct part *part, const float *w,
                     int64_t t, float *packed) {
    const struct axis ah = axis_h(spread), aw = axis_w(spread);
    const int64_t inputs = spread->channels_in, outputs = spread->channels_out;
    const int64_t place = t / inputs, c = t % inputs;
    const int64_t i = tap_at(&ah, part->row, part->rows[place / part->width]);
    const float *from = w + c * outputs * spread->kernel_h * spread->kernel_w;
    for (int64_t p = 0; p < part->joined; p++) {
        const int64_t j =
            tap_at(&aw, part->column + p, part->columns[place % part->width]);
        const int64_t tap = j < 0 ? -1 : i * spread->kernel_w + j;
        if (is_dot(part)) {
            pack_tap(spread, from, tap, part->taps,
                     packed + p * outputs * part->taps + t);
            continue;
        }
        for (int64_t o = 0; tap >= 0 && o < outputs; o++) {
            packed[gemm_packed_index(part->taps, packed_columns(part), t,
                                     p * outputs + o)] =
                from[o * spread->kernel_h * spread->kernel_w + tap];
        }
    }
}

size_t spread_phases_pack_size(const struct spread *spread) {
    const int64_t joined = joined_phases(spread);
    struct part part;
    size_t count = 0;
    for (int64_t row = 0; row < spread->stride_h; row++) {
        for (int64_t column = 0; column < spread->stride_w; column += joined) {
            part_begin(spread, row, column, joined, &part);
            if (!size_add(count, packed_count(&part), &count)) {
                return SIZE_MAX;
            }
        }
    }
    return count > SIZE_MAX / sizeof(float) ? SIZE_MAX : count * sizeof(float);
}

void spread_phases_pack(const struct spread *spread, const float *w, float *packed) {
    const int64_t joined = joined_phases(spread);
    struct part part;
    memset(packed, 0, spread_phases_pack_size(spread));
    for (int64_t row = 0; row < spread->stride_h; row++) {
        for (int64_t column = 0; column < spread->stride_w; column += joined) {
            part_begin(spread, row, column, joined, &part);
            for (int64_t t = 0; t < part.taps; t++) {
                pack_row(spread, &part, w, t, packed);
            }
            packed += packed_count(&part);
        }
    }
}

/* ---- images -------------------------------------------------------------------------
 */

/* The image with zeros around it, as far as windows reach. */
struct frame {
    int64_t top, left, height, width;
    int64_t pitch; /* floats between two pixels */
};

static int64_t reach(const struct axis *axis, int64_t before) {
    return before + max64(axis->in, phase_size(axis, 0) + highest(axis));
}

static struct frame frame_of(const struct spread *spread) {
    const struct axis h = axis_h(spread), w = axis_w(spread);
    const int64_t top = max64(0, -lowest(&h)), left = max64(0, -lowest(&w));
    const int64_t channels = spread->channels_in;
    return (struct frame){
        .top = top,
        .left = left,
        .height = reach(&h, top),
        .width = reach(&w, left),
        .pitch = channels % PITCH_COUNT == 0 ? channels + LINE_COUNT : channels,
    };
}

/* The image is its own frame. */
static bool is_framed(const struct spread *spread, const struct frame *frame) {
    return frame->height == spread->in_h && frame->width == spread->in_w &&
           frame->pitch == spread->channels_in;
}

size_t spread_phases_scratch_size(const struct spread *spread) {
    const struct frame frame = frame_of(spread);
    size_t count;
    if (is_framed(spread, &frame)) {
        return 0;
    }
    return size_mul((size_t)frame.height, (size_t)frame.width, &count) &&
                   size_mul(count, (size_t)frame.pitch, &count) && count <= INT32_MAX
               ? count * sizeof(float)
               : SIZE_MAX;
}

static void frame_image(const struct spread *spread, const struct frame *frame,
                        const float *x, float *framed) {
    const int64_t channels = spread->channels_in, pitch = frame->pitch;
    for (int64_t y = 0; y < frame->height; y++) {
        const int64_t row = y - frame->top;
        const bool inside = row >= 0 && row < spread->in_h;
        const int64_t left = inside ? frame->left : frame->width;
        const int64_t end = inside ? frame->left + spread->in_w : frame->width;
        float *to = framed + y * frame->width * pitch;
        memset(to, 0, (size_t)(left * pitch) * sizeof(*to));
        memset(to + end * pitch, 0, (size_t)((frame->width - end) * pitch) * sizeof(*to));
        to += left * pitch;
        if (inside && pitch == channels) {
            memcpy(to, x, (size_t)(spread->in_w * channels) * sizeof(*to));
            x += spread->in_w * channels;
            continue;
        }
        for (int64_t p = left; p < end; p++, to += pitch, x += channels) {
            memcpy(to, x, (size_t)channels * sizeof(*to));
        }
    }
}

/* ---- run ----------------------------------------------------------------------------
 */

/* One part of some rows: what both kernels are told. */
struct work {
    const struct spread *spread;
    const struct frame *frame;
    struct part part;
    const float *x, *packed, *bias; /* bias: for all of the part's outputs, or NULL */
    float *y;
    int64_t height, width, outputs; /* of the result, in pixels of the part */
    float floor, ceil;
};

static void run_strip(const struct work *w) {
    const struct spread *spread = w->spread;
    const struct part *part = &w->part;
    const int64_t row = w->frame->width * w->frame->pitch;
    int32_t taps[CONV_DIRECT_TAPS_MAX];
    struct conv_strip s = {
        .x = w->x,
        .x_row = row,
        .x_pixel = w->frame->pitch,
        .taps = taps,
        .k = part->taps,
        .floor = w->floor,
        .ceil = w->ceil,
        .y_row = spread->stride_h * spread->out_w * spread->channels_out,
        .y_pixel = spread->stride_w * spread->channels_out,
        .out_h = w->height,
        .out_w = w->width,
    };
    for (int64_t t = 0; t < s.k; t++) {
        const int64_t place = t / spread->channels_in;
        taps[t] = (int32_t)(part->rows[place / part->width] * row +
                            part->columns[place % part->width] * w->frame->pitch +
                            t % spread->channels_in);
    }
    for (int64_t col = 0; col < w->outputs; col += GEMM_PANEL) {
        s.w = w->packed + col * s.k;
        s.ldw = gemm_panel_width(packed_columns(part) - col);
        s.cols = min64(GEMM_PANEL, w->outputs - col);
        s.bias = w->bias != NULL ? w->bias + col : NULL;
        s.y = w->y + col;
        kernels_current()->conv_strip(&s);
    }
}

static void run_dot(const struct work *w) {
    const struct spread *spread = w->spread;
    const struct part *part = &w->part;
    const int64_t row = w->frame->width * w->frame->pitch;
    /* A row of the window is one piece. */
    const bool whole =
        w->frame->pitch == spread->channels_in &&
        part->columns[part->width - 1] - part->columns[0] == part->width - 1;
    const int64_t columns = whole ? 1 : part->width;
    int32_t pieces[CONV_DIRECT_TAPS_MAX];
    const struct conv_dot d = {
        .x = w->x,
        .x_row = row,
        .x_pixel = w->frame->pitch,
        .pieces = pieces,
        .piece_count = part->height * columns,
        .size = part->width / columns * spread->channels_in,
        .w = w->packed,
        .w_output = part->taps,
        .outputs = w->outputs,
        .bias = w->bias,
        .floor = w->floor,
        .ceil = w->ceil,
        .y = w->y,
        .y_row = spread->stride_h * spread->out_w * spread->channels_out,
        .y_pixel = spread->stride_w * spread->channels_out,
        .out_h = w->height,
        .out_w = w->width,
    };
    for (int64_t i = 0; i < d.piece_count; i++) {
        pieces[i] = (int32_t)(part->rows[i / columns] * row +
                              part->columns[i % columns] * w->frame->pitch);
    }
    kernels_current()->conv_dot(&d);
}

/* Whole groups of joined phases, then what is left of them at the right edge. */
static void run_part(const struct work *work) {
    const int64_t joined = work->part.joined, all = work->width;
    struct work w = *work;
    w.width = all / joined;
    w.outputs = work->part.outputs;
    if (w.height > 0 && w.width > 0) {
        (is_dot(&w.part) ? run_dot : run_strip)(&w);
    }
    if (w.height > 0 && all % joined > 0) {
        w.x += w.width * w.frame->pitch;
        w.y += w.width * joined * w.spread->channels_out;
        w.width = 1;
        w.outputs = all % joined * w.spread->channels_out;
        (is_dot(&w.part) ? run_dot : run_strip)(&w);
    }
}

/* Rows q .. q + rows of each phase of an image that is framed. */
static void run_rows(struct work *w, int64_t q, int64_t rows, const float *x,
                     const float *packed, float *y) {
    const struct spread *spread = w->spread;
    const struct axis ah = axis_h(spread), aw = axis_w(spread);
    const int64_t joined = joined_phases(spread), channels = spread->channels_out;
    w->packed = packed;
    w->x = x + ((q + w->frame->top) * w->frame->width + w->frame->left) * w->frame->pitch;
    for (int64_t row = 0; row < spread->stride_h; row++) {
        for (int64_t column = 0; column < spread->stride_w; column += joined) {
            part_begin(spread, row, column, joined, &w->part);
            w->height = min64(rows, phase_size(&ah, row) - q);
            w->width = joined > 1 ? spread->out_w : phase_size(&aw, column);
            w->y = y + ((q * spread->stride_h + row) * spread->out_w + column) * channels;
            run_part(w);
            w->packed += packed_count(&w->part);
        }
    }
}

void spread_phases_run(const struct spread *spread, int64_t batch, const float *x,
                       const float *packed, const float *bias, float *y, void *scratch) {
    const struct frame frame = frame_of(spread);
    const struct axis ah = axis_h(spread);
    const int64_t x_count = spread->in_h * spread->in_w * spread->channels_in;
    const int64_t y_count = spread->out_h * spread->out_w * spread->channels_out;
    const int64_t all = phase_size(&ah, 0);
    const int64_t rows = max64(PIECE_COUNT / (frame.width * frame.pitch), 1);
    float joined_bias[GEMM_PANEL];
    struct work w = {.spread = spread, .frame = &frame, .bias = bias};
    const struct act *rest = act_clamps(&spread->act, &w.floor, &w.ceil);
    if (bias != NULL && joined_phases(spread) > 1) {
        for (int64_t i = 0; i < spread->stride_w * spread->channels_out; i++) {
            joined_bias[i] = bias[i % spread->channels_out];
        }
        w.bias = joined_bias;
    }
    for (int64_t b = 0; b < batch; b++, x += x_count, y += y_count) {
        const float *image = x;
        if (!is_framed(spread, &frame)) {
            frame_image(spread, &frame, x, scratch);
            image = scratch;
        }
        for (int64_t q = 0; q < all; q += rows) {
            run_rows(&w, q, rows, image, packed, y);
        }
        if (rest != NULL) {
            act_run(rest, y_count, y, y);
        }
    }
}
