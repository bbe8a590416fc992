/* schema.c - millrace schema: the Avro schemas of jobs and results, for producers; and of
 * the answers to records, for their readers. */
#include "codec/schema.h"

#include "app/records.h"
#include "base/log.h"
#include "tools/cli.h"
#include "tools/commands.h"

struct options {
    const char *config, *topic;
    bool canonical, fingerprint;
};

static const struct cli_flag flags[] = {
    {.name = "--config",
     .argument = "FILE",
     .help = "of answers: the worker's configuration",
     .type = CLI_TEXT,
     .offset = offsetof(struct options, config)},
    {.name = "--topic",
     .argument = "NAME",
     .help = "of answers: the input of the route with a 'record'",
     .type = CLI_TEXT,
     .offset = offsetof(struct options, topic)},
    {.name = "--canonical",
     .help = "the Parsing Canonical Form instead",
     .type = CLI_SWITCH,
     .offset = offsetof(struct options, canonical)},
    {.name = "--fingerprint",
     .help = "its CRC-64-AVRO instead, as single-object encoding needs it",
     .type = CLI_SWITCH,
     .offset = offsetof(struct options, fingerprint)},
};

static int run(int argc, char **argv);

const struct cli_command schema_cli = {
    .name = "schema",
    .operands = "job|result|answers",
    .summary = "Prints the Avro schema of jobs, of results or of answers to records.",
    .details =
        "Answers to the records of a topic have a schema made of the records' and "
        "the\nroute's: 'answers' prints it, a line for each schema that the records "
        "may have.",
    .operands_min = 1,
    .operands_max = 1,
    .flags = flags,
    .flag_count = ARRAY_COUNT(flags),
    .run = run,
};

static const char *const names[] = {[SCHEMA_JOB] = "job", [SCHEMA_RESULT] = "result"};
_Static_assert(ARRAY_COUNT(names) == SCHEMA_COUNT, "every schema has a name");

static void print_schema(const struct schema *schema, const struct options *options) {
    if (options->fingerprint) {
        printf("%016llx\n", (unsigned long long)schema->fingerprint);
    } else if (options->canonical) {
        puts(schema->canonical);
    } else {
        fwrite(schema->json.data, 1, schema->json.size, stdout); /* main checks stdout */
    }
}

/* ---- answers to records ---- */

static void print_problem(void *opaque, const char *problem) {
    (void)opaque; /* standard error is where problems go */
    (void)fprintf(stderr, "millrace: %s\n", problem);
}

static void print_answer(void *opaque, const struct avro_schema *schema,
                         struct span json) {
    const struct options *options = opaque;
    struct span text = options->canonical ? avro_schema_canonical(schema) : json;
    if (options->fingerprint) {
        printf("%016llx\n", (unsigned long long)avro_schema_fingerprint(schema));
        return;
    }
    (void)fwrite(text.data, 1, text.size, stdout); /* main checks stdout */
    puts("");
}

static int print_answers(struct options *options) {
    const struct records_watch watch = {print_problem, print_problem, NULL};
    struct config *config = NULL;
    struct models models = {.count = 0};
    struct records *records = NULL;
    struct error err;
    enum status status =
        config_load(options->config, NULL, 0, print_problem, NULL, &config, &err);
    if (status == STATUS_INVALID) {
        return EXIT_WRONG_USE; /* print_problem has said it all */
    }
    log_setup(LOG_ERROR, LOG_FORMAT_AUTO);
    if (status == STATUS_OK) {
        status = models_open(config, 0, &models, &err);
    }
    if (status == STATUS_OK) {
        status = records_open(config, &models, &watch, &records, &err);
    }
    if (status == STATUS_OK) {
        status = records_answers(records, options->topic, print_answer, options, &err);
    }
    if (status != STATUS_OK) {
        print_problem(NULL, err.text);
    }
    records_close(records);
    models_close(&models);
    config_free(config);
    return status == STATUS_OK ? EXIT_FINE : EXIT_FAILED;
}

static int run(int argc, char **argv) {
    struct options options = {0};
    int operand_count = 0;
    enum cli_outcome outcome =
        cli_parse(&schema_cli, argc, argv, &options, &operand_count);
    if (outcome != CLI_RUN) {
        return cli_exit(outcome);
    }
    if (strcmp(argv[1], "answers") == 0) {
        return options.config == NULL || options.topic == NULL
                   ? cli_misuse(&schema_cli, "answers need --config and --topic")
                   : print_answers(&options);
    }
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (strcmp(argv[1], names[i]) == 0) {
            print_schema(schema_get((enum schema_id)i), &options);
            return EXIT_FINE;
        }
    }
    return cli_misuse(&schema_cli,
                      "there is no schema '%s'; job, result or answers is needed",
                      argv[1]);
}
