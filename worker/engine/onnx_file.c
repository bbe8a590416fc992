/* onnx_file.c - see onnx_file.h. */
#include "engine/onnx_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/size.h"

/* Unpacked messages are larger than their bytes: a node of two bytes takes 150.  An
 * honest file is mostly weights, so this is far above what any needs. */
enum { UNPACKED_RATIO = 16 };
#define UNPACKED_EXTRA ((size_t)64 << 20)

enum wire { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

/* One open message of the walk. */
struct level {
    const ProtobufCMessageDescriptor *type;
    size_t end;
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

static enum status scan_error(struct error *err, size_t at, const char *what) {
    return error_set(err, STATUS_INVALID, "not an ONNX file or damaged: %s at byte %zu",
                     what, at);
}

enum status onnx_scan(struct span bytes, const ProtobufCMessageDescriptor *type,
                      struct error *err) {
    struct level levels[ONNX_NESTING_MAX];
    size_t at = 0;
    int depth = 0;
    levels[0] = (struct level){.type = type, .end = bytes.size};
    while (depth >= 0) {
        const struct level *level = &levels[depth];
        const ProtobufCFieldDescriptor *field;
        size_t start = at, size;
        uint64_t tag;
        if (at == level->end) {
            depth--;
            continue;
        }
        if (!read_varint(bytes, &at, level->end, &tag) || tag >> 3 == 0 ||
            tag > UINT32_MAX) {
            return scan_error(err, start, "a bad field number");
        }
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
            levels[++depth] = (struct level){.type = field->descriptor, .end = at + size};
        } else {
            at += size;
        }
    }
    return STATUS_OK;
}

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

enum status onnx_unpack(struct onnx_file *file, struct span bytes,
                        const ProtobufCMessageDescriptor *type, struct error *err) {
    enum status status = onnx_scan(bytes, type, err);
    *file = (struct onnx_file){0};
    if (status != STATUS_OK) {
        return status;
    }
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

void onnx_release(struct onnx_file *file) {
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
    void *map = MAP_FAILED;
    size_t size = 0;
    int fd = -1;
    *file = (struct onnx_file){0};
    status = open_regular(path, size_max, &fd, &size, err);
    if (status != STATUS_OK) {
        goto done;
    }
    map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED) {
        status = error_set(err, STATUS_NO_MEMORY, "cannot map: %s", strerror(errno));
        goto done;
    }
    status = onnx_unpack(file, span_of(map, size), type, err);
done:
    if (map != MAP_FAILED) {
        (void)munmap(map, size); /* a mapping of ours; cannot fail */
    }
    if (fd >= 0) {
        (void)close(fd); /* read only: nothing to lose */
    }
    return status;
}
