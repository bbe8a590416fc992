/* collect_report.c - what `millrace collect` says at its end. */
#include <jansson.h>

#include "tools/collect_run.h"

static const char *latency_text(int32_t latency_ms, char *text, size_t size) {
    (void)snprintf(text, size, latency_ms < 0 ? "-" : "%d", (int)latency_ms);
    return text;
}

static void print_row(struct expect *expect) {
    char accuracy[16] = "-", p50[16], p99[16];
    double batch =
        expect->answered > 0 ? (double)expect->batch_sum / (double)expect->answered : 0.0;
    if (expect->judged > 0) {
        (void)snprintf(accuracy, sizeof(accuracy), "%.2f %%",
                       100.0 * (double)expect->right / (double)expect->judged);
    }
    printf("%-16s %9lld %9lld %10s %9.0f %7.1f %8s %8s\n",
           expect->model[0] != 0 ? expect->model : "(none)", (long long)expect->count,
           (long long)expect->answered, accuracy, expect_rate(expect), batch,
           latency_text(expect_latency_ms(expect, 0.50), p50, sizeof(p50)),
           latency_text(expect_latency_ms(expect, 0.99), p99, sizeof(p99)));
}

void collect_print(struct collect *collect) {
    puts("Latency is from the job's Kafka timestamp to the result's, in ms: waiting in "
         "the\n"
         "topic, for the batch, and computing. Jobs sent in a burst mostly wait for "
         "those\n"
         "ahead of them.\n");
    printf("%-16s %9s %9s %10s %9s %7s %8s %8s\n", "model", "jobs", "answered",
           "accuracy", "jobs/s", "batch", "p50", "p99");
    for (int i = 0; i < collect->expect_count; i++) {
        print_row(&collect->expects[i]);
    }
    printf("\n%s answered once: %lld of %lld",
           collect->answered == collect->wanted ? "every id" : "ids",
           (long long)collect->answered, (long long)collect->wanted);
    if (collect->duplicates > 0) {
        printf(", and %lld answers too many", (long long)collect->duplicates);
    }
    if (collect->unknown > 0) {
        printf("; %lld answers to unknown ids", (long long)collect->unknown);
    }
    if (collect->malformed > 0) {
        printf("; %lld records are no results", (long long)collect->malformed);
    }
    putchar('\n');
}

void collect_print_json(struct collect *collect) {
    json_t *models = json_array();
    for (int i = 0; i < collect->expect_count; i++) {
        struct expect *expect = &collect->expects[i];
        double answered = expect->answered > 0 ? (double)expect->answered : 1.0;
        json_t *accuracy = expect->judged > 0
                               ? json_real((double)expect->right / (double)expect->judged)
                               : json_null();
        json_array_append_new(
            models, json_pack("{s:s, s:I, s:I, s:I, s:o, s:f, s:f, s:i, s:i}", "model",
                              expect->model, "jobs", (json_int_t)expect->count,
                              "answered", (json_int_t)expect->answered, "duplicates",
                              (json_int_t)expect->duplicates, "accuracy", accuracy,
                              "jobs_per_s", expect_rate(expect), "batch_mean",
                              (double)expect->batch_sum / answered, "latency_p50_ms",
                              (int)expect_latency_ms(expect, 0.50), "latency_p99_ms",
                              (int)expect_latency_ms(expect, 0.99)));
    }
    json_t *summary = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:o}", "jobs", (json_int_t)collect->wanted, "answered",
        (json_int_t)collect->answered, "duplicates", (json_int_t)collect->duplicates,
        "unknown", (json_int_t)collect->unknown, "malformed",
        (json_int_t)collect->malformed, "models", models);
    json_dumpf(summary, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(summary);
}
