/* A histogram of times in nanoseconds, exact to 1/64 of the value, of fixed size. */
#ifndef BENCH_LOAD_LATENCY_H
#define BENCH_LOAD_LATENCY_H

#include <stdint.h>

enum {
    LATENCY_STEPS = 64, /* to each doubling */
    LATENCY_DOUBLINGS = 38,
    LATENCY_BUCKETS = LATENCY_STEPS * LATENCY_DOUBLINGS, /* up to 2.4 hours */
};

/* All zero at the start. */
struct latency {
    uint64_t buckets[LATENCY_BUCKETS];
    uint64_t count;
    int64_t max_ns;
};

/* Negative counts as zero, what is too long into the last bucket. */
void latency_add(struct latency *latency, int64_t ns);

/* The time that `share` (0 to 1) of all did not pass; 0 where there are none. */
int64_t latency_quantile_ns(const struct latency *latency, double share);

#endif
