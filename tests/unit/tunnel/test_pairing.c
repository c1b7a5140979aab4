/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "otoroshictl/tunnel/pairing.h"

enum { MS = 1000, NOW_US = 1000 * 1000 * MS, REPLY_TIMEOUT_US = 5000 * MS, CLIENTS = 4 };

static const struct pairing_rules by_default = {.window = 31, .reply_timeout_us = REPLY_TIMEOUT_US};
static const struct pairing_rules unlimited = {.window = 0, .reply_timeout_us = REPLY_TIMEOUT_US};

/* A WebSocket and its clients. */
struct scene {
    struct pairing_rules rules;
    struct pairing pairing;
    struct pairing_share shares[CLIENTS];
};

static struct scene scene_of(const struct pairing_rules *rules)
{
    struct scene scene = {.rules = *rules};
    pairing_init(&scene.pairing, 1);
    return scene;
}

static enum pairing_verdict judge(const struct scene *scene, size_t client)
{
    return pairing_judge(&scene->pairing, &scene->shares[client], &scene->rules);
}

static void sent_at(struct scene *scene, size_t client, uint32_t times, int64_t at_us)
{
    for (uint32_t i = 0; i < times; i++)
        pairing_sent(&scene->pairing, &scene->shares[client], &scene->rules, at_us);
}

static void sent(struct scene *scene, size_t client, uint32_t times)
{
    sent_at(scene, client, times, NOW_US);
}

static void answered_at(struct scene *scene, size_t client, uint32_t times, int64_t at_us)
{
    for (uint32_t i = 0; i < times; i++)
        pairing_answered(&scene->pairing, &scene->shares[client], &scene->rules, at_us);
}

static void answered(struct scene *scene, size_t client, uint32_t times)
{
    answered_at(scene, client, times, NOW_US);
}

static enum pairing_state check(const struct scene *scene, int64_t at_us)
{
    return pairing_check(&scene->pairing, &scene->rules, at_us);
}

/* Sends for this client while it may; how many that were. */
static uint32_t fill(struct scene *scene, size_t client, uint32_t most)
{
    uint32_t count = 0;
    while (count < most && judge(scene, client) == PAIRING_SEND) {
        sent(scene, client, 1);
        count++;
    }
    return count;
}

/* ---- the window ----------------------------------------------------------------------------- */

static void one_client_alone_may_have_31_unanswered(void **state)
{
    (void)state;
    struct scene scene = scene_of(&by_default);
    assert_int_equal(fill(&scene, 0, 100), 31);
    assert_int_equal(judge(&scene, 0), PAIRING_WAIT);
}

static void several_clients_may_have_8_unanswered_together(void **state)
{
    (void)state;
    struct scene scene = scene_of(&by_default);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(judge(&scene, i % CLIENTS), PAIRING_SEND);
        sent(&scene, i % CLIENTS, 1);
    }
    for (size_t client = 0; client < CLIENTS; client++)
        assert_int_equal(judge(&scene, client), PAIRING_WAIT);
}

static void newcomer_waits_while_another_has_8_unanswered(void **state)
{
    (void)state;
    struct scene scene = scene_of(&by_default);
    sent(&scene, 0, 8);
    assert_int_equal(judge(&scene, 1), PAIRING_WAIT);
    assert_int_equal(judge(&scene, 0), PAIRING_SEND);
}

static void reply_makes_room(void **state)
{
    (void)state;
    struct scene scene = scene_of(&by_default);
    sent(&scene, 0, 31);
    answered(&scene, 0, 1);
    assert_int_equal(fill(&scene, 0, 100), 1);
}

static void reply_makes_room_for_another_client(void **state)
{
    (void)state;
    struct scene scene = scene_of(&by_default);
    sent(&scene, 0, 8);
    answered(&scene, 0, 1);
    assert_int_equal(judge(&scene, 1), PAIRING_SEND);
}

static void window_grows_again_when_one_client_is_left(void **state)
{
    (void)state;
    struct scene scene = scene_of(&by_default);
    sent(&scene, 0, 7);
    sent(&scene, 1, 1);
    assert_int_equal(judge(&scene, 0), PAIRING_WAIT);
    answered(&scene, 1, 1);
    assert_int_equal(fill(&scene, 0, 100), 24);
}

