/* Which WebSocket carries what with --connections pool, per-client and --one-way, seen from
 * outside: at the ports. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "fake_ports.h"
#include "otoroshictl/tunnel/carriers.h"
#include "otoroshictl/tunnel/pairing.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* Ports of local clients. */
enum { A = 40001, B = 40002, C = 40003, D = 40004, E = 40005, F = 40006 };

/* ---- what happens --------------------------------------------------------------------------- */

static struct tunnel_config config_of(enum connections_mode connections)
{
    struct tunnel_config config = fake_config();
    config.connections = connections;
    config.ping_interval_us = 0;
    return config;
}

static struct tunnel_config config_of_at_most(enum connections_mode connections, uint32_t most)
{
    struct tunnel_config config = config_of(connections);
    config.max_connections = most;
    return config;
}

static struct tunnel_config config_one_way(void)
{
    struct tunnel_config config = config_of(CONNECTIONS_SHARED);
    config.one_way = true;
    return config;
}

/* Whatever is being opened comes up, and whatever is opened because of that. */
static void open_all(struct fake *fake)
{
    for (size_t rounds = 0; fake_in_state(fake, FAKE_OPENING) > 0; rounds++) {
        assert_true(rounds < FAKE_CONNECTIONS_MAX);
        for (unsigned i = 0; i < fake->connections_max; i++)
            if (fake->connections[i].state == FAKE_OPENING)
                fake_open(fake, i);
    }
}

/* Whatever is being closed is gone. */
static void close_all(struct fake *fake)
{
    for (unsigned i = 0; i < fake->connections_max; i++)
        if (fake->connections[i].state == FAKE_CLOSING)
            fake_closed(fake, i);
}

/* The same with time for what the tunnel does in between. */
static void let_settle(struct fake *fake)
{
    for (int i = 0; i < 4; i++) {
        close_all(fake);
        fake_advance(fake, 1 * MS);
        open_all(fake);
    }
}

static struct fake *begun(const struct tunnel_config *config)
{
    struct fake *const fake = fake_started(config);
    open_all(fake);
    return fake;
}

static struct fake *begun_as(enum connections_mode connections)
{
    const struct tunnel_config config = config_of(connections);
    return begun(&config);
}

/* The WebSocket that has carried this client's last datagram. */
static unsigned way_of(const struct fake *fake, uint16_t port)
{
    return fake_last_of(fake, port)->connection;
}

static unsigned ask(struct fake *fake, uint16_t port)
{
    const size_t before = fake_frames_of(fake, port);
    fake_send(fake, port, "question");
    open_all(fake);
    if (fake_frames_of(fake, port) == before) /* an idle one of a pool rests first */
        fake_advance(fake, CARRIERS_REST_US);
    assert_int_equal(fake_frames_of(fake, port), before + 1);
    return way_of(fake, port);
}

static unsigned ask_and_answer(struct fake *fake, uint16_t port)
{
    const unsigned way = ask(fake, port);
    fake_answer(fake, way, port, "answer");
    return way;
}

static size_t replies_to(const struct fake *fake, uint16_t port)
{
    size_t count = 0;
    for (size_t i = 0; i < fake->replies.count; i++)
        count += fake->replies.rows[i].client.port == port ? 1 : 0;
    return count;
}

static size_t labels_put(const struct fake *fake, unsigned connection)
{
    const struct fake_connection *const it = &fake->connections[connection];
    return it->sent + it->credits + it->pings;
}

static uint64_t renewals(const struct fake *fake, enum renewal_cause cause)
{
    return fake_counters(fake).renewals[cause];
}

/* ---- every mode ----------------------------------------------------------------------------- */

static const enum connections_mode apart[] = {CONNECTIONS_POOL, CONNECTIONS_PER_CLIENT};

static void first_connection_is_told_of_and_no_other(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(apart); i++) {
        struct fake *const fake = begun_as(apart[i]);
        for (uint16_t port = A; port <= F; port++)
            ask(fake, port);
        assert_true(fake->opens >= 6);
        assert_int_equal(fake_reports(fake, REPORT_INFO, "Connecting WebSocket tunnel ..."), 1);
        assert_int_equal(fake_reports(fake, REPORT_INFO, "WebSocket tunnel connected"), 1);
        fake_free(fake);
    }
}

static void tunnel_without_clients_has_one_open_websocket(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(apart); i++) {
        struct fake *const fake = begun_as(apart[i]);
        fake_advance(fake, 10 * SECOND);
        assert_int_equal(fake->opens, 1);
        assert_int_equal(fake_in_state(fake, FAKE_OPEN), 1);
        assert_int_equal(fake_counters(fake).connections_idle, 1);
        assert_int_equal(fake_counters(fake).connections_active, 0);
        fake_free(fake);
    }
}

static void first_client_takes_the_websocket_that_is_open(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(apart); i++) {
        struct fake *const fake = begun_as(apart[i]);
        fake_send(fake, A, "question");
        assert_int_equal(fake_frames_of(fake, A), 1);
        assert_int_equal(way_of(fake, A), 0);
        assert_int_equal(fake_counters(fake).connections_active, 1);
        fake_free(fake);
    }
}

static void each_client_has_a_websocket_to_itself(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(apart); i++) {
        struct fake *const fake = begun_as(apart[i]);
        bool taken[FAKE_CONNECTIONS_MAX] = {false};
        for (uint16_t port = A; port <= F; port++) {
            const unsigned way = ask(fake, port);
            assert_false(taken[way]);
            taken[way] = true;
            assert_int_equal(ask(fake, port), way);
        }
        assert_int_equal(fake_counters(fake).connections_active, 6);
        assert_int_equal(fake_counters(fake).unanswered_datagrams, 12);
        fake_free(fake);
    }
}

static void reply_goes_to_the_holder_whatever_its_label(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(apart); i++) {
        struct fake *const fake = begun_as(apart[i]);
        const unsigned way = ask(fake, A);
        ask(fake, B);
        fake_answer(fake, way, B, "to A");
        assert_int_equal(fake->replies.count, 1);
        assert_record(&fake->replies.rows[0], A, "to A");
        fake_answer(fake, way, 12345, "to A again");
        assert_record(&fake->replies.rows[1], A, "to A again");
        assert_int_equal(counters_dropped(&fake_counters(fake).direction[DIRECTION_IN]), 0);
        fake_free(fake);
    }
}

/* What the gateway writes to a reply that takes the label of a ping. */
static void reply_with_the_label_of_a_ping_goes_to_the_holder(void **state)
{
    (void)state;
    static const char frame[] = "{\"port\":0,\"address\":\"localhost\",\"data\":\"aGk=\"}";
    struct fake *const fake = begun_as(CONNECTIONS_PER_CLIENT);
    const unsigned way = ask(fake, A);
    fake_message(fake, way, false, frame, sizeof frame - 1);
    assert_int_equal(fake->replies.count, 1);
    assert_record(&fake->replies.rows[0], A, "hi");
    fake_free(fake);
}

