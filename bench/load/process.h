/* What another process has used, as /proc tells (proc(5)). */
#ifndef BENCH_LOAD_PROCESS_H
#define BENCH_LOAD_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct process_usage {
    int64_t cpu_us;    /* user and system, of all threads, ended ones included */
    uint64_t rss_kib;  /* resident now */
    uint64_t peak_kib; /* resident at most, since it was started */
};

/* false where there is no such process, or no permission. */
bool process_usage_read(struct process_usage *out, pid_t pid);

#endif