static void window_of_8_or_less_or_above_31_holds_for_one_and_for_several(void **state)
{
    (void)state;
    static const uint32_t windows[] = {1, 2, 4, 7, 8, 32, 64, 1024};
    for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++) {
        const struct pairing_rules rules = {.window = windows[i],
                                            .reply_timeout_us = REPLY_TIMEOUT_US};
        struct scene alone = scene_of(&rules);
        struct scene together = scene_of(&rules);
        assert_int_equal(fill(&alone, 0, 2000), windows[i]);
        assert_int_equal(judge(&alone, 1), PAIRING_WAIT);
        for (uint32_t j = 0; j < windows[i]; j++)
            assert_int_equal(fill(&together, j % CLIENTS, 1), 1);
        assert_int_equal(judge(&together, 0), PAIRING_WAIT);
    }
}

static void window_from_9_to_31_is_8_for_several(void **state)
{
    (void)state;
    static const uint32_t windows[] = {9, 20, 30, 31};
    for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++) {
        const struct pairing_rules rules = {.window = windows[i],
                                            .reply_timeout_us = REPLY_TIMEOUT_US};
        struct scene alone = scene_of(&rules);
        struct scene together = scene_of(&rules);
        assert_int_equal(fill(&alone, 0, 2000), windows[i]);
        for (uint32_t j = 0; j < 8; j++)
            assert_int_equal(fill(&together, j % CLIENTS, 1), 1);
        for (size_t client = 0; client < CLIENTS; client++)
            assert_int_equal(judge(&together, client), PAIRING_WAIT);
    }
}

static void window_0_is_no_limit(void **state)
{
    (void)state;
    struct scene scene = scene_of(&unlimited);
    assert_int_equal(fill(&scene, 0, 100000), 100000);
    assert_int_equal(judge(&scene, 1), PAIRING_SEND);
}

/* ---- a crowd of one client's datagrams ------------------------------------------------------ */

static void ninth_unanswered_of_one_client_keeps_others_off(void **state)
{
    (void)state;
    struct scene scene = scene_of(&by_default);
    sent(&scene, 0, 9);
    assert_int_equal(judge(&scene, 0), PAIRING_SEND);
    assert_int_equal(judge(&scene, 1), PAIRING_RENEW);
}

static void crowd_keeps_others_off_even_once_it_is_answered(void **state)
{
    (void)state;
    struct scene scene = scene_of(&by_default);
    sent(&scene, 0, 9);
    answered(&scene, 0, 9);
    assert_int_equal(judge(&scene, 0), PAIRING_SEND);
    assert_int_equal(judge(&scene, 1), PAIRING_RENEW);
}

static void crowd_of_a_forgotten_client_keeps_everybody_off(void **state)
{
    (void)state;
    struct scene scene = scene_of(&by_default);
    sent(&scene, 0, 9);
    pairing_forget(&scene.pairing, &scene.shares[0]);
    assert_int_equal(judge(&scene, 0), PAIRING_RENEW);
    assert_int_equal(judge(&scene, 1), PAIRING_RENEW);
}

static void window_up_to_31_makes_a_crowd_at_9(void **state)
{
    (void)state;
    static const uint32_t windows[] = {9, 20, 31};
    for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++) {
        const struct pairing_rules rules = {.window = windows[i],
                                            .reply_timeout_us = REPLY_TIMEOUT_US};
        struct scene scene = scene_of(&rules);
        sent(&scene, 0, 8);
        assert_int_equal(judge(&scene, 1), PAIRING_WAIT);
        sent(&scene, 0, 1);
        assert_int_equal(judge(&scene, 1), PAIRING_RENEW);
    }
}

