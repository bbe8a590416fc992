/* log.c - see log.h. */
#include "base/log.h"

#include <stdarg.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

enum { LINE_MAX_SIZE = 4096 };

static const char *const level_names[] = {
    [LOG_DEBUG] = "debug",
    [LOG_INFO] = "info",
    [LOG_WARN] = "warn",
    [LOG_ERROR] = "error",
};
_Static_assert(ARRAY_COUNT(level_names) == LOG_LEVEL_COUNT, "every level has a name");

/* Written by log_setup before threads start, read-only afterwards. */
static enum log_level level_min = LOG_INFO;
static enum log_format format_wanted = LOG_FORMAT_AUTO;

struct line {
    char text[LINE_MAX_SIZE];
    size_t size;
};

void log_setup(enum log_level level, enum log_format format) {
    level_min = level;
    format_wanted = format;
}

/* Two bytes stay free for the closing brace and the line's end. */
static void put(struct line *line, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void put(struct line *line, const char *fmt, ...) {
    size_t room = sizeof(line->text) - 2 - line->size;
    va_list args;
    int wanted;
    va_start(args, fmt);
    wanted = vsnprintf(line->text + line->size, room, fmt, args);
    va_end(args);
    if (wanted > 0) {
        line->size += (size_t)wanted < room ? (size_t)wanted : room - 1;
    }
}

/* A quoted JSON string (RFC 8259); control bytes never reach a terminal raw. */
static void put_quoted(struct line *line, const char *text) {
    size_t size;
    put(line, "\"");
    for (const char *c = text == NULL ? "" : text; *c != 0; c += size) {
        if (line->size + 16 > sizeof(line->text)) {
            break;
        }
        size = text_char_size(c);
        if (size == 0) {
            put(line, "\\ufffd"); /* what stands for a malformed byte */
            size = 1;
        } else if (*c == '"' || *c == '\\') {
            put(line, "\\%c", *c);
        } else if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            put(line, "\\u%04x", (unsigned)*c);
        } else {
            put(line, "%.*s", (int)size, c);
        }
    }
    put(line, "\"");
}

static void put_value(struct line *line, const struct log_field *field) {
    switch (field->kind) {
    case LOG_KIND_TEXT:
        put_quoted(line, field->text);
        break;
    case LOG_KIND_INT:
        put(line, "%lld", (long long)field->integer);
        break;
    case LOG_KIND_REAL:
        put(line, "%.6g", field->real);
        break;
    case LOG_KIND_END:
        break;
    }
}

static void put_time(struct line *line) {
    struct timespec now;
    struct tm parts;
    char text[32];
    (void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail with this clock */
    (void)gmtime_r(&now.tv_sec, &parts);       /* fails only past year 2^31 */
    (void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
    put(line, "%s.%03ldZ", text, now.tv_nsec / 1000000);
}

static void format_json(struct line *line, enum log_level level, const char *event,
                        const struct log_field *fields) {
    put(line, "{\"time\":\"");
    put_time(line);
    put(line, "\",\"level\":\"%s\",\"event\":\"%s\"", level_names[level], event);
    for (; fields->kind != LOG_KIND_END; fields++) {
        put(line, ",\"%s\":", fields->key);
        put_value(line, fields);
    }
    line->text[line->size++] = '}';
}

static void format_text(struct line *line, enum log_level level, const char *event,
                        const struct log_field *fields) {
    put_time(line);
    put(line, " %-5s %s", level_names[level], event);
    for (; fields->kind != LOG_KIND_END; fields++) {
        put(line, " %s=", fields->key);
        put_value(line, fields);
    }
}

void log_write(enum log_level level, const char *event, const struct log_field *fields) {
    struct line line = {.size = 0};
    bool text = format_wanted == LOG_FORMAT_TEXT;
    if (level < level_min) {
        return;
    }
    if (format_wanted == LOG_FORMAT_AUTO) {
        text = isatty(STDERR_FILENO) == 1;
    }
    (text ? format_text : format_json)(&line, level, event, fields);
    line.text[line.size++] = '\n';
    /* One write keeps the line whole; there is nowhere to report its failure. */
    (void)!write(STDERR_FILENO, line.text, line.size);
}
