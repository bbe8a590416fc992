/* utf8.h - strings from outside: whether they are UTF-8, and how an error may show them.
 *
 * Depends on: base/span.h.  Ownership: nothing is kept.  Threads: pure. */
#ifndef MILLRACE_CODEC_UTF8_H
#define MILLRACE_CODEC_UTF8_H

#include "base/span.h"

/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing past U+10FFFF. */
bool utf8_valid(struct span text);

/* A name made fit for an error text: printable ASCII, others as '?', cut to 64 bytes with
 * "..." behind.  Returns `shown`. */
#define UTF8_SHOWN_SIZE 68 /* bytes with the dots and the final 0 */
const char *utf8_show(struct span name, char shown[UTF8_SHOWN_SIZE]);

#endif
