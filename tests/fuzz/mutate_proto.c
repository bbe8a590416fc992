/* mutate_proto.c - see mutate_proto.h. */
#include "tests/fuzz/mutate_proto.h"

#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t size_max);

#define FIELDS_MAX 16384
#define DEPTH_MAX 40
#define SIZE_LARGEST ((size_t)1 << 20)
#define MADE_SIZE_MAX 1024 /* bytes of a field that is made up */
#define MADE_DEPTH_MAX 3

enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

/* One field: its tag is at `start`, its value at [value, end). */
struct field {
    size_t start, value, end;
    int parent; /* index, or -1 in the outermost message */
    unsigned number, wire;
    const ProtobufCMessageDescriptor *of; /* the message it stands in */
    const ProtobufCFieldDescriptor *says; /* NULL where the type has no such field */
};

struct fields {
    struct field items[FIELDS_MAX];
    int count;
};

static unsigned next_random(unsigned *state) {
    *state = *state * 1664525U + 1013904223U;
    return *state >> 8;
}

static bool read_varint(struct span bytes, size_t *at, size_t end, uint64_t *value) {
    *value = 0;
    for (unsigned shift = 0; shift < 64 && *at < end; shift += 7) {
        uint8_t byte = bytes.data[(*at)++];
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            return true;
        }
    }
    return false;
}

static size_t write_varint(uint8_t *to, uint64_t value) {
    size_t size = 0;
    for (; value >= 0x80; value >>= 7) {
        to[size++] = (uint8_t)(value | 0x80);
    }
    to[size++] = (uint8_t)value;
    return size;
}

static bool read_field(struct span bytes, size_t at, size_t end, struct field *field) {
    uint64_t tag, size = 0;
    field->start = at;
    if (!read_varint(bytes, &at, end, &tag)) {
        return false;
    }
    field->number = (unsigned)(tag >> 3);
    field->wire = (unsigned)(tag & 7);
    if (field->wire == WIRE_BYTES && !read_varint(bytes, &at, end, &size)) {
        return false;
    }
    field->value = at;
    if (field->wire == WIRE_VARINT) {
        uint64_t ignored;
        if (!read_varint(bytes, &at, end, &ignored)) {
            return false;
        }
    } else if (field->wire == WIRE_FIXED64) {
        size = 8;
    } else if (field->wire == WIRE_FIXED32) {
        size = 4;
    } else if (field->wire != WIRE_BYTES) {
        return false;
    }
    if (size > end - at) {
        return false;
    }
    field->end = at + (size_t)size;
    return true;
}

/* Lists the fields of all messages, outer before inner. */
static void walk(struct span bytes, size_t at, size_t end, int parent, int depth,
                 const ProtobufCMessageDescriptor *type, struct fields *fields) {
    while (at < end && fields->count < FIELDS_MAX) {
        int index = fields->count;
        struct field *field = &fields->items[index];
        *field = (struct field){.parent = parent, .of = type};
        if (!read_field(bytes, at, end, field)) {
            return;
        }
        field->says = protobuf_c_message_descriptor_get_field(type, field->number);
        fields->count++;
        at = field->end;
        if (field->wire == WIRE_BYTES && field->says != NULL && depth < DEPTH_MAX &&
            field->says->type == PROTOBUF_C_TYPE_MESSAGE) {
            walk(bytes, field->value, field->end, index, depth + 1,
                 field->says->descriptor, fields);
        }
    }
}

/* Puts `piece` in the place of [from, to), which lies in `parent`'s value, and mends the
 * lengths around it.  Returns the new size, 0 where there is no room. */
static size_t splice(uint8_t *data, size_t size, size_t room, const struct fields *fields,
                     int parent, size_t from, size_t to, struct span piece) {
    static uint8_t made[SIZE_LARGEST + 64];
    size_t made_size = piece.size;
    if (size + piece.size + 16 * DEPTH_MAX > SIZE_LARGEST) {
        return 0;
    }
    if (piece.size > 0) {
        memcpy(made, piece.data, piece.size);
    }
    for (;; parent = fields->items[parent].parent) {
        const struct field *around = parent < 0 ? NULL : &fields->items[parent];
        size_t begin = around == NULL ? 0 : around->value;
        size_t end = around == NULL ? size : around->end;
        size_t before = from - begin, head = 0;
        uint8_t length[24];
        if (around != NULL) {
            head = write_varint(length, (uint64_t)around->number << 3 | WIRE_BYTES);
            head += write_varint(length + head, before + made_size + (end - to));
        }
        memmove(made + head + before, made, made_size);
        memcpy(made, length, head);
        memcpy(made + head, data + begin, before);
        memcpy(made + head + before + made_size, data + to, end - to);
        made_size += head + before + (end - to);
        if (around == NULL) {
            break;
        }
        from = around->start;
        to = around->end;
    }
    if (made_size > room) {
        return 0;
    }
    memcpy(data, made, made_size);
    return made_size;
}