static void window_above_31_or_none_makes_no_crowd(void **state)
{
    (void)state;
    static const uint32_t windows[] = {0, 32, 64, 1024};
    for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++) {
        const struct pairing_rules rules = {.window = windows[i],
                                            .reply_timeout_us = REPLY_TIMEOUT_US};
        struct scene scene = scene_of(&rules);
        sent(&scene, 0, 31);
        assert_int_equal(judge(&scene, 1), PAIRING_SEND);
        answered(&scene, 0, 31);
        assert_int_equal(judge(&scene, 1), PAIRING_SEND);
    }
}

/* ---- whose they are ------------------------------------------------------------------------- */

static void fresh_websocket_starts_empty_for_every_client(void **state)
{
    (void)state;
    struct scene scene = scene_of(&by_default);
    sent(&scene, 0, 31);
    pairing_init(&scene.pairing, 2);
    assert_int_equal(fill(&scene, 0, 100), 31);
    assert_int_equal(scene.pairing.clients, 1);
}

static void clients_are_counted_once(void **state)
{
    (void)state;
    struct scene scene = scene_of(&by_default);
    sent(&scene, 0, 2);
    answered(&scene, 0, 2);
    sent(&scene, 0, 1);
    sent(&scene, 1, 1);
    assert_int_equal(scene.pairing.clients, 2);
    assert_int_equal(scene.pairing.waiting_clients, 2);
}

static void reply_to_nobody_known_still_uses_up_one(void **state)
{
    (void)state;
    struct scene scene = scene_of(&by_default);
    sent(&scene, 0, 31);
    pairing_answered(&scene.pairing, NULL, &scene.rules, NOW_US);
    assert_int_equal(scene.pairing.unanswered, 30);
    assert_int_equal(scene.shares[0].unanswered, 31);
}

static void reply_on_a_replaced_websocket_leaves_the_new_share_alone(void **state)
{
    (void)state;
    struct scene scene = scene_of(&by_default);
    struct pairing replaced;
    sent(&scene, 0, 2);
    replaced = scene.pairing;
    pairing_init(&scene.pairing, 2);
    sent(&scene, 0, 1);
    pairing_answered(&replaced, &scene.shares[0], &scene.rules, NOW_US);
    assert_int_equal(replaced.unanswered, 1);
    assert_int_equal(scene.shares[0].unanswered, 1);
}

static void reply_beyond_what_was_sent_uses_up_nothing(void **state)
{
    (void)state;
    struct scene scene = scene_of(&by_default);
    sent(&scene, 0, 1);
    sent(&scene, 1, 1);
    answered(&scene, 0, 2);
    assert_int_equal(scene.pairing.unanswered, 1);
    assert_int_equal(scene.pairing.waiting_clients, 1);
}

static void surplus_replies_never_count_below_none(void **state)
{
    (void)state;
    struct scene scene = scene_of(&by_default);
    pairing_answered(&scene.pairing, NULL, &scene.rules, NOW_US);
    answered(&scene, 0, 1);
    assert_int_equal(scene.pairing.unanswered, 0);
    assert_int_equal(scene.pairing.waiting_clients, 0);
}

static void forgotten_clients_datagrams_stay_counted(void **state)
{
    (void)state;
    struct scene scene = scene_of(&by_default);
    sent(&scene, 0, 3);
    sent(&scene, 1, 1);
    pairing_forget(&scene.pairing, &scene.shares[0]);
    assert_int_equal(scene.pairing.unanswered, 4);
    assert_int_equal(scene.pairing.waiting_clients, 1);
    assert_int_equal(scene.shares[0].unanswered, 0);
}

static void forgetting_a_client_that_waits_for_nothing_changes_nothing(void **state)
{
    (void)state;
    struct scene scene = scene_of(&by_default);
    sent(&scene, 0, 1);
    sent(&scene, 1, 1);
    answered(&scene, 1, 1);
    pairing_forget(&scene.pairing, &scene.shares[1]);
    pairing_forget(&scene.pairing, &scene.shares[2]);
    assert_int_equal(scene.pairing.unanswered, 1);
    assert_int_equal(scene.pairing.waiting_clients, 1);
}

/* ---- when it is unclean --------------------------------------------------------------------- */

