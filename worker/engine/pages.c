/* pages.c - see pages.h. */
#include "engine/pages.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/size.h"

#define HUGE_SIZE ((size_t)2 << 20)
/* Below this, what lies around the huge pages inside would be most of it. */
#define LARGE_SIZE_MIN (2 * HUGE_SIZE)

void *pages_alloc(size_t size) {
    void *memory = aligned_alloc(64, size);
    if (memory != NULL && size >= LARGE_SIZE_MIN) {
        uint8_t *begin = memory;
        size_t skip = size_align((uintptr_t)memory, HUGE_SIZE) - (uintptr_t)memory;
        size_t whole = (size - skip) & ~(HUGE_SIZE - 1);
        (void)madvise(begin + skip, whole, MADV_HUGEPAGE); /* advice */
    }
    return memory;
}

void pages_forget(void *data, size_t size) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *begin = data;
    size_t skip = size_align((uintptr_t)data, page) - (uintptr_t)data;
    if (size > skip && ((size - skip) & ~(page - 1)) > 0) {
        (void)madvise(begin + skip, (size - skip) & ~(page - 1), MADV_DONTNEED);
    }
}
