/* status.c - see status.h. */
#include "base/status.h"

#include <assert.h>
#include <stdarg.h>

#include "base/text.h"

enum status error_set(struct error *err, enum status status, const char *fmt, ...) {
    va_list args;
    assert(err != NULL);
    err->status = status;
    va_start(args, fmt);
    (void)vsnprintf(err->text, sizeof(err->text), fmt, args); /* cut is intended */
    va_end(args);
    text_clean(err->text);
    return status;
}

enum status error_prefix(struct error *err, const char *fmt, ...) {
    char old[ERROR_TEXT_MAX];
    va_list args;
    int used;
    assert(err != NULL);
    memcpy(old, err->text, sizeof(old));
    va_start(args, fmt);
    used = vsnprintf(err->text, sizeof(err->text), fmt, args);
    va_end(args);
    if (used >= 0 && (size_t)used < sizeof(err->text)) {
        (void)snprintf(err->text + used, sizeof(err->text) - (size_t)used, ": %.900s",
                       old);
    }
    text_clean(err->text);
    return err->status;
}

const char *status_name(enum status status) {
    static const char *const names[] = {
        [STATUS_OK] = "ok",
        [STATUS_AGAIN] = "again",
        [STATUS_POISON] = "poison",
        [STATUS_UNSUPPORTED] = "unsupported",
        [STATUS_INVALID] = "invalid",
        [STATUS_ABORT_TXN] = "abort_txn",
        [STATUS_NO_MEMORY] = "no_memory",
        [STATUS_FATAL] = "fatal",
    };
    _Static_assert(ARRAY_COUNT(names) == STATUS_COUNT, "every status has a name");
    assert(status < STATUS_COUNT);
    return names[status];
}
