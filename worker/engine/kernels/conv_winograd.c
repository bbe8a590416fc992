/* conv_winograd.c - 3x3 convolutions of stride 1 with fewer multiplications (Winograd);
 * see conv_impl.h.
 *
 *     tiles of pixels --B^T d B--> V [points, tiles, inputs]
 *     weights         --G g G^T--> U [points; inputs, outputs], at load
 *     V U = M [points, tiles, outputs] --A^T m A--> squares of results
 *
 * A tile of 6 x 6 pixels gives 4 x 4 results by 36 products instead of 144; its weights
 * are 4 times as large.  Where that is too much memory to stream, a tile of 4 x 4 gives
 * 2 x 2: 16 products instead of 36, and weights of 16/9.  The sums are exact to about
 * 1e-5 of the largest term.  An infinite pixel makes its whole tile NaN. */
#include <string.h>

#include "engine/kernels/conv_impl.h"
#include "engine/kernels/gemm.h"
#include "engine/kernels/kernels.h"

#define SMALL_TILE 4
#define LARGE_TILE 6
#define POINTS_MAX (LARGE_TILE * LARGE_TILE)

/* Most products of channels whose weights are kept for the large tile: 9 MB of them. */
#define LARGE_TILE_CHANNELS_MAX (256 * 256)

/* Floats of V and M together: a piece passes through the second and third cache. */
#define PIECE_COUNT (640 * 1024)
/* Between the points of a tile, so that they do not fight for cache sets. */
#define STEP_PAD 16
#define PIECE_TILES_MIN 28
#define PIECE_TILES_MAX 196

