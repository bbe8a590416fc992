/* test_reader.c - Avro's primitives, at their edges. */
#include "codec/reader.h"

#include "codec/fingerprint.h"
#include "codec/utf8.h"
#include "tests/unit/codec/fixture.h"

static struct error err;

static struct reader reader_on(const void *bytes, size_t size) {
    struct reader r;
    reader_init(&r, span_of(bytes, size), &err);
    r.field = "field";
    return r;
}

START_TEST(longs_of_every_length_come_back) {
    uint8_t bytes[32];
    for (int bit = 0; bit < 64; bit++) {
        for (int delta = -1; delta <= 1; delta++) {
            int64_t value = (int64_t)((UINT64_C(1) << bit) + (uint64_t)delta);
            size_t size = (size_t)(writer_long(bytes, value) - bytes);
            /* with nothing behind, and with enough behind to be read 8 at a time */
            for (size_t behind = 0; behind < 12; behind += 11) {
                uint8_t *copy = malloc(size + behind);
                struct reader r = reader_on(copy, size + behind);
                int64_t back = 0;
                memcpy(copy, bytes, size);
                memset(copy + size, 0xff, behind);
                ck_assert(reader_long(&r, &back));
                ck_assert_int_eq(back, value);
                ck_assert_uint_eq(reader_left(&r), behind);
                free(copy);
            }
        }
    }
}
END_TEST

START_TEST(a_number_past_64_bits_or_cut_is_refused) {
    static const uint8_t too_large[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                        0xff, 0xff, 0xff, 0x02, 0x00};
    static const uint8_t too_long[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
                                       0x80, 0x80, 0x80, 0x80, 0x00};
    int64_t value = 0;
    struct reader r = reader_on(too_large, sizeof(too_large));
    ck_assert(!reader_long(&r, &value));
    ck_assert_str_eq(err.text, "field at byte 0: a number longer than 64 bits");
    r = reader_on(too_long, sizeof(too_long));
    ck_assert(!reader_long(&r, &value));
    for (size_t size = 0; size < 10; size++) {
        uint8_t *copy = exact_copy(too_long, size);
        r = reader_on(copy, size);
        ck_assert(!reader_long(&r, &value));
        ck_assert_ptr_nonnull(strstr(err.text, "the message ends"));
        free(copy);
    }
}
END_TEST

START_TEST(an_int_is_held_to_32_bits) {
    const int64_t values[] = {INT32_MIN, INT32_MAX, (int64_t)INT32_MIN - 1,
                              (int64_t)INT32_MAX + 1};
    for (size_t i = 0; i < ARRAY_COUNT(values); i++) {
        uint8_t bytes[16];
        struct reader r =
            reader_on(bytes, (size_t)(writer_long(bytes, values[i]) - bytes));
        int32_t value = 0;
        ck_assert_int_eq(reader_int(&r, &value), i < 2);
        ck_assert(i >= 2 || value == values[i]);
    }
}
END_TEST

START_TEST(fixed_primitives_stop_at_the_end) {
    uint8_t bytes[8] = {1, 0, 0, 0x40, 0, 0, 0xf0, 0x3f};
    struct reader r = reader_on(bytes, sizeof(bytes));
    bool flag = false;
    float single = 0;
    double real = 0;
    ck_assert(reader_double(&r, &real));
    ck_assert(real > 1.0 && real < 1.001);
    r = reader_on(bytes, 5);
    ck_assert(reader_boolean(&r, &flag) && flag);
    r = reader_on(bytes, 4);
    ck_assert(reader_float(&r, &single));
    ck_assert(single > 1.99f && single < 2.01f);
    ck_assert(!reader_boolean(&r, &flag));
    r = reader_on(bytes, 3);
    ck_assert(!reader_float(&r, &single));
    r = reader_on(bytes, 7);
    ck_assert(!reader_double(&r, &real));
    bytes[0] = 7;
    r = reader_on(bytes, 1);
    ck_assert(!reader_boolean(&r, &flag));
}
END_TEST

START_TEST(an_index_is_held_to_its_count) {
    static const uint8_t bytes[] = {2 << 1, 3 << 1, 0x01};
    struct reader r = reader_on(bytes, sizeof(bytes));
    int index = 0;
    ck_assert(reader_enum(&r, 3, &index));
    ck_assert_int_eq(index, 2);
    ck_assert(!reader_branch(&r, 3, &index));
    ck_assert_str_eq(err.text, "field at byte 1: union branch 3 of 3");
    r = reader_on(bytes + 2, 1);
    ck_assert(!reader_enum(&r, 3, &index));
    ck_assert_str_eq(err.text, "field at byte 0: enum symbol -1 of 3");
}
END_TEST

