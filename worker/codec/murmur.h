/* murmur.h - MurmurHash3 (Austin Appleby, public domain), its x86 32-bit form.
 *
 * The hash of scikit-learn's murmurhash3_32 and FeatureHasher, so that features which
 * were hashed in training can be hashed here.
 *
 * Depends on: base/span.h.  Ownership: nothing is kept.  Threads: pure. */
#ifndef MILLRACE_CODEC_MURMUR_H
#define MILLRACE_CODEC_MURMUR_H

#include "base/span.h"

uint32_t murmur32(struct span text, uint32_t seed);

#endif
