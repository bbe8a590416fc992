/* npy.c - reading .npy files; see npy.h.
 *
 * A file is "\x93NUMPY", major, minor, the header's length (2 bytes, since 2.0 4), the
 * header, and the elements.  The header is a Python dict:
 *
 *     {'descr': '<f4', 'fortran_order': False, 'shape': (320, 28, 28, 1), }
 *
 * Nothing in it is believed before it was held against the bytes that are there. */
#include "tools/npy.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>

#include "base/size.h"
#include "tools/file.h"
#include "tools/npy_types.h"

#define MAGIC "\x93NUMPY"
#define MAGIC_SIZE 6
#define ALIGNMENT 64

/* A cursor over the header's text. */
struct scan {
    const char *at;
    const char *end;
};

/* What the header says. */
struct header {
    struct npy_type type;
    bool fortran;
    int rank;
    int64_t dims[TENSOR_RANK_MAX];
    bool has_type, has_order, has_shape;
};

static void skip_space(struct scan *scan) {
    while (scan->at < scan->end && isspace((unsigned char)*scan->at)) {
        scan->at++;
    }
}

static bool take_char(struct scan *scan, char c) {
    skip_space(scan);
    if (scan->at == scan->end || *scan->at != c) {
        return false;
    }
    scan->at++;
    return true;
}

static bool take_word(struct scan *scan, const char *word) {
    size_t size = strlen(word);
    skip_space(scan);
    if ((size_t)(scan->end - scan->at) < size || memcmp(scan->at, word, size) != 0) {
        return false;
    }
    scan->at += size;
    return true;
}

/* A quoted text without escapes, which no key or type has. */
static bool take_text(struct scan *scan, struct span *text) {
    skip_space(scan);
    if (scan->at == scan->end || (*scan->at != '\'' && *scan->at != '"')) {
        return false;
    }
    const char *start = scan->at + 1;
    const char *close = memchr(start, *scan->at, (size_t)(scan->end - start));
    if (close == NULL) {
        return false;
    }
    *text = span_of(start, (size_t)(close - start));
    scan->at = close + 1;
    return true;
}

