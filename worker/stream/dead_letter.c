#include "stream/dead_letter.h"

#include "stream/headers.h"
#include "stream/internal.h"
#include "stream/retry.h"

#define CONNECT "__connect.errors."
#define CUT_TEXT_MAX 128
#define CLASS_TEXT_MAX 64
#define TRACE_TEXT_MAX 2560
/* Most headers we add. */
#define ADDED_MAX 24

static rd_kafka_headers_t *original_headers(const struct slot *slot) {
    return slot->cut != DEAD_LETTER_BARE ? retry_original_headers(slot)
                                         : rd_kafka_headers_new(ADDED_MAX);
}

static void add_cut(rd_kafka_headers_t *headers, const struct slot *slot) {
    const struct record *record = &slot->record;
    char text[CUT_TEXT_MAX];

    if (slot->cut == DEAD_LETTER_WHOLE) {
        return;
    }
    snprintf(text, sizeof text, "%s: value of %zu bytes, key of %zu bytes",
             slot->cut == DEAD_LETTER_NO_VALUE ? "value" : "all", record->value.size,
             record->key.size);
    headers_add(headers, "millrace.cut", text);
}

/* Where the original stands, and who gave it up. */
static void add_place(rd_kafka_headers_t *headers, struct stream *stream,
                      const struct slot *slot) {
    struct retry_origin origin = {0};

    retry_origin(stream, slot, &origin);
    headers_add(headers, CONNECT "topic", origin.topic);
    headers_add_number(headers, CONNECT "partition", origin.partition);
    headers_add_number(headers, CONNECT "offset", origin.offset);
    headers_add(headers, CONNECT "connector.name", stream->group);
    headers_add(headers, CONNECT "task.id", stream->identity.name);
}

/* What Connect calls the exception: there is no stack, but what a record failed of at
 * first and at last tells the same story. */
static void add_exception(rd_kafka_headers_t *headers, const struct slot *slot,
                          const char *stage, const char *reason) {
    char class_name[CLASS_TEXT_MAX], first[RETRY_ERROR_MAX], trace[TRACE_TEXT_MAX];
    bool retried = retry_first_error(slot, first, sizeof first);

    snprintf(class_name, sizeof class_name, "millrace.%s", stage);
    snprintf(trace, sizeof trace, "%s: %s%s%s", class_name, reason,
             retried ? "\nFirst error: " : "", retried ? first : "");
    headers_add(headers, CONNECT "stage", stage);
    headers_add(headers, CONNECT "class.name", "millrace");
    headers_add(headers, CONNECT "exception.class.name", class_name);
    headers_add(headers, CONNECT "exception.message", reason);
    headers_add(headers, CONNECT "exception.stacktrace", trace);
    if (retried) {
        headers_add(headers, "millrace.first_error", first);
    }
}

rd_kafka_headers_t *dead_letter_headers(struct stream *stream, const struct slot *slot) {
    const struct record *record = &slot->record;
    const char *stage = record->stage != NULL ? record->stage : "unknown";
    const char *reason = record->reason != NULL ? record->reason : "not known";
    rd_kafka_headers_t *headers = original_headers(slot);

    if (headers == NULL) {
        return NULL;
    }
    add_place(headers, stream, slot);
    add_exception(headers, slot, stage, reason);
    headers_add(headers, "millrace.stage", stage);
    if (record->model != NULL) {
        headers_add(headers, "millrace.model", record->model);
    }
    headers_add(headers, "millrace.reason", reason);
    headers_add_number(headers, "millrace.attempt", record->attempt);
    add_cut(headers, slot);
    return headers;
}
