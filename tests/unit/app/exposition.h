/* exposition.h - a strict reader of Prometheus's text format 0.0.4, for tests.
 *
 * It fails the test for what a scraper would refuse or misread: bad names, labels or
 * escapes, a sample without HELP and TYPE right before its family, one family or one
 * series twice; and for histograms buckets that fall, or a count that is not +Inf's. */
#ifndef MILLRACE_TESTS_UNIT_APP_EXPOSITION_H
#define MILLRACE_TESTS_UNIT_APP_EXPOSITION_H

#include <check.h>
#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

enum { EXPOSITION_SAMPLES_MAX = 4096, EXPOSITION_TEXT_MAX = 512 };

struct sample {
    char series[EXPOSITION_TEXT_MAX]; /* name and labels as written */
    double value;
};

struct exposition {
    size_t count;
    struct sample samples[EXPOSITION_SAMPLES_MAX];
    size_t family_count;
    char families[EXPOSITION_SAMPLES_MAX / 16][EXPOSITION_TEXT_MAX];
    char type[EXPOSITION_TEXT_MAX]; /* of the newest family */
};

static inline const struct sample *exposition_find(const struct exposition *exposition,
                                                   const char *series) {
    for (size_t i = 0; i < exposition->count; i++) {
        if (strcmp(exposition->samples[i].series, series) == 0) {
            return &exposition->samples[i];
        }
    }
    return NULL;
}

/* The value of a series, which must be there: `name{label="value"}`. */
static inline double exposition_value(const struct exposition *exposition,
                                      const char *series) {
    const struct sample *sample = exposition_find(exposition, series);
    ck_assert_msg(sample != NULL, "no %s", series);
    return sample == NULL ? -1 : sample->value;
}

/* Bytes of the name at `text`; label names have no colon. */
static inline size_t exposition_name_size(const char *text, bool label) {
    size_t size = 0;
    ck_assert_msg(isalpha((unsigned char)text[0]) || text[0] == '_', "name: %s", text);
    while (isalnum((unsigned char)text[size]) || text[size] == '_' ||
           (!label && text[size] == ':')) {
        size++;
    }
    return size;
}

/* Bytes of `{a="b",...}` at `text`, 0 if there are none. */
static inline size_t exposition_labels_size(const char *text) {
    size_t size = 0;
    if (text[0] != '{') {
        return 0;
    }
    do {
        size++; /* the brace or the comma */
        size += exposition_name_size(text + size, true);
        ck_assert_msg(text[size] == '=' && text[size + 1] == '"', "label: %s", text);
        for (size += 2; text[size] != '"'; size++) {
            ck_assert_msg(text[size] != 0, "open value: %s", text);
            if (text[size] == '\\') {
                size++;
                ck_assert_msg(text[size] != 0 && strchr("\\\"n", text[size]) != NULL,
                              "escape: %s", text);
            }
        }
        size++;
    } while (text[size] == ',');
    ck_assert_msg(text[size] == '}', "labels: %s", text);
    return size + 1;
}

/* "# HELP name text" begins a family, "# TYPE name type" must follow. */
static inline void exposition_comment(struct exposition *exposition, const char *line,
                                      bool *typed) {
    char *family = exposition->families[exposition->family_count];
    bool help = strncmp(line, "# HELP ", 7) == 0;
    const char *name = line + 7;
    size_t size;
    ck_assert_msg(help || strncmp(line, "# TYPE ", 7) == 0, "comment: %s", line);
    size = exposition_name_size(name, false);
    ck_assert_msg(name[size] == ' ' && name[size + 1] != 0, "comment: %s", line);
    if (!help) {
        ck_assert_msg(!*typed && exposition->family_count > 0, "two types: %s", line);
        family = exposition->families[exposition->family_count - 1];
        ck_assert_msg(strlen(family) == size && strncmp(family, name, size) == 0,
                      "TYPE of another: %s", line);
        (void)snprintf(exposition->type, EXPOSITION_TEXT_MAX, "%s", name + size + 1);
        *typed = true;
        return;
    }
    (void)snprintf(family, EXPOSITION_TEXT_MAX, "%.*s", (int)size, name);
    for (size_t i = 0; i < exposition->family_count; i++) {
        ck_assert_msg(strcmp(exposition->families[i], family) != 0, "twice: %s", family);
    }
    exposition->family_count++;
    *typed = false;
}

