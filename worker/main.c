/* main.c - the table of commands. */
#include <stdio.h>

#include "app/worker.h"
#include "base/cpu.h"
#include "tools/cli.h"
#include "tools/commands.h"
#include "tools/kafka_io.h"

static int version_command(int argc, char **argv) {
    (void)argc;
    (void)argv;
    printf("millrace %s (librdkafka %s, %s)\n", WORKER_VERSION, kafka_io_version(),
           cpu_level_name(cpu_level()));
    return EXIT_FINE;
}

static const struct cli_entry entries[] = {
    {"worker", "the daemon: consume, batch, infer, publish", worker_command},
    {"submit", "send rows of a file as jobs", submit_command},
    {"collect", "read results back and check them", collect_command},
    {"dlq", "dead letters: list, show, replay, purge", dlq_command},
    {"model", "look into a model file: inspect, run, test, bench", model_command},
    {"schema", "the Avro schemas of jobs and results", schema_command},
    {"topics", "make topics on a real broker", topics_command},
    {"broker", "a throw-away broker for demos; not for production", broker_command},
    {"registry", "a schema registry for demos; not for production", registry_command},
    {"version", "this program's version; also --version", version_command},
};

static int dispatch(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        return version_command(argc, argv);
    }
    return cli_dispatch("millrace", "A batch inference worker for Kafka.", entries,
                        ARRAY_COUNT(entries), argc, argv);
}

int main(int argc, char **argv) {
    int code = dispatch(argc, argv);
    /* Output that a full disk has swallowed was not given. */
    if (fflush(stdout) != 0 || ferror(stdout) != 0) {
        fprintf(stderr, "millrace: cannot write to standard output\n");
        return code == EXIT_FINE ? EXIT_FAILED : code;
    }
    return code;
}
