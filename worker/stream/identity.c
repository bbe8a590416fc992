#include "stream/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define HOST_MAX 256

/* FNV-1a: group names may be longer than a socket's name. */
static uint64_t hash(const char *text) {
    uint64_t value = 0xcbf29ce484222325u;

    for (; *text != '\0'; text++) {
        value = (value ^ (uint8_t)*text) * 0x100000001b3u;
    }
    return value;
}

/* Whether number `n` of the group was free; errno says why not. */
static bool claim_number(int claim, const char *group, int n) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    /* An abstract name starts with a 0 and ends where its length says. */
    int length = snprintf(address.sun_path + 1, sizeof address.sun_path - 1,
                          "millrace/%016llx/%d", (unsigned long long)hash(group), n);

    return bind(claim, (const struct sockaddr *)&address,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
                            (size_t)length)) == 0;
}

static enum status name_it(struct identity *identity, const char *group, int length,
                           struct error *err) {
    if (length < 0 || (size_t)length >= sizeof identity->name) {
        return error_set(err, STATUS_INVALID,
                         "group and instance name are longer than %d",
                         IDENTITY_NAME_MAX - 1);
    }
    identity->member = identity->name + strlen(group) + 1;
    return STATUS_OK;
}

enum status identity_claim(struct identity *identity, const char *group,
                           const char *instance, struct error *err) {
    char host[HOST_MAX] = "";
    int n = 0;

    identity->claim = -1;
    if (instance != NULL && instance[0] != '\0') {
        return name_it(
            identity, group,
            snprintf(identity->name, sizeof identity->name, "%s-%s", group, instance),
            err);
    }
    if (gethostname(host, sizeof host - 1) != 0 || host[0] == '\0') {
        return error_set(err, STATUS_INVALID,
                         "this host has no name; give the worker an instance name");
    }
    identity->claim = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (identity->claim < 0) {
        return error_set(err, STATUS_FATAL, "no socket to claim a worker number with: %s",
                         strerror(errno));
    }
    while (!claim_number(identity->claim, group, n)) {
        if (errno != EADDRINUSE) {
            return error_set(err, STATUS_FATAL, "cannot claim a worker number: %s",
                             strerror(errno));
        }
        if (++n == IDENTITY_WORKERS_MAX) {
            return error_set(err, STATUS_INVALID,
                             "%d workers of group %s run on this host; give this one an "
                             "instance name",
                             n, group);
        }
    }
    return name_it(
        identity, group,
        snprintf(identity->name, sizeof identity->name, "%s-%s-%d", group, host, n), err);
}

void identity_release(struct identity *identity) {
    if (identity->claim >= 0) {
        close(identity->claim);
    }
    identity->claim = -1;
}
