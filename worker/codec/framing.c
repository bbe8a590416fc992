/* framing.c - see framing.h. */
#include "codec/framing.h"

#define CONFLUENT_SIZE 5      /* bytes: the mark and the id */
#define SINGLE_OBJECT_SIZE 10 /* the mark and the fingerprint */

static const struct {
    enum framing_kind kind;
    const char *name;
    size_t size; /* bytes before the record */
    size_t mark_size;
    uint8_t mark[2];
} framings[] = {
    {FRAMING_CONFLUENT, "confluent", CONFLUENT_SIZE, 1, {0x00}},
    {FRAMING_SINGLE_OBJECT, "single_object", SINGLE_OBJECT_SIZE, 2, {0xc3, 0x01}},
    {FRAMING_BARE, "bare", 0, 0, {0}},
};

static enum status no_framing(struct span message, unsigned allowed, struct error *err) {
    char names[64] = "";
    for (size_t i = 0; i < ARRAY_COUNT(framings); i++) {
        size_t used = strlen(names);
        if ((allowed & framings[i].kind) != 0) {
            (void)snprintf(names + used, sizeof(names) - used, "%s%s",
                           used > 0 ? " or " : "", framings[i].name);
        }
    }
    return error_set(err, STATUS_POISON,
                     "a message of %zu bytes has no framing of the route's: %s",
                     message.size, names);
}

enum status framing_read(struct span message, unsigned allowed, struct framing *framing,
                         struct error *err) {
    const uint8_t *at = message.data;
    for (size_t i = 0; i < ARRAY_COUNT(framings); i++) {
        size_t size = framings[i].size;
        if ((allowed & framings[i].kind) == 0 || message.size < size ||
            memcmp(framings[i].mark, message.size == 0 ? framings[i].mark : at,
                   framings[i].mark_size) != 0) {
            continue;
        }
        *framing = (struct framing){.kind = framings[i].kind,
                                    .record = span_of(at + size, message.size - size)};
        if (framing->kind == FRAMING_CONFLUENT) {
            framing->id = (uint32_t)at[1] << 24 | (uint32_t)at[2] << 16 |
                          (uint32_t)at[3] << 8 | at[4];
        } else if (framing->kind == FRAMING_SINGLE_OBJECT) {
            memcpy(&framing->fingerprint, at + 2, sizeof(framing->fingerprint));
        }
        return STATUS_OK;
    }
    return no_framing(message, allowed, err);
}

uint8_t *framing_write(uint8_t *to, const struct framing *framing) {
    if (framing->kind == FRAMING_CONFLUENT) {
        const uint8_t bytes[CONFLUENT_SIZE] = {
            0, (uint8_t)(framing->id >> 24), (uint8_t)(framing->id >> 16),
            (uint8_t)(framing->id >> 8), (uint8_t)framing->id};
        memcpy(to, bytes, sizeof(bytes));
        return to + sizeof(bytes);
    }
    if (framing->kind == FRAMING_SINGLE_OBJECT) {
        to[0] = 0xc3;
        to[1] = 0x01;
        memcpy(to + 2, &framing->fingerprint, sizeof(framing->fingerprint));
        return to + SINGLE_OBJECT_SIZE;
    }
    return to;
}
