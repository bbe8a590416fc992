/* strided.c - see strided.h. */
#include "engine/ops/strided.h"

#include <assert.h>

#include "engine/kernels/elementwise.h"

/* Of an array without elements, or one that is refused a little later, a product of its
 * dims may not fit; nobody uses it then. */
static int64_t product(int64_t a, int64_t b) {
    return (int64_t)((uint64_t)a * (uint64_t)b);
}

void strided_dense(const int64_t *dims, int rank, int64_t *steps) {
    int64_t step = 1;
    for (int i = rank - 1; i >= 0; i--) {
        steps[i] = step;
        step = product(step, dims[i]);
    }
}

void strided_simplify(struct strided *copy) {
    int used = 0;
    assert(copy->rank <= STRIDED_RANK_MAX);
    for (int i = 0; i < copy->rank; i++) {
        int64_t dim = copy->dims[i];
        if (dim == 1) {
            continue;
        }
        if (used > 0 && copy->from_step[used - 1] == product(dim, copy->from_step[i]) &&
            copy->to_step[used - 1] == product(dim, copy->to_step[i])) {
            copy->dims[used - 1] = product(copy->dims[used - 1], dim);
            copy->from_step[used - 1] = copy->from_step[i];
            copy->to_step[used - 1] = copy->to_step[i];
            continue;
        }
        copy->dims[used] = dim;
        copy->from_step[used] = copy->from_step[i];
        copy->to_step[used++] = copy->to_step[i];
    }
    copy->rank = used;
}

struct element16 {
    uint64_t half[2];
};

#define COPY_LINE(type)                                  \
    do {                                                 \
        const type *source = from;                       \
        type *target = to;                               \
        for (int64_t i = 0; i < count; i++) {            \
            target[i * to_step] = source[i * from_step]; \
        }                                                \
    } while (0)

static void copy_line(size_t size, int64_t count, const void *from, int64_t from_step,
                      void *to, int64_t to_step) {
    if (from_step == 1 && to_step == 1) {
        memcpy(to, from, (size_t)count * size);
    } else if (size == 1) {
        COPY_LINE(uint8_t);
    } else if (size == 2) {
        COPY_LINE(uint16_t);
    } else if (size == 4) {
        COPY_LINE(uint32_t);
    } else if (size == 8) {
        COPY_LINE(uint64_t);
    } else {
        assert(size == sizeof(struct element16));
        COPY_LINE(struct element16);
    }
}

/* The two innermost axes are a matrix to be transposed. */
static bool is_transpose(const struct strided *copy, size_t size) {
    int last = copy->rank - 1;
    return copy->rank >= 2 && size == sizeof(float) && copy->to_step[last] == 1 &&
           copy->from_step[last - 1] == 1 &&
           copy->to_step[last - 1] == copy->dims[last] &&
           copy->from_step[last] == copy->dims[last - 1];
}

void strided_run(const struct strided *copy, size_t element_size, const void *from,
                 void *to) {
    int64_t index[STRIDED_RANK_MAX] = {0};
    const uint8_t *source = from;
    uint8_t *target = to;
    int64_t size = (int64_t)element_size;
    bool transpose = is_transpose(copy, element_size);
    int outer = copy->rank - (transpose ? 2 : copy->rank > 0 ? 1 : 0);
    for (int i = 0; i < copy->rank; i++) {
        if (copy->dims[i] == 0) {
            return;
        }
    }
    for (;;) {
        int axis = outer - 1;
        if (copy->rank == 0) {
            memcpy(target, source, element_size);
        } else if (transpose) {
            transpose_f32(copy->dims[outer + 1], copy->dims[outer], (const void *)source,
                          (void *)target);
        } else {
            copy_line(element_size, copy->dims[outer], source, copy->from_step[outer],
                      target, copy->to_step[outer]);
        }
        while (axis >= 0 && ++index[axis] == copy->dims[axis]) {
            source -= (copy->dims[axis] - 1) * copy->from_step[axis] * size;
            target -= (copy->dims[axis] - 1) * copy->to_step[axis] * size;
            index[axis--] = 0;
        }
        if (axis < 0) {
            return;
        }
        source += copy->from_step[axis] * size;
        target += copy->to_step[axis] * size;
    }
}
