/* How long to wait before the next attempt to connect: a pure function of what happened. */
#ifndef OTOROSHICTL_TUNNEL_RECONNECT_H
#define OTOROSHICTL_TUNNEL_RECONNECT_H

#include <stdint.h>

enum {
    RECONNECT_LASTED_US = 5 * 1000 * 1000, /* a connection that lived this long was a good one */
    RECONNECT_AT_ONCE_US = 250 * 1000,     /* jitter of an attempt "at once" is below this */
    RECONNECT_RETRY_AFTER_MAX_US = 60 * 1000 * 1000,
};

struct reconnect_policy {
    int64_t delay_us;
    int64_t max_delay_us; /* where larger than delay_us the pause doubles up to it */
};

/* All zero at the start. */
struct reconnect {
    int64_t last_pause_us; /* 0: no failure since the last good connection */
};

struct reconnect_event {
    int64_t lifetime_us;    /* how long the connection was up; 0 where it never was */
    int64_t retry_after_us; /* what the gateway asked for, 0 if nothing */
    uint32_t random;        /* uniformly distributed */
};

/* The pause before the next attempt, in microseconds:
 * - after a connection that lasted RECONNECT_LASTED_US: jitter below RECONNECT_AT_ONCE_US;
 * - else the delay, doubling with 20 % of jitter either way where the policy lets it grow;
 * - never less than retry_after_us, of which at most RECONNECT_RETRY_AFTER_MAX_US count. */
int64_t reconnect_pause(struct reconnect *state, const struct reconnect_policy *policy,
                        const struct reconnect_event *event);

#endif
