/* model_test.c - millrace model test: ONNX's backend-test folders.
 *
 * Each folder runs in a child process with a deadline, so that a crash or an endless
 * loop is that folder's failure alone.  The child writes why it failed into a pipe; the
 * parent keeps several children going and reports them as they end.
 *
 *     parent                       child
 *     start: pipe, fork   ------>  check_folder: load, run, compare
 *     poll the pipes      <------  the reason, or nothing; exit code
 *     reap: one line if it failed
 *
 * The parent must not touch BLAS, whose threads do not survive a fork. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "engine/onnx_value.h"
#include "engine/session.h"
#include "tools/cli.h"
#include "tools/commands.h"
#include "tools/element.h"
#include "tools/file.h"
#include "tools/model_batching.h"
#include "tools/model_options.h"
#include "tools/progress.h"

#define JOBS_MAX 64
#define DATA_SETS_MAX 256
#define TENSOR_FILE_SIZE_MAX ((size_t)2 << 30)
#define POLL_MS 100

struct options {
    double rtol, absolute, timeout_s;
    double batching; /* negative: not asked for */
    int64_t jobs;
    struct model_flags model;
};

static const struct cli_flag flags[] = {
    {.name = "--rtol",
     .argument = "R",
     .help = "tolerance relative to the expected value",
     .type = CLI_REAL,
     .offset = offsetof(struct options, rtol),
     .initial = "1e-3",
     .min = 0,
     .max = 1},
    {.name = "--atol",
     .argument = "A",
     .help = "absolute tolerance, added to it",
     .type = CLI_REAL,
     .offset = offsetof(struct options, absolute),
     .initial = "1e-5",
     .min = 0,
     .max = 1e9},
    {.name = "--batching",
     .argument = "R",
     .help = "rows alone and in batches must agree, but for R times the largest element",
     .type = CLI_REAL,
     .offset = offsetof(struct options, batching),
     .initial = "-1",
     .min = -1,
     .max = 1},
    {.name = "--timeout",
     .argument = "S",
     .help = "seconds after which a folder has failed",
     .type = CLI_REAL,
     .offset = offsetof(struct options, timeout_s),
     .initial = "60",
     .min = 0.1,
     .max = 86400},
    {.name = "--jobs",
     .argument = "N",
     .help = "folders tested side by side; 0: one for each processor",
     .type = CLI_INT,
     .offset = offsetof(struct options, jobs),
     .initial = "0",
     .min = 0,
     .max = JOBS_MAX},
    MODEL_FLAGS(struct options, model),
};

static int run(int argc, char **argv);

const struct cli_command model_test_cli = {
    .name = "model test",
    .operands = "DIR...",
    .summary = "Runs ONNX backend-test folders and compares what comes out.",
    .details =
        "A DIR holds model.onnx and test_data_set_*/input_K.pb, output_K.pb. Types and\n"
        "shapes must be equal, elements within A + R * |expected|; NaN equals NaN.\n"
        "With --batching every row is run again alone, and in batches of other sizes "
        "and\n"
        "other neighbours; 0 asks for the same bits.\n"
        "Prints a line for each DIR that fails, and 'N passed, N failed' last.",
    .endings = {{EXIT_FINE, "all passed"}, {EXIT_FAILED, "a DIR failed"}},
    .operands_min = 1,
    .operands_max = INT_MAX,
    .flags = flags,
    .flag_count = ARRAY_COUNT(flags),
    .run = run,
};

/* ---- the child: one folder ------------------------------------------------------ */

static enum status path_join(char *path, const char *dir, const char *name,
                             struct error *err) {
    int used = snprintf(path, PATH_MAX, "%s/%s", dir, name);
    if (used < 0 || used >= PATH_MAX) {
        return error_set(err, STATUS_INVALID, "%s/%s: the name is too long", dir, name);
    }
    return STATUS_OK;
}

typedef const struct model_port *(*port_fn)(const struct model *model, int index);

