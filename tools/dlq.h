/* dlq.h - what the commands for dead letters share: flags, and which letters are meant.
 *
 * Depends on: tools/kafka_letters.h, tools/cli.h.
 * Ownership: texts are borrowed from the command line.
 * Threads: the main thread. */
#ifndef MILLRACE_TOOLS_DLQ_H
#define MILLRACE_TOOLS_DLQ_H

#include "tools/commands.h"
#include "tools/kafka_letters.h"

struct dlq_options {
    const char *bootstrap, *topic;
    struct cli_list properties;
    int64_t wait_s;
    const char *reason, *stage, *model, *offsets, *since, *until;
    int64_t partition; /* -1: all */
    bool json;
    /* Of single commands. */
    bool all, dry_run, again, payload;
    int64_t limit, replays_max;
    const char *to;
};

/* The flags of every command, and those that choose letters; to stand in a table. */
#define DLQ_FLAGS_COMMON                                               \
    {.name = "--bootstrap",                                            \
     .argument = "HOST:PORT,...",                                      \
     .help = "brokers; MILLRACE_KAFKA_BOOTSTRAP_SERVERS if not given", \
     .type = CLI_TEXT,                                                 \
     .offset = offsetof(struct dlq_options, bootstrap)},               \
        {.name = "--topic",                                            \
         .argument = "TOPIC",                                          \
         .help = "the topic of dead letters",                          \
         .type = CLI_TEXT,                                             \
         .offset = offsetof(struct dlq_options, topic),                \
         .required = true},                                            \
        {.name = "--wait",                                             \
         .argument = "S",                                              \
         .help = "seconds to wait for the brokers and the topic",      \
         .type = CLI_INT,                                              \
         .offset = offsetof(struct dlq_options, wait_s),               \
         .initial = "30",                                              \
         .max = 86400},                                                \
        {.name = "-X",                                                 \
         .argument = "NAME=VALUE",                                     \
         .help = "a property of librdkafka",                           \
         .type = CLI_LIST,                                             \
         .offset = offsetof(struct dlq_options, properties)},          \
    {                                                                  \
        .name = "--json", .help = "lines of JSON", .type = CLI_SWITCH, \
        .offset = offsetof(struct dlq_options, json)                   \
    }

#define DLQ_FLAGS_FILTER                                                       \
    {.name = "--reason",                                                       \
     .argument = "TEXT",                                                       \
     .help = "letters whose reason holds this",                                \
     .type = CLI_TEXT,                                                         \
     .offset = offsetof(struct dlq_options, reason)},                          \
        {.name = "--stage",                                                    \
         .argument = "STAGE",                                                  \
         .help = "letters given up there: decode, infer, publish, crash ...",  \
         .type = CLI_TEXT,                                                     \
         .offset = offsetof(struct dlq_options, stage)},                       \
        {.name = "--model",                                                    \
         .argument = "NAME",                                                   \
         .help = "letters of that model",                                      \
         .type = CLI_TEXT,                                                     \
         .offset = offsetof(struct dlq_options, model)},                       \
        {.name = "--partition",                                                \
         .argument = "N",                                                      \
         .help = "letters in that partition of the topic; -1: all",            \
         .type = CLI_INT,                                                      \
         .offset = offsetof(struct dlq_options, partition),                    \
         .initial = "-1",                                                      \
         .min = -1,                                                            \
         .max = 1e6},                                                          \
        {.name = "--offsets",                                                  \
         .argument = "N-M,...",                                                \
         .help = "letters at these offsets",                                   \
         .type = CLI_TEXT,                                                     \
         .offset = offsetof(struct dlq_options, offsets)},                     \
        {.name = "--since",                                                    \
         .argument = "TIME",                                                   \
         .help = "jobs produced from then on: 2026-01-31, 2026-01-31T23:59,\n" \
                 "in UTC, or milliseconds since 1970",                         \
         .type = CLI_TEXT,                                                     \
         .offset = offsetof(struct dlq_options, since)},                       \
    {                                                                          \
        .name = "--until", .argument = "TIME", .help = "jobs produced before", \
        .type = CLI_TEXT, .offset = offsetof(struct dlq_options, until)        \
    }

struct dlq_filter {
    const struct dlq_options *options;
    struct ranges *offsets;     /* owned; NULL for all */
    int64_t since_ms, until_ms; /* INT64_MIN and INT64_MAX for none */
    bool given;                 /* any at all */
};

/* STATUS_INVALID names the flag that is not understood. */
MUST_CHECK enum status dlq_filter_make(const struct dlq_options *options,
                                       struct dlq_filter *filter, struct error *err);
void dlq_filter_release(struct dlq_filter *filter);

/* How every command begins: takes the flags and makes the filter.  False if that is the
 * end, with the exit code in *code: help, wrong use, no brokers named, or no choice made
 * where one is needed, because the command changes things. */
enum dlq_choice { DLQ_ALL_UNLESS_CHOSEN, DLQ_CHOICE_NEEDED };
MUST_CHECK bool dlq_begin(const struct cli_command *command, int argc, char **argv,
                          enum dlq_choice choice, struct dlq_options *options,
                          struct dlq_filter *filter, int *code);

bool dlq_matches(const struct dlq_filter *filter, const struct letter *letter);

/* What reading needs of the options. */
struct kafka_io_opts dlq_kafka(const struct dlq_options *options);

/* Milliseconds since 1970 of "2026-01-31", "2026-01-31T23:59[:58[.999]]", a Z or none,
 * or of a number of them; false for anything else. */
MUST_CHECK bool dlq_time(const char *text, int64_t *ms);

/* "2026-01-31T23:59:58.999Z", which --since takes; "-" of a record without a time. */
#define DLQ_TIME_TEXT_MAX 40
void dlq_time_text(int64_t ms, char *text, size_t size);

/* Calls `see` for every letter that the filter takes, or for all if it is NULL, until it
 * does not return STATUS_OK. */
MUST_CHECK enum status
dlq_each(const struct dlq_options *options, const struct dlq_filter *filter,
         enum status (*see)(void *opaque, const struct letter *letter, struct error *err),
         void *opaque, struct error *err);

/* A header as printable text, control characters masked; "" if it is not there. */
#define DLQ_TEXT_MAX 1024
void dlq_text(const struct letter *letter, const char *name, char *text, size_t size);

#endif
