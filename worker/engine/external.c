/* external.c - see external.h. */
#include "engine/external.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* At most so much in one call, which Linux cuts at 2 GiB anyway. */
#define READ_SIZE_MAX ((size_t)1 << 30)

enum status external_open(struct external *external, const char *path,
                          struct error *err) {
    const char *slash = strrchr(path, '/');
    size_t length = slash == NULL ? 0 : (size_t)(slash - path);
    char folder[PATH_MAX] = ".";
    *external = (struct external){.folder = -1, .file = -1};
    if (length >= sizeof(folder)) {
        return error_set(err, STATUS_INVALID, "the path is too long");
    }
    if (slash != NULL) {
        length = length == 0 ? 1 : length; /* the root */
        memcpy(folder, path, length);
        folder[length] = 0;
    }
    external->folder = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (external->folder < 0) {
        return error_set(err, STATUS_INVALID, "cannot open the folder '%.200s': %s",
                         folder, strerror(errno));
    }
    return STATUS_OK;
}

static void close_file(struct external *external) {
    if (external->file >= 0) {
        (void)close(external->file); /* read only: nothing to lose */
    }
    free(external->name);
    external->file = -1;
    external->name = NULL;
}

static enum status cannot_open(const char *path, int why, struct error *err) {
    const char *text = strerror(why);
    if (why == ENOSYS || why == EPERM) {
        text =
            "the kernel must offer openat2, as Linux does since 5.6, to keep it to the "
            "model's folder";
    } else if (why == EXDEV || why == ELOOP) {
        text = "it leads out of the model's folder";
    }
    return error_set(err, STATUS_INVALID, "its data is in '%.200s': %s", path, text);
}

static enum status open_file(struct external *external, const char *path,
                             struct error *err) {
    /* Not to wait at a FIFO, nor to take a terminal. */
    struct open_how how = {
        .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    struct stat info;
    close_file(external);
    external->file = (int)syscall(SYS_openat2, external->folder, path, &how, sizeof(how));
    if (external->file < 0) {
        return cannot_open(path, errno, err);
    }
    if (fstat(external->file, &info) != 0) {
        return cannot_open(path, errno, err);
    }
    if (!S_ISREG(info.st_mode)) {
        return error_set(err, STATUS_INVALID,
                         "its data is in '%.200s': not a regular file", path);
    }
    external->size = (uint64_t)info.st_size;
    external->name = strdup(path);
    return external->name != NULL ? STATUS_OK
                                  : error_set(err, STATUS_NO_MEMORY, "out of memory");
}

enum status external_find(struct external *external, const char *path, uint64_t offset,
                          uint64_t size, struct error *err) {
    /* Most models keep all of their data in one file. */
    if (external->name == NULL || strcmp(external->name, path) != 0) {
        enum status status = open_file(external, path, err);
        if (status != STATUS_OK) {
            close_file(external);
            return status;
        }
    }
    if (offset > external->size || size > external->size - offset) {
        return error_set(err, STATUS_INVALID,
                         "its data, %llu bytes at %llu of '%.200s', runs past that "
                         "file's end at %llu",
                         (unsigned long long)size, (unsigned long long)offset, path,
                         (unsigned long long)external->size);
    }
    return STATUS_OK;
}

enum status external_read(const struct external *external, uint64_t offset, void *to,
                          size_t size, struct error *err) {
    for (size_t done = 0; done < size;) {
        size_t want = size - done < READ_SIZE_MAX ? size - done : READ_SIZE_MAX;
        ssize_t got =
            pread(external->file, (char *)to + done, want, (off_t)(offset + done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return error_set(err, STATUS_INVALID,
                             "its data cannot be read from '%.200s': %s", external->name,
                             got < 0 ? strerror(errno) : "the file got shorter");
        }
        done += (size_t)got;
    }
    return STATUS_OK;
}

void external_close(struct external *external) {
    close_file(external);
    if (external->folder >= 0) {
        (void)close(external->folder);
    }
    external->folder = -1;
}
