/* spool.c - see spool.h. */
#include "tools/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE_SIZE ((size_t)64 << 10)

static const char *folder(void) {
    const char *given = getenv("TMPDIR");
    return given == NULL || given[0] == 0 ? "/tmp" : given;
}

static enum status fail(const char *what, struct error *err) {
    return error_set(err, STATUS_INVALID,
                     "standard input: cannot keep it in a file in %s (TMPDIR): %s: %s",
                     folder(), what, strerror(errno));
}

static enum status open_nameless(int *fd, struct error *err) {
    char path[PATH_MAX];
    int size = snprintf(path, sizeof(path), "%s/millrace-XXXXXX", folder());
    *fd = -1;
    if (size < 0 || (size_t)size >= sizeof(path)) {
        errno = ENAMETOOLONG;
        return fail("open", err);
    }
    *fd = mkstemp(path);
    if (*fd < 0) {
        return fail("open", err);
    }
    (void)unlink(path); /* where that fails, it only stays */
    return fcntl(*fd, F_SETFD, FD_CLOEXEC) == 0 ? STATUS_OK : fail("open", err);
}

static enum status write_all(int fd, const char *data, size_t size, struct error *err) {
    while (size > 0) {
        ssize_t done = write(fd, data, size);
        if (done < 0 && errno != EINTR) {
            return fail("write", err);
        }
        data += done > 0 ? done : 0;
        size -= done > 0 ? (size_t)done : 0;
    }
    return STATUS_OK;
}

static enum status copy(int to, struct error *err) {
    char piece[PIECE_SIZE];
    for (;;) {
        ssize_t got = read(STDIN_FILENO, piece, sizeof(piece));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return error_set(err, STATUS_INVALID, "standard input: cannot read: %s",
                             strerror(errno));
        }
        if (got == 0) {
            return STATUS_OK;
        }
        if (write_all(to, piece, (size_t)got, err) != STATUS_OK) {
            return err->status;
        }
    }
}

enum status spool_standard_input(int *fd, struct error *err) {
    struct stat info;
    enum status status;
    if (fstat(STDIN_FILENO, &info) == 0 && S_ISREG(info.st_mode)) {
        *fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
        return *fd >= 0 ? STATUS_OK : fail("open", err);
    }
    status = open_nameless(fd, err);
    if (status == STATUS_OK) {
        status = copy(*fd, err);
    }
    if (status != STATUS_OK && *fd >= 0) {
        (void)close(*fd); /* nothing in it is of use */
        *fd = -1;
    }
    return status;
}
