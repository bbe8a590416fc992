/* words.c - see words.h. */
#include "app/words.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

struct words_item {
    struct words_item *next;
    struct vocabulary *vocabulary; /* owned */
};

/* The file's bytes, to be freed; NULL after an error. */
static char *read_file(const char *path, size_t *size, struct error *err) {
    FILE *from = fopen(path, "rb");
    struct stat about;
    char *text = NULL;
    if (from == NULL || fstat(fileno(from), &about) != 0) {
        (void)error_set(err, STATUS_INVALID, "%s: cannot open: %s", path,
                        strerror(errno));
    } else if (!S_ISREG(about.st_mode) || (size_t)about.st_size > WORDS_FILE_SIZE_MAX) {
        (void)error_set(err, STATUS_INVALID, "%s: must be a file of up to %zu bytes",
                        path, WORDS_FILE_SIZE_MAX);
    } else if ((text = malloc((size_t)about.st_size + 1)) == NULL) {
        (void)error_set(err, STATUS_NO_MEMORY, "no memory for %s", path);
    } else {
        *size = fread(text, 1, (size_t)about.st_size, from);
        if (ferror(from) != 0) {
            (void)error_set(err, STATUS_INVALID, "%s: cannot read", path);
            free(text);
            text = NULL;
        }
    }
    if (from != NULL) {
        (void)fclose(from); /* it was only read */
    }
    return text;
}

static enum status from_file(const char *path, int64_t unknown, bool refuse_unknown,
                             struct vocabulary **out, struct error *err) {
    size_t size = 0;
    char *text = read_file(path, &size, err);
    enum status status;
    if (text == NULL) {
        return err->status;
    }
    status =
        vocabulary_create_lines(span_of(text, size), unknown, refuse_unknown, out, err);
    free(text);
    return status == STATUS_OK ? STATUS_OK : error_prefix(err, "%s", path);
}

static enum status from_list(const struct config_words *from, int64_t unknown,
                             bool refuse_unknown, struct vocabulary **out,
                             struct error *err) {
    struct span *spans = calloc(from->count, sizeof(*spans));
    enum status status;
    if (spans == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a vocabulary");
    }
    for (size_t i = 0; i < from->count; i++) {
        spans[i] = span_text(from->items[i]);
    }
    status = vocabulary_create(spans, from->count, unknown, refuse_unknown, out, err);
    free(spans);
    return status;
}

enum status words_read(struct words *words, const struct config_words *from,
                       int64_t unknown, bool refuse_unknown,
                       const struct vocabulary **out, struct error *err) {
    struct words_item *item = calloc(1, sizeof(*item));
    enum status status;
    *out = NULL;
    if (item == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a vocabulary");
    }
    status = from->path != NULL
                 ? from_file(from->path, unknown, refuse_unknown, &item->vocabulary, err)
                 : from_list(from, unknown, refuse_unknown, &item->vocabulary, err);
    if (status != STATUS_OK) {
        free(item);
        return status;
    }
    item->next = words->first;
    words->first = item;
    *out = item->vocabulary;
    return STATUS_OK;
}

void words_release(struct words *words) {
    while (words->first != NULL) {
        struct words_item *item = words->first;
        words->first = item->next;
        vocabulary_destroy(item->vocabulary);
        free(item);
    }
}
