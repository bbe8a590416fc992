/* rows_number.c - see rows_number.h. */
#include "tools/rows_number.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS_MAX 19 /* that a uint64_t holds, whatever they are */
#define EXPONENT_MAX 27
#define SLOW_SIZE_MAX 1024 /* bytes of a number in a file */

/* Exact, as 5^27 has 63 bits. */
static const long double powers[EXPONENT_MAX + 1] = {
    1e0L,  1e1L,  1e2L,  1e3L,  1e4L,  1e5L,  1e6L,  1e7L,  1e8L,  1e9L,
    1e10L, 1e11L, 1e12L, 1e13L, 1e14L, 1e15L, 1e16L, 1e17L, 1e18L, 1e19L,
    1e20L, 1e21L, 1e22L, 1e23L, 1e24L, 1e25L, 1e26L, 1e27L};

/* ---- reading ------------------------------------------------------------------------
 */

/* Are all 8 bytes digits? */
static bool eight_digits(uint64_t bytes) {
    const uint64_t high = UINT64_C(0xF0F0F0F0F0F0F0F0);
    return ((bytes & high) | ((bytes + UINT64_C(0x0606060606060606)) & high) >> 4) ==
           UINT64_C(0x3333333333333333);
}

/* Their value: pairs, fours, all; the first digit is in the lowest byte. */
static uint64_t value_of_eight(uint64_t bytes) {
    const uint64_t mask = UINT64_C(0x000000FF000000FF);
    bytes -= UINT64_C(0x3030303030303030);
    bytes = bytes * 10 + (bytes >> 8);
    return ((bytes & mask) * UINT64_C(0x000F424000000064) +
            (bytes >> 16 & mask) * UINT64_C(0x0000271000000001)) >>
           32;
}

/* Adds the digits at `at` to *value, which wraps around past DIGITS_MAX of them. */
static const char *take_digits(const char *at, uint64_t *value) {
    uint64_t bytes, sum = *value;
    memcpy(&bytes, at, sizeof(bytes));
    while (eight_digits(bytes)) {
        sum = sum * 100000000 + value_of_eight(bytes);
        at += sizeof(bytes);
        memcpy(&bytes, at, sizeof(bytes));
    }
    while ((unsigned char)(*at - '0') < 10) {
        sum = sum * 10 + (uint64_t)(*at++ - '0');
    }
    *value = sum;
    return at;
}

/* The exponent behind 'e'; NULL for none. */
static const char *take_exponent(const char *at, int *exponent) {
    bool negative = *at == '-';
    int value = 0;
    at += *at == '-' || *at == '+';
    if ((unsigned char)(*at - '0') >= 10) {
        return NULL;
    }
    while ((unsigned char)(*at - '0') < 10) {
        value = value < 100000 ? value * 10 + (*at - '0') : value;
        at++;
    }
    *exponent += negative ? -value : value;
    return at;
}

/* mantissa * 10^exponent, rounded to 64 bits and then to 53.  Rounding twice is wrong
 * only near the middle between two doubles, which the 11 bits less would show. */
static bool scale(uint64_t mantissa, int exponent, double *out) {
#if LDBL_MANT_DIG == 64
    uint64_t bits;
    unsigned dropped;
    long double value = (long double)mantissa;
    value = exponent < 0 ? value / powers[-exponent] : value * powers[exponent];
    memcpy(&bits, &value, sizeof(bits));
    dropped = (unsigned)bits & 0x7FF;
    *out = (double)value;
    return mantissa == 0 || dropped - 0x3FF > 2;
#else
    if (mantissa > UINT64_C(1) << 53 || exponent < -22 || exponent > 22) {
        return false;
    }
    *out = exponent < 0 ? (double)mantissa / (double)powers[-exponent]
                        : (double)mantissa * (double)powers[exponent];
    return true;
#endif
}

const char *rows_real(const char *at, double *out) {
    bool negative = *at == '-';
    uint64_t mantissa = 0;
    int exponent = 0;
    const char *start, *point;
    long digits;
    at += *at == '-' || *at == '+';
    start = at;
    at = take_digits(at, &mantissa);
    digits = (long)(at - start);
    if (*at == '.') {
        point = at + 1;
        at = take_digits(point, &mantissa);
        exponent = (int)(point - at);
        digits += (long)(at - point);
    }
    if (digits == 0) {
        return NULL;
    }
    if (digits > DIGITS_MAX) { /* zeros at the begin are none */
        while (*start == '0' || *start == '.') {
            digits -= *start++ == '0';
        }
        if (digits > DIGITS_MAX || exponent < -EXPONENT_MAX * 2) {
            return NULL;
        }
    }
    if (*at == 'e' || *at == 'E') {
        at = take_exponent(at + 1, &exponent);
    }
    if (at == NULL || exponent > EXPONENT_MAX || exponent < -EXPONENT_MAX ||
        !scale(mantissa, exponent, out)) {
        return NULL;
    }
    *out = negative ? -*out : *out;
    return at;
}

