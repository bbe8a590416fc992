/* dlq_show.c - millrace dlq show: one letter in full. */
#include <ctype.h>
#include <inttypes.h>

#include "base/size.h"
#include "codec/job.h"
#include "tools/dlq.h"
#include "tools/ranges.h"

#define DUMP_WIDTH 16
#define ELEMENTS_SHOWN_MAX 32

static const struct cli_flag flags[] = {
    DLQ_FLAGS_COMMON,
    {.name = "--payload",
     .help = "also the key, the job's id and elements, or the value's bytes",
     .type = CLI_SWITCH,
     .offset = offsetof(struct dlq_options, payload)},
};

static int run(int argc, char **argv);

const struct cli_command dlq_show_cli = {
    .name = "dlq show",
    .operands = "PARTITION:OFFSET",
    .summary = "Shows one dead letter: all of its headers, and its job decoded.",
    .details =
        "Of the job, the model, names, types and shapes are shown, or where decoding\n"
        "fails; what it holds only with --payload.",
    .operands_min = 1,
    .operands_max = 1,
    .flags = flags,
    .flag_count = ARRAY_COUNT(flags),
    .run = run,
};

struct show {
    const struct dlq_options *options;
    bool found;
};

static void print_span(struct span text) {
    for (size_t i = 0; i < text.size; i++) {
        (void)putchar(isprint(text.data[i]) ? text.data[i] : '.'); /* main looks */
    }
}

static void dump(struct span bytes) {
    for (size_t at = 0; at < bytes.size; at += DUMP_WIDTH) {
        size_t count = size_min(DUMP_WIDTH, bytes.size - at);
        printf("  %08zx ", at);
        for (size_t i = 0; i < DUMP_WIDTH; i++) {
            if (i < count) {
                printf(" %02x", bytes.data[at + i]);
            } else {
                printf("   ");
            }
        }
        printf("  ");
        print_span(span_of(bytes.data + at, count));
        printf("\n");
    }
}

static void print_headers(const struct letter *letter) {
    const char *name;
    struct span value;
    for (size_t i = 0; letter_header_at(letter, i, &name, &value); i++) {
        printf("header     %s = ", name);
        print_span(value);
        printf("\n");
    }
}

/* The first elements, as numbers. */
static void print_elements(const struct job_tensor *tensor) {
    float values[ELEMENTS_SHOWN_MAX];
    size_t size = tensor->kind == JOB_DATA_BYTES ? sizeof(float) : 1;
    size_t count = tensor->count / size;
    struct error err;
    if (tensor->dtype != DTYPE_F32 || tensor->kind == JOB_DATA_STRINGS ||
        count > ELEMENTS_SHOWN_MAX) {
        printf("             %zu bytes:\n", tensor->data.size);
        dump(span_of(tensor->data.data,
                     size_min(tensor->data.size, DUMP_WIDTH * DUMP_WIDTH)));
        return;
    }
    if (job_fill(tensor, DTYPE_F32, count, values, &err) != STATUS_OK) {
        printf("             %s\n", err.text);
        return;
    }
    printf("            ");
    for (size_t i = 0; i < count; i++) {
        printf(" %g", (double)values[i]);
    }
    printf("\n");
}

static void print_tensor(const struct job_tensor *tensor, bool payload) {
    printf("  input      ");
    print_span(tensor->name);
    printf(" %s [", dtype_name(tensor->dtype));
    for (int i = 0; i < tensor->rank; i++) {
        printf("%s%" PRId64, i == 0 ? "" : ",", tensor->dims[i]);
    }
    printf("], %zu %s\n", tensor->count,
           tensor->kind == JOB_DATA_BYTES ? "bytes" : "elements");
    if (payload) {
        print_elements(tensor);
    }
}

static void print_job(struct span value, bool payload) {
    static struct job job; /* large */
    struct error err;
    if (job_parse(value, &job, &err) != STATUS_OK) {
        printf("value      %zu bytes, no job: %s\n", value.size, err.text);
        if (payload) {
            dump(value);
        }
        return;
    }
    printf("value      %zu bytes, a job\n", value.size);
    if (payload) {
        printf("  id         ");
        print_span(job.id);
        printf("\n");
    }
    printf("  model      ");
    print_span(job.model.size > 0 ? job.model : span_text("(the route's own)"));
    printf("\n");
    for (int i = 0; i < job.input_count; i++) {
        print_tensor(&job.inputs[i], payload);
    }
}

static enum status see(void *opaque, const struct letter *letter, struct error *err) {
    struct show *show = opaque;
    char time[DLQ_TIME_TEXT_MAX];
    (void)err;
    show->found = true;
    printf("place      partition %d, offset %" PRId64 "\n", (int)letter->partition,
           letter->offset);
    dlq_time_text(letter->timestamp_ms, time, sizeof(time));
    printf("timestamp  %s, %" PRId64 " ms since 1970\n", time, letter->timestamp_ms);
    print_headers(letter);
    printf("key        %zu bytes", letter->key.size);
    if (show->options->payload) {
        printf(": ");
        print_span(letter->key);
    }
    printf("\n");
    print_job(letter->value, show->options->payload);
    return STATUS_OK;
}

static int run(int argc, char **argv) {
    struct dlq_options options = {.partition = -1};
    struct show show = {.options = &options};
    struct dlq_filter filter;
    struct error err;
    enum status status;
    int operands;
    enum cli_outcome outcome = cli_parse(&dlq_show_cli, argc, argv, &options, &operands);
    if (outcome != CLI_RUN) {
        return cli_exit(outcome);
    }
    if (kafka_io_bootstrap(options.bootstrap) == NULL) {
        return kafka_io_no_bootstrap(&dlq_show_cli);
    }
    char *colon = strchr(argv[1], ':');
    if (colon == NULL || sscanf(argv[1], "%6" SCNd64, &options.partition) != 1 ||
        options.partition < 0) {
        return cli_misuse(
            &dlq_show_cli,
            "%.40s: a place is PARTITION:OFFSET, as 'dlq list' shows it: 0:17", argv[1]);
    }
    options.offsets = colon + 1;
    status = dlq_filter_make(&options, &filter, &err);
    if (status != STATUS_OK) {
        return cli_misuse(&dlq_show_cli, "%.40s: %s", argv[1], err.text);
    }
    status = dlq_each(&options, &filter, see, &show, &err);
    dlq_filter_release(&filter);
    if (status == STATUS_OK && !show.found) {
        status = error_set(&err, STATUS_INVALID, "no letter stands at %.40s", argv[1]);
    }
    return status == STATUS_OK ? EXIT_FINE : cli_fail(&dlq_show_cli, &err);
}
