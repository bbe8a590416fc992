/* kafka_io.h - what the tools need of Kafka: send jobs, read results, make topics.
 *
 * The worker has its own, far more careful way (stream/); this one is for commands that
 * may simply say what went wrong and end.
 *
 * Depends on: tools/cli.h; librdkafka, which is in kafka_*.c only.
 * Ownership: opaque clients, closed by their close function, which accepts NULL.
 * Threads: one thread per client. */
#ifndef MILLRACE_TOOLS_KAFKA_IO_H
#define MILLRACE_TOOLS_KAFKA_IO_H

#include "base/span.h"
#include "tools/cli.h"

/* Where reading a partition begins. */
struct kafka_io_start {
    const char *topic;
    int partition;
    int64_t offset;
};

struct kafka_io_opts {
    const char *bootstrap;               /* "host:port,..." */
    const struct cli_list *properties;   /* librdkafka's, as "name=value"; they win */
    int64_t wait_s;                      /* for brokers and topics to be there */
    const struct kafka_io_start *starts; /* of readers; other partitions from the first */
    int start_count;
};

/* The version of the library that is linked, "2.0.2". */
const char *kafka_io_version(void);

/* The flag's value, or the variable MILLRACE_KAFKA_BOOTSTRAP_SERVERS, or NULL. */
const char *kafka_io_bootstrap(const char *flag);
/* Says that neither is there; returns EXIT_WRONG_USE. */
int kafka_io_no_bootstrap(const struct cli_command *command);

/* ---- sending --------------------------------------------------------------------- */

struct kafka_writer;

/* Waits until the topic has partitions.  STATUS_INVALID for a property that librdkafka
 * refuses, STATUS_AGAIN where brokers or topic did not come in time. */
MUST_CHECK enum status kafka_writer_open(const struct kafka_io_opts *opts,
                                         const char *topic, struct kafka_writer **writer,
                                         struct error *err);
void kafka_writer_close(struct kafka_writer *writer);

/* Copies key (data NULL for none) and value; waits while librdkafka's queue is full. */
MUST_CHECK enum status kafka_writer_send(struct kafka_writer *writer, struct span key,
                                         struct span value, struct error *err);

/* Serves delivery reports for up to timeout_ms. */
void kafka_writer_poll(struct kafka_writer *writer, int timeout_ms);

/* Records that are sent and neither delivered nor failed. */
int64_t kafka_writer_pending(const struct kafka_writer *writer);
int64_t kafka_writer_delivered(const struct kafka_writer *writer);

/* STATUS_AGAIN with the last reason if any record failed. */
MUST_CHECK enum status kafka_writer_check(const struct kafka_writer *writer,
                                          struct error *err);

/* ---- reading --------------------------------------------------------------------- */

struct kafka_reader;

struct kafka_io_record {
    struct span key, value; /* borrowed until the next call; data NULL for no key */
    int64_t timestamp_ms;
    const char *topic; /* borrowed likewise */
    int partition;
    int64_t offset;
};

/* Reads all partitions of the topics from their start, or opts->starts, committed records
 * only, as no member of any group.  Statuses as above. */
MUST_CHECK enum status kafka_reader_open(const struct kafka_io_opts *opts,
                                         const struct cli_list *topics,
                                         struct kafka_reader **reader, struct error *err);
void kafka_reader_close(struct kafka_reader *reader);

/* The next record; STATUS_AGAIN if none came within timeout_ms. */
MUST_CHECK enum status kafka_reader_next(struct kafka_reader *reader, int timeout_ms,
                                         struct kafka_io_record *record,
                                         struct error *err);

/* ---- topics ---------------------------------------------------------------------- */

#define KAFKA_IO_TOPICS_MAX 256 /* made in one go */

/* Makes the topics of "NAME[:PARTITIONS],..."; those that are there already are left as
 * they are.  `replicas` is -1 for the cluster's default. */
MUST_CHECK enum status kafka_io_create_topics(const struct kafka_io_opts *opts,
                                              const char *topics, int replicas,
                                              struct error *err);

#endif
