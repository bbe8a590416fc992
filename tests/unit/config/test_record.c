/* test_record.c - a route's `record` and the registry: every form is taken as it is
 * meant, and each mistake named with its place. */
#include <unistd.h>

#include "config/config.h"
#include "config/keys.h"
#include "tests/unit/suite.h"

#define HEAD                                                                            \
    "kafka = { bootstrap_servers = \"localhost:9092\"; };\n"                            \
    "models = ( { name = \"m\"; path = \"m.onnx\"; } );\n"                              \
    "registry = { urls = \"http://a:1,https://b\"; password = \"hush\"; token = \"\"; " \
    "};\n"
#define ROUTE "input = \"in\"; output = \"out\"; dead_letter = \"dead\"; "
#define RECORD(members) \
    HEAD "routes = ( { " ROUTE "model = \"m\"; record = {\n" members "\n}; } );\n"

static char folder[] = "/tmp/millrace-record-XXXXXX";
static char path[64];
static char problems[8][1024];
static size_t problem_count;

static void note_problem(void *opaque, const char *problem) {
    ck_assert_ptr_null(opaque);
    ck_assert_uint_lt(problem_count, ARRAY_COUNT(problems));
    (void)snprintf(problems[problem_count++], sizeof(problems[0]), "%s", problem);
}

static enum status load_text(const char *text, struct config **config) {
    struct error err;
    FILE *file;
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/a.conf", folder);
    file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
    return config_load(path, NULL, 0, note_problem, NULL, config, &err);
}

static void remove_folder(void) {
    (void)remove(path);
    (void)rmdir(folder);
}

static struct config *load_next(const char *text) {
    struct config *config;
    ck_assert_msg(load_text(text, &config) == STATUS_OK, "%s", problems[0]);
    remove_folder();
    (void)snprintf(folder, sizeof(folder), "/tmp/millrace-record-XXXXXX");
    return config;
}

/* What differs between two files. */
static const char *changes(const char *before, const char *now) {
    static char text[256];
    struct config *first = load_next(before), *second = load_next(now);
    (void)config_changes(first, second, text, sizeof(text)); /* the text tells it */
    config_free(first);
    config_free(second);
    return text;
}

static const struct config_record *load_record(const char *text, struct config **config) {
    ck_assert_msg(load_text(text, config) == STATUS_OK, "%s", problems[0]);
    ck_assert_ptr_nonnull((*config)->routes[0].record);
    return (*config)->routes[0].record;
}

START_TEST(a_route_without_a_record_has_none) {
    struct config *config;
    ck_assert_int_eq(load_text(HEAD "routes = ( { " ROUTE " } );", &config), STATUS_OK);
    ck_assert_ptr_null(config->routes[0].record);
    config_free(config);
}
END_TEST

START_TEST(any_change_of_a_mapping_is_named) {
    static const char *const inputs[] = {
        "( \"a\", { field = \"b\"; steps = ( { scale = [2.0, 1.0]; } ); } )",
        "( \"a\", { field = \"b\"; steps = ( { scale = [2.5, 1.0]; } ); } )",
        "( \"a\", { field = \"c\"; steps = ( { scale = [2.0, 1.0]; } ); } )",
        "( { field = \"b\"; steps = ( { scale = [2.0, 1.0]; } ); }, \"a\" )",
        "( \"a\", { field = \"b\"; steps = ( { clip = [1.0, 2.0]; } ); } )",
        "( \"a\", { field = \"b\"; steps = ( \"log1p\", { scale = [2.0, 1.0]; } ); } )",
        "( \"a\", { field = \"b\"; steps = ( { scale = [2.0, 1.0]; } ); count = 1; } )",
        "{ x = ( \"a\", { field = \"b\"; steps = ( { scale = [2.0, 1.0]; } ); } ); }",
    };
    char before[1024], now[1024];
    for (size_t i = 0; i < ARRAY_COUNT(inputs); i++) {
        (void)snprintf(before, sizeof(before), RECORD("inputs = %s;"), inputs[0]);
        (void)snprintf(now, sizeof(now), RECORD("inputs = %s;"), inputs[i]);
        ck_assert_str_eq(changes(before, now), i == 0 ? "" : "routes[0].record.inputs");
    }
}
END_TEST

