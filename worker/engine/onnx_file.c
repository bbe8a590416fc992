/* onnx_file.c - see onnx_file.h. */
#include "engine/onnx_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <onnx.pb-c.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/size.h"
#include "engine/pages.h"

/* Unpacked messages are larger than their bytes: a node of two bytes takes 150.  An
 * honest file is mostly weights, so this is far above what any needs. */
enum { UNPACKED_RATIO = 16 };
#define UNPACKED_EXTRA ((size_t)64 << 20)

#define RAW_DATA_FIELD 9 /* of TensorProto */

enum wire { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

/* One open message of the walk. */
struct level {
    const ProtobufCMessageDescriptor *type;
    size_t end;
    size_t length_at; /* where its length is written */
    size_t less;      /* bytes cut out of it so far */
};

/* A place where the copy is to differ: another length, or data cut out behind one. */
struct edit {
    size_t at, size; /* of the length as it is written */
    size_t length;   /* the new one */
    size_t cut;      /* bytes of data that go; 0 for a length alone */
};

/* The edits of a file, in no order. */
struct edits {
    struct edit *items;
    size_t count, room, cut; /* bytes that all of them cut */
    bool failed;             /* memory ran out */
};

static bool read_varint(struct span bytes, size_t *at, size_t end, uint64_t *value) {
    uint64_t result = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte;
        if (*at >= end) {
            return false;
        }
        byte = bytes.data[(*at)++];
        result |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            *value = result;
            return true;
        }
    }
    return false;
}

/* Passes over one field's value; for bytes *size is their length and *at their start. */
static bool read_value(struct span bytes, size_t *at, size_t end, unsigned wire,
                       size_t *size) {
    uint64_t value = 0;
    *size = 0;
    switch ((enum wire)wire) {
    case WIRE_VARINT:
        return read_varint(bytes, at, end, &value);
    case WIRE_FIXED64:
        *size = 8;
        break;
    case WIRE_FIXED32:
        *size = 4;
        break;
    case WIRE_BYTES:
        if (!read_varint(bytes, at, end, &value) || value > SIZE_MAX) {
            return false;
        }
        *size = (size_t)value;
        break;
    default:
        return false; /* groups, which ONNX does not use, and what is no wire type */
    }
    return *size <= end - *at;
}

static void edits_add(struct edits *edits, struct edit edit) {
    if (edits->count == edits->room) {
        size_t room = edits->room * 2 + 64;
        struct edit *grown = realloc(edits->items, room * sizeof(*grown));
        if (grown == NULL) {
            edits->failed = true;
            return;
        }
        edits->items = grown;
        edits->room = room;
    }
    edits->items[edits->count++] = edit;
}

/* Bytes of the varint at `at`. */
static size_t varint_size(struct span bytes, size_t at) {
    size_t end = at;
    while (end < bytes.size && (bytes.data[end] & 0x80) != 0) {
        end++;
    }
    return end + 1 - at;
}

/* Raw data, whose `size` bytes begin at `at`, behind a length at `length_at`. */
static void cut_out(struct edits *edits, struct level *level, size_t length_at, size_t at,
                    size_t size) {
    struct edit edit = {
        .at = length_at, .size = at - length_at, .length = ONNX_CUT_SIZE, .cut = size};
    if (level->type == &onnx__tensor_proto__descriptor && size >= ONNX_CUT_SIZE) {
        level->less += size - ONNX_CUT_SIZE;
        edits->cut += size - ONNX_CUT_SIZE;
        edits_add(edits, edit);
    }
}

/* A message has ended: if something was cut out of it, it is shorter. */
static void close_level(struct span bytes, struct edits *edits, struct level *levels,
                        int depth) {
    const struct level *level = &levels[depth];
    size_t size;
    if (depth == 0 || level->less == 0) {
        return;
    }
    size = varint_size(bytes, level->length_at);
    edits_add(edits, (struct edit){.at = level->length_at,
                                   .size = size,
                                   .length = level->end - level->length_at - size -
                                             level->less});
    levels[depth - 1].less += level->less;
}

static enum status scan_error(struct error *err, size_t at, const char *what) {
    return error_set(err, STATUS_INVALID, "not an ONNX file or damaged: %s at byte %zu",
                     what, at);
}

