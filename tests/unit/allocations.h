/* allocations.h - counts what the test's own thread allocates, where no sanitizer has a
 * malloc of its own: COUNTS_ALLOCATIONS is defined then.
 *
 * Included once in a program.  No asserts between two readings: Check allocates, too. */
#ifndef MILLRACE_TESTS_UNIT_ALLOCATIONS_H
#define MILLRACE_TESTS_UNIT_ALLOCATIONS_H

#include <stdlib.h>

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define COUNTS_ALLOCATIONS 1
/* glibc's own, behind the names below. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t align, size_t size);

static _Thread_local volatile long allocations;

void *malloc(size_t size) {
    allocations++;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    allocations++;
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size) {
    allocations++;
    return __libc_realloc(memory, size);
}

void *aligned_alloc(size_t align, size_t size) {
    allocations++;
    return __libc_memalign(align, size);
}

int posix_memalign(void **memory, size_t align, size_t size) {
    allocations++;
    *memory = __libc_memalign(align, size);
    return *memory == NULL ? 12 : 0;
}
#endif

#endif
