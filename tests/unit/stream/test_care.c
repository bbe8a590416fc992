/* What a worker does with partitions whose last holder ended without notice, and the
 * marks that tell it so. */
#include "stream/care.h"

#include "stream/internal.h"
#include "stream/mark.h"
#include "tests/unit/stream/fixture.h"

#define COUNT 2000

static rd_kafka_t *member; /* of no generation: it commits and reads what it likes */

static void open_member(void) {
    char reason[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", fixture.bootstrap.value, NULL, 0);
    rd_kafka_conf_set(conf, "group.id", "group", NULL, 0);
    member = rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof reason);
    ck_assert_ptr_nonnull(member);
}

static void commit_mark(int32_t partition, int64_t offset, const char *mark) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *one =
        rd_kafka_topic_partition_list_add(list, "in", partition);
    one->offset = offset;
    one->metadata = strdup(mark);
    one->metadata_size = strlen(mark);
    ck_assert_int_eq(rd_kafka_commit(member, list, 0), 0);
    rd_kafka_topic_partition_list_destroy(list);
}

static struct mark read_mark(int32_t partition) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    struct mark mark;
    rd_kafka_topic_partition_list_add(list, "in", partition);
    ck_assert_int_eq(rd_kafka_committed(member, list, 10000), 0);
    mark_parse(list->elems[0].metadata, list->elems[0].metadata_size, &mark);
    rd_kafka_topic_partition_list_destroy(list);
    return mark;
}

/* Every partition's last holder left the mark; the offset is the start. */
static void start_after(const char *mark) {
    fixture_start(STREAM_AT_LEAST_ONCE); /* the mock keeps offsets committed so */
    /* Room for all, though nothing is known yet of their answers' sizes. */
    fixture.opts.window_size_max = (size_t)1 << 32;
    log_setup(LOG_LEVEL_COUNT, LOG_FORMAT_TEXT);
    open_member();
    fixture_send_numbers(0, COUNT);
    for (int32_t p = 0; p < PARTITIONS; p++) {
        commit_mark(p, 0, mark);
    }
    fixture_open();
}

static void stop(void) {
    rd_kafka_destroy(member);
    fixture_stop();
}

/* Rounds until something came, and then as many again as would bring more. */
static void run_until_quiet(void) {
    int64_t deadline_us = clock_now_us() + PATIENCE_US;
    while (fixture_stats().records_in == 0) {
        fixture_round();
        ck_assert_int_lt(clock_now_us(), deadline_us);
    }
    for (int i = 0; i < 100; i++) {
        fixture_round();
    }
}

static int64_t max_in_flight;

static void watch(struct fixture *f, struct record *record) {
    int64_t now = (int64_t)fixture_stats().records_in_flight;
    max_in_flight = now > max_in_flight ? now : max_in_flight;
    fixture_echo(f, record);
}

START_TEST(marks_are_read_as_they_are_written_and_others_mean_no_harm) {
    static const char *const others[] = {
        "",
        "x",
        "millrace:2:o",
        "millrace:2:o:-1:0:5:0:",
        "millrace:2:o:1:2:5:0:",
        "millrace:2:o:1:0:-5:0:",
        "millrace:2:o:1:0:999999999999:0:",
        "millrace:2:o:1:0:5:-1:",
        "millrace:2:o:1:0:5:1",
        "millrace:1:o:1:5",
        "a text of somebody else's that is longer than most marks of ours are likely to "
        "be",
    };
    static char long_text[2000] = "millrace:2:o:1:0:5:1:";
    rd_kafka_topic_partition_t partition = {0};
    const struct ahead ahead = {.upto = 20, .left_count = 2, .left = {7, 9}};
    struct ahead back;
    struct mark mark, written = {.state = 'r',
                                 .crashes = 3,
                                 .alone = 1,
                                 .suspects = 300,
                                 .step = 5,
                                 .owner = "group-w:1"};
    partition.offset = 7;
    mark_set(&partition, &written, &ahead);
    mark_parse(partition.metadata, partition.metadata_size, &mark);
    mark_parse_ahead(partition.metadata, partition.metadata_size, 7, &back);
    ck_assert_int_eq(back.upto, 20);
    ck_assert(ahead_has(&back, 8));
    ck_assert(!ahead_has(&back, 9));
    mark_parse_ahead("millrace:2:o:1:0:5:1:", 21, 7, &back);
    free(partition.metadata);
    ck_assert_int_eq(mark.state, 'r');
    ck_assert_int_eq(mark.crashes, 3);
    ck_assert_int_eq(mark.alone, 1);
    ck_assert_int_eq(mark.suspects, 300);
    ck_assert_int_eq(mark.step, 5);
    ck_assert_str_eq(mark.owner, "group-w:1");
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        mark_parse(others[i], strlen(others[i]), &mark);
        ck_assert_int_eq(mark.state, 'c');
        ck_assert_int_eq(mark.crashes, 0);
    }
    memset(long_text + 21, 'w', IDENTITY_NAME_MAX);
    mark_parse(long_text, strlen(long_text), &mark);
    ck_assert_int_eq(mark.state, 'c');
    mark_parse(NULL, 0, &mark);
    ck_assert_int_eq(mark.state, 'c');
    ck_assert(!ahead_has(&back, 8));
}
END_TEST