static int64_t min64(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t divide_up(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

static int tile_of(const struct conv *conv) {
    return conv->channels_in * conv->channels_out <= LARGE_TILE_CHANNELS_MAX ? LARGE_TILE
                                                                             : SMALL_TILE;
}

static int64_t piece_tiles(const struct conv *conv) {
    const int64_t points = tile_of(conv) * tile_of(conv);
    const int64_t tiles =
        PIECE_COUNT / (points * (conv->channels_in + conv->channels_out));
    return tiles < PIECE_TILES_MIN ? PIECE_TILES_MIN : min64(tiles, PIECE_TILES_MAX);
}

int64_t conv_winograd_points(const struct conv *conv) {
    return tile_of(conv) * tile_of(conv);
}

size_t conv_winograd_scratch(const struct conv *conv) {
    const int64_t points = conv_winograd_points(conv);
    return (size_t)(points *
                        (piece_tiles(conv) * (conv->channels_in + conv->channels_out) +
                         2 * STEP_PAD) +
                    conv->channels_in);
}

/* ---- weights ----------------------------------------------------------------------- */

/* Input channels whose weights are turned at a time: they stay in the first cache. */
#define TURNED_CHANNELS 16

void conv_winograd_pack(const struct conv *conv, const float *w, float *packed) {
    const struct kernels *kernels = kernels_current();
    const int64_t inputs = conv->channels_in, outputs = conv->channels_out;
    const int tile = tile_of(conv), points = tile * tile;
    const size_t each = gemm_pack_size(inputs, outputs);
    const int64_t step = (int64_t)(each / sizeof(*packed));
    float turned[TURNED_CHANNELS * 9 * GEMM_PANEL]; /* [channels, 9, outputs] */
    if (outputs % GEMM_PANEL_STEP != 0) {
        memset(packed, 0, each * (size_t)points);
    }
    for (int64_t first = 0; first < outputs; first += GEMM_PANEL) {
        const int64_t wide = min64(outputs - first, GEMM_PANEL);
        for (int64_t c = 0; c < inputs; c += TURNED_CHANNELS) {
            const int64_t channels = min64(inputs - c, TURNED_CHANNELS);
            kernels->transpose(wide, channels * 9, w + (first * inputs + c) * 9,
                               inputs * 9, turned, GEMM_PANEL);
            for (int64_t i = 0; i < channels; i++) {
                float *to = packed + gemm_packed_index(inputs, outputs, c + i, first);
                kernels->winograd_weights(tile, wide, turned + i * 9 * GEMM_PANEL,
                                          GEMM_PANEL, to, step);
            }
        }
    }
}

/* ---- tiles ------------------------------------------------------------------------- */

/* Where results of one tile begin. */
struct tile_place {
    int64_t image, y, x;
};

static struct tile_place place_of(const struct conv *conv, int size, int64_t index) {
    const int64_t across = divide_up(conv->out_w, size);
    const int64_t each = across * divide_up(conv->out_h, size);
    const int64_t at = index % each;
    return (struct tile_place){
        .image = index / each, .y = at / across * size, .x = at % across * size};
}

static void load_tile(const struct conv *conv, int tile, const struct tile_place *at,
                      const float *x, const float *zeros, const float **pixels) {
    const float *image = x + at->image * conv->in_h * conv->in_w * conv->channels_in;
    for (int i = 0; i < tile * tile; i++) {
        const int64_t y = at->y + i / tile - conv->pad_top;
        const int64_t column = at->x + i % tile - conv->pad_left;
        const bool inside =
            y >= 0 && y < conv->in_h && column >= 0 && column < conv->in_w;
        pixels[i] =
            inside ? image + (y * conv->in_w + column) * conv->channels_in : zeros;
    }
}

static void store_tile(const struct conv *conv, int size, const struct tile_place *at,
                       float *y, float **pixels) {
    float *image = y + at->image * conv->out_h * conv->out_w * conv->channels_out;
    for (int i = 0; i < size * size; i++) {
        const int64_t row = at->y + i / size, column = at->x + i % size;
        const bool inside = row < conv->out_h && column < conv->out_w;
        pixels[i] =
            inside ? image + (row * conv->out_w + column) * conv->channels_out : NULL;
    }
}

/* A piece: tiles `first` .. `first` + `tiles` of all images. */
struct piece {
    const struct conv *conv;
    const struct kernels *kernels;
    int tile;
    int64_t first, tiles;
    float *v, *m, *zeros;
    int64_t v_step, m_step; /* between points */
};

static void transform_input(const struct piece *p, const float *x) {
    const float *pixels[POINTS_MAX];
    for (int64_t i = 0; i < p->tiles; i++) {
        const struct tile_place at = place_of(p->conv, p->tile - 2, p->first + i);
        load_tile(p->conv, p->tile, &at, x, p->zeros, pixels);
        p->kernels->winograd_input(p->tile, p->conv->channels_in, pixels,
                                   p->v + i * p->conv->channels_in, p->v_step);
    }
}

static void multiply(const struct piece *p, const float *packed) {
    const int64_t inputs = p->conv->channels_in, outputs = p->conv->channels_out;
    const size_t step = gemm_pack_size(inputs, outputs) / sizeof(*packed);
    for (int i = 0; i < p->tile * p->tile; i++) {
        gemm_run(p->tiles, outputs, inputs, p->v + i * p->v_step, inputs,
                 packed + (size_t)i * step, NULL, p->m + i * p->m_step, outputs);
    }
}

static void transform_output(const struct piece *p, const float *bias, float *y) {
    const int size = p->tile - 2;
    struct winograd_out o = {.channels = p->conv->channels_out,
                             .m_step = p->m_step,
                             .bias = bias,
                             .accumulate = p->conv->accumulate};
    const struct act *rest = act_clamps(&p->conv->act, &o.floor, &o.ceil);
    float *pixels[POINTS_MAX];
    for (int64_t i = 0; i < p->tiles; i++) {
        const struct tile_place at = place_of(p->conv, size, p->first + i);
        store_tile(p->conv, size, &at, y, pixels);
        p->kernels->winograd_output(p->tile, &o, p->m + i * o.channels, pixels);
        for (int k = 0; rest != NULL && k < size * size; k++) {
            if (pixels[k] != NULL) {
                act_run(rest, o.channels, pixels[k], pixels[k]);
            }
        }
    }
}

void conv_winograd_run(const struct conv *conv, int64_t batch, const float *x,
                       const float *packed, const float *bias, float *y, float *scratch) {
    const int tile = tile_of(conv);
    const int64_t most = piece_tiles(conv), points = tile * tile;
    const int64_t tiles =
        batch * divide_up(conv->out_h, tile - 2) * divide_up(conv->out_w, tile - 2);
    const int64_t pieces = divide_up(tiles, most);
    struct piece p = {.conv = conv,
                      .kernels = kernels_current(),
                      .tile = tile,
                      .v = scratch,
                      .m = scratch + points * (most * conv->channels_in + STEP_PAD),
                      .zeros = scratch +
                               points * (most * (conv->channels_in + conv->channels_out) +
                                         2 * STEP_PAD)};
    memset(p.zeros, 0, (size_t)conv->channels_in * sizeof(*p.zeros));
    for (int64_t i = 0; i < pieces; i++, p.first += p.tiles) {
        p.tiles = (tiles - p.first + pieces - i - 1) / (pieces - i);
        p.v_step = p.tiles * conv->channels_in + STEP_PAD;
        p.m_step = p.tiles * conv->channels_out + STEP_PAD;
        transform_input(&p, x);
        multiply(&p, packed);
        transform_output(&p, bias, y);
    }
}
