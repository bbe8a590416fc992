/* fingerprint.c - see fingerprint.h. */
#include "codec/fingerprint.h"

/* The fingerprint of no bytes, and the polynomial; the specification calls it EMPTY. */
#define FINGERPRINT_EMPTY UINT64_C(0xc15d213aa4d7a795)

/* Bit by bit, with no table: a schema is fingerprinted once. */
uint64_t fingerprint_crc64(struct span text) {
    uint64_t crc = FINGERPRINT_EMPTY;
    for (size_t i = 0; i < text.size; i++) {
        crc ^= text.data[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (FINGERPRINT_EMPTY & (0 - (crc & 1)));
        }
    }
    return crc;
}