/* Reads DIR/PREFIX_K.pb for K = 0, 1, ... until one is not there; the ports of the model
 * tell what kind of value each is. */
static enum status read_values(const char *dir, const char *prefix,
                               const struct model *model, port_fn port,
                               struct arena *arena, struct tensor *tensors, int room,
                               int *count, struct error *err) {
    for (*count = 0;; (*count)++) {
        char name[64], path[PATH_MAX];
        struct file_bytes bytes = {0};
        (void)snprintf(name, sizeof(name), "%s_%d.pb", prefix, *count); /* always fits */
        enum status status = path_join(path, dir, name, err);
        if (status != STATUS_OK) {
            return status;
        }
        if (access(path, F_OK) != 0) {
            return STATUS_OK;
        }
        if (*count == room) {
            return error_set(err, STATUS_INVALID, "more than %d files like %s", room,
                             name);
        }
        status = file_read(path, TENSOR_FILE_SIZE_MAX, &bytes, err);
        if (status == STATUS_OK) {
            status = onnx_value_read(bytes.span, port(model, *count), arena,
                                     &tensors[*count], err);
            file_bytes_release(&bytes);
        }
        if (status != STATUS_OK) {
            return error_prefix(err, "%s", name);
        }
    }
}

/* Lists element by element, tensors as element_compare has it. */
static enum status compare(const struct tensor *got, const struct tensor *wanted,
                           const struct options *options, struct error *err) {
    if (got->dtype != wanted->dtype || got->dtype < DTYPE_SEQUENCE) {
        return element_compare(got, wanted, options->rtol, options->absolute, err);
    }
    if (got->dims[0] != wanted->dims[0]) {
        return error_set(err, STATUS_INVALID, "%lld elements, not %lld",
                         (long long)got->dims[0], (long long)wanted->dims[0]);
    }
    for (int64_t i = 0; i < got->dims[0]; i++) {
        enum status status =
            compare((const struct tensor *)got->data + i,
                    (const struct tensor *)wanted->data + i, options, err);
        if (status != STATUS_OK) {
            return error_prefix(err, "element %lld", (long long)i);
        }
    }
    return STATUS_OK;
}

static enum status compare_outputs(const struct model *model,
                                   const struct session *session,
                                   const struct tensor *wanted, int wanted_count,
                                   const struct options *options, struct error *err) {
    int count = model_output_count(model);
    if (count != wanted_count) {
        return error_set(err, STATUS_INVALID, "the model has %d outputs, the data %d",
                         count, wanted_count);
    }
    for (int i = 0; i < count; i++) {
        enum status status =
            compare(session_output(session, i), &wanted[i], options, err);
        if (status != STATUS_OK) {
            return error_prefix(err, "output %d '%s'", i, model_output(model, i)->name);
        }
    }
    return STATUS_OK;
}

static enum status check_data_set(const struct model *model, struct session *session,
                                  const char *dir, const struct options *options,
                                  struct error *err) {
    struct tensor inputs[MODEL_INPUTS_MAX] = {{.rank = 0}};
    struct tensor wanted[MODEL_OUTPUTS_MAX] = {{.rank = 0}};
    int input_count = 0, wanted_count = 0;
    struct arena arena;
    arena_init(&arena, 0);
    enum status status = read_values(dir, "input", model, model_input, &arena, inputs,
                                     model_input_count(model), &input_count, err);
    if (status == STATUS_OK) {
        status = read_values(dir, "output", model, model_output, &arena, wanted,
                             model_output_count(model), &wanted_count, err);
    }
    if (status == STATUS_OK && input_count != model_input_count(model)) {
        status = error_set(err, STATUS_INVALID, "the model has %d inputs, the data %d",
                           model_input_count(model), input_count);
    }
    if (status == STATUS_OK) {
        status = session_prepare(session, inputs, err);
    }
    if (status == STATUS_OK) {
        status = session_run(session, inputs, err);
    }
    if (status == STATUS_OK) {
        status = compare_outputs(model, session, wanted, wanted_count, options, err);
    }
    if (status == STATUS_OK && options->batching >= 0.0) {
        status = batching_check(model, session, inputs, options->batching, err);
    }
    arena_release(&arena);
    return status;
}

