/* onnx_file.h - bytes of an ONNX file, checked and unpacked.
 *
 * protobuf-c recurses with the nesting of its input and allocates what the input asks
 * for.  So the bytes are walked first, without recursion: nesting, lengths and wire
 * types must hold; and the memory protobuf-c may use is bounded by the file's size.
 *
 * It also copies what it unpacks, weights included.  So the raw data of tensors are cut
 * out first: a copy of the rest of the file, which is small, is unpacked, and has in
 * their place references to where they lie in the file (struct onnx_cut).
 *
 * Depends on: protobuf-c, base/.
 * Ownership: a struct onnx_file owns the unpacked message until released; spans and
 * texts taken from it live as long.  What cuts refer to lives until onnx_done, or as
 * long as the bytes that were given to onnx_unpack.
 * Threads: one. */
#ifndef MILLRACE_ENGINE_ONNX_FILE_H
#define MILLRACE_ENGINE_ONNX_FILE_H

#include <protobuf-c/protobuf-c.h>

#include "base/span.h"
#include "base/status.h"

#define ONNX_NESTING_MAX 64

struct onnx_file {
    ProtobufCMessage *message; /* owned */
    ProtobufCAllocator allocator;
    size_t used, limit; /* bytes allocated by protobuf-c, and the most it may */
    void *map;          /* the file, until onnx_done; NULL if it was no file */
    size_t map_size;
};

/* A field `raw_data` of more bytes than fit below ONNX_CUT_SIZE holds this instead, after
 * one byte of padding; so one of ONNX_CUT_SIZE bytes is always a reference. */
struct onnx_cut {
    const uint8_t *data; /* of any alignment */
    size_t size;
};
#define ONNX_CUT_SIZE (1 + sizeof(struct onnx_cut))

/* Scans and unpacks.  `file` is zeroed but for its map, and must stay where it is until
 * released.  STATUS_INVALID with the byte offset where `bytes` is no message of type
 * `type`. */
MUST_CHECK enum status onnx_unpack(struct onnx_file *file, struct span bytes,
                                   const ProtobufCMessageDescriptor *type,
                                   struct error *err);

/* Maps the file at `path`, at most `size_max` bytes, and unpacks it. */
MUST_CHECK enum status onnx_read(struct onnx_file *file, const char *path,
                                 size_t size_max, const ProtobufCMessageDescriptor *type,
                                 struct error *err);

/* What the cut refers to has been read: its memory may go. */
void onnx_cut_done(struct onnx_file *file, const struct onnx_cut *cut);

/* All cuts have been read. */
void onnx_done(struct onnx_file *file);

/* Accepts a zeroed file and leaves it zeroed. */
void onnx_release(struct onnx_file *file);

#endif
