#include "latency.h"

#include <stddef.h>

/* Below 2 * LATENCY_STEPS a bucket holds one value; above, each doubling has LATENCY_STEPS. */
static size_t bucket_of(uint64_t ns)
{
    unsigned shift = 0;

    while (ns >> shift >= 2 * (uint64_t)LATENCY_STEPS)
        shift++;
    const size_t bucket = (size_t)shift * LATENCY_STEPS + (size_t)(ns >> shift);
    return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

/* The largest value that belongs there. */
static int64_t bucket_end(size_t bucket)
{
    if (bucket < 2 * (size_t)LATENCY_STEPS)
        return (int64_t)bucket;
    const size_t shift = bucket / LATENCY_STEPS - 1;
    return (int64_t)(((uint64_t)(bucket - shift * LATENCY_STEPS) + 1) << shift) - 1;
}

void latency_add(struct latency *latency, int64_t ns)
{
    const int64_t counted = ns > 0 ? ns : 0;

    latency->buckets[bucket_of((uint64_t)counted)]++;
    latency->count++;
    if (counted > latency->max_ns)
        latency->max_ns = counted;
}

int64_t latency_quantile_ns(const struct latency *latency, double share)
{
    const double wanted = share * (double)latency->count;
    uint64_t passed = 0;

    for (size_t i = 0; i < LATENCY_BUCKETS; i++) {
        passed += latency->buckets[i];
        if (passed > 0 && (double)passed >= wanted)
            return bucket_end(i) < latency->max_ns ? bucket_end(i) : latency->max_ns;
    }
    return latency->max_ns;
}