/* A record that always ends the process, at any place among any number, is alone and to
 * blame after few ends; nothing else is. */
START_TEST(every_end_divides_the_suspects_until_one_is_alone) {
    static const int64_t counts[] = {1, 256, 4000, 65536};
    for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
        struct mark mark = {.state = 'o', .suspects = counts[i]};
        int ends = 0;
        while (mark.alone < 2) {
            ck_assert(mark_take_over(&mark));
            ck_assert_int_eq(mark.crashes, ++ends);
            ck_assert_int_ge(mark.step, 1);
            ck_assert_int_le(mark.step, mark.suspects);
        }
        ck_assert_int_eq(ends, counts[i] <= 256 ? 5 : counts[i] <= 4096 ? 6 : 7);
    }
}
END_TEST

START_TEST(an_end_after_the_last_suspect_blames_nobody) {
    struct mark mark = {.state = 'o', .crashes = 2, .suspects = 0, .step = 8};
    ck_assert(mark_take_over(&mark));
    ck_assert_int_eq(mark.suspects, 0);
    ck_assert_int_eq(mark.step, 0);
    ck_assert_int_eq(mark.crashes, 0);
}
END_TEST

START_TEST(after_an_orderly_end_all_come_at_once) {
    int64_t deadline_us;
    start_after("millrace:2:c:0:0:0:0:somebody");
    fixture.answer = fixture_keep;
    deadline_us = clock_now_us() + PATIENCE_US;
    while (fixture_stats().records_in < COUNT) {
        fixture_round();
        ck_assert_int_lt(clock_now_us(), deadline_us);
    }
    ck_assert_uint_eq(fixture_stats().partitions_suspected, 0);
    for (int32_t p = 0; p < PARTITIONS; p++) {
        ck_assert_int_eq(read_mark(p).state, 'o');
    }
    stop();
}
END_TEST

START_TEST(after_a_crash_the_suspects_of_one_partition_go_together) {
    start_after("millrace:2:o:0:0:300:0:");
    fixture.answer = fixture_keep;
    run_until_quiet();
    ck_assert_uint_eq(fixture_stats().records_in, 300);
    ck_assert_uint_eq(fixture_stats().partitions_suspected, PARTITIONS);
    for (struct record *record = fixture.kept; record != NULL; record = record->next) {
        ck_assert_int_eq(record->partition, fixture.kept->partition);
    }
    for (int32_t p = 0; p < PARTITIONS; p++) { /* nobody else can be blamed */
        ck_assert_int_eq(read_mark(p).state, p == fixture.kept->partition ? 'o' : 'r');
    }
    fixture_answer_kept();
    fixture.answer = fixture_echo;
    fixture_run_until_committed(COUNT);
    ck_assert_uint_eq(fixture_stats().records_condemned, 0);
    ck_assert_uint_eq(fixture_stats().partitions_suspected, 0);
    ck_assert_int_eq(fixture_topic_size("out"), COUNT);
    stop();
}
END_TEST

/* What comes behind the suspects is in no window. */
START_TEST(what_has_to_wait_is_bounded) {
    const struct lease *lease;
    int64_t deadline_us;
    start_after("millrace:2:o:0:0:300:0:");
    for (int i = 0; i < COUNT; i++) {
        fixture_send("in", 1, NULL, "v", 1);
    }
    ck_assert_int_eq(rd_kafka_flush(fixture.client, 10000), 0);
    fixture.answer = fixture_keep;
    run_until_quiet();
    lease = fixture.stream->source.tables[0].leases[1];
    deadline_us = clock_now_us() + PATIENCE_US;
    while (!lease->paused) {
        fixture_round();
        ck_assert(clock_now_us() < deadline_us);
    }
    ck_assert_uint_le(lease->waiting_count, 512);
    stop();
}
END_TEST