static void idle_websocket_is_clean_for_ever(void **state)
{
    (void)state;
    struct scene scene = scene_of(&by_default);
    assert_int_equal(check(&scene, INT64_MAX), PAIRING_CLEAN);
    assert_int_equal(pairing_deadline(&scene.pairing, &scene.rules), INT64_MAX);
    sent(&scene, 0, 1);
    answered(&scene, 0, 1);
    assert_int_equal(check(&scene, INT64_MAX), PAIRING_CLEAN);
    assert_int_equal(pairing_deadline(&scene.pairing, &scene.rules), INT64_MAX);
}

static void unanswered_datagram_is_overdue_at_the_reply_timeout(void **state)
{
    (void)state;
    struct scene scene = scene_of(&by_default);
    sent(&scene, 0, 1);
    assert_int_equal(pairing_deadline(&scene.pairing, &scene.rules), NOW_US + REPLY_TIMEOUT_US);
    assert_int_equal(check(&scene, NOW_US + REPLY_TIMEOUT_US - 1), PAIRING_CLEAN);
    assert_int_equal(check(&scene, NOW_US + REPLY_TIMEOUT_US), PAIRING_REPLY_OVERDUE);
}

static void replies_that_never_come_down_to_none_do_not_put_it_off(void **state)
{
    (void)state;
    struct scene scene = scene_of(&by_default);
    sent(&scene, 0, 1);
    for (int64_t t = 1; t < 50; t++) {
        sent_at(&scene, 0, 1, NOW_US + t * 100 * MS);
        answered_at(&scene, 0, 1, NOW_US + t * 100 * MS);
    }
    assert_int_equal(check(&scene, NOW_US + REPLY_TIMEOUT_US), PAIRING_REPLY_OVERDUE);
}

static void coming_down_to_none_starts_the_reply_timeout_anew(void **state)
{
    (void)state;
    struct scene scene = scene_of(&by_default);
    sent(&scene, 0, 1);
    answered(&scene, 0, 1);
    sent_at(&scene, 0, 1, NOW_US + 4000 * MS);
    assert_int_equal(check(&scene, NOW_US + REPLY_TIMEOUT_US), PAIRING_CLEAN);
    assert_int_equal(check(&scene, NOW_US + 4000 * MS + REPLY_TIMEOUT_US), PAIRING_REPLY_OVERDUE);
}

static void full_window_is_stuck_after_250_ms(void **state)
{
    (void)state;
    struct scene scene = scene_of(&by_default);
    sent_at(&scene, 0, 30, NOW_US - 1000 * MS);
    assert_int_equal(check(&scene, NOW_US), PAIRING_CLEAN);
    sent(&scene, 0, 1);
    assert_int_equal(pairing_deadline(&scene.pairing, &scene.rules), NOW_US + 250 * MS);
    assert_int_equal(check(&scene, NOW_US + 250 * MS - 1), PAIRING_CLEAN);
    assert_int_equal(check(&scene, NOW_US + 250 * MS), PAIRING_STUCK);
}

static void window_of_several_clients_is_stuck_at_8(void **state)
{
    (void)state;
    struct scene scene = scene_of(&by_default);
    sent(&scene, 0, 4);
    sent(&scene, 1, 3);
    assert_int_equal(check(&scene, NOW_US + 250 * MS), PAIRING_CLEAN);
    sent(&scene, 1, 1);
    assert_int_equal(check(&scene, NOW_US + 250 * MS), PAIRING_STUCK);
}

static void reply_shows_that_a_full_window_is_not_stuck(void **state)
{
    (void)state;
    struct scene scene = scene_of(&by_default);
    sent(&scene, 0, 31);
    answered_at(&scene, 0, 1, NOW_US + 200 * MS);
    sent_at(&scene, 0, 1, NOW_US + 200 * MS);
    assert_int_equal(check(&scene, NOW_US + 449 * MS), PAIRING_CLEAN);
    assert_int_equal(check(&scene, NOW_US + 450 * MS), PAIRING_STUCK);
}

static void window_of_one_is_stuck_after_250_ms(void **state)
{
    (void)state;
    const struct pairing_rules rules = {.window = 1, .reply_timeout_us = REPLY_TIMEOUT_US};
    struct scene scene = scene_of(&rules);
    sent(&scene, 0, 1);
    assert_int_equal(check(&scene, NOW_US + 250 * MS), PAIRING_STUCK);
}

