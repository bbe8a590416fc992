/* test_config.c - what a file, a variable or a flag says is what the worker gets, and
 * what is wrong is said with its place. */
#include "config/config.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "config/keys.h"
#include "tests/unit/suite.h"

/* The least a file must say; tests add to it. */
#define KAFKA "kafka = { bootstrap_servers = \"localhost:9092\"; };\n"
#define MODEL "{ name = \"digits\"; path = \"m/model.onnx\"; }"
#define ROUTE "{ input = \"in\"; output = \"out\"; dead_letter = \"dead\"; }"
#define MODELS "models = ( " MODEL " );\n"
#define ROUTES "routes = ( " ROUTE " );\n"
#define RETRIES(delays)                                                 \
    "routes = ( { input = \"a\"; output = \"o\"; dead_letter = \"d\"; " \
    "retry_delays = \"" delays "\"; } );"
#define LEAST KAFKA MODELS ROUTES

static char folder[] = "/tmp/millrace-config-XXXXXX";
static char path[512];

static char problems[CONFIG_PROBLEMS_MAX][1024];
static size_t problem_count;

static void note_problem(void *opaque, const char *problem) {
    ck_assert_ptr_null(opaque);
    ck_assert_uint_lt(problem_count, CONFIG_PROBLEMS_MAX);
    (void)snprintf(problems[problem_count++], sizeof(problems[0]), "%s", problem);
}

static const char *place(const char *name) {
    static char text[512];
    (void)snprintf(text, sizeof(text), "%s/%s", folder, name);
    return text;
}