START_TEST(after_two_crashes_they_go_in_small_steps) {
    start_after("millrace:2:o:1:0:256:300:");
    fixture.answer = fixture_keep;
    run_until_quiet();
    ck_assert_uint_eq(fixture_stats().records_in, 16);
    ck_assert_int_eq(read_mark(fixture.kept->partition).crashes, 2);
    ck_assert_int_eq(read_mark(fixture.kept->partition).step, 16);
    fixture.answer = watch;
    fixture_answer_kept();
    while (fixture_stats().partitions_suspected == PARTITIONS) {
        fixture_round();
    }
    ck_assert_int_le(max_in_flight, 16);
    stop();
}
END_TEST

/* What a commit in the middle of a step leaves to the next worker. */
START_TEST(suspects_that_are_past_are_not_suspected_again) {
    struct record *last;
    struct mark mark;
    start_after("millrace:2:o:0:0:300:0:");
    fixture.answer = fixture_keep;
    run_until_quiet();
    last = fixture.kept; /* the newest is first */
    fixture.kept = last->next;
    fixture_answer_kept();
    fixture_run_until_committed(299);
    mark = read_mark(last->partition);
    ck_assert_int_eq(mark.state, 'o');
    ck_assert_int_eq(mark.step, 300);
    ck_assert_int_eq(mark.suspects, 1);
    stop();
}
END_TEST

START_TEST(in_the_end_each_record_goes_alone) {
    start_after("millrace:2:o:2:0:4:4:");
    fixture.answer = fixture_keep;
    run_until_quiet();
    ck_assert_uint_eq(fixture_stats().records_in, 1);
    ck_assert_int_eq(read_mark(fixture.kept->partition).crashes, 3);
    ck_assert_int_eq(read_mark(fixture.kept->partition).alone, 0);
    stop();
}
END_TEST

/* What one was alone with in the worker is no crash of the next one's. */
START_TEST(the_next_record_alone_has_a_count_of_its_own) {
    struct mark mark;
    int32_t partition;
    start_after("millrace:2:o:3:1:3:1:");
    fixture.answer = fixture_keep;
    run_until_quiet();
    ck_assert_uint_eq(fixture_stats().records_in, 1);
    partition = fixture.kept->partition;
    ck_assert_int_eq(read_mark(partition).crashes, 4);
    ck_assert_int_eq(read_mark(partition).alone, 2);
    fixture_answer_kept();
    fixture_run_until_committed(1);
    mark = read_mark(partition);
    ck_assert_int_eq(mark.suspects, 2);
    ck_assert_int_eq(mark.crashes, 2);
    ck_assert_int_eq(mark.alone, 0);
    stop();
}
END_TEST

enum { OFFSET_COMMIT = 8 };

/* The brokers have it, but their answer came too late: what stands there is its own. */
START_TEST(nobody_takes_a_mark_of_its_own_for_a_crash) {
    int64_t deadline_us = clock_now_us() + PATIENCE_US;
    fixture_start(STREAM_AT_LEAST_ONCE);
    log_setup(LOG_LEVEL_COUNT, LOG_FORMAT_TEXT);
    fixture_send_numbers(0, COUNT);
    fixture_open();
    fixture.stream->txn.call_timeout_ms = 100;
    ck_assert_int_eq(
        rd_kafka_mock_broker_push_request_error_rtts(fixture.cluster, 1, OFFSET_COMMIT, 1,
                                                     RD_KAFKA_RESP_ERR_NO_ERROR, 700),
        0);
    while (fixture.committed < COUNT) {
        fixture_round();
        ck_assert_uint_eq(fixture_stats().partitions_suspected, 0);
        ck_assert(clock_now_us() < deadline_us);
    }
    fixture_stop();
}
END_TEST

static int dead_seen;

static void see_condemned(const rd_kafka_message_t *message) {
    ck_assert_str_eq(fixture_header(message, "millrace.stage"), "crash");
    ck_assert_ptr_nonnull(
        strstr(fixture_header(message, "millrace.reason"), "ended 5 times"));
    ck_assert_str_eq(fixture_header(message, "__connect.errors.partition"), "2");
    ck_assert_str_eq(fixture_header(message, "__connect.errors.offset"), "7");
    dead_seen++;
}

