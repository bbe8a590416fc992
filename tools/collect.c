/* collect.c - millrace collect: results read back and held against what was sent. */
#include <signal.h>

#include "tools/collect_run.h"
#include "tools/commands.h"
#include "tools/rows.h"

static const struct cli_flag flags[] = {
    {.name = "--bootstrap",
     .argument = "HOST:PORT,...",
     .help = "brokers; MILLRACE_KAFKA_BOOTSTRAP_SERVERS if not given",
     .type = CLI_TEXT,
     .offset = offsetof(struct collect_options, bootstrap)},
    {.name = "--topic",
     .argument = "TOPIC",
     .help = "where results come",
     .type = CLI_LIST,
     .offset = offsetof(struct collect_options, topics),
     .required = true},
    {.name = "--expect",
     .argument = "PREFIX=N[:FILE]",
     .help = "wait for ids PREFIX000000 up to N-1; rows of FILE, a .npy,\n"
             "are their labels",
     .type = CLI_LIST,
     .offset = offsetof(struct collect_options, expects)},
    {.name = "--count",
     .argument = "N",
     .help = "wait for N ids: --expect in parts",
     .type = CLI_INT,
     .offset = offsetof(struct collect_options, count),
     .initial = "0",
     .min = 0,
     .max = 1e9},
    {.name = "--first",
     .argument = "N",
     .help = "number of the first of --count",
     .type = CLI_INT,
     .offset = offsetof(struct collect_options, first),
     .initial = "0",
     .min = 0,
     .max = 1e12},
    {.name = "--id-prefix",
     .argument = "TEXT",
     .help = "what the ids of --count start with",
     .type = CLI_TEXT,
     .offset = offsetof(struct collect_options, id_prefix),
     .initial = "job-"},
    {.name = "--labels",
     .argument = "FILE.npy",
     .help = "labels of the rows behind --count",
     .type = CLI_TEXT,
     .offset = offsetof(struct collect_options, labels)},
    {.name = "--output",
     .argument = "FILE.jsonl",
     .help = "write every result there, as lines of JSON",
     .type = CLI_TEXT,
     .offset = offsetof(struct collect_options, output)},
    {.name = "--answers",
     .argument = "FILE",
     .help = "write the first answer to each job as a row there: an Avro\n"
             "container, CSV, JSON lines or .npy; the file appears when all are in",
     .type = CLI_TEXT,
     .offset = offsetof(struct collect_options, answers)},
    {.name = "--to",
     .argument = ROWS_FORMATS,
     .help = "of --answers; its name tells if not given",
     .type = CLI_TEXT,
     .offset = offsetof(struct collect_options, to)},
    {.name = "--codec",
     .argument = ROWS_CODECS,
     .help = "of an Avro container; deflate if not given",
     .type = CLI_TEXT,
     .offset = offsetof(struct collect_options, codec)},
    {.name = "--as",
     .argument = "job|record",
     .help = "what is read: answers to jobs, or records, whose key is the id",
     .type = CLI_TEXT,
     .offset = offsetof(struct collect_options, as),
     .initial = "job"},
    REGISTRY_FLAGS(struct collect_options, registry, "where the schemas of records are"),
    {.name = "--schema",
     .argument = "FILE.avsc",
     .help = "the schema of records that are bare",
     .type = CLI_TEXT,
     .offset = offsetof(struct collect_options, schema)},
    {.name = "--save",
     .argument = "S",
     .help = "seconds of work that a kill may cost --answers",
     .type = CLI_REAL,
     .offset = offsetof(struct collect_options, save_s),
     .initial = "2",
     .min = 0,
     .max = 86400},
    {.name = "--restart",
     .help = "begin --answers anew, whatever a run before has left",
     .type = CLI_SWITCH,
     .offset = offsetof(struct collect_options, restart)},
    {.name = "--follow",
     .help = "read on until SIGTERM, whatever has come",
     .type = CLI_SWITCH,
     .offset = offsetof(struct collect_options, follow)},
    {.name = "--timeout",
     .argument = "S",
     .help = "give up when no new answer came for so many seconds",
     .type = CLI_REAL,
     .offset = offsetof(struct collect_options, timeout_s),
     .initial = "60",
     .min = 0.1,
     .max = 1e6},
    {.name = "--settle",
     .argument = "S",
     .help = "read on for so long after the last answer, for duplicates",
     .type = CLI_REAL,
     .offset = offsetof(struct collect_options, settle_s),
     .initial = "1",
     .min = 0,
     .max = 1e6},
    {.name = "--wait",
     .argument = "S",
     .help = "seconds to wait for the brokers and the topics",
     .type = CLI_INT,
     .offset = offsetof(struct collect_options, wait_s),
     .initial = "30",
     .min = 0,
     .max = 86400},
    {.name = "-X",
     .argument = "NAME=VALUE",
     .help = "a property of librdkafka",
     .type = CLI_LIST,
     .offset = offsetof(struct collect_options, properties)},
    {.name = "--json",
     .help = "the summary as JSON",
     .type = CLI_SWITCH,
     .offset = offsetof(struct collect_options, json)},
};

