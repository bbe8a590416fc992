/* loadgen.h - the parts of loadgen: its options, and one function per subcommand.
 *
 * Depends on: common.h.  Each subcommand is a function that returns the exit code. */
#ifndef BENCH_LOADGEN_H
#define BENCH_LOADGEN_H

#include "tests/bench/common.h"

struct load_options {
    const char *bootstrap, *topic, *group;
    const char *input_path; /* .npy with the rows to send */
    const char *input_name, *model;
    int64_t partitions, replication;
    int64_t count;           /* 0: not given */
    int64_t rate, seconds;   /* paced: jobs a second, and for how long */
    int64_t skip_seconds;    /* measure: warm-up to leave out */
    int64_t timeout_seconds; /* measure, wait: patience with no progress */
    bool to_end, assigned;
    bool records; /* fill, paced: flat records, an id and a row's numbers */
    struct properties properties;   /* librdkafka's */
    struct properties topic_config; /* of a new topic */
};

int load_create_topic(const struct load_options *options);
int load_drop_topic(const struct load_options *options);
int load_fill(const struct load_options *options);
int load_paced(const struct load_options *options);
int load_measure(const struct load_options *options);
int load_wait(const struct load_options *options);

/* How many partitions the topic has. */
int load_partition_count(rd_kafka_t *client, const char *topic);

#endif
