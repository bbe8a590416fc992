/* mutate_proto.h - changes to serialised messages that leave them well-formed.
 *
 * Bytes changed at random seldom get behind a parser.  Here a field is found by walking
 * the message with its descriptor, changed, and the lengths around it are mended.  Fields
 * that no message has had so far are made up, texts are taken from a list of words.
 *
 * Depends on: protobuf-c's descriptors; libFuzzer's LLVMFuzzerMutate.
 * Ownership: works in the caller's buffer.  Threads: one. */
#ifndef MILLRACE_TESTS_FUZZ_MUTATE_PROTO_H
#define MILLRACE_TESTS_FUZZ_MUTATE_PROTO_H

#include <protobuf-c/protobuf-c.h>

#include "base/span.h"

/* What messages are of, and words that mean something in them. */
struct mutate_kind {
    const ProtobufCMessageDescriptor *type;
    const char *const *words;
    size_t word_count; /* at least 1 */
};

/* Changes one field of the message in data[0, size), which has room for `room` bytes;
 * takes fields from `other`, a message of the same type, where that is not empty.
 * Returns the new size, or 0 where `data` is no message with fields. */
size_t mutate_proto(uint8_t *data, size_t size, size_t room, struct span other,
                    const struct mutate_kind *kind, unsigned seed);

#endif
