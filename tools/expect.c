/* expect.c - see expect.h. */
#include "tools/expect.h"

#include <assert.h>
#include <ctype.h>

#include "base/text.h"
#include "tools/element.h"

#define COUNT_TEXT_MAX 32
#define SEVERAL "(several)"

enum status expect_make(struct span prefix, int64_t first, int64_t count,
                        const char *labels, struct expect *expect, struct error *err) {
    *expect = (struct expect){.prefix = prefix, .first = first, .count = count};
    if (count < 1 || count > EXPECT_COUNT_MAX) {
        return error_set(err, STATUS_INVALID, "a count from 1 to %lld is needed",
                         (long long)EXPECT_COUNT_MAX);
    }
    expect->seen = calloc((size_t)count, sizeof(expect->seen[0]));
    expect->latency_ms = calloc((size_t)count, sizeof(expect->latency_ms[0]));
    if (expect->seen == NULL || expect->latency_ms == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for %lld answers",
                         (long long)count);
    }
    if (labels == NULL) {
        return STATUS_OK;
    }
    enum status status = npy_read(labels, &expect->labels, err);
    if (status != STATUS_OK) {
        return status;
    }
    const struct tensor *y = &expect->labels.tensor;
    if (y->rank < 1 || y->dims[0] < 1 || y->dtype == DTYPE_STRING) {
        return error_set(err, STATUS_INVALID, "%s: rows of numbers are needed", labels);
    }
    expect->has_labels = true;
    return STATUS_OK;
}

enum status expect_parse(const char *text, struct expect *expect, struct error *err) {
    char number[COUNT_TEXT_MAX];
    int64_t count = 0;
    const char *equals = strchr(text, '=');
    size_t size = equals != NULL ? strcspn(equals + 1, ":") : 0;
    *expect = (struct expect){.count = 0};
    if (equals == NULL || size >= sizeof(number)) {
        return error_set(err, STATUS_INVALID,
                         "--expect %s: PREFIX=COUNT[:LABELS.npy] is needed", text);
    }
    memcpy(number, equals + 1, size);
    number[size] = 0;
    if (!text_parse_int(number, &count)) {
        return error_set(err, STATUS_INVALID, "--expect %s: '%s' is not a count", text,
                         number);
    }
    const char *labels = equals[1 + size] == ':' ? equals + size + 2 : NULL;
    enum status status = expect_make(span_of(text, (size_t)(equals - text)), 0, count,
                                     labels, expect, err);
    return status == STATUS_OK ? status : error_prefix(err, "--expect %s", text);
}

void expect_release(struct expect *expect) {
    npy_release(&expect->labels);
    free(expect->seen);
    free(expect->latency_ms);
    *expect = (struct expect){.count = 0};
}

int64_t expect_number(const struct expect *expect, struct span id) {
    int64_t number = 0;
    size_t at = expect->prefix.size;
    if (id.size <= at || memcmp(id.data, expect->prefix.data, at) != 0) {
        return -1;
    }
    for (; at < id.size; at++) {
        if (!isdigit(id.data[at]) || number > EXPECT_COUNT_MAX * 1000) {
            return -1;
        }
        number = number * 10 + (id.data[at] - '0');
    }
    return number >= expect->first && number - expect->first < expect->count ? number
                                                                             : -1;
}

/* Whether the group of `width` values of `y` from `start` on says `label`. */
static bool says(const struct tensor *y, size_t start, size_t width, int64_t label) {
    size_t best = 0;
    if (width == 1) {
        return (element_real(y, start) > 0.5) == (label == 1);
    }
    for (size_t i = 1; i < width; i++) {
        if (element_real(y, start + i) > element_real(y, start + best)) {
            best = i;
        }
    }
    return (int64_t)best == label;
}

static void judge(struct expect *expect, int64_t number, const struct tensor *y) {
    const struct tensor *labels = &expect->labels.tensor;
    size_t rows = (size_t)labels->dims[0];
    size_t per_row = tensor_count(labels) / rows;
    size_t count = y == NULL || y->dtype == DTYPE_STRING ? 0 : tensor_count(y);
    size_t row = (size_t)number % rows;
    size_t width = per_row > 0 ? count / per_row : 0;
    for (size_t i = 0; i < per_row; i++) {
        double label = element_real(labels, row * per_row + i);
        if (label < 0.0) {
            continue;
        }
        expect->judged++;
        /* An answer whose shape does not fit the labels is a wrong one. */
        if (width > 0 && says(y, i * width, width, (int64_t)label)) {
            expect->right++;
        }
    }
}

static void note_model(struct expect *expect, struct span model) {
    if (span_is(model, expect->model)) {
        return;
    }
    if (expect->answered > 0) {
        (void)snprintf(expect->model, sizeof(expect->model), SEVERAL);
        return;
    }
    (void)snprintf(expect->model, sizeof(expect->model), "%.*s", (int)model.size,
                   (const char *)model.data);
}

void expect_answer(struct expect *expect, int64_t number, const struct result *result,
                   int64_t result_ms, const struct tensor *y) {
    bool *seen = &expect->seen[number - expect->first];
    assert(number >= expect->first && number - expect->first < expect->count);
    if (*seen) {
        expect->duplicates++;
        return;
    }
    *seen = true;
    note_model(expect, result->model);
    expect->answered++;
    expect->batch_sum += result->batch_size;
    if (result->job_timestamp_ms > 0 && result_ms > 0) {
        int64_t latency_ms = result_ms - result->job_timestamp_ms;
        bool sane = latency_ms >= 0 && latency_ms <= INT32_MAX;
        expect->latency_ms[expect->timed++] = sane ? (int32_t)latency_ms : 0;
        if (expect->first_ms == 0 || result->job_timestamp_ms < expect->first_ms) {
            expect->first_ms = result->job_timestamp_ms;
        }
        expect->last_ms = result_ms > expect->last_ms ? result_ms : expect->last_ms;
    }
    if (expect->has_labels) {
        judge(expect, number, y);
    }
}

static int compare_latencies(const void *a, const void *b) {
    int32_t x, y;
    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return (x > y) - (x < y);
}

int32_t expect_latency_ms(struct expect *expect, double share) {
    assert(share > 0.0 && share <= 1.0);
    if (expect->timed == 0) {
        return -1;
    }
    qsort(expect->latency_ms, (size_t)expect->timed, sizeof(expect->latency_ms[0]),
          compare_latencies);
    /* The smallest value that at least this share does not pass. */
    double place = share * (double)expect->timed;
    int64_t index = (int64_t)place - ((double)(int64_t)place < place ? 0 : 1);
    return expect->latency_ms[index];
}

double expect_rate(const struct expect *expect) {
    int64_t span_ms = expect->last_ms - expect->first_ms;
    return span_ms > 0 ? (double)expect->answered * 1e3 / (double)span_ms : 0.0;
}