/* Collects in `edits` what is to be cut out.  STATUS_INVALID with the byte offset where
 * `bytes` is no message of type `type`. */
static enum status scan(struct span bytes, const ProtobufCMessageDescriptor *type,
                        struct edits *edits, struct error *err) {
    struct level levels[ONNX_NESTING_MAX];
    size_t at = 0;
    int depth = 0;
    levels[0] = (struct level){.type = type, .end = bytes.size};
    while (depth >= 0) {
        struct level *level = &levels[depth];
        const ProtobufCFieldDescriptor *field;
        size_t start = at, length_at, size;
        uint64_t tag;
        if (at == level->end) {
            close_level(bytes, edits, levels, depth);
            depth--;
            continue;
        }
        if (!read_varint(bytes, &at, level->end, &tag) || tag >> 3 == 0 ||
            tag > UINT32_MAX) {
            return scan_error(err, start, "a bad field number");
        }
        length_at = at;
        if (!read_value(bytes, &at, level->end, tag & 7, &size)) {
            return scan_error(err, start, "a field that runs past its end");
        }
        field =
            protobuf_c_message_descriptor_get_field(level->type, (unsigned)(tag >> 3));
        if ((tag & 7) == WIRE_BYTES && field != NULL &&
            field->type == PROTOBUF_C_TYPE_MESSAGE) {
            if (depth + 1 == ONNX_NESTING_MAX) {
                return scan_error(err, start, "messages nested deeper than 64");
            }
            levels[++depth] = (struct level){
                .type = field->descriptor, .end = at + size, .length_at = length_at};
        } else {
            if ((tag & 7) == WIRE_BYTES && tag >> 3 == RAW_DATA_FIELD) {
                cut_out(edits, level, length_at, at, size);
            }
            at += size;
        }
    }
    return STATUS_OK;
}

/* ---- the copy without weights ----------------------------------------------------- */

static int compare_edits(const void *a, const void *b) {
    const struct edit *left = a, *right = b;
    return left->at < right->at ? -1 : left->at > right->at;
}

/* As wide as the one it stands for, so that nothing around it moves. */
static void write_varint(uint8_t *to, size_t value, size_t width) {
    for (size_t i = 0; i < width; i++, value >>= 7) {
        to[i] = (uint8_t)((value & 0x7f) | (i + 1 < width ? 0x80 : 0));
    }
}

/* Writes the copy to `to` and returns its size.  The edits are sorted. */
static size_t write_copy(struct span bytes, const struct edits *edits, uint8_t *to) {
    size_t from = 0, size = 0;
    for (size_t i = 0; i < edits->count; i++) {
        const struct edit *edit = &edits->items[i];
        struct onnx_cut cut = {.data = bytes.data + edit->at + edit->size,
                               .size = edit->cut};
        memcpy(to + size, bytes.data + from, edit->at - from);
        size += edit->at - from;
        write_varint(to + size, edit->length, edit->size);
        size += edit->size;
        if (edit->cut > 0) {
            to[size] = 0;
            memcpy(to + size + 1, &cut, sizeof(cut));
            size += ONNX_CUT_SIZE;
        }
        from = edit->at + edit->size + edit->cut;
    }
    memcpy(to + size, bytes.data + from, bytes.size - from);
    return size + bytes.size - from;
}

/* *copy is the caller's; its data is NULL where nothing is cut out. */
static enum status copy_without_weights(struct span bytes, struct edits *edits,
                                        struct span *copy, struct error *err) {
    uint8_t *to;
    *copy = span_of(NULL, 0);
    if (edits->failed) {
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    }
    if (edits->count == 0) {
        return STATUS_OK;
    }
    to = malloc(bytes.size - edits->cut);
    if (to == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    }
    qsort(edits->items, edits->count, sizeof(*edits->items), compare_edits);
    *copy = span_of(to, write_copy(bytes, edits, to));
    assert(copy->size == bytes.size - edits->cut);
    return STATUS_OK;
}

/* ---- unpacking -------------------------------------------------------------------- */

