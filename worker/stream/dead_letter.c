#include "stream/dead_letter.h"

#include <inttypes.h>

#define CONNECT "__connect.errors."
#define NUMBER_TEXT_MAX 32
#define CUT_TEXT_MAX 128
#define CLASS_TEXT_MAX 64

/* Most headers we add. */
#define ADDED_MAX 16

static void add(rd_kafka_headers_t *headers, const char *name, const char *text) {
    /* It fails only for a list that is read-only, which this one is not. */
    (void)rd_kafka_header_add(headers, name, -1, text, -1);
}

static void add_number(rd_kafka_headers_t *headers, const char *name, int64_t number) {
    char text[NUMBER_TEXT_MAX];

    snprintf(text, sizeof text, "%" PRId64, number);
    add(headers, name, text);
}

static rd_kafka_headers_t *original_headers(const struct slot *slot) {
    rd_kafka_headers_t *original = NULL;

    if (slot->cut != DEAD_LETTER_BARE &&
        rd_kafka_message_headers(slot->record.message, &original) ==
            RD_KAFKA_RESP_ERR_NO_ERROR) {
        return rd_kafka_headers_copy(original);
    }
    return rd_kafka_headers_new(ADDED_MAX);
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
    add(headers, "millrace.cut", text);
}

rd_kafka_headers_t *dead_letter_headers(const struct slot *slot, const char *topic,
                                        const char *group, const char *worker) {
    const struct record *record = &slot->record;
    const char *stage = record->stage != NULL ? record->stage : "unknown";
    const char *reason = record->reason != NULL ? record->reason : "not known";
    rd_kafka_headers_t *headers = original_headers(slot);
    char class_name[CLASS_TEXT_MAX];

    if (headers == NULL) {
        return NULL;
    }
    snprintf(class_name, sizeof class_name, "millrace.%s", stage);
    add(headers, CONNECT "topic", topic);
    add_number(headers, CONNECT "partition", record->partition);
    add_number(headers, CONNECT "offset", record->offset);
    add(headers, CONNECT "connector.name", group);
    add(headers, CONNECT "task.id", worker);
    add(headers, CONNECT "stage", stage);
    add(headers, CONNECT "class.name", "millrace");
    add(headers, CONNECT "exception.class.name", class_name);
    add(headers, CONNECT "exception.message", reason);
    add(headers, "millrace.stage", stage);
    if (record->model != NULL) {
        add(headers, "millrace.model", record->model);
    }
    add(headers, "millrace.reason", reason);
    add_number(headers, "millrace.attempt", 1);
    add_cut(headers, slot);
    return headers;
}
