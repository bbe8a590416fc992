/* compiler.h - the few compiler attributes we use, under names of our own.
 *
 * Depends on: nothing.  Threads: macros only. */
#ifndef MILLRACE_BASE_COMPILER_H
#define MILLRACE_BASE_COMPILER_H

#include <stddef.h>

/* The caller must look at the result; ignoring one needs (void) and a reason. */
#define MUST_CHECK __attribute__((warn_unused_result))
/* Argument `fmt` is a printf format, its arguments start at `args`. */
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define NORETURN __attribute__((noreturn))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* One cache line; data written by different threads is kept this far apart. */
#define CACHE_LINE 64
#define CACHE_ALIGNED __attribute__((aligned(CACHE_LINE)))

#endif
