/* test_onnx.c - a model file may be damaged or made to harm: it is refused with a reason,
 * whatever is in it.
 *
 * Files are handed over in memory of their exact size, so that the address sanitizer
 * sees a byte read too far. */
#include <stdlib.h>
#include <unistd.h>

#include "engine/model.h"
#include "engine/model_impl.h"
#include "engine/onnx_file.h"
#include "engine/passes/passes.h"
#include "tests/unit/engine/onnx_writer.h"

/* The graph under construction; tests run in processes of their own. */
static struct bytes graph;

static const int64_t matrix[] = {-1, 3};
static const int64_t three[] = {3};
static const float weights[] = {1.0F, 2.0F, 3.0F};

/* y = Relu(x + w), without its output, which tests may add to. */
static void open_ended(void) {
    put_port(&graph, 11, "x", DTYPE_F32, matrix, 2);
    put_weight(&graph, "w", DTYPE_F32, three, 1, weights, sizeof(weights));
    put_node(&graph, "Add", "x", "w", "sum");
    put_node(&graph, "Relu", "sum", NULL, "y");
}

static void whole(void) {
    open_ended();
    put_port(&graph, 12, "y", DTYPE_F32, matrix, 2);
}

/* Opens what `bytes` holds; on success the caller closes *model. */
static enum status open_bytes(const uint8_t *bytes, size_t size, struct model **model,
                              struct error *err) {
    uint8_t *copy = malloc(size > 0 ? size : 1);
    enum status status;
    ck_assert_ptr_nonnull(copy);
    if (size > 0) {
        memcpy(copy, bytes, size);
    }
    err->text[0] = 0;
    status = model_open_bytes(span_of(copy, size), PASSES_ALL, model, err);
    free(copy);
    ck_assert((status == STATUS_OK) == (*model != NULL));
    ck_assert(status == STATUS_OK || err->text[0] != 0);
    return status;
}

static enum status open_graph(int64_t opset, struct model **model, struct error *err) {
    static struct bytes file;
    file.size = 0;
    put_model(&file, opset, &graph);
    return open_bytes(file.data, file.size, model, err);
}

/* What a file that is not right may be answered with. */
static bool is_refusal(enum status status) {
    return status == STATUS_INVALID || status == STATUS_UNSUPPORTED;
}

START_TEST(small_model_is_read) {
    struct model *model = NULL;
    struct model_info info;
    struct error err;
    whole();
    ck_assert_msg(open_graph(13, &model, &err) == STATUS_OK, "%s", err.text);
    model_info(model, &info);
    ck_assert_int_eq(info.opset, 13);
    ck_assert_uint_eq(info.parameter_count, 3);
    ck_assert_int_eq(model_input_count(model), 1);
    const struct model_port *x = model_input(model, 0);
    ck_assert_str_eq(x->name, "x");
    ck_assert_int_eq(x->type.rank, 2);
    ck_assert_int_eq(x->type.dims[0], -1);
    ck_assert_int_eq(x->type.dims[1], 3);
    ck_assert_str_eq(x->symbols[0], "batch");
    ck_assert_int_eq(model_output_find(model, span_text("y")), 0);
    ck_assert_int_eq(model_output_find(model, span_text("x")), -1);
    model_close(model);
}
END_TEST

START_TEST(every_truncation_is_refused) {
    static struct bytes file;
    struct model *model = NULL;
    struct error err;
    whole();
    put_model(&file, 13, &graph);
    for (size_t size = 0; size < file.size; size++) {
        ck_assert_int_eq(open_bytes(file.data, size, &model, &err), STATUS_INVALID);
    }
}
END_TEST

/* Some changes make another model, some no model; none makes trouble. */
START_TEST(every_changed_byte_is_borne) {
    static struct bytes file;
    struct model *model = NULL;
    struct error err;
    whole();
    put_model(&file, 13, &graph);
    for (size_t at = 0; at < file.size; at++) {
        const uint8_t was = file.data[at];
        for (int value = 0; value < 256; value++) {
            file.data[at] = (uint8_t)value;
            const enum status status = open_bytes(file.data, file.size, &model, &err);
            ck_assert_msg(status == STATUS_OK || is_refusal(status), "byte %zu as %d: %s",
                          at, value, err.text);
            model_close(model);
        }
        file.data[at] = was;
    }
}
END_TEST