static void write_file(const char *name, const char *text) {
    FILE *file = fopen(place(name), "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

/* A folder for the test's files, once a test. */
static void make_folder(void) {
    static bool made;
    if (!made) {
        ck_assert_ptr_nonnull(mkdtemp(folder));
        made = true;
    }
}

static void remove_folder(void) {
    static const char *const names[] = {"a.conf", "top.conf",        "here.conf", "pipe",
                                        "nul",    "sub/models.conf", "sub"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        (void)remove(place(names[i])); /* most tests write only some of them */
    }
    (void)rmdir(folder); /* or were not given one */
}

/* Loads `text`, with flags. */
static enum status load_with(const char *text, const char *const *flags, size_t count,
                             struct config **config, struct error *err) {
    make_folder();
    write_file("a.conf", text);
    (void)snprintf(path, sizeof(path), "%s", place("a.conf"));
    problem_count = 0;
    return config_load(path, flags, count, note_problem, NULL, config, err);
}

/* What must load. */
static struct config *load(const char *text) {
    struct config *config;
    struct error err = {0};
    ck_assert_msg(load_with(text, NULL, 0, &config, &err) == STATUS_OK, "%s", err.text);
    ck_assert_uint_eq(problem_count, 0);
    return config;
}

static struct config *load_flag(const char *text, const char *flag) {
    struct config *config;
    struct error err = {0};
    ck_assert_msg(load_with(text, &flag, 1, &config, &err) == STATUS_OK, "%s", err.text);
    return config;
}

/* One of the problems reported begins with `where` (after the folder) and holds `what`.
 */
static void has_problem(const char *where, const char *what) {
    for (size_t i = 0; i < problem_count; i++) {
        const char *text = problems[i];
        if (strncmp(text, folder, strlen(folder)) == 0) {
            text += strlen(folder) + 1;
        }
        if (strncmp(text, where, strlen(where)) == 0 && strstr(text, what) != NULL) {
            return;
        }
    }
    ck_abort_msg("no problem '%s...%s'; the first of %zu: %s", where, what, problem_count,
                 problem_count > 0 ? problems[0] : "");
}

/* What must not load, with one problem. */
static void refuses(const char *text, const char *where, const char *what) {
    struct config *config;
    struct error err = {0};
    ck_assert_int_eq(load_with(text, NULL, 0, &config, &err), STATUS_INVALID);
    ck_assert_ptr_null(config);
    has_problem(where, what);
    ck_assert_msg(problem_count == 1, "also: %s", problems[1]);
    ck_assert_str_eq(err.text, problems[0]);
}

static void refuses_flag(const char *flag, const char *what) {
    struct config *config;
    struct error err = {0};
    ck_assert_int_eq(load_with(LEAST, &flag, 1, &config, &err), STATUS_INVALID);
    has_problem("--set", what);
    ck_assert_uint_eq(problem_count, 1);
}

static const struct config_value *value_of(const struct config *config, const char *key) {
    for (size_t i = 0; i < config->value_count; i++) {
        if (strcmp(config->values[i].key, key) == 0) {
            return &config->values[i];
        }
    }
    ck_abort_msg("no value of %s", key);
    return NULL;
}

/* ---- what is taken -------------------------------------------------------------- */

START_TEST(the_least_file_gets_every_default) {
    struct config *config = load(LEAST);
    ck_assert_str_eq(config->worker.group, "millrace");
    ck_assert_str_eq(config->worker.instance, "");
    ck_assert_int_eq(config->worker.delivery, CONFIG_EXACTLY_ONCE);
    ck_assert_int_eq(config->worker.commit_interval_ms, 50);
    ck_assert_int_ge(config->worker.threads, 1);
    ck_assert_int_eq(config->worker.window_jobs, 131072);
    ck_assert_int_eq(config->worker.window_mb, 256);
    ck_assert_int_eq(config->worker.drain_timeout_s, 30);
    ck_assert_int_eq(config->worker.watchdog_s, 60);
    ck_assert_int_eq(config->worker.crash_restarts_max, 5);
    ck_assert_str_eq(config->http.address, "127.0.0.1");
    ck_assert_int_eq(config->http.port, 9464);
    ck_assert_int_eq(config->log.level, LOG_INFO);
    ck_assert_int_eq(config->log.format, LOG_FORMAT_AUTO);
    ck_assert_uint_eq(config->model_count, 1);
    ck_assert_int_eq(config->models[0].batch_max, 64);
    ck_assert_int_eq(config->models[0].linger_ms, 5);
    ck_assert_int_eq(config->models[0].nan, CONFIG_NAN_ALLOW);
    ck_assert_str_eq(config->models[0].version, "1");
    ck_assert_uint_eq(config->models[0].output_count, 0);
    ck_assert_uint_eq(config->route_count, 1);
    ck_assert_str_eq(config->routes[0].model, "");
    ck_assert_int_eq(config->routes[0].model_index, -1);
    ck_assert_int_eq(config->routes[0].job_bytes_max, 1048576);
    ck_assert_int_eq(config->routes[0].order, CONFIG_ORDER_FREE);
    ck_assert_int_eq(config->routes[0].retry_count, 3);
    ck_assert_int_eq(config->routes[0].retry_ms[0], 5000);
    ck_assert_int_eq(config->routes[0].retry_ms[1], 60000);
    ck_assert_int_eq(config->routes[0].retry_ms[2], 600000);
    ck_assert_str_eq(config->routes[0].retry_topics[2], "in.millrace.retry.3");
    config_free(config);
}
END_TEST

START_TEST(every_setting_of_the_file_is_taken) {
    struct config *config = load(
        KAFKA "worker = { group = \"g\"; instance = \"w-1\"; threads = 3;\n"
              " delivery = \"at_least_once\"; commit_interval_ms = 0;\n"
              " window_jobs = 100; window_mb = 7; drain_timeout_s = 1;\n"
              " watchdog_s = 5; };\n"
              "http = { address = \"::1\"; port = 0; };\n"
              "log = { level = \"error\"; format = \"json\"; };\n"
              "models = ( { name = \"a\"; path = \"/abs/a.onnx\"; }, { name = \"b\";\n"
              " path = \"b.onnx\"; version = \"2\"; batch_max = 8; linger_ms = 0;\n"
              " nan = \"reject\"; outputs = ( \"x\", \"y\" ); } );\n"
              "routes = ( { input = \"i\"; output = \"o\"; dead_letter = \"d\";\n"
              " model = \"b\"; job_bytes_max = 5000; retry_delays = \" 2h \";\n"
              " order = \"partition\"; } );\n");
    const struct config_model *b = &config->models[1];
    ck_assert_str_eq(config->worker.group, "g");
    ck_assert_str_eq(config->worker.instance, "w-1");
    ck_assert_int_eq(config->worker.delivery, CONFIG_AT_LEAST_ONCE);
    ck_assert_int_eq(config->worker.commit_interval_ms, 0);
    ck_assert_int_eq(config->worker.threads, 3);
    ck_assert_int_eq(config->worker.window_jobs, 100);
    ck_assert_int_eq(config->worker.window_mb, 7);
    ck_assert_str_eq(config->http.address, "::1");
    ck_assert_int_eq(config->http.port, 0);
    ck_assert_int_eq(config->log.level, LOG_ERROR);
    ck_assert_int_eq(config->log.format, LOG_FORMAT_JSON);
    ck_assert_str_eq(config->models[0].path, "/abs/a.onnx");
    ck_assert_str_eq(b->path, place("b.onnx"));
    ck_assert_str_eq(b->version, "2");
    ck_assert_int_eq(b->batch_max, 8);
    ck_assert_int_eq(b->linger_ms, 0);
    ck_assert_int_eq(b->nan, CONFIG_NAN_REJECT);
    ck_assert_uint_eq(b->output_count, 2);
    ck_assert_str_eq(b->outputs[0], "x");
    ck_assert_str_eq(b->outputs[1], "y");
    ck_assert_int_eq(config->routes[0].model_index, 1);
    ck_assert_int_eq(config->routes[0].job_bytes_max, 5000);
    ck_assert_int_eq(config->routes[0].order, CONFIG_ORDER_PARTITION);
    ck_assert_int_eq(config->routes[0].retry_count, 1);
    ck_assert_int_eq(config->routes[0].retry_ms[0], 7200000);
    ck_assert_str_eq(config->routes[0].retry_topics[0], "i.g.retry.1");
    config_free(config);
}
END_TEST

START_TEST(properties_pass_through_under_librdkafkas_names) {
    struct config *config =
        load("kafka = { bootstrap_servers = \"h:1\"; socket_timeout_ms = 500;\n"
             " enable_ssl_certificate_verification = false; big = 5000000000L; };\n"
             "consumer = { fetch_min_bytes = 7; };\n"
             "producer = { linger_ms = 1; };\n" MODELS ROUTES);
    ck_assert_uint_eq(config->kafka.count, 4);
    ck_assert_str_eq(config->kafka.items[0].name, "bootstrap.servers");
    ck_assert_str_eq(config->kafka.items[0].value, "h:1");
    ck_assert_str_eq(config->kafka.items[1].name, "socket.timeout.ms");
    ck_assert_str_eq(config->kafka.items[1].value, "500");
    ck_assert_str_eq(config->kafka.items[2].value, "false");
    ck_assert_str_eq(config->kafka.items[3].value, "5000000000");
    ck_assert_uint_eq(config->consumer.count, 1);
    ck_assert_str_eq(config->consumer.items[0].name, "fetch.min.bytes");
    ck_assert_uint_eq(config->producer.count, 1);
    ck_assert_str_eq(config->producer.items[0].name, "linger.ms");
    config_free(config);
}
END_TEST

START_TEST(flag_wins_over_variable_over_file_over_default) {
    static const char text[] = LEAST "worker = { threads = 2; };\n";
    struct config *config = load(text);
    ck_assert_int_eq(config->worker.threads, 2);
    ck_assert_ptr_nonnull(strstr(value_of(config, "worker.threads")->origin, "a.conf:4"));
    ck_assert_str_eq(value_of(config, "worker.watchdog_s")->origin, "default");
    config_free(config);

    ck_assert_int_eq(setenv("MILLRACE_WORKER_THREADS", "3", 1), 0);
    config = load(text);
    ck_assert_int_eq(config->worker.threads, 3);
    ck_assert_str_eq(value_of(config, "worker.threads")->origin,
                     "MILLRACE_WORKER_THREADS");
    config_free(config);

    config = load_flag(text, "worker.threads=4");
    ck_assert_int_eq(config->worker.threads, 4);
    ck_assert_str_eq(value_of(config, "worker.threads")->origin, "--set");
    config_free(config);
}
END_TEST

START_TEST(the_last_flag_wins) {
    static const char *const flags[] = {"log.level=debug", "kafka.client_id=a",
                                        "log.level=warn", "kafka.client.id=b"};
    struct config *config;
    struct error err = {0};
    ck_assert_int_eq(load_with(LEAST, flags, ARRAY_COUNT(flags), &config, &err),
                     STATUS_OK);
    ck_assert_int_eq(config->log.level, LOG_WARN);
    ck_assert_uint_eq(config->kafka.count, 2);
    ck_assert_str_eq(config->kafka.items[0].name, "client.id");
    ck_assert_str_eq(config->kafka.items[0].value, "b");
    config_free(config);
}
END_TEST

START_TEST(properties_come_from_variables_too) {
    struct config *config;
    ck_assert_int_eq(setenv("MILLRACE_KAFKA_BOOTSTRAP_SERVERS", "other:1", 1), 0);
    ck_assert_int_eq(setenv("MILLRACE_KAFKA_SASL_PASSWORD", "hunter2=", 1), 0);
    config = load(LEAST);
    ck_assert_uint_eq(config->kafka.count, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct config_property *property = &config->kafka.items[i];
        bool servers = strcmp(property->name, "bootstrap.servers") == 0;
        ck_assert_str_eq(property->value, servers ? "other:1" : "hunter2=");
    }
    config_free(config);
}
END_TEST

START_TEST(secrets_are_hidden_in_the_report) {
    struct config *config = load_flag(LEAST, "kafka.sasl.password=hunter2");
    ck_assert_str_eq(value_of(config, "kafka.sasl.password")->text, "(hidden)");
    ck_assert_str_eq(config->kafka.items[0].value, "hunter2");
    config_free(config);
}
END_TEST

START_TEST(secret_properties_are_known_as_such) {
    static const char *const secret[] = {
        "sasl.password", "sasl_password",          "ssl.key.password",
        "ssl.key.pem",   "ssl_keystore_password",  "sasl.oauthbearer.client.secret",
        "SASL.PASSWORD", "sasl.oauthbearer.config"};
    static const char *const open[] = {"bootstrap.servers", "sasl.username",
                                       "ssl.key.location", "ssl.ca.pem"};
    for (size_t i = 0; i < ARRAY_COUNT(secret); i++) {
        ck_assert_msg(config_is_secret(secret[i]), "%s is shown", secret[i]);
    }
    for (size_t i = 0; i < ARRAY_COUNT(open); i++) {
        ck_assert_msg(!config_is_secret(open[i]), "%s is hidden", open[i]);
    }
}
END_TEST

START_TEST(included_files_are_read_and_listed) {
    struct config *config;
    struct error err = {0};
    make_folder();
    ck_assert_int_eq(mkdir(place("sub"), 0700), 0);
    write_file("sub/models.conf", MODELS);
    write_file("top.conf", KAFKA "  @include \"sub/models.conf\"\n" ROUTES);
    (void)snprintf(path, sizeof(path), "%s", place("top.conf"));
    ck_assert_msg(config_load(path, NULL, 0, NULL, NULL, &config, &err) == STATUS_OK,
                  "%s", err.text);
    ck_assert_uint_eq(config->file_count, 2);
    ck_assert_str_eq(config->files[0], path);
    ck_assert_str_eq(config->files[1], place("sub/models.conf"));
    /* Paths are relative to the first file's folder, wherever they are written. */
    ck_assert_str_eq(config->models[0].path, place("m/model.onnx"));
    config_free(config);
}
END_TEST

START_TEST(a_file_named_without_a_folder_is_relative_to_the_working_one) {
    struct config *config;
    struct error err = {0};
    make_folder();
    write_file("here.conf", LEAST);
    ck_assert_int_eq(chdir(folder), 0);
    ck_assert_msg(config_load("here.conf", NULL, 0, NULL, NULL, &config, &err) ==
                      STATUS_OK,
                  "%s", err.text);
    ck_assert_str_eq(config->models[0].path, "m/model.onnx");
    config_free(config);
}
END_TEST

/* Tests run in the project's folder. */
START_TEST(the_example_is_fine) {
    struct config *config;
    struct error err = {0};
    ck_assert_msg(config_load("conf/millrace.conf", NULL, 0, NULL, NULL, &config, &err) ==
                      STATUS_OK,
                  "%s", err.text);
    ck_assert_uint_eq(config->model_count, 3);
    ck_assert_str_eq(config->models[0].path, "conf/models/digits/model.onnx");
    config_free(config);
}
END_TEST

/* As the example writes a default, or a setting that has none: `name = `. */
static void setting_text(const struct key *key, char *text, size_t size) {
    bool quoted = key->type != KEY_INT && key->type != KEY_TEXTS;
    if (key->fallback == NULL || key->type == KEY_GROUP || key->type == KEY_OWN ||
        strcmp(key->name, "model") == 0) {
        (void)snprintf(text, size, " %s = ", key->name);
    } else if (key->type == KEY_TEXTS) {
        (void)snprintf(text, size, " %s = ( );", key->name);
    } else {
        (void)snprintf(text, size, " %s = %s%s%s;", key->name, quoted ? "\"" : "",
                       key->fallback, quoted ? "\"" : "");
    }
}

START_TEST(the_example_shows_every_setting_with_its_default) {
    static char page[1 << 16];
    size_t count;
    const struct section *const *all = sections(&count);
    FILE *file = fopen("conf/millrace.conf", "re");
    ck_assert_ptr_nonnull(file);
    page[fread(page, 1, sizeof(page) - 1, file)] = 0;
    ck_assert_int_eq(fclose(file), 0);
    for (size_t i = 0; i <= count; i++) {
        const struct section *section = i < count ? all[i] : &record_section;
        for (size_t j = 0; j < section->key_count; j++) {
            char wanted[128];
            setting_text(&section->keys[j], wanted, sizeof(wanted));
            ck_assert_msg(strstr(page, wanted) != NULL, "%s: no%s", section->name,
                          wanted);
        }
    }
}
END_TEST

/* Loads both and returns what differs. */
static const char *changes(const char *before, const char *now) {
    static char text[256];
    struct config *first = load(before);
    struct config *second = load(now);
    size_t count = config_changes(first, second, text, sizeof(text));
    ck_assert_int_eq(count == 0, text[0] == 0);
    config_free(first);
    config_free(second);
    return text;
}

START_TEST(what_differs_between_two_loads_is_named) {
    ck_assert_str_eq(changes(LEAST, LEAST), "");
    ck_assert_str_eq(changes(LEAST, LEAST "worker = { threads = 2; };"),
                     "worker.threads");
    ck_assert_str_eq(changes(LEAST "worker = { threads = 2; };", LEAST),
                     "worker.threads");
    ck_assert_str_eq(
        changes(LEAST,
                "kafka = { bootstrap_servers = \"localhost:9093\"; };" MODELS ROUTES),
        "kafka.bootstrap.servers");
    ck_assert_str_eq(changes(LEAST, LEAST "consumer = { fetch_min_bytes = 2; };"),
                     "consumer.fetch.min.bytes");
    ck_assert_str_eq(changes(LEAST "consumer = { fetch_min_bytes = 2; };", LEAST),
                     "consumer.fetch.min.bytes");
}
END_TEST

START_TEST(a_secret_that_differs_is_named_and_not_shown) {
    ck_assert_str_eq(changes(LEAST "registry = { urls = \"http://r\"; password = "
                                   "\"one\"; };",
                             LEAST "registry = { urls = \"http://r\"; password = "
                                   "\"two\"; };"),
                     "registry.password");
}
END_TEST

START_TEST(other_files_and_versions_of_models_are_no_change_but_other_models_are) {
    ck_assert_str_eq(changes(LEAST, KAFKA ROUTES
                             "models = ( { name = \"digits\"; path = \"b.onnx\"; "
                             "version = \"2\"; } );"),
                     "");
    ck_assert_str_eq(changes(LEAST, KAFKA ROUTES
                             "models = ( { name = \"letters\"; path = \"b.onnx\"; } );"),
                     "models[0].name");
    ck_assert_ptr_nonnull(
        strstr(changes(LEAST, KAFKA MODELS "routes = ( " ROUTE
                                           ", { input = \"in2\"; output = \"out\"; "
                                           "dead_letter = \"dead\"; } );"),
               "routes[1].input"));
}
END_TEST

START_TEST(names_of_changes_end_with_their_text_and_are_all_counted) {
    char text[12];
    struct config *before = load(LEAST);
    struct config *now =
        load(LEAST "worker = { threads = 2; };\n"
                   "http = { port = 1; };\nlog = { level = \"warn\"; };");
    ck_assert_uint_eq(config_changes(before, now, text, sizeof(text)), 3);
    ck_assert_str_eq(text, "worker.thre");
    config_free(before);
    config_free(now);
}
END_TEST

START_TEST(free_accepts_null) {
    config_free(NULL);
}
END_TEST

/* ---- what is refused: a file each ----------------------------------------------- */

struct refusal {
    const char *text;
    const char *where;
    const char *what;
};

static const struct refusal refusals[] = {
    /* names */
    {LEAST "worker = { treads = 2; };", "a.conf:4: worker has no setting 'treads'",
     "is 'threads' meant?"},
    {LEAST "worker = { colour = 2; };", "a.conf:4: worker has no setting 'colour'", ""},
    {LEAST "wroker = { };", "a.conf:4: there is no section 'wroker'",
     "is 'worker' meant?"},
    {KAFKA ROUTES "models = ( { name = \"a\"; path = \"a\"; batchmax = 2; } );",
     "a.conf:3: models[0] has no setting 'batchmax'", "is 'batch_max' meant?"},
    {LEAST "worker = 5;", "a.conf:4: worker: must be a group", ""},
    {LEAST "kafka2 = ( );", "a.conf:4: there is no section 'kafka2'",
     "is 'kafka' meant?"},
    /* types and limits */
    {LEAST "worker = { threads = -1; };", "a.conf:4: worker.threads = -1: must be",
     "a whole number from 0 to 512"},
    {LEAST "worker = { threads = 513; };", "a.conf:4: worker.threads = 513", ""},
    {LEAST "worker = { threads = 9999999999999999999; };", "a.conf:4: worker.threads",
     ""},
    {LEAST "worker = { threads = \"2\"; };", "a.conf:4: worker.threads = 2", ""},
    {LEAST "worker = { threads = 2.0; };", "a.conf:4: worker.threads = 2", ""},
    {LEAST "worker = { threads = ( 2 ); };", "a.conf:4: worker.threads = a group or list",
     ""},
    {LEAST "worker = { group = \"\"; };", "a.conf:4: worker.group = \"\"", "1 to 249"},
    {LEAST "worker = { group = 7; };", "a.conf:4: worker.group = 7", ""},
    {LEAST "worker = { group = \"a\\nb\"; };", "a.conf:4: worker.group = a?b", ""},
    {LEAST "worker = { group = \"\\xff\"; };", "a.conf:4: worker.group", ""},
    {LEAST "worker = { membership = \"static\"; };",
     "a.conf:4: worker.membership = \"static\" needs worker.instance", "keeps"},
    {LEAST "worker = { instance = \"a b\"; };", "a.conf:4: worker.instance = a b",
     "letters"},
    {LEAST "worker = { delivery = \"twice\"; };", "a.conf:4: worker.delivery = twice",
     "\"exactly_once\" or \"at_least_once\""},
    {LEAST "http = { address = \"localhost\"; };", "a.conf:4: http.address = localhost",
     "numeric"},
    {LEAST "http = { port = 65536; };", "a.conf:4: http.port = 65536", ""},
    {LEAST "log = { level = \"loud\"; };", "a.conf:4: log.level = loud", "\"debug\""},
    {KAFKA ROUTES "models = ( { name = \"a\"; path = \"a\"; outputs = ( 1 ); } );",
     "a.conf:3: models[0].outputs[0]", ""},
    {KAFKA ROUTES "models = ( { name = \"a\"; path = \"a\"; outputs = \"x\"; } );",
     "a.conf:3: models[0].outputs = x", "a list"},
    {LEAST "consumer = { a = ( ); };", "a.conf:4: consumer.a", "must be text"},
    /* what is required */
    {MODELS ROUTES, "a.conf: kafka.bootstrap_servers is required", ""},
    {MODELS ROUTES "consumer = { bootstrap_servers = \"a:1\"; };",
     "a.conf: kafka.bootstrap_servers is required", ""},
    {"kafka = { bootstrap_servers = \"\"; };" MODELS ROUTES,
     "a.conf: kafka.bootstrap_servers is required", ""},
    {KAFKA ROUTES, "a.conf: 'models' is required", ""},
    {KAFKA MODELS "routes = ( );", "a.conf:3: 'routes' is required", ""},
    {KAFKA MODELS "routes = { };", "a.conf:3: 'routes' is required", ""},
    {KAFKA ROUTES "models = ( { name = \"a\"; } );", "a.conf:3: models[0] has no 'path'",
     "required"},
    {KAFKA ROUTES "models = ( 5 );", "a.conf:3: models[0]: must be a group", ""},
    {KAFKA MODELS
     "routes = ( { input = \"a b\"; output = \"o\"; dead_letter = \"d\"; } );",
     "a.conf:3: routes[0].input = a b", "letters"},
    {KAFKA MODELS
     "routes = ( { input = \"..\"; output = \"o\"; dead_letter = \"d\"; } );",
     "a.conf:3: routes[0].input = ..", ""},
    /* across settings */
    {KAFKA ROUTES "models = ( " MODEL ", " MODEL " );",
     "a.conf:3: models[0] and models[1]", "both named 'digits'"},
    {KAFKA MODELS "routes = ( " ROUTE ", { input = \"in\"; output = \"o\"; "
                  "dead_letter = \"d\"; } );",
     "a.conf:3: routes[0] and routes[1]", "same input 'in'"},
    {KAFKA MODELS "routes = ( { input = \"a\"; output = \"a\"; dead_letter = \"d\"; } );",
     "a.conf:3: routes[0]", "input and output"},
    {KAFKA MODELS "routes = ( { input = \"a\"; output = \"o\"; dead_letter = \"a\"; } );",
     "a.conf:3: routes[0]", "input and dead_letter"},
    {KAFKA MODELS "routes = ( { input = \"a\"; output = \"o\"; dead_letter = \"o\"; } );",
     "a.conf:3: routes[0]", "output and dead_letter"},
    {KAFKA MODELS "routes = ( { input = \"a\"; output = \"o\"; dead_letter = \"d\"; "
                  "model = \"digit\"; } );",
     "a.conf:3: routes[0].model = digit", "is 'digits' meant?"},
    {KAFKA ROUTES
     "models = ( { name = \"a\"; path = \"a\"; outputs = ( \"x\", \"x\" ); } );",
     "a.conf:3: models[0].outputs", "twice"},
    {LEAST "worker = { window_jobs = 63; };", "a.conf:4: models[0].batch_max = 64",
     "worker.window_jobs, 63"},
    {KAFKA MODELS "worker = { window_mb = 1; };"
                  "routes = ( { input = \"a\"; output = \"o\"; dead_letter = \"d\"; "
                  "job_bytes_max = 1048577; } );",
     "a.conf:3: routes[0].job_bytes_max = 1048577", "worker.window_mb, 1"},
    {KAFKA MODELS RETRIES("5"), "a.conf:3: routes[0].retry_delays = \"5\"", "up to 8"},
    {KAFKA MODELS RETRIES("0s"), "a.conf:3: routes[0].retry_delays", "from 1s"},
    {KAFKA MODELS RETRIES("169h"), "a.conf:3: routes[0].retry_delays", "168h"},
    {KAFKA MODELS RETRIES("1s,2s"), "a.conf:3: routes[0].retry_delays", "up to 8"},
    {KAFKA MODELS RETRIES("99999999999999999999s"), "a.conf:3: routes[0].retry", "168h"},
    {KAFKA MODELS RETRIES("1s 1s 1s 1s 1s 1s 1s 1s 1s"), "a.conf:3: routes[0].retry_d",
     "up to 8"},
    /* the file */
    {"a = ;", "a.conf:1: syntax error", ""},
    {LEAST KAFKA, "a.conf:4: duplicate setting name", ""},
    {"@include \"/etc/passwd\"\n", "a.conf: @include \"/etc/passwd\"", "relative"},
    {"@include \"gone.conf\"\n", "a.conf: cannot read", "No such file"},
    {"@include \".\"\n", "a.conf: ", "not a regular file"},
};

START_TEST(each_mistake_is_named_with_its_place) {
    refuses(refusals[_i].text, refusals[_i].where, refusals[_i].what);
}
END_TEST

START_TEST(all_mistakes_are_reported_at_once) {
    struct config *config;
    struct error err = {0};
    ck_assert_int_eq(load_with("worker = { threads = -1; grup = \"a\"; };\n"
                               "http = { port = \"x\"; };\n" MODELS,
                               NULL, 0, &config, &err),
                     STATUS_INVALID);
    has_problem("a.conf:1: worker.threads", "whole number");
    has_problem("a.conf:1: worker has no setting 'grup'", "'group'");
    has_problem("a.conf:2: http.port", "whole number");
    has_problem("a.conf: 'routes' is required", "");
    has_problem("a.conf: kafka.bootstrap_servers", "");
    ck_assert_uint_eq(problem_count, 5);
    ck_assert_ptr_nonnull(strstr(err.text, "(and 4 more)"));
}
END_TEST

START_TEST(reports_stop_at_a_limit_and_the_rest_is_counted) {
    static char text[16384] = LEAST "worker = {\n";
    struct config *config;
    struct error err = {0};
    size_t used = strlen(text);
    for (int i = 0; i < 200; i++) {
        used += (size_t)snprintf(text + used, sizeof(text) - used, "zz%d = 1;\n", i);
    }
    (void)snprintf(text + used, sizeof(text) - used, "};\n");
    ck_assert_int_eq(load_with(text, NULL, 0, &config, &err), STATUS_INVALID);
    ck_assert_uint_eq(problem_count, CONFIG_PROBLEMS_MAX);
    ck_assert_ptr_nonnull(strstr(err.text, "(and 199 more)"));
}
END_TEST

START_TEST(bad_variables_are_named) {
    struct config *config;
    struct error err = {0};
    ck_assert_int_eq(setenv("MILLRACE_WORKER_THREADS", "two", 1), 0);
    ck_assert_int_eq(setenv("MILLRACE_WORKER_GRUOP", "g", 1), 0);
    ck_assert_int_eq(setenv("MILLRACE_MODELS_NAME", "g", 1), 0);
    ck_assert_int_eq(setenv("MILLRACE_CPU", "portable", 1), 0); /* no section: ignored */
    ck_assert_int_eq(load_with(LEAST, NULL, 0, &config, &err), STATUS_INVALID);
    has_problem("MILLRACE_WORKER_THREADS: worker.threads = two", "whole number");
    has_problem("MILLRACE_WORKER_GRUOP: worker has no setting 'gruop'", "'group'");
    has_problem("MILLRACE_MODELS_NAME: models come from the file alone", "");
    ck_assert_uint_eq(problem_count, 3);
}
END_TEST

START_TEST(flags_must_be_settings) {
    static const struct {
        const char *flag, *what;
    } cases[] = {
        {"worker.threads", "must be section.key=value"},
        {"threads=2", "must be section.key=value"},
        {"", "must be section.key=value"},
        {"a=b.c", "must be section.key=value"},
        {"worker.thread=2", "is 'threads' meant?"},
        {"work.threads=2", "is 'worker' meant?"},
        {"models.name=a", "come from the file alone"},
        {"worker.threads=", "worker.threads = \"\": must be"},
        {"worker.threads= 2", "must be a whole number"},
        {"log.level=LOUD", "must be \"debug\""},
        {"kafka.=x", "is no property name"},
        {"kafka.a b=x", "is no property name"},
    };
    refuses_flag(cases[_i].flag, cases[_i].what);
}
END_TEST

START_TEST(a_secret_is_in_no_message) {
    static const char *const flags[] = {"kafka sasl.password hunter2", "kafka.=hunter2",
                                        "kafak.sasl.password=hunter2"};
    struct config *config;
    struct error err = {0};
    ck_assert_int_eq(load_with(LEAST "consumer = { sasl_password = [ \"hunter2\" ]; };",
                               flags, ARRAY_COUNT(flags), &config, &err),
                     STATUS_INVALID);
    ck_assert_uint_eq(problem_count, 4);
    for (size_t i = 0; i < problem_count; i++) {
        ck_assert_ptr_null(strstr(problems[i], "hunter2"));
    }
}
END_TEST

START_TEST(odd_files_are_refused_before_libconfig_sees_them) {
    struct config *config;
    struct error err = {0};
    char name[512];
    FILE *file;
    ck_assert_int_eq(load_with(LEAST, NULL, 0, &config, &err), STATUS_OK);
    config_free(config);
    ck_assert_int_eq(config_load(folder, NULL, 0, NULL, NULL, &config, &err),
                     STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "not a regular file"));
    ck_assert_int_eq(config_load("/nonexistent/a", NULL, 0, NULL, NULL, &config, &err),
                     STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "No such file"));
    (void)snprintf(name, sizeof(name), "%s", place("pipe"));
    ck_assert_int_eq(mkfifo(name, 0600), 0);
    ck_assert_int_eq(config_load(name, NULL, 0, NULL, NULL, &config, &err),
                     STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "not a regular file"));
    (void)snprintf(name, sizeof(name), "%s", place("nul"));
    file = fopen(name, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite("a\0b", 1, 3, file), 3);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(config_load(name, NULL, 0, NULL, NULL, &config, &err),
                     STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "not a text file"));
    file = fopen(name, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs("\xEF\xBB\xBFworker = { };", file), 0);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(config_load(name, NULL, 0, NULL, NULL, &config, &err),
                     STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "byte order mark"));
    ck_assert_int_eq(truncate(name, (off_t)CONFIG_FILE_SIZE_MAX + 1), 0);
    ck_assert_int_eq(config_load(name, NULL, 0, NULL, NULL, &config, &err),
                     STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "larger than"));
}
END_TEST

