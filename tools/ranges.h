/* ranges.h - a set of offsets as ranges in order, and as a short text: "0-5,7,9-20".
 *
 * Depends on: base/status.h.
 * Ownership: plain data.
 * Threads: any. */
#ifndef MILLRACE_TOOLS_RANGES_H
#define MILLRACE_TOOLS_RANGES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

#define RANGES_MAX 256
/* A range takes at most two numbers of 19 digits; Kafka takes 4096 bytes. */
#define RANGES_TEXT_MAX 4000

struct range {
    int64_t first, last;
};

struct ranges {
    struct range items[RANGES_MAX]; /* in order, none touching the next */
    int count;
};

bool ranges_hold(const struct ranges *ranges, int64_t offset);

/* STATUS_NO_MEMORY where that would be one range too many; nothing is changed then. */
MUST_CHECK enum status ranges_add(struct ranges *ranges, int64_t offset,
                                  struct error *err);

/* STATUS_INVALID where the text is no such set. */
MUST_CHECK enum status ranges_parse(const char *text, size_t size, struct ranges *ranges,
                                    struct error *err);

/* STATUS_NO_MEMORY where it does not fit. */
MUST_CHECK enum status ranges_print(const struct ranges *ranges, char *text, size_t size,
                                    struct error *err);

#endif
