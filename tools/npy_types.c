/* npy_types.c - see npy_types.h. */
#include "tools/npy_types.h"

#include <ctype.h>

#include "base/size.h"

#define REPLACEMENT 0xFFFDu /* U+FFFD, for what is not text */
#define UTF8_SIZE_MAX 4     /* bytes of a code point */
#define TEXT_SIZE_MAX ((size_t)1 << 24)

/* The names of the file format, less their byte order. */
static const char *const names[DTYPE_COUNT] = {
    [DTYPE_F32] = "f4",  [DTYPE_F64] = "f8", [DTYPE_F16] = "f2", [DTYPE_U8] = "u1",
    [DTYPE_I8] = "i1",   [DTYPE_U16] = "u2", [DTYPE_I16] = "i2", [DTYPE_I32] = "i4",
    [DTYPE_I64] = "i8",  [DTYPE_U32] = "u4", [DTYPE_U64] = "u8", [DTYPE_BOOL] = "b1",
    [DTYPE_BF16] = "V2",
};

const char *npy_type_name(enum dtype dtype) {
    return dtype == DTYPE_BF16 ? NULL : names[dtype];
}

/* The length behind 'U' or 'S'; false for what is not one. */
static bool parse_length(struct span text, size_t *length) {
    *length = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (!isdigit(text.data[i]) || *length > TEXT_SIZE_MAX) {
            return false;
        }
        *length = *length * 10 + (size_t)(text.data[i] - '0');
    }
    return text.size > 0 && *length <= TEXT_SIZE_MAX;
}

enum status npy_type_parse(struct span text, struct npy_type *type, struct error *err) {
    char order = text.size > 0 ? (char)text.data[0] : 0;
    struct span name = text;
    size_t length = 0;
    if (order == '<' || order == '>' || order == '|' || order == '=') {
        name = span_of(text.data + 1, text.size - 1);
    }
    *type = (struct npy_type){.swapped = order == '>'};
    for (int i = 0; i < DTYPE_COUNT; i++) {
        if (names[i] != NULL && span_is(name, names[i])) {
            type->dtype = (enum dtype)i;
            type->size = dtype_size(type->dtype);
            return STATUS_OK;
        }
    }
    if (name.size > 1 && (name.data[0] == 'U' || name.data[0] == 'S') &&
        parse_length(span_of(name.data + 1, name.size - 1), &length)) {
        type->dtype = DTYPE_STRING;
        type->wide = name.data[0] == 'U';
        type->size = type->wide ? length * 4 : length;
        return STATUS_OK;
    }
    return error_set(err, STATUS_INVALID, "elements of type '%.*s' cannot be read",
                     (int)size_min(text.size, 32), (const char *)text.data);
}

size_t npy_text_size_max(const struct npy_type *type) {
    return type->size; /* four bytes of UTF-32 are at most four of UTF-8 */
}

static bool is_code_point(uint32_t code) {
    return code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
}

static size_t utf8_put(uint32_t code, char *to) {
    unsigned char bytes[UTF8_SIZE_MAX];
    size_t size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = size; i-- > 1;) {
        bytes[i] = (unsigned char)(0x80 | (code & 0x3F));
        code >>= 6;
    }
    bytes[0] = (unsigned char)(lead[size] | code);
    memcpy(to, bytes, size);
    return size;
}

size_t npy_text_decode(const struct npy_type *type, const uint8_t *from, char *to) {
    size_t used = 0, kept = 0;
    if (!type->wide) {
        size_t size = type->size;
        while (size > 0 && from[size - 1] == 0) {
            size--;
        }
        memcpy(to, from, size);
        return size;
    }
    for (size_t i = 0; i + 4 <= type->size; i += 4) {
        const uint8_t *b = from + i;
        uint32_t code = type->swapped ? (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 |
                                            (uint32_t)b[2] << 8 | b[3]
                                      : (uint32_t)b[3] << 24 | (uint32_t)b[2] << 16 |
                                            (uint32_t)b[1] << 8 | b[0];
        used += utf8_put(is_code_point(code) ? code : REPLACEMENT, to + used);
        kept = code != 0 ? used : kept; /* zeros at the end are padding */
    }
    return kept;
}

/* The code point at the start of `text`, which is not empty; its bytes to *size. */
static uint32_t utf8_get(struct span text, size_t *size) {
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t lead = text.data[0];
    size_t need = lead < 0x80           ? 1
                  : (lead >> 5) == 0x6  ? 2
                  : (lead >> 4) == 0xE  ? 3
                  : (lead >> 3) == 0x1E ? 4
                                        : 0;
    uint32_t code = need <= 1 ? lead : lead & (0x7Fu >> need);
    *size = 1;
    if (need == 0 || need > text.size) {
        return REPLACEMENT;
    }
    for (size_t i = 1; i < need; i++) {
        if ((text.data[i] >> 6) != 0x2) {
            return REPLACEMENT;
        }
        code = code << 6 | (text.data[i] & 0x3Fu);
    }
    if (code < smallest[need] || !is_code_point(code)) {
        return REPLACEMENT;
    }
    *size = need;
    return code;
}

size_t npy_text_count(struct span text) {
    size_t count = 0, size = 0;
    for (size_t at = 0; at < text.size; at += size) {
        (void)utf8_get(span_of(text.data + at, text.size - at), &size); /* size only */
        count++;
    }
    return count;
}

void npy_text_encode(struct span text, uint8_t *to) {
    size_t size = 0;
    for (size_t at = 0; at < text.size; at += size) {
        uint32_t code = utf8_get(span_of(text.data + at, text.size - at), &size);
        for (int shift = 0; shift < 32; shift += 8) {
            *to++ = (uint8_t)(code >> shift);
        }
    }
}
