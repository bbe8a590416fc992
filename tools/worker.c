/* worker.c - millrace worker: the flags of the daemon. */
#include "app/worker.h"
#include "config/config.h"
#include "tools/cli.h"
#include "tools/commands.h"

struct options {
    const char *config;
    struct cli_list overrides;
    bool check, reference;
};

static const struct cli_flag flags[] = {
    {.name = "--config",
     .argument = "FILE",
     .help = "the configuration",
     .type = CLI_TEXT,
     .offset = offsetof(struct options, config)},
    {.name = "--set",
     .argument = "KEY=VALUE",
     .help = "a setting that wins over file and environment: worker.threads=2",
     .type = CLI_LIST,
     .offset = offsetof(struct options, overrides)},
    {.name = "--check",
     .help = "read the configuration, tell all that is wrong with it, and end",
     .type = CLI_SWITCH,
     .offset = offsetof(struct options, check)},
    {.name = "--reference",
     .help = "print the reference of all settings, as Markdown, and end",
     .type = CLI_SWITCH,
     .offset = offsetof(struct options, reference)},
};

static const struct cli_command command = {
    .name = "worker",
    .operands = "",
    .summary = "Consumes jobs, runs them in batches, and publishes the results.",
    .details = "Ends after SIGTERM or SIGINT, once the jobs it has begun are answered.\n"
               "Exit code 2 if the configuration or a model is wrong.",
    .operands_min = 0,
    .operands_max = 0,
    .flags = flags,
    .flag_count = ARRAY_COUNT(flags),
};

static void print_problem(void *opaque, const char *problem) {
    (void)opaque; /* standard error is where problems go */
    fprintf(stderr, "millrace: %s\n", problem);
}

static int check_config(const struct options *options) {
    struct config *config = NULL;
    struct error err = {0};
    enum status status =
        config_load(options->config, options->overrides.items,
                    (size_t)options->overrides.count, print_problem, NULL, &config, &err);
    config_free(config);
    if (status == STATUS_INVALID) {
        return EXIT_WRONG_USE; /* print_problem has said it all */
    }
    if (status != STATUS_OK) {
        return cli_fail(&command, &err);
    }
    printf("%s: fine\n", options->config);
    return EXIT_FINE;
}

int worker_command(int argc, char **argv) {
    struct options options = {0};
    int operand_count = 0;
    enum cli_outcome outcome = cli_parse(&command, argc, argv, &options, &operand_count);
    if (outcome != CLI_RUN) {
        return cli_exit(outcome);
    }
    if (options.reference) {
        config_reference(stdout);
        return EXIT_FINE;
    }
    if (options.config == NULL) {
        return cli_misuse(&command, "--config FILE is needed");
    }
    if (options.check) {
        return check_config(&options);
    }
    struct worker_opts opts = {.config_path = options.config,
                               .overrides = options.overrides.items,
                               .override_count = (size_t)options.overrides.count};
    return worker_run(&opts);
}
