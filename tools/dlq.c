/* dlq.c - millrace dlq: the commands for dead letters, and what they share. */
#include "tools/dlq.h"

#include <ctype.h>
#include <time.h>

#include "base/text.h"
#include "tools/commands.h"
#include "tools/ranges.h"

/* ---- times --------------------------------------------------------------------------
 */

/* Days since 1970 of a date of the Gregorian calendar; after H. Hinnant, "chrono-
 * compatible low-level date algorithms", days_from_civil. */
static int64_t days_of(int64_t year, int month, int day) {
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = y / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era =
        year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

bool dlq_time(const char *text, int64_t *ms) {
    int year, month, day, hour = 0, minute = 0, second = 0, milli = 0, used = 0;
    if (text_parse_int(text, ms)) {
        return true;
    }
    if (sscanf(text, "%4d-%2d-%2d%n", &year, &month, &day, &used) != 3 || used != 10) {
        return false;
    }
    text += used;
    used = 0;
    if (sscanf(text, "T%2d:%2d%n", &hour, &minute, &used) == 2 && used == 6) {
        text += used;
        used = 0;
        if (sscanf(text, ":%2d%n", &second, &used) == 1 && used == 3) {
            text += used;
            used = 0;
            if (sscanf(text, ".%3d%n", &milli, &used) == 1 && used == 4) {
                text += used;
            }
        }
    }
    text += *text == 'Z';
    if (*text != 0 || year < 1970 || month < 1 || month > 12 || day < 1 || day > 31 ||
        hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59 ||
        milli < 0) {
        return false;
    }
    *ms = (((days_of(year, month, day) * 24 + hour) * 60 + minute) * 60 + second) * 1000 +
          milli;
    return true;
}

void dlq_time_text(int64_t ms, char *text, size_t size) {
    time_t seconds = (time_t)(ms / 1000);
    struct tm parts;
    char whole[32];
    if (ms < 0 || gmtime_r(&seconds, &parts) == NULL ||
        strftime(whole, sizeof(whole), "%Y-%m-%dT%H:%M:%S", &parts) == 0) {
        (void)snprintf(text, size, "-");
        return;
    }
    (void)snprintf(text, size, "%s.%03dZ", whole, (int)(ms % 1000));
}

/* ---- which letters ------------------------------------------------------------------
 */

static enum status take_time(const char *flag, const char *text, int64_t *ms,
                             struct error *err) {
    if (text == NULL || dlq_time(text, ms)) {
        return STATUS_OK;
    }
    return error_set(err, STATUS_INVALID,
                     "%s %.32s: a time is written 2026-01-31T23:59, in UTC", flag, text);
}

enum status dlq_filter_make(const struct dlq_options *options, struct dlq_filter *filter,
                            struct error *err) {
    enum status status;
    *filter = (struct dlq_filter){
        .options = options,
        .since_ms = INT64_MIN,
        .until_ms = INT64_MAX,
        .given = options->reason != NULL || options->stage != NULL ||
                 options->model != NULL || options->offsets != NULL ||
                 options->since != NULL || options->until != NULL ||
                 options->partition >= 0,
    };
    status = take_time("--since", options->since, &filter->since_ms, err);
    if (status == STATUS_OK) {
        status = take_time("--until", options->until, &filter->until_ms, err);
    }
    if (status != STATUS_OK || options->offsets == NULL) {
        return status;
    }
    filter->offsets = calloc(1, sizeof(*filter->offsets));
    if (filter->offsets == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for offsets");
    }
    if (ranges_parse(options->offsets, strlen(options->offsets), filter->offsets, err) !=
        STATUS_OK) {
        error_prefix(err, "--offsets %.40s", options->offsets);
        dlq_filter_release(filter);
        return STATUS_INVALID;
    }
    return STATUS_OK;
}

void dlq_filter_release(struct dlq_filter *filter) {
    free(filter->offsets);
    filter->offsets = NULL;
}

bool dlq_begin(const struct cli_command *command, int argc, char **argv,
               enum dlq_choice choice, struct dlq_options *options,
               struct dlq_filter *filter, int *code) {
    struct error err;
    int operands;
    enum cli_outcome outcome = cli_parse(command, argc, argv, options, &operands);
    if (outcome != CLI_RUN) {
        *code = cli_exit(outcome);
    } else if (kafka_io_bootstrap(options->bootstrap) == NULL) {
        *code = kafka_io_no_bootstrap(command);
    } else if (dlq_filter_make(options, filter, &err) != STATUS_OK) {
        *code = cli_misuse(command, "%s", err.text);
    } else if (choice == DLQ_CHOICE_NEEDED && !filter->given && !options->all) {
        *code =
            cli_misuse(command, "say which letters, by --reason, --stage, --model, "
                                "--partition, --offsets, --since or --until; or --all");
    } else {
        return true;
    }
    return false;
}

static bool header_is(const struct letter *letter, const char *name, const char *wanted) {
    struct span value;
    return wanted == NULL ||
           (letter_header(letter, name, &value) && span_is(value, wanted));
}

static bool holds_reason(const struct letter *letter, const char *wanted) {
    struct span reason;
    size_t size;
    if (wanted == NULL) {
        return true;
    }
    size = strlen(wanted);
    if (!letter_header(letter, "millrace.reason", &reason)) {
        return false;
    }
    for (size_t i = 0; i + size <= reason.size; i++) {
        if (memcmp(reason.data + i, wanted, size) == 0) {
            return true;
        }
    }
    return false;
}

bool dlq_matches(const struct dlq_filter *filter, const struct letter *letter) {
    const struct dlq_options *options = filter->options;
    return (options->partition < 0 || options->partition == letter->partition) &&
           (filter->offsets == NULL || ranges_hold(filter->offsets, letter->offset)) &&
           letter->timestamp_ms >= filter->since_ms &&
           letter->timestamp_ms < filter->until_ms &&
           header_is(letter, "millrace.stage", options->stage) &&
           header_is(letter, "millrace.model", options->model) &&
           holds_reason(letter, options->reason);
}

/* ---- reading ------------------------------------------------------------------------
 */

struct kafka_io_opts dlq_kafka(const struct dlq_options *options) {
    return (struct kafka_io_opts){.bootstrap = kafka_io_bootstrap(options->bootstrap),
                                  .properties = &options->properties,
                                  .wait_s = options->wait_s};
}

enum status dlq_each(const struct dlq_options *options, const struct dlq_filter *filter,
                     enum status (*see)(void *opaque, const struct letter *letter,
                                        struct error *err),
                     void *opaque, struct error *err) {
    struct kafka_io_opts kafka = dlq_kafka(options);
    struct letters *letters;
    struct letter letter;
    bool end = false;
    enum status status;
    status = letters_open(&kafka, options->topic, &letters, err);
    while (status == STATUS_OK && !end) {
        status = letters_next(letters, &letter, &end, err);
        if (status == STATUS_OK && !end &&
            (filter == NULL || dlq_matches(filter, &letter))) {
            status = see(opaque, &letter, err);
        }
    }
    letters_close(letters);
    return status;
}

void dlq_text(const struct letter *letter, const char *name, char *text, size_t size) {
    struct span value = {0};
    size_t used = 0;
    (void)letter_header(letter, name, &value); /* "" if it is not there */
    for (; used < value.size && used < size - 1; used++) {
        text[used] = iscntrl(value.data[used]) ? ' ' : (char)value.data[used];
    }
    text[used] = 0;
}

/* ---- the commands -------------------------------------------------------------------
 */

static const struct cli_entry entries[] = {
    {"list", "which letters there are, and why", .command = &dlq_list_cli},
    {"show", "one letter in full, decoded", .command = &dlq_show_cli},
    {"replay", "send letters back where they came from, each once",
     .command = &dlq_replay_cli},
    {"purge", "delete letters", .command = &dlq_purge_cli},
};

const struct cli_group dlq_group = {
    .name = "dlq",
    .summary = "Dead letters: what the worker has given up.",
    .entries = entries,
    .entry_count = ARRAY_COUNT(entries),
};
