/* file.c - see file.h.  Files are mapped: nothing is copied, and what a command does
 * not look at is never read. */
#include "tools/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum status file_read(const char *path, size_t size_max, struct file_bytes *bytes,
                      struct error *err) {
    struct stat info;
    void *memory;
    enum status status = STATUS_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    *bytes = (struct file_bytes){.span = {.data = NULL, .size = 0}};
    if (fd < 0 || fstat(fd, &info) != 0) {
        status = error_set(err, STATUS_INVALID, "%s: %s", path, strerror(errno));
    } else if (!S_ISREG(info.st_mode)) {
        status = error_set(err, STATUS_INVALID, "%s: is not a file", path);
    } else if ((uint64_t)info.st_size > size_max) {
        status = error_set(err, STATUS_INVALID, "%s: is larger than %zu bytes", path,
                           size_max);
    } else if (info.st_size > 0) {
        memory = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (memory == MAP_FAILED) {
            status = error_set(err, STATUS_NO_MEMORY, "%s: %s", path, strerror(errno));
        } else {
            bytes->span = span_of(memory, (size_t)info.st_size);
        }
    }
    if (fd >= 0) {
        close(fd);
    }
    return status;
}

void file_bytes_release(struct file_bytes *bytes) {
    if (bytes->span.size > 0) {
        union {
            const uint8_t *mapped;
            void *memory;
        } address = {.mapped = bytes->span.data};
        munmap(address.memory, bytes->span.size);
    }
    *bytes = (struct file_bytes){.span = {.data = NULL, .size = 0}};
}

enum status file_make_folder(const char *path, struct error *err) {
    char part[PATH_MAX];
    size_t size = strlen(path);
    if (size == 0 || size >= sizeof(part)) {
        return error_set(err, STATUS_INVALID, "'%s' is not a folder's name", path);
    }
    for (size_t i = 1; i <= size; i++) {
        if (path[i] != '/' && path[i] != 0) {
            continue;
        }
        memcpy(part, path, i);
        part[i] = 0;
        if (mkdir(part, 0777) != 0 && errno != EEXIST) {
            return error_set(err, STATUS_INVALID, "%s: %s", part, strerror(errno));
        }
    }
    return STATUS_OK;
}

enum status file_write_status(int number) {
    return number == ENOSPC || number == EDQUOT || number == EFBIG || number == EIO
               ? STATUS_FATAL
               : STATUS_INVALID;
}
