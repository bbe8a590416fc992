/* test_folder.c - schemas in files, that use each other's types. */
#include "registry/folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/suite.h"

static char path[] = "/tmp/millrace-folder-XXXXXX";
static struct error err;

static void write_file(const char *name, const char *text) {
    char full[256];
    FILE *file;
    snprintf(full, sizeof(full), "%s/%s", path, name);
    file = fopen(full, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

static void set_up(void) {
    ck_assert_ptr_nonnull(mkdtemp(path));
    write_file("a.avsc", "{\"type\":\"record\",\"name\":\"shop.Order\",\"fields\":["
                         "{\"name\":\"x\",\"type\":\"Line\"}]}");
    write_file("b.avsc", "{\"type\":\"fixed\",\"name\":\"shop.Line\",\"size\":2}");
    write_file("notes.txt", "no schema");
}

static void tear_down(void) {
    static const char *const names[] = {"a.avsc", "b.avsc", "c.avsc", "notes.txt"};
    char full[256];
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        snprintf(full, sizeof(full), "%s/%s", path, names[i]);
        unlink(full);
    }
    rmdir(path);
}

START_TEST(files_are_found_by_fingerprint_and_by_name) {
    struct schema_folder *folder;
    const struct avro_schema *order, *line;
    ck_assert_msg(schema_folder_open(path, &folder, &err) == STATUS_OK, "%s", err.text);
    ck_assert_uint_eq(schema_folder_count(folder), 2);
    order = schema_folder_named(folder, "shop.Order");
    line = schema_folder_named(folder, "b");
    ck_assert_ptr_nonnull(order);
    ck_assert_ptr_nonnull(line);
    ck_assert_ptr_eq(schema_folder_named(folder, "a.avsc"), order);
    ck_assert_ptr_eq(schema_folder_find(folder, avro_schema_fingerprint(line)), line);
    ck_assert_ptr_null(schema_folder_find(folder, 1));
    ck_assert_ptr_null(schema_folder_named(folder, "none"));
    schema_folder_close(folder);
}
END_TEST

START_TEST(a_file_that_is_no_schema_is_named) {
    struct schema_folder *folder;
    write_file("c.avsc", "\"shop.Unknown\"");
    ck_assert_int_eq(schema_folder_open(path, &folder, &err), STATUS_INVALID);
    ck_assert_str_eq(err.text, "c.avsc: unknown type 'shop.Unknown'");
    ck_assert_int_eq(schema_folder_open("/nowhere/at/all", &folder, &err),
                     STATUS_INVALID);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        files_are_found_by_fingerprint_and_by_name,
        a_file_that_is_no_schema_is_named,
    };
    return suite_run_with("registry/folder", tests, ARRAY_COUNT(tests), set_up,
                          tear_down);
}
