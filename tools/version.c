/* version.c - millrace version: what this program is made of. */
#include "app/worker.h"
#include "base/cpu.h"
#include "tools/commands.h"
#include "tools/kafka_io.h"

static int run(int argc, char **argv);

const struct cli_command version_cli = {
    .name = "version",
    .operands = "",
    .summary = "Prints the version of the program and what it runs on.",
    .run = run,
};

static int run(int argc, char **argv) {
    int operand_count = 0;
    enum cli_outcome outcome = cli_parse(&version_cli, argc, argv, NULL, &operand_count);
    if (outcome != CLI_RUN) {
        return cli_exit(outcome);
    }
    printf("millrace %s (librdkafka %s, %s)\n", WORKER_VERSION, kafka_io_version(),
           cpu_level_name(cpu_level()));
    return EXIT_FINE;
}
