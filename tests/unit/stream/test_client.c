#include "stream/client.h"

#include "tests/unit/suite.h"

static struct stream_property property[2] = {{"bootstrap.servers", "127.0.0.1:1"}};
static struct stream_opts opts = {.common = property, .common_count = 2, .group = "g"};
static struct client_context context;
static struct error err;

/* The status of a consumer's and a producer's configuration with the property. */
static enum status try_property(enum client_role role, const char *name,
                                const char *value) {
    rd_kafka_conf_t *conf;
    enum status status;
    property[1] = (struct stream_property){name, value};
    status = client_conf(role, &opts, "name", &context, &conf, &err);
    if (status == STATUS_OK) {
        rd_kafka_conf_destroy(conf);
    }
    return status;
}

START_TEST(properties_that_would_break_a_promise_are_refused) {
    static const char *const names[] = {
        "enable.auto.commit",
        "enable.auto.offset.store",
        "isolation.level",
        "group.id",
        "group.instance.id",
        "transactional.id",
        "enable.idempotence",
        "acks",
        "delivery.report.only.error",
    };
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        ck_assert_int_eq(try_property(CLIENT_CONSUMER, names[i], "x"), STATUS_INVALID);
        ck_assert_ptr_nonnull(strstr(err.text, names[i]));
        ck_assert_ptr_nonnull(strstr(err.text, "may not be set"));
    }
}
END_TEST

START_TEST(an_unknown_property_is_named) {
    ck_assert_int_eq(try_property(CLIENT_PRODUCER, "linger.mss", "5"), STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "linger.mss"));
}
END_TEST

START_TEST(a_value_that_is_refused_is_told_unless_it_is_a_secret) {
    ck_assert_int_eq(try_property(CLIENT_PRODUCER, "linger.ms", "soon"), STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "linger.ms"));
    ck_assert_int_eq(try_property(CLIENT_PRODUCER, "ssl_key", "hunter2"), STATUS_INVALID);
    ck_assert_ptr_null(strstr(err.text, "hunter2"));
}
END_TEST

START_TEST(a_file_that_is_not_there_is_told_with_where_it_was_looked_for) {
    ck_assert_int_eq(try_property(CLIENT_CONSUMER, "ssl.ca.location", "none.pem"),
                     STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "ssl.ca.location: cannot read none.pem: No"));
    ck_assert_ptr_nonnull(strstr(err.text, "the folder the worker runs in"));
    ck_assert_int_eq(try_property(CLIENT_CONSUMER, "ssl.key.location", "/none.key"),
                     STATUS_INVALID);
    ck_assert_ptr_null(strstr(err.text, "runs in"));
    ck_assert_int_eq(try_property(CLIENT_CONSUMER, "ssl.ca.location", "probe"),
                     STATUS_OK);
    ck_assert_int_eq(try_property(CLIENT_CONSUMER, "ssl.ca.location", "/etc"), STATUS_OK);
}
END_TEST

typedef void error_fn(rd_kafka_t *client, int code, const char *reason, void *opaque);

/* The callback of a configuration, by the address that librdkafka tells. */
static error_fn *error_callback(rd_kafka_conf_t *conf) {
    char text[64];
    size_t size = sizeof text;
    void *address = NULL;
    error_fn *callback;
    ck_assert_int_eq(rd_kafka_conf_get(conf, "error_cb", text, &size), RD_KAFKA_CONF_OK);
    ck_assert_int_eq(sscanf(text, "%p", &address), 1);
    memcpy(&callback, &address, sizeof callback);
    return callback;
}

/* librdkafka tells that a broker refuses us, and next that all are down. */
START_TEST(a_broker_that_refuses_us_is_not_one_that_does_not_answer) {
    static const struct {
        int code;
        const char *reason, *told;
    } cases[] = {
        {RD_KAFKA_RESP_ERR__AUTHENTICATION,
         "x: Invalid password (after 3ms in state AUTH)",
         "127.0.0.1:1 refuses us; check security.protocol and the sasl.* properties: x: "
         "Invalid password"},
        {RD_KAFKA_RESP_ERR__SSL, "x: no root (after 4ms)",
         "127.0.0.1:1 makes no secure connection; check the ssl.* properties: x: no "
         "root"},
        {RD_KAFKA_RESP_ERR__TRANSPORT, "x: incorrect security.protocol? (after 5ms)",
         "127.0.0.1:1 hangs up; check security.protocol: x: incorrect "
         "security.protocol?"},
        {RD_KAFKA_RESP_ERR__TRANSPORT, "x: connection refused",
         "no broker of 127.0.0.1:1 answers; check the address, the network and that the "
         "brokers run"},
    };
    char text[PROBLEM_TEXT_MAX];
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct client_context of = {0};
        struct problems problems;
        rd_kafka_conf_t *conf;
        error_fn *on_error;
        ck_assert(problems_init(&problems));
        of.problems = &problems;
        opts.common_count = 1;
        ck_assert_int_eq(client_conf(CLIENT_CONSUMER, &opts, "name", &of, &conf, &err),
                         STATUS_OK);
        on_error = error_callback(conf);
        on_error(NULL, RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, "1/1 are down", &of);
        on_error(NULL, cases[i].code, cases[i].reason, &of);
        on_error(NULL, RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, "1/1 are down", &of);
        problems_text(&problems, text, sizeof text);
        ck_assert_str_eq(text, cases[i].told);
        rd_kafka_conf_destroy(conf);
        problems_release(&problems);
    }
}
END_TEST

