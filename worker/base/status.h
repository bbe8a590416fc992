/* status.h - how every fallible function reports.
 *
 * A function that can fail returns `enum status` and fills the `struct error` its
 * caller provides.  A status names who must react, the text says what, where and
 * which value, and never holds a payload.
 *
 * Depends on: base/compiler.h, base/text.h.
 * Ownership: a struct error is plain data with no heap behind it.
 * Threads: any; an error belongs to its caller. */
#ifndef MILLRACE_BASE_STATUS_H
#define MILLRACE_BASE_STATUS_H

#include "base/compiler.h"

enum status {
    STATUS_OK = 0,
    STATUS_AGAIN,       /* try later, nothing is lost: broker away, queue full */
    STATUS_POISON,      /* this job can never succeed: dead-letter it, carry on */
    STATUS_UNSUPPORTED, /* a model or schema needs what we lack: refuse at start */
    STATUS_INVALID,     /* the operator's file, flag or model is wrong: fix it */
    STATUS_ABORT_TXN,   /* roll the transaction back and replay from memory */
    STATUS_NO_MEMORY,   /* an allocation or a limit on one was hit */
    STATUS_FATAL,       /* stop; a supervisor restarts us */
    STATUS_COUNT
};

#define ERROR_TEXT_MAX 1024 /* bytes with the final 0; longer texts are cut */

struct error {
    enum status status;
    char text[ERROR_TEXT_MAX];
};

/* Fills *err and returns `status`, so that a caller writes `return error_set(...)`. Names
 * may be of a hostile file: the text is what text_clean leaves of it. */
enum status error_set(struct error *err, enum status status, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

/* Puts "where: " in front of the text of *err; returns its status. */
enum status error_prefix(struct error *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The status in lower case, for logs and header values: "poison". */
const char *status_name(enum status status);

#endif
