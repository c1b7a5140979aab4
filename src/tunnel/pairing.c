#include "otoroshictl/tunnel/pairing.h"

#include <stddef.h>

/* A window that Otoroshi would never let run full is a promise that the gateway is another one,
 * which pairs by content. */
bool pairing_by_position(const struct pairing_rules *rules)
{
    return rules->window != 0 && rules->window <= PAIRING_LABELS_MAX;
}

static void rules_for_pool(struct pairing_rules *rules)
{
    if (!pairing_by_position(rules))
        return;
    if (rules->window > PAIRING_WINDOW_SEVERAL)
        rules->window = PAIRING_WINDOW_SEVERAL;
    rules->credits = PAIRING_CREDITS_POOL;
}

static void rules_for_client(struct pairing_rules *rules)
{
    rules->only_full = true;
    if (pairing_by_position(rules))
        rules->credits = PAIRING_CREDITS_CLIENT;
}

struct pairing_rules pairing_rules_of(const struct tunnel_config *config)
{
    struct pairing_rules rules = {.window = config->window,
                                  .one_way = config->one_way,
                                  .reply_timeout_us = config->reply_timeout_us};
    if (!config->one_way && config->connections == CONNECTIONS_POOL)
        rules_for_pool(&rules);
    if (config->connections == CONNECTIONS_PER_CLIENT)
        rules_for_client(&rules);
    return rules;
}

void pairing_init(struct pairing *pairing, uint32_t generation)
{
    *pairing = (struct pairing){.generation = generation};
}

static uint32_t share_of(const struct pairing *pairing, const struct pairing_share *share)
{
    return share->generation == pairing->generation ? share->unanswered : 0;
}

/* Clients that would wait once one more datagram of this client has gone. */
static uint32_t waiting_with(const struct pairing *pairing, const struct pairing_share *share)
{
    return pairing->waiting_clients + (share_of(pairing, share) == 0 ? 1 : 0);
}

static uint32_t window_for(uint32_t waiting_clients, const struct pairing_rules *rules)
{
    uint32_t alone = rules->window == 0 ? UINT32_MAX : rules->window;
    if (waiting_clients < 2 || !pairing_by_position(rules) || alone < PAIRING_WINDOW_SEVERAL)
        return alone;
    return PAIRING_WINDOW_SEVERAL;
}

/* No label is left, although datagrams may be few: the rest are credits. */
static bool labels_full(const struct pairing *pairing, const struct pairing_rules *rules)
{
    return pairing_by_position(rules) &&
           pairing->unanswered + pairing->credits >= PAIRING_LABELS_MAX;
}

enum pairing_verdict pairing_judge(const struct pairing *pairing, const struct pairing_share *share,
                                   const struct pairing_rules *rules)
{
    if (rules->one_way && rules->window != 0 && pairing->unanswered >= rules->window)
        return PAIRING_RENEW;
    if (rules->one_way)
        return PAIRING_SEND;
    if (pairing->crowded && pairing->crowded_by != share)
        return PAIRING_RENEW;
    if (labels_full(pairing, rules))
        return PAIRING_WAIT;
    return pairing->unanswered < window_for(waiting_with(pairing, share), rules) ? PAIRING_SEND
                                                                                 : PAIRING_WAIT;
}

static bool window_full(const struct pairing *pairing, const struct pairing_rules *rules)
{
    uint32_t waiting = pairing->waiting_clients + (pairing->newcomer_waits ? 1 : 0);
    return pairing->unanswered > 0 &&
           (pairing->unanswered >= window_for(waiting, rules) || labels_full(pairing, rules));
}

void pairing_sent(struct pairing *pairing, struct pairing_share *share,
                  const struct pairing_rules *rules, int64_t now_us)
{
    pairing->newcomer_waits = false;
    if (pairing->clients == 0)
        pairing->first_credits = pairing->credits;
    if (share->generation != pairing->generation) {
        *share = (struct pairing_share){.generation = pairing->generation};
        pairing->clients++;
    }
    if (share->unanswered == 0)
        pairing->waiting_clients++;
    share->unanswered++;
    if (pairing->unanswered == 0) {
        pairing->waiting_since_us = now_us;
        pairing->progress_us = now_us;
    }
    pairing->unanswered++;
    if (window_full(pairing, rules))
        pairing->progress_us = now_us;
    if (!rules->one_way && pairing_by_position(rules) &&
        share->unanswered > PAIRING_WINDOW_SEVERAL) {
        pairing->crowded = true;
        pairing->crowded_by = share;
    }
}