bool rows_real_slow(const char *text, size_t size, double *out) {
    static const char *const words[] = {"inf", "infinity", "nan"};
    char copy[SLOW_SIZE_MAX + 1];
    char *end = NULL;
    const char *word;
    bool known = false;
    if (size == 0 || size > SLOW_SIZE_MAX) {
        return false;
    }
    memcpy(copy, text, size);
    copy[size] = 0;
    if (strspn(copy, "0123456789+-.eE") != size) {
        word = copy + (copy[0] == '-' || copy[0] == '+');
        for (size_t i = 0; i < ARRAY_COUNT(words) && !known; i++) {
            size_t length = strlen(words[i]);
            known = strlen(word) == length;
            for (size_t k = 0; k < length && known; k++) {
                known = (word[k] | 0x20) == words[i][k];
            }
        }
        if (!known) {
            return false;
        }
    }
    *out = strtod(copy, &end);
    return end == copy + size;
}

bool rows_long(const char *text, size_t size, int64_t *out) {
    bool negative = size > 0 && text[0] == '-';
    size_t i = size > 0 && (text[0] == '-' || text[0] == '+');
    uint64_t value = 0, most = (uint64_t)INT64_MAX + negative;
    if (i == size) {
        return false;
    }
    for (; i < size; i++) {
        uint64_t digit = (uint64_t)(unsigned char)(text[i] - '0');
        if (digit > 9 || value > (most - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *out = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

/* ---- writing ------------------------------------------------------------------------
 */

static char *put_digits(char *to, uint64_t value) {
    char text[20];
    size_t at = sizeof(text);
    do {
        text[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    memcpy(to, text + at, sizeof(text) - at);
    return to + (sizeof(text) - at);
}

char *rows_put_long(char *to, int64_t value) {
    if (value < 0) {
        *to++ = '-';
    }
    return put_digits(to, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

static char *put_text(char *to, const char *text) {
    size_t size = strlen(text);
    memcpy(to, text, size);
    return to + size;
}

static bool same(double a, double b) {
    return !(a < b) && !(a > b);
}

/* By printf, with as many digits as it takes. */
static char *put_slow(char *to, double value, bool narrow) {
    char text[ROWS_NUMBER_SIZE_MAX];
    if (isnan(value)) {
        return put_text(to, "nan");
    }
    if (isinf(value)) {
        return put_text(to, value < 0 ? "-inf" : "inf");
    }
    for (int digits = narrow ? 6 : 15; digits <= (narrow ? 9 : 17); digits++) {
        double back;
        (void)snprintf(text, sizeof(text), "%.*g", digits, value);
        back = narrow ? (double)strtof(text, NULL) : strtod(text, NULL);
        if (same(back, value)) {
            break;
        }
    }
    return put_text(to, text);
}

/* digits / 10^places, without zeros at its end. */
static char *put_decimal(char *to, uint64_t digits, int places) {
    char text[24];
    size_t size;
    while (places > 0 && digits % 10 == 0) {
        digits /= 10;
        places--;
    }
    size = (size_t)(put_digits(text, digits) - text);
    if (places == 0) {
        memcpy(to, text, size);
        return to + size;
    }
    if ((size_t)places >= size) {
        *to++ = '0';
        *to++ = '.';
        for (size_t i = size; i < (size_t)places; i++) {
            *to++ = '0';
        }
        memcpy(to, text, size);
        return to + size;
    }
    memcpy(to, text, size - (size_t)places);
    to += size - (size_t)places;
    *to++ = '.';
    memcpy(to, text + size - places, (size_t)places);
    return to + places;
}

/* A double is wide enough to find a float's digits with: what is found is held against
 * the float, and left to put_slow where rounding twice could deceive. */
char *rows_put_float(char *to, float value) {
    double wide = fabs((double)value), power = 1.0;
    int places = 5;
    if (!(wide >= 1e-4) || wide >= 1e6) {
        return put_slow(to, (double)value, true);
    }
    for (power = 1.0; wide * power < 1.0; power *= 10.0) {
        places++;
    }
    for (power = 10.0; wide >= power && places > 0; power *= 10.0) {
        places--;
    }
    for (int digits = 6; digits <= 9; digits++, places++) {
        double unit = (double)powers[places];
        uint64_t count = (uint64_t)(wide * unit + 0.5);
        double back = (double)count / unit;
        uint64_t bits;
        memcpy(&bits, &back, sizeof(bits));
        if ((bits & 0x1FFFFFFF) == 0x10000000) {
            break;
        }
        if (same((double)(float)back, wide)) {
            if (value < 0.0f) {
                *to++ = '-';
            }
            return put_decimal(to, count, places);
        }
    }
    return put_slow(to, (double)value, true);
}

/* The same with a long double: `scale` tells exactly what a count of units reads back
 * as. */
char *rows_put_double(char *to, double value) {
    double wide = fabs(value), power;
    int places = 14;
    if (!(wide >= 1e-4) || wide >= 1e15) {
        return put_slow(to, value, false);
    }
    for (power = 1.0; wide * power < 1.0; power *= 10.0) {
        places++;
    }
    for (power = 10.0; wide >= power && places > 0; power *= 10.0) {
        places--;
    }
    for (int digits = 15; digits <= 17; digits++, places++) {
        uint64_t count = (uint64_t)((long double)wide * powers[places] + 0.5L);
        double back;
        if (!scale(count, -places, &back)) {
            break;
        }
        if (same(back, wide)) {
            if (value < 0.0) {
                *to++ = '-';
            }
            return put_decimal(to, count, places);
        }
    }
    return put_slow(to, value, false);
}
