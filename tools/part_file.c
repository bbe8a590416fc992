/* part_file.c - see part_file.h. */
#include "tools/part_file.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "codec/fingerprint.h"
#include "tools/file.h"

#define PART_SUFFIX ".millrace-part"
#define PROGRESS_SUFFIX ".millrace-progress"
#define NEW_SUFFIX ".new"
#define HEAD_SIZE ((size_t)64 << 10) /* bytes of a file that its identity looks at */

static char *join(const char *path, const char *suffix) {
    size_t size = strlen(path) + strlen(suffix) + 1;
    char *text = malloc(size);
    if (text != NULL) {
        (void)snprintf(text, size, "%s%s", path, suffix);
    }
    return text;
}

static enum status fail(const char *path, const char *what, struct error *err) {
    return error_set(err, file_write_status(errno), "%s: %s: %s", path, what,
                     strerror(errno));
}

enum status part_file_init(struct part_file *file, const char *path, struct error *err) {
    *file = (struct part_file){.fd = -1};
    file->path = join(path, "");
    file->part = join(path, PART_SUFFIX);
    file->progress = join(path, PROGRESS_SUFFIX);
    if (file->path == NULL || file->part == NULL || file->progress == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a file's name");
    }
    return STATUS_OK;
}

enum status part_file_init_progress(struct part_file *file, const char *path,
                                    struct error *err) {
    *file = (struct part_file){.fd = -1};
    file->path = join(path, "");
    file->progress = join(path, "");
    return file->path != NULL && file->progress != NULL
               ? STATUS_OK
               : error_set(err, STATUS_NO_MEMORY, "no memory for a file's name");
}

enum status part_file_init_stream(struct part_file *file, struct error *err) {
    *file = (struct part_file){.fd = -1};
    file->path = join("standard output", "");
    return file->path != NULL
               ? STATUS_OK
               : error_set(err, STATUS_NO_MEMORY, "no memory for a file's name");
}

static bool is_stream(const struct part_file *file) {
    return file->part == NULL;
}

void part_file_close(struct part_file *file) {
    if (file->path == NULL) {
        return;
    }
    if (file->fd >= 0) {
        (void)close(file->fd); /* what matters was synced */
    }
    free(file->path);
    free(file->part);
    free(file->progress);
    *file = (struct part_file){.fd = -1};
}

json_t *part_file_progress(const struct part_file *file) {
    json_t *progress = json_load_file(file->progress, 0, NULL);
    if (progress != NULL && !json_is_object(progress)) {
        json_decref(progress);
        progress = NULL;
    }
    return progress;
}

enum status part_file_open(struct part_file *file, uint64_t keep, struct error *err) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    struct stat info;
    if (is_stream(file)) {
        file->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
        return file->fd >= 0 ? STATUS_OK : fail(file->path, "cannot write", err);
    }
    file->fd = open(file->part, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (file->fd < 0) {
        return fail(file->part, "cannot write", err);
    }
    if (fcntl(file->fd, F_SETLK, &lock) != 0) {
        return error_set(err, STATUS_AGAIN, "%s: another process writes it", file->part);
    }
    if (fstat(file->fd, &info) != 0) {
        return fail(file->part, "cannot read", err);
    }
    if ((uint64_t)info.st_size < keep) {
        return error_set(err, STATUS_INVALID,
                         "%s has %lld bytes, fewer than %s knows of: begin anew with "
                         "--restart",
                         file->part, (long long)info.st_size, file->progress);
    }
    if (ftruncate(file->fd, (off_t)keep) != 0 ||
        lseek(file->fd, (off_t)keep, SEEK_SET) < 0) {
        return fail(file->part, "cannot write", err);
    }
    file->size = keep;
    return STATUS_OK;
}

static enum status write_all(int fd, const char *path, struct span bytes,
                             struct error *err) {
    while (bytes.size > 0) {
        ssize_t done = write(fd, bytes.data, bytes.size);
        if (done < 0 && errno != EINTR) {
            return fail(path, "cannot write", err);
        }
        if (done > 0) {
            bytes = span_of(bytes.data + done, bytes.size - (size_t)done);
        }
    }
    return STATUS_OK;
}

enum status part_file_write(struct part_file *file, struct span bytes,
                            struct error *err) {
    enum status status =
        write_all(file->fd, is_stream(file) ? file->path : file->part, bytes, err);
    file->size += status == STATUS_OK ? bytes.size : 0;
    return status;
}

