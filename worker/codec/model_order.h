/* model_order.h - a record of the control topic: which file a model is to serve from.
 *
 *     {"model": "digits", "path": "digits/7.onnx", "version": "7", "sha256": "02d1..."}
 *
 * JSON, all texts; `sha256` of the file may be left out, and nothing else may be there.
 *
 * Depends on: base/.
 * Ownership: plain data.
 * Threads: pure. */
#ifndef MILLRACE_CODEC_MODEL_ORDER_H
#define MILLRACE_CODEC_MODEL_ORDER_H

#include "base/span.h"
#include "base/status.h"

#define MODEL_ORDER_SIZE_MAX 16384 /* bytes of a record */

struct model_order {
    char model[129];
    char path[1025]; /* below the control folder: not absolute, no ".." in it */
    char version[129];
    char sha256[65]; /* 64 hexadecimal digits, or "" */
};

/* STATUS_POISON says what is wrong, without repeating what the record holds. */
MUST_CHECK enum status model_order_parse(struct span value, struct model_order *order,
                                         struct error *err);

#endif
