/* decimal.c - see decimal.h. */
#include "codec/decimal.h"

#include <math.h>

double decimal_real(struct span bytes, int scale) {
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    const size_t exact = sizeof(powers) / sizeof(powers[0]); /* powers a double holds */
    double number;
    if (bytes.size <= sizeof(int64_t)) {
        uint64_t bits = bytes.size > 0 && bytes.data[0] >= 0x80 ? UINT64_MAX : 0;
        for (size_t i = 0; i < bytes.size; i++) {
            bits = bits << 8 | bytes.data[i];
        }
        number = (double)(int64_t)bits;
    } else {
        number = bytes.data[0] >= 0x80 ? -1 : 0;
        for (size_t i = 0; i < bytes.size; i++) {
            number = number * 256 + bytes.data[i];
        }
    }
    return (size_t)scale < exact ? number / powers[scale] : number / pow(10, scale);
}
