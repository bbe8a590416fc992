/* murmur.c - see murmur.h. */
#include "codec/murmur.h"

static uint32_t turn(uint32_t x, int bits) {
    return x << bits | x >> (32 - bits);
}

static uint32_t mix(uint32_t block) {
    return turn(block * 0xcc9e2d51u, 15) * 0x1b873593u;
}

uint32_t murmur32(struct span text, uint32_t seed) {
    uint32_t hash = seed, block, last = 0;
    size_t i;
    for (i = 0; i + sizeof(block) <= text.size; i += sizeof(block)) {
        memcpy(&block, text.data + i, sizeof(block));
        hash = turn(hash ^ mix(block), 13) * 5 + 0xe6546b64u;
    }
    for (size_t k = text.size; k > i; k--) {
        last = last << 8 | text.data[k - 1];
    }
    hash ^= mix(last) ^ (uint32_t)text.size;
    hash = (hash ^ hash >> 16) * 0x85ebca6bu;
    hash = (hash ^ hash >> 13) * 0xc2b2ae35u;
    return hash ^ hash >> 16;
}
