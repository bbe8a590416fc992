/* headers.h - headers of Kafka records as text and numbers.
 *
 * Depends on: base/span.h, librdkafka.
 * Ownership: what is read is borrowed from the message, what is added is copied.
 * Threads: pure. */
#ifndef MILLRACE_STREAM_HEADERS_H
#define MILLRACE_STREAM_HEADERS_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>

#include "base/compiler.h"
#include "base/span.h"

void headers_add(rd_kafka_headers_t *headers, const char *name, const char *text);
/* The only one of that name from now on. */
void headers_set(rd_kafka_headers_t *headers, const char *name, const char *text);
void headers_add_number(rd_kafka_headers_t *headers, const char *name, int64_t number);

/* The last header of that name; false where there is none or it is null. */
bool headers_find(const rd_kafka_message_t *message, const char *name,
                  struct span *value);

/* The number it holds; `otherwise` where there is none, or it is none. */
int64_t headers_number(const rd_kafka_message_t *message, const char *name,
                       int64_t otherwise);

/* Has it any? */
bool headers_any(const rd_kafka_message_t *message);

/* About how many bytes they take of a request. */
size_t headers_size(const rd_kafka_headers_t *headers);

/* A copy of the message's headers, or an empty list; NULL without memory. */
rd_kafka_headers_t *headers_copy(const rd_kafka_message_t *message);

#endif
