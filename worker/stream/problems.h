/* problems.h - what is wrong at the moment, in words for the operator.
 *
 * One slot for each kind of problem; stats show the first kind that has one.  A line is
 * logged when a problem appears, changes or ends, not each time it is met.
 *
 * Depends on: base/.
 * Ownership: plain data.
 * Threads: any; it holds its own mutex. */
#ifndef MILLRACE_STREAM_PROBLEMS_H
#define MILLRACE_STREAM_PROBLEMS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"

#define PROBLEM_TEXT_MAX 256

/* In the order of what to look at first. */
enum problem_kind {
    PROBLEM_BROKER, /* nobody answers */
    PROBLEM_TOPICS, /* a topic is missing */
    PROBLEM_GROUP,  /* the consumer cannot join or read */
    PROBLEM_COMMIT, /* results cannot be published */
    PROBLEM_KIND_COUNT
};

struct problems {
    pthread_mutex_t lock;
    bool met[PROBLEM_KIND_COUNT]; /* has been good once */
    char problem[PROBLEM_KIND_COUNT][PROBLEM_TEXT_MAX];
};

MUST_CHECK bool problems_init(struct problems *problems);
void problems_release(struct problems *problems);

void problems_report(struct problems *problems, enum problem_kind kind, const char *fmt,
                     ...) PRINTF_LIKE(3, 4);
void problems_clear(struct problems *problems, enum problem_kind kind);

/* Good, and has been found so at least once. */
bool problems_is_clear(struct problems *problems, enum problem_kind kind);

/* Copies the first problem, or "". */
void problems_text(struct problems *problems, char *text, size_t size);

#endif