/* A service may answer with a datagram without payload, its first one included. */
static void empty_reply_is_delivered_as_any_other(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(apart); i++) {
        struct fake *const fake = begun_as(apart[i]);
        const unsigned way = ask(fake, A);
        fake_answer(fake, way, A, "");
        assert_int_equal(fake->replies.count, 1);
        assert_int_equal(fake->replies.rows[0].size, 0);
        fake_free(fake);
    }
}

static void reply_to_a_forgotten_holder_is_dropped(void **state)
{
    (void)state;
    struct tunnel_config config = config_of(CONNECTIONS_POOL);
    config.client_timeout_us = 1 * SECOND;
    struct fake *const fake = begun(&config);
    const unsigned way = ask(fake, A);
    fake_advance(fake, 1 * SECOND);
    fake_answer(fake, way, A, "late");
    assert_int_equal(fake->replies.count, 0);
    assert_int_equal(fake_dropped(fake, DIRECTION_IN, DROP_UNKNOWN_CLIENT), 1);
    fake_free(fake);
}

static void malformed_message_is_dropped_and_counted(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(apart); i++) {
        struct fake *const fake = begun_as(apart[i]);
        const unsigned way = ask(fake, A);
        fake_message(fake, way, true, "text", 4);
        fake_message(fake, way, false, "junk", 4);
        fake_message(fake, way, false, "{\"port\":1,\"address\":\"127.0.0.1\"}", 32);
        assert_int_equal(fake->replies.count, 0);
        assert_int_equal(fake_dropped(fake, DIRECTION_IN, DROP_TEXT_FRAME), 1);
        assert_int_equal(fake_dropped(fake, DIRECTION_IN, DROP_NOT_JSON), 1);
        assert_int_equal(fake_dropped(fake, DIRECTION_IN, DROP_MISSING_KEY), 1);
        fake_free(fake);
    }
}

static void client_that_waits_holds_up_nobody_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(apart); i++) {
        struct fake *const fake = begun_as(apart[i]);
        fake_send_times(fake, A, 40);
        open_all(fake);
        assert_true(fake_counters(fake).queue_datagrams > 0);
        ask(fake, B);
        fake_free(fake);
    }
}

static void peer_that_does_not_read_holds_up_nobody_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(apart); i++) {
        struct fake *const fake = begun_as(apart[i]);
        const unsigned way = ask(fake, A);
        ask(fake, B);
        fake->connections[way].blocked = true;
        fake_send(fake, A, "waits");
        assert_int_equal(fake_frames_of(fake, A), 1);
        ask(fake, C);
        ask(fake, B);
        fake_free(fake);
    }
}

static void at_the_maximum_datagrams_wait_for_a_websocket(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(apart); i++) {
        const struct tunnel_config config = config_of_at_most(apart[i], 2);
        struct fake *const fake = begun(&config);
        ask(fake, A);
        const unsigned way = ask(fake, B);
        fake_send(fake, C, "question");
        fake_advance(fake, 100 * MS);
        assert_int_equal(fake->opens, 2);
        assert_int_equal(fake->closes, 0);
        assert_int_equal(fake_frames_of(fake, C), 0);
        assert_int_equal(fake_counters(fake).queue_datagrams, 1);
        fake_answer(fake, way, B, "answer");
        let_settle(fake);
        fake_advance(fake, CARRIERS_REST_US);
        assert_int_equal(fake_frames_of(fake, C), 1);
        assert_int_equal(fake_counters(fake).queue_datagrams, 0);
        fake_free(fake);
    }
}

/* Its client gets another one; the others notice nothing. */
static void lost_websocket_is_one_clients_loss(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(apart); i++) {
        struct fake *const fake = begun_as(apart[i]);
        const unsigned lost = ask(fake, A);
        const unsigned way = ask(fake, B);
        fake_advance(fake, 6 * SECOND);
        fake_answer(fake, way, B, "answer");
        fake_lose(fake, lost);
        ask_and_answer(fake, B);
        fake_send(fake, A, "question");
        fake_advance(fake, 250 * MS);
        open_all(fake);
        assert_int_equal(fake_frames_of(fake, A), 2);
        assert_int_equal(replies_to(fake, B), 2);
        fake_free(fake);
    }
}

static void pause_after_a_failed_attempt_is_kept_whoever_asks(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(apart); i++) {
        const struct tunnel_config config = config_of(apart[i]);
        struct fake *const fake = fake_started(&config);
        fake_lose(fake, 0);
        for (uint16_t port = A; port <= F; port++)
            fake_send(fake, port, "question");
        fake_advance(fake, 2 * SECOND - 1);
        assert_int_equal(fake->opens, 1);
        fake_advance(fake, 1);
        assert_true(fake->opens > 1);
        open_all(fake);
        for (uint16_t port = A; port <= F; port++)
            assert_int_equal(fake_frames_of(fake, port), 1);
        fake_free(fake);
    }
}

static void reload_replaces_each_websocket_by_a_fresh_one_first(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(apart); i++) {
        struct fake *const fake = begun_as(apart[i]);
        const unsigned old = ask(fake, A);
        const uint32_t incarnation = fake->incarnations[old];
        udp_tunnel_renew(fake->tunnel, fake->now_us);
        fake_settle(fake);
        assert_int_equal(fake->connections[old].state, FAKE_OPEN);
        open_all(fake);
        assert_int_equal(fake->connections[old].state, FAKE_OPEN);
        const unsigned fresh = ask(fake, A);
        assert_true(fresh != old || fake->incarnations[fresh] != incarnation);
        fake_answer(fake, old, A, "late");
        assert_int_equal(replies_to(fake, A), 1);
        open_all(fake); /* in a pool an idle one stays until a fresh one is idle */
        assert_int_equal(fake->connections[old].state, FAKE_CLOSING);
        assert_true(renewals(fake, RENEWAL_RELOAD) >= 1);
        fake_free(fake);
    }
}

/* With room for one there can be no fresh one first. */
static void reload_with_room_for_one_websocket_leaves_a_tunnel_that_works(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(apart); i++) {
        const struct tunnel_config config = config_of_at_most(apart[i], 1);
        struct fake *const fake = begun(&config);
        ask_and_answer(fake, A);
        const uint32_t incarnation = fake->incarnations[0];
        udp_tunnel_renew(fake->tunnel, fake->now_us);
        fake_settle(fake);
        let_settle(fake);
        ask_and_answer(fake, A);
        assert_int_equal(fake->incarnations[0], incarnation + 1);
        fake_free(fake);
    }
}

static void reload_at_the_maximum_replaces_each_websocket(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(apart); i++) {
        const struct tunnel_config config = config_of_at_most(apart[i], 3);
        struct fake *const fake = begun(&config);
        uint32_t incarnations[3];
        for (uint16_t port = A; port <= C; port++)
            ask(fake, port);
        for (uint16_t port = A; port <= C; port++)
            fake_answer(fake, way_of(fake, port), port, "answer");
        memcpy(incarnations, fake->incarnations, sizeof incarnations);
        udp_tunnel_renew(fake->tunnel, fake->now_us);
        fake_settle(fake);
        for (int j = 0; j < 10; j++) {
            let_settle(fake);
            fake_advance(fake, 1 * SECOND);
        }
        for (size_t j = 0; j < 3; j++)
            assert_true(fake->connections[j].state != FAKE_OPEN ||
                        fake->incarnations[j] > incarnations[j]);
        fake_free(fake);
    }
}