START_TEST(fields_by_input_are_taken) {
    struct config *config;
    const struct config_record *record = load_record(
        RECORD("inputs = { X = [ \"amount\", \"c.age\" ]; Y = \"y\"; };"), &config);
    ck_assert_uint_eq(record->input_count, 2);
    ck_assert_str_eq(record->inputs[0].name, "X");
    ck_assert_uint_eq(record->inputs[0].source_count, 2);
    ck_assert_str_eq(record->inputs[0].sources[1].field, "c.age");
    ck_assert_int_eq(record->inputs[0].sources[1].value.kind, CONFIG_CONSTANT_NONE);
    ck_assert_str_eq(record->inputs[1].name, "Y");
    ck_assert_str_eq(record->inputs[1].sources[0].field, "y");
    ck_assert_ptr_nonnull(strstr(record->inputs[1].sources[0].place, "a.conf:5"));
    ck_assert_uint_eq(record->output_count, 0);
    ck_assert_ptr_null(record->deadline.field);
    ck_assert_ptr_null(record->priority.field);
    ck_assert_int_eq(record->answer, CONFIG_ANSWER_RECORD);
    ck_assert_int_eq(record->strategy, CONFIG_BY_TOPIC);
    config_free(config);
}
END_TEST

START_TEST(fields_of_deadline_and_priority_are_taken) {
    struct config *config;
    const struct config_record *record = load_record(
        RECORD("inputs = [ \"a\" ];\n deadline = \"by\"; priority = \"c.first\";"),
        &config);
    ck_assert_str_eq(record->deadline.field, "by");
    ck_assert_str_eq(record->priority.field, "c.first");
    ck_assert_ptr_nonnull(strstr(record->deadline.place, "a.conf:6"));
    config_free(config);
}
END_TEST

START_TEST(the_only_input_needs_no_name_and_an_odd_one_a_list) {
    struct config *config;
    const struct config_record *record = load_record(
        RECORD("inputs = ( \"a\", 2, { value = 0.5; count = 3; } );"), &config);
    ck_assert_uint_eq(record->input_count, 1);
    ck_assert_str_eq(record->inputs[0].name, "");
    ck_assert_uint_eq(record->inputs[0].source_count, 3);
    ck_assert_ptr_null(record->inputs[0].sources[1].field);
    ck_assert_int_eq(record->inputs[0].sources[1].value.integer, 2);
    ck_assert_double_eq(record->inputs[0].sources[2].value.real, 0.5);
    ck_assert_int_eq(record->inputs[0].sources[2].count, 3);
    config_free(config);
    remove_folder();
    (void)snprintf(folder, sizeof(folder), "/tmp/millrace-record-XXXXXX");
    record = load_record(RECORD("inputs = ( { input = \"x:0\"; fields = [ \"a\" ]; } );"
                                "outputs = ( { name = \"_y\"; output = \"y:0\"; } );"),
                         &config);
    ck_assert_str_eq(record->inputs[0].name, "x:0");
    ck_assert_str_eq(record->inputs[0].sources[0].field, "a");
    ck_assert_str_eq(record->outputs[0].name, "_y");
    ck_assert_str_eq(record->outputs[0].output, "y:0");
    config_free(config);
}
END_TEST

START_TEST(every_step_is_taken) {
    struct config *config;
    const struct config_record *record = load_record(
        RECORD("inputs = ( { field = \"f\"; default = \"none\"; count = 4; steps = ( "
               "\"hour\", "
               "{ scale = [2, 3]; }, { clip = (0, 1.5); }, \"log1p\", "
               "{ vocabulary = [\"a\", \"b\"]; unknown = -1; }, { hash = 9; seed = 7; }, "
               "{ vocabulary = \"words.txt\"; }, { one_hot = 3; } ); } );"),
        &config);
    const struct config_source *source = &record->inputs[0].sources[0];
    const struct config_step *s = source->steps;
    ck_assert_str_eq(source->value.text, "none");
    ck_assert_int_eq(source->count, 4);
    ck_assert_uint_eq(source->step_count, 8);
    ck_assert_str_eq(s[0].name, "hour");
    ck_assert_double_eq(s[1].a, 2);
    ck_assert_double_eq(s[1].b, 3);
    ck_assert_double_eq(s[2].b, 1.5);
    ck_assert_str_eq(s[3].name, "log1p");
    ck_assert_str_eq(s[4].words.items[1], "b");
    ck_assert_int_eq(s[4].unknown, -1);
    ck_assert(!s[4].refuse_unknown);
    ck_assert_int_eq(s[5].count, 9);
    ck_assert_double_eq(s[5].a, 7);
    ck_assert_ptr_nonnull(
        strstr(s[6].words.path, "/words.txt")); /* of the file's folder */
    ck_assert_int_eq(s[6].words.path[0], '/');
    ck_assert(s[6].refuse_unknown);
    ck_assert_int_eq(s[7].count, 3);
    config_free(config);
}
END_TEST

