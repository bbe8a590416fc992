/* cpu.c - see cpu.h. */
#include "base/cpu.h"

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <xmmintrin.h>
#endif

#include "base/compiler.h"

static const char *const level_names[] = {
    [CPU_PORTABLE] = "portable", [CPU_AVX2] = "avx2", [CPU_AVX512] = "avx512",
    [CPU_VNNI] = "vnni",         [CPU_AMX] = "amx",
};
_Static_assert(ARRAY_COUNT(level_names) == CPU_LEVEL_COUNT, "every level has a name");

#if defined(__x86_64__)
/* Linux gives tiles, which are much to save, to processes that ask for them.  Not every
 * compiler can ask for the feature by name. */
static bool has_tiles(void) {
    enum {
        LEAF = 7,
        AMX_INT8 = 1 << 25, /* in EDX */
        REQUEST = 0x1023,   /* ARCH_REQ_XCOMP_PERM */
        TILE_DATA = 18,     /* XFEATURE_XTILEDATA */
    };
    unsigned a, b, c, d;
    return __get_cpuid_count(LEAF, 0, &a, &b, &c, &d) != 0 && (d & AMX_INT8) != 0 &&
           syscall(SYS_arch_prctl, REQUEST, TILE_DATA) == 0;
}
#endif

static enum cpu_level detect(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
        return CPU_PORTABLE;
    }
#if defined(CPU_AVX512_EMULATED)
    return CPU_AVX512;
#endif
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl")) {
        return CPU_AVX2;
    }
    if (!__builtin_cpu_supports("avx512vnni")) {
        return CPU_AVX512;
    }
    return has_tiles() ? CPU_AMX : CPU_VNNI;
#else
    return CPU_PORTABLE;
#endif
}

enum cpu_level cpu_level(void) {
    enum cpu_level best = detect();
    const char *wanted = getenv("MILLRACE_CPU");
    if (wanted == NULL) {
        return best;
    }
    for (int level = 0; level < (int)best; level++) {
        if (strcmp(wanted, level_names[level]) == 0) {
            return (enum cpu_level)level;
        }
    }
    return best;
}

const char *cpu_level_name(enum cpu_level level) {
    return level_names[level];
}

unsigned cpu_flush_tiny(void) {
#if defined(__x86_64__)
    const unsigned state = _mm_getcsr();
    _mm_setcsr(state | _MM_FLUSH_ZERO_ON);
    return state;
#else
    return 0;
#endif
}

void cpu_restore(unsigned state) {
#if defined(__x86_64__)
    _mm_setcsr(state);
#else
    (void)state;
#endif
}

int cpu_count(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) != 0) {
        return 1;
    }
    return CPU_COUNT(&set) > 0 ? CPU_COUNT(&set) : 1;
}
