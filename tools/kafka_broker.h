/* kafka_broker.h - a toy broker in this process: librdkafka's mock cluster.
 *
 * Depends on: base/; librdkafka.
 * Ownership: opaque, closed by kafka_broker_close, which accepts NULL.
 * Threads: one; librdkafka serves the sockets on its own. */
#ifndef MILLRACE_TOOLS_KAFKA_BROKER_H
#define MILLRACE_TOOLS_KAFKA_BROKER_H

#include "base/status.h"

struct kafka_broker;

MUST_CHECK enum status kafka_broker_open(int brokers, struct kafka_broker **broker,
                                         struct error *err);
void kafka_broker_close(struct kafka_broker *broker);

/* Makes the topics of "NAME[:PARTITIONS],...". */
MUST_CHECK enum status kafka_broker_add_topics(struct kafka_broker *broker,
                                               const char *topics, struct error *err);

/* "127.0.0.1:PORT", borrowed until close. */
const char *kafka_broker_address(const struct kafka_broker *broker);

#endif