static enum status check_data_sets(const struct model *model, struct session *session,
                                   const char *dir, const struct options *options,
                                   struct error *err) {
    int checked = 0;
    for (int i = 0; i < DATA_SETS_MAX; i++) {
        char name[64], path[PATH_MAX];
        (void)snprintf(name, sizeof(name), "test_data_set_%d", i); /* always fits */
        enum status status = path_join(path, dir, name, err);
        if (status == STATUS_OK && access(path, F_OK) != 0) {
            continue;
        }
        if (status == STATUS_OK) {
            status = check_data_set(model, session, path, options, err);
            checked++;
        }
        if (status != STATUS_OK) {
            return error_prefix(err, "%s", name);
        }
    }
    if (checked == 0) {
        return error_set(err, STATUS_INVALID, "there is no test_data_set_0");
    }
    return STATUS_OK;
}

static enum status check_folder(const char *dir, const struct options *options,
                                struct error *err) {
    char path[PATH_MAX];
    const struct model_options how = model_options_of(&options->model);
    struct model *model = NULL;
    struct session *session = NULL;
    enum status status = path_join(path, dir, "model.onnx", err);
    if (status == STATUS_OK) {
        status = model_open_with(path, &how, &model, err);
    }
    if (status == STATUS_OK) {
        status = session_create(model, 0, &session, err);
    }
    if (status == STATUS_OK) {
        status = check_data_sets(model, session, dir, options, err);
    }
    if (session != NULL) {
        session_destroy(session);
    }
    if (model != NULL) {
        model_close(model);
    }
    return status;
}

/* ---- the parent: children and their reports ------------------------------------- */

struct child {
    pid_t pid; /* 0: the place is free */
    int pipe;
    const char *dir;
    int64_t deadline_us;
    bool timed_out;
    char reason[ERROR_TEXT_MAX];
    size_t reason_size;
};

struct suite {
    const struct options *options;
    char **dirs;
    int dir_count, next; /* the folder to start next */
    struct child children[JOBS_MAX];
    int job_count, running;
    int passed, failed;
};

static NORETURN void child_main(const char *dir, const struct options *options, int fd) {
    struct error err = {.status = STATUS_OK};
    int code = EXIT_FINE;
    if (check_folder(dir, options, &err) != STATUS_OK) {
        size_t size = strlen(err.text);
        code = write(fd, err.text, size) == (ssize_t)size ? EXIT_FAILED : EXIT_WRONG_USE;
    }
    _exit(code); /* what the parent has buffered is not ours to write */
}

static void report(struct suite *suite, const char *dir, const char *reason) {
    if (reason == NULL) {
        suite->passed++;
        return;
    }
    suite->failed++;
    printf("FAILED %s: ", dir);
    for (; *reason != 0; reason++) {
        putchar(*reason == '\n' ? ' ' : *reason); /* one line a folder */
    }
    putchar('\n');
}

static struct child *free_child(struct suite *suite) {
    for (int i = 0; i < suite->job_count; i++) {
        if (suite->children[i].pid == 0) {
            return &suite->children[i];
        }
    }
    return NULL;
}

static void start(struct suite *suite, struct child *child) {
    int ends[2];
    const char *dir = suite->dirs[suite->next++];
    fflush(NULL);
    if (pipe(ends) != 0) {
        report(suite, dir, strerror(errno));
        return;
    }
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        child_main(dir, suite->options, ends[1]);
    }
    close(ends[1]);
    if (pid < 0) {
        report(suite, dir, strerror(errno));
        close(ends[0]);
        return;
    }
    *child = (struct child){.pid = pid,
                            .pipe = ends[0],
                            .dir = dir,
                            .deadline_us = clock_now_us() +
                                           (int64_t)(suite->options->timeout_s * 1e6)};
    suite->running++;
}

