/* conv_bytes.c - see conv_bytes.h.
 *
 *     image, channels last        block of windows [rows, kernel * channels]     y
 *       pixel  pixel  pixel   ──►   a row of taps is one piece of memory    ──►  [rows,
 * n]
 *
 * A kernel of 1 without strides sees the image as it is, and nothing is gathered. */
#include "engine/kernels/conv_bytes_impl.h"

#include "base/size.h"
#include "engine/kernels/kernels.h"

/* Bytes of windows gathered before they are multiplied: they stay in the second cache. */
#define BLOCK_BYTES (96 * 1024)

static int64_t pixels_in(const struct conv_bytes *c) {
    int64_t count = 1;
    for (int i = 0; i < c->axes; i++) {
        count *= c->axis[i].in;
    }
    return count;
}

/* Of the result. */
static int64_t pixels_out(const struct conv_bytes *c) {
    const int64_t size = c->pool_2x2 ? 2 : 1;
    int64_t count = 1;
    for (int i = 0; i < c->axes; i++) {
        count *= c->axis[i].out / size;
    }
    return count;
}

static int64_t taps_of(const struct conv_bytes *c) {
    int64_t count = 1;
    for (int i = 0; i < c->axes; i++) {
        count *= c->axis[i].kernel;
    }
    return count;
}

static int64_t group_k(const struct conv_bytes *c) {
    return c->channels_in / c->groups * taps_of(c);
}

/* The taps along the last axis, which lie side by side. */
static int64_t taps_in_row(const struct conv_bytes *c) {
    return c->axis[c->axes - 1].kernel;
}

/* Bytes of a row of taps, and of all taps, as weights are packed. */
static int64_t packed_piece(const struct conv_bytes *c) {
    return direct_bytes_fits(c) ? direct_bytes_piece(c)
                                : c->channels_in / c->groups * taps_in_row(c);
}

static int64_t packed_k(const struct conv_bytes *c) {
    return taps_of(c) / taps_in_row(c) * packed_piece(c);
}

bool conv_bytes_is_depthwise(const struct conv_bytes *c) {
    return c->groups > 1 && c->channels_in == c->groups && c->channels_out == c->groups &&
           c->axes <= 2;
}

bool conv_bytes_pools(const struct conv_bytes *c) {
    return c->axes == 2 && direct_bytes_fits(c);
}

/* The windows are the image's pixels themselves. */
static bool is_plain(const struct conv_bytes *c) {
    bool plain = c->channels_in / c->groups % 4 == 0;
    for (int i = 0; i < c->axes; i++) {
        const struct conv_bytes_axis *a = &c->axis[i];
        plain =
            plain && a->kernel == 1 && a->stride == 1 && a->pad == 0 && a->out == a->in;
    }
    return plain;
}

/* ---- packing ---------------------------------------------------------------------- */

size_t conv_bytes_pack_size(const struct conv_bytes *c) {
    size_t size;
    if (conv_bytes_is_depthwise(c)) {
        return depthwise_bytes_pack_size(c);
    }
    size = gemm_bytes_pack_size(packed_k(c), c->channels_out / c->groups);
    return size_mul(size, (size_t)c->groups, &size) ? size : SIZE_MAX;
}

size_t conv_bytes_pack_scratch(const struct conv_bytes *c) {
    return conv_bytes_is_depthwise(c) ? 0 : size_align((size_t)packed_k(c), GEMM_PANEL);
}

/* One output's weights, [channels, taps], as windows have them: [taps, channels].  What
 * is left of a piece is 0. */
static void turn_weights(const struct conv_bytes *c, const uint8_t *w, uint8_t *to) {
    const int64_t channels = c->channels_in / c->groups, taps = taps_of(c);
    const int64_t row = taps_in_row(c), piece = packed_piece(c);
    memset(to, c->w_flip, (size_t)packed_k(c));
    for (int64_t t = 0; t < taps; t++) {
        for (int64_t i = 0; i < channels; i++) {
            to[t / row * piece + t % row * channels + i] = w[i * taps + t];
        }
    }
}

