/* test_attr.c - attributes are read by name and kind, and none is overlooked. */
#include "engine/attr.h"

#include "engine/graph.h"
#include "tests/unit/suite.h"

static const int64_t pads[] = {1, -2, 3};

static const struct attr items[] = {
    {.name = "axis", .kind = ATTR_INT, .as.i = -1},
    {.name = "alpha", .kind = ATTR_FLOAT, .as.f = 0.5F},
    {.name = "mode", .kind = ATTR_TEXT, .as.text = {(const uint8_t *)"linear", 6}},
    {.name = "pads", .kind = ATTR_INTS, .count = 3, .as.ints = pads},
    {.name = "flag", .kind = ATTR_INT, .as.i = 1},
    {.name = "exotic", .kind = ATTR_OTHER},
};

static struct node node_with(const struct attr *attrs, int count) {
    return (struct node){.type = "Thing",
                         .name = "thing_7",
                         .opset = 13,
                         .attrs = {.items = attrs, .count = count}};
}

static struct node node_full(void) {
    return node_with(items, ARRAY_COUNT(items));
}

static bool says(const struct error *err, const char *part) {
    return strstr(err->text, part) != NULL;
}

START_TEST(values_are_read_by_name) {
    struct node node = node_full();
    struct error err;
    struct attr_ints ints;
    struct span text;
    int64_t axis = 0;
    float alpha = 0;
    bool flag = false;
    ck_assert_int_eq(attr_int(&node, "axis", 7, &axis, &err), STATUS_OK);
    ck_assert_int_eq(axis, -1);
    ck_assert_int_eq(attr_float(&node, "alpha", 7.0F, &alpha, &err), STATUS_OK);
    ck_assert(alpha == 0.5F);
    ck_assert_int_eq(attr_text(&node, "mode", "nearest", &text, &err), STATUS_OK);
    ck_assert(span_is(text, "linear"));
    ck_assert_int_eq(attr_ints(&node, "pads", &ints, &err), STATUS_OK);
    ck_assert_uint_eq(ints.count, 3);
    ck_assert_int_eq(ints.values[1], -2);
    ck_assert_int_eq(attr_bool(&node, "flag", false, &flag, &err), STATUS_OK);
    ck_assert(flag);
}
END_TEST

START_TEST(absent_values_are_the_fallback) {
    struct node node = node_with(NULL, 0);
    struct error err;
    struct attr_ints ints = {pads, 3};
    struct span text;
    int64_t axis = 0;
    float alpha = 0;
    bool flag = false;
    ck_assert_int_eq(attr_int(&node, "axis", 7, &axis, &err), STATUS_OK);
    ck_assert_int_eq(axis, 7);
    ck_assert_int_eq(attr_float(&node, "alpha", 7.0F, &alpha, &err), STATUS_OK);
    ck_assert(alpha == 7.0F);
    ck_assert_int_eq(attr_text(&node, "mode", "nearest", &text, &err), STATUS_OK);
    ck_assert(span_is(text, "nearest"));
    ck_assert_int_eq(attr_ints(&node, "pads", &ints, &err), STATUS_OK);
    ck_assert(ints.values == NULL && ints.count == 0);
    ck_assert_int_eq(attr_bool(&node, "flag", true, &flag, &err), STATUS_OK);
    ck_assert(flag);
    ck_assert_ptr_null(attr_find(&node, "axis"));
}
END_TEST

START_TEST(another_kind_is_invalid_and_said_so) {
    struct node node = node_full();
    struct error err;
    struct attr_ints ints;
    struct span text;
    int64_t axis = 0;
    float alpha = 0;
    ck_assert_int_eq(attr_int(&node, "alpha", 0, &axis, &err), STATUS_INVALID);
    ck_assert_str_eq(err.text, "Thing 'thing_7': attribute alpha is a float, not an int");
    ck_assert_int_eq(attr_float(&node, "axis", 0.0F, &alpha, &err), STATUS_INVALID);
    ck_assert_int_eq(attr_text(&node, "pads", "", &text, &err), STATUS_INVALID);
    ck_assert_int_eq(attr_ints(&node, "mode", &ints, &err), STATUS_INVALID);
    ck_assert_int_eq(attr_int(&node, "exotic", 0, &axis, &err), STATUS_INVALID);
    ck_assert(says(&err, "exotic"));
}
END_TEST