START_TEST(every_form_of_an_answer_is_taken) {
    struct config *config;
    const struct config_record *record = load_record(
        RECORD("inputs = [ \"a\" ]; answer = \"prediction\"; answer_framing = \"bare\"; "
               "outputs = { raw = \"y\"; one = { element = 1; }; "
               "best = { top = 3; labels = [ \"a\", \"b\" ]; }; "
               "kind = { output = \"y\"; labels = \"l.txt\"; }; "
               "most = { form = \"score\"; }; };"),
        &config);
    const struct config_answer_field *f = record->outputs;
    ck_assert_uint_eq(record->output_count, 5);
    ck_assert_str_eq(f[0].form, "tensor");
    ck_assert_str_eq(f[0].output, "y");
    ck_assert_str_eq(f[1].form, "element");
    ck_assert_int_eq(f[1].element, 1);
    ck_assert_str_eq(f[1].output, "");
    ck_assert_str_eq(f[2].form, "top");
    ck_assert_int_eq(f[2].top, 3);
    ck_assert_uint_eq(f[2].labels.count, 2);
    ck_assert_str_eq(f[3].form, "label");
    ck_assert_ptr_nonnull(strstr(f[3].labels.path, "l.txt"));
    ck_assert_str_eq(f[4].form, "score");
    ck_assert_int_eq(record->answer, CONFIG_ANSWER_PREDICTION);
    ck_assert_int_eq(record->answer_framing, CONFIG_FRAMING_BARE);
    config_free(config);
}
END_TEST

START_TEST(the_report_names_inputs_and_answers_and_hides_secrets) {
    struct config *config;
    const char *inputs = NULL, *outputs = NULL, *password = NULL, *token = NULL;
    (void)load_record(RECORD("inputs = { X = [ \"a\", \"b\" ]; };"
                             "outputs = { y = \"y\"; z = \"z\"; };"),
                      &config);
    ck_assert_str_eq(config->registry.password, "hush");
    for (size_t i = 0; i < config->value_count; i++) {
        const struct config_value *value = &config->values[i];
        ck_assert_ptr_null(strstr(value->text, "hush"));
        inputs =
            strcmp(value->key, "routes[0].record.inputs") == 0 ? value->text : inputs;
        outputs =
            strcmp(value->key, "routes[0].record.outputs") == 0 ? value->text : outputs;
        password = strcmp(value->key, "registry.password") == 0 ? value->text : password;
        token = strcmp(value->key, "registry.token") == 0 ? value->text : token;
    }
    ck_assert_str_eq(inputs, "X: 2 fields");
    ck_assert_str_eq(outputs, "y, z");
    ck_assert_str_eq(password, "(hidden)");
    ck_assert_str_eq(token, "");
    config_free(config);
}
END_TEST

