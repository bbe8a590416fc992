/* text.c - see text.h. */
#include "base/text.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>

#include "base/size.h"

size_t text_distance(const char *a, const char *b) {
    /* Three rows of the table: two above are needed for swaps. */
    size_t rows[3][TEXT_NEAREST_SIZE_MAX + 1];
    size_t a_size = strlen(a);
    size_t b_size = strlen(b);
    if (a_size > TEXT_NEAREST_SIZE_MAX || b_size > TEXT_NEAREST_SIZE_MAX) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= b_size; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a_size; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3];
        const size_t *above2 = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            size_t replace = above[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = size_min(size_min(above[j], row[j - 1]) + 1, replace);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = size_min(row[j], above2[j - 2] + 1);
            }
        }
    }
    return rows[a_size % 3][b_size];
}

const char *text_nearest(const char *word, const char *const *candidates, size_t count) {
    const char *best = NULL;
    size_t best_distance = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        size_t distance = text_distance(word, candidates[i]);
        size_t longer = size_max(strlen(word), strlen(candidates[i]));
        if (distance < best_distance && distance <= (longer + 2) / 3) {
            best = candidates[i];
            best_distance = distance;
        }
    }
    return best;
}

bool text_parse_int(const char *text, int64_t *out) {
    char *end;
    long long value;
    /* strtoll would skip blanks before the number. */
    if (!isdigit((unsigned char)text[0]) && text[0] != '-' && text[0] != '+') {
        return false;
    }
    errno = 0;
    value = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != 0) {
        return false;
    }
    *out = value;
    return true;
}

bool text_parse_int_bytes(const void *bytes, size_t size, int64_t *out) {
    char text[32]; /* no number has more digits, but for zeros before them */
    if (size >= sizeof(text)) {
        return false;
    }
    memcpy(text, bytes, size);
    text[size] = 0;
    return strlen(text) == size && text_parse_int(text, out);
}

/* A final 0 is no continuation byte, so the text's end is never passed. */
size_t text_char_size(const char *text) {
    const unsigned char *c = (const unsigned char *)text;
    size_t size = c[0] < 0x80   ? 1
                  : c[0] < 0xc2 ? 0
                  : c[0] < 0xe0 ? 2
                  : c[0] < 0xf0 ? 3
                                : 4;
    if (c[0] > 0xf4) {
        return 0;
    }
    for (size_t i = 1; i < size; i++) {
        if ((c[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    if ((c[0] == 0xe0 && c[1] < 0xa0) || (c[0] == 0xed && c[1] >= 0xa0) ||
        (c[0] == 0xf0 && c[1] < 0x90) || (c[0] == 0xf4 && c[1] >= 0x90)) {
        return 0; /* overlong, a surrogate, past U+10FFFF */
    }
    return size;
}

bool text_is_utf8(const char *text) {
    while (*text != 0) {
        size_t size = text_char_size(text);
        if (size == 0) {
            return false;
        }
        text += size;
    }
    return true;
}

void text_clean(char *text) {
    while (*text != 0) {
        size_t size = text_char_size(text);
        const bool control = (unsigned char)*text < 0x20 || *text == 0x7f;
        if (size == 0 || (control && *text != '\n' && *text != '\t')) {
            *text = '?';
            size = 1;
        }
        text += size;
    }
}
