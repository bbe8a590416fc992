#include "stream/ahead.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

bool ahead_has(const struct ahead *ahead, int64_t offset) {
    if (offset >= ahead->upto) {
        return false;
    }
    for (int i = 0; i < ahead->left_count; i++) {
        if (ahead->left[i] == offset) {
            return false;
        }
    }
    return true;
}

/* Offsets are written as their distance from the one committed: they fit so. */
size_t ahead_write(const struct ahead *ahead, int64_t offset, char text[AHEAD_TEXT_MAX]) {
    size_t used = 0;

    text[0] = '\0';
    if (ahead->upto <= offset) {
        return 0;
    }
    used = (size_t)snprintf(text, AHEAD_TEXT_MAX, "%" PRId64 ":", ahead->upto - offset);
    for (int i = 0; i < ahead->left_count; i++) {
        used += (size_t)snprintf(text + used, AHEAD_TEXT_MAX - used, "%s%" PRId64,
                                 i > 0 ? "," : "", ahead->left[i] - offset);
        assert(used < AHEAD_TEXT_MAX);
    }
    return used;
}

/* A number that is not negative, and where it ends; false where there is none. */
static bool read_number(const char **text, int64_t *number) {
    char *end;

    if (!isdigit((unsigned char)**text)) {
        return false;
    }
    *number = (int64_t)strtoll(*text, &end, 10);
    *text = end;
    return *number <= INT64_MAX / 2;
}

static bool read_all(const char *text, int64_t offset, struct ahead *ahead) {
    int64_t number;

    if (!read_number(&text, &number) || *text++ != ':') {
        return false;
    }
    ahead->upto = offset + number;
    while (*text != '\0') {
        if (ahead->left_count == AHEAD_LEFT_MAX || !read_number(&text, &number) ||
            (*text != ',' && *text != '\0') || offset + number >= ahead->upto) {
            return false;
        }
        text += *text == ',';
        ahead->left[ahead->left_count++] = offset + number;
        if (ahead->left_count > 1 &&
            ahead->left[ahead->left_count - 1] <= ahead->left[ahead->left_count - 2]) {
            return false;
        }
    }
    return true;
}

void ahead_read(const char *text, int64_t offset, struct ahead *ahead) {
    *ahead = (struct ahead){0};
    if (!read_all(text, offset, ahead)) {
        *ahead = (struct ahead){0};
    }
}
