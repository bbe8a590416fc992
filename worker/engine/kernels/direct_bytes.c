/* direct_bytes.c - convolutions of bytes of few channels, of which gathering the windows
 * would take longer than multiplying them:
 *
 *     image ──► copy, padded all round ──► for each row of outputs a product, whose rows
 *                                          are the windows where they lie:
 *
 *     window 0   [ row of taps ]  ...  [ row of taps ]  ...     one piece for each row of
 *     window 1      [ row of taps ]  ...  [ row of taps ]       taps, a stride further on
 *
 * A piece is filled up to a multiple of four: there the weights are 0, and the bytes of
 * the pixels that follow are read for nothing. */
#include "engine/kernels/conv_bytes_impl.h"

#include "base/size.h"

#define CHANNELS_MAX 4
#define SLACK 64 /* bytes that may be read behind the copy */

/* The image as rows of pixels: what is copied of it, and where. */
struct plane {
    struct conv_bytes_axis rows, columns;
    int64_t height, width; /* pixels of the copy: what all windows see together */
    int64_t line;          /* bytes of a row of it */
};

bool direct_bytes_fits(const struct conv_bytes *c) {
    return c->groups == 1 && c->channels_in <= CHANNELS_MAX && c->axes <= 2 &&
           c->axis[c->axes - 1].dilation == 1;
}

int64_t direct_bytes_piece(const struct conv_bytes *c) {
    return (c->axis[c->axes - 1].kernel * c->channels_in + 3) / 4 * 4;
}

static int64_t seen(const struct conv_bytes_axis *a) {
    return a->out > 0 ? (a->out - 1) * a->stride + (a->kernel - 1) * a->dilation + 1 : 0;
}

static struct plane plane_of(const struct conv_bytes *c) {
    struct plane p = {.rows = {1, 1, 1, 1, 1, 0}, .columns = c->axis[c->axes - 1]};
    if (c->axes == 2) {
        p.rows = c->axis[0];
    }
    p.height = seen(&p.rows);
    p.width = seen(&p.columns);
    p.line = p.width * c->channels_in;
    return p;
}

static size_t copy_size(const struct plane *p) {
    return size_align((size_t)(p->height * p->line) + SLACK, 64);
}

/* Sums of a pixel, where they are pooled. */
static int64_t sums_step(const struct conv_bytes *c) {
    return (int64_t)size_align((size_t)c->channels_out, GEMM_BYTES_SLACK);
}

/* The copy, then two rows of sums where they are pooled, then the windows' own sums. */
static size_t sums_size(const struct conv_bytes *c) {
    const int64_t pixels = c->pool_2x2 ? 2 * c->axis[1].out : 0;
    return (size_t)(pixels * sums_step(c)) * sizeof(int32_t);
}

size_t direct_bytes_scratch_size(const struct conv_bytes *c) {
    const struct plane p = plane_of(c);
    return copy_size(&p) + sums_size(c) + (size_t)p.columns.out * sizeof(int32_t);
}

/* What of the image lies before `place` of the copy. */
static int64_t clipped(const struct conv_bytes_axis *a, int64_t place) {
    const int64_t at = place - a->pad;
    return at < 0 ? 0 : at < a->in ? at : a->in;
}

static void copy_padded(const struct conv_bytes *c, const struct plane *p,
                        const struct conv_bytes_image *i, uint8_t *to) {
    const int64_t first = clipped(&p->columns, 0), end = clipped(&p->columns, p->width);
    const int64_t count = (end - first) * c->channels_in;
    const int64_t before = (first + p->columns.pad) * c->channels_in;
    for (int64_t y = 0; y < p->height; y++, to += p->line) {
        const int64_t row = y - p->rows.pad;
        if (count == 0 || row < 0 || row >= p->rows.in) {
            memset(to, i->x_zero, (size_t)p->line);
            continue;
        }
        memset(to, i->x_zero, (size_t)before);
        gemm_bytes_flip(count, i->x + (row * p->columns.in + first) * c->channels_in,
                        i->flip, to + before);
        memset(to + before + count, i->x_zero, (size_t)(p->line - before - count));
    }
    memset(to, 0, SLACK);
}