/* The child has closed its end of the pipe: it has ended, or is about to. */
static void reap(struct suite *suite, struct child *child) {
    int code = 0;
    close(child->pipe);
    while (waitpid(child->pid, &code, 0) < 0 && errno == EINTR) {
    }
    child->reason[child->reason_size] = 0;
    if (child->timed_out) {
        (void)snprintf(child->reason, sizeof(child->reason), "no end after %.3g s",
                       suite->options->timeout_s);
    } else if (WIFSIGNALED(code)) {
        (void)snprintf(child->reason, sizeof(child->reason), "crashed: %s (signal %d)",
                       strsignal(WTERMSIG(code)), WTERMSIG(code));
    } else if (WEXITSTATUS(code) != EXIT_FINE && child->reason_size == 0) {
        (void)snprintf(child->reason, sizeof(child->reason), "ended with exit code %d",
                       WEXITSTATUS(code));
    }
    report(suite, child->dir, child->reason[0] != 0 ? child->reason : NULL);
    child->pid = 0;
    suite->running--;
}

static void read_reason(struct suite *suite, struct child *child) {
    size_t room = sizeof(child->reason) - 1 - child->reason_size;
    char spill[256];
    ssize_t size = room > 0 ? read(child->pipe, child->reason + child->reason_size, room)
                            : read(child->pipe, spill, sizeof(spill));
    if (size > 0) {
        child->reason_size += room > 0 ? (size_t)size : 0;
    } else if (size == 0 || errno != EINTR) {
        reap(suite, child);
    }
}

/* Waits a moment for any child to say something, and ends those past their time. */
static void serve(struct suite *suite) {
    struct pollfd polls[JOBS_MAX];
    for (int i = 0; i < suite->job_count; i++) {
        bool used = suite->children[i].pid != 0;
        polls[i] =
            (struct pollfd){.fd = used ? suite->children[i].pipe : -1, .events = POLLIN};
    }
    int ready = poll(polls, (nfds_t)suite->job_count, POLL_MS);
    int64_t now_us = clock_now_us();
    for (int i = 0; i < suite->job_count; i++) {
        struct child *child = &suite->children[i];
        if (child->pid == 0) {
            continue;
        }
        if (ready > 0 && polls[i].revents != 0) {
            read_reason(suite, child);
        } else if (now_us > child->deadline_us && !child->timed_out) {
            child->timed_out = true;
            kill(child->pid, SIGKILL);
        }
    }
}

static void run_suite(struct suite *suite) {
    struct progress progress;
    progress_start(&progress, "model test", "folders", suite->dir_count);
    while (suite->next < suite->dir_count || suite->running > 0) {
        struct child *child = free_child(suite);
        if (child != NULL && suite->next < suite->dir_count) {
            start(suite, child);
        } else {
            serve(suite);
        }
        progress_update(&progress, suite->passed + suite->failed);
    }
    progress_end(&progress);
}

static int run(int argc, char **argv) {
    struct options options = {0};
    int dir_count = 0;
    enum cli_outcome outcome =
        cli_parse(&model_test_cli, argc, argv, &options, &dir_count);
    if (outcome != CLI_RUN) {
        return cli_exit(outcome);
    }
    int jobs = options.jobs > 0 ? (int)options.jobs : cpu_count();
    struct suite suite = {.options = &options,
                          .dirs = argv + 1,
                          .dir_count = dir_count,
                          .job_count = jobs < JOBS_MAX ? jobs : JOBS_MAX};
    run_suite(&suite);
    printf("%d passed, %d failed\n", suite.passed, suite.failed);
    return suite.failed == 0 ? EXIT_FINE : EXIT_FAILED;
}
