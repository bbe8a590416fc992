/* collect_run.h - what one run of `millrace collect` holds and does; its flags are in
 * collect.c.
 *
 * Depends on: tools/answers.h, collect_state.h, expect.h, kafka_io.h.
 * Ownership: a struct collect owns what it has opened until collect_close.
 * Threads: the main thread. */
#ifndef MILLRACE_TOOLS_COLLECT_RUN_H
#define MILLRACE_TOOLS_COLLECT_RUN_H

#include <stdio.h>

#include "tools/answers.h"
#include "tools/cli.h"
#include "tools/collect_state.h"
#include "tools/expect.h"
#include "tools/kafka_io.h"
#include "tools/registry_options.h"

struct collect_options {
    const char *bootstrap, *id_prefix, *labels, *output;
    struct cli_list topics, expects, properties;
    int64_t count, first, wait_s;
    double timeout_s, settle_s;
    bool json;
    /* of --answers */
    const char *answers, *as, *to, *codec, *schema;
    struct registry_flags registry;
    double save_s;
    bool follow, restart;
};

/* Everything that one run of the command holds. */
struct collect {
    const struct collect_options *options;
    struct kafka_reader *reader;
    FILE *output;                            /* NULL for none */
    struct expect expects[CLI_LIST_MAX + 1]; /* of --expect, and --count's */
    int expect_count;
    int64_t wanted, answered, duplicates, unknown, malformed;
    struct answers_opts answers_opts;
    struct answers *answers; /* NULL for none */
    struct collect_state state;
    int64_t saved_us;
};

/* Opens what the options name, and takes up what a run before has left. */
MUST_CHECK enum status collect_open(struct collect *collect, struct error *err);
/* Accepts what collect_open has left half-way; tells what could not be written. */
MUST_CHECK enum status collect_close(struct collect *collect, struct error *err);

/* Reads until all have been answered and the topics were quiet, or nothing comes. */
MUST_CHECK enum status collect_read(struct collect *collect, struct error *err);
/* Ends --answers: the file appears when all are in; until then, what has come is kept for
 * the next run. */
MUST_CHECK enum status collect_end(struct collect *collect, struct error *err);
/* Makes collect_read return soon.  For a signal handler. */
void collect_stop(void);

/* The summary, to standard output: collect_report.c. */
void collect_print(struct collect *collect);
void collect_print_json(struct collect *collect);

#endif
