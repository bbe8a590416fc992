/* process.c - see process.h. */
#include "app/process.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

static void write_head(FILE *to, const char *name, const char *type, const char *help) {
    (void)fprintf(to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void write_cpu(FILE *to) {
    struct timespec used;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) != 0) {
        return;
    }
    write_head(to, "process_cpu_seconds_total", "counter",
               "Processor time of all threads, user and system.");
    (void)fprintf(to, "process_cpu_seconds_total %lld.%06ld\n", (long long)used.tv_sec,
                  used.tv_nsec / 1000);
}

static void write_memory(FILE *to) {
    unsigned long long virtual_pages;
    unsigned long long resident_pages;
    unsigned long long page = (unsigned long long)sysconf(_SC_PAGESIZE);
    FILE *file = fopen("/proc/self/statm", "re");
    int fields;
    if (file == NULL) {
        return;
    }
    fields = fscanf(file, "%llu %llu", &virtual_pages, &resident_pages);
    (void)fclose(file); /* was only read from */
    if (fields != 2) {
        return;
    }
    write_head(to, "process_virtual_memory_bytes", "gauge", "Address space in use.");
    (void)fprintf(to, "process_virtual_memory_bytes %llu\n", virtual_pages * page);
    write_head(to, "process_resident_memory_bytes", "gauge", "Memory in use.");
    (void)fprintf(to, "process_resident_memory_bytes %llu\n", resident_pages * page);
}

static void write_files(FILE *to) {
    struct rlimit limit;
    size_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL) {
        return;
    }
    while (readdir(folder) != NULL) {
        count++;
    }
    (void)closedir(folder);
    write_head(to, "process_open_fds", "gauge", "Open file descriptors.");
    /* ".", ".." and the folder's own descriptor are not counted. */
    (void)fprintf(to, "process_open_fds %zu\n", count > 3 ? count - 3 : 0);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        write_head(to, "process_max_fds", "gauge", "Limit on open file descriptors.");
        (void)fprintf(to, "process_max_fds %llu\n", (unsigned long long)limit.rlim_cur);
    }
}

void process_write(FILE *to, int64_t start_ms) {
    write_cpu(to);
    write_memory(to);
    write_files(to);
    write_head(to, "process_start_time_seconds", "gauge",
               "When the process started, in seconds since 1970.");
    (void)fprintf(to, "process_start_time_seconds %lld.%03lld\n",
                  (long long)(start_ms / 1000), (long long)(start_ms % 1000));
}
