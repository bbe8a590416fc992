#include "stream/retry.h"

#include <assert.h>

#include "stream/headers.h"
#include "stream/internal.h"

#define BEHIND_MAX_MS 86400000 /* more is no clock's fault */
#define RETRY "millrace.retry."
#define ATTEMPTS_MAX 1000000

enum header {
    ATTEMPT,
    NOT_BEFORE,
    TOPIC,
    PARTITION,
    OFFSET,
    TIMESTAMP,
    FIRST_ERROR,
    LAST_ERROR,
    HEADER_COUNT
};

static const char *const names[] = {
    [ATTEMPT] = RETRY "attempt",
    [NOT_BEFORE] = RETRY "not_before",
    [TOPIC] = RETRY "topic",
    [PARTITION] = RETRY "partition",
    [OFFSET] = RETRY "offset",
    [TIMESTAMP] = RETRY "timestamp",
    [FIRST_ERROR] = RETRY "first_error",
    [LAST_ERROR] = RETRY "last_error",
};
_Static_assert(ARRAY_COUNT(names) == HEADER_COUNT, "every header is named");

static bool is_retry(const struct slot *slot) {
    return slot->record.attempt > 1;
}

void retry_read(struct slot *slot, const struct stream_retry *level, int64_t now_us,
                int64_t wall_ms) {
    struct record *record = &slot->record;
    const rd_kafka_message_t *message = record->message;
    int64_t failed = headers_number(message, names[ATTEMPT], 1);
    int64_t due_ms = headers_number(message, names[NOT_BEFORE], wall_ms);
    int64_t behind_ms = due_ms - level->delay_ms - wall_ms, wait_ms;

    record->attempt = failed < 1 || failed > ATTEMPTS_MAX ? 2 : (int)failed + 1;
    record->timestamp_ms =
        headers_number(message, names[TIMESTAMP], record->timestamp_ms);
    /* It was written in the past: where it seems not to be, our clock is behind that of
     * the writer, for all that it has written. */
    if (behind_ms > slot->lease->behind_ms && behind_ms < BEHIND_MAX_MS) {
        slot->lease->behind_ms = behind_ms;
    }
    wait_ms = due_ms - wall_ms - (behind_ms > 0 ? slot->lease->behind_ms : 0);
    wait_ms = wait_ms > level->delay_ms ? level->delay_ms : wait_ms;
    wait_ms = wait_ms > 0 ? wait_ms : 0;
    slot->due_us = wait_ms > 0 ? now_us + wait_ms * 1000 : 0;
}

void retry_origin(struct stream *stream, const struct slot *slot,
                  struct retry_origin *origin) {
    const struct record *record = &slot->record;
    const rd_kafka_message_t *message = record->message;
    struct span topic;

    *origin =
        (struct retry_origin){.partition = record->partition, .offset = record->offset};
    snprintf(origin->topic, sizeof origin->topic, "%s",
             stream->inputs[slot->lease->input].topic);
    if (!is_retry(slot) || !headers_find(message, names[TOPIC], &topic) ||
        topic.size >= sizeof origin->topic) {
        return;
    }
    snprintf(origin->topic, sizeof origin->topic, "%.*s", (int)topic.size,
             (const char *)topic.data);
    origin->partition =
        (int32_t)headers_number(message, names[PARTITION], record->partition);
    origin->offset = headers_number(message, names[OFFSET], record->offset);
}

bool retry_first_error(const struct slot *slot, char *text, size_t size) {
    struct span error;

    if (!is_retry(slot) ||
        !headers_find(slot->record.message, names[FIRST_ERROR], &error)) {
        return false;
    }
    snprintf(text, size, "%.*s", (int)error.size, (const char *)error.data);
    return true;
}

static void strip(rd_kafka_headers_t *headers) {
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        (void)rd_kafka_header_remove(headers, names[i]); /* it may not be there */
    }
}

rd_kafka_headers_t *retry_original_headers(const struct slot *slot) {
    rd_kafka_headers_t *headers = headers_copy(slot->record.message);

    if (headers != NULL && slot->record.attempt > 1) {
        strip(headers);
    }
    return headers;
}

rd_kafka_headers_t *retry_headers(struct stream *stream, const struct slot *slot,
                                  int64_t not_before_ms) {
    const struct record *record = &slot->record;
    rd_kafka_headers_t *headers = headers_copy(record->message);
    char first[RETRY_ERROR_MAX], last[RETRY_ERROR_MAX];
    struct retry_origin origin = {0};

    if (headers == NULL) {
        return NULL;
    }
    snprintf(last, sizeof last, "%s: %s", record->stage != NULL ? record->stage : "",
             record->reason != NULL ? record->reason : "not known");
    if (!retry_first_error(slot, first, sizeof first)) {
        memcpy(first, last, sizeof first);
    }
    retry_origin(stream, slot, &origin);
    strip(headers);
    headers_add_number(headers, names[ATTEMPT], record->attempt);
    headers_add_number(headers, names[NOT_BEFORE], not_before_ms);
    headers_add(headers, names[TOPIC], origin.topic);
    headers_add_number(headers, names[PARTITION], origin.partition);
    headers_add_number(headers, names[OFFSET], origin.offset);
    headers_add_number(headers, names[TIMESTAMP], record->timestamp_ms);
    headers_add(headers, names[FIRST_ERROR], first);
    headers_add(headers, names[LAST_ERROR], last);
    return headers;
}