static void *bounded_alloc(void *data, size_t size) {
    struct onnx_file *file = data;
    void *memory;
    if (size > file->limit - file->used) {
        return NULL;
    }
    memory = malloc(size);
    if (memory != NULL) {
        file->used += size;
    }
    return memory;
}

/* What is freed is not given back to the limit: protobuf-c frees only when done. */
static void bounded_free(void *data, void *memory) {
    (void)data;
    free(memory);
}

static enum status unpack(struct onnx_file *file, struct span bytes,
                          const ProtobufCMessageDescriptor *type, struct error *err) {
    file->allocator = (ProtobufCAllocator){
        .alloc = bounded_alloc, .free = bounded_free, .allocator_data = file};
    if (!size_mul(bytes.size, UNPACKED_RATIO, &file->limit) ||
        !size_add(file->limit, UNPACKED_EXTRA, &file->limit)) {
        return error_set(err, STATUS_INVALID, "the file is too large");
    }
    file->message =
        protobuf_c_message_unpack(type, &file->allocator, bytes.size, bytes.data);
    if (file->message == NULL) {
        return error_set(err, STATUS_INVALID,
                         "not an ONNX file, damaged, or larger than memory allows");
    }
    return STATUS_OK;
}

enum status onnx_unpack(struct onnx_file *file, struct span bytes,
                        const ProtobufCMessageDescriptor *type, struct error *err) {
    struct edits edits = {0};
    struct span copy = {0};
    enum status status = scan(bytes, type, &edits, err);
    if (status == STATUS_OK) {
        status = copy_without_weights(bytes, &edits, &copy, err);
    }
    free(edits.items);
    if (status != STATUS_OK) {
        return status;
    }
    if (copy.data == NULL) {
        copy = bytes;
    }
    status = unpack(file, copy, type, err);
    if (copy.data != bytes.data) {
        free((void *)(uintptr_t)copy.data);
    }
    return status;
}

void onnx_cut_done(struct onnx_file *file, const struct onnx_cut *cut) {
    const uint8_t *begin = file->map;
    if (begin != NULL) {
        pages_forget((uint8_t *)file->map + (cut->data - begin), cut->size);
    }
}

void onnx_done(struct onnx_file *file) {
    if (file->map != NULL) {
        (void)munmap(file->map, file->map_size); /* a mapping of ours; cannot fail */
    }
    file->map = NULL;
}

void onnx_release(struct onnx_file *file) {
    onnx_done(file);
    if (file->message != NULL) {
        protobuf_c_message_free_unpacked(file->message, &file->allocator);
    }
    *file = (struct onnx_file){0};
}

static enum status open_regular(const char *path, size_t size_max, int *fd, size_t *size,
                                struct error *err) {
    struct stat info;
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0 || fstat(*fd, &info) != 0) {
        return error_set(err, STATUS_INVALID, "cannot open: %s", strerror(errno));
    }
    if (!S_ISREG(info.st_mode)) {
        return error_set(err, STATUS_INVALID, "not a regular file");
    }
    if (info.st_size <= 0) {
        return error_set(err, STATUS_INVALID, "the file is empty");
    }
    if ((uint64_t)info.st_size > size_max) {
        return error_set(err, STATUS_INVALID, "%lld bytes, at most %zu are allowed",
                         (long long)info.st_size, size_max);
    }
    *size = (size_t)info.st_size;
    return STATUS_OK;
}

enum status onnx_read(struct onnx_file *file, const char *path, size_t size_max,
                      const ProtobufCMessageDescriptor *type, struct error *err) {
    enum status status;
    int fd = -1;
    *file = (struct onnx_file){0};
    status = open_regular(path, size_max, &fd, &file->map_size, err);
    if (status != STATUS_OK) {
        goto done;
    }
    file->map = mmap(NULL, file->map_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (file->map == MAP_FAILED) {
        file->map = NULL;
        status = error_set(err, STATUS_NO_MEMORY, "cannot map: %s", strerror(errno));
        goto done;
    }
    status = onnx_unpack(file, span_of(file->map, file->map_size), type, err);
done:
    if (fd >= 0) {
        (void)close(fd); /* read only: nothing to lose */
    }
    return status;
}
