/* utf8.c - see utf8.h. */
#include "codec/utf8.h"

#include "base/compiler.h"
#include "base/size.h"

#define UTF8_SHOWN_MAX 64 /* bytes of a name that an error shows */

/* The forms of a character past ASCII (RFC 3629, section 4).  The second byte's range
 * rules out overlong forms, surrogates and numbers past U+10FFFF; further bytes are
 * always 80 to BF. */
struct form {
    uint8_t first_min, first_max;
    uint8_t second_min, second_max;
    uint8_t size; /* bytes */
};

static const struct form forms[] = {
    {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
    {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
    {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
};

/* Bytes of the character past ASCII that begins at `at`, or 0 where there is none. */
static size_t form_size(const uint8_t *at, size_t left) {
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        const struct form *form = &forms[i];
        if (at[0] < form->first_min || at[0] > form->first_max) {
            continue;
        }
        if (left < form->size || at[1] < form->second_min || at[1] > form->second_max) {
            return 0;
        }
        for (size_t k = 2; k < form->size; k++) {
            if (at[k] < 0x80 || at[k] > 0xbf) {
                return 0;
            }
        }
        return form->size;
    }
    return 0;
}

/* All bytes of `text` in one number whose high bits tell whether any is past ASCII. */
static uint64_t gather(struct span text) {
    uint64_t all = 0, bytes;
    uint32_t first, last;
    if (text.size >= sizeof(bytes)) {
        for (size_t i = 0; i < text.size - sizeof(bytes); i += sizeof(bytes)) {
            memcpy(&bytes, text.data + i, sizeof(bytes));
            all |= bytes;
        }
        memcpy(&bytes, text.data + text.size - sizeof(bytes), sizeof(bytes));
        return all | bytes;
    }
    if (text.size >= sizeof(first)) {
        memcpy(&first, text.data, sizeof(first));
        memcpy(&last, text.data + text.size - sizeof(last), sizeof(last));
        return first | last;
    }
    for (size_t i = 0; i < text.size; i++) {
        all |= text.data[i];
    }
    return all;
}

bool utf8_valid(struct span text) {
    if (LIKELY((gather(text) & UINT64_C(0x8080808080808080)) == 0)) {
        return true;
    }
    for (size_t i = 0; i < text.size;) {
        size_t size = text.data[i] < 0x80 ? 1 : form_size(text.data + i, text.size - i);
        if (size == 0) {
            return false;
        }
        i += size;
    }
    return true;
}

const char *utf8_show(struct span name, char shown[UTF8_SHOWN_SIZE]) {
    size_t size = size_min(name.size, UTF8_SHOWN_MAX);
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = name.data[i];
        shown[i] = byte >= 0x20 && byte < 0x7f ? (char)byte : '?';
    }
    memcpy(shown + size, name.size > size ? "..." : "", name.size > size ? 4 : 1);
    return shown;
}