START_TEST(a_file_that_includes_itself_is_refused) {
    refuses("@include \"a.conf\"\n", "a.conf:", "");
}
END_TEST

START_TEST(no_cut_of_a_good_file_does_harm) {
    static const char text[] =
        LEAST "worker = { threads = 0x10; };\n/* x */ # y\nlog = { level = \"in\" "
              "\"fo\"; };\n";
    char cut[sizeof(text)];
    struct config *config;
    struct error err = {0};
    config_free(load(text));
    for (size_t size = 0; size < sizeof(text); size++) {
        memcpy(cut, text, size);
        cut[size] = 0;
        write_file("a.conf", cut);
        if (config_load(path, NULL, 0, NULL, NULL, &config, &err) == STATUS_OK) {
            config_free(config);
        }
    }
}
END_TEST

/* ---- the table ------------------------------------------------------------------ */

START_TEST(every_key_is_described_and_its_default_allowed) {
    size_t count;
    const struct section *const *all = sections(&count);
    for (size_t i = 0; i < count; i++) {
        ck_assert_ptr_eq(section_find(all[i]->name), all[i]);
        ck_assert_ptr_nonnull(all[i]->help);
        for (size_t j = 0; j < all[i]->key_count; j++) {
            const struct key *key = &all[i]->keys[j];
            char allowed[KEY_ALLOWED_MAX];
            int64_t number;
            ck_assert_ptr_eq(key_find(all[i], key->name), key); /* no name twice */
            for (size_t k = 0; k < j; k++) {
                ck_assert_msg(all[i]->keys[k].offset != key->offset,
                              "%s.%s shares its field", all[i]->name, key->name);
            }
            ck_assert_ptr_nonnull(key->help);
            ck_assert(all[i]->kind != SECTION_GROUP || key->fallback != NULL);
            ck_assert_ptr_null(strchr(key->help, '|')); /* would break the page */
            ck_assert_msg((key->type == KEY_CHOICE) == (key->choices != NULL), "%s.%s",
                          all[i]->name, key->name);
            key_allowed(key, allowed, sizeof(allowed));
            ck_assert_uint_lt(strlen(allowed), sizeof(allowed) - 1);
            if (key->type == KEY_INT) {
                ck_assert(text_parse_int(key->fallback, &number));
                ck_assert_int_ge(number, key->min);
                ck_assert_int_le(number, key->max);
            }
        }
    }
}
END_TEST