static void stop_sends_what_can_go_and_closes_every_websocket(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(apart); i++) {
        struct fake *const fake = begun_as(apart[i]);
        for (uint16_t port = A; port <= F; port++)
            ask(fake, port);
        udp_tunnel_stop(fake->tunnel, fake->now_us);
        fake_settle(fake);
        assert_int_equal(fake_in_state(fake, FAKE_OPEN), 0);
        assert_int_equal(fake_in_state(fake, FAKE_OPENING), 0);
        close_all(fake);
        assert_int_equal(fake->stopped, 1);
        assert_int_equal(fake_dropped(fake, DIRECTION_OUT, DROP_SHUTDOWN), 0);
        fake_free(fake);
    }
}

static void stop_gives_up_connecting_for_those_who_wait(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(apart); i++) {
        const struct tunnel_config config = config_of(apart[i]);
        struct fake *const fake = fake_started(&config);
        for (uint16_t port = A; port <= F; port++)
            fake_send(fake, port, "question");
        udp_tunnel_stop(fake->tunnel, fake->now_us);
        fake_settle(fake);
        fake_advance(fake, 1 * SECOND);
        close_all(fake);
        assert_int_equal(fake->stopped, 1);
        assert_int_equal(fake_dropped(fake, DIRECTION_OUT, DROP_SHUTDOWN), 6);
        fake_free(fake);
    }
}

static void shared_websocket_gets_neither_credits_nor_pings(void **state)
{
    (void)state;
    struct fake *const fake = begun_as(CONNECTIONS_SHARED);
    for (int i = 0; i < 20; i++) {
        ask_and_answer(fake, A);
        fake_advance(fake, 30 * SECOND);
    }
    assert_int_equal(fake->connections[0].credits, 0);
    assert_int_equal(fake->connections[0].pings, 0);
    assert_int_equal(fake_counters(fake).label_credits, 0);
    fake_free(fake);
}

/* With the tunnel's own label ahead each reply has the label before its own, and whatever comes
 * takes one, readable or not. */
static void unreadable_message_misroutes_nothing_behind_the_own_label(void **state)
{
    (void)state;
    struct fake *const fake = begun_as(CONNECTIONS_SHARED);
    ask_and_answer(fake, A);
    ask_and_answer(fake, B);
    fake_advance(fake, 5 * SECOND);
    assert_int_equal(fake->connections[0].credits, 1);
    ask(fake, A);
    fake_message(fake, 0, false, "junk", 4); /* with the own label */
    ask(fake, B);
    fake_answer(fake, 0, A, "to B"); /* with that of the question before */
    assert_int_equal(replies_to(fake, A), 1);
    assert_int_equal(replies_to(fake, B), 2);
    fake_free(fake);
}

/* ---- pool ----------------------------------------------------------------------------------- */

static struct fake *pool_of(uint32_t most)
{
    const struct tunnel_config config = config_of_at_most(CONNECTIONS_POOL, most);
    return begun(&config);
}

static void pool_keeps_a_spare_open(void **state)
{
    (void)state;
    struct fake *const fake = pool_of(64);
    for (uint16_t clients = 0; clients < 6; clients++) {
        fake_send(fake, (uint16_t)(A + clients), "question");
        assert_int_equal(fake_frames_of(fake, (uint16_t)(A + clients)), 1);
        open_all(fake);
        assert_int_equal(fake_counters(fake).connections_idle, 1);
        assert_int_equal(fake_in_state(fake, FAKE_OPEN), clients + 2u);
    }
    fake_free(fake);
}

static void pool_has_no_spare_beyond_its_maximum(void **state)
{
    (void)state;
    struct fake *const fake = pool_of(2);
    ask(fake, A);
    ask(fake, B);
    fake_advance(fake, 1 * SECOND);
    assert_int_equal(fake->opens, 2);
    fake_free(fake);
}

static void pool_opens_none_while_there_are_idle_ones(void **state)
{
    (void)state;
    struct fake *const fake = pool_of(64);
    for (int round = 0; round < 50; round++)
        for (uint16_t port = A; port <= F; port++)
            ask_and_answer(fake, port);
    assert_true(fake->opens <= 2);
    fake_free(fake);
}

static void pooled_websocket_is_handed_on_the_longest_idle_first(void **state)
{
    (void)state;
    struct fake *const fake = pool_of(3);
    const unsigned of_a = ask(fake, A);
    const unsigned of_b = ask(fake, B);
    const unsigned of_c = ask(fake, C);
    fake_advance(fake, 1 * MS);
    fake_answer(fake, of_b, B, "answer");
    fake_advance(fake, 1 * MS);
    fake_answer(fake, of_c, C, "answer");
    fake_advance(fake, 1 * MS);
    fake_answer(fake, of_a, A, "answer");
    assert_int_equal(ask(fake, D), of_b);
    assert_int_equal(ask(fake, E), of_c);
    assert_int_equal(ask(fake, F), of_a);
    assert_int_equal(fake->opens, 3);
    fake_free(fake);
}

static void pooled_websocket_is_not_handed_on_before_all_is_answered(void **state)
{
    (void)state;
    struct fake *const fake = pool_of(1);
    ask(fake, A);
    ask(fake, A);
    fake_send(fake, B, "question");
    fake_answer(fake, 0, A, "answer");
    assert_int_equal(fake_frames_of(fake, B), 0);
    fake_answer(fake, 0, A, "answer");
    fake_advance(fake, CARRIERS_REST_US - 1);
    assert_int_equal(fake_frames_of(fake, B), 0);
    fake_advance(fake, 1);
    assert_int_equal(fake_frames_of(fake, B), 1);
    assert_int_equal(fake->opens, 1);
    fake_free(fake);
}

static void pooled_websocket_has_8_in_flight_at_most(void **state)
{
    (void)state;
    static const struct {
        uint32_t window;
        size_t sent;
    } rows[] = {{31, 8}, {20, 8}, {8, 8}, {5, 5}, {1, 1}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct tunnel_config config = config_of(CONNECTIONS_POOL);
        config.window = rows[i].window;
        struct fake *const fake = begun(&config);
        const unsigned way = ask(fake, A);
        fake_send_times(fake, A, 19);
        open_all(fake);
        assert_int_equal(fake->connections[way].sent, rows[i].sent);
        assert_int_equal(fake_frames_of(fake, A), rows[i].sent);
        fake_answer(fake, way, A, "answer");
        assert_int_equal(fake->connections[way].sent, rows[i].sent + 1);
        fake_free(fake);
    }
}