START_TEST(the_users_properties_win_over_defaults) {
    rd_kafka_conf_t *conf;
    property[1] = (struct stream_property){"session.timeout.ms", "7000"};
    ck_assert_int_eq(client_conf(CLIENT_CONSUMER, &opts, "name", &context, &conf, &err),
                     STATUS_OK);
    ck_assert_int_eq(client_number(conf, "session.timeout.ms", 0), 7000);
    rd_kafka_conf_destroy(conf);
}
END_TEST

static int64_t poll_interval_with(const char *name, const char *value) {
    rd_kafka_conf_t *conf;
    int64_t interval;
    property[1] = (struct stream_property){name, value};
    ck_assert_int_eq(client_conf(CLIENT_CONSUMER, &opts, "name", &context, &conf, &err),
                     STATUS_OK);
    interval = client_number(conf, "max.poll.interval.ms", 0);
    rd_kafka_conf_destroy(conf);
    return interval;
}

/* So long it waits for an answer to its wish to join the group. */
START_TEST(a_join_that_is_not_answered_is_given_up_within_a_minute) {
    ck_assert_int_eq(poll_interval_with("session.timeout.ms", "7000"), 45000);
    ck_assert_int_eq(poll_interval_with("session.timeout.ms", "60000"), 60000);
    ck_assert_int_eq(poll_interval_with("max.poll.interval.ms", "12000"), 12000);
}
END_TEST

START_TEST(a_member_has_its_name_and_a_static_one_a_longer_session) {
    char name[32];
    size_t size = sizeof name;
    rd_kafka_conf_t *conf;
    struct stream_opts member = {
        .common = property, .common_count = 1, .is_static = true, .group = "g"};
    for (int i = 0; i < 2; i++) {
        member.is_static = i == 0;
        size = sizeof name;
        ck_assert_int_eq(
            client_conf(CLIENT_CONSUMER, &member, "w-1", &context, &conf, &err),
            STATUS_OK);
        ck_assert_int_eq(rd_kafka_conf_get(conf, "group.instance.id", name, &size), 0);
        ck_assert_str_eq(name, "w-1");
        ck_assert_int_eq(client_number(conf, "session.timeout.ms", 0),
                         i == 0 ? 45000 : 10000);
        rd_kafka_conf_destroy(conf);
    }
}
END_TEST

START_TEST(cooperative_rebalancing_needs_a_librdkafka_in_which_it_works) {
    enum status expected = rd_kafka_version() < 0x020601ff ? STATUS_INVALID : STATUS_OK;
    ck_assert_int_eq(try_property(CLIENT_CONSUMER, "partition.assignment.strategy",
                                  "cooperative-sticky"),
                     expected);
    ck_assert_int_eq(
        try_property(CLIENT_CONSUMER, "partition.assignment.strategy", "roundrobin"),
        STATUS_OK);
}
END_TEST

START_TEST(without_brokers_there_is_nothing_to_open) {
    struct stream_opts none = {.common_count = 0, .group = "g"};
    rd_kafka_conf_t *conf;
    ck_assert_int_eq(client_conf(CLIENT_CONSUMER, &none, "name", &context, &conf, &err),
                     STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "bootstrap.servers"));
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        properties_that_would_break_a_promise_are_refused,
        an_unknown_property_is_named,
        a_value_that_is_refused_is_told_unless_it_is_a_secret,
        a_file_that_is_not_there_is_told_with_where_it_was_looked_for,
        a_broker_that_refuses_us_is_not_one_that_does_not_answer,
        the_users_properties_win_over_defaults,
        a_join_that_is_not_answered_is_given_up_within_a_minute,
        a_member_has_its_name_and_a_static_one_a_longer_session,
        cooperative_rebalancing_needs_a_librdkafka_in_which_it_works,
        without_brokers_there_is_nothing_to_open,
    };
    return suite_run("client", tests, ARRAY_COUNT(tests));
}
