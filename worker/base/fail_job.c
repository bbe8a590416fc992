/* fail_job.c - see fail_job.h. */
#include "base/fail_job.h"

#include <limits.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "base/text.h"

static const char *const names[] = {
    [FAIL_NO_MEMORY] = "no_memory",
    [FAIL_CRASH] = "crash",
    [FAIL_SLOW] = "slow",
};
_Static_assert(ARRAY_COUNT(names) == FAIL_JOB_COUNT, "every point is named");

static struct {
    enum fail_job point;
    struct span key;
    int64_t attempts; /* 0: there is none */
} active;

const char *fail_job_load(void) {
    const char *text = getenv("MILLRACE_FAIL_JOB");
    const char *colon = text == NULL ? NULL : strchr(text, ':');
    const char *key, *count;
    active.attempts = 0;
    if (colon == NULL) {
        return text == NULL ? NULL : "";
    }
    key = colon + 1;
    count = strchr(key, ':');
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (!span_is(span_of(text, (size_t)(colon - text)), names[i])) {
            continue;
        }
        active.point = (enum fail_job)i;
        active.key = count == NULL ? span_text(key) : span_of(key, (size_t)(count - key));
        active.attempts = INT_MAX;
        if (count == NULL || text_parse_int(count + 1, &active.attempts)) {
            return text;
        }
    }
    active.attempts = 0;
    return "";
}

bool fail_job_is_set(void) {
    return active.attempts > 0;
}

bool fail_job_hits(enum fail_job point, struct span key, int attempt) {
    return attempt <= active.attempts && point == active.point &&
           (span_is(active.key, "*") || span_equal(key, active.key));
}