START_TEST(bytes_keep_to_their_limits_and_the_bytes_left) {
    static const uint8_t bytes[] = {3 << 1, 'a', 'b', 'c'};
    struct span span;
    struct reader r = reader_on(bytes, 4);
    ck_assert(reader_bytes(&r, 3, 3, &span));
    ck_assert(span_is(span, "abc"));
    r = reader_on(bytes, 4);
    ck_assert(!reader_bytes(&r, 0, 2, &span));
    r = reader_on(bytes, 4);
    ck_assert(!reader_bytes(&r, 4, 9, &span));
    r = reader_on(bytes, 3);
    ck_assert(!reader_bytes(&r, 0, 9, &span));
    ck_assert_str_eq(err.text, "field at byte 0: 3 bytes, but 2 bytes are left");
    r = reader_on("\x01", 1);
    ck_assert(!reader_bytes(&r, 0, 9, &span));
    ck_assert_str_eq(err.text, "field at byte 0: a negative length");
}
END_TEST

static bool block(int64_t count, int64_t size, size_t left, struct reader_block *to,
                  struct reader *r) {
    static uint8_t bytes[64];
    uint8_t *at = writer_long(bytes, count);
    at = count < 0 ? writer_long(at, size) : at;
    *r = reader_on(bytes, (size_t)(at - bytes) + left);
    return reader_block(r, 2, 10, to);
}

START_TEST(a_block_cannot_announce_more_than_there_is) {
    struct reader_block b;
    struct reader r;
    ck_assert(block(3, 0, 6, &b, &r) && b.count == 3);
    ck_assert(!block(3, 0, 5, &b, &r));
    ck_assert(!block(11, 0, 40, &b, &r)); /* more than the count allowed */
    ck_assert(!block(INT64_MAX, 0, 40, &b, &r));
    ck_assert(block(-3, 6, 6, &b, &r) && b.count == 3);
    ck_assert(!block(-3, 5, 6, &b, &r)); /* its own size is too small */
    ck_assert(!block(-3, 7, 6, &b, &r)); /* past the end */
    ck_assert(!block(-3, -1, 6, &b, &r));
    ck_assert(!block(INT64_MIN, 6, 6, &b, &r));
}
END_TEST

START_TEST(a_block_ends_where_it_said) {
    struct reader_block b;
    struct reader r;
    ck_assert(block(-2, 5, 6, &b, &r));
    r.at += 5;
    ck_assert(reader_block_end(&r, &b));
    r.at += 1;
    ck_assert(!reader_block_end(&r, &b));
    r.at -= 2;
    ck_assert(!reader_block_end(&r, &b));
}
END_TEST

START_TEST(utf8_is_told_from_what_only_looks_like_it) {
    static const char *const good[] = {"",
                                       "plain",
                                       "\x7f",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       "eight by\xc3\xa9te and more text"};
    static const char *const bad[] = {"\x80",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc3",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xe2\x82",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80",
                                      "\xff",
                                      "eight by\xc3tes",
                                      "\xe2\x28\xa1",
                                      "\xf0\x90\x28\xbc"};
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        ck_assert_msg(utf8_valid(span_text(good[i])), "good %zu", i);
    }
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        ck_assert_msg(!utf8_valid(span_text(bad[i])), "bad %zu", i);
    }
}
END_TEST

START_TEST(a_name_is_shown_printable_and_cut) {
    char shown[UTF8_SHOWN_SIZE], name[80];
    memset(name, 'n', sizeof(name));
    ck_assert_str_eq(utf8_show(span_of("a\nb\x1b\xff", 5), shown), "a?b??");
    ck_assert_uint_eq(strlen(utf8_show(span_of(name, 64), shown)), 64);
    ck_assert_uint_eq(strlen(utf8_show(span_of(name, 65), shown)), 67);
    ck_assert_str_eq(shown + 64, "...");
}
END_TEST

START_TEST(fingerprints_are_those_of_the_specification) {
    /* "null" from the specification's own test data */
    ck_assert_uint_eq(fingerprint_crc64(span_text("\"null\"")),
                      UINT64_C(0x63dd24e7cc258f8a));
    ck_assert_uint_eq(fingerprint_crc64(span_text("")), UINT64_C(0xc15d213aa4d7a795));
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        longs_of_every_length_come_back,
        a_number_past_64_bits_or_cut_is_refused,
        an_int_is_held_to_32_bits,
        fixed_primitives_stop_at_the_end,
        an_index_is_held_to_its_count,
        bytes_keep_to_their_limits_and_the_bytes_left,
        a_block_cannot_announce_more_than_there_is,
        a_block_ends_where_it_said,
        utf8_is_told_from_what_only_looks_like_it,
        a_name_is_shown_printable_and_cut,
        fingerprints_are_those_of_the_specification,
    };
    return run_tests("reader", tests, ARRAY_COUNT(tests));
}