static void one_credit_is_ahead_on_a_pooled_websocket(void **state)
{
    (void)state;
    struct fake *const fake = pool_of(1);
    for (int i = 0; i < 20; i++) {
        ask(fake, A);
        ask(fake, A);
        assert_int_equal(fake->connections[0].credits, 1);
        fake_answer_times(fake, 0, A, 2);
        ask_and_answer(fake, B);
    }
    assert_int_equal(fake->connections[0].credits, 1);
    assert_true(fake_counters(fake).label_credits >= 1);
    fake_free(fake);
}

static void doubled_reply_reaches_its_client_and_uses_up_the_credit(void **state)
{
    (void)state;
    struct fake *const fake = pool_of(1);
    ask(fake, A);
    fake_answer(fake, 0, A, "answer");
    assert_int_equal(fake_counters(fake).surplus_replies, 0);
    fake_answer(fake, 0, A, "once more");
    assert_int_equal(replies_to(fake, A), 2);
    assert_int_equal(fake_counters(fake).surplus_replies, 1);
    assert_int_equal(fake->connections[0].credits, 2);
    ask_and_answer(fake, B);
    assert_int_equal(replies_to(fake, B), 1);
    assert_int_equal(fake_counters(fake).surplus_replies, 1);
    fake_free(fake);
}

static void doubled_reply_after_the_hand_on_shows_in_the_count(void **state)
{
    (void)state;
    struct fake *const fake = pool_of(1);
    ask_and_answer(fake, A);
    ask(fake, B);
    fake_answer(fake, 0, A, "once more");
    fake_answer(fake, 0, B, "answer");
    assert_int_equal(replies_to(fake, B), 2);
    assert_int_equal(fake_counters(fake).surplus_replies, 1);
    fake_free(fake);
}

/* A pool in which client A has had one of its questions lost, on the WebSocket *way. */
static struct fake *pool_with_a_lost_reply(unsigned *way)
{
    struct fake *const fake = pool_of(64);
    *way = ask(fake, A);
    ask(fake, A);
    fake_answer(fake, *way, A, "answer");
    return fake;
}

static void pooled_websocket_without_a_reply_is_replaced_at_the_reply_timeout(void **state)
{
    (void)state;
    unsigned old;
    struct fake *const fake = pool_with_a_lost_reply(&old);
    fake_advance(fake, 5 * SECOND - 1);
    assert_int_equal(ask(fake, A), old);
    fake_advance(fake, 1);
    open_all(fake);
    assert_int_not_equal(ask(fake, A), old);
    assert_int_equal(fake->connections[old].state, FAKE_OPEN);
    assert_int_equal(fake_counters(fake).connections_draining, 1);
    assert_int_equal(renewals(fake, RENEWAL_REPLY_TIMEOUT), 1);
    assert_int_equal(fake_counters(fake).connections_idle, 1);
    fake_free(fake);
}

static void late_reply_on_a_replaced_pooled_websocket_is_delivered(void **state)
{
    (void)state;
    unsigned old;
    struct fake *const fake = pool_with_a_lost_reply(&old);
    fake_advance(fake, 5 * SECOND);
    open_all(fake);
    fake_answer(fake, old, A, "late");
    assert_int_equal(replies_to(fake, A), 2);
    assert_int_equal(fake->connections[old].state, FAKE_CLOSING);
    fake_free(fake);
}

static void replaced_pooled_websocket_is_closed_after_the_reply_timeout(void **state)
{
    (void)state;
    unsigned old;
    struct fake *const fake = pool_with_a_lost_reply(&old);
    fake_advance(fake, 5 * SECOND);
    open_all(fake);
    fake_advance(fake, 5 * SECOND - 1);
    assert_int_equal(fake->connections[old].state, FAKE_OPEN);
    fake_advance(fake, 1);
    assert_int_equal(fake->connections[old].state, FAKE_CLOSING);
    fake_free(fake);
}

static void full_pooled_websocket_without_a_reply_is_replaced_after_250_ms(void **state)
{
    (void)state;
    struct fake *const fake = pool_of(64);
    const unsigned old = ask(fake, A);
    fake_send_times(fake, A, 9);
    fake_advance(fake, 250 * MS - 1);
    open_all(fake);
    assert_int_equal(fake_frames_of(fake, A), 8);
    fake_advance(fake, 1);
    open_all(fake);
    assert_int_equal(fake_frames_of(fake, A), 10);
    assert_int_not_equal(way_of(fake, A), old);
    assert_int_equal(fake->connections[old].state, FAKE_OPEN);
    assert_int_equal(renewals(fake, RENEWAL_WINDOW), 1);
    fake_free(fake);
}

/* There is no room for a fresh one first. */
static void unclean_websocket_at_the_maximum_makes_room_for_its_successor(void **state)
{
    (void)state;
    struct fake *const fake = pool_of(1);
    ask(fake, A);
    fake_advance(fake, 4 * SECOND);
    fake_send(fake, B, "question");
    fake_advance(fake, 1 * SECOND + 250 * MS);
    let_settle(fake);
    assert_int_equal(fake_frames_of(fake, B), 1);
    assert_int_equal(fake->opens, 2);
    fake_free(fake);
}

/* No spare can be opened, since one is still there for late replies: time must pass all the same.
 */
static void tunnel_sleeps_while_a_replaced_websocket_has_the_last_slot(void **state)
{
    (void)state;
    struct fake *const fake = pool_of(2);
    ask(fake, A);
    fake_advance(fake, 5 * SECOND);
    open_all(fake);
    ask(fake, B);
    fake_advance(fake, 4 * SECOND); /* holds the timer to it */
    assert_true(fake_in_state(fake, FAKE_OPEN) > 0);
    fake_free(fake);
}

/* A WebSocket changes hands when somebody has something to send, not before. */
static void client_with_nothing_to_send_is_given_no_websocket(void **state)
{
    (void)state;
    struct fake *const fake = pool_of(2);
    ask(fake, A);
    const unsigned of_b = ask(fake, B);
    fake_advance(fake, 5 * SECOND - 1);
    fake_answer(fake, of_b, B, "answer");
    fake_advance(fake, 2);
    fake_answer(fake, of_b, B, "once more");
    assert_int_equal(replies_to(fake, A), 0);
    assert_int_equal(replies_to(fake, B), 2);
    fake_free(fake);
}

/* Until there is a fresh one, those from before a reload are all there is. */
static void reload_closes_nothing_before_a_fresh_websocket_is_open(void **state)
{
    (void)state;
    struct fake *const fake = pool_of(64);
    for (uint16_t port = A; port <= F; port++)
        ask(fake, port);
    for (uint16_t port = A; port <= F; port++)
        fake_answer(fake, way_of(fake, port), port, "answer");
    const size_t open = fake_in_state(fake, FAKE_OPEN);
    udp_tunnel_renew(fake->tunnel, fake->now_us);
    fake_settle(fake);
    fake_lose(fake, fake->last_opened);
    fake_send(fake, A, "question");
    assert_int_equal(fake_in_state(fake, FAKE_OPEN), open);
    fake_free(fake);
}

