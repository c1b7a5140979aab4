/* Which of a WebSocket's replies a fault hits. Pure. */
#ifndef DEV_GATEWAY_FAULTS_H
#define DEV_GATEWAY_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FAULT_NUMBERS_MAX = 64 };

struct fault_schedule {
    uint64_t every; /* 0: by the numbers */
    size_t count;
    uint64_t numbers[FAULT_NUMBERS_MAX];
};

/* "3", "3,7,8" (the third, seventh and eighth reply) or "every:10". Numbers count from 1. */
bool fault_schedule_parse(struct fault_schedule *out, const char *text);

/* Does the fault hit the reply with this number, counted from 1 on its WebSocket? */
bool fault_schedule_hits(const struct fault_schedule *schedule, uint64_t number);

/* The next value of a small generator (splitmix64); `*state` starts as the seed. */
uint64_t fault_random(uint64_t *state);

#endif
