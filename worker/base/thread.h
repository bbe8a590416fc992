/* thread.h - the name a thread goes by in top -H, perf and debuggers.
 *
 * Depends on: nothing.  Threads: any, for itself. */
#ifndef MILLRACE_BASE_THREAD_H
#define MILLRACE_BASE_THREAD_H

/* Names the calling thread; Linux keeps 15 bytes. */
void thread_name(const char *name);

#endif
