/* score.c - millrace score: a file's rows through a model, without Kafka. */
#include "tools/score.h"

#include "base/cpu.h"
#include "tools/commands.h"

static const struct cli_flag flags[] = {
    {.name = "--map",
     .argument = "INPUT=COLUMN,...",
     .help = "columns that make an input of the model, in their order; a path\n"
             "leads into a nested one: customer.age",
     .type = CLI_LIST,
     .offset = offsetof(struct score_opts, maps)},
    {.name = "--ignore",
     .argument = "COLUMN",
     .help = "a column that is no input, though it holds numbers",
     .type = CLI_LIST,
     .offset = offsetof(struct score_opts, ignored)},
    {.name = "--type",
     .argument = "COLUMN=TYPE",
     .help = "of a CSV column: long, double, boolean or string; the first\n"
             "10,000 rows tell if not given",
     .type = CLI_LIST,
     .offset = offsetof(struct score_opts, types)},
    {.name = "--mapping",
     .argument = "FILE.conf",
     .help = "instead of --map and --predict: the fields and answers of a\n"
             "configuration's route with a record",
     .type = CLI_TEXT,
     .offset = offsetof(struct score_opts, mapping)},
    {.name = "--route",
     .argument = "TOPIC",
     .help = "which one: its input; needed if there are several",
     .type = CLI_TEXT,
     .offset = offsetof(struct score_opts, route)},
    {.name = "--missing-fails",
     .help = "a missing number makes a bad row, not NaN",
     .type = CLI_SWITCH,
     .offset = offsetof(struct score_opts, missing_refused)},
    {.name = "--predict",
     .argument = "[NAME=]OUTPUT[:FORM]",
     .help = "a field of the prediction: an output of the model, its largest\n"
             "element's index (label), that element (score), the N largest\n"
             "(topN) or one element (its number); all outputs if not given",
     .type = CLI_LIST,
     .offset = offsetof(struct score_opts, predictions)},
    {.name = "--only-predictions",
     .help = "leave the input's columns out",
     .type = CLI_SWITCH,
     .offset = offsetof(struct score_opts, only_predictions)},
    {.name = "--on-error",
     .argument = "fail|skip|FILE",
     .help = "what a bad row does: end the run, nothing, or a line in FILE",
     .type = CLI_TEXT,
     .offset = offsetof(struct score_opts, on_error),
     .initial = "fail"},
    {.name = "--from",
     .argument = ROWS_FORMATS,
     .help = "of IN; its name tells if not given",
     .type = CLI_TEXT,
     .offset = offsetof(struct score_opts, from)},
    {.name = "--to",
     .argument = ROWS_FORMATS,
     .help = "of OUT, likewise",
     .type = CLI_TEXT,
     .offset = offsetof(struct score_opts, to)},
    {.name = "--codec",
     .argument = ROWS_CODECS,
     .help = "of an Avro container; as IN if that is one, else deflate",
     .type = CLI_TEXT,
     .offset = offsetof(struct score_opts, codec)},
    {.name = "--delimiter",
     .argument = "CHARACTER",
     .help = "between the columns of CSV, \\t for a tab; a comma, or a tab in .tsv",
     .type = CLI_TEXT,
     .offset = offsetof(struct score_opts, delimiter)},
    {.name = "--no-header",
     .help = "the first line of IN, which is CSV, is a row: its columns are called\n"
             "1, 2, ...; nor has OUT such a line, if it is CSV too",
     .type = CLI_SWITCH,
     .offset = offsetof(struct score_opts, no_header)},
    {.name = "--threads",
     .argument = "N",
     .help = "threads that compute; 0: one for each processor",
     .type = CLI_INT,
     .offset = offsetof(struct score_opts, threads),
     .initial = "0",
     .min = 0,
     .max = SCORE_THREADS_MAX},
    {.name = "--batch",
     .argument = "N",
     .help = "rows that are computed at once, at most",
     .type = CLI_INT,
     .offset = offsetof(struct score_opts, batch),
     .initial = "256",
     .min = 1,
     .max = BATCH_ROWS_MAX},
    {.name = "--save",
     .argument = "S",
     .help = "seconds of work that a kill may cost",
     .type = CLI_REAL,
     .offset = offsetof(struct score_opts, save_s),
     .initial = "5",
     .min = 0,
     .max = 86400},
    {.name = "--restart",
     .help = "begin anew, whatever a run before has left",
     .type = CLI_SWITCH,
     .offset = offsetof(struct score_opts, restart)},
    {.name = "--json",
     .help = "the summary as JSON",
     .type = CLI_SWITCH,
     .offset = offsetof(struct score_opts, json)},
    MODEL_FLAGS(struct score_opts, how),
};

static int run(int argc, char **argv);

