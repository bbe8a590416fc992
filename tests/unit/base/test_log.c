/* test_log.c - one event is one line, in the format that was asked for. */
#include "base/log.h"

#include <jansson.h>
#include <unistd.h>

#include "tests/unit/suite.h"

static char captured[64 * 1024];

/* Standard error goes to a file; each test is a process of its own. */
static FILE *capture(void) {
    FILE *file = tmpfile();
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(dup2(fileno(file), STDERR_FILENO), 0);
    return file;
}

static const char *finish(FILE *file) {
    size_t size;
    rewind(file);
    size = fread(captured, 1, sizeof(captured) - 1, file);
    captured[size] = 0;
    return captured;
}

START_TEST(json_line_holds_every_field) {
    FILE *file = capture();
    json_t *line;
    json_error_t error;
    log_setup(LOG_INFO, LOG_FORMAT_JSON);
    log_event(LOG_WARN, "broker_down", LOG_TEXT("broker", "a\"b\\c\n\x01"),
              LOG_INT("retry_ms", -5), LOG_REAL("load", 0.5));
    line = json_loads(finish(file), 0, &error);
    ck_assert_msg(line != NULL, "%s: %s", error.text, captured);
    ck_assert_str_eq(json_string_value(json_object_get(line, "level")), "warn");
    ck_assert_str_eq(json_string_value(json_object_get(line, "event")), "broker_down");
    ck_assert_str_eq(json_string_value(json_object_get(line, "broker")), "a\"b\\c\n\x01");
    ck_assert_int_eq(json_integer_value(json_object_get(line, "retry_ms")), -5);
    ck_assert_double_eq(json_real_value(json_object_get(line, "load")), 0.5);
    ck_assert_ptr_nonnull(json_object_get(line, "time"));
    json_decref(line);
}
END_TEST

START_TEST(a_line_is_json_whatever_bytes_a_text_has) {
    FILE *file = capture();
    json_t *line;
    json_error_t error;
    log_setup(LOG_INFO, LOG_FORMAT_JSON);
    log_event(LOG_WARN, "odd", LOG_TEXT("name", "\xc3\xa9\xff\x7f \xe2\x82"));
    line = json_loads(finish(file), 0, &error);
    ck_assert_msg(line != NULL, "%s: %s", error.text, captured);
    ck_assert_ptr_null(strchr(captured, '\x7f'));
    ck_assert_str_eq(json_string_value(json_object_get(line, "name")),
                     "\xc3\xa9\xef\xbf\xbd\x7f \xef\xbf\xbd\xef\xbf\xbd");
    json_decref(line);
}
END_TEST

START_TEST(auto_is_json_where_there_is_no_terminal) {
    FILE *file = capture();
    log_setup(LOG_INFO, LOG_FORMAT_AUTO);
    log_plain(LOG_INFO, "started");
    ck_assert_int_eq(finish(file)[0], '{');
}
END_TEST

START_TEST(text_line_names_level_event_and_fields) {
    FILE *file = capture();
    log_setup(LOG_INFO, LOG_FORMAT_TEXT);
    log_event(LOG_ERROR, "stopped", LOG_TEXT("why", "asked to"));
    ck_assert_ptr_nonnull(strstr(finish(file), " error stopped why=\"asked to\"\n"));
}
END_TEST

START_TEST(lines_below_the_level_are_dropped) {
    FILE *file = capture();
    log_setup(LOG_WARN, LOG_FORMAT_JSON);
    log_plain(LOG_INFO, "unwanted");
    ck_assert_str_eq(finish(file), "");
    log_plain(LOG_WARN, "wanted");
    ck_assert_ptr_nonnull(strstr(finish(file), "wanted"));
}
END_TEST

START_TEST(a_line_too_long_is_cut_but_stays_a_line) {
    static char text[20000];
    FILE *file = capture();
    const char *line;
    memset(text, '\n', sizeof(text) - 1); /* the worst case for escaping */
    log_setup(LOG_INFO, LOG_FORMAT_JSON);
    log_event(LOG_INFO, "long", LOG_TEXT("text", text), LOG_TEXT("more", text));
    line = finish(file);
    ck_assert_uint_le(strlen(line), 4096);
    ck_assert_ptr_eq(strchr(line, '\n'), line + strlen(line) - 1);
}
END_TEST

START_TEST(no_text_is_written_as_empty) {
    FILE *file = capture();
    log_setup(LOG_INFO, LOG_FORMAT_JSON);
    log_event(LOG_INFO, "odd", LOG_TEXT("text", NULL));
    ck_assert_ptr_nonnull(strstr(finish(file), "\"text\":\"\""));
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        json_line_holds_every_field,
        a_line_is_json_whatever_bytes_a_text_has,
        auto_is_json_where_there_is_no_terminal,
        text_line_names_level_event_and_fields,
        lines_below_the_level_are_dropped,
        a_line_too_long_is_cut_but_stays_a_line,
        no_text_is_written_as_empty,
    };
    return suite_run("log", tests, ARRAY_COUNT(tests));
}