static bool take_dim(struct scan *scan, int64_t *dim) {
    int64_t value = 0;
    const char *start;
    skip_space(scan);
    start = scan->at;
    while (scan->at < scan->end && isdigit((unsigned char)*scan->at)) {
        int digit = *scan->at++ - '0';
        if (value > (INT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *dim = value;
    return scan->at > start;
}

static enum status take_shape(struct scan *scan, struct header *header,
                              struct error *err) {
    header->rank = 0;
    if (!take_char(scan, '(')) {
        return error_set(err, STATUS_INVALID, "the shape is not a tuple");
    }
    while (!take_char(scan, ')')) {
        if (header->rank == TENSOR_RANK_MAX) {
            return error_set(err, STATUS_INVALID, "it has more than %d dimensions",
                             TENSOR_RANK_MAX);
        }
        if (!take_dim(scan, &header->dims[header->rank++])) {
            return error_set(err, STATUS_INVALID,
                             "the shape holds what is not a number from 0 to 2^63-1");
        }
        if (!take_char(scan, ',')) {
            if (!take_char(scan, ')')) {
                return error_set(err, STATUS_INVALID, "the shape has no end");
            }
            break;
        }
    }
    header->has_shape = true;
    return STATUS_OK;
}

static enum status take_entry(struct scan *scan, struct span key, struct header *header,
                              struct error *err) {
    struct span text;
    if (span_is(key, "descr")) {
        if (!take_text(scan, &text)) {
            return error_set(err, STATUS_INVALID,
                             "the type is not a simple one (a record type?)");
        }
        header->has_type = true;
        return npy_type_parse(text, &header->type, err);
    }
    if (span_is(key, "fortran_order")) {
        header->has_order = true;
        header->fortran = take_word(scan, "True");
        if (!header->fortran && !take_word(scan, "False")) {
            return error_set(err, STATUS_INVALID, "fortran_order is not True or False");
        }
        return STATUS_OK;
    }
    if (span_is(key, "shape")) {
        return take_shape(scan, header, err);
    }
    return error_set(err, STATUS_INVALID, "the header has an unknown key");
}

static enum status parse_header(struct span text, struct header *header,
                                struct error *err) {
    struct scan scan = {.at = (const char *)text.data,
                        .end = (const char *)text.data + text.size};
    if (!take_char(&scan, '{')) {
        return error_set(err, STATUS_INVALID, "the header is not a dict");
    }
    while (!take_char(&scan, '}')) {
        struct span key;
        if (!take_text(&scan, &key) || !take_char(&scan, ':')) {
            return error_set(err, STATUS_INVALID, "the header is damaged");
        }
        enum status status = take_entry(&scan, key, header, err);
        if (status != STATUS_OK) {
            return status;
        }
        (void)take_char(&scan, ','); /* Python allows one behind the last entry */
    }
    if (!header->has_type || !header->has_order || !header->has_shape) {
        return error_set(err, STATUS_INVALID,
                         "the header lacks descr, fortran_order or shape");
    }
    return STATUS_OK;
}

/* Splits the file into the header's text and the elements' bytes. */
static enum status split_file(struct span file, struct span *header,
                              struct span *elements, struct error *err) {
    size_t prefix, size;
    if (file.size < MAGIC_SIZE + 4 || memcmp(file.data, MAGIC, MAGIC_SIZE) != 0) {
        return error_set(err, STATUS_INVALID, "it is not a .npy file");
    }
    int major = file.data[MAGIC_SIZE];
    if (major < 1 || major > 3) {
        return error_set(err, STATUS_INVALID, ".npy format %d is not known", major);
    }
    const uint8_t *length = file.data + MAGIC_SIZE + 2;
    prefix = MAGIC_SIZE + 2 + (major == 1 ? 2 : 4);
    if (file.size < prefix) {
        return error_set(err, STATUS_INVALID, "it ends within the header");
    }
    size = (size_t)length[0] | (size_t)length[1] << 8;
    if (major > 1) {
        size |= (size_t)length[2] << 16 | (size_t)length[3] << 24;
    }
    if (size > NPY_HEADER_SIZE_MAX || size > file.size - prefix) {
        return error_set(err, STATUS_INVALID,
                         "its header of %zu bytes is too long, or the file is cut", size);
    }
    *header = span_of(file.data + prefix, size);
    *elements = span_of(file.data + prefix + size, file.size - prefix - size);
    return STATUS_OK;
}

/* The element of the file that stands at row-major place `index`. */
static size_t fortran_place(const struct header *header, size_t index) {
    size_t place = 0;
    size_t strides[TENSOR_RANK_MAX];
    size_t stride = 1;
    for (int axis = 0; axis < header->rank; axis++) {
        strides[axis] = stride;
        stride *= (size_t)header->dims[axis];
    }
    for (int axis = header->rank - 1; axis >= 0; axis--) {
        size_t dim = (size_t)header->dims[axis];
        place += index % dim * strides[axis];
        index /= dim;
    }
    return place;
}

static void copy_numbers(const struct header *header, const uint8_t *from, size_t count,
                         uint8_t *to) {
    size_t size = header->type.size;
    if (header->type.dtype == DTYPE_BOOL) {
        for (size_t i = 0; i < count; i++) { /* kernels rely on 0 and 1 */
            to[i] = from[header->fortran ? fortran_place(header, i) : i] != 0;
        }
        return;
    }
    if (!header->fortran && !header->type.swapped) {
        memcpy(to, from, count * size);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        size_t place = header->fortran ? fortran_place(header, i) : i;
        for (size_t b = 0; b < size; b++) {
            size_t byte = header->type.swapped ? size - 1 - b : b;
            to[i * size + b] = from[place * size + byte];
        }
    }
}

static enum status copy_texts(const struct header *header, const uint8_t *from,
                              size_t count, struct npy_array *array, struct error *err) {
    struct span *items = array->elements;
    size_t room, used = 0;
    if (!size_mul(count, npy_text_size_max(&header->type), &room) ||
        (array->texts = malloc(room + 1)) == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for %zu texts", count);
    }
    for (size_t i = 0; i < count; i++) {
        size_t place = header->fortran ? fortran_place(header, i) : i;
        char *to = array->texts + used;
        size_t size =
            npy_text_decode(&header->type, from + place * header->type.size, to);
        items[i] = span_of(to, size);
        used += size;
    }
    return STATUS_OK;
}

/* Both checks come before any memory is asked for. */
static enum status check_size(const struct header *header, size_t size, size_t *count,
                              struct error *err) {
    size_t expected = 0;
    if (!tensor_dims_count(header->dims, header->rank, count) ||
        !size_mul(*count, header->type.size, &expected)) {
        return error_set(err, STATUS_INVALID, "its shape is too large");
    }
    if (expected != size) {
        return error_set(err, STATUS_INVALID,
                         "its shape needs %zu bytes of elements, it has %zu", expected,
                         size);
    }
    return STATUS_OK;
}

enum status npy_parse(struct span file, struct npy_array *array, struct error *err) {
    struct header header = {.rank = 0};
    struct span text = {0}, elements = {0};
    struct npy_array made = {.elements = NULL};
    size_t count = 0, bytes = 0;
    enum status status = split_file(file, &text, &elements, err);
    *array = (struct npy_array){.elements = NULL};
    if (status == STATUS_OK) {
        status = parse_header(text, &header, err);
    }
    if (status == STATUS_OK) {
        status = check_size(&header, elements.size, &count, err);
    }
    if (status != STATUS_OK) {
        goto done;
    }
    /* Texts of no bytes would otherwise let a small file claim any count. */
    if (count > NPY_FILE_SIZE_MAX / sizeof(struct span) ||
        !size_mul(count, dtype_size(header.type.dtype), &bytes) ||
        posix_memalign(&made.elements, ALIGNMENT, size_max(bytes, 1)) != 0) {
        made.elements = NULL;
        status = error_set(err, STATUS_NO_MEMORY, "no memory for %zu elements", count);
        goto done;
    }
    made.tensor.dtype = header.type.dtype;
    made.tensor.rank = header.rank;
    memcpy(made.tensor.dims, header.dims, sizeof(header.dims));
    made.tensor.data = made.elements;
    if (header.type.dtype == DTYPE_STRING) {
        status = copy_texts(&header, elements.data, count, &made, err);
    } else {
        copy_numbers(&header, elements.data, count, made.elements);
    }
done:
    if (status == STATUS_OK) {
        *array = made;
    } else {
        npy_release(&made);
    }
    return status;
}

enum status npy_layout_read(struct span head, uint64_t file_size,
                            struct npy_layout *layout, struct error *err) {
    struct header header = {.rank = 0};
    struct span text = {0}, elements = {0};
    size_t count = 0;
    enum status status = split_file(head, &text, &elements, err);
    *layout = (struct npy_layout){.size = 0};
    if (status == STATUS_OK) {
        status = parse_header(text, &header, err);
    }
    if (status == STATUS_OK) {
        layout->offset = (size_t)(elements.data - head.data);
        status = check_size(&header, (size_t)(file_size - layout->offset), &count, err);
    }
    if (status == STATUS_OK) {
        layout->tensor.dtype = header.type.dtype;
        layout->tensor.rank = header.rank;
        memcpy(layout->tensor.dims, header.dims, sizeof(header.dims));
        layout->size = header.type.size;
        layout->swapped = header.type.swapped;
        layout->fortran = header.fortran;
        layout->wide = header.type.wide;
    }
    return status;
}

enum status npy_read(const char *path, struct npy_array *array, struct error *err) {
    struct file_bytes bytes = {0};
    enum status status = file_read(path, NPY_FILE_SIZE_MAX, &bytes, err);
    *array = (struct npy_array){.elements = NULL};
    if (status != STATUS_OK) {
        return status;
    }
    status = npy_parse(bytes.span, array, err);
    file_bytes_release(&bytes);
    return status == STATUS_OK ? status : error_prefix(err, "%s", path);
}

void npy_release(struct npy_array *array) {
    free(array->elements);
    free(array->texts);
    *array = (struct npy_array){.elements = NULL};
}