/* It is not forgotten because somebody takes one of them before the fresh ones are up. */
static void reload_reaches_a_websocket_that_is_handed_out_meanwhile(void **state)
{
    (void)state;
    struct fake *const fake = pool_of(64);
    uint32_t incarnations[FAKE_CONNECTIONS_MAX];
    const unsigned way = ask(fake, A);
    ask_and_answer(fake, B);
    memcpy(incarnations, fake->incarnations, sizeof incarnations);
    udp_tunnel_renew(fake->tunnel, fake->now_us);
    fake_settle(fake);
    fake_send(fake, A, "question");
    fake_answer(fake, way, A, "answer");
    fake_answer(fake, way_of(fake, A), A, "answer");
    for (int i = 0; i < 20; i++) {
        let_settle(fake);
        fake_advance(fake, 1 * SECOND);
    }
    for (unsigned i = 0; i < fake->connections_max; i++)
        assert_false(fake->connections[i].state == FAKE_OPEN && incarnations[i] > 0 &&
                     fake->incarnations[i] == incarnations[i]);
    fake_free(fake);
}

static void answered_pool_is_never_renewed(void **state)
{
    (void)state;
    struct fake *const fake = pool_of(4);
    for (int i = 0; i < 200; i++) {
        const unsigned way = ask(fake, (uint16_t)(A + i % 6));
        fake_advance(fake, 100 * MS);
        fake_answer(fake, way, A, "answer");
    }
    assert_int_equal(fake->closes, 0);
    assert_true(fake->opens <= 2);
    fake_free(fake);
}

static void pool_gets_no_pings(void **state)
{
    (void)state;
    struct fake *const fake = pool_of(4);
    ask_and_answer(fake, A);
    fake_advance(fake, 600 * SECOND);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(fake->connections[i].pings, 0);
    fake_free(fake);
}

static void missing_replies_in_a_pool_misroute_nothing_and_are_not_warned_of(void **state)
{
    (void)state;
    struct fake *const fake = pool_of(4);
    ask_and_answer(fake, A);
    ask(fake, A);
    ask(fake, B);
    fake_advance(fake, 20 * SECOND);
    assert_int_equal(fake_reports(fake, REPORT_WARN, ""), 0);
    fake_free(fake);
}

/* ---- per-client ----------------------------------------------------------------------------- */

static struct fake *per_client_of(uint32_t most)
{
    const struct tunnel_config config = config_of_at_most(CONNECTIONS_PER_CLIENT, most);
    return begun(&config);
}

static void each_client_keeps_its_websocket_while_it_is_active(void **state)
{
    (void)state;
    struct fake *const fake = per_client_of(64);
    unsigned ways[6];
    for (uint16_t i = 0; i < 6; i++)
        ways[i] = ask_and_answer(fake, (uint16_t)(A + i));
    for (int round = 0; round < 20; round++) {
        fake_advance(fake, 15 * SECOND);
        for (uint16_t i = 0; i < 6; i++)
            assert_int_equal(ask_and_answer(fake, (uint16_t)(A + i)), ways[i]);
    }
    assert_int_equal(fake->closes, 0);
    fake_free(fake);
}

/* Its source port at the remote service stays as long as it can. */
static void lost_reply_does_not_cost_a_client_its_websocket(void **state)
{
    (void)state;
    struct fake *const fake = per_client_of(64);
    const unsigned way = ask(fake, A);
    for (int i = 0; i < 40; i++) {
        fake_advance(fake, 1 * SECOND);
        assert_int_equal(ask_and_answer(fake, A), way);
    }
    assert_int_equal(renewals(fake, RENEWAL_REPLY_TIMEOUT), 0);
    fake_free(fake);
}

static void some_credits_are_ahead_for_a_client(void **state)
{
    (void)state;
    struct fake *const fake = per_client_of(64);
    const unsigned way = ask(fake, A);
    assert_int_equal(fake->connections[way].credits, PAIRING_CREDITS_CLIENT);
    for (int i = 0; i < 10; i++) {
        fake_answer(fake, way, A, "answer");
        ask(fake, A);
    }
    assert_int_equal(fake->connections[way].credits, PAIRING_CREDITS_CLIENT);
    assert_true(fake_counters(fake).label_credits >= PAIRING_CREDITS_CLIENT);
    fake_free(fake);
}

static void pushed_datagram_is_delivered_and_its_credit_made_good(void **state)
{
    (void)state;
    struct fake *const fake = per_client_of(64);
    const unsigned way = ask_and_answer(fake, A);
    for (size_t i = 1; i <= 200; i++) {
        fake_answer(fake, way, A, "pushed");
        assert_int_equal(replies_to(fake, A), 1 + i);
        assert_true(fake->connections[way].credits >= PAIRING_CREDITS_CLIENT + i);
        assert_true(labels_put(fake, way) - fake->replies.count <= PAIRING_LABELS_MAX);
    }
    assert_true(fake->connections[way].credits <= PAIRING_CREDITS_MAX + 200);
    assert_int_equal(fake_counters(fake).label_credits, fake->connections[way].credits);
    assert_int_equal(fake_counters(fake).surplus_replies, 0);
    fake_free(fake);
}

static void credits_wait_while_the_peer_does_not_read(void **state)
{
    (void)state;
    struct fake *const fake = per_client_of(64);
    const unsigned way = ask_and_answer(fake, A);
    fake->connections[way].blocked = true;
    fake_answer_times(fake, way, A, 4);
    assert_int_equal(fake->connections[way].credits, PAIRING_CREDITS_CLIENT);
    fake_writable(fake, way);
    assert_int_equal(fake->connections[way].credits, PAIRING_CREDITS_CLIENT + 4);
    fake_free(fake);
}

static void upload_without_replies_moves_on_at_31(void **state)
{
    (void)state;
    struct fake *const fake = per_client_of(64);
    const unsigned old = ask(fake, A);
    fake_send_times(fake, A, 39);
    open_all(fake);
    assert_true(labels_put(fake, old) <= PAIRING_LABELS_MAX);
    assert_true(labels_put(fake, old) >= PAIRING_LABELS_MAX - 1);
    fake_advance(fake, 250 * MS - 1);
    open_all(fake);
    assert_true(fake_frames_of(fake, A) < 40);
    fake_advance(fake, 1);
    open_all(fake);
    assert_int_equal(fake_frames_of(fake, A), 40);
    assert_int_not_equal(way_of(fake, A), old);
    assert_int_equal(fake->connections[old].state, FAKE_OPEN);
    assert_int_equal(renewals(fake, RENEWAL_WINDOW), 1);
    fake_free(fake);
}

/* Each of the WebSockets that an upload fills has its 250 ms. */
static void upload_without_replies_moves_on_every_250_ms(void **state)
{
    (void)state;
    struct fake *const fake = per_client_of(64);
    ask(fake, A);
    fake_send_times(fake, A, 200);
    for (size_t i = 1; i <= 4; i++) {
        fake_advance(fake, 250 * MS - 1);
        open_all(fake);
        assert_int_equal(renewals(fake, RENEWAL_WINDOW), i - 1);
        fake_advance(fake, 1);
        open_all(fake);
        assert_int_equal(renewals(fake, RENEWAL_WINDOW), i);
    }
    fake_free(fake);
}