enum status part_file_write_at(struct part_file *file, uint64_t offset, struct span bytes,
                               struct error *err) {
    while (bytes.size > 0) {
        ssize_t done = pwrite(file->fd, bytes.data, bytes.size, (off_t)offset);
        if (done < 0 && errno != EINTR) {
            return fail(file->part, "cannot write", err);
        }
        if (done > 0) {
            offset += (uint64_t)done;
            bytes = span_of(bytes.data + done, bytes.size - (size_t)done);
        }
    }
    file->size = offset > file->size ? offset : file->size;
    return STATUS_OK;
}

enum status part_file_sync(struct part_file *file, struct error *err) {
    return is_stream(file) || fsync(file->fd) == 0
               ? STATUS_OK
               : fail(file->part, "cannot write", err);
}

/* The folder's own entry for the name. */
static enum status sync_folder(const char *path, struct error *err) {
    const char *slash = strrchr(path, '/');
    char *folder = slash == NULL ? join(".", "") : join(path, "");
    int fd;
    bool synced;
    if (folder == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a folder's name");
    }
    if (slash != NULL) {
        folder[slash == path ? 1 : slash - path] = 0;
    }
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    /* Some file systems cannot: then they need not. */
    synced = fd >= 0 && (fsync(fd) == 0 || errno == EINVAL || errno == ENOTSUP);
    if (fd >= 0) {
        (void)close(fd);
    }
    return synced ? STATUS_OK : fail(path, "cannot write its folder", err);
}

static enum status write_progress(const char *path, const json_t *progress,
                                  struct error *err) {
    char *text = json_dumps(progress, JSON_INDENT(1));
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    enum status status = STATUS_OK;
    if (text == NULL || fd < 0) {
        status = text == NULL ? error_set(err, STATUS_NO_MEMORY, "no memory for progress")
                              : fail(path, "cannot write", err);
    }
    if (status == STATUS_OK) {
        status = write_all(fd, path, span_text(text), err);
    }
    if (status == STATUS_OK && fsync(fd) != 0) {
        status = fail(path, "cannot write", err);
    }
    if (fd >= 0 && close(fd) != 0 && status == STATUS_OK) {
        status = fail(path, "cannot write", err);
    }
    free(text);
    return status;
}

enum status part_file_save(struct part_file *file, const json_t *progress,
                           struct error *err) {
    char *path = join(file->progress, NEW_SUFFIX);
    enum status status;
    if (path == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a file's name");
    }
    status = write_progress(path, progress, err);
    if (status == STATUS_OK && rename(path, file->progress) != 0) {
        status = fail(file->progress, "cannot write", err);
    }
    free(path);
    return status;
}

enum status part_file_finish(struct part_file *file, struct error *err) {
    if (is_stream(file)) {
        return STATUS_OK;
    }
    if (part_file_sync(file, err) != STATUS_OK) {
        return err->status;
    }
    if (rename(file->part, file->path) != 0) {
        return fail(file->path, "cannot write", err);
    }
    return sync_folder(file->path, err);
}

/* The new one is there where a process was killed while it wrote it. */
void part_file_forget(const struct part_file *file) {
    char *path = join(file->progress, NEW_SUFFIX);
    if (path != NULL) {
        (void)unlink(path); /* neither need be there */
    }
    (void)unlink(file->progress);
    free(path);
}

void part_file_discard(const struct part_file *file) {
    (void)unlink(file->part); /* as above */
    part_file_forget(file);
}

enum status part_file_identity(const char *path, char text[PART_FILE_IDENTITY_MAX],
                               struct error *err) {
    uint8_t *head = malloc(HEAD_SIZE);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    ssize_t size = -1;
    if (head != NULL && fd >= 0 && fstat(fd, &info) == 0) {
        size = pread(fd, head, HEAD_SIZE, 0);
    }
    if (size >= 0) {
        uint64_t sum = fingerprint_crc64(span_of(head, (size_t)size));
        (void)snprintf(text, PART_FILE_IDENTITY_MAX, "%lld-%lld.%09ld-%016llx",
                       (long long)info.st_size, (long long)info.st_mtim.tv_sec,
                       info.st_mtim.tv_nsec, (unsigned long long)sum);
    }
    if (fd >= 0) {
        (void)close(fd); /* was only read from */
    }
    free(head);
    return size >= 0 ? STATUS_OK : fail(path, "cannot read", err);
}
