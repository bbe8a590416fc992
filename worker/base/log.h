/* log.h - structured log lines on standard error.
 *
 * One event a line: text when standard error is a terminal, JSON otherwise.  Fields
 * are given as key and value pairs; a payload is never one of them.
 *
 *     log_event(LOG_WARN, "broker_down", LOG_TEXT("broker", name),
 *               LOG_INT("retry_ms", wait_ms));
 *
 * Depends on: base/compiler.h.
 * Ownership: nothing is kept after the call.
 * Threads: any; a line is written whole. */
#ifndef MILLRACE_BASE_LOG_H
#define MILLRACE_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_LEVEL_COUNT };
enum log_format { LOG_FORMAT_AUTO, LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

enum log_kind { LOG_KIND_END, LOG_KIND_TEXT, LOG_KIND_INT, LOG_KIND_REAL };

struct log_field {
    enum log_kind kind;
    const char *key;
    const char *text;
    int64_t integer;
    double real;
};

#define LOG_TEXT(k, v) \
    ((struct log_field){.kind = LOG_KIND_TEXT, .key = (k), .text = (v)})
#define LOG_INT(k, v) \
    ((struct log_field){.kind = LOG_KIND_INT, .key = (k), .integer = (v)})
#define LOG_REAL(k, v) \
    ((struct log_field){.kind = LOG_KIND_REAL, .key = (k), .real = (v)})

/* Lines below `level` are dropped.  Call before threads start; the defaults are
 * LOG_INFO and LOG_FORMAT_AUTO. */
void log_setup(enum log_level level, enum log_format format);

/* Writes one line: `event` is a short constant in snake_case, the fields follow. */
#define log_event(level, event, ...) \
    log_write(level, event, (const struct log_field[]){__VA_ARGS__, {0}})

/* The same with no fields. */
#define log_plain(level, event) log_write(level, event, (const struct log_field[]){{0}})

void log_write(enum log_level level, const char *event, const struct log_field *fields);

#endif
