/* test_rows.c - numbers of text files, codecs, and files that appear as a whole; what
 * whole files become is tested in tests/rows. */
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../suite.h"
#include "tools/part_file.h"
#include "tools/rows_codec.h"
#include "tools/rows_number.h"

static struct error err;

static uint64_t random_bits(void) {
    static uint64_t state = 88172645463325252;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static uint64_t bits_of(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

/* As in a chunk: line ends stand behind the text. */
static bool read_real(const char *text, double *out) {
    char line[128];
    size_t size = strlen(text);
    const char *end;
    memset(line, '\n', sizeof(line));
    memcpy(line, text, size);
    end = rows_real(line, out);
    return end == line + size || (end == NULL && rows_real_slow(line, size, out));
}

START_TEST(numbers_are_read_as_strtod_reads_them) {
    char text[64];
    double got;
    for (int i = 0; i < 300000; i++) {
        uint64_t bits = random_bits();
        int digits = (int)(bits % 20), places = (int)(bits >> 8 & 31);
        double value;
        memcpy(&value, &bits, sizeof(value));
        if (i % 3 == 0 && isfinite(value)) {
            (void)snprintf(text, sizeof(text), "%.*g", digits, value);
        } else if (i % 3 == 1) {
            (void)snprintf(text, sizeof(text), "%.*f", places,
                           (double)(int64_t)bits / 9223372036854775808.0 * 1e6);
        } else {
            (void)snprintf(text, sizeof(text), "%s%llu.%llue%d", bits & 1 ? "-" : "",
                           (unsigned long long)(bits >> (bits >> 58)),
                           (unsigned long long)(random_bits() >> (bits & 63)),
                           (int)(bits >> 20 & 63) - 32);
        }
        ck_assert_msg(read_real(text, &got), "%s is a number", text);
        ck_assert_msg(bits_of(got) == bits_of(strtod(text, NULL)), "%s", text);
    }
}
END_TEST

START_TEST(what_is_no_number_is_none) {
    static const char *const texts[] = {
        "",    "-",  "+",     ".",    "e5", "1e",    "1e+",    "0x10", "1 2",
        "--1", "1-", "1.2.3", "inff", "na", "1_000", "nan(1)", "infin"};
    double got;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        ck_assert_msg(!read_real(texts[i], &got), "'%s'", texts[i]);
    }
    ck_assert(read_real("-inf", &got) && isinf(got) && got < 0);
    ck_assert(read_real("NaN", &got) && isnan(got));
}
END_TEST

START_TEST(numbers_are_written_in_the_fewest_digits_that_read_back) {
    char text[ROWS_NUMBER_SIZE_MAX + 1], shortest[64];
    for (int i = 0; i < 200000; i++) {
        uint64_t bits = random_bits();
        uint32_t half = (uint32_t)bits;
        double wide, scaled = (double)(int64_t)bits / 9223372036854775808.0 *
                              pow(10, (double)(bits & 15) - 5);
        float narrow;
        memcpy(&wide, &bits, sizeof(wide));
        memcpy(&narrow, &half, sizeof(narrow));
        wide = i % 2 == 0 ? scaled : wide;
        narrow = i % 2 == 0 ? (float)scaled : narrow;
        if (!isfinite(wide) || !isfinite(narrow)) {
            continue;
        }
        *rows_put_double(text, wide) = 0;
        ck_assert_msg(bits_of(strtod(text, NULL)) == bits_of(wide), "%s", text);
        *rows_put_float(text, narrow) = 0;
        ck_assert_msg(!(strtof(text, NULL) < narrow) && !(strtof(text, NULL) > narrow),
                      "%s is not %.9g", text, (double)narrow);
        for (int digits = 6; digits <= 9; digits++) {
            (void)snprintf(shortest, sizeof(shortest), "%.*g", digits, (double)narrow);
            if (!(strtof(shortest, NULL) < narrow) &&
                !(strtof(shortest, NULL) > narrow)) {
                break;
            }
        }
        /* printf may choose an exponent where digits alone are as short. */
        ck_assert_msg(strlen(text) <= strlen(shortest) + 4, "%s for %s", text, shortest);
    }
}
END_TEST

START_TEST(whole_numbers_are_read_within_64_bits) {
    int64_t value;
    char text[ROWS_NUMBER_SIZE_MAX + 1];
    ck_assert(rows_long("9223372036854775807", 19, &value) && value == INT64_MAX);
    ck_assert(rows_long("-9223372036854775808", 20, &value) && value == INT64_MIN);
    ck_assert(!rows_long("9223372036854775808", 19, &value));
    ck_assert(!rows_long("-9223372036854775809", 20, &value));
    ck_assert(!rows_long("", 0, &value) && !rows_long("-", 1, &value));
    ck_assert(!rows_long("1.0", 3, &value));
    *rows_put_long(text, INT64_MIN) = 0;
    ck_assert_str_eq(text, "-9223372036854775808");
}
END_TEST

START_TEST(codecs_give_back_what_they_were_given) {
    for (int codec = 0; codec < ROWS_CODEC_COUNT; codec++) {
        for (size_t size = 0; size < 3000000; size = size * 5 + 1) {
            struct rows_buffer plain = {0}, packed = {0}, back = {0};
            ck_assert_int_eq(rows_buffer_reserve(&plain, size + 1, &err), STATUS_OK);
            for (size_t i = 0; i < size; i++) {
                plain.data[i] = (uint8_t)(i % 7 == 0 ? random_bits() : i >> 4);
            }
            plain.size = size;
            ck_assert_int_eq(rows_buffer_add(&back, "before", 6, &err), STATUS_OK);
            ck_assert_int_eq(rows_codec_pack((enum rows_codec)codec,
                                             span_of(plain.data, size), &packed, &err),
                             STATUS_OK);
            ck_assert_int_eq(rows_codec_unpack((enum rows_codec)codec,
                                               span_of(packed.data, packed.size), &back,
                                               &err),
                             STATUS_OK);
            ck_assert_uint_eq(back.size, size + 6);
            ck_assert_mem_eq(back.data + 6, plain.data, size);
            rows_buffer_release(&plain);
            rows_buffer_release(&packed);
            rows_buffer_release(&back);
        }
    }
}
END_TEST

START_TEST(bytes_that_no_codec_wrote_are_refused_or_come_to_an_end) {
    for (int codec = ROWS_CODEC_DEFLATE; codec < ROWS_CODEC_COUNT; codec++) {
        for (int round = 0; round < 3000; round++) {
            uint8_t bytes[64];
            struct rows_buffer packed = {0}, out = {0};
            memset(bytes, round & 0xFF, sizeof(bytes));
            ck_assert_int_eq(rows_codec_pack((enum rows_codec)codec,
                                             span_of(bytes, sizeof(bytes)), &packed,
                                             &err),
                             STATUS_OK);
            packed.data[random_bits() % packed.size] ^=
                (uint8_t)(1 + random_bits() % 255);
            packed.size -= random_bits() % (packed.size / 2);
            enum status status = rows_codec_unpack(
                (enum rows_codec)codec, span_of(packed.data, packed.size), &out, &err);
            ck_assert(status == STATUS_OK || status == STATUS_INVALID);
            ck_assert_uint_le(out.size, ROWS_BLOCK_SIZE_MAX + 1);
            rows_buffer_release(&packed);
            rows_buffer_release(&out);
        }
    }
}
END_TEST

/* ---- part files ---------------------------------------------------------------------
 */

static char folder[] = "/tmp/test_rows.XXXXXX";
static char path[64];

static void make_folder(void) {
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/out", folder);
}

static void remove_folder(void) {
    static const char *const suffixes[] = {"", ".millrace-part", ".millrace-progress"};
    for (size_t i = 0; i < ARRAY_COUNT(suffixes); i++) {
        char name[128];
        (void)snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
        (void)unlink(name);
    }
    (void)rmdir(folder);
}

static const char *new_progress(void) {
    static char name[128];
    (void)snprintf(name, sizeof(name), "%s.millrace-progress.new", path);
    return name;
}

/* As a process does that is killed while it notes its progress. */
static void leave_new_progress(void) {
    int fd = open(new_progress(), O_WRONLY | O_CREAT, 0600);
    ck_assert_int_ge(fd, 0);
    (void)close(fd);
}

START_TEST(a_file_appears_when_it_is_finished_with_what_was_kept) {
    struct part_file file;
    struct stat info;
    json_t *progress = json_pack("{s:i}", "written", 5), *back;
    ck_assert_int_eq(part_file_init(&file, path, &err), STATUS_OK);
    ck_assert_ptr_null(part_file_progress(&file));
    ck_assert_int_eq(part_file_open(&file, 0, &err), STATUS_OK);
    ck_assert_int_eq(part_file_write(&file, span_text("first"), &err), STATUS_OK);
    ck_assert_int_eq(part_file_save(&file, progress, &err), STATUS_OK);
    ck_assert_int_eq(part_file_write(&file, span_text("unknown"), &err), STATUS_OK);
    ck_assert_int_ne(stat(path, &info), 0);
    part_file_close(&file); /* as a kill does */

    ck_assert_int_eq(part_file_init(&file, path, &err), STATUS_OK);
    back = part_file_progress(&file);
    ck_assert_int_eq(json_equal(back, progress), 1);
    ck_assert_int_eq(part_file_open(&file, 5, &err), STATUS_OK);
    ck_assert_int_eq(part_file_write(&file, span_text(" then"), &err), STATUS_OK);
    ck_assert_int_eq(part_file_finish(&file, &err), STATUS_OK);
    leave_new_progress();
    part_file_forget(&file);
    ck_assert_int_ne(access(new_progress(), F_OK), 0);
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_int_eq(info.st_size, 10);
    ck_assert_ptr_null(part_file_progress(&file));
    part_file_close(&file);
    json_decref(progress);
    json_decref(back);
}
END_TEST

START_TEST(a_part_shorter_than_its_progress_is_refused) {
    struct part_file file;
    ck_assert_int_eq(part_file_init(&file, path, &err), STATUS_OK);
    ck_assert_int_eq(part_file_open(&file, 3, &err), STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "--restart"));
    part_file_close(&file);
}
END_TEST