static void late_reply_on_a_clients_old_websocket_is_delivered(void **state)
{
    (void)state;
    struct fake *const fake = per_client_of(64);
    const unsigned old = ask(fake, A);
    fake_send_times(fake, A, 39);
    fake_advance(fake, 250 * MS);
    open_all(fake);
    fake_answer_times(fake, old, A, 3);
    assert_int_equal(replies_to(fake, A), 3);
    fake_advance(fake, 5 * SECOND);
    assert_int_equal(fake->connections[old].state, FAKE_CLOSING);
    fake_free(fake);
}

static void second_client_opens_its_own_websocket_when_it_comes(void **state)
{
    (void)state;
    struct fake *const fake = per_client_of(64);
    fake_send(fake, A, "question");
    const size_t before = fake->opens;
    fake_send(fake, B, "question");
    assert_true(fake->opens <= before + 1);
    open_all(fake);
    assert_int_equal(fake_frames_of(fake, B), 1);
    assert_int_not_equal(way_of(fake, A), way_of(fake, B));
    fake_free(fake);
}

static void quietest_client_makes_room_at_the_maximum(void **state)
{
    (void)state;
    static const struct {
        uint16_t order[3]; /* in which they are active; the first is the quietest */
    } rows[] = {{{A, B, C}}, {{B, A, C}}, {{C, B, A}}, {{B, C, A}}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct fake *const fake = per_client_of(3);
        for (uint16_t port = A; port <= C; port++)
            ask_and_answer(fake, port);
        for (size_t j = 0; j < 3; j++) {
            fake_advance(fake, 1 * SECOND);
            ask_and_answer(fake, rows[i].order[j]);
        }
        const unsigned quietest = way_of(fake, rows[i].order[0]);
        fake_advance(fake, 1 * SECOND);
        fake_send(fake, D, "question");
        assert_int_equal(fake->connections[quietest].state, FAKE_CLOSING);
        assert_int_equal(fake_in_state(fake, FAKE_OPEN), 2);
        let_settle(fake);
        assert_int_equal(fake_frames_of(fake, D), 1);
        fake_free(fake);
    }
}

static void client_with_something_unanswered_makes_no_room(void **state)
{
    (void)state;
    struct fake *const fake = per_client_of(2);
    const unsigned of_a = ask(fake, A);
    fake_advance(fake, 1 * SECOND);
    const unsigned of_b = ask_and_answer(fake, B);
    fake_send(fake, C, "question");
    assert_int_equal(fake->connections[of_a].state, FAKE_OPEN);
    assert_int_equal(fake->connections[of_b].state, FAKE_CLOSING);
    fake_free(fake);
}

static void forgotten_clients_websocket_is_closed(void **state)
{
    (void)state;
    struct fake *const fake = per_client_of(64);
    const unsigned of_a = ask_and_answer(fake, A);
    fake_advance(fake, 30 * SECOND);
    const unsigned of_b = ask_and_answer(fake, B);
    fake_advance(fake, 30 * SECOND - 1);
    assert_int_equal(fake->connections[of_a].state, FAKE_OPEN);
    fake_advance(fake, 1);
    assert_int_equal(fake->connections[of_a].state, FAKE_CLOSING);
    assert_int_equal(fake->connections[of_b].state, FAKE_OPEN);
    assert_int_equal(fake_counters(fake).clients, 1);
    fake_free(fake);
}

/* Its WebSocket is another one than that of whoever comes next. */
static void tunnel_is_ready_again_when_the_last_client_is_forgotten(void **state)
{
    (void)state;
    struct fake *const fake = per_client_of(64);
    ask_and_answer(fake, A);
    const size_t before = fake->opens;
    fake_advance(fake, 60 * SECOND);
    let_settle(fake);
    assert_int_equal(fake_counters(fake).clients, 0);
    assert_int_equal(fake_in_state(fake, FAKE_OPEN), 1);
    assert_true(fake->opens > before);
    fake_send(fake, B, "question");
    assert_int_equal(fake_frames_of(fake, B), 1);
    fake_free(fake);
}

/* ---- pings ---------------------------------------------------------------------------------- */

static struct fake *pinging(void)
{
    struct tunnel_config config = config_of(CONNECTIONS_PER_CLIENT);
    config.ping_interval_us = 20 * SECOND;
    config.ping_timeout_us = 5 * SECOND;
    return begun(&config);
}

static void quiet_websocket_is_pinged_after_the_interval(void **state)
{
    (void)state;
    struct fake *const fake = pinging();
    const unsigned way = ask_and_answer(fake, A);
    fake_advance(fake, 20 * SECOND - 1);
    assert_int_equal(fake->connections[way].pings, 0);
    fake_advance(fake, 1);
    assert_int_equal(fake->connections[way].pings, 1);
    fake_advance(fake, 3 * MS);
    fake_pong(fake, way);
    fake_advance(fake, 20 * SECOND - 1);
    assert_int_equal(fake->connections[way].pings, 1);
    fake_advance(fake, 1);
    assert_int_equal(fake->connections[way].pings, 2);
    fake_free(fake);
}

static void message_puts_the_ping_off(void **state)
{
    (void)state;
    struct fake *const fake = pinging();
    const unsigned way = ask_and_answer(fake, A);
    for (int i = 0; i < 5; i++) {
        fake_advance(fake, 19 * SECOND);
        ask_and_answer(fake, A);
    }
    assert_int_equal(fake->connections[way].pings, 0);
    fake_free(fake);
}

static void interval_of_0_means_no_pings(void **state)
{
    (void)state;
    struct tunnel_config config = config_of(CONNECTIONS_PER_CLIENT);
    config.ping_interval_us = 0;
    struct fake *const fake = begun(&config);
    const unsigned way = ask_and_answer(fake, A);
    fake_advance(fake, 59 * SECOND);
    assert_int_equal(fake->connections[way].pings, 0);
    assert_int_equal(fake->connections[way].state, FAKE_OPEN);
    fake_free(fake);
}

/* Also where the last ping's timeout would have been later. */
static void next_ping_comes_an_interval_after_the_pong(void **state)
{
    (void)state;
    struct tunnel_config config = config_of(CONNECTIONS_PER_CLIENT);
    config.ping_interval_us = 1 * SECOND;
    config.ping_timeout_us = 5 * SECOND;
    struct fake *const fake = begun(&config);
    const unsigned way = ask_and_answer(fake, A);
    for (size_t i = 1; i <= 5; i++) {
        fake_advance(fake, 1 * SECOND);
        assert_int_equal(fake->connections[way].pings, i);
        fake_pong(fake, way);
    }
    fake_free(fake);
}

static void pong_counts_with_its_round_trip(void **state)
{
    (void)state;
    struct fake *const fake = pinging();
    const unsigned way = ask_and_answer(fake, A);
    fake_advance(fake, 20 * SECOND);
    fake_advance(fake, 3 * MS);
    fake_pong(fake, way);
    const struct counters counters = fake_counters(fake);
    assert_int_equal(counters.pings.sum_us, 3 * MS);
    assert_int_equal(counters.pings.buckets[2], 1);
    fake_free(fake);
}