const struct cli_command score_cli = {
    .run = run,
    .name = "score",
    .operands = "MODEL.onnx IN OUT",
    .summary = "Scores the rows of a file: what comes out are the rows and the "
               "predictions.",
    .details =
        "IN and OUT are Avro containers, CSV, JSON lines or .npy, in any pairing.\n"
        "Inputs of the model that are called like columns are made of these; a model\n"
        "of one input takes all columns of numbers, in their order. What was chosen\n"
        "is said on standard error. A missing number is NaN.\n"
        "- stands for standard input and output, which are CSV if --from and --to do\n"
        "not say otherwise; all of the input is read before the first row is scored,\n"
        "and such a run begins anew when it is started again.\n"
        "OUT appears complete or not at all. A run that was stopped or killed goes on\n"
        "when it is started again: OUT.millrace-part and OUT.millrace-progress hold\n"
        "what is done. CSV to CSV, and JSON lines to JSON lines, rows are copied\n"
        "character for character.",
    .operands_min = 3,
    .operands_max = 3,
    .flags = flags,
    .flag_count = ARRAY_COUNT(flags),
};

static void report(const struct score_opts *opts, bool goes_on,
                   const struct score_result *result) {
    int64_t done = result->rows - result->resumed;
    bool stream = rows_is_stream(opts->output); /* which the rows have for themselves */
    FILE *to = stream ? stderr : stdout;
    double rate = result->seconds > 0.0 ? (double)done / result->seconds : 0.0;
    if (opts->json) {
        fprintf(to,
                "{\"rows\":%lld,\"scored\":%lld,\"bad\":%lld,\"resumed\":%lld,"
                "\"complete\":%s,\"seconds\":%.3f,\"rows_per_s\":%.1f}\n",
                (long long)result->rows, (long long)result->good, (long long)result->bad,
                (long long)result->resumed, result->stopped ? "false" : "true",
                result->seconds, rate);
        return;
    }
    fprintf(to, "%lld rows scored", (long long)result->good);
    if (result->bad > 0) {
        fprintf(to, ", %lld bad ones left out", (long long)result->bad);
    }
    if (result->resumed > 0) {
        fprintf(to, ", %lld of them by runs before", (long long)result->resumed);
    }
    fprintf(to, ", in %.2f s (%.0f rows/s)\n", result->seconds, rate);
    if (result->stopped) {
        fprintf(to,
                goes_on ? "stopped; the same command goes on from here\n" : "stopped\n");
    }
}

/* Rules that no table of flags can hold. */
static int check(const struct score_opts *opts) {
    if (opts->mapping != NULL &&
        (opts->maps.count > 0 || opts->predictions.count > 0 || opts->ignored.count > 0 ||
         opts->types.count > 0 || opts->only_predictions || opts->missing_refused)) {
        return cli_misuse(&score_cli,
                          "--mapping says what goes in and what comes out: no "
                          "other flags of columns beside it");
    }
    if (opts->mapping == NULL && opts->route != NULL) {
        return cli_misuse(&score_cli, "--route: it is of --mapping FILE.conf");
    }
    if (opts->on_error[0] == 0 || rows_is_stream(opts->on_error) ||
        strcmp(opts->on_error, opts->output) == 0) {
        return cli_misuse(&score_cli,
                          "--on-error %s: fail, skip or a file of its own is "
                          "needed",
                          opts->on_error);
    }
    return EXIT_FINE;
}

static int run(int argc, char **argv) {
    struct score_opts opts = {.batch = 0};
    struct score_plan *plan;
    struct score_result result = {.rows = 0};
    struct error err = {0};
    int operand_count = 0, code;
    enum cli_outcome outcome = cli_parse(&score_cli, argc, argv, &opts, &operand_count);
    if (outcome != CLI_RUN) {
        return cli_exit(outcome);
    }
    opts.model = argv[1];
    opts.input = argv[2];
    opts.output = argv[3];
    code = check(&opts);
    if (code != EXIT_FINE) {
        return code;
    }
    opts.threads = opts.threads == 0 ? cpu_count() : opts.threads;
    plan = calloc(1, sizeof(*plan)); /* too large for the stack */
    if (plan == NULL) {
        (void)error_set(&err, STATUS_NO_MEMORY, "no memory");
        return cli_fail(&score_cli, &err);
    }
    enum status status = score_plan_create(&opts, plan, &err);
    if (status != STATUS_OK) {
        code = cli_fail(&score_cli, &err);
    } else {
        fprintf(stderr, "%s\n", plan->mapping.text);
        status = score_run(plan, &result, &err);
        code = status != STATUS_OK ? cli_fail(&score_cli, &err)
               : result.stopped    ? EXIT_FAILED
                                   : EXIT_FINE;
    }
    if (status == STATUS_OK) {
        report(&opts, plan->goes_on, &result);
    } else if (result.rows > 0 && plan->goes_on) {
        fprintf(stderr,
                "%lld rows before are kept: the same command goes on behind them\n",
                (long long)result.rows);
    }
    score_plan_release(plan);
    free(plan);
    return code;
}
