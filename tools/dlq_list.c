/* dlq_list.c - millrace dlq list: which letters there are, and why. */
#include <inttypes.h>
#include <jansson.h>

#include "tools/dlq.h"
#include "tools/ranges.h"

#define REASON_SHOWN_MAX 200

static const struct cli_flag flags[] = {
    DLQ_FLAGS_COMMON,
    DLQ_FLAGS_FILTER,
    {.name = "--limit",
     .argument = "N",
     .help = "show so many at most; all are counted",
     .type = CLI_INT,
     .offset = offsetof(struct dlq_options, limit),
     .initial = "1000",
     .max = 1e12},
};

static int run(int argc, char **argv);

const struct cli_command dlq_list_cli = {
    .name = "dlq list",
    .operands = "",
    .summary =
        "Lists dead letters: where each is, when its job was made, and why it is one.",
    .details = "Neither keys nor values are shown.",
    .flags = flags,
    .flag_count = ARRAY_COUNT(flags),
    .run = run,
};

struct list {
    const struct dlq_options *options;
    int64_t count;
};

static enum status print_json(const struct letter *letter, struct error *err) {
    static const char *const names[] = {"millrace.stage", "millrace.model",
                                        "millrace.reason", "__connect.errors.topic"};
    static const char *const keys[] = {"stage", "model", "reason", "source_topic"};
    json_t *line = json_pack(
        "{s:i, s:I, s:I, s:I, s:I}", "partition", (int)letter->partition, "offset",
        (json_int_t)letter->offset, "timestamp_ms", (json_int_t)letter->timestamp_ms,
        "attempts", (json_int_t)letter_number(letter, "millrace.attempt", 1), "replays",
        (json_int_t)letter_number(letter, "millrace.replay.count", 0));
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        char text[DLQ_TEXT_MAX];
        dlq_text(letter, names[i], text, sizeof(text));
        (void)json_object_set_new(line, keys[i], json_string(text)); /* NULL: left out */
    }
    if (line == NULL || json_dumpf(line, stdout, JSON_COMPACT) != 0) {
        return error_set(err, STATUS_NO_MEMORY, "cannot print a line");
    }
    (void)puts(""); /* main looks whether all was written */
    json_decref(line);
    return STATUS_OK;
}

static void print_text(const struct letter *letter) {
    char stage[32], model[64], reason[REASON_SHOWN_MAX], time[DLQ_TIME_TEXT_MAX];
    dlq_text(letter, "millrace.stage", stage, sizeof(stage));
    dlq_text(letter, "millrace.model", model, sizeof(model));
    dlq_text(letter, "millrace.reason", reason, sizeof(reason));
    dlq_time_text(letter->timestamp_ms, time, sizeof(time));
    printf("%4d:%-10" PRId64 " %-24s %-8s %-12s %s\n", (int)letter->partition,
           letter->offset, time, stage, model[0] == 0 ? "-" : model, reason);
}

static enum status see(void *opaque, const struct letter *letter, struct error *err) {
    struct list *list = opaque;
    if (list->count++ >= list->options->limit) {
        return STATUS_OK;
    }
    if (list->options->json) {
        return print_json(letter, err);
    }
    if (list->count == 1) {
        printf("%15s %-24s %-8s %-12s %s\n", "PLACE", "MADE", "STAGE", "MODEL", "REASON");
    }
    print_text(letter);
    return STATUS_OK;
}

static int run(int argc, char **argv) {
    struct dlq_options options = {0};
    struct list list = {.options = &options};
    struct dlq_filter filter;
    struct error err;
    enum status status;
    int code;
    if (!dlq_begin(&dlq_list_cli, argc, argv, DLQ_ALL_UNLESS_CHOSEN, &options, &filter,
                   &code)) {
        return code;
    }
    status = dlq_each(&options, &filter, see, &list, &err);
    dlq_filter_release(&filter);
    if (status != STATUS_OK) {
        return cli_fail(&dlq_list_cli, &err);
    }
    if (!options.json) {
        printf("%" PRId64 " letters%s\n", list.count,
               list.count > options.limit ? ", not all shown" : "");
    }
    return EXIT_FINE;
}
