/* Calls that may hang are watched, each of them; past the limit, and not before, the
 * process ends and says which it was. */
#include <sys/wait.h>
#include <unistd.h>

#include "stream/internal.h"
#include "tests/unit/stream/calls.h"
#include "tests/unit/stream/fixture.h"

enum { ADD_PARTITIONS_TO_TXN = 24, TXN_OFFSET_COMMIT = 28 };
#define COUNT 200
#define LIMIT_US 60000000
#define SECOND_US 1000000

/* ---- the end ---- */

static char said[1024]; /* by the child, on standard error */

/* What a process that looks at it ends with; 0 where the look returns. */
static int look(struct watchdog *watchdog) {
    int ends[2], code;
    ssize_t size;
    pid_t child;
    ck_assert_int_eq(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        log_setup(LOG_ERROR, LOG_FORMAT_JSON);
        watchdog_check(watchdog);
        _exit(0);
    }
    ck_assert_int_eq(close(ends[1]), 0);
    size = read(ends[0], said, sizeof said - 1);
    ck_assert_int_ge(size, 0);
    said[size] = '\0';
    ck_assert_int_eq(close(ends[0]), 0);
    ck_assert_int_eq(waitpid(child, &code, 0), child);
    ck_assert(WIFEXITED(code));
    return WEXITSTATUS(code);
}

static struct watchdog in_a_call_for(int64_t time_us, int64_t limit_us) {
    struct watchdog watchdog;
    watchdog_init(&watchdog, limit_us);
    watchdog_enter(&watchdog, "send_offsets_to_transaction");
    atomic_fetch_sub(&watchdog.entered_us, time_us);
    return watchdog;
}

START_TEST(a_call_that_hangs_ends_the_process_at_its_limit) {
    struct watchdog watchdog = in_a_call_for(LIMIT_US - 10 * SECOND_US, LIMIT_US);
    ck_assert_int_eq(look(&watchdog), 0);
    watchdog = in_a_call_for(LIMIT_US, LIMIT_US);
    ck_assert_int_eq(look(&watchdog), WATCHDOG_EXIT_CODE);
    ck_assert_msg(strstr(said, "\"send_offsets_to_transaction\"") != NULL, "%s", said);
    ck_assert_msg(strstr(said, "\"limit_ms\":60000") != NULL, "%s", said);
}
END_TEST

START_TEST(a_call_that_returned_does_not_end_the_process) {
    struct watchdog watchdog = in_a_call_for(2 * LIMIT_US, LIMIT_US);
    watchdog_leave(&watchdog);
    ck_assert_int_eq(look(&watchdog), 0);
}
END_TEST

START_TEST(without_a_limit_nothing_is_watched) {
    struct watchdog watchdog = in_a_call_for(2 * LIMIT_US, 0);
    ck_assert_int_eq(look(&watchdog), 0);
}
END_TEST

/* As if the clock had been ahead by so much at the last look. */
START_TEST(a_clock_that_is_set_back_by_much_ends_the_process) {
    struct watchdog watchdog;
    watchdog_init(&watchdog, 0);
    atomic_fetch_add(&watchdog.ahead_ms, WATCHDOG_CLOCK_BACK_MS - 1000);
    ck_assert_int_eq(look(&watchdog), 0);
    watchdog_init(&watchdog, 0);
    atomic_fetch_add(&watchdog.ahead_ms, WATCHDOG_CLOCK_BACK_MS + 1000);
    ck_assert_int_eq(look(&watchdog), WATCHDOG_EXIT_CODE);
    ck_assert_msg(strstr(said, "clock_set_back") != NULL, "%s", said);
    watchdog_init(&watchdog, 0);
    atomic_fetch_sub(&watchdog.ahead_ms, 3600000); /* forward: nobody waits longer */
    ck_assert_int_eq(look(&watchdog), 0);
}
END_TEST

/* ---- what is watched ---- */

static int inits, committeds, sends, commits, aborts, destroys;

/* Counts a call of the stream's, which is to end before the watchdog wakes. */
static void note(int *count, int timeout_ms) {
    const struct stream *stream = fixture.stream;
    ++*count;
    ck_assert_int_ne(atomic_load(&stream->watchdog.entered_us), 0);
    ck_assert_int_le((int64_t)timeout_ms * 2000, stream->opts.watchdog_us);
}

rd_kafka_error_t *rd_kafka_init_transactions(rd_kafka_t *client, int timeout_ms) {
    rd_kafka_error_t *(*real)(rd_kafka_t *, int);
    CALLS_REAL(real, "rd_kafka_init_transactions");
    note(&inits, timeout_ms);
    return real(client, timeout_ms);
}

rd_kafka_resp_err_t rd_kafka_committed(rd_kafka_t *client,
                                       rd_kafka_topic_partition_list_t *list,
                                       int timeout_ms) {
    rd_kafka_resp_err_t (*real)(rd_kafka_t *, rd_kafka_topic_partition_list_t *, int);
    CALLS_REAL(real, "rd_kafka_committed");
    note(&committeds, timeout_ms);
    return real(client, list, timeout_ms);
}

