/* test_orders.c - what the control topic may say, and which files it may name. */
#include "app/orders.h"

#include <sys/stat.h>
#include <unistd.h>

#include "codec/model_order.h"
#include "tests/unit/suite.h"

#define DIGITS64 "0123456789abcdefABCDEF0123456789abcdefABCDEF0123456789abcdef0123"

static struct error err;

START_TEST(an_order_names_model_file_and_version) {
    struct model_order order;
    const char *text = "{\"model\": \"m\", \"path\": \"a/b.onnx\", \"version\": \"7\"}";
    ck_assert_msg(model_order_parse(span_text(text), &order, &err) == STATUS_OK, "%s",
                  err.text);
    ck_assert_str_eq(order.model, "m");
    ck_assert_str_eq(order.path, "a/b.onnx");
    ck_assert_str_eq(order.version, "7");
    ck_assert_str_eq(order.sha256, "");
    text =
        "{\"sha256\":\"" DIGITS64 "\",\"version\":\"7\",\"path\":\"a\",\"model\":\"m\"}";
    ck_assert_int_eq(model_order_parse(span_text(text), &order, &err), STATUS_OK);
    ck_assert_str_eq(order.sha256, DIGITS64);
}
END_TEST

START_TEST(what_is_no_order_is_refused_without_being_repeated) {
    static const char *const others[] = {
        "",
        "secret",
        "[]",
        "\"secret\"",
        "{}",
        "{\"model\": \"m\", \"path\": \"a\"}",
        "{\"model\": \"m\", \"path\": \"a\", \"version\": 7}",
        "{\"model\": \"m\", \"path\": \"a\", \"version\": \"\"}",
        "{\"model\": \"m\", \"path\": \"a\\u0000b\", \"version\": \"1\"}",
        "{\"model\": \"m\", \"path\": \"a\\nb\", \"version\": \"1\"}",
        "{\"model\": \"m\", \"path\": \"/a\", \"version\": \"1\"}",
        "{\"model\": \"m\", \"path\": \"..\", \"version\": \"1\"}",
        "{\"model\": \"m\", \"path\": \"a/../../b\", \"version\": \"1\"}",
        "{\"model\": \"m\", \"path\": \"a\", \"version\": \"1\", \"secret\": \"1\"}",
        "{\"model\": \"m\", \"path\": \"a\", \"version\": \"1\", \"sha256\": \"12\"}",
        "{\"model\": \"m\", \"path\": \"a\", \"version\": \"1\", \"version\": \"2\"}",
        "{\"model\": \"m\", \"path\": \"a\", \"version\": \"1\"} secret",
    };
    static char long_text[MODEL_ORDER_SIZE_MAX + 2];
    struct model_order order;
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        ck_assert_msg(model_order_parse(span_text(others[i]), &order, &err) ==
                          STATUS_POISON,
                      "%s", others[i]);
        ck_assert_ptr_null(strstr(err.text, "secret"));
    }
    memset(long_text, ' ', sizeof long_text - 1);
    ck_assert_int_eq(model_order_parse(span_text(long_text), &order, &err),
                     STATUS_POISON);
}
END_TEST

START_TEST(only_files_below_the_folder_are_found) {
    char top[] = "/tmp/millrace-orders-XXXXXX", path[256], folder[256], *file;
    FILE *made;
    ck_assert_ptr_nonnull(mkdtemp(top));
    snprintf(folder, sizeof folder, "%s/in", top);
    ck_assert_int_eq(mkdir(folder, 0700), 0);
    snprintf(path, sizeof path, "%s/in/a.onnx", top);
    made = fopen(path, "w");
    ck_assert_ptr_nonnull(made);
    fclose(made);
    snprintf(path, sizeof path, "%s/inner", top); /* its name begins like the folder's */
    made = fopen(path, "w");
    ck_assert_ptr_nonnull(made);
    fclose(made);
    snprintf(path, sizeof path, "%s/in/link", top);
    ck_assert_int_eq(symlink("../inner", path), 0);

    ck_assert_int_eq(orders_find_file(folder, "a.onnx", &file, &err), STATUS_OK);
    ck_assert_ptr_nonnull(strstr(file, "/in/a.onnx"));
    free(file);
    ck_assert_int_eq(orders_find_file(folder, "b.onnx", &file, &err), STATUS_INVALID);
    ck_assert_ptr_null(file);
    ck_assert_int_eq(orders_find_file(folder, "link", &file, &err), STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "leads out"));
    ck_assert_int_eq(orders_find_file(folder, "../inner", &file, &err), STATUS_INVALID);
    ck_assert_int_eq(orders_find_file(folder, ".", &file, &err), STATUS_INVALID);

    unlink(path);
    snprintf(path, sizeof path, "%s/in/a.onnx", top);
    unlink(path);
    snprintf(path, sizeof path, "%s/inner", top);
    unlink(path);
    rmdir(folder);
    rmdir(top);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        an_order_names_model_file_and_version,
        what_is_no_order_is_refused_without_being_repeated,
        only_files_below_the_folder_are_found,
    };
    return suite_run("orders", tests, ARRAY_COUNT(tests));
}
