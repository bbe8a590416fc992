/* broker.c - millrace broker: a throw-away broker for demos and development. */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "tools/cli.h"
#include "tools/commands.h"
#include "tools/kafka_broker.h"
#include "tools/topic_spec.h"

struct options {
    const char *topics, *address_file;
    int64_t brokers;
    bool json;
};

static const struct cli_flag flags[] = {
    {.name = "--topics",
     .argument = "NAME[:N],...",
     .help = "topics to make, with N partitions each (4 unless given);\n"
             "others are made as they are asked for",
     .type = CLI_TEXT,
     .offset = offsetof(struct options, topics)},
    {.name = "--brokers",
     .argument = "N",
     .help = "brokers in the cluster",
     .type = CLI_INT,
     .offset = offsetof(struct options, brokers),
     .initial = "1",
     .min = 1,
     .max = 9},
    {.name = "--address-file",
     .argument = "FILE",
     .help = "write the address there once the topics are made; removed at the end",
     .type = CLI_TEXT,
     .offset = offsetof(struct options, address_file)},
    {.name = "--json",
     .help = "print the address as JSON",
     .type = CLI_SWITCH,
     .offset = offsetof(struct options, json)},
};

static int run(int argc, char **argv);

const struct cli_command broker_cli = {
    .name = "broker",
    .operands = "",
    .summary = "A throw-away Kafka broker in one process, until SIGINT or SIGTERM.",
    .details =
        "NOT FOR PRODUCTION. It is librdkafka's mock cluster: everything is in\n"
        "memory and gone at the end; a partition forgets its oldest records past\n"
        "about 5 MB; transactions are accepted, but not enforced, and offsets sent\n"
        "with them are lost. It listens on a free port of 127.0.0.1, which cannot\n"
        "be chosen: the address is printed, or see --address-file.",
    .operands_min = 0,
    .operands_max = 0,
    .flags = flags,
    .flag_count = ARRAY_COUNT(flags),
    .run = run,
};

/* Whole or not at all: a reader must never see half an address. */
static enum status write_address(const char *path, const char *address,
                                 struct error *err) {
    char part[4096];
    int used = snprintf(part, sizeof(part), "%s.part", path);
    FILE *file = used > 0 && (size_t)used < sizeof(part) ? fopen(part, "w") : NULL;
    if (file == NULL) {
        return error_set(err, STATUS_INVALID, "%s: cannot write: %s", path,
                         strerror(errno));
    }
    fprintf(file, "%s\n", address);
    if (fclose(file) != 0 || rename(part, path) != 0) {
        return error_set(err, STATUS_INVALID, "%s: cannot write: %s", path,
                         strerror(errno));
    }
    return STATUS_OK;
}

static void announce(const struct options *options, const char *address) {
    if (options->json) {
        printf("{\"bootstrap\":\"%s\"}\n", address);
    } else {
        printf("bootstrap=%s\n", address);
    }
    fflush(stdout); /* whoever started us may be reading a pipe */
    fputs("This broker keeps everything in memory and is not for production.\n", stderr);
}

static int run(int argc, char **argv) {
    struct options options = {0};
    struct kafka_broker *broker = NULL;
    struct error err = {0};
    sigset_t signals;
    int operand_count = 0, signal_number = 0;
    enum cli_outcome outcome =
        cli_parse(&broker_cli, argc, argv, &options, &operand_count);
    if (outcome != CLI_RUN) {
        return cli_exit(outcome);
    }
    if (options.topics != NULL && topic_spec_check(options.topics, &err) != STATUS_OK) {
        return cli_misuse(&broker_cli, "--topics %s", err.text);
    }
    /* Blocked before librdkafka's threads start, which inherit it: sigwait gets them. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    enum status status = kafka_broker_open((int)options.brokers, &broker, &err);
    if (status == STATUS_OK && options.topics != NULL) {
        status = kafka_broker_add_topics(broker, options.topics, &err);
    }
    if (status == STATUS_OK && options.address_file != NULL) {
        status = write_address(options.address_file, kafka_broker_address(broker), &err);
    }
    if (status == STATUS_OK) {
        announce(&options, kafka_broker_address(broker));
        sigwait(&signals, &signal_number);
        if (options.address_file != NULL) {
            unlink(options.address_file);
        }
    }
    kafka_broker_close(broker);
    return status == STATUS_OK ? EXIT_FINE : cli_fail(&broker_cli, &err);
}
