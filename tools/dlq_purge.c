/* dlq_purge.c - millrace dlq purge: letters deleted, as far as a topic lets them. */
#include <inttypes.h>

#include "tools/dlq.h"
#include "tools/ranges.h"

#define PARTITIONS_MAX 100000

static const struct cli_flag flags[] = {
    DLQ_FLAGS_COMMON,
    DLQ_FLAGS_FILTER,
    {.name = "--all",
     .help = "all letters that are there now",
     .type = CLI_SWITCH,
     .offset = offsetof(struct dlq_options, all)},
    {.name = "--dry-run",
     .help = "count only",
     .type = CLI_SWITCH,
     .offset = offsetof(struct dlq_options, dry_run)},
};

static int run(int argc, char **argv);

const struct cli_command dlq_purge_cli = {
    .name = "dlq purge",
    .operands = "",
    .summary = "Deletes dead letters, for good.",
    .details =
        "Kafka deletes from the beginning of a partition only. So each partition loses\n"
        "the letters before the first one that was not chosen; chosen ones behind it\n"
        "stay, and are counted. Without a choice nothing is deleted.",
    .flags = flags,
    .flag_count = ARRAY_COUNT(flags),
    .run = run,
};

struct purge {
    const struct dlq_filter *filter;
    int64_t *before; /* owned; by partition: delete below, -1 for nothing */
    bool *stopped;   /* owned; by partition: a letter stands that was not chosen */
    int32_t partitions;
    int64_t deleted, kept, out_of_reach;
};

static enum status grow(struct purge *purge, int32_t count, struct error *err) {
    int64_t *before;
    bool *stopped;
    if (count <= purge->partitions) {
        return STATUS_OK;
    }
    if (count > PARTITIONS_MAX) {
        return error_set(err, STATUS_INVALID, "more than %d partitions", PARTITIONS_MAX);
    }
    before = realloc(purge->before, (size_t)count * sizeof(*before));
    purge->before = before != NULL ? before : purge->before;
    stopped = realloc(purge->stopped, (size_t)count * sizeof(*stopped));
    purge->stopped = stopped != NULL ? stopped : purge->stopped;
    if (before == NULL || stopped == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for %d partitions",
                         (int)count);
    }
    for (; purge->partitions < count; purge->partitions++) {
        purge->before[purge->partitions] = -1;
        purge->stopped[purge->partitions] = false;
    }
    return STATUS_OK;
}

static enum status see(void *opaque, const struct letter *letter, struct error *err) {
    struct purge *purge = opaque;
    bool chosen = dlq_matches(purge->filter, letter);
    enum status status = grow(purge, letter->partition + 1, err);
    if (status != STATUS_OK) {
        return status;
    }
    if (!chosen) {
        purge->stopped[letter->partition] = true;
        purge->kept++;
    } else if (purge->stopped[letter->partition]) {
        purge->out_of_reach++;
    } else {
        purge->before[letter->partition] = letter->offset + 1;
        purge->deleted++;
    }
    return STATUS_OK;
}

static enum status purge_all(const struct dlq_options *options, struct purge *purge,
                             struct error *err) {
    struct kafka_io_opts kafka = dlq_kafka(options);
    enum status status = dlq_each(options, NULL, see, purge, err);
    if (status == STATUS_OK && !options->dry_run) {
        status =
            letters_delete(&kafka, options->topic, purge->before, purge->partitions, err);
    }
    free(purge->before);
    free(purge->stopped);
    return status;
}

static void report(const struct dlq_options *options, const struct purge *purge) {
    if (options->json) {
        printf("{\"dry_run\":%s,\"deleted\":%" PRId64 ",\"out_of_reach\":%" PRId64
               ",\"kept\":%" PRId64 "}\n",
               options->dry_run ? "true" : "false", purge->deleted, purge->out_of_reach,
               purge->kept);
        return;
    }
    printf("%" PRId64 " letters %s, %" PRId64
           " chosen ones stand behind others and stay, "
           "%" PRId64 " were not chosen\n",
           purge->deleted, options->dry_run ? "would be deleted" : "deleted",
           purge->out_of_reach, purge->kept);
}

static int run(int argc, char **argv) {
    struct dlq_options options = {0};
    struct dlq_filter filter;
    struct purge purge = {.filter = &filter};
    struct error err;
    enum status status;
    int code;
    if (!dlq_begin(&dlq_purge_cli, argc, argv, DLQ_CHOICE_NEEDED, &options, &filter,
                   &code)) {
        return code;
    }
    status = purge_all(&options, &purge, &err);
    dlq_filter_release(&filter);
    if (status != STATUS_OK) {
        return cli_fail(&dlq_purge_cli, &err);
    }
    report(&options, &purge);
    return EXIT_FINE;
}