rd_kafka_error_t *rd_kafka_send_offsets_to_transaction(
    rd_kafka_t *client, const rd_kafka_topic_partition_list_t *offsets,
    const rd_kafka_consumer_group_metadata_t *metadata, int timeout_ms) {
    rd_kafka_error_t *(*real)(rd_kafka_t *, const rd_kafka_topic_partition_list_t *,
                              const rd_kafka_consumer_group_metadata_t *, int);
    CALLS_REAL(real, "rd_kafka_send_offsets_to_transaction");
    note(&sends, timeout_ms);
    return real(client, offsets, metadata, timeout_ms);
}

rd_kafka_error_t *rd_kafka_commit_transaction(rd_kafka_t *client, int timeout_ms) {
    rd_kafka_error_t *(*real)(rd_kafka_t *, int);
    CALLS_REAL(real, "rd_kafka_commit_transaction");
    note(&commits, timeout_ms);
    return real(client, timeout_ms);
}

rd_kafka_error_t *rd_kafka_abort_transaction(rd_kafka_t *client, int timeout_ms) {
    rd_kafka_error_t *(*real)(rd_kafka_t *, int);
    CALLS_REAL(real, "rd_kafka_abort_transaction");
    note(&aborts, timeout_ms);
    return real(client, timeout_ms);
}

void rd_kafka_destroy(rd_kafka_t *client) {
    void (*real)(rd_kafka_t *);
    CALLS_REAL(real, "rd_kafka_destroy");
    if (client != fixture.client && !atomic_load(&fixture.stream->closing)) {
        note(&destroys, 0);
    }
    real(client);
}

static void run_on(int16_t api, rd_kafka_resp_err_t code) {
    int64_t deadline_us = clock_now_us() + PATIENCE_US;
    size_t count = fixture.committed + COUNT;
    rd_kafka_mock_push_request_errors(fixture.cluster, api, 1, code);
    fixture_send_numbers(0, COUNT);
    while (fixture.committed < count) {
        fixture_round();
        ck_assert(clock_now_us() < deadline_us);
        /* What comes between two rounds is not to be taken for a part of a call. */
        ck_assert_int_eq(atomic_load(&fixture.stream->watchdog.entered_us), 0);
    }
}

START_TEST(every_call_that_may_hang_is_watched_and_kept_shorter) {
    int committeds_before;
    fixture_start(STREAM_EXACTLY_ONCE);
    log_setup(LOG_LEVEL_COUNT, LOG_FORMAT_TEXT); /* librdkafka's errors are meant */
    fixture.opts.watchdog_us = 8 * SECOND_US;
    fixture_open();
    run_on(TXN_OFFSET_COMMIT, RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION);
    ck_assert_int_ge(inits, 1);
    ck_assert_int_ge(sends, 2);
    ck_assert_int_ge(commits, 1);
    ck_assert_int_ge(aborts, 1);
    committeds_before = committeds;
    ck_assert_int_ge(committeds_before, 1); /* what the last holder left */
    run_on(ADD_PARTITIONS_TO_TXN, RD_KAFKA_RESP_ERR_PRODUCER_FENCED);
    ck_assert_int_ge(destroys, 1);
    ck_assert_int_gt(committeds, committeds_before);
    fixture_stop();
}
END_TEST

/* What a process that does so ends with while a call of the stream's hangs. */
static int end_of(void (*look_at)(void)) {
    pid_t child = fork();
    int code;
    if (child == 0) {
        look_at();
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &code, 0), child);
    ck_assert(WIFEXITED(code));
    return WEXITSTATUS(code);
}

static void poll_once(void) {
    struct record *chain;
    struct error err;
    ck_assert_int_eq(stream_poll(fixture.stream, 0, &chain, &err), STATUS_OK);
}

static void ask_for_stats(void) {
    (void)fixture_stats();
}

START_TEST(whoever_polls_or_asks_for_figures_looks_for_a_call_that_hangs) {
    fixture_start(STREAM_EXACTLY_ONCE);
    log_setup(LOG_LEVEL_COUNT, LOG_FORMAT_TEXT);
    fixture_open();
    watchdog_enter(&fixture.stream->watchdog, "commit_transaction");
    ck_assert_int_eq(end_of(ask_for_stats), 0);
    atomic_fetch_sub(&fixture.stream->watchdog.entered_us, LIMIT_US);
    ck_assert_int_eq(end_of(ask_for_stats), WATCHDOG_EXIT_CODE);
    ck_assert_int_eq(end_of(poll_once), WATCHDOG_EXIT_CODE);
    watchdog_leave(&fixture.stream->watchdog);
    fixture_stop();
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_call_that_hangs_ends_the_process_at_its_limit,
        a_call_that_returned_does_not_end_the_process,
        without_a_limit_nothing_is_watched,
        a_clock_that_is_set_back_by_much_ends_the_process,
        every_call_that_may_hang_is_watched_and_kept_shorter,
        whoever_polls_or_asks_for_figures_looks_for_a_call_that_hangs,
    };
    return suite_run("watchdog", tests, ARRAY_COUNT(tests));
}
