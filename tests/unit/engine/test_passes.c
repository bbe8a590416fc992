/* test_passes.c - passes change the graph and not what it computes. */
#include "tests/unit/suite.h"
#include "engine/op.h"
#include "session_fixture.h"

static struct model *open_with(const char *path, unsigned passes) {
    struct model *model;
    struct error err;
    ck_assert_msg(model_open_bytes(read_file(path), passes, &model, &err) == STATUS_OK,
                  "%s", err.text);
    return opened_models[model_count++] = model;
}

static size_t node_count(const struct model *model) {
    struct model_info info;
    model_info(model, &info);
    return info.node_count;
}

/* A fused product adds the bias last, a separate Add after rounding: the sums agree to
 * a few units in the last place of float32. */
#define FUSED_TOLERANCE 2e-6

static void assert_same_answers(const char *path, unsigned passes) {
    struct model *plain = open_with(path, 0), *changed = open_with(path, passes);
    struct session *a = open_session(plain), *b = open_session(changed);
    struct tensor x = make_rows(plain, 3, 6);
    run_rows(a, &x);
    run_rows(b, &x);
    ck_assert_uint_eq(row_count(a), row_count(b));
    assert_close(session_output(a, 0)->data, session_output(b, 0)->data, 6 * row_count(a),
                 FUSED_TOLERANCE);
}

START_TEST(each_pass_alone_and_all_together_leave_the_answers_alone) {
    static const char *const paths[] = {DIGITS, TEXT, ATTENTION};
    size_t count;
    (void)passes_table(&count);
    for (size_t i = 0; i < ARRAY_COUNT(paths); i++) {
        for (size_t pass = 0; pass < count; pass++) {
            assert_same_answers(paths[i], 1U << pass);
        }
        assert_same_answers(paths[i], PASSES_ALL);
    }
}
END_TEST

START_TEST(convolution_pooling_and_flatten_become_one_node) {
    struct model *plain = open_with(DIGITS, 0), *fused = open_with(DIGITS, PASSES_ALL);
    ck_assert_int_eq(count_of_type(plain, "MaxPool"), 1);
    ck_assert_int_eq(count_of_type(plain, "Transpose"), 1);
    ck_assert_int_eq(count_of_type(fused, "Conv"), 1);
    ck_assert_int_eq(count_of_type(fused, "MaxPool"), 0);
    ck_assert_int_eq(count_of_type(fused, "Transpose"), 0);
    ck_assert_int_eq(count_of_type(fused, "Relu"), 0);
    ck_assert_int_eq(count_of_type(fused, "Add"), 0);
    ck_assert_uint_lt(node_count(fused), node_count(plain));
}
END_TEST

START_TEST(transposes_that_undo_each_other_go) {
    struct model *plain = open_with(TEXT, 0), *merged = open_with(TEXT, PASSES_ALL);
    ck_assert_int_eq(
        count_of_type(plain, "Transpose") - count_of_type(merged, "Transpose"), 1);
}
END_TEST

START_TEST(biases_and_activations_ride_on_products) {
    struct model *fused = open_with(ATTENTION, PASSES_ALL);
    ck_assert_int_eq(count_of_type(fused, "Relu"), 0);
    ck_assert_int_eq(count_of_type(fused, "Sigmoid"), 0);
}
END_TEST

START_TEST(the_table_names_every_pass_once) {
    size_t count;
    const struct pass *table = passes_table(&count);
    for (size_t i = 0; i < count; i++) {
        ck_assert_ptr_nonnull(table[i].name);
        ck_assert_ptr_nonnull(table[i].apply);
        for (size_t j = 0; j < i; j++) {
            ck_assert_str_ne(table[i].name, table[j].name);
            ck_assert_ptr_ne(table[i].apply, table[j].apply);
        }
    }
}
END_TEST

/* ---- the operators' table ------------------------------------------------------ */

START_TEST(every_operator_is_whole_and_listed_once) {
    size_t lists, seen = 0;
    const struct op_list *const *table = op_table(&lists);
    for (size_t i = 0; i < lists; i++) {
        for (size_t j = 0; j < table[i]->count; j++, seen++) {
            const struct op *op = &table[i]->ops[j];
            ck_assert_ptr_nonnull(op->name);
            ck_assert_msg(op->since >= 1 && op->since <= OP_OPSET_MAX, "%s", op->name);
            ck_assert_msg(op->until == 0 || op->until >= op->since, "%s", op->name);
            ck_assert_msg(op->inputs_min <= op->inputs_max, "%s", op->name);
            ck_assert_msg(op->inputs_max == 0 || op->types[0] != 0, "%s", op->name);
            ck_assert_msg(op->shape != NULL && op->run != NULL, "%s", op->name);
            ck_assert_msg(op_find(op->domain, op->name, op->since) == op,
                          "%s is listed twice for opset %d", op->name, op->since);
        }
    }
    ck_assert_uint_gt(seen, 60);
}
END_TEST

START_TEST(the_newest_entry_not_past_the_opset_is_found) {
    ck_assert_int_eq(op_find(NULL, "Softmax", 12)->since, 1);
    ck_assert_int_eq(op_find(NULL, "Softmax", 13)->since, 13);
    ck_assert_int_eq(op_find(NULL, "Softmax", OP_OPSET_MAX)->since, 13);
    ck_assert_ptr_null(op_find(NULL, "Where", 8));
    ck_assert_ptr_null(op_find("com.example", "Softmax", 13));
    ck_assert_ptr_null(op_find(NULL, "softmax", 13));
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        each_pass_alone_and_all_together_leave_the_answers_alone,
        convolution_pooling_and_flatten_become_one_node,
        transposes_that_undo_each_other_go,
        biases_and_activations_ride_on_products,
        the_table_names_every_pass_once,
        every_operator_is_whole_and_listed_once,
        the_newest_entry_not_past_the_opset_is_found,
    };
    return suite_run_with("passes and operators", tests, ARRAY_COUNT(tests), NULL,
                          release_all);
}