static void short_reply_timeout_comes_before_the_full_window(void **state)
{
    (void)state;
    const struct pairing_rules rules = {.window = 31, .reply_timeout_us = 100 * MS};
    struct scene scene = scene_of(&rules);
    sent(&scene, 0, 31);
    assert_int_equal(pairing_deadline(&scene.pairing, &scene.rules), NOW_US + 100 * MS);
    assert_int_equal(check(&scene, NOW_US + 300 * MS), PAIRING_REPLY_OVERDUE);
}

static void without_a_window_only_silence_is_overdue(void **state)
{
    (void)state;
    struct scene scene = scene_of(&unlimited);
    sent(&scene, 0, 1000);
    answered_at(&scene, 0, 1, NOW_US + 4000 * MS);
    sent_at(&scene, 0, 1, NOW_US + 4500 * MS);
    assert_int_equal(pairing_deadline(&scene.pairing, &scene.rules),
                     NOW_US + 4000 * MS + REPLY_TIMEOUT_US);
    assert_int_equal(check(&scene, NOW_US + 8999 * MS), PAIRING_CLEAN);
    assert_int_equal(check(&scene, NOW_US + 9000 * MS), PAIRING_REPLY_OVERDUE);
}

static void without_a_window_it_is_never_stuck(void **state)
{
    (void)state;
    struct scene scene = scene_of(&unlimited);
    sent(&scene, 0, 5000);
    assert_int_equal(check(&scene, NOW_US + REPLY_TIMEOUT_US - 1), PAIRING_CLEAN);
}

/* ---- modes, credits, one-way ---------------------------------------------------------------- */

static struct pairing_rules rules_of(enum connections_mode mode, uint32_t window, bool one_way)
{
    const struct tunnel_config config = {.connections = mode,
                                         .window = window,
                                         .one_way = one_way,
                                         .reply_timeout_us = REPLY_TIMEOUT_US};
    return pairing_rules_of(&config);
}

