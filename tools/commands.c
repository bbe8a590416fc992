/* commands.c - the table of commands. */
#include "tools/commands.h"

static const struct cli_entry entries[] = {
    {"worker", "the daemon: consume, batch, infer, publish", .command = &worker_cli},
    {"init", "a configuration to begin with", .command = &init_cli},
    {"check-config", "what would run, every setting and where it came from",
     .command = &check_config_cli},
    {"submit", "send rows of a file as jobs", .command = &submit_cli},
    {"collect", "read results back and check them", .command = &collect_cli},
    {"score", "score a file's rows, without Kafka", .command = &score_cli},
    {"dlq", "dead letters: list, show, replay, purge", .group = &dlq_group},
    {"model", "look into a model file: inspect, run, test, bench", .group = &model_group},
    {"schema", "the Avro schemas of jobs and results", .command = &schema_cli},
    {"topics", "make topics on a real broker", .command = &topics_cli},
    {"broker", "a throw-away broker for demos; not for production",
     .command = &broker_cli},
    {"registry", "a schema registry for demos; not for production",
     .command = &registry_cli},
    {"completion", "a script for bash, zsh or fish", .command = &completion_cli},
    {"man", "a manual page, as roff", .command = &man_cli},
    {"version", "this program's version; also --version", .command = &version_cli},
};

const struct cli_group commands = {
    .name = "",
    .summary = "A batch inference worker for Kafka.",
    .entries = entries,
    .entry_count = ARRAY_COUNT(entries),
};