START_TEST(range_includes_its_ends) {
    struct node node = node_full();
    struct error err;
    int64_t axis = 0;
    ck_assert_int_eq(attr_int_in(&node, "axis", 0, -1, 5, &axis, &err), STATUS_OK);
    ck_assert_int_eq(attr_int_in(&node, "axis", 0, -5, -1, &axis, &err), STATUS_OK);
    ck_assert_int_eq(attr_int_in(&node, "axis", 0, 0, 5, &axis, &err), STATUS_INVALID);
    ck_assert_str_eq(err.text,
                     "Thing 'thing_7': attribute axis is -1, allowed are 0 to 5");
    ck_assert_int_eq(attr_int_in(&node, "axis", 0, -5, -2, &axis, &err), STATUS_INVALID);
}
END_TEST

START_TEST(flag_is_zero_or_one) {
    const struct attr two = {.name = "flag", .kind = ATTR_INT, .as.i = 2};
    struct node node = node_with(&two, 1);
    struct error err;
    bool flag = false;
    ck_assert_int_eq(attr_bool(&node, "flag", false, &flag, &err), STATUS_INVALID);
}
END_TEST

START_TEST(word_is_its_index) {
    static const char *const words[] = {"nearest", "linear", NULL};
    static const char *const others[] = {"nearest", "line", NULL};
    struct node node = node_full();
    struct error err;
    int index = 7;
    ck_assert_int_eq(attr_word(&node, "mode", 0, words, &index, &err), STATUS_OK);
    ck_assert_int_eq(index, 1);
    ck_assert_int_eq(attr_word(&node, "style", 0, words, &index, &err), STATUS_OK);
    ck_assert_int_eq(index, 0);
    ck_assert_int_eq(attr_word(&node, "mode", 0, others, &index, &err),
                     STATUS_UNSUPPORTED);
    ck_assert(says(&err, "'linear'"));
}
END_TEST

START_TEST(attribute_nobody_read_is_refused) {
    static const char *const names[] = {"axis", "alpha", "mode", "pads", "flag"};
    struct node node = node_full();
    struct error err;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        ck_assert_int_eq(attr_check_all_read(&node, &err), STATUS_UNSUPPORTED);
        ck_assert(says(&err, names[i]));
        attr_ignore(&node, names[i]);
    }
    ck_assert_int_eq(attr_check_all_read(&node, &err), STATUS_UNSUPPORTED);
    ck_assert_str_eq(err.text,
                     "Thing 'thing_7': attribute exotic is not known for opset 13");
    attr_ignore(&node, "exotic");
    ck_assert_int_eq(attr_check_all_read(&node, &err), STATUS_OK);
}
END_TEST

/* The last of the most attributes a node may have uses the last bit of the mask. */
START_TEST(every_attribute_of_the_most_is_watched) {
    struct attr many[NODE_ATTRS_MAX];
    char names[NODE_ATTRS_MAX][8];
    struct node node = node_with(many, NODE_ATTRS_MAX);
    struct error err;
    for (int i = 0; i < NODE_ATTRS_MAX; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "a%d", i);
        many[i] = (struct attr){.name = names[i], .kind = ATTR_INT};
    }
    for (int i = 0; i < NODE_ATTRS_MAX; i++) {
        ck_assert_int_eq(attr_check_all_read(&node, &err), STATUS_UNSUPPORTED);
        attr_ignore(&node, names[i]);
    }
    ck_assert_int_eq(attr_check_all_read(&node, &err), STATUS_OK);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        values_are_read_by_name,
        absent_values_are_the_fallback,
        another_kind_is_invalid_and_said_so,
        range_includes_its_ends,
        flag_is_zero_or_one,
        word_is_its_index,
        attribute_nobody_read_is_refused,
        every_attribute_of_the_most_is_watched,
    };
    return suite_run("engine: attr", tests, ARRAY_COUNT(tests));
}
