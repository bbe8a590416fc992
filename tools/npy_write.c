/* npy_write.c - writing .npy files; see npy.h. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/size.h"
#include "tools/file.h"
#include "tools/npy.h"
#include "tools/npy_types.h"

/* Bytes with magic; room for 8 dimensions, a multiple of 64. */
#define HEADER_SIZE NPY_WRITTEN_HEADER_SIZE
#define PREFIX_SIZE 10 /* magic, version, header length */

/* The longest text in code points; NumPy has no texts of 0. */
static size_t text_width(const struct tensor *x) {
    const struct span *items = x->data;
    size_t width = 1;
    for (size_t i = 0; i < tensor_count(x); i++) {
        width = size_max(width, npy_text_count(items[i]));
    }
    return width;
}

/* Fills `header` of HEADER_SIZE bytes. */
static void make_header(const struct tensor *x, size_t width, char *header) {
    char type[32];
    size_t used = PREFIX_SIZE;
    const char *name = npy_type_name(x->dtype == DTYPE_BF16 ? DTYPE_F32 : x->dtype);
    if (x->dtype == DTYPE_STRING) {
        (void)snprintf(type, sizeof(type), "<U%zu", width);
    } else {
        (void)snprintf(type, sizeof(type), "%c%s", name[1] == '1' ? '|' : '<', name);
    }
    memset(header, ' ', HEADER_SIZE);
    memcpy(header, "\x93NUMPY\x01\x00", 8);
    header[8] = (char)((HEADER_SIZE - PREFIX_SIZE) & 0xFF);
    header[9] = (char)((HEADER_SIZE - PREFIX_SIZE) >> 8);
    used += (size_t)snprintf(header + used, HEADER_SIZE - used,
                             "{'descr': '%s', 'fortran_order': False, 'shape': (", type);
    for (int i = 0; i < x->rank; i++) {
        used += (size_t)snprintf(header + used, HEADER_SIZE - used, "%lld,",
                                 (long long)x->dims[i]);
    }
    used += (size_t)snprintf(header + used, HEADER_SIZE - used, "), }");
    assert(used < HEADER_SIZE);
    header[used] = ' ';
    header[HEADER_SIZE - 1] = '\n';
}

void npy_header(const struct tensor *x, char header[NPY_WRITTEN_HEADER_SIZE]) {
    assert(x->dtype != DTYPE_STRING);
    make_header(x, 0, header);
}

static bool write_bytes(FILE *file, const void *data, size_t size) {
    return size == 0 || fwrite(data, 1, size, file) == size;
}

static bool write_texts(FILE *file, const struct tensor *x, size_t width) {
    const struct span *items = x->data;
    size_t size = 0;
    bool written = size_mul(width, 4, &size);
    uint8_t *cell = written ? malloc(size) : NULL;
    written = cell != NULL;
    for (size_t i = 0; written && i < tensor_count(x); i++) {
        memset(cell, 0, size);
        npy_text_encode(items[i], cell);
        written = write_bytes(file, cell, size);
    }
    free(cell);
    return written;
}

/* A bfloat16 is the upper half of a float32. */
static bool write_bf16(FILE *file, const struct tensor *x) {
    const uint16_t *items = x->data;
    bool written = true;
    for (size_t i = 0; written && i < tensor_count(x); i++) {
        uint32_t wide = (uint32_t)items[i] << 16;
        written = write_bytes(file, &wide, sizeof(wide));
    }
    return written;
}

enum status npy_write(const char *path, const struct tensor *x, struct error *err) {
    char header[HEADER_SIZE];
    size_t width = x->dtype == DTYPE_STRING ? text_width(x) : 0;
    FILE *file = fopen(path, "wb");
    bool written;
    if (file == NULL) {
        return error_set(err, STATUS_INVALID, "%s: %s", path, strerror(errno));
    }
    make_header(x, width, header);
    written = write_bytes(file, header, sizeof(header));
    if (written && x->dtype == DTYPE_STRING) {
        written = write_texts(file, x, width);
    } else if (written && x->dtype == DTYPE_BF16) {
        written = write_bf16(file, x);
    } else if (written) {
        written = write_bytes(file, x->data, tensor_size(x));
    }
    if (fclose(file) != 0 || !written) {
        return error_set(err, file_write_status(errno), "%s: cannot write: %s", path,
                         strerror(errno));
    }
    return STATUS_OK;
}
