/* vocabulary.c - see vocabulary.h: a hash table with open addressing. */
#include "codec/vocabulary.h"

#include <assert.h>

#include "base/size.h"
#include "codec/murmur.h"

struct vocabulary {
    char *text;         /* owned; the words behind each other */
    struct span *words; /* owned; point into text */
    size_t count;
    uint32_t *slots; /* owned; index of a word + 1, 0 for empty */
    size_t mask;     /* slots - 1; more than half are empty */
    int64_t unknown;
    bool refuse_unknown;
};

static size_t first_slot(const struct vocabulary *v, struct span word) {
    return murmur32(word, 0) & v->mask;
}

static bool reserve(struct vocabulary *v, const struct span *words, size_t count) {
    size_t size = 1, slots = 4;
    for (size_t i = 0; i < count; i++) {
        size += words[i].size;
    }
    while (slots < 2 * count + 1) {
        slots *= 2;
    }
    v->text = malloc(size);
    v->words = calloc(count + 1, sizeof(*v->words));
    v->slots = calloc(slots, sizeof(*v->slots));
    v->mask = slots - 1;
    return v->text != NULL && v->words != NULL && v->slots != NULL;
}

/* False if it is there already. */
static bool add(struct vocabulary *v, struct span word, char **to) {
    size_t slot = first_slot(v, word);
    for (; v->slots[slot] != 0; slot = (slot + 1) & v->mask) {
        if (span_equal(v->words[v->slots[slot] - 1], word)) {
            return false;
        }
    }
    if (word.size > 0) {
        memcpy(*to, word.data, word.size);
    }
    v->words[v->count] = span_of(*to, word.size);
    *to += word.size;
    v->slots[slot] = (uint32_t)++v->count;
    return true;
}

enum status vocabulary_create(const struct span *words, size_t count, int64_t unknown,
                              bool refuse_unknown, struct vocabulary **out,
                              struct error *err) {
    struct vocabulary *v = calloc(1, sizeof(*v));
    char *to;
    *out = NULL;
    if (count > VOCABULARY_WORDS_MAX) {
        free(v);
        return error_set(err, STATUS_INVALID, "%zu words, over the limit of %zu", count,
                         VOCABULARY_WORDS_MAX);
    }
    if (v == NULL || !reserve(v, words, count)) {
        vocabulary_destroy(v);
        return error_set(err, STATUS_NO_MEMORY, "no memory for a vocabulary");
    }
    v->unknown = unknown;
    v->refuse_unknown = refuse_unknown;
    to = v->text;
    for (size_t i = 0; i < count; i++) {
        if (!add(v, words[i], &to)) {
            vocabulary_destroy(v);
            return error_set(err, STATUS_INVALID, "word %zu stands there twice", i + 1);
        }
    }
    *out = v;
    return STATUS_OK;
}

/* Writes the lines of `text` to `words`, unless NULL; returns how many. */
static size_t split(struct span text, struct span *words) {
    size_t count = 0;
    for (size_t at = 0; at < text.size; count++) {
        const uint8_t *line = text.data + at;
        const uint8_t *end = memchr(line, '\n', text.size - at);
        size_t size = end == NULL ? text.size - at : (size_t)(end - line);
        at += size + 1;
        if (size > 0 && line[size - 1] == '\r') {
            size--;
        }
        if (words != NULL) {
            words[count] = span_of(line, size);
        }
    }
    return count;
}

enum status vocabulary_create_lines(struct span text, int64_t unknown,
                                    bool refuse_unknown, struct vocabulary **out,
                                    struct error *err) {
    size_t count = split(text, NULL);
    struct span *words = calloc(count + 1, sizeof(*words));
    enum status status;
    *out = NULL;
    if (words == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a vocabulary");
    }
    (void)split(text, words);
    status = vocabulary_create(words, count, unknown, refuse_unknown, out, err);
    free(words);
    return status;
}

void vocabulary_destroy(struct vocabulary *v) {
    if (v == NULL) {
        return;
    }
    free(v->text);
    free(v->words);
    free(v->slots);
    free(v);
}

size_t vocabulary_count(const struct vocabulary *v) {
    return v->count;
}

struct span vocabulary_word(const struct vocabulary *v, size_t index) {
    assert(index < v->count);
    return v->words[index];
}

bool vocabulary_find(const struct vocabulary *v, struct span word, int64_t *number) {
    size_t slot = first_slot(v, word);
    for (; v->slots[slot] != 0; slot = (slot + 1) & v->mask) {
        if (span_equal(v->words[v->slots[slot] - 1], word)) {
            *number = (int64_t)v->slots[slot] - 1;
            return true;
        }
    }
    *number = v->unknown;
    return !v->refuse_unknown;
}