/* The sum of each window's bytes. */
static void add_up(const struct gemm_bytes_pieces *a, int64_t windows, int64_t taps,
                   int32_t *sums) {
    for (int64_t i = 0; i < windows; i++) {
        sums[i] = 0;
        for (int64_t piece = 0; piece < a->count; piece++) {
            int32_t sum;
            gemm_bytes_row_sums(1, taps, a->a + i * a->lda + piece * a->step, 0, &sum);
            sums[i] += sum;
        }
    }
}

/* A row of outputs, of the tail's form, each ldy from the last. */
static void run_row(const struct conv_bytes *c, const struct gemm_bytes_pieces *a,
                    const void *packed, const struct gemm_bytes_tail *tail,
                    int32_t *row_sums, void *y, int64_t ldy) {
    const struct conv_bytes_axis *columns = &c->axis[c->axes - 1];
    struct gemm_bytes_tail own = *tail;
    if (own.b_zero != NULL) {
        add_up(a, columns->out, columns->kernel * c->channels_in, row_sums);
        own.row_sums = row_sums;
    }
    gemm_bytes_pieces(columns->out, c->channels_out, a, packed, &own, y, ldy);
}

static void run_plain(const struct conv_bytes *c, const struct plane *p,
                      struct gemm_bytes_pieces a, const struct conv_bytes_image *i,
                      int32_t *row_sums) {
    const size_t width = i->tail->form == GEMM_BYTES_BYTES ? 1 : 4;
    uint8_t *y = i->y;
    for (int64_t row = 0; row < p->rows.out; row++, a.a += p->rows.stride * p->line) {
        run_row(c, &a, i->packed, i->tail, row_sums, y, c->channels_out);
        y += (size_t)(p->columns.out * c->channels_out) * width;
    }
}

/* Pooled before they become bytes, sums are a quarter of the work. */
static void run_pooled(const struct conv_bytes *c, const struct plane *p,
                       struct gemm_bytes_pieces a, const struct conv_bytes_image *i,
                       int32_t *sums, int32_t *row_sums) {
    const int64_t step = sums_step(c), line = p->columns.out * step;
    const int64_t width = p->columns.out / 2;
    struct gemm_bytes_tail tail = *i->tail;
    uint8_t *y = i->y;
    tail.form = GEMM_BYTES_SUMS;
    for (int64_t row = 0; row < p->rows.out / 2 * 2; row++) {
        run_row(c, &a, i->packed, &tail, row_sums, sums + row % 2 * line, step);
        a.a += p->rows.stride * p->line;
        if (row % 2 == 1) {
            gemm_bytes_pool_2x2(width, c->channels_out, sums, sums + line, step, i->tail,
                                y);
            y += width * c->channels_out;
        }
    }
}

void direct_bytes_run(const struct conv_bytes *c, const struct conv_bytes_image *i) {
    const struct plane p = plane_of(c);
    uint8_t *behind = i->scratch + copy_size(&p);
    int32_t *sums = (int32_t *)(void *)behind;
    int32_t *row_sums = (int32_t *)(void *)(behind + sums_size(c));
    const struct gemm_bytes_pieces a = {.a = i->scratch,
                                        .lda = p.columns.stride * c->channels_in,
                                        .count = p.rows.kernel,
                                        .quads = direct_bytes_piece(c) / 4,
                                        .step = p.rows.dilation * p.line};
    copy_padded(c, &p, i, i->scratch);
    if (c->pool_2x2) {
        run_pooled(c, &p, a, i, sums, row_sums);
    } else {
        run_plain(c, &p, a, i, row_sums);
    }
}
