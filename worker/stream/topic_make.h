/* topic_make.h - makes a topic.
 *
 * Depends on: base/status.h, librdkafka.  Ownership: nothing is kept.
 * Threads: any that may block for some seconds. */
#ifndef MILLRACE_STREAM_TOPIC_MAKE_H
#define MILLRACE_STREAM_TOPIC_MAKE_H

#include <librdkafka/rdkafka.h>

#include "base/status.h"

/* STATUS_OK where it was made or is there already; STATUS_UNSUPPORTED where the broker
 * knows no such request; STATUS_AGAIN with the broker's words for anything else. */
MUST_CHECK enum status topic_make(rd_kafka_t *client, const char *topic,
                                  int32_t partitions, int replicas, struct error *err);

#endif
