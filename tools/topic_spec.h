/* topic_spec.h - topics as they are typed: "NAME[:PARTITIONS],...".
 *
 * Depends on: base/.  Ownership: plain data.  Threads: pure. */
#ifndef MILLRACE_TOOLS_TOPIC_SPEC_H
#define MILLRACE_TOOLS_TOPIC_SPEC_H

#include "base/status.h"

#define TOPIC_NAME_SIZE_MAX 249 /* bytes; Kafka's own limit */
#define TOPIC_PARTITIONS_MAX 10000
#define TOPIC_PARTITIONS_DEFAULT 4

struct topic_spec {
    char name[TOPIC_NAME_SIZE_MAX + 1];
    int partitions;
};

/* STATUS_INVALID where one of the list is none. */
MUST_CHECK enum status topic_spec_check(const char *list, struct error *err);

/* Takes the first topic of *list, which must not be empty, and moves *list behind it.
 * STATUS_INVALID. */
MUST_CHECK enum status topic_spec_take(const char **list, struct topic_spec *spec,
                                       struct error *err);

#endif