/* Where a server pushes fast, credits that take a round trip to be made good would run out. */
static void use_up_credit(struct pairing *pairing, const struct pairing_rules *rules,
                          int64_t now_us)
{
    if (pairing->credits > 0)
        pairing->credits--;
    if (now_us - pairing->pushed_since_us > PAIRING_PUSH_US) {
        pairing->pushed_since_us = now_us;
        pairing->pushed = 0;
    }
    pairing->pushed++;
    if (rules->only_full && pairing->pushed >= PAIRING_PUSH_COUNT)
        pairing->more_credits = PAIRING_CREDITS_MAX - PAIRING_CREDITS_CLIENT;
}

bool pairing_answered(struct pairing *pairing, struct pairing_share *share,
                      const struct pairing_rules *rules, int64_t now_us)
{
    bool known = share != NULL && share->generation == pairing->generation;

    pairing->progress_us = now_us;
    pairing->first_credits = 0; /* would have come back before */
    if (rules->one_way)
        return false;
    if (pairing->unanswered == 0) {
        use_up_credit(pairing, rules, now_us);
        return true;
    }
    /* A reply beyond what its client sent (a doubled one, through a gateway that pairs by
     * content) uses up nothing. */
    if (known && share->unanswered == 0)
        return false;
    if (known) {
        share->unanswered--;
        if (share->unanswered == 0)
            pairing->waiting_clients--;
    }
    pairing->unanswered--;
    return false;
}

uint32_t pairing_credits_due(const struct pairing *pairing, const struct pairing_rules *rules)
{
    uint32_t out = pairing->unanswered + pairing->credits;
    uint32_t wanted = rules->credits + (rules->credits > 0 ? pairing->more_credits : 0);
    if (pairing->credits >= wanted || out >= PAIRING_LABELS_MAX)
        return 0;
    uint32_t due = wanted - pairing->credits;
    return due < PAIRING_LABELS_MAX - out ? due : PAIRING_LABELS_MAX - out;
}

void pairing_credit_sent(struct pairing *pairing)
{
    pairing->credits++;
}

bool pairing_credit_may_return(const struct pairing *pairing)
{
    return pairing->first_credits > 0;
}

void pairing_credit_returned(struct pairing *pairing)
{
    if (pairing->first_credits > 0)
        pairing->first_credits--;
    if (pairing->credits > 0)
        pairing->credits--;
}

void pairing_needs_labels(struct pairing *pairing)
{
    pairing->more_credits = 0;
}

bool pairing_may_ping(const struct pairing *pairing, const struct pairing_rules *rules)
{
    return !pairing_by_position(rules) ||
           pairing->unanswered + pairing->credits < PAIRING_PING_LABELS_MAX;
}

bool pairing_waits(struct pairing *pairing, const struct pairing_share *share, int64_t now_us)
{
    if (pairing->newcomer_waits || share_of(pairing, share) > 0)
        return false;
    pairing->newcomer_waits = true;
    pairing->progress_us = now_us;
    return true;
}

void pairing_forget(struct pairing *pairing, struct pairing_share *share)
{
    if (share_of(pairing, share) > 0)
        pairing->waiting_clients--;
    if (pairing->crowded_by == share)
        pairing->crowded_by = NULL;
    *share = (struct pairing_share){0};
}

/* Where the gateway pairs by content (no window at all) a missing reply misroutes nothing; then
 * only silence tells that something is wrong, not that some datagram is always under way. */
static int64_t overdue_since(const struct pairing *pairing, const struct pairing_rules *rules)
{
    return rules->window == 0 ? pairing->progress_us : pairing->waiting_since_us;
}

enum pairing_state pairing_check(const struct pairing *pairing, const struct pairing_rules *rules,
                                 int64_t now_us)
{
    if (pairing->unanswered == 0 || rules->one_way || rules->only_full)
        return PAIRING_CLEAN;
    if (now_us >= overdue_since(pairing, rules) + rules->reply_timeout_us)
        return PAIRING_REPLY_OVERDUE;
    if (window_full(pairing, rules) && now_us >= pairing->progress_us + PAIRING_FULL_US)
        return PAIRING_STUCK;
    return PAIRING_CLEAN;
}

int64_t pairing_deadline(const struct pairing *pairing, const struct pairing_rules *rules)
{
    if (pairing->unanswered == 0 || rules->one_way || rules->only_full)
        return INT64_MAX;
    int64_t overdue = overdue_since(pairing, rules) + rules->reply_timeout_us;
    int64_t stuck =
        window_full(pairing, rules) ? pairing->progress_us + PAIRING_FULL_US : INT64_MAX;
    return overdue < stuck ? overdue : stuck;
}
