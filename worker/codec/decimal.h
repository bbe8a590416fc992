/* decimal.h - Avro's decimals: big-endian two's complement and a scale.
 *
 * Depends on: base/span.h.  Ownership: nothing is kept.  Threads: pure. */
#ifndef MILLRACE_CODEC_DECIMAL_H
#define MILLRACE_CODEC_DECIMAL_H

#include "base/span.h"

/* The number as a double, to nearest for up to 15 digits, else within a few units of the
 * last place.  No bytes are 0. */
double decimal_real(struct span bytes, int scale);

#endif
