/* calls.h - librdkafka's calls as the stream makes them: a program that defines one
 * itself sees what it is called with, and hands it on to the library's. */
#ifndef MILLRACE_TESTS_UNIT_STREAM_CALLS_H
#define MILLRACE_TESTS_UNIT_STREAM_CALLS_H

#include <check.h>
#include <dlfcn.h>

/* The library's own function.  ISO C has no conversion from dlsym's object pointer to a
 * function's; POSIX promises that this one works. */
#define CALLS_REAL(function, name)                             \
    do {                                                       \
        void *library_ = dlopen("librdkafka.so.1", RTLD_LAZY); \
        ck_assert_ptr_nonnull(library_);                       \
        *(void **)(void *)&(function) = dlsym(library_, name); \
        ck_assert((function) != NULL);                         \
    } while (0)

#endif
