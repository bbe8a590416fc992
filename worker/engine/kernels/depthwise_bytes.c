/* depthwise_bytes.c - convolutions of bytes with one channel a group, channels last.
 *
 * A few rows of the image are copied with their padding, each row cut by the stride:
 *
 *     stride 2    columns 0 2 4 ..  | columns 1 3 5 ..
 *
 * so that what one tap sees of a whole row of results is one piece of memory, pixels by
 * channels, as the results are.  The kernel takes it in pieces of 64 bytes; the channels
 * of these come again after `period` pieces.  Where that would be too many, each pixel is
 * taken alone. */
#include "base/size.h"
#include "engine/kernels/conv_bytes_impl.h"
#include "engine/kernels/kernels.h"

#define BAND_BYTES (48 * 1024)
#define PERIOD_MAX 40 /* pieces */
enum { PIECE = DEPTHWISE_BYTES };

struct depthwise {
    struct conv_bytes_axis h, w;
    int64_t channels, taps, quads, period;
    bool by_pixel;
    int64_t plane, row;             /* bytes of a row's columns of one place, of a row */
    int64_t band_out, band_in;      /* rows of results made at once, and what they see */
    size_t scale, bias, list, band; /* in scratch, behind `add` */
    size_t size;
};

static int64_t common_factor(int64_t a, int64_t b) {
    while (b != 0) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static struct depthwise depthwise_of(const struct conv_bytes *c) {
    static const struct conv_bytes_axis flat = {1, 1, 1, 1, 1, 0};
    struct depthwise d = {.h = c->axes > 1 ? c->axis[0] : flat,
                          .w = c->axis[c->axes - 1],
                          .channels = c->channels_in};
    size_t numbers;
    /* A single result does not step, however far. */
    d.h.stride = d.h.out > 1 ? d.h.stride : 1;
    d.w.stride = d.w.out > 1 ? d.w.stride : 1;
    d.taps = d.h.kernel * d.w.kernel * (c->doubled ? 2 : 1);
    d.quads = d.taps / 4 + (d.taps % 4 > 0);
    d.period = d.channels / common_factor(d.channels, PIECE);
    d.by_pixel = d.period > PERIOD_MAX;
    d.period = d.by_pixel ? d.channels / PIECE + (d.channels % PIECE > 0) : d.period;
    d.plane = (d.w.out + (d.w.kernel - 1) * d.w.dilation / d.w.stride) * d.channels;
    d.row = d.plane * d.w.stride;
    d.band_in = (d.h.kernel - 1) * d.h.dilation + 1;
    d.band_out = BAND_BYTES / (d.row * d.h.stride + 1) + 1;
    d.band_out = d.band_out < d.h.out ? d.band_out : d.h.out;
    d.band_in += (d.band_out > 0 ? d.band_out - 1 : 0) * d.h.stride;
    numbers = (size_t)(d.period * PIECE) * sizeof(int32_t);
    d.scale = numbers;
    d.bias = 2 * numbers;
    d.list = 3 * numbers;
    d.band = d.list + size_align((size_t)(4 * d.quads) * sizeof(uint8_t *), 64);
    d.size = d.band + (size_t)(d.band_in * d.row) + PIECE;
    return d;
}

size_t depthwise_bytes_scratch_size(const struct conv_bytes *c) {
    return depthwise_of(c).size;
}

/* ---- weights ---------------------------------------------------------------------- */

/* Packed are the sums of the channels' weights, then [period, quads, 4, PIECE]. */
static size_t sums_size(const struct depthwise *d) {
    return size_align((size_t)d->channels * sizeof(int32_t), 64);
}

/* The part of it that depends on weights alone: conv_bytes's sizes may be 0 yet. */
size_t depthwise_bytes_pack_size(const struct conv_bytes *c) {
    const struct depthwise d = depthwise_of(c);
    size_t size;
    return size_mul((size_t)(d.period * d.quads), (size_t)4 * PIECE, &size) &&
                   size_add(size, sums_size(&d), &size)
               ? size
               : SIZE_MAX;
}

/* Where the kernel has place `at` of a piece: in the order of its sums. */
static int64_t place_of(int64_t at) {
    return at / 4 % 4 * 16 + at / 16 * 4 + at % 4;
}

/* The channel at `at` of the period; -1 behind the last. */
static int64_t channel_at(const struct depthwise *d, int64_t at) {
    return !d->by_pixel ? at % d->channels : at < d->channels ? at : -1;
}

static int32_t clamped(int32_t x) {
    return x < INT8_MIN ? INT8_MIN : x > INT8_MAX ? INT8_MAX : x;
}

/* Tap `t` of a channel's weights; doubled, the second half is what a byte did not hold of
 * the first. */
static int32_t weight_at(const struct conv_bytes *c, const uint8_t *w, int32_t zero,
                         int64_t taps, int64_t t) {
    const int64_t single = c->doubled ? taps / 2 : taps;
    const int32_t whole = (int8_t)(w[t % single] ^ c->w_flip) - zero;
    return t < single ? clamped(whole) : whole - clamped(whole);
}

void depthwise_bytes_pack(const struct conv_bytes *c, const uint8_t *w,
                          const int32_t *zero, void *packed) {
    const struct depthwise d = depthwise_of(c);
    const int64_t single = d.h.kernel * d.w.kernel;
    int32_t *sums = packed;
    int8_t *to = (int8_t *)packed + sums_size(&d);
    memset(to, 0, (size_t)(d.period * d.quads * 4 * PIECE));
    for (int64_t i = 0; i < d.channels; i++) {
        sums[i] = 0;
        for (int64_t t = 0; t < d.taps; t++) {
            sums[i] +=
                weight_at(c, w + i * single, zero == NULL ? 0 : zero[i], d.taps, t);
        }
    }
    for (int64_t at = 0; at < d.period * PIECE; at++) {
        const int64_t channel = channel_at(&d, at);
        for (int64_t t = 0; t < d.taps && channel >= 0; t++) {
            int8_t *quad =
                to + ((at / PIECE * d.quads + t / 4) * PIECE + place_of(at % PIECE)) * 4;
            quad[t % 4] = (int8_t)weight_at(c, w + channel * single,
                                            zero == NULL ? 0 : zero[channel], d.taps, t);
        }
    }
}

void depthwise_bytes_columns(const struct conv_bytes *c, const void *packed,
                             int32_t *sums) {
    memcpy(sums, packed, (size_t)c->channels_in * sizeof(*sums));
}

/* ---- run -------------------------------------------------------------------------- */

/* Numbers of four bytes, one for each channel, over the period: in their order, or in
 * that of the sums. */
static void spread(const struct depthwise *d, const void *from, bool woven, void *to) {
    const unsigned char *channels = from;
    for (int64_t at = 0; at < d->period * PIECE; at += 4) {
        const int64_t piece = at - at % PIECE;
        unsigned char *four =
            (unsigned char *)to + 4 * (woven ? piece + place_of(at % PIECE) : at);
        if (d->channels % 4 == 0 && channel_at(d, at) >= 0) {
            memcpy(four, channels + 4 * channel_at(d, at), 16);
            continue;
        }
        memset(four, 0, 16);
        for (int64_t i = 0; i < 4; i++) {
            const int64_t channel = channel_at(d, at + i);
            if (channel >= 0) {
                memcpy(four + 4 * i, channels + 4 * channel, 4);
            }
        }
    }
}

void depthwise_bytes_begin(const struct conv_bytes *c, const struct gemm_bytes_tail *tail,
                           uint8_t *scratch) {
    const struct depthwise d = depthwise_of(c);
    spread(&d, tail->add, true, scratch);
    if (tail->scale != NULL) {
        spread(&d, tail->scale, tail->form == GEMM_BYTES_BYTES, scratch + d.scale);
    }
    if (tail->bias != NULL) {
        spread(&d, tail->bias, false, scratch + d.bias);
    }
}

/* Columns first, first + stride, .. of a row of the image, of which there are `count`. */
static void copy_columns(const struct depthwise *d, const struct conv_bytes_image *i,
                         const uint8_t *row, int64_t first, uint8_t *to) {
    const int64_t count = d->plane / d->channels, stride = d->w.stride;
    int64_t begin = first < 0 ? (-first + stride - 1) / stride : 0;
    int64_t end = first < d->w.in ? (d->w.in - 1 - first) / stride + 1 : 0;
    begin = begin < count ? begin : count;
    end = end < count ? end : count;
    end = end > begin ? end : begin;
    memset(to, i->x_zero, (size_t)(begin * d->channels));
    if (stride == 1 && i->flip == 0) {
        memcpy(to + begin * d->channels, row + (first + begin) * d->channels,
               (size_t)((end - begin) * d->channels));
    } else if (i->flip == 0) {
        for (int64_t p = begin; p < end; p++) {
            copy_bytes(to + p * d->channels, row + (first + p * stride) * d->channels,
                       d->channels);
        }
    } else {
        const int64_t at_once = stride == 1 ? end - begin : 1;
        for (int64_t p = begin; p < end; p += at_once) {
            gemm_bytes_flip(at_once * d->channels,
                            row + (first + p * stride) * d->channels, i->flip,
                            to + p * d->channels);
        }
    }
    memset(to + end * d->channels, i->x_zero, (size_t)((count - end) * d->channels));
}

/* The rows that `count` rows of results from `first` on see. */
static void copy_band(const struct depthwise *d, const struct conv_bytes_image *i,
                      int64_t first, int64_t count, uint8_t *band) {
    const int64_t top = first * d->h.stride - d->h.pad;
    const int64_t rows =
        (count - 1) * d->h.stride + (d->h.kernel - 1) * d->h.dilation + 1;
    for (int64_t r = 0; r < rows; r++, band += d->row) {
        if (top + r < 0 || top + r >= d->h.in) {
            memset(band, i->x_zero, (size_t)d->row);
            continue;
        }
        for (int64_t s = 0; s < d->w.stride; s++) {
            copy_columns(d, i, i->x + (top + r) * d->w.in * d->channels, s - d->w.pad,
                         band + s * d->plane);
        }
    }
}

/* What each tap sees first of a row of results; those that fill up the last four see
 * anything, for they weigh nothing. */
static void list_taps(const struct depthwise *d, const uint8_t *band,
                      const uint8_t **list) {
    const int64_t single = d->h.kernel * d->w.kernel;
    for (int64_t t = 0; t < 4 * d->quads; t++) {
        const int64_t tap = t < d->taps ? t % single : 0;
        const int64_t column = tap % d->w.kernel * d->w.dilation;
        list[t] = band + tap / d->w.kernel * d->h.dilation * d->row +
                  column % d->w.stride * d->plane + column / d->w.stride * d->channels;
    }
}

static void run_row(const struct depthwise *d, struct depthwise_bytes *kernel,
                    size_t width, const uint8_t **list) {
    const struct kernels_bytes *kernels = kernels_current()->bytes;
    unsigned char *y = kernel->y;
    kernel->count = d->by_pixel ? d->channels : d->w.out * d->channels;
    for (int64_t p = 0; p < (d->by_pixel ? d->w.out : 1); p++) {
        kernel->y = y + (size_t)(p * d->channels) * width;
        kernels->depthwise(kernel);
        for (int64_t t = 0; t < 4 * d->quads; t++) {
            list[t] += d->channels;
        }
    }
}

void depthwise_bytes_run(const struct conv_bytes *c, const struct conv_bytes_image *i) {
    const struct depthwise d = depthwise_of(c);
    const struct gemm_bytes_tail *tail = i->tail;
    const size_t width = tail->form == GEMM_BYTES_BYTES ? 1 : 4;
    const uint8_t **list = (const uint8_t **)(void *)(i->scratch + d.list);
    uint8_t *band = i->scratch + d.band;
    struct depthwise_bytes kernel = {.quads = d.quads,
                                     .x = list,
                                     .period = d.period,
                                     .w = (const int8_t *)i->packed + sums_size(&d),
                                     .tail = *tail};
    kernel.tail.add = (const int32_t *)(void *)i->scratch;
    kernel.tail.scale = (const float *)(void *)(i->scratch + d.scale);
    kernel.tail.bias =
        tail->bias == NULL ? NULL : (const float *)(void *)(i->scratch + d.bias);
    for (int64_t row = 0; row < d.h.out; row += d.band_out) {
        const int64_t left = d.h.out - row, rows = left < d.band_out ? left : d.band_out;
        copy_band(&d, i, row, rows, band);
        for (int64_t r = 0; r < rows; r++) {
            list_taps(&d, band + r * d.h.stride * d.row, list);
            kernel.y = (unsigned char *)i->y +
                       (size_t)((row + r) * d.w.out * d.channels) * width;
            run_row(&d, &kernel, width, list);
        }
    }
}
