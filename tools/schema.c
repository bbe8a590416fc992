/* schema.c - millrace schema: the Avro schemas of jobs and results, for producers. */
#include "codec/schema.h"

#include "tools/cli.h"
#include "tools/commands.h"

struct options {
    bool canonical, fingerprint;
};

static const struct cli_flag flags[] = {
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
    .operands = "job|result",
    .summary = "Prints the Avro schema of jobs or of results.",
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

static int run(int argc, char **argv) {
    struct options options = {0};
    int operand_count = 0;
    enum cli_outcome outcome =
        cli_parse(&schema_cli, argc, argv, &options, &operand_count);
    if (outcome != CLI_RUN) {
        return cli_exit(outcome);
    }
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (strcmp(argv[1], names[i]) == 0) {
            print_schema(schema_get((enum schema_id)i), &options);
            return EXIT_FINE;
        }
    }
    return cli_misuse(&schema_cli, "there is no schema '%s'; job or result is needed",
                      argv[1]);
}
