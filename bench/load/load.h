/* The load: clients, each with a UDP socket of its own and a number of requests in flight, which
 * send a new request for each that was answered or given up. */
#ifndef BENCH_LOAD_LOAD_H
#define BENCH_LOAD_LOAD_H

#include <stdint.h>
#include <sys/types.h>

#include "latency.h"
#include "process.h"

struct load_config {
    uint16_t port; /* of 127.0.0.1: where the requests go */
    uint32_t clients;
    uint32_t window; /* requests in flight of each */
    uint32_t payload_bytes;
    int64_t warm_up_ns; /* before counting begins */
    int64_t duration_ns;
    int64_t patience_ns; /* a request unanswered for this long is given up */
    pid_t pid;           /* whose use of the processor is read; 0: nobody's */
};

/* What is counted, by the name it is printed with. */
#define LOAD_COUNTS(ROW)                                                         \
    ROW(sent)      /* requests */                                                \
    ROW(right)     /* first answers to a client's own outstanding request */     \
    ROW(wrong)     /* answers to another client's request */                     \
    ROW(duplicate) /* further answers to a request that has had one */           \
    ROW(late)      /* first answers to a request that had been given up */       \
    ROW(lost)      /* requests given up */                                       \
    ROW(damaged)   /* datagrams that are no answer to any request of this run */ \
    ROW(refused)   /* requests that the kernel did not take; they count as sent */

struct load_result {
#define LOAD_FIELD(name) uint64_t name;
    LOAD_COUNTS(LOAD_FIELD)
#undef LOAD_FIELD
    int64_t measured_ns;
    struct latency latency;    /* of right answers */
    struct process_usage used; /* cpu_us: while measuring; where `pid` is 0, or gone, zeros */
};

/* Returns -1, with errno, where there are not enough descriptors or memory. */
int load_run(const struct load_config *config, struct load_result *result);

#endif
