/* test_topic_spec.c - lists of topics as they are typed. */
#include "tools/topic_spec.h"

#include "tests/unit/suite.h"

START_TEST(topics_are_taken_one_by_one_with_their_partitions) {
    const char *list = "a.jobs:8,b,c:1";
    struct topic_spec spec;
    struct error err;
    ck_assert_int_eq(topic_spec_take(&list, &spec, &err), STATUS_OK);
    ck_assert_str_eq(spec.name, "a.jobs");
    ck_assert_int_eq(spec.partitions, 8);
    ck_assert_int_eq(topic_spec_take(&list, &spec, &err), STATUS_OK);
    ck_assert_str_eq(spec.name, "b");
    ck_assert_int_eq(spec.partitions, TOPIC_PARTITIONS_DEFAULT);
    ck_assert_int_eq(topic_spec_take(&list, &spec, &err), STATUS_OK);
    ck_assert_str_eq(spec.name, "c");
    ck_assert_str_eq(list, "");
}
END_TEST

START_TEST(what_is_no_topic_is_refused) {
    static const char *const wrong[] = {
        ",a",  ":4",    "a:",    "a:0",     "a:-1",
        "a:x", "a:1:2", "a:1e3", "a:10001", "a:99999999999999999999999999999999"};
    char name[TOPIC_NAME_SIZE_MAX + 2];
    const char *list = name;
    struct topic_spec spec;
    struct error err;
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        const char *at = wrong[i];
        ck_assert_msg(topic_spec_take(&at, &spec, &err) == STATUS_INVALID, "%s",
                      wrong[i]);
    }
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = 0;
    ck_assert_int_eq(topic_spec_take(&list, &spec, &err), STATUS_INVALID);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        topics_are_taken_one_by_one_with_their_partitions,
        what_is_no_topic_is_refused,
    };
    return suite_run("topic_spec", tests, ARRAY_COUNT(tests));
}
