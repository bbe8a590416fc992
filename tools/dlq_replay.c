/* dlq_replay.c - millrace dlq replay: letters sent back, each once. */
#include <inttypes.h>

#include "tools/dlq.h"
#include "tools/ranges.h"

#define TOPIC_MAX 250

static const struct cli_flag flags[] = {
    DLQ_FLAGS_COMMON,
    DLQ_FLAGS_FILTER,
    {.name = "--all",
     .help = "all letters, where no other flag chooses",
     .type = CLI_SWITCH,
     .offset = offsetof(struct dlq_options, all)},
    {.name = "--to",
     .argument = "TOPIC",
     .help = "send them there; if not given, to the topic and partition\n"
             "that each came from",
     .type = CLI_TEXT,
     .offset = offsetof(struct dlq_options, to)},
    {.name = "--replays-max",
     .argument = "N",
     .help = "leave out letters that were sent back so often",
     .type = CLI_INT,
     .offset = offsetof(struct dlq_options, replays_max),
     .initial = "3",
     .min = 1,
     .max = 1000},
    {.name = "--again",
     .help = "also those that an earlier replay has sent back",
     .type = CLI_SWITCH,
     .offset = offsetof(struct dlq_options, again)},
    {.name = "--dry-run",
     .help = "count only",
     .type = CLI_SWITCH,
     .offset = offsetof(struct dlq_options, dry_run)},
};

static int run(int argc, char **argv);

const struct cli_command dlq_replay_cli = {
    .name = "dlq replay",
    .operands = "",
    .summary = "Sends dead letters back to be tried again.",
    .details =
        "A letter goes as its job came: key, value and the producer's headers, and\n"
        "millrace.replay.count, the number of its replays, which a new letter of the\n"
        "same job keeps. Letters stay in their topic; which of them were sent back is\n"
        "noted in the offsets of group millrace-dlq.TOPIC, in the same transactions,\n"
        "so that a replay that is run again or was broken off sends none twice. (A\n"
        "cluster forgets the offsets of a group that nobody uses after a week, see\n"
        "offsets.retention.minutes.) Letters that lack their value are left out.",
    .flags = flags,
    .flag_count = ARRAY_COUNT(flags),
    .run = run,
};

struct run {
    const struct dlq_options *options;
    struct replay *replay;
    int64_t sent, known, too_often, cut, homeless;
};

static enum status see(void *opaque, const struct letter *letter, struct error *err) {
    struct run *run = opaque;
    const struct dlq_options *options = run->options;
    int64_t count = letter_number(letter, "millrace.replay.count", 0);
    char topic[TOPIC_MAX];
    struct span ignored;
    dlq_text(letter, "__connect.errors.topic", topic, sizeof(topic));
    if (replay_knows(run->replay, letter) && !options->again) {
        run->known++;
    } else if (letter_header(letter, "millrace.cut", &ignored)) {
        run->cut++;
    } else if (count >= options->replays_max) {
        run->too_often++;
    } else if (options->to == NULL && topic[0] == 0) {
        run->homeless++;
    } else {
        int64_t partition = letter_number(letter, "__connect.errors.partition", -1);
        run->sent++;
        if (options->dry_run) {
            return STATUS_OK;
        }
        return replay_send(
            run->replay, letter, options->to != NULL ? options->to : topic,
            options->to != NULL || partition > INT32_MAX ? -1 : (int32_t)partition,
            count + 1, err);
    }
    return STATUS_OK;
}

static void report(const struct run *run) {
    const struct dlq_options *options = run->options;
    if (options->json) {
        printf("{\"dry_run\":%s,\"sent\":%" PRId64 ",\"sent_before\":%" PRId64
               ",\"too_often\":%" PRId64 ",\"cut\":%" PRId64 ",\"no_origin\":%" PRId64
               "}\n",
               options->dry_run ? "true" : "false", run->sent, run->known, run->too_often,
               run->cut, run->homeless);
        return;
    }
    printf("%" PRId64 " letters %s\n", run->sent,
           options->dry_run ? "would be sent back" : "sent back");
    printf("left out: %" PRId64 " sent back before, %" PRId64 " sent back %" PRId64
           " times or more, %" PRId64 " without value, %" PRId64 " of unknown origin\n",
           run->known, run->too_often, options->replays_max, run->cut, run->homeless);
}

static enum status replay_all(struct run *run, const struct dlq_filter *filter,
                              struct error *err) {
    struct kafka_io_opts kafka = dlq_kafka(run->options);
    enum status status;
    status = replay_open(&kafka, run->options->topic, &run->replay, err);
    if (status == STATUS_OK) {
        status = dlq_each(run->options, filter, see, run, err);
    }
    if (status == STATUS_OK) {
        status = replay_finish(run->replay, err);
    }
    replay_close(run->replay);
    return status;
}

static int run(int argc, char **argv) {
    struct dlq_options options = {0};
    struct run run = {.options = &options};
    struct dlq_filter filter;
    struct error err;
    enum status status;
    int code;
    if (!dlq_begin(&dlq_replay_cli, argc, argv, DLQ_CHOICE_NEEDED, &options, &filter,
                   &code)) {
        return code;
    }
    status = replay_all(&run, &filter, &err);
    dlq_filter_release(&filter);
    if (status != STATUS_OK) {
        return cli_fail(&dlq_replay_cli, &err);
    }
    report(&run);
    return EXIT_FINE;
}
