/* On a route that keeps the order of each key, records of other keys pass one that is put
 * off, and the next worker knows what is published. */
#include "stream/internal.h"
#include "tests/unit/stream/fixture.h"

#define COUNT 40

static struct record *held;
static int seen[COUNT];
static int last_of_key[2];

/* "0", "1", ... have the keys "k0" and "k1" in turn; all stand in one partition. */
static void send_all(int first, int count) {
    for (int i = first; i < first + count; i++) {
        char text[16], key[8];
        snprintf(text, sizeof text, "%d", i);
        snprintf(key, sizeof key, "k%d", i % 2);
        fixture_send("in", 0, key, text, strlen(text));
    }
    ck_assert_int_eq(rd_kafka_flush(fixture.client, 10000), 0);
}

static int number_of(struct span value) {
    char text[16] = "";
    memcpy(text, value.data, value.size < sizeof text - 1 ? value.size : 0);
    return (int)strtol(text, NULL, 10);
}

static void hold_the_fourth(struct fixture *f, struct record *record) {
    if (record->offset == 4) {
        held = record;
        record_hold(record);
    } else {
        fixture_echo(f, record);
    }
}

static void see(const rd_kafka_message_t *message) {
    int number = number_of(span_of(message->payload, message->len));
    ck_assert_int_ge(number, 0);
    ck_assert_int_lt(number, COUNT);
    seen[number]++;
    ck_assert_int_gt(number, last_of_key[number % 2]);
    last_of_key[number % 2] = number;
}

static void check_all(void) {
    last_of_key[0] = last_of_key[1] = -1;
    fixture_read("out", COUNT, see);
    ck_assert_int_eq(fixture_topic_size("out"), COUNT);
    for (int i = 0; i < COUNT; i++) {
        ck_assert_int_eq(seen[i], 1);
    }
}

static void start(void) {
    fixture_start(STREAM_AT_LEAST_ONCE); /* the mock keeps offsets committed so */
    fixture.route.keyed = true;
    fixture.answer = hold_the_fourth;
    send_all(0, COUNT);
    fixture_open();
}

/* Those before it, and those of the other key. */
enum { PASSED = 4 + (COUNT - 4) / 2 };

START_TEST(others_go_on_past_one_that_is_held) {
    start();
    fixture_run_until_committed(PASSED);
    ck_assert_uint_eq(fixture_stats().records_in_flight, COUNT - PASSED);
    ck_assert_int_eq(fixture_topic_size("out"), PASSED);
    fixture_echo(&fixture, held);
    fixture_run_until_committed(COUNT);
    check_all();
    fixture_stop();
}
END_TEST

START_TEST(the_next_worker_does_only_what_is_left) {
    start();
    fixture_run_until_committed(PASSED);
    record_set_result(held, held->value, &fixture); /* too late: nobody commits it */
    stream_close(fixture.stream, 10000);
    fixture.answer = fixture_echo;
    fixture.committed = 0;
    fixture_open();
    fixture_run_until_committed(COUNT - PASSED);
    ck_assert_uint_eq(fixture_stats().records_in, COUNT - PASSED);
    check_all();
    fixture_stop();
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        others_go_on_past_one_that_is_held,
        the_next_worker_does_only_what_is_left,
    };
    return suite_run("keys", tests, ARRAY_COUNT(tests));
}