START_TEST(the_reference_names_every_setting) {
    char *page = NULL;
    size_t size = 0;
    size_t count;
    const struct section *const *all = sections(&count);
    FILE *to = open_memstream(&page, &size);
    ck_assert_ptr_nonnull(to);
    config_reference(to);
    ck_assert_int_eq(fclose(to), 0);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < all[i]->key_count; j++) {
            char wanted[128];
            (void)snprintf(wanted, sizeof(wanted), "\n| `%s` | ", all[i]->keys[j].name);
            ck_assert_msg(strstr(page, wanted) != NULL, "no %s", wanted);
        }
    }
    ck_assert_ptr_nonnull(strstr(page, "`MILLRACE_WORKER_THREADS`"));
    ck_assert_ptr_nonnull(strstr(page, "`MILLRACE_KAFKA_`"));
    free(page);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("config");
    TCase *taken = tcase_create("taken");
    TCase *refused = tcase_create("refused");
    SRunner *runner = srunner_create(suite);
    int failed;
    tcase_add_checked_fixture(taken, NULL, remove_folder);
    tcase_add_checked_fixture(refused, NULL, remove_folder);
    tcase_set_timeout(taken, 60);
    tcase_set_timeout(refused, 60);
    tcase_add_test(taken, the_least_file_gets_every_default);
    tcase_add_test(taken, every_setting_of_the_file_is_taken);
    tcase_add_test(taken, properties_pass_through_under_librdkafkas_names);
    tcase_add_test(taken, flag_wins_over_variable_over_file_over_default);
    tcase_add_test(taken, the_last_flag_wins);
    tcase_add_test(taken, properties_come_from_variables_too);
    tcase_add_test(taken, secrets_are_hidden_in_the_report);
    tcase_add_test(taken, secret_properties_are_known_as_such);
    tcase_add_test(taken, included_files_are_read_and_listed);
    tcase_add_test(taken, a_file_named_without_a_folder_is_relative_to_the_working_one);
    tcase_add_test(taken, the_example_is_fine);
    tcase_add_test(taken, the_example_shows_every_setting_with_its_default);
    tcase_add_test(taken, what_differs_between_two_loads_is_named);
    tcase_add_test(taken, a_secret_that_differs_is_named_and_not_shown);
    tcase_add_test(taken,
                   other_files_and_versions_of_models_are_no_change_but_other_models_are);
    tcase_add_test(taken, names_of_changes_end_with_their_text_and_are_all_counted);
    tcase_add_test(taken, free_accepts_null);
    tcase_add_test(taken, every_key_is_described_and_its_default_allowed);
    tcase_add_test(taken, the_reference_names_every_setting);
    tcase_add_loop_test(refused, each_mistake_is_named_with_its_place, 0,
                        (int)ARRAY_COUNT(refusals));
    tcase_add_test(refused, all_mistakes_are_reported_at_once);
    tcase_add_test(refused, reports_stop_at_a_limit_and_the_rest_is_counted);
    tcase_add_test(refused, bad_variables_are_named);
    tcase_add_loop_test(refused, flags_must_be_settings, 0, 12);
    tcase_add_test(refused, a_secret_is_in_no_message);
    tcase_add_test(refused, odd_files_are_refused_before_libconfig_sees_them);
    tcase_add_test(refused, a_file_that_includes_itself_is_refused);
    tcase_add_test(refused, no_cut_of_a_good_file_does_harm);
    suite_add_tcase(suite, taken);
    suite_add_tcase(suite, refused);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
