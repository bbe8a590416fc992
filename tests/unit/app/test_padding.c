/* test_padding.c - what pad_to needs is found at start, and a model that it would falsify
 * is refused. */
#include "app/models.h"

#include "tests/unit/suite.h"

static struct models models;
static struct error err;

static enum status open_padded(const char *path, enum config_pad_check check) {
    static struct config_model item;
    const struct config config = {.models = &item, .model_count = 1};
    item = (struct config_model){.name = "m",
                                 .path = path,
                                 .batch_max = 8,
                                 .pad_lengths = {4, 16},
                                 .pad_length_count = 2,
                                 .pad_check = check};
    return models_open(&config, 1, &models, &err);
}

static void refuses(const char *path, enum status status, const char *text) {
    ck_assert_int_eq(open_padded(path, CONFIG_PAD_REFUSE), status);
    ck_assert_msg(strstr(err.text, text) != NULL, "%s", err.text);
}

START_TEST(the_length_is_found_in_inputs_and_outputs) {
    const struct batch_pad *pad;
    ck_assert_msg(open_padded("tests/data/models/masked.onnx", CONFIG_PAD_REFUSE) ==
                      STATUS_OK,
                  "%s", err.text);
    pad = &models.items[0]->item.pad;
    ck_assert_int_eq(pad->count, 2);
    ck_assert_int_eq(pad->input_axis[0], 0);
    ck_assert_int_eq(pad->input_axis[1], 0);
    ck_assert_int_eq(pad->output_axis[0], -1); /* mean */
    ck_assert_int_eq(pad->output_axis[1], 1);  /* turned */
    ck_assert_int_eq(pad->output_axis[2], 0);  /* doubled */
    models_close(&models);
}
END_TEST

START_TEST(each_length_is_measured_and_has_its_batches) {
    ck_assert_int_eq(open_padded("tests/data/models/masked.onnx", CONFIG_PAD_REFUSE),
                     STATUS_OK);
    for (int i = 0; i < 2; i++) {
        const struct batch_length *length = &models.items[0]->item.pad.lengths[i];
        ck_assert_int_eq(length->length, i == 0 ? 4 : 16);
        ck_assert_int_gt(length->cost.count, 0);
        ck_assert_int_eq(length->aim.rows, cost_best_throughput(&length->cost));
    }
    models_close(&models);
}
END_TEST

START_TEST(a_model_that_does_not_mask_is_refused_unless_that_is_accepted) {
    refuses("tests/data/models/unmasked.onnx", STATUS_INVALID,
            "padding changes its answers: output 'mean'");
    ck_assert_msg(open_padded("tests/data/models/unmasked.onnx", CONFIG_PAD_ACCEPT) ==
                      STATUS_OK,
                  "%s", err.text);
    models_close(&models);
}
END_TEST

START_TEST(no_sign_width_or_kind_of_values_hides_that_a_model_does_not_mask) {
    const char *text = "padding changes its answers";
    refuses("tests/data/models/unmasked_most.onnx", STATUS_INVALID, text);
    refuses("tests/data/models/unmasked_f16.onnx", STATUS_INVALID, text);
    refuses("tests/data/models/unmasked_label.onnx", STATUS_INVALID, text);
}
END_TEST

static void takes(const char *path) {
    ck_assert_msg(open_padded(path, CONFIG_PAD_REFUSE) == STATUS_OK, "%s", err.text);
    models_close(&models);
}

START_TEST(a_mask_of_floats_is_tried_as_a_mask) {
    takes("tests/data/models/masked_softly.onnx");
}
END_TEST

START_TEST(a_model_need_not_take_values_below_zero) {
    takes("tests/data/models/places.onnx");
}
END_TEST

START_TEST(what_cannot_be_padded_is_refused_with_the_reason) {
    refuses("tests/data/models/lookup.onnx", STATUS_INVALID, "nothing to pad");
    refuses("tests/data/models/sheet.onnx", STATUS_UNSUPPORTED,
            "input 'x' of shape [?,?,?] has several");
    refuses("tests/data/models/twice.onnx", STATUS_UNSUPPORTED,
            "output 'again' is an input or another output");
    refuses(
        "tests/data/models/halved.onnx", STATUS_UNSUPPORTED,
        "output 'y' has the shape [1,2,1] for a row of length 2 and [1,2,8] padded to "
        "16");
}
END_TEST

static void be_quiet(void) {
    log_setup(LOG_ERROR, LOG_FORMAT_JSON);
}

int main(void) {
    const TTest *const tests[] = {
        the_length_is_found_in_inputs_and_outputs,
        each_length_is_measured_and_has_its_batches,
        a_model_that_does_not_mask_is_refused_unless_that_is_accepted,
        no_sign_width_or_kind_of_values_hides_that_a_model_does_not_mask,
        a_mask_of_floats_is_tried_as_a_mask,
        a_model_need_not_take_values_below_zero,
        what_cannot_be_padded_is_refused_with_the_reason,
    };
    return suite_run_with("padding", tests, ARRAY_COUNT(tests), be_quiet, NULL);
}