void conv_bytes_pack(const struct conv_bytes *c, const uint8_t *w, const int32_t *zero,
                     void *packed, void *scratch) {
    const int64_t k = packed_k(c), weights = group_k(c);
    const int64_t made = c->channels_out / c->groups;
    const size_t size = gemm_bytes_pack_size(k, made);
    if (conv_bytes_is_depthwise(c)) {
        depthwise_bytes_pack(c, w, zero, packed);
        return;
    }
    for (int64_t g = 0; g < c->groups; g++) {
        void *to = (uint8_t *)packed + (size_t)g * size;
        gemm_bytes_pack_begin(k, made, to);
        for (int64_t j = 0; j < made; j++) {
            turn_weights(c, w + (g * made + j) * weights, scratch);
            gemm_bytes_pack_column(k, made, j, scratch, c->w_flip, to);
        }
    }
}

void conv_bytes_columns(const struct conv_bytes *c, const void *packed, int32_t *sums) {
    const int64_t made = c->channels_out / c->groups;
    const size_t size = gemm_bytes_pack_size(packed_k(c), made);
    if (conv_bytes_is_depthwise(c)) {
        depthwise_bytes_columns(c, packed, sums);
        return;
    }
    for (int64_t g = 0; g < c->groups; g++) {
        memcpy(sums + g * made,
               gemm_bytes_columns((const uint8_t *)packed + (size_t)g * size),
               (size_t)made * sizeof(*sums));
    }
}

/* ---- scratch ---------------------------------------------------------------------- */

/* Where things lie in scratch, in bytes. */
struct areas {
    size_t image, result, way, size;
    size_t block, taps, row_sums; /* of windows, behind `way` */
    int64_t rows, row_size;       /* of a block */
};

/* The other ways flip and pad in a copy of their own. */
static bool copies_image(const struct conv_bytes *c) {
    const bool flips = !conv_bytes_is_depthwise(c) && !direct_bytes_fits(c);
    return (!c->x_last && c->channels_in > 1) || (c->flip != 0 && flips);
}

/* Everything stays below the count of elements that the caller has checked, times a few.
 */
static struct areas areas_of(const struct conv_bytes *c) {
    struct areas l = {.row_size = gemm_bytes_row_size(group_k(c))};
    const int64_t pixels = pixels_out(c), most = BLOCK_BYTES / l.row_size + 12;
    const int64_t blocks = pixels / most + (pixels % most > 0);
    l.rows = blocks > 0 ? (pixels + blocks - 1) / blocks : 0;
    l.result = copies_image(c)
                   ? size_align((size_t)(pixels_in(c) * c->channels_in), GEMM_PANEL * 2)
                   : 0;
    l.way = l.result;
    l.way += c->y_last ? 0
                       : size_align((size_t)(pixels * c->channels_out) * sizeof(int32_t),
                                    GEMM_PANEL * 2);
    l.block = l.way;
    l.taps = l.block;
    l.taps += is_plain(c) ? 0 : size_align((size_t)(l.rows * l.row_size), 64);
    l.row_sums =
        l.taps + size_align((size_t)(taps_of(c) / taps_in_row(c)) * sizeof(int64_t), 64);
    l.size = l.row_sums + (size_t)(l.rows + 1) * sizeof(int32_t);
    if (conv_bytes_is_depthwise(c)) {
        l.size = l.way + depthwise_bytes_scratch_size(c);
    } else if (direct_bytes_fits(c)) {
        l.size = l.way + direct_bytes_scratch_size(c);
    }
    return l;
}

size_t conv_bytes_scratch_size(const struct conv_bytes *c) {
    return areas_of(c).size;
}

/* ---- windows ---------------------------------------------------------------------- */

/* What one row of windows along the last axis sees of the image. */
struct view {
    const struct conv_bytes *c;
    int64_t outer; /* taps along the other axes */
    int64_t *taps; /* [outer] the first pixel of the row each sees; -1 in the padding */
};

