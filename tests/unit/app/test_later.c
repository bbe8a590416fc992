/* What is put off comes when it is due, once. */
#include "app/later.h"

#include "tests/unit/suite.h"

START_TEST(each_record_comes_once_and_not_before_its_time) {
    struct later later;
    struct record records[3] = {{.offset = 0}, {.offset = 1}, {.offset = 2}};
    struct record *chain;
    ck_assert(later_init(&later));
    later_add(&later, &records[0], 30);
    later_add(&later, &records[1], 10);
    later_add(&later, &records[2], 20);
    ck_assert_int_eq(later_count(&later), 3);
    ck_assert_ptr_null(later_take(&later, 9));
    ck_assert_ptr_eq(later_take(&later, 10), &records[1]);
    ck_assert_ptr_null(records[1].next);
    ck_assert_ptr_null(later_take(&later, 19));
    chain = later_take(&later, 30);
    ck_assert_ptr_nonnull(chain);
    ck_assert_ptr_nonnull(chain->next);
    ck_assert_ptr_null(chain->next->next);
    ck_assert_int_eq(chain->offset + chain->next->offset, 2);
    ck_assert_int_eq(later_count(&later), 0);
    ck_assert_ptr_null(later_take(&later, INT64_MAX));
    later_release(&later);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {each_record_comes_once_and_not_before_its_time};
    return suite_run("later", tests, ARRAY_COUNT(tests));
}
