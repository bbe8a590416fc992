/* test_external.c - weights in files beside the model: read below its folder alone. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "onnx_writer.h"
#include "session_fixture.h"

#include "tests/unit/suite.h"

enum { SIDE = 8, COUNT = SIDE * SIDE };

static struct bytes graph, file;
static float weights[2 * COUNT]; /* what the file of data holds */
static char folder[64];          /* FOLDER/models/model.onnx, FOLDER/outside */

/* The path of `name` in the folder; two of them at a time. */
static const char *path_of(const char *name) {
    static char paths[2][128];
    static int next;
    next = !next;
    ck_assert_int_lt(snprintf(paths[next], sizeof(paths[next]), "%s/%s", folder, name),
                     (int)sizeof(paths[next]));
    return paths[next];
}

static void write_bytes(const char *name, const void *data, size_t size) {
    int to = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(to, 0);
    ck_assert_int_eq(write(to, data, size), (ssize_t)size);
    ck_assert_int_eq(close(to), 0);
}

static void begin_graph(void) {
    static const int64_t rows[] = {-1, SIDE};
    graph.size = file.size = 0;
    put_port(&graph, 11, "x", DTYPE_F32, rows, 2);
    put_port(&graph, 12, "y", DTYPE_F32, rows, 2);
}

static void set_up(void) {
    begin_graph();
    for (int i = 0; i < 2 * COUNT; i++) {
        weights[i] = (float)(i % 23 - 11) / 8;
    }
    (void)snprintf(folder, sizeof(folder), "%s", "/tmp/test_external.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(mkdir(path_of("models"), 0700), 0);
    ck_assert_int_eq(mkdir(path_of("models/below"), 0700), 0);
    write_bytes("models/data", weights, sizeof(weights));
    write_bytes("models/below/data", weights, sizeof(weights));
    write_bytes("outside", weights, sizeof(weights));
    ck_assert_int_eq(symlink("data", path_of("models/link")), 0);
    ck_assert_int_eq(symlink("../outside", path_of("models/link_out")), 0);
    ck_assert_int_eq(symlink(path_of("outside"), path_of("models/link_far")), 0);
    ck_assert_int_eq(symlink("..", path_of("models/link_up")), 0);
    ck_assert_int_eq(mkfifo(path_of("models/fifo"), 0600), 0);
}

static void tear_down(void) {
    static const char *const made[] = {
        "models/model.onnx", "models/data",     "models/below/data",
        "models/link",       "models/link_out", "models/link_far",
        "models/link_up",    "models/fifo",     "outside"};
    release_all();
    for (size_t i = 0; i < ARRAY_COUNT(made); i++) {
        (void)unlink(path_of(made[i])); /* model.onnx is not always there */
    }
    ck_assert_int_eq(rmdir(path_of("models/below")), 0);
    ck_assert_int_eq(rmdir(path_of("models")), 0);
    ck_assert_int_eq(rmdir(folder), 0);
}

static void put_entry(struct bytes *tensor, const char *key, const char *value) {
    struct bytes entry = {.size = 0};
    if (value != NULL) {
        put_text(&entry, 1, key);
        put_text(&entry, 2, value);
        put_message(tensor, 13, &entry);
    }
}

/* The initialiser `name` of `dims`; entries that are NULL are left out. */
static void put_external(const char *name, int64_t dtype, const int64_t *dims,
                         const char *location, const char *offset, const char *length) {
    struct bytes tensor = {.size = 0};
    put_tensor_head(&tensor, name, dtype, dims, 2);
    put_entry(&tensor, "location", location);
    put_entry(&tensor, "offset", offset);
    put_entry(&tensor, "length", length);
    put_entry(&tensor, "checksum", "of no interest");
    put_int(&tensor, 14, 1); /* EXTERNAL */
    put_message(&graph, 5, &tensor);
}

static const int64_t square[] = {SIDE, SIDE};

static enum status open_written(bool allowed, struct model **model, struct error *err) {
    const struct model_options options = {.external_data = allowed};
    enum status status;
    put_model(&file, 17, &graph);
    write_bytes("models/model.onnx", file.data, file.size);
    status = model_open_with(path_of("models/model.onnx"), &options, model, err);
    if (status == STATUS_OK) {
        opened_models[model_count++] = *model;
    }
    return status;
}

/* y = x (sum of the matrices at `places` of the data). */
static void check_product(const struct model *model, const size_t *places, int count) {
    float row[SIDE];
    const struct tensor x = {
        .dtype = DTYPE_F32, .rank = 2, .dims = {1, SIDE}, .data = row};
    struct session *session = open_session(model);
    for (int i = 0; i < SIDE; i++) {
        row[i] = (float)(i - 3);
    }
    run_rows(session, &x);
    for (int j = 0; j < SIDE; j++) {
        float sum = 0;
        for (int i = 0; i < SIDE; i++) {
            for (int p = 0; p < count; p++) {
                sum += row[i] * weights[places[p] + (size_t)(i * SIDE + j)];
            }
        }
        ck_assert_float_eq_tol(((const float *)session_output(session, 0)->data)[j], sum,
                               1e-4F);
    }
}

START_TEST(data_in_the_folder_and_below_is_read) {
    static const struct {
        const char *location, *offset, *length;
        size_t place;
    } cases[] = {
        {"data", "256", "256", COUNT}, {"data", NULL, NULL, 0},
        {"below/data", "4", "256", 1}, {"./below/../data", "256", NULL, COUNT},
        {"link", "0", "256", 0},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct model *model = NULL;
        struct error err;
        begin_graph();
        put_external("w", DTYPE_F32, square, cases[i].location, cases[i].offset,
                     cases[i].length);
        put_node(&graph, "MatMul", "x", "w", "y");
        ck_assert_msg(open_written(true, &model, &err) == STATUS_OK, "%s", err.text);
        check_product(model, &cases[i].place, 1);
    }
}
END_TEST

START_TEST(tensors_may_share_bytes) {
    static const size_t places[] = {0, SIDE, COUNT};
    struct model *model;
    struct error err;
    put_external("a", DTYPE_F32, square, "data", "0", "256");
    put_external("b", DTYPE_F32, square, "data", "32", "256");
    put_external("c", DTYPE_F32, square, "below/data", "256", "256");
    put_node(&graph, "Add", "a", "b", "ab");
    put_node(&graph, "Add", "ab", "c", "w");
    put_node(&graph, "MatMul", "x", "w", "y");
    ck_assert_msg(open_written(true, &model, &err) == STATUS_OK, "%s", err.text);
    check_product(model, places, 3);
}
END_TEST

START_TEST(booleans_are_made_proper) {
    static const int64_t two[] = {2, 4};
    static const uint8_t wild[] = {0, 1, 2, 255, 0, 7, 0, 128};
    struct model *model;
    struct error err;
    write_bytes("models/below/data", wild, sizeof(wild));
    put_external("w", DTYPE_BOOL, two, "below/data", NULL, NULL);
    put_port(&graph, 12, "z", DTYPE_BOOL, two, 2);
    put_node(&graph, "Identity", "x", NULL, "y");
    put_node(&graph, "Identity", "w", NULL, "z");
    ck_assert_msg(open_written(true, &model, &err) == STATUS_OK, "%s", err.text);
    for (int v = 0; v < model->graph.value_count; v++) {
        const struct tensor *constant = model->graph.values[v].constant;
        if (constant != NULL && constant->dtype == DTYPE_BOOL && constant->data != NULL) {
            for (size_t i = 0; i < sizeof(wild); i++) {
                ck_assert_int_eq(((const uint8_t *)constant->data)[i], wild[i] != 0);
            }
        }
    }
}
END_TEST

START_TEST(hostile_places_are_refused) {
    static const struct {
        const char *location, *offset, *length, *words;
    } cases[] = {
        {"../outside", "0", "256", "leads out of the model's folder"},
        {"below/../../outside", "0", "256", "leads out of the model's folder"},
        {"/etc/passwd", "0", "256", "leads out of the model's folder"},
        {"link_out", "0", "256", "leads out of the model's folder"},
        {"link_far", "0", "256", "leads out of the model's folder"},
        {"link_up/models/data", "0", "256", "leads out of the model's folder"},
        {"/proc/self/fd/0", "0", "256", "leads out of the model's folder"},
        {"fifo", "0", "256", "not a regular file"},
        {"below", "0", "256", "not a regular file"},
        {".", "0", "256", "not a regular file"},
        {"nothing", "0", "256", "No such file"},
        {"data/data", "0", "256", "Not a directory"},
        {"", "0", "256", "location ''"},
        {NULL, "0", "256", "location ''"},
        {"data", "257", "256", "runs past that file's end at 512"},
        {"data", "9223372036854775800", "256", "offset '9223372036854775800'"},
        {"data", "18446744073709551615", "256", "offset '18446744073709551615'"},
        {"data", "1000000000000000000", "256", "runs past that file's end at 512"},
        {"data", "-1", "256", "offset '-1'"},
        {"data", "0x10", "256", "offset '0x10'"},
        {"data", "", "256", "offset ''"},
        {"data", "0", "18446744073709551871", "length '18446744073709551871'"},
        {"data", "0", "255", "255 bytes where its shape needs 256"},
        {"data", "0", "512", "512 bytes where its shape needs 256"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct model *model;
        struct error err;
        begin_graph();
        put_external("w", DTYPE_F32, square, cases[i].location, cases[i].offset,
                     cases[i].length);
        put_node(&graph, "MatMul", "x", "w", "y");
        ck_assert_int_eq(open_written(true, &model, &err), STATUS_INVALID);
        ck_assert_ptr_null(model);
        ck_assert_msg(strstr(err.text, cases[i].words) != NULL, "%s", err.text);
        ck_assert_msg(strstr(err.text, "tensor 'w'") != NULL, "%s", err.text);
    }
}
END_TEST

/* The dims of the initialiser are larger than any file, and than memory. */
START_TEST(no_memory_is_asked_for_what_no_file_has) {
    static const int64_t huge[] = {1 << 20, 1 << 21};
    struct model *model;
    struct error err;
    put_external("w", DTYPE_F32, huge, "data", NULL, NULL);
    put_node(&graph, "MatMul", "x", "w", "y");
    ck_assert_int_eq(open_written(true, &model, &err), STATUS_INVALID);
    ck_assert_msg(strstr(err.text, "runs past that file's end") != NULL, "%s", err.text);
}
END_TEST

START_TEST(external_data_is_refused_unless_allowed) {
    struct model *model;
    struct error err;
    put_external("w", DTYPE_F32, square, "data", "0", "256");
    put_node(&graph, "MatMul", "x", "w", "y");
    ck_assert_int_eq(open_written(false, &model, &err), STATUS_UNSUPPORTED);
    ck_assert_msg(strstr(err.text, "external_data = \"allow\"") != NULL, "%s", err.text);
}
END_TEST

/* As a kernel before 5.6, or a container that forbids the call. */
START_TEST(a_kernel_without_openat2_is_told) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = ARRAY_COUNT(code), .filter = code};
    struct model *model;
    struct error err;
    put_external("w", DTYPE_F32, square, "data", "0", "256");
    put_node(&graph, "MatMul", "x", "w", "y");
    ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
    ck_assert_int_eq(open_written(true, &model, &err), STATUS_INVALID);
    ck_assert_msg(strstr(err.text, "openat2") != NULL, "%s", err.text);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        data_in_the_folder_and_below_is_read,
        tensors_may_share_bytes,
        booleans_are_made_proper,
        hostile_places_are_refused,
        no_memory_is_asked_for_what_no_file_has,
        external_data_is_refused_unless_allowed,
        a_kernel_without_openat2_is_told,
    };
    return suite_run_with("engine: external data", tests, ARRAY_COUNT(tests), set_up,
                          tear_down);
}
