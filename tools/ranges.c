/* ranges.c - see ranges.h. */
#include "tools/ranges.h"

#include <inttypes.h>

#include "base/text.h"

/* The first range that does not end before the offset. */
static int find(const struct ranges *ranges, int64_t offset) {
    int i = 0;
    while (i < ranges->count && ranges->items[i].last < offset) {
        i++;
    }
    return i;
}

bool ranges_hold(const struct ranges *ranges, int64_t offset) {
    int i = find(ranges, offset);
    return i < ranges->count && ranges->items[i].first <= offset;
}

static void remove_range(struct ranges *ranges, int i) {
    ranges->count--;
    memmove(&ranges->items[i], &ranges->items[i + 1],
            sizeof(ranges->items[0]) * (size_t)(ranges->count - i));
}

enum status ranges_add(struct ranges *ranges, int64_t offset, struct error *err) {
    int i = find(ranges, offset);
    struct range *before = i > 0 ? &ranges->items[i - 1] : NULL;
    struct range *at = i < ranges->count ? &ranges->items[i] : NULL;
    bool joins_before = before != NULL && before->last == offset - 1;
    if (at != NULL && at->first <= offset) {
        return STATUS_OK;
    }
    if (at != NULL && at->first == offset + 1) {
        at->first = joins_before ? before->first : offset;
        if (joins_before) {
            remove_range(ranges, i - 1);
        }
        return STATUS_OK;
    }
    if (joins_before) {
        before->last = offset;
        return STATUS_OK;
    }
    if (ranges->count == RANGES_MAX) {
        return error_set(err, STATUS_NO_MEMORY, "more than %d ranges", RANGES_MAX);
    }
    memmove(&ranges->items[i + 1], &ranges->items[i],
            sizeof(ranges->items[0]) * (size_t)(ranges->count - i));
    ranges->items[i] = (struct range){offset, offset};
    ranges->count++;
    return STATUS_OK;
}

/* A number of digits at *at, which is moved behind it; -1 if there is none. */
static int64_t take_number(const char **at, const char *end) {
    char digits[24];
    size_t size = 0;
    int64_t number;
    while (*at < end && **at >= '0' && **at <= '9' && size < sizeof(digits) - 1) {
        digits[size++] = *(*at)++;
    }
    digits[size] = 0;
    return text_parse_int(digits, &number) ? number : -1;
}

static enum status refuse(const char *text, const char *at, struct error *err) {
    return error_set(err, STATUS_INVALID,
                     "no offsets at byte %zu: they are written 17 or 3-9,12",
                     (size_t)(at - text));
}

enum status ranges_parse(const char *text, size_t size, struct ranges *ranges,
                         struct error *err) {
    const char *at = text, *end = text + size;
    int64_t least = 0; /* touching ranges would be one */
    ranges->count = 0;
    while (at < end) {
        struct range range;
        range.first = range.last = take_number(&at, end);
        if (at < end && *at == '-') {
            at++;
            range.last = take_number(&at, end);
        }
        if (range.first < least || range.last < range.first ||
            range.last > INT64_MAX - 2 || ranges->count == RANGES_MAX) {
            return refuse(text, at, err);
        }
        ranges->items[ranges->count++] = range;
        least = range.last + 2;
        if (at < end && (*at != ',' || ++at == end)) {
            return refuse(text, at, err);
        }
    }
    return STATUS_OK;
}

enum status ranges_print(const struct ranges *ranges, char *text, size_t size,
                         struct error *err) {
    size_t used = 0;
    text[0] = 0;
    for (int i = 0; i < ranges->count; i++) {
        const struct range *range = &ranges->items[i];
        int length = snprintf(text + used, size - used, "%s%" PRId64, i == 0 ? "" : ",",
                              range->first);
        if (range->last > range->first && (size_t)length < size - used) {
            length += snprintf(text + used + length, size - used - (size_t)length,
                               "-%" PRId64, range->last);
        }
        if ((size_t)length >= size - used) {
            return error_set(err, STATUS_NO_MEMORY, "it takes more than %zu bytes", size);
        }
        used += (size_t)length;
    }
    return STATUS_OK;
}