static void pong_that_nobody_asked_for_counts_nothing(void **state)
{
    (void)state;
    struct fake *const fake = pinging();
    const unsigned way = ask_and_answer(fake, A);
    fake_pong(fake, way);
    assert_int_equal(fake_counters(fake).pings.sum_us, 0);
    for (size_t i = 0; i < PING_BUCKET_COUNT; i++)
        assert_int_equal(fake_counters(fake).pings.buckets[i], 0);
    fake_free(fake);
}

static void websocket_whose_ping_is_not_answered_is_given_up(void **state)
{
    (void)state;
    struct fake *const fake = pinging();
    const unsigned way = ask_and_answer(fake, A);
    const uint32_t incarnation = fake->incarnations[way];
    fake_advance(fake, 25 * SECOND - 1);
    assert_int_equal(fake->connections[way].state, FAKE_OPEN);
    fake_advance(fake, 1);
    assert_int_equal(fake->connections[way].state, FAKE_CLOSING);
    fake_send(fake, A, "question");
    fake_closed(fake, way);
    fake_advance(fake, 3 * SECOND);
    open_all(fake);
    assert_int_equal(fake_frames_of(fake, A), 2);
    assert_true(fake->incarnations[way_of(fake, A)] > incarnation || way_of(fake, A) != way);
    fake_free(fake);
}

/* Each ping takes one of the gateway's labels; at 32 it would stop reading. */
static void pings_never_fill_the_gateways_labels(void **state)
{
    (void)state;
    struct tunnel_config config = config_of(CONNECTIONS_PER_CLIENT);
    config.ping_interval_us = 20 * SECOND;
    config.client_timeout_us = 3600LL * SECOND;
    struct fake *const fake = begun(&config);
    size_t most = 0;
    ask_and_answer(fake, A);
    for (int i = 0; i < 100; i++) {
        fake_advance(fake, 20 * SECOND);
        for (unsigned j = 0; j < fake->connections_max; j++) {
            if (fake->connections[j].state != FAKE_OPEN)
                continue;
            most = labels_put(fake, j) > most ? labels_put(fake, j) : most;
            if (fake->connections[j].pings > 0)
                fake_pong(fake, j);
        }
        let_settle(fake);
    }
    assert_true(most <= PAIRING_LABELS_MAX + 1); /* one of them was answered */
    ask_and_answer(fake, A);
    fake_free(fake);
}

/* ---- one-way -------------------------------------------------------------------------------- */

static void one_way_websocket_is_closed_after_31_datagrams(void **state)
{
    (void)state;
    static const struct {
        uint32_t window;
        uint16_t clients;
        size_t each;
    } rows[] = {{31, 1, 31}, {31, 5, 31}, {20, 3, 20}, {8, 2, 8}, {1, 1, 1}, {64, 2, 64}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct tunnel_config config = config_one_way();
        config.window = rows[i].window;
        struct fake *const fake = begun(&config);
        for (size_t sent = 0; sent < 100; sent++) {
            const unsigned way = ask(fake, (uint16_t)(A + sent % rows[i].clients));
            const bool last = sent % rows[i].each == rows[i].each - 1;
            assert_int_equal(fake->connections[way].sent, sent % rows[i].each + 1);
            assert_int_equal(fake->connections[way].state, last ? FAKE_CLOSING : FAKE_OPEN);
            close_all(fake);
        }
        assert_int_equal(renewals(fake, RENEWAL_ONE_WAY), 100 / rows[i].each);
        fake_free(fake);
    }
}

static void next_one_way_websocket_is_opened_ahead_of_need(void **state)
{
    (void)state;
    const struct tunnel_config config = config_one_way();
    struct fake *const fake = begun(&config);
    fake_send_times(fake, A, 30);
    assert_int_equal(fake->opens, 2);
    open_all(fake);
    fake_send_times(fake, A, 31);
    assert_int_equal(fake_frames_of(fake, A), 61);
    assert_int_equal(fake_counters(fake).queue_datagrams, 0);
    fake_free(fake);
}

static void one_way_burst_waits_for_the_websockets_it_needs(void **state)
{
    (void)state;
    const struct tunnel_config config = config_one_way();
    struct fake *const fake = begun(&config);
    fake_send_times(fake, A, 1000);
    for (int i = 0; i < 100 && fake_counters(fake).queue_datagrams > 0; i++) {
        fake_advance(fake, 10 * MS);
        open_all(fake);
        close_all(fake);
    }
    assert_int_equal(fake_frames_of(fake, A), 1000);
    assert_int_equal(counters_dropped(&fake_counters(fake).direction[DIRECTION_OUT]), 0);
    fake_free(fake);
}

static void one_way_with_room_for_one_websocket_goes_on(void **state)
{
    (void)state;
    struct tunnel_config config = config_one_way();
    config.max_connections = 1;
    struct fake *const fake = begun(&config);
    fake_send_times(fake, A, 70);
    assert_int_equal(fake_frames_of(fake, A), 31);
    let_settle(fake);
    assert_int_equal(fake_frames_of(fake, A), 70);
    fake_free(fake);
}

static void reply_to_a_one_way_datagram_is_dropped_and_counted(void **state)
{
    (void)state;
    const struct tunnel_config config = config_one_way();
    struct fake *const fake = begun(&config);
    fake_send_times(fake, A, 5);
    fake_answer_times(fake, 0, A, 3);
    fake_answer_times(fake, 0, B, 4);
    assert_int_equal(fake->replies.count, 0);
    assert_int_equal(fake_dropped(fake, DIRECTION_IN, DROP_ONE_WAY), 7);
    assert_int_equal(fake_reports(fake, REPORT_WARN, "--one-way"), 1);
    fake_free(fake);
}

static void replies_do_not_lengthen_a_one_way_websockets_life(void **state)
{
    (void)state;
    const struct tunnel_config config = config_one_way();
    struct fake *const fake = begun(&config);
    for (int i = 0; i < 31; i++) {
        fake_send(fake, A, "question");
        fake_answer(fake, 0, A, "answer");
    }
    assert_int_equal(fake->connections[0].state, FAKE_CLOSING);
    fake_free(fake);
}

static void silence_is_no_sign_of_anything_one_way(void **state)
{
    (void)state;
    const struct tunnel_config config = config_one_way();
    struct fake *const fake = begun(&config);
    fake_send_times(fake, A, 8);
    fake_send_times(fake, B, 8);
    fake_advance(fake, 600 * SECOND);
    open_all(fake);
    assert_true(fake->opens <= 2); /* with the one ahead */
    assert_int_equal(fake->closes, 0);
    assert_int_equal(fake_reports(fake, REPORT_WARN, ""), 0);
    assert_int_equal(fake->connections[0].credits, 0);
    assert_int_equal(fake->connections[0].pings, 0);
    fake_free(fake);
}

