/* test_no_allocation.c - running allocates nothing: the demo models, and every model of
 * ONNX's operator cases and light networks where `make ops` has fetched them.
 *
 * Left out are models with nodes whose shape follows from data (PHASE_DYNAMIC), whose
 * memory grows as it must. */
#include <glob.h>
#include <stdio.h>

#define ANY_ELEMENTS_MAX 300000
#include "any_input.h"
#include "engine/model_impl.h"
#include "engine/op.h"
#include "engine/session.h"
#include "tests/unit/allocations.h"
#include "tests/unit/suite.h"

enum { LARGE = 3, SMALL = 1 }; /* free dimensions */

#ifdef COUNTS_ALLOCATIONS
static bool is_dynamic(const struct model *model) {
    for (int n = 0; n < model->graph.node_count; n++) {
        if (model->phases[n] == PHASE_DYNAMIC) {
            return true;
        }
    }
    return false;
}

static bool make_inputs(const struct model *model, int64_t dim, struct tensor *inputs) {
    unsigned state = 1;
    bool made = true;
    for (int i = 0; i < model_input_count(model); i++) {
        made = any_input(model_input(model, i), dim, &inputs[i], &state) && made;
        if (inputs[i].data != NULL && (TYPES_INT & TYPE_BIT(inputs[i].dtype)) != 0) {
            memset(inputs[i].data, 0, tensor_size(&inputs[i])); /* an index anywhere */
        }
    }
    return made;
}

static bool run_once(struct session *session, const struct tensor *inputs) {
    struct error err;
    return session_prepare(session, inputs, &err) == STATUS_OK &&
           session_run(session, inputs, &err) == STATUS_OK;
}

/* Allocations while the model ran; -1 where it is not one to count for: dynamic, or of
 * inputs that made-up data does not suit. */
static long count(const struct model *model, struct session *session) {
    struct tensor large[MODEL_INPUTS_MAX] = {{0}}, small[MODEL_INPUTS_MAX] = {{0}};
    bool ran = make_inputs(model, LARGE, large) && make_inputs(model, SMALL, small) &&
               run_once(session, large) && run_once(session, small);
    long before = allocations;
    for (int i = 0; ran && i < 2; i++) {
        ran = run_once(session, i % 2 == 0 ? large : small);
    }
    before = allocations - before;
    for (int i = 0; i < model_input_count(model); i++) {
        free(large[i].data);
        free(small[i].data);
    }
    return ran ? before : -1;
}

static long count_file(const char *path) {
    struct model *model;
    struct session *session;
    struct error err;
    long counted = -1;
    if (model_open(path, &model, &err) != STATUS_OK) {
        return -1; /* other tests see to that */
    }
    if (!is_dynamic(model) && session_create(model, 0, &session, &err) == STATUS_OK) {
        counted = count(model, session);
        session_destroy(session);
    }
    model_close(model);
    return counted;
}

START_TEST(running_allocates_nothing) {
    static const char *const patterns[] = {"conf/models/*/model.onnx",
                                           "build/ops/cases/*/model.onnx"};
    size_t checked = 0;
    for (size_t p = 0; p < ARRAY_COUNT(patterns); p++) {
        glob_t found = {0};
        if (glob(patterns[p], 0, NULL, &found) != 0) {
            printf("  skip  %s: none here; `make ops` fetches them\n", patterns[p]);
            continue;
        }
        for (size_t i = 0; i < found.gl_pathc; i++) {
            long counted = count_file(found.gl_pathv[i]);
            ck_assert_msg(counted <= 0, "%s: %ld allocations in 2 runs",
                          found.gl_pathv[i], counted);
            checked += counted == 0;
        }
        ck_assert_msg(checked >= (p == 0 ? 3 : 500), "only %zu models ran", checked);
        globfree(&found);
    }
}
END_TEST
#endif

int main(void) {
#ifdef COUNTS_ALLOCATIONS
    Suite *suite = suite_create("engine: no allocation");
    TCase *group = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;
    tcase_set_timeout(group, 600);
    tcase_add_test(group, running_allocates_nothing);
    suite_add_tcase(suite, group);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
#else
    printf("  skip  test_no_allocation: sanitizers have their own malloc\n");
    return 0;
#endif
}
