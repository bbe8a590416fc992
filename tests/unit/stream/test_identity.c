#include "stream/identity.h"

#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/suite.h"

static struct error err;

START_TEST(an_instance_name_is_taken_as_it_is) {
    struct identity identity;
    ck_assert_int_eq(identity_claim(&identity, "group", "blue", &err), STATUS_OK);
    ck_assert_str_eq(identity.name, "group-blue");
    ck_assert_str_eq(identity.member, "blue");
    identity_release(&identity);
}
END_TEST

START_TEST(workers_of_one_host_have_different_names) {
    struct identity a, b;
    ck_assert_int_eq(identity_claim(&a, "identity-test", "", &err), STATUS_OK);
    ck_assert_int_eq(identity_claim(&b, "identity-test", NULL, &err), STATUS_OK);
    ck_assert_str_ne(a.name, b.name);
    identity_release(&a);
    identity_release(&b);
}
END_TEST

START_TEST(a_restarted_worker_has_its_old_name) {
    struct identity a, b;
    ck_assert_int_eq(identity_claim(&a, "identity-restart", "", &err), STATUS_OK);
    identity_release(&a);
    ck_assert_int_eq(identity_claim(&b, "identity-restart", "", &err), STATUS_OK);
    ck_assert_str_eq(a.name, b.name);
    identity_release(&b);
}
END_TEST

START_TEST(a_killed_worker_leaves_its_name_free) {
    struct identity mine;
    pid_t child = fork();
    if (child == 0) {
        _exit(identity_claim(&mine, "identity-killed", "", &err) == STATUS_OK ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, &(int){0}, 0), child);
    ck_assert_int_eq(identity_claim(&mine, "identity-killed", "", &err), STATUS_OK);
    ck_assert_str_eq(mine.name + strlen(mine.name) - 2, "-0");
    identity_release(&mine);
}
END_TEST

START_TEST(a_name_that_is_too_long_is_refused) {
    static char group[IDENTITY_NAME_MAX + 1];
    struct identity identity;
    memset(group, 'g', IDENTITY_NAME_MAX);
    ck_assert_int_eq(identity_claim(&identity, group, "blue", &err), STATUS_INVALID);
    identity_release(&identity);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        an_instance_name_is_taken_as_it_is,  workers_of_one_host_have_different_names,
        a_restarted_worker_has_its_old_name, a_killed_worker_leaves_its_name_free,
        a_name_that_is_too_long_is_refused,
    };
    return suite_run("identity", tests, ARRAY_COUNT(tests));
}