/* The taps of the row of windows number `row`. */
static void look(struct view *v, int64_t row) {
    const struct conv_bytes *c = v->c;
    for (int64_t t = 0; t < v->outer; t++) {
        int64_t at = 0, step = c->axis[c->axes - 1].in, tap = t, out = row;
        for (int i = c->axes - 2; i >= 0; i--) {
            const struct conv_bytes_axis *a = &c->axis[i];
            const int64_t place =
                out % a->out * a->stride + tap % a->kernel * a->dilation - a->pad;
            at = at < 0 || place < 0 || place >= a->in ? -1 : at + place * step;
            step *= a->in;
            tap /= a->kernel;
            out /= a->out;
        }
        v->taps[t] = at;
    }
}

/* One window's taps along the last axis, of channels [from, from + channels) of a row of
 * the image, or of padding where that is NULL. */
static void gather_row(const struct conv_bytes *c, const uint8_t *row, int64_t place,
                       int64_t channels, uint8_t x_zero, uint8_t *to) {
    const struct conv_bytes_axis *a = &c->axis[c->axes - 1];
    const int64_t all = c->channels_in;
    if (row == NULL) {
        memset(to, x_zero, (size_t)(a->kernel * channels));
    } else if (a->dilation == 1 && channels == all) {
        int64_t first = place < 0 ? -place : 0, end = a->in - place;
        first = first < a->kernel ? first : a->kernel;
        end = end < a->kernel ? end : a->kernel;
        end = end > first ? end : first;
        if (first > 0 || end < a->kernel) {
            memset(to, x_zero, (size_t)(a->kernel * channels));
        }
        copy_bytes(to + first * all, row + (place + first) * all, (end - first) * all);
    } else {
        for (int64_t t = 0; t < a->kernel; t++, to += channels) {
            const int64_t at = place + t * a->dilation;
            if (at < 0 || at >= a->in) {
                memset(to, x_zero, (size_t)channels);
            } else {
                copy_bytes(to, row + at * all, channels);
            }
        }
    }
}

/* The windows [first, first + rows) of one group.  Behind their bytes anything may be:
 * the kernel multiplies it by zeros. */
static void gather(struct view *v, const struct conv_bytes_image *i, int64_t group,
                   int64_t first, int64_t rows, int64_t row_size, uint8_t *to) {
    const struct conv_bytes *c = v->c;
    const struct conv_bytes_axis *a = &c->axis[c->axes - 1];
    const int64_t channels = c->channels_in / c->groups, piece = a->kernel * channels;
    const bool whole = a->dilation == 1 && c->groups == 1;
    int64_t line = first / a->out, column = first % a->out;
    look(v, line);
    for (int64_t p = 0; p < rows; p++, to += row_size) {
        const int64_t place = column * a->stride - a->pad;
        const bool inside = whole && place >= 0 && place + a->kernel <= a->in;
        for (int64_t t = 0; t < v->outer; t++) {
            const uint8_t *row =
                v->taps[t] < 0 ? NULL
                               : i->x + v->taps[t] * c->channels_in + group * channels;
            if (inside && row != NULL) {
                copy_bytes(to + t * piece, row + place * channels, piece);
            } else {
                gather_row(c, row, place, channels, i->x_zero, to + t * piece);
            }
        }
        if (++column == a->out && p + 1 < rows) {
            column = 0;
            look(v, ++line);
        }
    }
}

static struct gemm_bytes_tail group_tail(const struct gemm_bytes_tail *tail,
                                         int64_t first, const int32_t *row_sums) {
    struct gemm_bytes_tail t = *tail;
    t.add += first;
    t.b_zero = t.b_zero == NULL ? NULL : t.b_zero + first;
    t.row_sums = row_sums;
    t.scale = t.scale == NULL ? NULL : t.scale + first;
    t.bias = t.bias == NULL ? NULL : t.bias + first;
    return t;
}

