/* topics.c - millrace topics: makes topics on a real broker. */
#include <limits.h>

#include "tools/cli.h"
#include "tools/commands.h"
#include "tools/kafka_io.h"
#include "tools/topic_spec.h"

struct options {
    const char *bootstrap;
    struct cli_list properties;
    int64_t replicas, wait_s;
};

static const struct cli_flag flags[] = {
    {.name = "--bootstrap",
     .argument = "HOST:PORT,...",
     .help = "brokers; MILLRACE_KAFKA_BOOTSTRAP_SERVERS if not given",
     .type = CLI_TEXT,
     .offset = offsetof(struct options, bootstrap)},
    {.name = "--replicas",
     .argument = "N",
     .help = "brokers that keep a copy; -1: as the cluster has it",
     .type = CLI_INT,
     .offset = offsetof(struct options, replicas),
     .initial = "-1",
     .min = -1,
     .max = 100},
    {.name = "--wait",
     .argument = "S",
     .help = "seconds to wait for the brokers",
     .type = CLI_INT,
     .offset = offsetof(struct options, wait_s),
     .initial = "30",
     .min = 1,
     .max = 3600},
    {.name = "-X",
     .argument = "NAME=VALUE",
     .help = "a property of librdkafka",
     .type = CLI_LIST,
     .offset = offsetof(struct options, properties)},
};

static int run(int argc, char **argv);

const struct cli_command topics_cli = {
    .name = "topics",
    .operands = "NAME[:N],...",
    .summary = "Makes topics, with N partitions each (4 unless given).",
    .details = "A topic that is there already stays as it is.",
    .operands_min = 1,
    .operands_max = INT_MAX,
    .flags = flags,
    .flag_count = ARRAY_COUNT(flags),
    .run = run,
};

static int run(int argc, char **argv) {
    struct options options = {0};
    struct error err = {0};
    int operand_count = 0;
    enum cli_outcome outcome =
        cli_parse(&topics_cli, argc, argv, &options, &operand_count);
    if (outcome != CLI_RUN) {
        return cli_exit(outcome);
    }
    struct kafka_io_opts kafka = {.bootstrap = kafka_io_bootstrap(options.bootstrap),
                                  .properties = &options.properties,
                                  .wait_s = options.wait_s};
    if (kafka.bootstrap == NULL) {
        return kafka_io_no_bootstrap(&topics_cli);
    }
    for (int i = 0; i < operand_count; i++) {
        if (topic_spec_check(argv[1 + i], &err) != STATUS_OK) {
            return cli_misuse(&topics_cli, "%s", err.text);
        }
    }
    for (int i = 0; i < operand_count; i++) {
        if (kafka_io_create_topics(&kafka, argv[1 + i], (int)options.replicas, &err) !=
            STATUS_OK) {
            return cli_fail(&topics_cli, &err);
        }
    }
    return EXIT_FINE;
}
