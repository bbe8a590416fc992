/* client.h - librdkafka's configuration: our defaults, the user's properties, and what
 * may not be changed.
 *
 * Depends on: stream/stream.h, stream/problems.h, librdkafka.
 * Ownership: a configuration made here is the caller's until rd_kafka_new takes it.
 * Threads: any; the log and error callbacks run on librdkafka's threads and only record.
 */
#ifndef MILLRACE_STREAM_CLIENT_H
#define MILLRACE_STREAM_CLIENT_H

#include <librdkafka/rdkafka.h>

#include "stream/problems.h"
#include "stream/stream.h"

#define CLIENT_BROKERS_MAX 128

enum client_role { CLIENT_CONSUMER, CLIENT_PRODUCER };

/* What librdkafka's callbacks get as `opaque`. */
struct client_context {
    struct problems *problems;
    char brokers[CLIENT_BROKERS_MAX]; /* bootstrap.servers, for messages */
    void *owner;                      /* struct stream */
    _Atomic int64_t refused_us;       /* when a broker was there, and refused us; or 0 */
};

/* A configuration with defaults and the user's properties.  `name` is the
 * worker's in its group, or the transactional.id.  STATUS_INVALID names the property that
 * is refused. */
MUST_CHECK enum status client_conf(enum client_role role, const struct stream_opts *opts,
                                   const char *name, struct client_context *context,
                                   rd_kafka_conf_t **conf, struct error *err);

/* A client from *conf, which is taken in any case and set to NULL. */
MUST_CHECK enum status client_create(enum client_role role, rd_kafka_conf_t **conf,
                                     rd_kafka_t **client, struct error *err);

/* Tells that no broker answers; not where one has answered of late, and refused us. */
void client_unanswered(struct client_context *context);

/* The number that `conf` holds for `name`, or `otherwise`. */
int64_t client_number(const rd_kafka_conf_t *conf, const char *name, int64_t otherwise);

#endif