static const struct {
    const char *text, *where, *what;
} refusals[] = {
    {RECORD(""), "a.conf:4: routes[0].record has no 'inputs'", "required"},
    {RECORD("inputs = { };"), "a.conf:5: routes[0].record.inputs: has 0 settings",
     "1 to"},
    {RECORD("inputs = ( );"), "a.conf:5: routes[0].record.inputs: 0 fields", "1 to"},
    {RECORD("inputs = [ \"a\" ]; output = 1;"), "record has no setting 'output'",
     "is 'outputs' meant?"},
    {RECORD("inputs = { X = ( ( 1 ) ); };"), "a.conf:5: routes[0].record.inputs.X[0]",
     "a field's path"},
    {RECORD("inputs = { X = [ \"\" ]; };"), "inputs.X[0]", "a text of 1"},
    {RECORD("inputs = ( { field = \"a\"; value = 1; } );"), "inputs[0]", "either"},
    {RECORD("inputs = ( { count = 1; } );"), "inputs[0]", "either"},
    {RECORD("inputs = ( { value = 1; default = 1; } );"), "inputs[0].default",
     "goes with"},
    {RECORD("inputs = ( { field = \"a\"; count = 0; } );"), "inputs[0].count",
     "from 1 to"},
    {RECORD("inputs = ( { field = \"a\"; defualt = 0; } );"),
     "inputs[0] has no setting 'defualt'", "is 'default' meant?"},
    {RECORD("inputs = ( { field = \"a\"; steps = \"log\"; } );"), "inputs[0].steps",
     "no step 'log'"},
    {RECORD("inputs = ( { field = \"a\"; steps = { scal = 1; }; } );"), "inputs[0].steps",
     "is 'scale' meant?"},
    {RECORD("inputs = ( { field = \"a\"; steps = \"hash\"; } );"), "inputs[0].steps",
     "must say more: { hash = 1000;"},
    {RECORD("inputs = ( { field = \"a\"; steps = { hour = 1; }; } );"), "inputs[0].steps",
     "the name alone"},
    {RECORD("inputs = ( { field = \"a\"; steps = { hash = 3; sed = 1; }; } );"),
     "steps has no setting 'sed'", "is 'seed' meant?"},
    {RECORD("inputs = ( { field = \"a\"; steps = { clip = [2, 1]; }; } );"), "steps.clip",
     "above the most"},
    {RECORD("inputs = ( { field = \"a\"; steps = { scale = \"x\"; }; } );"),
     "steps.scale", "a number, or two"},
    {RECORD("inputs = ( { field = \"a\"; steps = { one_hot = 65537; }; } );"),
     "steps.one_hot", "from 1 to 65536"},
    {RECORD("inputs = ( { field = \"a\"; steps = { vocabulary = ( 1 ); }; } );"),
     "steps.vocabulary[0]", "a text"},
    {RECORD("inputs = [ \"a\" ]; deadline = 5;"), "a.conf:5: routes[0].record.deadline",
     "a text of 1"},
    {RECORD("inputs = [ \"a\" ]; outputs = \"y\";"), "record.outputs", "must be a group"},
    {RECORD("inputs = [ \"a\" ]; outputs = { y = 1; };"), "outputs.y", "a text"},
    {RECORD("inputs = [ \"a\" ]; outputs = { y = { elment = 1; }; };"),
     "outputs.y has no setting 'elment'", "is 'element' meant?"},
    {RECORD("inputs = [ \"a\" ]; outputs = { y = { element = 1; top = 2; }; };"),
     "outputs.y", "exclude each other"},
    {RECORD("inputs = [ \"a\" ]; outputs = { y = { element = 1; labels = \"l\"; }; };"),
     "outputs.y.labels", "not with 'element'"},
    {RECORD("inputs = [ \"a\" ]; outputs = { y = { form = \"best\"; }; };"),
     "outputs.y.form", "\"tensor\", \"label\" or \"score\""},
    {RECORD("inputs = [ \"a\" ]; answer = \"all\";"), "record.answer = all",
     "prediction"},
    {RECORD("inputs = [ \"a\" ]; schema = \"a\"; schemas = \"b\";"), "routes[0].record",
     "exclude each other"},
    {HEAD "routes = ( { " ROUTE "record = { inputs = [ \"a\" ]; }; } );",
     "a.conf:4: routes[0]", "needs 'model'"},
    {HEAD "routes = ( { " ROUTE "model = \"m\"; record = 1; } );",
     "a.conf:4: routes[0].record: must be a group", ""},
    {"kafka = { bootstrap_servers = \"a\"; };\n"
     "models = ( { name = \"m\"; path = \"m.onnx\"; } );\n"
     "routes = ( { " ROUTE "model = \"m\"; record = { inputs = [ \"a\" ]; }; } );",
     "a.conf:3: routes[0].record", "where do the records' schemas come from?"},
    {"kafka = { bootstrap_servers = \"a\"; };\n"
     "models = ( { name = \"m\"; path = \"m.onnx\"; } );\n"
     "routes = ( { " ROUTE
     "model = \"m\"; record = { inputs = [ \"a\" ]; schema = \"s\"; "
     "answer_framing = \"confluent\"; }; } );",
     "routes[0].record.answer_framing", "needs registry.urls"},
    {HEAD "routes = ( { " ROUTE " } );\nlog = { level = \"info\"; };\n"
          "http = { port = 1; };\nworker = { group = \"g\"; };\n",
     "", ""},
};

