/* cpu.h - what this processor can do, found once.
 *
 * Depends on: nothing.  Threads: any. */
#ifndef MILLRACE_BASE_CPU_H
#define MILLRACE_BASE_CPU_H

/* Ordered: a level includes those below it. */
enum cpu_level {
    CPU_PORTABLE, /* plain C */
    CPU_AVX2,     /* x86-64 with AVX2, FMA and F16C */
    CPU_AVX512,   /* and AVX-512 F, BW, DQ, VL */
    CPU_VNNI,     /* and AVX-512 VNNI: products of bytes */
    CPU_AMX,      /* and AMX: products of tiles of bytes */
    CPU_LEVEL_COUNT
};

/* The best level of this processor and operating system, lowered by the variable
 * MILLRACE_CPU (portable, avx2, avx512, vnni or amx) where it is set, for tests. */
enum cpu_level cpu_level(void);

/* "portable", "avx2", "avx512", "vnni", "amx". */
const char *cpu_level_name(enum cpu_level level);

/* From here on this thread's floating-point results that are too small for a normal
 * number are 0: each costs Intel's processors a hundred steps, and what multiplies it a
 * hundred more.  Returns what cpu_restore takes; does nothing on processors that do not
 * mind. */
unsigned cpu_flush_tiny(void);
void cpu_restore(unsigned state);

/* Processors this process may run on, at least 1 (the affinity mask counts). */
int cpu_count(void);

#endif
