/* tensors.h - the Tensor records that jobs and results have in common.
 *
 * Inside the codec layer only: job.h and result.h are what others use.
 *
 * Depends on: codec/reader.h, codec/job.h for struct job_tensor.
 * Ownership: what is read borrows from the message.
 * Threads: pure functions. */
#ifndef MILLRACE_CODEC_TENSORS_H
#define MILLRACE_CODEC_TENSORS_H

#include "codec/job.h"
#include "codec/reader.h"

/* Encoded bytes of one item of an array; of a varint or a string the least it can be. */
size_t tensors_item_size(enum job_data kind);

/* Reads an array of that kind, validates each item, and notes in `x` kind, count, data
 * and whether it is contiguous. */
MUST_CHECK bool tensors_read_array(struct reader *r, enum job_data kind,
                                   struct job_tensor *x);

/* Reads an array of Tensor records, `list` being its name in error paths, into `tensors`
 * of JOB_INPUTS_MAX entries.  Every item is walked over; no name may come twice. */
MUST_CHECK bool tensors_read(struct reader *r, const char *list,
                             struct job_tensor *tensors, int *count);

/* A map of strings within the limits for headers: its encoded bytes, and the value of the
 * last that is called `name`, which is empty where there is none. */
MUST_CHECK bool tensors_read_headers(struct reader *r, struct span *headers,
                                     const char *name, struct span *named);

/* A string, or data NULL for null. */
MUST_CHECK bool tensors_read_optional(struct reader *r, size_t size_max,
                                      struct span *text);

/* Most bytes that tensors_write needs; string contents are counted. */
size_t tensors_size_max(struct span name, const struct tensor *x);

/* Writes one Tensor record and returns the place behind it. */
uint8_t *tensors_write(uint8_t *to, struct span name, const struct tensor *x);

#endif