/* A tag and a number, of those that limits are tried with. */
static size_t number_piece(uint8_t *piece, unsigned number, uint64_t old,
                           unsigned *state) {
    static const int64_t tried[] = {
        0,
        1,
        2,
        3,
        4,
        5,
        7,
        8,
        10,
        11,
        13,
        16,
        18,
        24,
        -1,
        -2,
        127,
        128,
        255,
        256,
        4096,
        65535,
        1 << 20,
        INT32_MAX,
        INT32_MIN,
        UINT32_MAX,
        INT64_MAX,
        INT64_MIN,
        1LL << 32,
        1LL << 62,
        -(1LL << 62),
    };
    unsigned choice = next_random(state) % 4;
    uint64_t value = old;
    size_t size = write_varint(piece, (uint64_t)number << 3 | WIRE_VARINT);
    if (choice == 0) {
        value = (uint64_t)tried[next_random(state) % ARRAY_COUNT(tried)];
    } else if (choice == 1) {
        value = next_random(state) % 30;
    } else if (choice == 2) {
        value = old + next_random(state) % 5 - 2;
    } else {
        value = 0 - old;
    }
    return size + write_varint(piece + size, value);
}

/* A field of the same message type (and number, if `same`) in `from`, or NULL. */
static const struct field *similar(const struct fields *from, const struct field *field,
                                   bool same, unsigned *state) {
    int start = from->count == 0 ? 0 : (int)(next_random(state) % (unsigned)from->count);
    for (int i = 0; i < from->count; i++) {
        const struct field *found = &from->items[(start + i) % from->count];
        if (found->of == field->of && found != field &&
            (!same || found->number == field->number)) {
            return found;
        }
    }
    return NULL;
}

static bool is_leaf(const struct field *field) {
    return field->says == NULL || field->says->type != PROTOBUF_C_TYPE_MESSAGE;
}

static size_t bytes_piece(uint8_t *piece, unsigned number, struct span bytes) {
    size_t head = write_varint(piece, (uint64_t)number << 3 | WIRE_BYTES);
    head += write_varint(piece + head, bytes.size);
    memmove(piece + head, bytes.data, bytes.size);
    return head + bytes.size;
}

static size_t word_piece(uint8_t *piece, unsigned number, const struct mutate_kind *kind,
                         unsigned *state) {
    return bytes_piece(piece, number,
                       span_text(kind->words[next_random(state) % kind->word_count]));
}

static size_t fixed_piece(uint8_t *piece, unsigned number, unsigned wire,
                          unsigned *state) {
    static const double tried[] = {0.0, -0.0, 1.0, -1.0, 0.5, 1e-30, 1e30, -1e30};
    size_t head = write_varint(piece, (uint64_t)number << 3 | wire);
    double wide = tried[next_random(state) % ARRAY_COUNT(tried)];
    float narrow = (float)wide;
    bool whole = wire == WIRE_FIXED64;
    memcpy(piece + head, whole ? (void *)&wide : (void *)&narrow, whole ? 8 : 4);
    return head + (whole ? 8 : 4);
}

/* Any field that a message of the type may have; a message has some in it, in turn. */
static size_t make_field(uint8_t *piece, const ProtobufCMessageDescriptor *of,
                         const struct mutate_kind *kind, int depth, unsigned *state) {
    const ProtobufCFieldDescriptor *says = &of->fields[next_random(state) % of->n_fields];
    uint8_t made[MADE_SIZE_MAX];
    size_t size = 0;
    if (says->type == PROTOBUF_C_TYPE_STRING || says->type == PROTOBUF_C_TYPE_BYTES) {
        return word_piece(piece, says->id, kind, state);
    }
    if (says->type == PROTOBUF_C_TYPE_FLOAT || says->type == PROTOBUF_C_TYPE_DOUBLE) {
        bool whole = says->type == PROTOBUF_C_TYPE_DOUBLE;
        return fixed_piece(piece, says->id, whole ? WIRE_FIXED64 : WIRE_FIXED32, state);
    }
    if (says->type != PROTOBUF_C_TYPE_MESSAGE) {
        return number_piece(piece, says->id, next_random(state) % 16, state);
    }
    for (unsigned left = next_random(state) % 4; depth < MADE_DEPTH_MAX && left > 0;
         left--) {
        uint8_t one[MADE_SIZE_MAX];
        size_t more = make_field(one, says->descriptor, kind, depth + 1, state);
        if (size + more + 16 > sizeof(made)) {
            break;
        }
        memcpy(made + size, one, more);
        size += more;
    }
    return bytes_piece(piece, says->id, span_of(made, size));
}

