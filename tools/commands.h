/* commands.h - every command; commands.c lists them.
 *
 * Each stands in a file of its own, with its flags.
 *
 * Depends on: tools/cli.h.  Threads: main thread only. */
#ifndef MILLRACE_TOOLS_COMMANDS_H
#define MILLRACE_TOOLS_COMMANDS_H

#include "tools/cli.h"

/* The table of all. */
extern const struct cli_group commands;

extern const struct cli_command worker_cli;
extern const struct cli_command init_cli;
extern const struct cli_command check_config_cli;
extern const struct cli_command submit_cli;
extern const struct cli_command collect_cli;
extern const struct cli_command score_cli;
extern const struct cli_command schema_cli;
extern const struct cli_command topics_cli;
extern const struct cli_command broker_cli;
extern const struct cli_command registry_cli;
extern const struct cli_command completion_cli;
extern const struct cli_command man_cli;
extern const struct cli_command version_cli;

extern const struct cli_group dlq_group;
extern const struct cli_command dlq_list_cli;
extern const struct cli_command dlq_show_cli;
extern const struct cli_command dlq_replay_cli;
extern const struct cli_command dlq_purge_cli;

extern const struct cli_group model_group;
extern const struct cli_command model_inspect_cli;
extern const struct cli_command model_run_cli;
extern const struct cli_command model_test_cli;
extern const struct cli_command model_bench_cli;

#endif
