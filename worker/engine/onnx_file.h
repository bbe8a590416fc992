/* onnx_file.h - bytes of an ONNX file, checked and unpacked.
 *
 * protobuf-c recurses with the nesting of its input and allocates what the input asks
 * for.  So the bytes are walked first, without recursion: nesting, lengths and wire
 * types must hold; and the memory protobuf-c may use is bounded by the file's size.
 *
 * Depends on: protobuf-c, base/.
 * Ownership: a struct onnx_file owns the unpacked message until released; spans and
 * texts taken from it live as long.
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
};

/* STATUS_INVALID with the byte offset where `bytes` is no message of type `type`. */
MUST_CHECK enum status
onnx_scan(struct span bytes, const ProtobufCMessageDescriptor *type, struct error *err);

/* Scans and unpacks.  `file` must stay where it is until released. */
MUST_CHECK enum status onnx_unpack(struct onnx_file *file, struct span bytes,
                                   const ProtobufCMessageDescriptor *type,
                                   struct error *err);

/* Maps the file at `path`, at most `size_max` bytes, and unpacks it. */
MUST_CHECK enum status onnx_read(struct onnx_file *file, const char *path,
                                 size_t size_max, const ProtobufCMessageDescriptor *type,
                                 struct error *err);

/* Accepts a zeroed file and leaves it zeroed. */
void onnx_release(struct onnx_file *file);

#endif
