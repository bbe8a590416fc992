/* identity.h - a transactional.id, and a name in the group, that are this worker's alone
 * and the same after a restart.
 *
 * A restarted worker that comes back under its old id ends its old transaction at once
 * and takes its old place in the group; with a random one, both would have to time out
 * while readers and partitions wait.  With no instance name
 * given, it is the host's name and the first number that no other worker of this host
 * has.  The claim on a number is an abstract Unix socket: the kernel drops it when the
 * process ends, and it spans users and private /tmp folders, which a lock file does not.
 *
 * Depends on: base/status.h.
 * Ownership: the identity owns its socket until identity_release.
 * Threads: one at a time. */
#ifndef MILLRACE_STREAM_IDENTITY_H
#define MILLRACE_STREAM_IDENTITY_H

#include "base/status.h"

#define IDENTITY_NAME_MAX 512
#define IDENTITY_WORKERS_MAX 1024 /* of one group on one host */

struct identity {
    char name[IDENTITY_NAME_MAX];
    const char *member; /* the part behind the group: what the group calls this worker */
    int claim;          /* file descriptor, -1 for none */
};

/* GROUP-INSTANCE, or GROUP-HOST-N where instance is NULL or empty. */
MUST_CHECK enum status identity_claim(struct identity *identity, const char *group,
                                      const char *instance, struct error *err);

void identity_release(struct identity *identity);

#endif