static void one_way_is_told_of_once_however_many_websockets_it_takes(void **state)
{
    (void)state;
    const struct tunnel_config config = config_one_way();
    struct fake *const fake = begun(&config);
    for (int i = 0; i < 200; i++) {
        ask(fake, A);
        close_all(fake);
    }
    assert_int_equal(fake_reports(fake, REPORT_INFO, "Connecting WebSocket tunnel ..."), 1);
    assert_int_equal(fake_reports(fake, REPORT_INFO, "WebSocket tunnel connected"), 1);
    fake_free(fake);
}

static void failed_attempt_one_way_leaves_the_old_websocket_in_use(void **state)
{
    (void)state;
    const struct tunnel_config config = config_one_way();
    struct fake *const fake = begun(&config);
    fake_send_times(fake, A, 30);
    fake_lose(fake, fake->last_opened);
    fake_send(fake, A, "question");
    assert_int_equal(fake_frames_of(fake, A), 31);
    fake_send(fake, A, "waits");
    fake_advance(fake, 2 * SECOND);
    open_all(fake);
    assert_int_equal(fake_frames_of(fake, A), 32);
    fake_free(fake);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_connection_is_told_of_and_no_other),
        cmocka_unit_test(tunnel_without_clients_has_one_open_websocket),
        cmocka_unit_test(first_client_takes_the_websocket_that_is_open),
        cmocka_unit_test(each_client_has_a_websocket_to_itself),
        cmocka_unit_test(reply_goes_to_the_holder_whatever_its_label),
        cmocka_unit_test(reply_with_the_label_of_a_ping_goes_to_the_holder),
        cmocka_unit_test(empty_reply_is_delivered_as_any_other),
        cmocka_unit_test(reply_to_a_forgotten_holder_is_dropped),
        cmocka_unit_test(malformed_message_is_dropped_and_counted),
        cmocka_unit_test(client_that_waits_holds_up_nobody_else),
        cmocka_unit_test(peer_that_does_not_read_holds_up_nobody_else),
        cmocka_unit_test(at_the_maximum_datagrams_wait_for_a_websocket),
        cmocka_unit_test(lost_websocket_is_one_clients_loss),
        cmocka_unit_test(pause_after_a_failed_attempt_is_kept_whoever_asks),
        cmocka_unit_test(reload_replaces_each_websocket_by_a_fresh_one_first),
        cmocka_unit_test(reload_with_room_for_one_websocket_leaves_a_tunnel_that_works),
        cmocka_unit_test(reload_at_the_maximum_replaces_each_websocket),
        cmocka_unit_test(stop_sends_what_can_go_and_closes_every_websocket),
        cmocka_unit_test(stop_gives_up_connecting_for_those_who_wait),
        cmocka_unit_test(shared_websocket_gets_neither_credits_nor_pings),
        cmocka_unit_test(unreadable_message_misroutes_nothing_behind_the_own_label),
        cmocka_unit_test(pool_keeps_a_spare_open),
        cmocka_unit_test(pool_has_no_spare_beyond_its_maximum),
        cmocka_unit_test(pool_opens_none_while_there_are_idle_ones),
        cmocka_unit_test(pooled_websocket_is_handed_on_the_longest_idle_first),
        cmocka_unit_test(pooled_websocket_is_not_handed_on_before_all_is_answered),
        cmocka_unit_test(pooled_websocket_has_8_in_flight_at_most),
        cmocka_unit_test(one_credit_is_ahead_on_a_pooled_websocket),
        cmocka_unit_test(doubled_reply_reaches_its_client_and_uses_up_the_credit),
        cmocka_unit_test(doubled_reply_after_the_hand_on_shows_in_the_count),
        cmocka_unit_test(pooled_websocket_without_a_reply_is_replaced_at_the_reply_timeout),
        cmocka_unit_test(late_reply_on_a_replaced_pooled_websocket_is_delivered),
        cmocka_unit_test(replaced_pooled_websocket_is_closed_after_the_reply_timeout),
        cmocka_unit_test(full_pooled_websocket_without_a_reply_is_replaced_after_250_ms),
        cmocka_unit_test(unclean_websocket_at_the_maximum_makes_room_for_its_successor),
        cmocka_unit_test(tunnel_sleeps_while_a_replaced_websocket_has_the_last_slot),
        cmocka_unit_test(client_with_nothing_to_send_is_given_no_websocket),
        cmocka_unit_test(reload_closes_nothing_before_a_fresh_websocket_is_open),
        cmocka_unit_test(reload_reaches_a_websocket_that_is_handed_out_meanwhile),
        cmocka_unit_test(answered_pool_is_never_renewed),
        cmocka_unit_test(pool_gets_no_pings),
        cmocka_unit_test(missing_replies_in_a_pool_misroute_nothing_and_are_not_warned_of),
        cmocka_unit_test(each_client_keeps_its_websocket_while_it_is_active),
        cmocka_unit_test(lost_reply_does_not_cost_a_client_its_websocket),
        cmocka_unit_test(some_credits_are_ahead_for_a_client),
        cmocka_unit_test(pushed_datagram_is_delivered_and_its_credit_made_good),
        cmocka_unit_test(credits_wait_while_the_peer_does_not_read),
        cmocka_unit_test(upload_without_replies_moves_on_at_31),
        cmocka_unit_test(upload_without_replies_moves_on_every_250_ms),
        cmocka_unit_test(late_reply_on_a_clients_old_websocket_is_delivered),
        cmocka_unit_test(second_client_opens_its_own_websocket_when_it_comes),
        cmocka_unit_test(quietest_client_makes_room_at_the_maximum),
        cmocka_unit_test(client_with_something_unanswered_makes_no_room),
        cmocka_unit_test(forgotten_clients_websocket_is_closed),
        cmocka_unit_test(tunnel_is_ready_again_when_the_last_client_is_forgotten),
        cmocka_unit_test(quiet_websocket_is_pinged_after_the_interval),
        cmocka_unit_test(message_puts_the_ping_off),
        cmocka_unit_test(interval_of_0_means_no_pings),
        cmocka_unit_test(next_ping_comes_an_interval_after_the_pong),
        cmocka_unit_test(pong_counts_with_its_round_trip),
        cmocka_unit_test(pong_that_nobody_asked_for_counts_nothing),
        cmocka_unit_test(websocket_whose_ping_is_not_answered_is_given_up),
        cmocka_unit_test(pings_never_fill_the_gateways_labels),
        cmocka_unit_test(one_way_websocket_is_closed_after_31_datagrams),
        cmocka_unit_test(next_one_way_websocket_is_opened_ahead_of_need),
        cmocka_unit_test(one_way_burst_waits_for_the_websockets_it_needs),
        cmocka_unit_test(one_way_with_room_for_one_websocket_goes_on),
        cmocka_unit_test(reply_to_a_one_way_datagram_is_dropped_and_counted),
        cmocka_unit_test(replies_do_not_lengthen_a_one_way_websockets_life),
        cmocka_unit_test(silence_is_no_sign_of_anything_one_way),
        cmocka_unit_test(one_way_is_told_of_once_however_many_websockets_it_takes),
        cmocka_unit_test(failed_attempt_one_way_leaves_the_old_websocket_in_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