START_TEST(each_mistake_is_named_with_its_place) {
    struct config *config = NULL;
    enum status status = load_text(refusals[_i].text, &config);
    bool found = false;
    if (refusals[_i].where[0] ==
        0) { /* so that the others' outer file is known as good */
        ck_assert_int_eq(status, STATUS_OK);
        config_free(config);
        return;
    }
    ck_assert_int_eq(status, STATUS_INVALID);
    for (size_t i = 0; i < problem_count; i++) {
        found = found || (strstr(problems[i], refusals[_i].where) != NULL &&
                          strstr(problems[i], refusals[_i].what) != NULL);
    }
    ck_assert_msg(found, "'%s ... %s' is not in: %s", refusals[_i].where,
                  refusals[_i].what, problem_count == 0 ? "" : problems[0]);
}
END_TEST

START_TEST(a_url_with_a_password_is_refused_and_not_shown) {
    struct config *config;
    ck_assert_int_eq(load_text("kafka = { bootstrap_servers = \"a\"; };\n"
                               "models = ( { name = \"m\"; path = \"m.onnx\"; } );\n"
                               "registry = { urls = \"https://u:hush@a\"; };\n"
                               "routes = ( { " ROUTE " } );",
                               &config),
                     STATUS_INVALID);
    ck_assert_uint_eq(problem_count, 1);
    ck_assert_ptr_nonnull(strstr(problems[0], "a.conf:3: registry.urls"));
    ck_assert_ptr_null(strstr(problems[0], "hush"));
}
END_TEST

START_TEST(the_reference_has_every_form) {
    static char page[1 << 16];
    static const char *const words[] = {"scale",   "clip",    "log1p",   "vocabulary",
                                        "hash",    "one_hot", "seconds", "hour",
                                        "weekday", "default", "element", "top",
                                        "labels",  "form",    "subject"};
    FILE *to = fmemopen(page, sizeof(page), "w");
    ck_assert_ptr_nonnull(to);
    config_reference(to);
    ck_assert_int_eq(fclose(to), 0);
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        char row[64];
        (void)snprintf(row, sizeof(row), "\n| `%s` | ", words[i]);
        ck_assert_msg(strstr(page, row) != NULL, "no%s", row);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("record");
    TCase *taken = tcase_create("taken");
    TCase *refused = tcase_create("refused");
    SRunner *runner = srunner_create(suite);
    int failed;
    tcase_add_checked_fixture(taken, NULL, remove_folder);
    tcase_add_checked_fixture(refused, NULL, remove_folder);
    tcase_add_test(taken, a_route_without_a_record_has_none);
    tcase_add_test(taken, any_change_of_a_mapping_is_named);
    tcase_add_test(taken, fields_by_input_are_taken);
    tcase_add_test(taken, fields_of_deadline_and_priority_are_taken);
    tcase_add_test(taken, the_only_input_needs_no_name_and_an_odd_one_a_list);
    tcase_add_test(taken, every_step_is_taken);
    tcase_add_test(taken, every_form_of_an_answer_is_taken);
    tcase_add_test(taken, the_report_names_inputs_and_answers_and_hides_secrets);
    tcase_add_test(taken, the_reference_has_every_form);
    tcase_add_loop_test(refused, each_mistake_is_named_with_its_place, 0,
                        ARRAY_COUNT(refusals));
    tcase_add_test(refused, a_url_with_a_password_is_refused_and_not_shown);
    suite_add_tcase(suite, taken);
    suite_add_tcase(suite, refused);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