/* `count` messages, each in the field `fields` names in turn, written from the inside. */
static size_t nest(const unsigned *fields, int cycle, int count, uint8_t *out) {
    static uint8_t reversed[BYTES_MAX];
    size_t size = 0;
    for (int i = count - 1; i >= 0; i--) {
        struct bytes head = {.size = 0};
        put_varint(&head, fields[i % cycle] << 3 | 2);
        put_varint(&head, size);
        for (size_t b = head.size; b-- > 0;) {
            ck_assert_uint_lt(size, sizeof(reversed));
            reversed[size++] = head.data[b];
        }
    }
    for (size_t i = 0; i < size; i++) {
        out[i] = reversed[size - 1 - i];
    }
    return size;
}

START_TEST(nesting_has_a_bottom) {
    /* Model.graph, then graph -> node -> attribute -> graph, or types in types. */
    static const unsigned bodies[] = {7, 1, 5, 6}, types[] = {7, 11, 2, 4, 1};
    static uint8_t inner[BYTES_MAX], file[BYTES_MAX];
    for (int kind = 0; kind < 2; kind++) {
        const unsigned *fields = kind == 0 ? bodies : types;
        const int head = kind == 0 ? 1 : 3, cycle = kind == 0 ? 3 : 2;
        const size_t inner_size = nest(fields + head, cycle, 10000, inner);
        struct model *model = NULL;
        struct error err;
        size_t size = inner_size;
        memcpy(file, inner, inner_size);
        for (int i = head - 1; i >= 0; i--) {
            struct bytes outer = {.size = 0};
            put_varint(&outer, fields[i] << 3 | 2);
            put_varint(&outer, size);
            memmove(file + outer.size, file, size);
            memcpy(file, outer.data, outer.size);
            size += outer.size;
        }
        ck_assert_int_eq(open_bytes(file, size, &model, &err), STATUS_INVALID);
        ck_assert_msg(strstr(err.text, "nested") != NULL, "%s", err.text);
    }
}
END_TEST

#define WIRE(text, bytes) \
    { text, (const uint8_t *)(bytes), sizeof(bytes) - 1 }

