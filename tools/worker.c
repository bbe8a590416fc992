/* worker.c - millrace worker: the flags of the daemon. */
#include "app/worker.h"
#include "config/config.h"
#include "stream/watchdog.h"
#include "tools/check_config.h"
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
     .help = "tell what is wrong with configuration and models, and end; see\n"
             "also millrace check-config",
     .type = CLI_SWITCH,
     .offset = offsetof(struct options, check)},
    {.name = "--reference",
     .help = "print the reference of all settings, as Markdown, and end",
     .type = CLI_SWITCH,
     .offset = offsetof(struct options, reference)},
};

static int run(int argc, char **argv);

const struct cli_command worker_cli = {
    .name = "worker",
    .operands = "",
    .summary = "Consumes jobs, runs them in batches, and publishes the results.",
    .details = "Ends after SIGTERM or SIGINT, once the jobs it has begun are answered.\n"
               "Takes up other files and versions of its models after SIGHUP; the log "
               "names what\n"
               "else has changed in the configuration, which takes a restart.",
    .endings = {{EXIT_FINE, "stopped as asked"},
                {EXIT_FAILED, "failed, or stopped at once by a second signal: start it "
                              "again"},
                {EXIT_WRONG_USE, "arguments, the configuration or a model is wrong"},
                {WATCHDOG_EXIT_CODE, "a transaction hung, or the clock was set back: "
                                     "start it again"}},
    .operands_min = 0,
    .operands_max = 0,
    .flags = flags,
    .flag_count = ARRAY_COUNT(flags),
    .run = run,
};

static int run(int argc, char **argv) {
    struct options options = {0};
    int operand_count = 0;
    enum cli_outcome outcome =
        cli_parse(&worker_cli, argc, argv, &options, &operand_count);
    if (outcome != CLI_RUN) {
        return cli_exit(outcome);
    }
    if (options.reference) {
        config_reference(stdout);
        return EXIT_FINE;
    }
    if (options.config == NULL) {
        return cli_misuse(
            &worker_cli,
            "--config FILE is needed; 'millrace init' writes one to begin with");
    }
    struct worker_opts opts = {.config_path = options.config,
                               .overrides = options.overrides.items,
                               .override_count = (size_t)options.overrides.count};
    return options.check ? check_config_run(&opts, false) : worker_run(&opts);
}
