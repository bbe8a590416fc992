#include "stream/headers.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"

#define NUMBER_TEXT_MAX 32
/* The lengths of a header's name and value, as a request has them. */
#define LENGTHS_SIZE 4
/* Room made for headers that are added. */
#define ADDED_MAX 24

void headers_add(rd_kafka_headers_t *headers, const char *name, const char *text) {
    /* It fails only for a list that is read-only, which this one is not. */
    (void)rd_kafka_header_add(headers, name, -1, text, -1);
}

void headers_set(rd_kafka_headers_t *headers, const char *name, const char *text) {
    (void)rd_kafka_header_remove(headers, name); /* it may not be there */
    headers_add(headers, name, text);
}

void headers_add_number(rd_kafka_headers_t *headers, const char *name, int64_t number) {
    char text[NUMBER_TEXT_MAX];

    snprintf(text, sizeof text, "%" PRId64, number);
    headers_add(headers, name, text);
}

bool headers_find(const rd_kafka_message_t *message, const char *name,
                  struct span *value) {
    rd_kafka_headers_t *headers;
    const void *data;
    size_t size;

    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        rd_kafka_header_get_last(headers, name, &data, &size) !=
            RD_KAFKA_RESP_ERR_NO_ERROR ||
        data == NULL) {
        return false;
    }
    *value = span_of(data, size);
    return true;
}

int64_t headers_number(const rd_kafka_message_t *message, const char *name,
                       int64_t otherwise) {
    struct span value;
    int64_t number;

    return headers_find(message, name, &value) &&
                   text_parse_int_bytes(value.data, value.size, &number)
               ? number
               : otherwise;
}

bool headers_any(const rd_kafka_message_t *message) {
    rd_kafka_headers_t *headers;

    return rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR &&
           rd_kafka_header_cnt(headers) > 0;
}

size_t headers_size(const rd_kafka_headers_t *headers) {
    size_t total = 0, size;
    const char *name;
    const void *value;

    for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) ==
                       RD_KAFKA_RESP_ERR_NO_ERROR;
         i++) {
        total += strlen(name) + size + LENGTHS_SIZE;
    }
    return total;
}

rd_kafka_headers_t *headers_copy(const rd_kafka_message_t *message) {
    rd_kafka_headers_t *original = NULL;

    if (rd_kafka_message_headers(message, &original) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        return rd_kafka_headers_copy(original);
    }
    return rd_kafka_headers_new(ADDED_MAX);
}
