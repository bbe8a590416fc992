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
/* For the innermost loops, whose constant arguments must reach the compiler. */
#define ALWAYS_INLINE static inline __attribute__((always_inline))
/* For what is rare: the common way then keeps few registers. */
#define NEVER_INLINE __attribute__((noinline))
/* A type of so many bytes in one register, wherever they stand, of whatever type. */
#define VECTOR(size) __attribute__((vector_size(size), aligned(1), may_alias))
/* A function for an instruction set, and whether this processor has it (x86-64). */
#define TARGET(set) __attribute__((target(set)))
#define CPU_HAS(set) __builtin_cpu_supports(set)
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
/* Memory that is soon read; any address does, NULL too. */
#define PREFETCH(at) __builtin_prefetch(at)
/* Zero bits below the lowest 1 of a 64-bit number that is not 0. */
#define TRAILING_ZEROS(x) __builtin_ctzll(x)

#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* One cache line; data written by different threads is kept this far apart. */
#define CACHE_LINE 64
#define CACHE_ALIGNED __attribute__((aligned(CACHE_LINE)))

#endif