/* The value of a leaf changed, with its tag.  0 where that cannot be. */
static size_t change_leaf(const uint8_t *data, const struct field *field,
                          const struct mutate_kind *kind, uint8_t *piece,
                          unsigned *state) {
    size_t size = field->end - field->value, at = field->value;
    size_t head = 0;
    static uint8_t value[SIZE_LARGEST];
    uint64_t old;
    if (field->wire == WIRE_VARINT) {
        (void)read_varint(span_of(data, field->end), &at, field->end, &old);
        return number_piece(piece, field->number, old, state);
    }
    if (size > SIZE_LARGEST / 4) {
        return 0;
    }
    if (field->says != NULL && field->says->type == PROTOBUF_C_TYPE_STRING &&
        next_random(state) % 2 == 0) {
        return word_piece(piece, field->number, kind, state);
    }
    memcpy(value, data + field->value, size);
    if (field->wire == WIRE_BYTES) {
        size = LLVMFuzzerMutate(value, size, size + 64);
        return bytes_piece(piece, field->number, span_of(value, size));
    }
    (void)LLVMFuzzerMutate(value, size, size);
    head = write_varint(piece, (uint64_t)field->number << 3 | field->wire);
    memcpy(piece + head, value, size);
    return head + size;
}

static struct span whole(struct span bytes, const struct field *field) {
    return span_of(bytes.data + field->start, field->end - field->start);
}

size_t mutate_proto(uint8_t *data, size_t size, size_t room, struct span other,
                    const struct mutate_kind *kind, unsigned seed) {
    static struct fields fields, others;
    static uint8_t piece[SIZE_LARGEST];
    struct span bytes = span_of(data, size), found = span_of(NULL, 0), from = bytes;
    const struct fields *source = &fields;
    const struct field *field, *like;
    unsigned state = seed, choice;
    fields.count = others.count = 0;
    walk(bytes, 0, size, -1, 0, kind->type, &fields);
    if (fields.count == 0) {
        return 0;
    }
    if (other.size > 0) {
        walk(other, 0, other.size, -1, 0, kind->type, &others);
        source = &others;
        from = other;
    }
    field = &fields.items[next_random(&state) % (unsigned)fields.count];
    choice = next_random(&state) % 18;
    for (int i = 0; choice < 8 && i < 16 && !is_leaf(field); i++) {
        field = &fields.items[next_random(&state) % (unsigned)fields.count];
    }
    if (choice < 5 && is_leaf(field)) { /* another value */
        size_t made = change_leaf(data, field, kind, piece, &state);
        return made == 0 ? 0
                         : splice(data, size, room, &fields, field->parent, field->start,
                                  field->end, span_of(piece, made));
    }
    if (choice >= 16) { /* one that need not be like any */
        size_t made = make_field(piece, field->of, kind, 0, &state);
        return splice(data, size, room, &fields, field->parent, field->end, field->end,
                      span_of(piece, made));
    }
    like = similar(source, field, choice < 12, &state);
    if (like != NULL) {
        found = whole(from, like);
    }
    if (found.size > SIZE_LARGEST / 4) {
        return 0;
    }
    if (found.size > 0) { /* `from` may be `data`, which changes */
        memcpy(piece, found.data, found.size);
        found = span_of(piece, found.size);
    }
    if (choice < 10) { /* the value of one like it */
        return like == NULL ? 0
                            : splice(data, size, room, &fields, field->parent,
                                     field->start, field->end, found);
    }
    if (choice < 14) { /* one more beside it */
        return like == NULL ? 0
                            : splice(data, size, room, &fields, field->parent,
                                     field->start, field->start, found);
    }
    return splice(data, size, room, &fields, field->parent, field->start, field->end,
                  span_of(NULL, 0));
}
