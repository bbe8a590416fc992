/* test_init_propose.c - which fields are proposed for a model's inputs. */
#include "tools/init_propose.h"

#include "tests/unit/suite.h"

static struct init_proposal proposal;
static struct avro_schema *schema;

static struct model_port input(const char *name, enum dtype dtype, int64_t elements) {
    struct model_port port = {.name = name};
    port.type.dtype = dtype;
    port.type.rank = 2;
    port.type.dims[0] = -1;
    port.type.dims[1] = elements;
    return port;
}

/* `fields` as they stand in the schema's list, with ' for ". */
static void propose(const char *fields, const struct model_port *ports, int count) {
    const struct model_port *inputs[8];
    char text[2048];
    struct error err;
    avro_schema_destroy(schema);
    (void)snprintf(text, sizeof(text), "{'type':'record','name':'R','fields':[%s]}",
                   fields);
    for (char *c = text; *c != 0; c++) {
        *c = *c == '\'' ? '"' : *c;
    }
    ck_assert_msg(avro_schema_parse(span_text(text), NULL, &schema, &err) == STATUS_OK,
                  "%s", err.text);
    for (int i = 0; i < count; i++) {
        inputs[i] = &ports[i];
    }
    init_propose(inputs, count, avro_schema_root(schema), &proposal);
}

/* The sources of an input as "a b 2": fields, and how often a constant. */
static const char *sources(int index) {
    static char text[1024];
    const struct init_input *in = &proposal.inputs[index];
    size_t used = 0;
    text[0] = 0;
    for (int i = 0; i < in->source_count; i++) {
        const struct init_source *source = &in->sources[i];
        const char *gap = i > 0 ? " " : "";
        used += source->field != NULL
                    ? (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", gap,
                                       source->field->path)
                    : (size_t)snprintf(text + used, sizeof(text) - used, "%s%lld", gap,
                                       (long long)source->count);
    }
    return text;
}

#define NUMBERS                                                              \
    "{'name':'order_id','type':'long'},{'name':'amount','type':'double'},"   \
    "{'name':'who','type':'string'},{'name':'age','type':['null','int']},"   \
    "{'name':'at','type':{'type':'long','logicalType':'timestamp-millis'}}," \
    "{'name':'in','type':{'type':'record','name':'I','fields':["             \
    "{'name':'zip','type':'int'},{'name':'new','type':'boolean'}]}}"

START_TEST(numbers_are_taken_in_their_order_without_ids_texts_and_times) {
    struct model_port port = input("X", DTYPE_F32, 4);
    propose(NUMBERS, &port, 1);
    ck_assert_str_eq(sources(0), "amount age in.zip in.new");
    ck_assert_int_eq(proposal.constant_count, 0);
    port = input("X", DTYPE_F32, 2);
    propose(NUMBERS, &port, 1);
    ck_assert_str_eq(sources(0), "amount age");
}
END_TEST

START_TEST(ids_are_taken_where_their_number_is_what_fits) {
    struct model_port port = input("X", DTYPE_F32, 5);
    propose(NUMBERS, &port, 1);
    ck_assert_str_eq(sources(0), "order_id amount age in.zip in.new");
}
END_TEST

START_TEST(what_no_field_was_found_for_is_a_constant_and_counted) {
    struct model_port port = input("X", DTYPE_F32, 9);
    propose(NUMBERS, &port, 1);
    ck_assert_str_eq(sources(0), "amount age in.zip in.new 5");
    ck_assert_int_eq(proposal.constant_count, 5);
}
END_TEST

START_TEST(integers_take_no_fractions) {
    struct model_port port = input("ids", DTYPE_I64, 3);
    propose(NUMBERS, &port, 1);
    ck_assert_str_eq(sources(0), "age in.zip in.new");
}
END_TEST

START_TEST(inputs_of_one_element_are_found_by_their_names) {
    const struct model_port ports[] = {
        input("Customer_Age", DTYPE_F32, 1), input("zip", DTYPE_F32, 1),
        input("contry", DTYPE_STRING, 1), input("unheard", DTYPE_F32, 1)};
    propose("{'name':'country','type':'string'},{'name':'customerAge','type':'int'},"
            "{'name':'zipped','type':'string'},{'name':'address','type':{'type':"
            "'record','name':'A','fields':[{'name':'ZIP','type':'int'}]}},"
            "{'name':'other','type':'float'}",
            ports, 4);
    ck_assert_str_eq(sources(0), "customerAge");
    ck_assert_str_eq(sources(1), "address.ZIP");
    ck_assert_str_eq(sources(2), "country");
    ck_assert_str_eq(sources(3), "1");
    ck_assert_int_eq(proposal.constant_count, 1);
}
END_TEST

START_TEST(a_list_or_bytes_fill_an_input) {
    const struct model_port ports[] = {input("pixels", DTYPE_F32, 784),
                                       input("b", DTYPE_F32, -1)};
    propose("{'name':'n','type':'double'},{'name':'image','type':'bytes'}", ports, 1);
    ck_assert_str_eq(sources(0), "image");
    propose("{'name':'a','type':{'type':'array','items':'float'}},"
            "{'name':'b','type':{'type':'array','items':'float'}},"
            "{'name':'pixel','type':{'type':'array','items':'double'}}",
            ports, 2);
    ck_assert_str_eq(sources(0), "pixel");
    ck_assert_str_eq(sources(1), "b");
}
END_TEST

static void tear_down(void) {
    avro_schema_destroy(schema);
}

int main(void) {
    const TTest *const tests[] = {
        numbers_are_taken_in_their_order_without_ids_texts_and_times,
        ids_are_taken_where_their_number_is_what_fits,
        what_no_field_was_found_for_is_a_constant_and_counted,
        integers_take_no_fractions,
        inputs_of_one_element_are_found_by_their_names,
        a_list_or_bytes_fill_an_input,
    };
    return suite_run_with("init_propose", tests, ARRAY_COUNT(tests), NULL, tear_down);
}
