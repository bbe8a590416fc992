/* kernels.c - see kernels.h. */
#include "engine/kernels/kernels.h"

#include <assert.h>
#include <stdatomic.h>

#include "base/compiler.h"

static const struct kernels *const tables[] = {
    [CPU_PORTABLE] = &kernels_portable,
#if defined(__x86_64__)
    [CPU_AVX2] = &kernels_avx2,         [CPU_AVX512] = &kernels_avx512,
    [CPU_VNNI] = &kernels_vnni,         [CPU_AMX] = &kernels_amx,
#endif
};
#if defined(__x86_64__)
_Static_assert(ARRAY_COUNT(tables) == CPU_LEVEL_COUNT, "every level has its kernels");
#endif

/* Threads that find it empty together all store the same. */
static _Atomic(const struct kernels *) current;

const struct kernels *kernels_current(void) {
    const struct kernels *kernels = atomic_load_explicit(&current, memory_order_relaxed);
    if (UNLIKELY(kernels == NULL)) {
        kernels_select(cpu_level());
        kernels = atomic_load_explicit(&current, memory_order_relaxed);
    }
    return kernels;
}

void kernels_select(enum cpu_level level) {
    assert((size_t)level < ARRAY_COUNT(tables));
    atomic_store_explicit(&current, tables[level], memory_order_relaxed);
}