static void answer_all_but_the_killer(struct fixture *f, struct record *record) {
    ck_assert(record->partition != 2 || record->offset != 7);
    fixture_echo(f, record);
}

START_TEST(after_as_many_as_allowed_the_record_alone_is_a_dead_letter) {
    fixture_start(STREAM_AT_LEAST_ONCE);
    log_setup(LOG_LEVEL_COUNT, LOG_FORMAT_TEXT);
    open_member();
    fixture_send_numbers(0, COUNT);
    commit_mark(2, 7, "millrace:2:o:4:1:3:1:");
    fixture_open();
    fixture.answer = answer_all_but_the_killer;
    fixture_run_until_committed(COUNT - 7);
    ck_assert_uint_eq(fixture_stats().records_condemned, 1);
    ck_assert_uint_eq(fixture_stats().dead_letters_out, 1);
    ck_assert_uint_eq(fixture_stats().results_out, COUNT - 8);
    ck_assert_uint_eq(fixture_stats().partitions_suspected, 0);
    fixture_read("dead", 1, see_condemned);
    ck_assert_int_eq(dead_seen, 1);
    stop();
}
END_TEST

/* The mark of steps of one after progress: whoever was in that crash has caused no other.
 */
START_TEST(one_crash_alone_condemns_nobody) {
    start_after("millrace:2:o:4:0:3:1:");
    fixture_run_until_committed(COUNT);
    ck_assert_uint_eq(fixture_stats().records_condemned, 0);
    ck_assert_uint_eq(fixture_stats().results_out, COUNT);
    stop();
}
END_TEST

/* The commit is refused, so that the mark before it stays to be seen. */
START_TEST(an_end_after_its_outcome_is_not_blamed_on_a_record) {
    struct mark mark;
    int32_t partition;
    (void)setenv("MILLRACE_FAIL_POINT", "txn.refused/1", 1);
    start_after("millrace:2:o:3:0:3:1:");
    fixture.answer = fixture_keep;
    run_until_quiet();
    partition = fixture.kept->partition;
    ck_assert_int_eq(read_mark(partition).state, 'o');
    fixture_answer_kept();
    while (fixture_stats().transactions_aborted == 0) {
        fixture_round();
    }
    mark = read_mark(partition);
    ck_assert_int_eq(mark.state, 'r');
    ck_assert_int_eq(mark.crashes, 4);
    ck_assert_int_eq(mark.alone, 1);
    stop();
}
END_TEST

START_TEST(an_orderly_end_leaves_no_suspicion) {
    start_after("");
    fixture_run_until_committed(COUNT);
    stream_close(fixture.stream, 10000);
    for (int32_t p = 0; p < PARTITIONS; p++) {
        ck_assert_int_eq(read_mark(p).state, 'c');
    }
    fixture_open();
    stop();
}
END_TEST

START_TEST(a_worker_that_is_gone_before_its_first_commit_is_noticed) {
    fixture_start(STREAM_AT_LEAST_ONCE);
    open_member();
    fixture.answer = fixture_keep;
    fixture_send("in", 1, "k", "v", 1);
    fixture_open();
    while (fixture.kept == NULL) {
        fixture_round();
    }
    ck_assert_int_eq(read_mark(1).state, 'o');
    stop();
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        marks_are_read_as_they_are_written_and_others_mean_no_harm,
        after_an_orderly_end_all_come_at_once,
        every_end_divides_the_suspects_until_one_is_alone,
        an_end_after_the_last_suspect_blames_nobody,
        after_a_crash_the_suspects_of_one_partition_go_together,
        what_has_to_wait_is_bounded,
        after_two_crashes_they_go_in_small_steps,
        suspects_that_are_past_are_not_suspected_again,
        in_the_end_each_record_goes_alone,
        the_next_record_alone_has_a_count_of_its_own,
        nobody_takes_a_mark_of_its_own_for_a_crash,
        after_as_many_as_allowed_the_record_alone_is_a_dead_letter,
        one_crash_alone_condemns_nobody,
        an_end_after_its_outcome_is_not_blamed_on_a_record,
        an_orderly_end_leaves_no_suspicion,
        a_worker_that_is_gone_before_its_first_commit_is_noticed,
    };
    return suite_run("care", tests, ARRAY_COUNT(tests));
}