START_TEST(an_identity_tells_files_apart) {
    char first[PART_FILE_IDENTITY_MAX], other[PART_FILE_IDENTITY_MAX];
    struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    for (int i = 0; i < 2; i++) {
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        ck_assert_int_eq(write(fd, i == 0 ? "aaaa" : "aaab", 4), 4);
        ck_assert_int_eq(futimens(fd, times), 0); /* alike, but for their bytes */
        (void)close(fd);
        ck_assert_int_eq(part_file_identity(path, i == 0 ? first : other, &err),
                         STATUS_OK);
    }
    ck_assert_str_ne(first, other);
    ck_assert_int_eq(part_file_identity("/nowhere", other, &err), STATUS_INVALID);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        numbers_are_read_as_strtod_reads_them,
        what_is_no_number_is_none,
        numbers_are_written_in_the_fewest_digits_that_read_back,
        whole_numbers_are_read_within_64_bits,
        codecs_give_back_what_they_were_given,
        bytes_that_no_codec_wrote_are_refused_or_come_to_an_end,
        a_file_appears_when_it_is_finished_with_what_was_kept,
        a_part_shorter_than_its_progress_is_refused,
        an_identity_tells_files_apart,
    };
    return suite_run_with("rows", tests, ARRAY_COUNT(tests), make_folder, remove_folder);
}
