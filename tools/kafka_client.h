/* kafka_client.h - a client of librdkafka for the tools.
 *
 * Depends on: tools/kafka_io.h, librdkafka; only kafka_*.c include it.
 * Ownership: the client is the caller's; the report outlives it.
 * Threads: callbacks run within poll calls, on the thread that polls. */
#ifndef MILLRACE_TOOLS_KAFKA_CLIENT_H
#define MILLRACE_TOOLS_KAFKA_CLIENT_H

#include <librdkafka/rdkafka.h>

#include "tools/kafka_io.h"

struct kafka_setting {
    const char *name, *value;
};

/* What callbacks tell. */
struct kafka_report {
    char problem[256]; /* the last error of a broker, "" for none */
    int64_t delivered, failed;
    char failure[256]; /* why the last record failed */
};

/* Our settings first, then the user's properties, which win. */
MUST_CHECK enum status
kafka_client_open(const struct kafka_io_opts *opts, rd_kafka_type_t type,
                  const struct kafka_setting *settings, size_t setting_count,
                  struct kafka_report *report, rd_kafka_t **client, struct error *err);

/* Waits until the topic is there; *partitions is how many it has. */
MUST_CHECK enum status kafka_client_await(rd_kafka_t *client,
                                          const struct kafka_io_opts *opts,
                                          const struct kafka_report *report,
                                          const char *topic, int *partitions,
                                          struct error *err);

/* What to do about brokers that do not answer; `reason` may be "". */
enum status kafka_client_no_broker(const struct kafka_io_opts *opts, const char *reason,
                                   struct error *err);

#endif
