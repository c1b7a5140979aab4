#include "otoroshictl/tunnel/reconnect.h"

static int64_t at_least(int64_t pause_us, int64_t retry_after_us)
{
    if (retry_after_us > RECONNECT_RETRY_AFTER_MAX_US)
        retry_after_us = RECONNECT_RETRY_AFTER_MAX_US;
    return pause_us < retry_after_us ? retry_after_us : pause_us;
}

/* The pause with up to a fifth more or less. */
static int64_t with_jitter(int64_t pause_us, uint32_t random)
{
    int64_t fifth = pause_us / 5;
    return pause_us - fifth + (int64_t)((double)random / UINT32_MAX * (double)(2 * fifth));
}

static int64_t doubled(int64_t pause_us, const struct reconnect_policy *policy)
{
    if (pause_us == 0)
        return policy->delay_us;
    return pause_us > policy->max_delay_us / 2 ? policy->max_delay_us : pause_us * 2;
}

int64_t reconnect_pause(struct reconnect *state, const struct reconnect_policy *policy,
                        const struct reconnect_event *event)
{
    if (event->lifetime_us >= RECONNECT_LASTED_US) {
        state->last_pause_us = 0;
        return at_least((int64_t)(event->random % RECONNECT_AT_ONCE_US), event->retry_after_us);
    }
    if (policy->max_delay_us <= policy->delay_us)
        return at_least(policy->delay_us, event->retry_after_us);
    state->last_pause_us = doubled(state->last_pause_us, policy);
    return at_least(with_jitter(state->last_pause_us, event->random), event->retry_after_us);
}
