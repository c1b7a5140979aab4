/* A place for one request in flight: which attempt is outstanding, and what became of the attempts
 * before it. Pure: the clock is a parameter. */
#ifndef BENCH_LOAD_SLOT_H
#define BENCH_LOAD_SLOT_H

#include <stdbool.h>
#include <stdint.h>

/* All zero before the first attempt. */
struct slot {
    int64_t sent_ns;
    uint64_t answered; /* bit n: attempt - 1 - n was answered, in time or late */
    uint32_t attempt;
    bool waiting;
};

enum slot_answer {
    SLOT_RIGHT,     /* the outstanding attempt's; it is outstanding no longer */
    SLOT_DUPLICATE, /* of an attempt that has had its answer */
    SLOT_LATE,      /* of one that was given up, or is more than 64 attempts old */
};

/* The next attempt; one that is still outstanding is given up. */
void slot_start(struct slot *slot, int64_t now_ns);

enum slot_answer slot_answered(struct slot *slot, uint32_t attempt);

/* Has the outstanding attempt waited for this long? */
bool slot_overdue(const struct slot *slot, int64_t now_ns, int64_t patience_ns);

#endif
