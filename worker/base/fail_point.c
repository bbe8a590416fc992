/* fail_point.c - see fail_point.h. */
#include "base/fail_point.h"

#include <limits.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "base/text.h"

static const char *const names[] = {
    [FAIL_NO_MEMORY] = "no_memory",
    [FAIL_CRASH] = "crash",
};
_Static_assert(ARRAY_COUNT(names) == FAIL_POINT_COUNT, "every point is named");

static struct {
    enum fail_point point;
    struct span key;
    int64_t attempts; /* 0: there is none */
} active;

const char *fail_point_load(void) {
    const char *text = getenv("MILLRACE_FAIL_POINT");
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
        active.point = (enum fail_point)i;
        active.key = count == NULL ? span_text(key) : span_of(key, (size_t)(count - key));
        active.attempts = INT_MAX;
        if (count == NULL || text_parse_int(count + 1, &active.attempts)) {
            return text;
        }
    }
    active.attempts = 0;
    return "";
}

bool fail_point_is_set(void) {
    return active.attempts > 0;
}

bool fail_point_hits(enum fail_point point, struct span key, int attempt) {
    return attempt <= active.attempts && point == active.point &&
           (span_is(active.key, "*") || span_equal(key, active.key));
}