static int run(int argc, char **argv);

const struct cli_command collect_cli = {
    .name = "collect",
    .operands = "",
    .summary = "Reads results until every job that was sent is answered.",
    .details =
        "Topics are read from their start, committed records only. Every id must be\n"
        "answered exactly once. Ids that nobody waits for are counted and passed over.\n"
        "With --answers, answers that come twice are counted and written once, and a\n"
        "run that was killed or timed out goes on when it is started again.\n"
        "With labels, answers are judged: the largest of several values against the\n"
        "label, a single one against 0.5; labels with a value for each step, step by\n"
        "step; -1 is not judged.",
    .endings = {{EXIT_FINE, "every id is answered, once"},
                {EXIT_FAILED, "an answer is missing or came twice, or it failed on the "
                              "way"}},
    .operands_min = 0,
    .operands_max = 0,
    .flags = flags,
    .flag_count = ARRAY_COUNT(flags),
    .run = run,
};

static void note_signal(int number) {
    (void)number;
    collect_stop();
}

static int run(int argc, char **argv) {
    struct sigaction action = {.sa_handler = note_signal};
    struct collect_options options = {0};
    struct error err = {0};
    int operand_count = 0;
    enum cli_outcome outcome =
        cli_parse(&collect_cli, argc, argv, &options, &operand_count);
    if (outcome != CLI_RUN) {
        return cli_exit(outcome);
    }
    if (kafka_io_bootstrap(options.bootstrap) == NULL) {
        return kafka_io_no_bootstrap(&collect_cli);
    }
    if (options.answers != NULL && rows_is_stream(options.answers)) {
        return cli_misuse(&collect_cli, "--answers -: it goes on where it was stopped, "
                                        "which takes a file");
    }
    if (options.as[0] == 'r' && options.answers == NULL) {
        return cli_misuse(&collect_cli, "--as record: --answers FILE is needed");
    }
    if (options.expects.count == 0 && options.count == 0 && !options.follow) {
        return cli_misuse(&collect_cli, "--expect or --count is needed");
    }
    struct collect *collect = calloc(1, sizeof(*collect)); /* too large for the stack */
    if (collect == NULL) {
        (void)error_set(&err, STATUS_NO_MEMORY, "no memory");
        return cli_fail(&collect_cli, &err);
    }
    collect->options = &options;
    if (options.answers != NULL || options.follow) {
        (void)sigaction(SIGINT, &action, NULL); /* fails on misuse alone */
        (void)sigaction(SIGTERM, &action, NULL);
    }
    enum status status = collect_open(collect, &err);
    if (status == STATUS_OK) {
        status = collect_read(collect, &err);
    }
    bool complete = collect->answered == collect->wanted &&
                    (collect->duplicates == 0 || collect->answers != NULL);
    if (status == STATUS_OK && collect->answers != NULL) {
        status = collect_end(collect, &err);
    }
    if (status == STATUS_OK && options.json) {
        collect_print_json(collect);
    } else if (status == STATUS_OK) {
        collect_print(collect);
    }
    enum status closed = collect_close(collect, &err);
    free(collect);
    if (status != STATUS_OK || closed != STATUS_OK) {
        return cli_fail(&collect_cli, &err);
    }
    return complete ? EXIT_FINE : EXIT_FAILED;
}