static void rules_follow_the_mode(void **state)
{
    (void)state;
    static const struct {
        enum connections_mode mode;
        bool one_way;
        uint32_t given, window, credits;
        bool only_full;
    } rows[] = {
        {CONNECTIONS_SHARED, false, 31, 31, 0, false},
        {CONNECTIONS_SHARED, true, 31, 31, 0, false},
        {CONNECTIONS_POOL, false, 31, 8, 1, false},
        {CONNECTIONS_POOL, false, 4, 4, 1, false},
        {CONNECTIONS_POOL, false, 0, 0, 0, false},
        {CONNECTIONS_POOL, false, 100, 100, 0, false},
        {CONNECTIONS_POOL, true, 31, 31, 0, false},
        {CONNECTIONS_PER_CLIENT, false, 31, 31, PAIRING_CREDITS_CLIENT, true},
        {CONNECTIONS_PER_CLIENT, false, 0, 0, 0, true},
        {CONNECTIONS_PER_CLIENT, false, 1024, 1024, 0, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct pairing_rules rules = rules_of(rows[i].mode, rows[i].given, rows[i].one_way);
        assert_int_equal(rules.window, rows[i].window);
        assert_int_equal(rules.credits, rows[i].credits);
        assert_int_equal(rules.only_full, rows[i].only_full);
        assert_int_equal(rules.one_way, rows[i].one_way);
    }
}

static void send_credits(struct scene *scene)
{
    for (uint32_t due = pairing_credits_due(&scene->pairing, &scene->rules); due > 0; due--)
        pairing_credit_sent(&scene->pairing);
}

static void surplus_reply_uses_up_a_credit_which_is_made_good(void **state)
{
    (void)state;
    const struct pairing_rules pool = rules_of(CONNECTIONS_POOL, 31, false);
    struct scene scene = scene_of(&pool);
    assert_int_equal(pairing_credits_due(&scene.pairing, &pool), 1);
    send_credits(&scene);
    sent(&scene, 0, 1);
    assert_int_equal(pairing_credits_due(&scene.pairing, &pool), 0);
    assert_false(pairing_answered(&scene.pairing, &scene.shares[0], &pool, NOW_US));
    assert_true(pairing_answered(&scene.pairing, &scene.shares[0], &pool, NOW_US));
    assert_int_equal(pairing_credits_due(&scene.pairing, &pool), 1);
    assert_true(pairing_answered(&scene.pairing, NULL, &pool, NOW_US));
    assert_int_equal(scene.pairing.credits, 0);
}

static void labels_are_never_above_31(void **state)
{
    (void)state;
    const struct pairing_rules client = rules_of(CONNECTIONS_PER_CLIENT, 31, false);
    struct scene scene = scene_of(&client);
    send_credits(&scene);
    while (judge(&scene, 0) == PAIRING_SEND)
        sent(&scene, 0, 1);
    assert_int_equal(scene.pairing.unanswered + scene.pairing.credits, PAIRING_LABELS_MAX);
    assert_int_equal(pairing_credits_due(&scene.pairing, &client), 0);
    assert_false(pairing_may_ping(&scene.pairing, &client));
    answered(&scene, 0, 1);
    assert_int_equal(judge(&scene, 0), PAIRING_SEND);
}

static void credits_grow_where_a_server_pushes_and_shrink_where_labels_are_needed(void **state)
{
    (void)state;
    const struct pairing_rules client = rules_of(CONNECTIONS_PER_CLIENT, 31, false);
    struct scene scene = scene_of(&client);
    send_credits(&scene);
    for (int i = 0; i < 100; i++) { /* slowly */
        answered_at(&scene, 0, 1, NOW_US + i * 100LL * MS);
        assert_int_equal(pairing_credits_due(&scene.pairing, &client), 1);
        send_credits(&scene);
    }
    for (int i = 0; i < PAIRING_PUSH_COUNT; i++) { /* fast, and made good at once */
        send_credits(&scene);
        answered_at(&scene, 0, 1, NOW_US + 20000LL * MS + i * 10LL * MS);
    }
    assert_int_equal(scene.pairing.credits, PAIRING_CREDITS_CLIENT - 1);
    assert_int_equal(pairing_credits_due(&scene.pairing, &client),
                     PAIRING_CREDITS_MAX - PAIRING_CREDITS_CLIENT + 1);
    pairing_needs_labels(&scene.pairing);
    assert_int_equal(pairing_credits_due(&scene.pairing, &client), 1);
}

static void only_credits_sent_first_can_come_back(void **state)
{
    (void)state;
    const struct pairing_rules client = rules_of(CONNECTIONS_PER_CLIENT, 31, false);
    struct scene scene = scene_of(&client);
    assert_false(pairing_credit_may_return(&scene.pairing));
    send_credits(&scene);
    sent(&scene, 0, 2);
    for (int i = 0; i < PAIRING_CREDITS_CLIENT - 1; i++) {
        assert_true(pairing_credit_may_return(&scene.pairing));
        pairing_credit_returned(&scene.pairing);
    }
    assert_int_equal(scene.pairing.credits, 1);
    answered(&scene, 0, 1);
    assert_false(pairing_credit_may_return(&scene.pairing)); /* an empty answer is an answer */
}

static void overdue_reply_is_no_reason_to_leave_a_clients_own_websocket(void **state)
{
    (void)state;
    const struct pairing_rules client = rules_of(CONNECTIONS_PER_CLIENT, 31, false);
    struct scene scene = scene_of(&client);
    sent(&scene, 0, 3);
    assert_int_equal(check(&scene, NOW_US + 100LL * REPLY_TIMEOUT_US), PAIRING_CLEAN);
    assert_int_equal(pairing_deadline(&scene.pairing, &scene.rules), INT64_MAX);
}

static void one_way_is_used_up_at_its_window_whatever_comes_back(void **state)
{
    (void)state;
    const struct pairing_rules one_way = rules_of(CONNECTIONS_SHARED, 31, true);
    struct scene scene = scene_of(&one_way);
    sent(&scene, 0, 10);
    sent(&scene, 1, 20);
    answered(&scene, 0, 5);
    assert_int_equal(judge(&scene, 2), PAIRING_SEND);
    sent(&scene, 2, 1);
    assert_int_equal(judge(&scene, 2), PAIRING_RENEW);
    assert_int_equal(check(&scene, NOW_US + 100LL * REPLY_TIMEOUT_US), PAIRING_CLEAN);
    assert_int_equal(pairing_deadline(&scene.pairing, &scene.rules), INT64_MAX);
}

static void one_way_without_a_window_is_never_used_up(void **state)
{
    (void)state;
    const struct pairing_rules one_way = rules_of(CONNECTIONS_SHARED, 0, true);
    struct scene scene = scene_of(&one_way);
    sent(&scene, 0, 100000);
    assert_int_equal(judge(&scene, 0), PAIRING_SEND);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_client_alone_may_have_31_unanswered),
        cmocka_unit_test(several_clients_may_have_8_unanswered_together),
        cmocka_unit_test(newcomer_waits_while_another_has_8_unanswered),
        cmocka_unit_test(reply_makes_room),
        cmocka_unit_test(reply_makes_room_for_another_client),
        cmocka_unit_test(window_grows_again_when_one_client_is_left),
        cmocka_unit_test(window_of_8_or_less_or_above_31_holds_for_one_and_for_several),
        cmocka_unit_test(window_0_is_no_limit),
        cmocka_unit_test(ninth_unanswered_of_one_client_keeps_others_off),
        cmocka_unit_test(crowd_keeps_others_off_even_once_it_is_answered),
        cmocka_unit_test(crowd_of_a_forgotten_client_keeps_everybody_off),
        cmocka_unit_test(window_from_9_to_31_is_8_for_several),
        cmocka_unit_test(window_up_to_31_makes_a_crowd_at_9),
        cmocka_unit_test(window_above_31_or_none_makes_no_crowd),
        cmocka_unit_test(fresh_websocket_starts_empty_for_every_client),
        cmocka_unit_test(clients_are_counted_once),
        cmocka_unit_test(reply_to_nobody_known_still_uses_up_one),
        cmocka_unit_test(reply_on_a_replaced_websocket_leaves_the_new_share_alone),
        cmocka_unit_test(reply_beyond_what_was_sent_uses_up_nothing),
        cmocka_unit_test(surplus_replies_never_count_below_none),
        cmocka_unit_test(forgotten_clients_datagrams_stay_counted),
        cmocka_unit_test(forgetting_a_client_that_waits_for_nothing_changes_nothing),
        cmocka_unit_test(idle_websocket_is_clean_for_ever),
        cmocka_unit_test(unanswered_datagram_is_overdue_at_the_reply_timeout),
        cmocka_unit_test(replies_that_never_come_down_to_none_do_not_put_it_off),
        cmocka_unit_test(coming_down_to_none_starts_the_reply_timeout_anew),
        cmocka_unit_test(full_window_is_stuck_after_250_ms),
        cmocka_unit_test(window_of_several_clients_is_stuck_at_8),
        cmocka_unit_test(reply_shows_that_a_full_window_is_not_stuck),
        cmocka_unit_test(window_of_one_is_stuck_after_250_ms),
        cmocka_unit_test(short_reply_timeout_comes_before_the_full_window),
        cmocka_unit_test(without_a_window_only_silence_is_overdue),
        cmocka_unit_test(without_a_window_it_is_never_stuck),
        cmocka_unit_test(rules_follow_the_mode),
        cmocka_unit_test(surplus_reply_uses_up_a_credit_which_is_made_good),
        cmocka_unit_test(labels_are_never_above_31),
        cmocka_unit_test(credits_grow_where_a_server_pushes_and_shrink_where_labels_are_needed),
        cmocka_unit_test(only_credits_sent_first_can_come_back),
        cmocka_unit_test(overdue_reply_is_no_reason_to_leave_a_clients_own_websocket),
        cmocka_unit_test(one_way_is_used_up_at_its_window_whatever_comes_back),
        cmocka_unit_test(one_way_without_a_window_is_never_used_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