START_TEST(broken_encodings_are_refused) {
    static const struct {
        const char *text;
        const uint8_t *data;
        size_t size;
    } files[] = {
        WIRE("no graph", ""),
        WIRE("bad field number", "\x02\x00"),
        WIRE("bad field number", "\xfa\xff\xff\xff\xff\x01\x00"),
        WIRE("past its end", "\x3a\x05\x0a"),
        WIRE("past its end", "\x3a\xff\xff\xff\xff\x07"),
        WIRE("past its end", "\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
        WIRE("past its end", "\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        WIRE("past its end", "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        WIRE("past its end", "\x3b\x3c"), /* a group */
        WIRE("past its end", "\x3e\x00"), /* no wire type */
        WIRE("past its end", "\x39\x00\x00\x00"),
        WIRE("past its end", "\x3a\x03\x0a\x02\x0a"), /* an inner one */
        WIRE("damaged", "\x38\x01"),                  /* graph as a number */
    };
    for (size_t i = 0; i < ARRAY_COUNT(files); i++) {
        struct model *model = NULL;
        struct error err;
        const enum status status = open_bytes(files[i].data, files[i].size, &model, &err);
        ck_assert_int_eq(status, STATUS_INVALID);
        ck_assert_msg(strstr(err.text, files[i].text) != NULL, "%zu: %s", i, err.text);
    }
}
END_TEST

/* ---- graphs that are well written and wrong ------------------------------------ */

static void reads_what_nobody_makes(void) {
    whole();
    put_node(&graph, "Relu", "nowhere", NULL, "z");
}

static void two_nodes_in_a_circle(void) {
    put_node(&graph, "Add", "x", "b", "a");
    put_node(&graph, "Relu", "a", NULL, "b");
    whole();
}

static void node_reads_itself(void) {
    whole();
    put_node(&graph, "Add", "x", "z", "z");
}

static void value_made_twice(void) {
    whole();
    put_node(&graph, "Relu", "x", NULL, "y");
}

static void node_makes_an_input(void) {
    whole();
    put_node(&graph, "Relu", "y", NULL, "x");
}

static void node_makes_one_value_twice(void) {
    struct bytes node = {.size = 0};
    whole();
    put_node_fields(&node, "Relu", "x", NULL, "z");
    put_text(&node, 2, "z");
    put_message(&graph, 1, &node);
}

static void weight_given_twice(void) {
    whole();
    put_weight(&graph, "w", DTYPE_F32, three, 1, weights, sizeof(weights));
}

static void input_given_twice(void) {
    whole();
    put_port(&graph, 11, "x", DTYPE_F32, matrix, 2);
}

static void input_without_name(void) {
    whole();
    put_port(&graph, 11, "", DTYPE_F32, matrix, 2);
}

static void input_without_type(void) {
    struct bytes port = {.size = 0};
    whole();
    put_text(&port, 1, "z");
    put_message(&graph, 11, &port);
}

static void input_of_unknown_dtype(void) {
    whole();
    put_port(&graph, 11, "z", 99, matrix, 2);
}

static void input_of_negative_dtype(void) {
    whole();
    put_port(&graph, 11, "z", -1, matrix, 2);
}

static void input_of_rank_nine(void) {
    const int64_t dims[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    whole();
    put_port(&graph, 11, "z", DTYPE_F32, dims, 9);
}

static void too_many_inputs(void) {
    whole();
    for (int i = 0; i < MODEL_INPUTS_MAX; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "in%d", i);
        put_port(&graph, 11, name, DTYPE_F32, matrix, 2);
    }
}

static void too_many_outputs(void) {
    open_ended();
    for (int i = 0; i <= MODEL_OUTPUTS_MAX; i++) {
        put_port(&graph, 12, "y", DTYPE_F32, matrix, 2);
    }
}

static void output_nobody_makes(void) {
    whole();
    put_port(&graph, 12, "z", DTYPE_F32, matrix, 2);
}

static void output_of_another_dtype(void) {
    open_ended();
    put_port(&graph, 12, "y", DTYPE_I64, matrix, 2);
}

static void node_without_type(void) {
    struct bytes node = {.size = 0};
    whole();
    put_text(&node, 1, "x");
    put_text(&node, 2, "z");
    put_message(&graph, 1, &node);
}

static void node_of_another_domain(void) {
    struct bytes node = {.size = 0};
    whole();
    put_node_fields(&node, "Relu", "x", NULL, "z");
    put_text(&node, 7, "com.example");
    put_message(&graph, 1, &node);
}

static void operators_we_lack(void) {
    whole();
    put_node(&graph, "Frobnicate", "y", NULL, "f");
    put_node(&graph, "Wibble", "f", NULL, "g");
    put_node(&graph, "Frobnicate", "g", NULL, "h");
}

static void node_with_too_many_inputs(void) {
    static struct bytes node;
    whole();
    for (int i = 0; i <= NODE_INPUTS_MAX; i++) {
        put_text(&node, 1, "x");
    }
    put_text(&node, 2, "z");
    put_text(&node, 4, "Concat");
    put_message(&graph, 1, &node);
}

static void node_without_inputs(void) {
    struct bytes node = {.size = 0};
    whole();
    put_text(&node, 2, "z");
    put_text(&node, 4, "Add");
    put_message(&graph, 1, &node);
}

static void node_with_an_empty_input(void) {
    whole();
    put_node(&graph, "Add", "x", "", "z");
}

static void node_whose_only_output_is_unwanted(void) {
    whole();
    put_node(&graph, "Relu", "x", NULL, "");
}

static void node_without_outputs(void) {
    struct bytes node = {.size = 0};
    whole();
    put_text(&node, 1, "x");
    put_text(&node, 4, "Relu");
    put_message(&graph, 1, &node);
}

/* A Relu with `count` attributes, each with a name and an int. */
static void relu_with_attributes(int count) {
    static struct bytes node;
    node.size = 0;
    whole();
    put_node_fields(&node, "Relu", "x", NULL, "z");
    for (int i = 0; i < count; i++) {
        struct bytes attr = {.size = 0};
        put_text(&attr, 1, "surprise");
        put_int(&attr, 3, 1);
        put_int(&attr, 20, 2);
        put_message(&node, 5, &attr);
    }
    put_message(&graph, 1, &node);
}

static void unknown_attribute(void) {
    relu_with_attributes(1);
}

static void too_many_attributes(void) {
    relu_with_attributes(NODE_ATTRS_MAX + 1);
}

static void attribute_of_another_kind(void) {
    struct bytes node = {.size = 0}, attr = {.size = 0};
    whole();
    put_node_fields(&node, "Softmax", "x", NULL, "z");
    put_text(&attr, 1, "axis");
    put_text(&attr, 4, "last");
    put_int(&attr, 20, 3);
    put_message(&node, 5, &attr);
    put_message(&graph, 1, &node);
}

static void add_of_two_types(void) {
    const int64_t number = 1;
    whole();
    put_weight(&graph, "i", DTYPE_I64, NULL, 0, &number, sizeof(number));
    put_node(&graph, "Add", "x", "i", "z");
}

static void put_bad_weight(const int64_t *dims, int rank, size_t size) {
    static const uint8_t zeros[256] = {0};
    whole();
    put_weight(&graph, "v", DTYPE_F32, dims, rank, zeros, size);
}

static void weight_too_short(void) {
    put_bad_weight(three, 1, 11);
}

static void weight_too_long(void) {
    put_bad_weight(three, 1, 16);
}

static void weight_of_negative_size(void) {
    put_bad_weight((const int64_t[]){-3}, 1, 12);
}

static void weight_beyond_memory(void) {
    put_bad_weight((const int64_t[]){INT64_MAX, 4}, 2, 12);
}

static void weight_whose_bytes_wrap_around(void) {
    put_bad_weight((const int64_t[]){(int64_t)1 << 62}, 1, 0);
}

static void weight_of_rank_nine(void) {
    put_bad_weight((const int64_t[]){1, 1, 1, 1, 1, 1, 1, 1, 1}, 9, 4);
}

static void weight_of_many_gigabytes(void) {
    put_bad_weight((const int64_t[]){(int64_t)1 << 40}, 1, 12);
}

static void weight_with_too_few_values(void) {
    struct bytes tensor = {.size = 0};
    const float two[] = {1.0F, 2.0F};
    whole();
    put_tensor_head(&tensor, "v", DTYPE_F32, three, 1);
    put_span(&tensor, 4, two, sizeof(two)); /* packed float_data */
    put_message(&graph, 5, &tensor);
}

static void weight_in_another_file(void) {
    struct bytes tensor = {.size = 0}, entry = {.size = 0};
    whole();
    put_tensor_head(&tensor, "v", DTYPE_F32, three, 1);
    put_text(&entry, 1, "location");
    put_text(&entry, 2, "../../etc/passwd");
    put_message(&tensor, 13, &entry);
    put_int(&tensor, 14, 1);
    put_message(&graph, 5, &tensor);
}

static void weight_of_a_complex_type(void) {
    whole();
    put_weight(&graph, "v", 14, three, 1, weights, sizeof(weights));
}

static void sparse_weight(void) {
    const struct bytes empty = {.size = 0};
    whole();
    put_message(&graph, 15, &empty);
}

static const struct {
    void (*build)(void);
    enum status status;
    const char *text; /* the message has it */
} faults[] = {
    {reads_what_nobody_makes, STATUS_INVALID, "'nowhere'"},
    {two_nodes_in_a_circle, STATUS_INVALID, "'b', which nothing before it makes"},
    {node_reads_itself, STATUS_INVALID, "'z', which nothing before it makes"},
    {value_made_twice, STATUS_INVALID, "'y' is defined twice"},
    {node_makes_an_input, STATUS_INVALID, "'x' is defined twice"},
    {node_makes_one_value_twice, STATUS_INVALID, "'z' is defined twice"},
    {weight_given_twice, STATUS_INVALID, "'w' is defined twice"},
    {input_given_twice, STATUS_INVALID, "'x' is defined twice"},
    {input_without_name, STATUS_INVALID, "no name"},
    {input_without_type, STATUS_UNSUPPORTED, "'z' is no tensor"},
    {input_of_unknown_dtype, STATUS_UNSUPPORTED, "99"},
    {input_of_negative_dtype, STATUS_UNSUPPORTED, "-1"},
    {input_of_rank_nine, STATUS_UNSUPPORTED, "rank 9"},
    {too_many_inputs, STATUS_UNSUPPORTED, "64 inputs"},
    {too_many_outputs, STATUS_UNSUPPORTED, "65 outputs"},
    {open_ended, STATUS_UNSUPPORTED, "0 outputs"},
    {output_nobody_makes, STATUS_INVALID, "'z' is made by no node"},
    {output_of_another_dtype, STATUS_INVALID, "declared int64"},
    {node_without_type, STATUS_UNSUPPORTED, "not supported"},
    {node_of_another_domain, STATUS_UNSUPPORTED, "Relu (1)"},
    {operators_we_lack, STATUS_UNSUPPORTED, "Frobnicate (2), Wibble (1)"},
    {node_with_too_many_inputs, STATUS_UNSUPPORTED, "more than 4096"},
    {node_without_inputs, STATUS_INVALID, "too few inputs"},
    {node_with_an_empty_input, STATUS_INVALID, "empty"},
    {node_whose_only_output_is_unwanted, STATUS_INVALID, "makes no output"},
    {node_without_outputs, STATUS_INVALID, "makes no output"},
    {unknown_attribute, STATUS_UNSUPPORTED, "surprise"},
    {too_many_attributes, STATUS_UNSUPPORTED, "65 attributes"},
    {attribute_of_another_kind, STATUS_INVALID, "axis is a string, not an int"},
    {add_of_two_types, STATUS_UNSUPPORTED, "int64"},
    {weight_too_short, STATUS_INVALID, "11 bytes of data where its shape needs 12"},
    {weight_too_long, STATUS_INVALID, "16 bytes of data where its shape needs 12"},
    {weight_of_negative_size, STATUS_INVALID, "bad dimensions"},
    {weight_beyond_memory, STATUS_INVALID, "bad dimensions"},
    {weight_whose_bytes_wrap_around, STATUS_INVALID, "bad dimensions"},
    {weight_of_rank_nine, STATUS_UNSUPPORTED, "rank 9"},
    {weight_of_many_gigabytes, STATUS_INVALID, "4398046511104"},
    {weight_with_too_few_values, STATUS_INVALID, "2 values where its shape needs 3"},
    {weight_in_another_file, STATUS_UNSUPPORTED, "in another file"},
    {weight_of_a_complex_type, STATUS_UNSUPPORTED, "number 14"},
    {sparse_weight, STATUS_UNSUPPORTED, "sparse"},
};

START_TEST(wrong_graphs_are_refused_with_the_reason) {
    for (size_t i = 0; i < ARRAY_COUNT(faults); i++) {
        struct model *model = NULL;
        struct error err;
        graph.size = 0;
        faults[i].build();
        const enum status status = open_graph(13, &model, &err);
        ck_assert_msg(status == faults[i].status, "fault %zu: %s: %s", i,
                      status_name(status), err.text);
        ck_assert_msg(strstr(err.text, faults[i].text) != NULL, "fault %zu: %s", i,
                      err.text);
    }
}
END_TEST

START_TEST(opsets_we_do_not_know_are_refused) {
    static const int64_t opsets[] = {0, -1, 1000, INT64_MAX, INT64_MIN};
    whole();
    for (size_t i = 0; i < ARRAY_COUNT(opsets); i++) {
        struct model *model = NULL;
        struct error err;
        ck_assert_int_eq(open_graph(opsets[i], &model, &err), STATUS_UNSUPPORTED);
        ck_assert(strstr(err.text, "opset") != NULL);
    }
}
END_TEST

/* Older files list their weights among the inputs. */
START_TEST(weight_listed_as_input_is_no_input) {
    struct model *model = NULL;
    struct error err;
    whole();
    put_port(&graph, 11, "w", DTYPE_F32, three, 1);
    ck_assert_int_eq(open_graph(13, &model, &err), STATUS_OK);
    ck_assert_int_eq(model_input_count(model), 1);
    model_close(model);
}
END_TEST

/* ---- files --------------------------------------------------------------------- */

START_TEST(paths_that_hold_no_model_are_refused) {
    char path[] = "/tmp/millrace-test-XXXXXX";
    const int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    const char *const paths[] = {"/nonexistent/model.onnx", "/", "/dev/zero", path};
    for (size_t i = 0; i < ARRAY_COUNT(paths); i++) {
        struct model *model = NULL;
        struct error err;
        ck_assert_int_eq(model_open(paths[i], &model, &err), STATUS_INVALID);
        ck_assert_ptr_null(model);
        ck_assert_msg(strncmp(err.text, paths[i], strlen(paths[i])) == 0, "%s", err.text);
    }
    (void)close(fd);
    (void)unlink(path);
}
END_TEST

START_TEST(file_beyond_the_limit_is_refused) {
    char path[] = "/tmp/millrace-test-XXXXXX";
    const int fd = mkstemp(path);
    struct model *model = NULL;
    struct error err;
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, (off_t)MODEL_FILE_SIZE_MAX + 1), 0); /* a hole */
    ck_assert_int_eq(model_open(path, &model, &err), STATUS_INVALID);
    ck_assert_msg(strstr(err.text, "allowed") != NULL, "%s", err.text);
    (void)close(fd);
    (void)unlink(path);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        small_model_is_read,
        every_truncation_is_refused,
        every_changed_byte_is_borne,
        nesting_has_a_bottom,
        broken_encodings_are_refused,
        wrong_graphs_are_refused_with_the_reason,
        opsets_we_do_not_know_are_refused,
        weight_listed_as_input_is_no_input,
        paths_that_hold_no_model_are_refused,
        file_beyond_the_limit_is_refused,
    };
    return suite_run("engine: onnx", tests, ARRAY_COUNT(tests));
}