static void run_windows(const struct conv_bytes *c, const struct conv_bytes_image *i) {
    const struct areas l = areas_of(c);
    const int64_t pixels = pixels_out(c), k = group_k(c);
    const int64_t channels = c->channels_in / c->groups;
    const int64_t made = c->channels_out / c->groups;
    const size_t packed_size = gemm_bytes_pack_size(k, made);
    const size_t width = i->tail->form == GEMM_BYTES_BYTES ? 1 : 4;
    uint8_t *block = i->scratch + (l.block - l.way);
    int32_t *row_sums = (int32_t *)(void *)(i->scratch + (l.row_sums - l.way));
    struct view v = {c, taps_of(c) / taps_in_row(c),
                     (int64_t *)(void *)(i->scratch + (l.taps - l.way))};
    for (int64_t first = 0; first < pixels; first += l.rows) {
        const int64_t rows = pixels - first < l.rows ? pixels - first : l.rows;
        for (int64_t g = 0; g < c->groups; g++) {
            const struct gemm_bytes_tail tail = group_tail(i->tail, g * made, row_sums);
            const uint8_t *a = i->x + first * c->channels_in + g * channels;
            int64_t lda = c->channels_in;
            if (!is_plain(c)) {
                gather(&v, i, g, first, rows, l.row_size, block);
                a = block;
                lda = l.row_size;
            }
            if (tail.b_zero != NULL) {
                gemm_bytes_row_sums(rows, k, a, lda, row_sums);
            }
            gemm_bytes(rows, made, k, a, lda,
                       (const uint8_t *)i->packed + (size_t)g * packed_size, &tail,
                       (uint8_t *)i->y +
                           (size_t)(first * c->channels_out + g * made) * width,
                       c->channels_out);
        }
    }
}

/* ---- images ----------------------------------------------------------------------- */

/* y[c * ldy + r] = x[r * ldx + c] ^ flip. */
static void turn_bytes(int64_t rows, int64_t cols, const uint8_t *restrict x, int64_t ldx,
                       uint8_t flip, uint8_t *restrict y, int64_t ldy) {
    enum { SIDE = 32 };
    for (int64_t r = 0; r < rows; r += SIDE) {
        const int64_t height = rows - r < SIDE ? rows - r : SIDE;
        for (int64_t i = 0; i < cols; i++) {
            for (int64_t j = 0; j < height; j++) {
                y[i * ldy + r + j] = x[(r + j) * ldx + i] ^ flip;
            }
        }
    }
}

static void turn_result(const struct conv_bytes *c, bool bytes, const void *from,
                        void *to) {
    const int64_t pixels = pixels_out(c);
    if (bytes) {
        turn_bytes(pixels, c->channels_out, from, c->channels_out, 0, to, pixels);
    } else { /* four bytes are four bytes */
        kernels_current()->transpose(pixels, c->channels_out, from, c->channels_out, to,
                                     pixels);
    }
}

void conv_bytes_run(const struct conv_bytes *c, int64_t batch, const uint8_t *x,
                    uint8_t x_zero, const void *packed,
                    const struct gemm_bytes_tail *tail, void *y, void *scratch) {
    const struct areas l = areas_of(c);
    const bool depthwise = conv_bytes_is_depthwise(c);
    const bool bytes = tail->form == GEMM_BYTES_BYTES;
    const int64_t x_size = pixels_in(c) * c->channels_in;
    const int64_t y_size = pixels_out(c) * c->channels_out * (bytes ? 1 : 4);
    uint8_t *all = scratch;
    struct conv_bytes_image i = {
        .x_zero = x_zero, .packed = packed, .tail = tail, .scratch = all + l.way};
    if (depthwise) {
        depthwise_bytes_begin(c, tail, i.scratch);
    }
    for (int64_t item = 0; item < batch && y_size > 0; item++, x += x_size) {
        uint8_t *result = (uint8_t *)y + item * y_size;
        i.x = x;
        i.flip = c->flip;
        if (copies_image(c)) {
            if (c->x_last || c->channels_in == 1) {
                gemm_bytes_flip(x_size, x, c->flip, all);
            } else {
                turn_bytes(c->channels_in, pixels_in(c), x, pixels_in(c), c->flip, all,
                           c->channels_in);
            }
            i.x = all;
            i.flip = 0;
        }
        i.y = c->y_last ? result : all + l.result;
        if (depthwise) {
            depthwise_bytes_run(c, &i);
        } else if (direct_bytes_fits(c)) {
            direct_bytes_run(c, &i);
        } else {
            run_windows(c, &i);
        }
        if (!c->y_last) {
            turn_result(c, bytes, i.y, result);
        }
    }
}