/* A sample's name must be the family's, with a suffix for histograms. */
static inline void exposition_check_name(const struct exposition *exposition,
                                         const char *name, size_t size) {
    static const char *const suffixes[] = {"_bucket", "_sum", "_count"};
    const char *family = exposition->families[exposition->family_count - 1];
    size_t family_size = strlen(family);
    bool counter = strcmp(exposition->type, "counter") == 0;
    ck_assert_msg(strncmp(name, family, family_size) == 0, "%s outside its family", name);
    ck_assert_msg(!counter || strcmp(family + family_size - 6, "_total") == 0,
                  "counter %s has no _total", family);
    if (strcmp(exposition->type, "histogram") != 0) {
        ck_assert_msg(size == family_size, "%s is not of %s", name, family);
        return;
    }
    for (size_t i = 0; i < ARRAY_COUNT(suffixes); i++) {
        if (size == family_size + strlen(suffixes[i]) &&
            strncmp(name + family_size, suffixes[i], strlen(suffixes[i])) == 0) {
            return;
        }
    }
    ck_abort_msg("suffix: %s", name);
}

static inline void exposition_sample(struct exposition *exposition, const char *line) {
    struct sample *sample = &exposition->samples[exposition->count];
    size_t size = exposition_name_size(line, false);
    char *end;
    ck_assert_uint_lt(exposition->count, EXPOSITION_SAMPLES_MAX);
    ck_assert_uint_gt(exposition->family_count, 0);
    exposition_check_name(exposition, line, size);
    size += exposition_labels_size(line + size);
    ck_assert_msg(line[size] == ' ', "no value: %s", line);
    ck_assert_uint_lt(size, EXPOSITION_TEXT_MAX);
    memcpy(sample->series, line, size);
    sample->series[size] = 0;
    ck_assert_msg(exposition_find(exposition, sample->series) == NULL, "twice: %s", line);
    sample->value = strtod(line + size + 1, &end);
    ck_assert_msg(end != line + size + 1 && *end == 0, "value: %s", line);
    exposition->count++;
}

/* Buckets come in a row, `le` last; +Inf ends them and _sum and _count follow. */
static inline void exposition_check_histograms(const struct exposition *exposition) {
    double before = 0;
    double le_before = -INFINITY;
    for (size_t i = 0; i < exposition->count; i++) {
        const struct sample *sample = &exposition->samples[i];
        const char *bucket = strstr(sample->series, "_bucket{");
        const char *le = strstr(sample->series, "le=\"");
        double bound;
        if (bucket == NULL) {
            continue;
        }
        ck_assert_msg(le != NULL, "no le: %s", sample->series);
        bound = strtod(le + 4, NULL); /* takes +Inf */
        ck_assert_msg(bound > le_before, "bounds fall: %s", sample->series);
        ck_assert_msg(sample->value >= before, "buckets fall: %s", sample->series);
        before = sample->value;
        le_before = bound;
        if (isinf(bound)) {
            ck_assert_uint_lt(i + 2, exposition->count);
            ck_assert_ptr_nonnull(strstr(sample[1].series, "_sum"));
            ck_assert_ptr_nonnull(strstr(sample[2].series, "_count"));
            ck_assert_double_eq(sample[2].value, sample->value);
            before = 0;
            le_before = -INFINITY;
        }
    }
    ck_assert_msg(isinf(le_before), "the last histogram has no +Inf");
}

/* Reads a page, which must be well-formed; the page is cut into lines. */
static inline void exposition_read(char *page, struct exposition *exposition) {
    bool typed = false;
    exposition->count = exposition->family_count = 0;
    ck_assert(text_is_utf8(page));
    while (*page != 0) {
        char *end = strchr(page, '\n');
        ck_assert_msg(end != NULL, "no end of line: %s", page);
        *end = 0;
        if (page[0] == '#') {
            exposition_comment(exposition, page, &typed);
        } else {
            ck_assert_msg(typed, "no type: %s", page);
            exposition_sample(exposition, page);
        }
        page = end + 1;
    }
    exposition_check_histograms(exposition);
}

#endif
