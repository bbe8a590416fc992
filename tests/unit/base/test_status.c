/* test_status.c - errors say what they were told, and never overflow. */
#include "base/status.h"

#include "base/compiler.h"
#include "tests/unit/suite.h"

START_TEST(error_holds_status_and_text) {
    struct error err = {0};
    ck_assert_int_eq(error_set(&err, STATUS_POISON, "offset %d: %s", 7, "cut"),
                     STATUS_POISON);
    ck_assert_int_eq(err.status, STATUS_POISON);
    ck_assert_str_eq(err.text, "offset 7: cut");
}
END_TEST

START_TEST(long_text_is_cut_and_ended) {
    struct error err = {0};
    char text[3 * ERROR_TEXT_MAX];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    ck_assert_int_eq(error_set(&err, STATUS_FATAL, "%s", text), STATUS_FATAL);
    ck_assert_uint_eq(strlen(err.text), ERROR_TEXT_MAX - 1);
    ck_assert_int_eq(error_prefix(&err, "%s", text), STATUS_FATAL);
    ck_assert_uint_eq(strlen(err.text), ERROR_TEXT_MAX - 1);
}
END_TEST

START_TEST(prefix_goes_in_front_and_keeps_the_status) {
    struct error err = {0};
    (void)error_set(&err, STATUS_INVALID, "no such file"); /* only fills err */
    ck_assert_int_eq(error_prefix(&err, "model '%s'", "digits"), STATUS_INVALID);
    ck_assert_str_eq(err.text, "model 'digits': no such file");
    ck_assert_int_eq(error_prefix(&err, "start"), STATUS_INVALID);
    ck_assert_str_eq(err.text, "start: model 'digits': no such file");
}
END_TEST

START_TEST(names_of_a_hostile_file_reach_no_terminal) {
    struct error err = {0};
    char text[2 * ERROR_TEXT_MAX];
    (void)error_set(&err, STATUS_INVALID, "node '%s'",
                    "a\x1b[2J\x7f\xff\xc3(\r\n\t\xc3\xa9");
    ck_assert_str_eq(err.text, "node 'a?[2J"
                               "??"
                               "?(?\n\t\xc3\xa9'");
    (void)error_prefix(&err, "%s", "\x07.onnx");
    ck_assert(strncmp(err.text, "?.onnx: node", 12) == 0);
    for (size_t i = 0; i + 2 < sizeof(text); i += 2) { /* cut inside of a character */
        memcpy(text + i, "\xc3\xa9", 3);
    }
    (void)error_set(&err, STATUS_INVALID, "%s", text);
    ck_assert_uint_eq(strlen(err.text), ERROR_TEXT_MAX - 1);
    ck_assert_int_eq(err.text[ERROR_TEXT_MAX - 2], '?');
}
END_TEST

START_TEST(every_status_has_a_name_of_its_own) {
    for (int i = 0; i < STATUS_COUNT; i++) {
        ck_assert_ptr_nonnull(status_name((enum status)i));
        for (int j = 0; j < i; j++) {
            ck_assert_str_ne(status_name((enum status)i), status_name((enum status)j));
        }
    }
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        error_holds_status_and_text,
        long_text_is_cut_and_ended,
        prefix_goes_in_front_and_keeps_the_status,
        names_of_a_hostile_file_reach_no_terminal,
        every_status_has_a_name_of_its_own,
    };
    return suite_run("status", tests, ARRAY_COUNT(tests));
}
