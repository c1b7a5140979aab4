/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "fake_ports.h"
#include "otoroshictl/tunnel/carriers.h"
#include "otoroshictl/tunnel/client_table.h"
#include "otoroshictl/tunnel/label_line.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* Ports of local clients. */
enum { A = 40001, B = 40002, C = 40003 };

/* One that asks for nothing in particular. */
static struct fake *connected(void)
{
    const struct tunnel_config config = fake_config();
    return fake_connected(&config);
}

static uint64_t out_dropped(const struct fake *fake, enum drop_reason reason)
{
    return fake_dropped(fake, DIRECTION_OUT, reason);
}

static uint64_t in_dropped(const struct fake *fake, enum drop_reason reason)
{
    return fake_dropped(fake, DIRECTION_IN, reason);
}

/* ---- a datagram and its answer -------------------------------------------------------------- */

static void first_connection_is_opened_at_the_start(void **state)
{
    (void)state;
    const struct tunnel_config config = fake_config();
    struct fake *const fake = fake_started(&config);
    assert_int_equal(fake->opens, 1);
    assert_int_equal(fake_reports(fake, REPORT_INFO, "Connecting WebSocket tunnel ..."), 1);
    assert_int_equal(fake_counters(fake).connections_connecting, 1);
    fake_open(fake, 0);
    assert_int_equal(fake_reports(fake, REPORT_INFO, "WebSocket tunnel connected"), 1);
    assert_int_equal(fake_counters(fake).connections_active, 1);
    assert_int_equal(fake_counters(fake).connects_ok, 1);
    fake_free(fake);
}

static void datagram_goes_out_as_one_frame(void **state)
{
    (void)state;
    static const char expected[] = "{\"address\":\"127.0.0.1\",\"port\":40001,\"data\":\"aGk=\"}";
    struct fake *const fake = connected();
    fake_send(fake, A, "hi");
    assert_int_equal(fake->frames.count, 1);
    assert_memory_equal(fake->message, expected, sizeof expected - 1);
    assert_int_equal(fake_counters(fake).direction[DIRECTION_OUT].passed_on, 1);
    assert_int_equal(fake_counters(fake).direction[DIRECTION_OUT].bytes, 2);
    fake_free(fake);
}

static void reply_reaches_the_client_it_names(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    fake_send(fake, A, "question");
    fake_send(fake, B, "question");
    fake_answer(fake, 0, B, "answer");
    assert_int_equal(fake->replies.count, 1);
    assert_record(&fake->replies.rows[0], B, "answer");
    assert_int_equal(fake_counters(fake).direction[DIRECTION_IN].passed_on, 1);
    assert_int_equal(fake_counters(fake).direction[DIRECTION_IN].bytes, 6);
    fake_free(fake);
}

static void empty_reply_is_delivered(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    fake_send(fake, A, "question");
    fake_answer(fake, 0, A, "");
    assert_int_equal(fake->replies.count, 1);
    assert_int_equal(fake->replies.rows[0].size, 0);
    fake_free(fake);
}

static void largest_payload_is_carried_both_ways(void **state)
{
    (void)state;
    static uint8_t payload[DATAGRAM_MAX_BYTES];
    static uint8_t sent[DATAGRAM_MAX_BYTES + 3];
    const struct address client = fake_client(A);
    struct address label;
    size_t size;
    struct fake *const fake = connected();
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)(i * 7 + i / 251);
    fake_send_from(fake, &client, payload, sizeof payload);
    assert_int_equal(frame_read(&label, sent, &size, fake->message,
                                strlen("{\"address\":\"127.0.0.1\",\"port\":40001,\"data\":\"\"}") +
                                    base64_encoded_size(sizeof payload)),
                     FRAME_OK);
    assert_int_equal(size, sizeof payload);
    assert_memory_equal(sent, payload, sizeof payload);
    fake_answer_bytes(fake, 0, &client, payload, sizeof payload);
    assert_int_equal(fake->replies.rows[0].size, sizeof payload);
    assert_memory_equal(fake->reply, payload, sizeof payload);
    fake_free(fake);
}

static void ipv6_client_gets_its_answer_on_its_interface(void **state)
{
    (void)state;
    const struct address client = {
        .ip = {0xFE, 0x80, [15] = 9}, .scope_id = 3, .port = A, .family = ADDRESS_IPV6};
    struct fake *const fake = connected();
    fake_send_from(fake, &client, "hi", 2);
    fake_answer_bytes(fake, 0, &client, "yes", 3);
    assert_int_equal(fake->replies.count, 1);
    assert_true(address_equal(&fake->replies.rows[0].client, &client));
    assert_int_equal(fake->replies.rows[0].client.scope_id, 3);
    fake_free(fake);
}

static void batch_goes_out_in_one_write(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    const size_t flushes = fake->flushes;
    struct datagram batch[5];
    for (size_t i = 0; i < COUNT(batch); i++)
        batch[i] = (struct datagram){
            .client = fake_client((uint16_t)(A + i)), .payload = (const uint8_t *)"x", .size = 1};
    udp_tunnel_on_datagrams(fake->tunnel, batch, COUNT(batch), fake->now_us);
    assert_int_equal(fake->frames.count, 5);
    assert_int_equal(fake->flushes, flushes + 1);
    fake_free(fake);
}

static void datagram_that_must_not_be_sent_is_dropped_by_reason(void **state)
{
    (void)state;
    static const uint8_t payload[DATAGRAM_MAX_BYTES + 1];
    static const struct {
        uint16_t port;
        size_t size;
        enum drop_reason reason;
    } rows[] = {
        {A, 0, DROP_EMPTY},
        {A, DATAGRAM_MAX_BYTES + 1, DROP_OVERSIZE},
        {0, 1, DROP_BAD_SOURCE},
    };
    struct fake *const fake = connected();
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct address client = fake_client(rows[i].port);
        fake_send_from(fake, &client, payload, rows[i].size);
        assert_int_equal(out_dropped(fake, rows[i].reason), 1);
    }
    assert_int_equal(fake->frames.count, 0);
    assert_int_equal(fake_counters(fake).clients, 0);
    fake_free(fake);
}

static void assert_told(const struct fake *fake, const char *line)
{
    if (fake_reports(fake, REPORT_WARN, line) != 1)
        fail_msg("%zu times: %s", fake_reports(fake, REPORT_WARN, line), line);
}

static void each_reason_is_told_at_once_and_then_once_a_minute_with_a_count(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    fake_send_times(fake, 0, 5);
    fake_message(fake, 0, true, "text", 4);
    assert_int_equal(fake_reports(fake, REPORT_WARN, "[bad_source]"), 1);
    assert_told(fake, "Dropped 1 datagram from a local client: it ");
    assert_told(fake, "Dropped 1 reply from the gateway: it ");
    fake_advance(fake, 60 * SECOND - 1);
    fake_message(fake, 0, true, "text", 4);
    fake_message(fake, 0, true, "text", 4);
    assert_int_equal(fake_reports(fake, REPORT_WARN, "Dropped "), 2);
    fake_advance(fake, 1);
    assert_int_equal(fake_reports(fake, REPORT_WARN, "[bad_source]"), 2);
    assert_told(fake, "Dropped 4 datagrams from local clients: each ");
    assert_told(fake, "Dropped 2 replies from the gateway: each ");
    fake_send(fake, 0, "question");
    fake_advance(fake, 60 * SECOND - 1);
    assert_int_equal(fake_reports(fake, REPORT_WARN, "Dropped "), 4);
    fake_advance(fake, 1);
    assert_int_equal(fake_reports(fake, REPORT_WARN, "Dropped "), 5);
    assert_int_equal(fake_reports(fake, REPORT_WARN, "Dropped 1 datagram from a local client: it "),
                     2);
    fake_free(fake);
}

static void reason_of_more_than_a_minute_ago_is_told_at_once(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    fake_send(fake, 0, "question");
    fake_advance(fake, 61 * SECOND);
    assert_int_equal(fake->timer_us, INT64_MAX);
    fake_send(fake, 0, "question");
    assert_int_equal(fake_reports(fake, REPORT_WARN, "Dropped 1 datagram "), 2);
    fake_free(fake);
}

/* Nobody can mend an application that sends what cannot be carried by watching. */
static void datagrams_that_cannot_be_carried_are_told_of_once(void **state)
{
    (void)state;
    static const uint8_t payload[DATAGRAM_MAX_BYTES + 1];
    const struct address client = fake_client(A);
    struct fake *const fake = connected();
    for (int minutes = 0; minutes < 3; minutes++) {
        for (int i = 0; i < 5; i++) {
            fake_send_from(fake, &client, payload, 0);
            fake_send_from(fake, &client, payload, sizeof payload);
        }
        fake_advance(fake, 70 * SECOND);
    }
    udp_tunnel_stop(fake->tunnel, fake->now_us);
    fake_closed(fake, 0);
    assert_int_equal(fake->stopped, 1);
    assert_int_equal(out_dropped(fake, DROP_EMPTY), 15);
    assert_int_equal(out_dropped(fake, DROP_OVERSIZE), 15);
    assert_int_equal(fake_reports(fake, REPORT_WARN, "[empty]"), 1);
    assert_int_equal(fake_reports(fake, REPORT_WARN, "[oversize]"), 1);
    assert_int_equal(fake_reports(fake, REPORT_WARN, "Dropped 1 datagram "), 2);
    fake_free(fake);
}

static void drops_held_back_are_told_at_the_end(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    fake_send_times(fake, 0, 4);
    for (int i = 0; i < 3; i++)
        fake_message(fake, 0, true, "text", 4);
    fake_send_times(fake, A, 5);
    udp_tunnel_stop(fake->tunnel, fake->now_us);
    assert_int_equal(fake_reports(fake, REPORT_WARN, "Dropped "), 2);
    fake_closed(fake, 0);
    assert_int_equal(fake->stopped, 1);
    assert_int_equal(fake_reports(fake, REPORT_WARN, "Dropped "), 4);
    assert_told(fake, "Dropped 3 datagrams from local clients: each ");
    assert_told(fake, "Dropped 2 replies from the gateway: each ");
    fake_free(fake);
}

static void kernels_drops_are_counted_and_warned_of(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    udp_tunnel_on_overflow(fake->tunnel, 7, fake->now_us);
    udp_tunnel_on_overflow(fake->tunnel, 3, fake->now_us);
    assert_int_equal(fake_counters(fake).receive_overflow, 10);
    assert_int_equal(fake_reports(fake, REPORT_WARN, "net.core.rmem_max"), 1);
    fake_free(fake);
}

/* ---- the queue ------------------------------------------------------------------------------ */

static void datagrams_wait_for_the_connection_and_keep_their_order(void **state)
{
    (void)state;
    const struct tunnel_config config = fake_config();
    struct fake *const fake = fake_started(&config);
    fake_send(fake, A, "one");
    fake_send(fake, B, "two");
    fake_send(fake, A, "three");
    assert_int_equal(fake_counters(fake).queue_datagrams, 3);
    fake_open(fake, 0);
    assert_int_equal(fake->frames.count, 3);
    assert_record(&fake->frames.rows[0], A, "one");
    assert_record(&fake->frames.rows[1], B, "two");
    assert_record(&fake->frames.rows[2], A, "three");
    fake_free(fake);
}

static void what_waits_goes_before_what_comes(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    fake->connections[0].blocked = true;
    fake_send(fake, A, "first");
    fake->connections[0].blocked = false;
    fake_send(fake, A, "second");
    fake_writable(fake, 0);
    assert_record(&fake->frames.rows[0], A, "first");
    assert_record(&fake->frames.rows[1], A, "second");
    fake_free(fake);
}

static void datagram_just_within_the_queue_age_is_sent(void **state)
{
    (void)state;
    const struct tunnel_config config = fake_config();
    struct fake *const fake = fake_started(&config);
    fake_send(fake, A, "question");
    fake_advance(fake, config.queue_age_us - 1);
    fake_open(fake, 0);
    assert_int_equal(fake->frames.count, 1);
    fake_free(fake);
}

static void datagram_of_the_queue_age_is_dropped(void **state)
{
    (void)state;
    const struct tunnel_config config = fake_config();
    struct fake *const fake = fake_started(&config);
    fake_send(fake, A, "old");
    fake_advance(fake, 1);
    fake_send(fake, A, "younger");
    fake_advance(fake, config.queue_age_us - 1);
    assert_int_equal(out_dropped(fake, DROP_QUEUE_AGE), 1);
    assert_int_equal(fake_counters(fake).queue_datagrams, 1);
    fake_advance(fake, 1);
    assert_int_equal(out_dropped(fake, DROP_QUEUE_AGE), 2);
    fake_free(fake);
}

/* The connection comes up in the same turn, before the timer has had its say. */
static void datagram_of_the_queue_age_is_not_sent_even_if_the_timer_is_late(void **state)
{
    (void)state;
    const struct tunnel_config config = fake_config();
    struct fake *const fake = fake_started(&config);
    fake_send(fake, A, "old");
    fake->now_us += config.queue_age_us;
    fake_open(fake, 0);
    assert_int_equal(fake->frames.count, 0);
    assert_int_equal(out_dropped(fake, DROP_QUEUE_AGE), 1);
    fake_free(fake);
}

static void queue_drops_the_oldest_when_full(void **state)
{
    (void)state;
    struct tunnel_config config = fake_config();
    config.queue_size = 2;
    struct fake *const fake = fake_started(&config);
    fake_send(fake, A, "one");
    fake_send(fake, A, "two");
    fake_send(fake, A, "three");
    assert_int_equal(out_dropped(fake, DROP_QUEUE_FULL), 1);
    fake_open(fake, 0);
    assert_int_equal(fake->frames.count, 2);
    assert_record(&fake->frames.rows[0], A, "two");
    assert_record(&fake->frames.rows[1], A, "three");
    fake_free(fake);
}

static void peer_that_does_not_read_makes_datagrams_wait(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    fake->connections[0].blocked = true;
    fake_send_times(fake, A, 3);
    assert_int_equal(fake->frames.count, 0);
    assert_int_equal(fake_counters(fake).queue_datagrams, 3);
    assert_int_equal(fake_counters(fake).unanswered_datagrams, 0);
    fake_writable(fake, 0);
    assert_int_equal(fake->frames.count, 3);
    assert_int_equal(fake_counters(fake).queue_datagrams, 0);
    fake_free(fake);
}

/* ---- the window ----------------------------------------------------------------------------- */

static void window_bounds_what_is_unanswered(void **state)
{
    (void)state;
    static const struct {
        uint32_t window;
        uint16_t clients;
        size_t sent;
    } rows[] = {
        {31, 1, 31}, {31, 2, 8},      {31, 40, 8},     {20, 1, 20},  {20, 2, 8},     {1, 1, 1},
        {1, 2, 1},   {4, 1, 4},       {5, 3, 5},       {8, 2, 8},    {32, 2, 32},    {64, 1, 64},
        {64, 2, 64}, {1024, 1, 1024}, {1024, 9, 1024}, {0, 1, 2000}, {0, 100, 2000},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct tunnel_config config = fake_config();
        config.window = rows[i].window;
        config.queue_size = 3000;
        struct fake *const fake = fake_connected(&config);
        for (uint16_t j = 0; j < 2000; j++)
            fake_send(fake, (uint16_t)(A + j % rows[i].clients), "x");
        assert_int_equal(fake->frames.count, rows[i].sent);
        assert_int_equal(fake_counters(fake).unanswered_datagrams, rows[i].sent);
        assert_int_equal(fake_counters(fake).queue_datagrams, 2000 - rows[i].sent);
        fake_free(fake);
    }
}

static void reply_lets_the_next_datagram_go(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    fake_send_times(fake, A, 40);
    fake_answer(fake, 0, A, "answer");
    assert_int_equal(fake->frames.count, 32);
    fake_answer_times(fake, 0, A, 8);
    assert_int_equal(fake->frames.count, 40);
    fake_free(fake);
}

static void replies_of_one_turn_make_room_in_one_write(void **state)
{
    (void)state;
    static const char frame[] = "{\"port\":40001,\"address\":\"127.0.0.1\",\"data\":\"\"}";
    struct fake *const fake = connected();
    fake_send_times(fake, A, 40);
    const size_t flushes = fake->flushes;
    for (int i = 0; i < 9; i++)
        udp_tunnel_on_message(fake->tunnel, 0, false, (const uint8_t *)frame, sizeof frame - 1,
                              fake->now_us);
    fake_settle(fake);
    assert_int_equal(fake->frames.count, 40);
    assert_int_equal(fake->flushes, flushes + 1);
    fake_free(fake);
}

static void second_client_waits_while_8_of_another_are_unanswered(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    fake_send_times(fake, A, 8);
    fake_send(fake, B, "question");
    assert_int_equal(fake_frames_of(fake, B), 0);
    assert_int_equal(fake->opens, 1);
    fake_answer(fake, 0, A, "answer");
    assert_int_equal(fake_frames_of(fake, B), 1);
    assert_int_equal(fake->opens, 1);
    fake_free(fake);
}

static void second_client_behind_a_crowd_gets_a_fresh_websocket(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    fake_send_times(fake, A, 9);
    fake_send(fake, B, "question");
    assert_int_equal(fake->opens, 2);
    assert_int_equal(fake_frames_of(fake, B), 0);
    fake_open(fake, 1);
    assert_int_equal(fake_frames_of(fake, B), 1);
    assert_int_equal(fake->frames.rows[9].connection, 1);
    assert_int_equal(fake_counters(fake).renewals[RENEWAL_WINDOW], 1);
    fake_free(fake);
}

static void second_client_behind_an_answered_crowd_gets_a_fresh_websocket(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    fake_send_times(fake, A, 9);
    fake_answer_times(fake, 0, A, 9);
    fake_send(fake, B, "question");
    assert_int_equal(fake_frames_of(fake, B), 0);
    fake_open(fake, 1);
    assert_int_equal(fake->frames.rows[9].connection, 1);
    assert_int_equal(fake->connections[0].state, FAKE_CLOSING);
    fake_free(fake);
}

static void answered_datagrams_make_no_crowd(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    for (int i = 0; i < 20; i++) {
        fake_send(fake, A, "question");
        fake_answer(fake, 0, A, "answer");
    }
    fake_send(fake, B, "question");
    assert_int_equal(fake_frames_of(fake, B), 1);
    assert_int_equal(fake->opens, 1);
    fake_free(fake);
}

static void crowd_of_one_client_alone_needs_no_renewal(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    fake_send_times(fake, A, 31);
    fake_answer_times(fake, 0, A, 31);
    fake_send_times(fake, A, 31);
    assert_int_equal(fake->frames.count, 62);
    assert_int_equal(fake->opens, 1);
    fake_free(fake);
}

/* A new tunnel's client must not be taken for the one whose memory it got. */
static void forgotten_crowd_still_needs_a_fresh_websocket(void **state)
{
    (void)state;
    struct tunnel_config config = fake_config();
    config.client_timeout_us = 1 * SECOND;
    struct fake *const fake = fake_connected(&config);
    fake_send_times(fake, A, 9);
    fake_answer_times(fake, 0, A, 9);
    fake_advance(fake, 1 * SECOND);
    assert_int_equal(fake_counters(fake).clients, 0);
    fake_send(fake, B, "question");
    assert_int_equal(fake_frames_of(fake, B), 0);
    assert_int_equal(fake->opens, 2);
    fake_free(fake);
}

static void answered_client_is_no_longer_one_of_several(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    fake_send(fake, B, "question");
    fake_answer(fake, 0, B, "answer");
    fake_send_times(fake, A, 40);
    assert_int_equal(fake_frames_of(fake, A), 31);
    fake_free(fake);
}

static void forgotten_client_is_no_longer_one_of_several(void **state)
{
    (void)state;
    struct tunnel_config config = fake_config();
    config.client_timeout_us = 1 * SECOND;
    struct fake *const fake = fake_connected(&config);
    fake_send(fake, B, "never answered");
    fake_advance(fake, 500 * MS);
    fake_send(fake, A, "question");
    fake_advance(fake, 500 * MS);
    fake_send_times(fake, A, 40);
    assert_int_equal(fake_counters(fake).clients, 1);
    assert_int_equal(fake_frames_of(fake, A), 30);
    fake_free(fake);
}

/* ---- renewal -------------------------------------------------------------------------------- */

static void reply_timeout_opens_a_new_websocket_before_the_old_is_given_up(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    fake_send(fake, A, "lost");
    fake_advance(fake, 5 * SECOND - 1);
    assert_int_equal(fake->opens, 1);
    fake_advance(fake, 1);
    assert_int_equal(fake->opens, 2);
    assert_int_equal(fake->closes, 0);
    fake_send(fake, A, "still on the old one");
    assert_int_equal(fake->frames.rows[1].connection, 0);
    fake_open(fake, 1);
    fake_send(fake, A, "on the new one");
    assert_int_equal(fake->frames.rows[2].connection, 1);
    assert_int_equal(fake->closes, 0);
    assert_int_equal(fake_counters(fake).renewals[RENEWAL_REPLY_TIMEOUT], 1);
    assert_int_equal(fake_counters(fake).connections_draining, 1);
    fake_free(fake);
}

/* A tunnel whose connection 0 drains with two unanswered, 1 being active. */
static struct fake *draining(void)
{
    struct fake *const fake = connected();
    fake_send_times(fake, A, 2);
    fake_advance(fake, 5 * SECOND);
    fake_open(fake, 1);
    return fake;
}

static void late_reply_on_a_replaced_websocket_is_delivered(void **state)
{
    (void)state;
    struct fake *const fake = draining();
    fake_answer(fake, 0, A, "late");
    assert_int_equal(fake->replies.count, 1);
    assert_record(&fake->replies.rows[0], A, "late");
    assert_int_equal(fake->closes, 0);
    fake_free(fake);
}

static void replaced_websocket_is_closed_once_drained(void **state)
{
    (void)state;
    struct fake *const fake = draining();
    fake_answer_times(fake, 0, A, 2);
    assert_int_equal(fake->closes, 1);
    assert_int_equal(fake->connections[0].state, FAKE_CLOSING);
    fake_closed(fake, 0);
    assert_int_equal(fake_counters(fake).connections_draining, 0);
    assert_int_equal(fake->opens, 2);
    fake_free(fake);
}

static void replaced_websocket_is_closed_at_the_reply_timeout(void **state)
{
    (void)state;
    struct fake *const fake = draining();
    fake_advance(fake, 5 * SECOND - 1);
    assert_int_equal(fake->closes, 0);
    fake_advance(fake, 1);
    assert_int_equal(fake->connections[0].state, FAKE_CLOSING);
    assert_int_equal(fake->connections[1].state, FAKE_OPEN);
    fake_free(fake);
}

static void reply_that_comes_while_closing_is_delivered(void **state)
{
    (void)state;
    struct fake *const fake = draining();
    fake_advance(fake, 5 * SECOND);
    fake_answer_times(fake, 0, A, 2);
    assert_int_equal(fake->replies.count, 2);
    assert_int_equal(fake->closes, 1);
    fake_free(fake);
}

static void replaced_websocket_that_ends_by_itself_is_no_failure(void **state)
{
    (void)state;
    struct fake *const fake = draining();
    fake_lose(fake, 0);
    fake_advance(fake, 10 * SECOND);
    assert_int_equal(fake->opens, 2);
    assert_int_equal(fake_reports(fake, REPORT_ERROR, ""), 0);
    fake_free(fake);
}

static void websocket_with_nothing_unanswered_is_closed_when_replaced(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    udp_tunnel_renew(fake->tunnel, fake->now_us);
    fake_open(fake, 1);
    assert_int_equal(fake->connections[0].state, FAKE_CLOSING);
    fake_free(fake);
}

static void lost_reply_under_steady_traffic_leads_to_a_renewal(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    fake_send(fake, A, "the lost one");
    for (int i = 0; i < 49; i++) {
        fake_advance(fake, 100 * MS);
        fake_send(fake, A, "question");
        fake_answer(fake, 0, A, "answer");
    }
    assert_int_equal(fake->opens, 1);
    fake_advance(fake, 100 * MS);
    assert_int_equal(fake->opens, 2);
    fake_free(fake);
}

static void answered_traffic_is_never_renewed(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    for (int i = 0; i < 200; i++) {
        fake_send(fake, A, "question");
        fake_advance(fake, 100 * MS);
        fake_answer(fake, 0, A, "answer");
    }
    assert_int_equal(fake->opens, 1);
    fake_free(fake);
}

static void full_window_without_a_reply_is_renewed_after_250_ms(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    fake_send_times(fake, A, 40);
    fake_advance(fake, 250 * MS - 1);
    assert_int_equal(fake->opens, 1);
    fake_advance(fake, 1);
    assert_int_equal(fake->opens, 2);
    fake_open(fake, 1);
    assert_int_equal(fake->connections[1].sent, 9);
    assert_int_equal(fake_counters(fake).renewals[RENEWAL_WINDOW], 1);
    fake_free(fake);
}

static void reply_puts_off_the_renewal_of_a_full_window(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    fake_send_times(fake, A, 31);
    fake_advance(fake, 200 * MS);
    fake_answer(fake, 0, A, "answer");
    fake_send(fake, A, "question");
    fake_advance(fake, 249 * MS);
    assert_int_equal(fake->opens, 1);
    fake_advance(fake, 1 * MS);
    assert_int_equal(fake->opens, 2);
    fake_free(fake);
}

/* While a second client waits the window is 8, and it is full. */
static void second_client_behind_8_lost_replies_gets_a_fresh_websocket_after_250_ms(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    fake_send_times(fake, A, 8);
    fake_send(fake, B, "question");
    fake_advance(fake, 250 * MS);
    assert_int_equal(fake->opens, 2);
    fake_open(fake, 1);
    assert_int_equal(fake_frames_of(fake, B), 1);
    fake_free(fake);
}

static void renewal_happens_once_while_it_is_under_way(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    fake_send_times(fake, A, 9);
    fake_send_times(fake, B, 5);
    fake_advance(fake, 20 * SECOND);
    udp_tunnel_renew(fake->tunnel, fake->now_us);
    assert_int_equal(fake->opens, 2);
    fake_free(fake);
}

static void old_websocket_works_on_while_its_renewal_fails(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    fake_send(fake, A, "lost");
    fake_advance(fake, 5 * SECOND);
    fake_lose(fake, 1);
    fake_send(fake, A, "question");
    fake_answer(fake, 0, A, "answer");
    assert_int_equal(fake->frames.rows[1].connection, 0);
    assert_int_equal(fake->replies.count, 1);
    assert_int_equal(fake->closes, 0);
    fake_free(fake);
}

static void failed_renewal_is_tried_again_after_the_delay(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    fake_send(fake, A, "lost");
    fake_advance(fake, 5 * SECOND);
    fake_lose(fake, 1);
    fake_advance(fake, 2 * SECOND - 1);
    assert_int_equal(fake->opens, 2);
    fake_advance(fake, 1);
    assert_int_equal(fake->opens, 3);
    fake_open(fake, 1);
    assert_int_equal(fake_counters(fake).renewals[RENEWAL_REPLY_TIMEOUT], 1);
    assert_int_equal(fake_counters(fake).connects_failed, 1);
    assert_int_equal(fake_counters(fake).connections_draining, 1);
    fake_free(fake);
}

static void failed_renewal_is_not_tried_before_the_delay_whatever_comes(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    fake_send_times(fake, A, 9);
    fake_send(fake, B, "question");
    fake_lose(fake, 1);
    fake_advance(fake, 1 * SECOND);
    fake_send(fake, B, "question");
    fake_answer(fake, 0, A, "answer");
    fake_fire_timer(fake);
    assert_int_equal(fake->opens, 2);
    fake_free(fake);
}

static void loss_of_the_old_websocket_during_its_renewal_opens_no_third(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    fake_send(fake, A, "lost");
    fake_advance(fake, 5 * SECOND);
    fake_lose(fake, 0);
    assert_int_equal(fake_reports(fake, REPORT_ERROR, "it is gone"), 1);
    fake_advance(fake, 1 * SECOND);
    assert_int_equal(fake->opens, 2);
    fake_send(fake, A, "question");
    fake_open(fake, 1);
    assert_int_equal(fake->connections[1].sent, 1);
    assert_int_equal(fake_reports(fake, REPORT_INFO, "WebSocket tunnel connected"), 2);
    fake_free(fake);
}

static void loss_of_the_old_websocket_after_a_failed_renewal_is_made_good(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    fake_send(fake, A, "lost");
    fake_advance(fake, 5 * SECOND);
    fake_lose(fake, 1);
    fake_lose(fake, 0);
    fake_advance(fake, 250 * MS);
    assert_int_equal(fake->opens, 3);
    fake_free(fake);
}

/* Every slot is taken: the one that has drained longest makes room. */
static void oldest_drained_websocket_makes_room_where_all_are_taken(void **state)
{
    (void)state;
    struct tunnel_config config = fake_config();
    config.reply_timeout_us = 60 * SECOND;
    struct fake *const fake = fake_connected(&config);
    for (unsigned i = 1; i < CARRIERS_SHARED_MAX; i++) {
        fake_send_times(fake, A, 31);
        fake_advance(fake, 250 * MS);
        fake_open(fake, i);
    }
    for (unsigned i = 0; i < 3; i++) {
        fake_send_times(fake, A, 31);
        fake_advance(fake, 250 * MS);
        assert_int_equal(fake->closes, i + 1);
        assert_int_equal(fake->connections[i].state, FAKE_CLOSING);
        fake_closed(fake, i);
        fake_advance(fake, 250 * MS);
        fake_open(fake, i);
    }
    fake_free(fake);
}

static void all_slots_being_closed_only_delays_the_next(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    for (unsigned i = 1; i < CARRIERS_SHARED_MAX; i++) {
        udp_tunnel_renew(fake->tunnel, fake->now_us);
        fake_open(fake, i);
    }
    udp_tunnel_renew(fake->tunnel, fake->now_us);
    assert_int_equal(fake->opens, CARRIERS_SHARED_MAX);
    fake_closed(fake, 7);
    fake_advance(fake, 250 * MS);
    assert_int_equal(fake->last_opened, 7);
    fake_open(fake, 7);
    fake_send(fake, A, "question");
    assert_int_equal(fake->frames.rows[0].connection, 7);
    fake_free(fake);
}

/* ---- what is said of it --------------------------------------------------------------------- */

static void missing_replies_of_several_clients_are_warned_of_once_a_minute(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    fake_send(fake, A, "question");
    fake_answer(fake, 0, A, "answer");
    for (unsigned i = 1; i <= 12; i++) {
        fake_send(fake, A, "lost");
        fake_send(fake, B, "lost");
        fake_advance(fake, 5 * SECOND);
        fake_open(fake, fake->last_opened);
        for (unsigned j = 0; j < CARRIERS_SHARED_MAX; j++)
            if (fake->connections[j].state == FAKE_CLOSING)
                fake_closed(fake, j);
    }
    assert_int_equal(fake_reports(fake, REPORT_WARN, "--connections pool"), 1);
    assert_int_equal(fake_reports(fake, REPORT_WARN, "per-client"), 1);
    fake_send(fake, A, "lost");
    fake_send(fake, B, "lost");
    fake_advance(fake, 5 * SECOND);
    assert_int_equal(fake_reports(fake, REPORT_WARN, "--connections pool"), 2);
    assert_int_equal(fake_reports(fake, REPORT_WARN, "--one-way"), 0);
    fake_free(fake);
}

static void missing_replies_of_one_client_misroute_nothing_and_are_not_warned_of(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    fake_send(fake, A, "question");
    fake_answer(fake, 0, A, "answer");
    fake_send(fake, A, "lost");
    fake_advance(fake, 5 * SECOND);
    assert_int_equal(fake->opens, 2);
    assert_int_equal(fake_reports(fake, REPORT_WARN, ""), 0);
    fake_free(fake);
}

static void service_that_never_answers_is_told_of_one_way(void **state)
{
    (void)state;
    static const uint16_t clients[] = {A, B};
    for (size_t count = 1; count <= COUNT(clients); count++) {
        struct fake *const fake = connected();
        for (size_t i = 0; i < count; i++)
            fake_send(fake, clients[i], "log line");
        fake_advance(fake, 5 * SECOND);
        assert_int_equal(fake_reports(fake, REPORT_WARN, "--one-way"), 1);
        assert_int_equal(fake_reports(fake, REPORT_WARN, "--connections pool"), 0);
        fake_free(fake);
    }
}

/* ---- connecting again ----------------------------------------------------------------------- */

static void lost_connection_is_made_anew_by_the_policy(void **state)
{
    (void)state;
    static const struct {
        int64_t lifetime_us;
        uint32_t random;
        int64_t pause_us;
    } rows[] = {
        {5 * SECOND, 0, 0},
        {5 * SECOND, 249999, 249999},
        {3600LL * SECOND, 1000, 1000},
        {5 * SECOND - 1, 0, 2 * SECOND},
        {1, 0, 2 * SECOND},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct fake *const fake = connected();
        fake->random = rows[i].random;
        fake_advance(fake, rows[i].lifetime_us);
        fake_lose(fake, 0);
        if (rows[i].pause_us > 0) {
            fake_advance(fake, rows[i].pause_us - 1);
            assert_int_equal(fake->opens, 1);
            fake_advance(fake, 1);
        }
        assert_int_equal(fake->opens, 2);
        fake_free(fake);
    }
}

static void failed_attempt_after_a_good_connection_waits_for_the_delay(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    fake_advance(fake, 5 * SECOND);
    fake_lose(fake, 0);
    fake_advance(fake, 250 * MS);
    fake_lose(fake, 0);
    fake_advance(fake, 2 * SECOND - 1);
    assert_int_equal(fake->opens, 2);
    fake_advance(fake, 1);
    assert_int_equal(fake->opens, 3);
    fake_free(fake);
}

static void pause_doubles_up_to_the_maximum(void **state)
{
    (void)state;
    static const int64_t pauses_s[] = {1, 2, 4, 5, 5};
    struct tunnel_config config = fake_config();
    config.reconnect_delay_us = 1 * SECOND;
    config.reconnect_max_delay_us = 5 * SECOND;
    struct fake *const fake = fake_started(&config);
    for (size_t i = 0; i < COUNT(pauses_s); i++) {
        fake_lose(fake, 0);
        fake_advance(fake, pauses_s[i] * SECOND - 10);
        assert_int_equal(fake->opens, i + 1);
        fake_advance(fake, 20);
        assert_int_equal(fake->opens, i + 2);
    }
    fake_free(fake);
}

static void retry_after_is_waited_for(void **state)
{
    (void)state;
    static const struct {
        int64_t retry_after_us;
        int64_t pause_us;
    } rows[] = {{30 * SECOND, 30 * SECOND}, {300 * SECOND, 60 * SECOND}, {1 * SECOND, 2 * SECOND}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct tunnel_config config = fake_config();
        const struct connection_end end = {
            .kind = END_HTTP_STATUS, .status = 429, .retry_after_us = rows[i].retry_after_us};
        struct fake *const fake = fake_started(&config);
        fake_end(fake, 0, &end);
        fake_advance(fake, rows[i].pause_us - 1);
        assert_int_equal(fake->opens, 1);
        fake_advance(fake, 1);
        assert_int_equal(fake->opens, 2);
        fake_free(fake);
    }
}

static struct tunnel_config two_gateways(void)
{
    static char text[] = "second.test:8080";
    static char name[] = "second.test";
    struct tunnel_config config = fake_config();
    config.hosts[1] = (struct gateway_host){.text = text, .name = name, .port = 8080};
    config.host_count = 2;
    return config;
}

static void next_gateway_is_tried_after_a_failed_attempt(void **state)
{
    (void)state;
    const struct tunnel_config config = two_gateways();
    struct fake *const fake = fake_started(&config);
    static const size_t hosts[] = {0, 1, 0, 1};
    for (size_t i = 0; i < COUNT(hosts); i++) {
        assert_int_equal(fake->connections[0].host, hosts[i]);
        fake_lose(fake, 0);
        fake_advance(fake, 2 * SECOND);
    }
    fake_free(fake);
}

static void lost_connection_goes_back_to_its_own_gateway(void **state)
{
    (void)state;
    const struct tunnel_config config = two_gateways();
    struct fake *const fake = fake_started(&config);
    fake_lose(fake, 0);
    fake_advance(fake, 2 * SECOND);
    fake_open(fake, 0);
    fake_advance(fake, 5 * SECOND);
    fake_lose(fake, 0);
    fake_advance(fake, 250 * MS);
    assert_int_equal(fake->opens, 3);
    assert_int_equal(fake->connections[0].host, 1);
    fake_free(fake);
}

static void refused_open_is_a_failed_attempt(void **state)
{
    (void)state;
    const struct tunnel_config config = fake_config();
    struct fake *const fake = fake_new(&config);
    fake->refuse_open = true;
    fake_start(fake);
    assert_int_equal(fake_counters(fake).connects_failed, 1);
    assert_int_equal(fake_reports(fake, REPORT_ERROR, "out of memory or descriptors"), 1);
    fake->refuse_open = false;
    fake_advance(fake, 2 * SECOND);
    fake_open(fake, 0);
    assert_int_equal(fake_counters(fake).connections_active, 1);
    fake_free(fake);
}

static void refused_open_of_a_renewal_leaves_the_old_websocket(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    fake->refuse_open = true;
    fake_send(fake, A, "lost");
    fake_advance(fake, 5 * SECOND);
    fake_send(fake, A, "question");
    assert_int_equal(fake->frames.rows[1].connection, 0);
    fake->refuse_open = false;
    fake_advance(fake, 2 * SECOND);
    fake_open(fake, 1);
    assert_int_equal(fake_counters(fake).renewals[RENEWAL_REPLY_TIMEOUT], 1);
    fake_free(fake);
}

static void unanswered_datagrams_go_with_their_connection(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    fake_send_times(fake, A, 31);
    fake_lose(fake, 0);
    assert_int_equal(fake_counters(fake).unanswered_datagrams, 0);
    fake_advance(fake, 2 * SECOND);
    fake_open(fake, 0);
    fake_send_times(fake, A, 31);
    assert_int_equal(fake->frames.count, 62);
    fake_free(fake);
}

/* ---- what is said of failures --------------------------------------------------------------- */

static void failure_names_cause_and_pause(void **state)
{
    (void)state;
    const struct tunnel_config config = fake_config();
    const struct connection_end end = {.kind = END_HTTP_STATUS, .status = 401};
    struct fake *const fake = fake_started(&config);
    fake_end(fake, 0, &end);
    assert_int_equal(fake_reports(fake, REPORT_ERROR,
                                  "WebSocket tunnel error: HTTP 401 from gateway.test:8080: the "
                                  "API key was refused; retrying in 2s"),
                     1);
    fake_free(fake);
}

static void lost_good_connection_is_retried_at_once_and_says_so(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    fake_advance(fake, 5 * SECOND);
    fake_lose(fake, 0);
    assert_int_equal(fake_reports(fake, REPORT_ERROR, "it is gone; retrying at once"), 1);
    fake_free(fake);
}

static void repeated_failure_is_written_at_first_and_then_once_a_minute(void **state)
{
    (void)state;
    const struct tunnel_config config = fake_config();
    struct fake *const fake = fake_started(&config);
    for (int i = 0; i < 30; i++) {
        fake_lose(fake, 0);
        fake_advance(fake, 2 * SECOND);
    }
    assert_int_equal(fake_reports(fake, REPORT_ERROR, ""), 1);
    fake_lose(fake, 0);
    assert_int_equal(fake_reports(fake, REPORT_ERROR, ""), 2);
    assert_int_equal(fake_reports(fake, REPORT_ERROR, "(failed so 30 times)"), 1);
    assert_true(fake_reports(fake, REPORT_INFO, "Connecting") <= 3);
    fake_free(fake);
}

static void another_failure_is_written_at_once(void **state)
{
    (void)state;
    static const uint16_t statuses[] = {401, 401, 404, 404, 401};
    const struct tunnel_config config = fake_config();
    struct fake *const fake = fake_started(&config);
    for (size_t i = 0; i < COUNT(statuses); i++) {
        const struct connection_end end = {.kind = END_HTTP_STATUS, .status = statuses[i]};
        fake_end(fake, 0, &end);
        fake_advance(fake, 2 * SECOND);
    }
    assert_int_equal(fake_reports(fake, REPORT_ERROR, "HTTP 404"), 1);
    assert_true(fake_reports(fake, REPORT_ERROR, "HTTP 401") >= 1);
    fake_free(fake);
}

static void repeated_failures_of_two_gateways_do_not_fill_the_log(void **state)
{
    (void)state;
    const struct tunnel_config config = two_gateways();
    struct fake *const fake = fake_started(&config);
    for (int i = 0; i < 28; i++) {
        fake_lose(fake, 0);
        fake_advance(fake, 2 * SECOND);
    }
    assert_int_equal(fake_reports(fake, REPORT_ERROR, "gateway.test"), 1);
    assert_int_equal(fake_reports(fake, REPORT_ERROR, "second.test"), 1);
    fake_free(fake);
}

/* A route without the tunnel plugin opens and closes at once, again and again. */
static void connection_that_closes_at_once_each_time_does_not_fill_the_log(void **state)
{
    (void)state;
    const struct connection_end end = {.kind = END_CLOSED_BY_PEER, .status = 1000};
    const struct tunnel_config config = fake_config();
    struct fake *const fake = fake_started(&config);
    for (int i = 0; i < 28; i++) {
        fake_open(fake, 0);
        fake_end(fake, 0, &end);
        fake_advance(fake, 2 * SECOND);
    }
    assert_int_equal(fake_reports(fake, REPORT_ERROR, "closed the connection"), 1);
    fake_free(fake);
}

/* ---- bad replies ---------------------------------------------------------------------------- */

static void reply_to_unknown_client_is_dropped_and_counted(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    fake_send(fake, A, "question");
    fake_answer(fake, 0, B, "answer");
    assert_int_equal(fake->replies.count, 0);
    assert_int_equal(in_dropped(fake, DROP_UNKNOWN_CLIENT), 1);
    fake_free(fake);
}

static void reply_to_unknown_client_makes_room_in_the_window(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    fake_send_times(fake, A, 32);
    fake_answer(fake, 0, B, "answer");
    assert_int_equal(fake->frames.count, 32);
    fake_free(fake);
}

static void malformed_reply_is_dropped_by_reason(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum drop_reason reason;
    } rows[] = {
        {"hello", DROP_NOT_JSON},
        {"[]", DROP_NOT_AN_OBJECT},
        {"{} x", DROP_TRAILING_BYTES},
        {"{\"port\":1,\"port\":2,\"address\":\"127.0.0.1\",\"data\":\"\"}", DROP_DUPLICATE_KEY},
        {"{\"port\":40001,\"address\":\"127.0.0.1\"}", DROP_MISSING_KEY},
        {"{\"port\":\"40001\",\"address\":\"127.0.0.1\",\"data\":\"\"}", DROP_WRONG_TYPE},
        {"{\"port\":40001,\"address\":\"localhost\",\"data\":\"\"}", DROP_BAD_ADDRESS},
        {"{\"port\":0,\"address\":\"127.0.0.1\",\"data\":\"\"}", DROP_BAD_PORT},
        {"{\"port\":40001,\"address\":\"127.0.0.1\",\"data\":\"?\"}", DROP_BAD_BASE64},
    };
    struct fake *const fake = connected();
    fake_send(fake, A, "question");
    for (size_t i = 0; i < COUNT(rows); i++) {
        fake_message(fake, 0, false, rows[i].text, strlen(rows[i].text));
        assert_int_equal(in_dropped(fake, rows[i].reason), 1);
    }
    assert_int_equal(fake->replies.count, 0);
    assert_int_equal(fake->closes, 0);
    fake_free(fake);
}

static void reply_above_the_largest_datagram_is_dropped(void **state)
{
    (void)state;
    static const uint8_t payload[DATAGRAM_MAX_BYTES + 1];
    const struct address client = fake_client(A);
    struct fake *const fake = connected();
    fake_send(fake, A, "question");
    fake_answer_bytes(fake, 0, &client, payload, sizeof payload);
    assert_int_equal(in_dropped(fake, DROP_OVERSIZE), 1);
    assert_int_equal(fake->replies.count, 0);
    fake_free(fake);
}

static void text_frame_is_dropped_though_it_reads_well(void **state)
{
    (void)state;
    static const char frame[] = "{\"port\":40001,\"address\":\"127.0.0.1\",\"data\":\"aGk=\"}";
    struct fake *const fake = connected();
    fake_send(fake, A, "question");
    fake_message(fake, 0, true, frame, sizeof frame - 1);
    assert_int_equal(in_dropped(fake, DROP_TEXT_FRAME), 1);
    assert_int_equal(fake->replies.count, 0);
    fake_free(fake);
}

static void breach_counts_one_received_and_one_dropped_and_reconnects(void **state)
{
    (void)state;
    static const struct {
        uint16_t status;
        enum drop_reason reason;
    } rows[] = {{1002, DROP_PROTOCOL}, {1007, DROP_PROTOCOL}, {1009, DROP_TOO_LARGE}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct connection_end end = {
            .kind = END_PROTOCOL_BREACH, .status = rows[i].status, .detail = "masked frame"};
        struct fake *const fake = connected();
        fake_end(fake, 0, &end);
        assert_int_equal(fake_counters(fake).direction[DIRECTION_IN].received, 1);
        assert_int_equal(in_dropped(fake, rows[i].reason), 1);
        fake_advance(fake, 2 * SECOND);
        assert_int_equal(fake->opens, 2);
        fake_free(fake);
    }
}

static void reply_that_cannot_be_delivered_is_counted(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    fake_send(fake, A, "question");
    fake->failing_deliveries = 1;
    fake_answer(fake, 0, A, "answer");
    assert_int_equal(in_dropped(fake, DROP_SEND_FAILED), 1);
    assert_int_equal(fake_counters(fake).direction[DIRECTION_IN].passed_on, 0);
    fake_free(fake);
}

/* ---- clients come and go -------------------------------------------------------------------- */

static void client_is_answered_within_its_timeout_only(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    fake_send_times(fake, A, 2);
    fake_answer_times(fake, 0, A, 1);
    fake_advance(fake, 60 * SECOND - 1);
    fake_answer(fake, 0, A, "just in time");
    assert_int_equal(fake->replies.count, 2);
    fake_advance(fake, 1);
    fake_answer(fake, 0, A, "too late");
    assert_int_equal(fake->replies.count, 2);
    assert_int_equal(in_dropped(fake, DROP_UNKNOWN_CLIENT), 1);
    fake_free(fake);
}

static void client_is_not_answered_late_even_if_the_timer_is_late(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    fake_send(fake, A, "question");
    fake->now_us += 60 * SECOND;
    fake_answer(fake, 0, A, "too late");
    assert_int_equal(fake->replies.count, 0);
    fake_free(fake);
}

static void client_unseen_for_its_timeout_is_forgotten(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    fake_send(fake, A, "question");
    fake_answer(fake, 0, A, "answer");
    fake_advance(fake, 30 * SECOND);
    fake_send(fake, B, "question");
    fake_answer(fake, 0, B, "answer");
    assert_int_equal(fake_counters(fake).clients, 2);
    fake_advance(fake, 30 * SECOND);
    assert_int_equal(fake_counters(fake).clients, 1);
    fake_advance(fake, 30 * SECOND);
    assert_int_equal(fake_counters(fake).clients, 0);
    fake_free(fake);
}

static void client_is_not_forgotten_while_a_datagram_of_it_waits(void **state)
{
    (void)state;
    struct tunnel_config config = fake_config();
    config.client_timeout_us = 1 * SECOND;
    struct fake *const fake = fake_started(&config);
    fake_send(fake, A, "question");
    fake_advance(fake, 4 * SECOND);
    assert_int_equal(fake_counters(fake).clients, 1);
    fake_open(fake, 0);
    assert_record(&fake->frames.rows[0], A, "question");
    fake_advance(fake, 4 * SECOND);
    assert_int_equal(fake_counters(fake).clients, 0);
    fake_free(fake);
}

static void clients_above_the_limit_are_forgotten_at_once(void **state)
{
    (void)state;
    enum { BATCH = 64 };
    struct fake *const fake = connected();
    struct datagram batch[BATCH];
    for (uint32_t i = 0; i < CLIENTS_MAX + 4 * BATCH; i += BATCH) {
        for (uint32_t j = 0; j < BATCH; j++) {
            const uint32_t number = i + j;
            struct address client = {.port = 9, .family = ADDRESS_IPV4};
            memcpy(client.ip, &number, sizeof number);
            batch[j] =
                (struct datagram){.client = client, .payload = (const uint8_t *)"x", .size = 1};
        }
        udp_tunnel_on_datagrams(fake->tunnel, batch, BATCH, fake->now_us);
        fake->report_count = 0;
        fake_advance(fake, 10);
    }
    assert_true(fake_counters(fake).clients <= CLIENTS_MAX);
    fake_free(fake);
}

/* ---- SIGHUP --------------------------------------------------------------------------------- */

static void reload_opens_a_new_websocket_before_the_old_is_closed(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    fake_send(fake, A, "question");
    udp_tunnel_renew(fake->tunnel, fake->now_us);
    assert_int_equal(fake_reports(fake, REPORT_INFO, "Renewing the WebSocket tunnel ..."), 1);
    assert_int_equal(fake->opens, 2);
    assert_int_equal(fake->closes, 0);
    fake_open(fake, 1);
    assert_int_equal(fake_counters(fake).renewals[RENEWAL_RELOAD], 1);
    fake_answer(fake, 0, A, "answer");
    assert_int_equal(fake->replies.count, 1);
    assert_int_equal(fake->connections[0].state, FAKE_CLOSING);
    fake_free(fake);
}

static void reload_while_waiting_to_reconnect_connects_at_once(void **state)
{
    (void)state;
    const struct tunnel_config config = fake_config();
    struct fake *const fake = fake_started(&config);
    fake_lose(fake, 0);
    udp_tunnel_renew(fake->tunnel, fake->now_us);
    assert_int_equal(fake->opens, 2);
    fake_advance(fake, 10 * SECOND);
    assert_int_equal(fake->opens, 2);
    fake_free(fake);
}

static void reload_while_a_failed_renewal_waits_connects_at_once(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    udp_tunnel_renew(fake->tunnel, fake->now_us);
    fake_lose(fake, 1);
    udp_tunnel_renew(fake->tunnel, fake->now_us);
    assert_int_equal(fake->opens, 3);
    fake_free(fake);
}

static void reload_while_connecting_is_remembered(void **state)
{
    (void)state;
    const struct tunnel_config config = fake_config();
    struct fake *const fake = fake_started(&config);
    udp_tunnel_renew(fake->tunnel, fake->now_us);
    fake_open(fake, 0);
    assert_int_equal(fake->opens, 2);
    fake_send(fake, A, "question"); /* meanwhile it serves */
    assert_int_equal(fake->frames.rows[0].connection, 0);
    fake_answer(fake, 0, A, "answer");
    fake_open(fake, 1);
    assert_int_equal(fake->connections[0].state, FAKE_CLOSING);
    assert_int_equal(fake_counters(fake).renewals[RENEWAL_RELOAD], 1);
    assert_int_equal(fake->opens, 2);
    fake_free(fake);
}

static void reload_while_connecting_opens_no_second_one(void **state)
{
    (void)state;
    const struct tunnel_config config = fake_config();
    struct fake *const fake = fake_started(&config);
    udp_tunnel_renew(fake->tunnel, fake->now_us);
    assert_int_equal(fake->opens, 1);
    fake_free(fake);
}

/* ---- stopping ------------------------------------------------------------------------------- */

static void stop_at(struct fake *fake)
{
    udp_tunnel_stop(fake->tunnel, fake->now_us);
    fake_settle(fake);
}

/* Every close takes as long as it may; the tunnel must have stopped within 2 s. */
static void assert_stops(struct fake *fake)
{
    const int64_t deadline_us = fake->now_us + 2 * SECOND;
    int64_t closing_since_us[CARRIERS_SHARED_MAX] = {0};
    stop_at(fake);
    for (; fake->stopped == 0 && fake->now_us < deadline_us; fake_advance(fake, 50 * MS))
        for (unsigned i = 0; i < CARRIERS_SHARED_MAX && fake->stopped == 0; i++) {
            if (fake->connections[i].state != FAKE_CLOSING)
                continue;
            if (closing_since_us[i] == 0)
                closing_since_us[i] = fake->now_us;
            if (fake->now_us >= closing_since_us[i] + 1 * SECOND)
                fake_closed(fake, i);
        }
    assert_int_equal(fake->stopped, 1);
    assert_int_equal(fake_counters(fake).queue_datagrams, 0);
    for (unsigned i = 0; i < CARRIERS_SHARED_MAX; i++)
        assert_int_equal(fake->connections[i].state, FAKE_FREE);
}

static struct fake *idle(void)
{
    return connected();
}

static struct fake *with_unanswered(void)
{
    struct fake *const fake = connected();
    fake_send_times(fake, A, 5);
    return fake;
}

static struct fake *with_full_window(void)
{
    struct fake *const fake = connected();
    fake_send_times(fake, A, 35);
    return fake;
}

static struct fake *with_blocked_peer(void)
{
    struct fake *const fake = connected();
    fake->connections[0].blocked = true;
    fake_send_times(fake, A, 4);
    return fake;
}

static struct fake *connecting(void)
{
    const struct tunnel_config config = fake_config();
    return fake_started(&config);
}

static struct fake *connecting_with_queue(void)
{
    struct fake *const fake = connecting();
    fake_send_times(fake, A, 4);
    return fake;
}

static struct fake *waiting_to_reconnect(void)
{
    struct fake *const fake = connecting();
    fake_lose(fake, 0);
    return fake;
}

static struct fake *waiting_to_reconnect_with_queue(void)
{
    struct fake *const fake = connecting_with_queue();
    fake_lose(fake, 0);
    return fake;
}

static struct fake *renewing(void)
{
    struct fake *const fake = connected();
    udp_tunnel_renew(fake->tunnel, fake->now_us);
    return fake;
}

static struct fake *renewing_with_queue(void)
{
    struct fake *const fake = connected();
    fake_send_times(fake, A, 9);
    fake_send_times(fake, B, 4);
    return fake;
}

static struct fake *waiting_to_renew_with_queue(void)
{
    struct fake *const fake = renewing_with_queue();
    fake_lose(fake, 1);
    return fake;
}

static struct fake *draining_and_closing(void)
{
    struct fake *const fake = draining();
    udp_tunnel_renew(fake->tunnel, fake->now_us);
    fake_open(fake, 2);
    assert_int_equal(fake->connections[1].state, FAKE_CLOSING);
    return fake;
}

static struct fake *draining_only(void)
{
    struct fake *const fake = draining();
    fake_lose(fake, 1);
    return fake;
}

static void stop_ends_in_every_state_and_drops_what_waits(void **state)
{
    (void)state;
    static const struct {
        struct fake *(*make)(void);
        uint64_t dropped;
    } rows[] = {
        {idle, 0},
        {with_unanswered, 0},
        {with_full_window, 4},
        {with_blocked_peer, 4},
        {connecting, 0},
        {connecting_with_queue, 4},
        {waiting_to_reconnect, 0},
        {waiting_to_reconnect_with_queue, 4},
        {renewing, 0},
        {renewing_with_queue, 4},
        {waiting_to_renew_with_queue, 4},
        {draining, 0},
        {draining_and_closing, 0},
        {draining_only, 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct fake *const fake = rows[i].make();
        assert_stops(fake);
        if (out_dropped(fake, DROP_SHUTDOWN) != rows[i].dropped)
            fail_msg("row %zu: %u dropped", i, (unsigned)out_dropped(fake, DROP_SHUTDOWN));
        fake_free(fake);
    }
}

static void stop_without_a_connection_is_immediate(void **state)
{
    (void)state;
    struct fake *const fake = waiting_to_reconnect_with_queue();
    stop_at(fake);
    assert_int_equal(fake->stopped, 1);
    assert_int_equal(out_dropped(fake, DROP_SHUTDOWN), 4);
    fake_free(fake);
}

static void stop_with_nothing_queued_closes_at_once(void **state)
{
    (void)state;
    struct fake *const fake = with_unanswered();
    stop_at(fake);
    assert_int_equal(fake->closes, 1);
    assert_int_equal(fake->stopped, 0);
    fake_closed(fake, 0);
    assert_int_equal(fake->stopped, 1);
    fake_free(fake);
}

static void stop_gives_up_an_idle_attempt_to_connect(void **state)
{
    (void)state;
    struct fake *const fake = connecting();
    stop_at(fake);
    assert_int_equal(fake->connections[0].state, FAKE_CLOSING);
    fake_closed(fake, 0);
    assert_int_equal(fake->stopped, 1);
    fake_free(fake);
}

static void stop_sends_what_is_queued_when_replies_make_room(void **state)
{
    (void)state;
    struct fake *const fake = with_full_window();
    stop_at(fake);
    fake_answer_times(fake, 0, A, 3);
    assert_int_equal(fake->closes, 0);
    fake_answer(fake, 0, A, "answer");
    assert_int_equal(fake->frames.count, 35);
    assert_int_equal(fake->closes, 2);
    fake_closed(fake, 0);
    fake_closed(fake, 1);
    assert_int_equal(fake->stopped, 1);
    assert_int_equal(out_dropped(fake, DROP_SHUTDOWN), 0);
    fake_free(fake);
}

/* Closes whatever is being closed; the tunnel must have stopped then. */
static void assert_stopped_once_closed(struct fake *fake)
{
    for (unsigned i = 0; i < CARRIERS_SHARED_MAX; i++)
        if (fake->connections[i].state == FAKE_CLOSING)
            fake_closed(fake, i);
    assert_int_equal(fake->stopped, 1);
    assert_int_equal(fake_counters(fake).queue_datagrams, 0);
}

static size_t frames_on(const struct fake *fake, unsigned connection)
{
    size_t count = 0;
    for (size_t i = 0; i < fake->frames.count; i++)
        count += fake->frames.rows[i].connection == connection ? 1 : 0;
    return count;
}

static void stop_sends_what_a_full_window_holds_back_on_a_second_websocket(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    for (int i = 0; i < 40; i++) {
        char text[8];
        snprintf(text, sizeof text, "%d", i);
        fake_send(fake, A, text);
    }
    assert_int_equal(fake_counters(fake).queue_datagrams, 9);
    assert_int_equal(fake->opens, 1);
    stop_at(fake);
    assert_int_equal(fake_reports(fake, REPORT_INFO, "Stopping: closing the WebSocket tunnel ..."),
                     1);
    assert_int_equal(fake->opens, 2);
    assert_int_equal(fake->closes, 0);
    fake_open(fake, 1);
    assert_int_equal(frames_on(fake, 0), 31);
    assert_int_equal(frames_on(fake, 1), 9);
    for (size_t i = 0; i < 40; i++) {
        char text[8];
        snprintf(text, sizeof text, "%zu", i);
        assert_record(&fake->frames.rows[i], A, text);
    }
    assert_int_equal(fake->closes, 2); /* nothing is drained */
    assert_stopped_once_closed(fake);
    assert_int_equal(fake->opens, 2);
    assert_int_equal(counters_dropped(&fake_counters(fake).direction[DIRECTION_OUT]), 0);
    assert_int_equal(fake_reports(fake, REPORT_WARN, "Dropped "), 0);
    fake_free(fake);
}

static void stop_goes_round_a_full_window_as_often_as_it_takes(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    fake_send_times(fake, A, 3 * 31 + 1);
    stop_at(fake);
    fake_open(fake, 1);
    assert_int_equal(fake->connections[0].state, FAKE_CLOSING);
    fake_open(fake, 2);
    fake_closed(fake, 0);
    fake_open(fake, fake->last_opened);
    assert_int_equal(fake->frames.count, 3 * 31 + 1);
    assert_int_equal(fake->opens, 4);
    assert_stopped_once_closed(fake);
    assert_int_equal(out_dropped(fake, DROP_SHUTDOWN), 0);
    fake_free(fake);
}

static void stop_goes_round_a_crowd_and_a_window_of_several(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    fake_send_times(fake, A, 9);
    fake_send_times(fake, B, 7);
    fake_send_times(fake, C, 3);
    stop_at(fake);
    assert_int_equal(fake->opens, 2);
    fake_open(fake, 1);
    assert_int_equal(frames_on(fake, 1), 8);
    fake_open(fake, 2);
    assert_int_equal(frames_on(fake, 2), 2);
    assert_int_equal(fake->closes, 3);
    assert_stopped_once_closed(fake);
    assert_int_equal(counters_dropped(&fake_counters(fake).direction[DIRECTION_OUT]), 0);
    fake_free(fake);
}

static void failed_renewal_ends_the_stop_at_once(void **state)
{
    (void)state;
    for (int refused = 0; refused < 2; refused++) {
        struct fake *const fake = connected();
        fake_send_times(fake, A, 40);
        fake->refuse_open = refused == 1;
        stop_at(fake);
        assert_int_equal(fake->opens, 2);
        if (!refused)
            fake_lose(fake, 1);
        fake_advance(fake, 0);
        assert_int_equal(fake->connections[0].state, FAKE_CLOSING);
        assert_int_equal(out_dropped(fake, DROP_SHUTDOWN), 9);
        assert_int_equal(fake_counters(fake).connects_failed, 1);
        assert_stopped_once_closed(fake);
        assert_int_equal(fake->opens, 2);
        assert_told(fake, "Dropped 1 datagram from a local client: it was still waiting when the "
                          "tunnel was stopped [shutdown]");
        assert_told(fake, "Dropped 8 datagrams from local clients: each was still waiting when the "
                          "tunnel was stopped [shutdown]");
        assert_int_equal(fake_reports(fake, REPORT_WARN, "[shutdown]"), 2);
        fake_free(fake);
    }
}

static void renewal_that_hangs_ends_the_stop_after_600_ms(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    fake_send_times(fake, A, 40);
    stop_at(fake);
    fake_advance(fake, 600 * MS - 1);
    assert_int_equal(fake->closes, 0);
    fake_advance(fake, 1);
    assert_int_equal(fake->closes, 2);
    assert_int_equal(out_dropped(fake, DROP_SHUTDOWN), 9);
    assert_stopped_once_closed(fake);
    fake_free(fake);
}

static void stop_sends_what_is_queued_when_the_peer_reads_again(void **state)
{
    (void)state;
    struct fake *const fake = with_blocked_peer();
    stop_at(fake);
    fake_writable(fake, 0);
    assert_int_equal(fake->frames.count, 4);
    assert_stopped_once_closed(fake);
    assert_int_equal(out_dropped(fake, DROP_SHUTDOWN), 0);
    fake_free(fake);
}

static void stop_sends_what_is_queued_when_the_connection_comes_up(void **state)
{
    (void)state;
    struct fake *const fake = connecting_with_queue();
    stop_at(fake);
    fake_advance(fake, 500 * MS);
    fake_open(fake, 0);
    assert_int_equal(fake->frames.count, 4);
    assert_int_equal(fake->connections[0].state, FAKE_CLOSING);
    fake_closed(fake, 0);
    assert_int_equal(fake->stopped, 1);
    fake_free(fake);
}

/* The last connection goes while datagrams still wait for it. */
static void connection_that_goes_during_the_stop_drops_what_waits(void **state)
{
    (void)state;
    static struct fake *(*const rows[])(void) = {connecting_with_queue, with_full_window,
                                                 with_blocked_peer};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct fake *const fake = rows[i]();
        stop_at(fake);
        const size_t opens = fake->opens;
        fake_lose(fake, 0);
        if (fake->connections[1].state == FAKE_OPENING)
            fake_lose(fake, 1);
        assert_int_equal(fake->stopped, 1);
        assert_int_equal(fake->opens, opens);
        assert_int_equal(fake_counters(fake).queue_datagrams, 0);
        assert_int_equal(out_dropped(fake, DROP_SHUTDOWN), 4);
        fake_free(fake);
    }
}

static void stop_goes_on_with_the_renewal_when_the_old_connection_goes(void **state)
{
    (void)state;
    struct fake *const fake = with_full_window();
    stop_at(fake);
    fake_lose(fake, 0);
    assert_int_equal(fake->opens, 2);
    fake_open(fake, 1);
    assert_int_equal(frames_on(fake, 1), 4);
    assert_stopped_once_closed(fake);
    assert_int_equal(out_dropped(fake, DROP_SHUTDOWN), 0);
    fake_free(fake);
}

static void closing_tunnel_opens_nothing(void **state)
{
    (void)state;
    struct fake *const fake = with_full_window();
    stop_at(fake);
    udp_tunnel_renew(fake->tunnel, fake->now_us);
    assert_int_equal(fake->opens, 2);
    fake_advance(fake, 600 * MS);
    udp_tunnel_renew(fake->tunnel, fake->now_us);
    fake_closed(fake, 0);
    udp_tunnel_renew(fake->tunnel, fake->now_us);
    assert_int_equal(fake->opens, 2);
    fake_free(fake);
}

static void stopped_tunnel_does_nothing_more(void **state)
{
    (void)state;
    struct fake *const fake = waiting_to_reconnect_with_queue();
    stop_at(fake);
    const size_t reports = fake->report_count;
    fake->now_us += 10 * SECOND;
    udp_tunnel_on_timer(fake->tunnel, fake->now_us);
    udp_tunnel_on_writable(fake->tunnel, 0, fake->now_us);
    udp_tunnel_before_sleep(fake->tunnel, fake->now_us);
    assert_int_equal(fake->stopped, 1);
    assert_int_equal(fake->report_count, reports);
    fake_free(fake);
}

/* ---- the timer ------------------------------------------------------------------------------ */

static void early_timer_does_no_harm(void **state)
{
    (void)state;
    static struct fake *(*const rows[])(void) = {connecting_with_queue, with_full_window,
                                                 waiting_to_reconnect_with_queue, draining};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct fake *const fake = rows[i]();
        const int64_t timer_us = fake->timer_us;
        const size_t opens = fake->opens;
        fake_fire_timer(fake);
        assert_int_equal(fake->timer_us, timer_us);
        assert_int_equal(fake->opens, opens);
        assert_int_equal(fake->closes, 0);
        fake_free(fake);
    }
}

static void idle_tunnel_sets_no_timer(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    assert_int_equal(fake->timer_us, INT64_MAX);
    fake_send(fake, A, "question");
    fake_answer(fake, 0, A, "answer");
    fake_advance(fake, 120 * SECOND);
    assert_int_equal(fake->timer_us, INT64_MAX);
    fake_free(fake);
}

/* ---- replies in the wrong place, and the label that shows it ----------------------------------
 */

/* Two clients have used the WebSocket, and the tunnel's own label is the only one in the gateway.
 */
static struct fake *with_own_label(void)
{
    struct fake *const fake = connected();
    fake_send(fake, A, "one");
    fake_answer(fake, 0, A, "one");
    fake_send(fake, B, "two");
    fake_answer(fake, 0, B, "two");
    assert_int_equal(fake->frames.count, 2);
    fake_advance(fake, 5 * SECOND);
    assert_int_equal(fake->frames.count, 3);
    assert_int_equal(fake->frames.rows[2].size, 0);
    assert_int_equal(fake_counters(fake).label_credits, 1);
    fake->replies.count = 0;
    return fake;
}

static void answer_with_own_label(struct fake *fake, unsigned connection, const char *text)
{
    const struct address own = label_line_own();
    fake_answer_bytes(fake, connection, &own, text, strlen(text));
}

static void one_client_alone_needs_no_label_of_the_tunnels_own(void **state)
{
    (void)state;
    struct fake *const fake = connected();
    fake_send(fake, A, "one");
    fake_answer(fake, 0, A, "one");
    fake_advance(fake, 30 * SECOND);
    assert_int_equal(fake->frames.count, 1);
    fake_free(fake);
}

static void replies_are_for_the_next_in_line_behind_the_own_label(void **state)
{
    (void)state;
    struct fake *const fake = with_own_label();
    fake_send(fake, A, "three");
    fake_send(fake, B, "four");
    answer_with_own_label(fake, 0, "three");
    fake_answer(fake, 0, A, "four");
    assert_int_equal(fake->replies.count, 2);
    assert_record(&fake->replies.rows[0], A, "three");
    assert_record(&fake->replies.rows[1], B, "four");
    assert_int_equal(fake->opens, 1);
    fake_free(fake);
}

static void surplus_reply_has_the_shared_websocket_renewed(void **state)
{
    (void)state;
    struct fake *const fake = with_own_label();
    fake_send(fake, A, "three");
    answer_with_own_label(fake, 0, "three");
    assert_int_equal(fake->opens, 1);
    fake_answer(fake, 0, A, "three");
    assert_int_equal(fake->opens, 2);
    assert_told(fake, "There are more replies than requests while several clients share one "
                      "WebSocket, so that answers may have reached the wrong client; the "
                      "WebSocket is renewed. --connections pool or --connections per-client keep "
                      "clients apart");
    fake_open(fake, 1);
    fake_send(fake, B, "four");
    assert_int_equal(fake->frames.rows[fake->frames.count - 1].connection, 1);
    fake_free(fake);
}

static void gateway_that_pairs_by_content_is_believed(void **state)
{
    (void)state;
    struct fake *const fake = with_own_label();
    fake_send(fake, A, "three");
    fake_send(fake, B, "four");
    fake_answer(fake, 0, B, "four");
    fake_answer(fake, 0, A, "three");
    assert_record(&fake->replies.rows[0], B, "four");
    assert_record(&fake->replies.rows[1], A, "three");
    assert_int_equal(fake->opens, 1);
    fake_free(fake);
}

static void own_label_that_comes_back_empty_is_not_sent_again(void **state)
{
    (void)state;
    static const char reflected[] = "{\"address\":\"0.0.0.0\",\"port\":1,\"data\":\"\"}";
    struct fake *const fake = with_own_label();
    fake_message(fake, 0, false, reflected, sizeof reflected - 1);
    assert_int_equal(fake->replies.count, 0);
    assert_int_equal(fake_dropped(fake, DIRECTION_IN, DROP_CREDIT_RETURNED), 1);
    fake_send(fake, A, "three");
    fake_answer(fake, 0, A, "three");
    fake_advance(fake, 30 * SECOND);
    assert_record(&fake->replies.rows[0], A, "three");
    assert_int_equal(fake->frames.count, 4);
    assert_int_equal(fake->opens, 1);
    fake_free(fake);
}

static void freeing_none_is_legal(void **state)
{
    (void)state;
    udp_tunnel_free(NULL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_connection_is_opened_at_the_start),
        cmocka_unit_test(datagram_goes_out_as_one_frame),
        cmocka_unit_test(reply_reaches_the_client_it_names),
        cmocka_unit_test(empty_reply_is_delivered),
        cmocka_unit_test(largest_payload_is_carried_both_ways),
        cmocka_unit_test(ipv6_client_gets_its_answer_on_its_interface),
        cmocka_unit_test(batch_goes_out_in_one_write),
        cmocka_unit_test(datagram_that_must_not_be_sent_is_dropped_by_reason),
        cmocka_unit_test(each_reason_is_told_at_once_and_then_once_a_minute_with_a_count),
        cmocka_unit_test(reason_of_more_than_a_minute_ago_is_told_at_once),
        cmocka_unit_test(datagrams_that_cannot_be_carried_are_told_of_once),
        cmocka_unit_test(drops_held_back_are_told_at_the_end),
        cmocka_unit_test(kernels_drops_are_counted_and_warned_of),
        cmocka_unit_test(datagrams_wait_for_the_connection_and_keep_their_order),
        cmocka_unit_test(what_waits_goes_before_what_comes),
        cmocka_unit_test(datagram_just_within_the_queue_age_is_sent),
        cmocka_unit_test(datagram_of_the_queue_age_is_dropped),
        cmocka_unit_test(datagram_of_the_queue_age_is_not_sent_even_if_the_timer_is_late),
        cmocka_unit_test(queue_drops_the_oldest_when_full),
        cmocka_unit_test(peer_that_does_not_read_makes_datagrams_wait),
        cmocka_unit_test(window_bounds_what_is_unanswered),
        cmocka_unit_test(reply_lets_the_next_datagram_go),
        cmocka_unit_test(replies_of_one_turn_make_room_in_one_write),
        cmocka_unit_test(second_client_waits_while_8_of_another_are_unanswered),
        cmocka_unit_test(second_client_behind_a_crowd_gets_a_fresh_websocket),
        cmocka_unit_test(second_client_behind_an_answered_crowd_gets_a_fresh_websocket),
        cmocka_unit_test(answered_datagrams_make_no_crowd),
        cmocka_unit_test(crowd_of_one_client_alone_needs_no_renewal),
        cmocka_unit_test(forgotten_crowd_still_needs_a_fresh_websocket),
        cmocka_unit_test(answered_client_is_no_longer_one_of_several),
        cmocka_unit_test(forgotten_client_is_no_longer_one_of_several),
        cmocka_unit_test(reply_timeout_opens_a_new_websocket_before_the_old_is_given_up),
        cmocka_unit_test(late_reply_on_a_replaced_websocket_is_delivered),
        cmocka_unit_test(replaced_websocket_is_closed_once_drained),
        cmocka_unit_test(replaced_websocket_is_closed_at_the_reply_timeout),
        cmocka_unit_test(reply_that_comes_while_closing_is_delivered),
        cmocka_unit_test(replaced_websocket_that_ends_by_itself_is_no_failure),
        cmocka_unit_test(websocket_with_nothing_unanswered_is_closed_when_replaced),
        cmocka_unit_test(lost_reply_under_steady_traffic_leads_to_a_renewal),
        cmocka_unit_test(answered_traffic_is_never_renewed),
        cmocka_unit_test(full_window_without_a_reply_is_renewed_after_250_ms),
        cmocka_unit_test(reply_puts_off_the_renewal_of_a_full_window),
        cmocka_unit_test(second_client_behind_8_lost_replies_gets_a_fresh_websocket_after_250_ms),
        cmocka_unit_test(renewal_happens_once_while_it_is_under_way),
        cmocka_unit_test(old_websocket_works_on_while_its_renewal_fails),
        cmocka_unit_test(failed_renewal_is_tried_again_after_the_delay),
        cmocka_unit_test(failed_renewal_is_not_tried_before_the_delay_whatever_comes),
        cmocka_unit_test(loss_of_the_old_websocket_during_its_renewal_opens_no_third),
        cmocka_unit_test(loss_of_the_old_websocket_after_a_failed_renewal_is_made_good),
        cmocka_unit_test(oldest_drained_websocket_makes_room_where_all_are_taken),
        cmocka_unit_test(all_slots_being_closed_only_delays_the_next),
        cmocka_unit_test(missing_replies_of_several_clients_are_warned_of_once_a_minute),
        cmocka_unit_test(missing_replies_of_one_client_misroute_nothing_and_are_not_warned_of),
        cmocka_unit_test(service_that_never_answers_is_told_of_one_way),
        cmocka_unit_test(lost_connection_is_made_anew_by_the_policy),
        cmocka_unit_test(failed_attempt_after_a_good_connection_waits_for_the_delay),
        cmocka_unit_test(pause_doubles_up_to_the_maximum),
        cmocka_unit_test(retry_after_is_waited_for),
        cmocka_unit_test(next_gateway_is_tried_after_a_failed_attempt),
        cmocka_unit_test(lost_connection_goes_back_to_its_own_gateway),
        cmocka_unit_test(refused_open_is_a_failed_attempt),
        cmocka_unit_test(refused_open_of_a_renewal_leaves_the_old_websocket),
        cmocka_unit_test(unanswered_datagrams_go_with_their_connection),
        cmocka_unit_test(failure_names_cause_and_pause),
        cmocka_unit_test(lost_good_connection_is_retried_at_once_and_says_so),
        cmocka_unit_test(repeated_failure_is_written_at_first_and_then_once_a_minute),
        cmocka_unit_test(another_failure_is_written_at_once),
        cmocka_unit_test(repeated_failures_of_two_gateways_do_not_fill_the_log),
        cmocka_unit_test(connection_that_closes_at_once_each_time_does_not_fill_the_log),
        cmocka_unit_test(reply_to_unknown_client_is_dropped_and_counted),
        cmocka_unit_test(reply_to_unknown_client_makes_room_in_the_window),
        cmocka_unit_test(malformed_reply_is_dropped_by_reason),
        cmocka_unit_test(reply_above_the_largest_datagram_is_dropped),
        cmocka_unit_test(text_frame_is_dropped_though_it_reads_well),
        cmocka_unit_test(breach_counts_one_received_and_one_dropped_and_reconnects),
        cmocka_unit_test(reply_that_cannot_be_delivered_is_counted),
        cmocka_unit_test(client_is_answered_within_its_timeout_only),
        cmocka_unit_test(client_is_not_answered_late_even_if_the_timer_is_late),
        cmocka_unit_test(client_unseen_for_its_timeout_is_forgotten),
        cmocka_unit_test(client_is_not_forgotten_while_a_datagram_of_it_waits),
        cmocka_unit_test(clients_above_the_limit_are_forgotten_at_once),
        cmocka_unit_test(reload_opens_a_new_websocket_before_the_old_is_closed),
        cmocka_unit_test(reload_while_waiting_to_reconnect_connects_at_once),
        cmocka_unit_test(reload_while_a_failed_renewal_waits_connects_at_once),
        cmocka_unit_test(reload_while_connecting_is_remembered),
        cmocka_unit_test(reload_while_connecting_opens_no_second_one),
        cmocka_unit_test(stop_ends_in_every_state_and_drops_what_waits),
        cmocka_unit_test(stop_without_a_connection_is_immediate),
        cmocka_unit_test(stop_with_nothing_queued_closes_at_once),
        cmocka_unit_test(stop_gives_up_an_idle_attempt_to_connect),
        cmocka_unit_test(stop_sends_what_is_queued_when_replies_make_room),
        cmocka_unit_test(stop_sends_what_a_full_window_holds_back_on_a_second_websocket),
        cmocka_unit_test(stop_goes_round_a_full_window_as_often_as_it_takes),
        cmocka_unit_test(stop_goes_round_a_crowd_and_a_window_of_several),
        cmocka_unit_test(failed_renewal_ends_the_stop_at_once),
        cmocka_unit_test(renewal_that_hangs_ends_the_stop_after_600_ms),
        cmocka_unit_test(stop_sends_what_is_queued_when_the_peer_reads_again),
        cmocka_unit_test(stop_sends_what_is_queued_when_the_connection_comes_up),
        cmocka_unit_test(connection_that_goes_during_the_stop_drops_what_waits),
        cmocka_unit_test(stop_goes_on_with_the_renewal_when_the_old_connection_goes),
        cmocka_unit_test(closing_tunnel_opens_nothing),
        cmocka_unit_test(stopped_tunnel_does_nothing_more),
        cmocka_unit_test(early_timer_does_no_harm),
        cmocka_unit_test(idle_tunnel_sets_no_timer),
        cmocka_unit_test(one_client_alone_needs_no_label_of_the_tunnels_own),
        cmocka_unit_test(replies_are_for_the_next_in_line_behind_the_own_label),
        cmocka_unit_test(surplus_reply_has_the_shared_websocket_renewed),
        cmocka_unit_test(gateway_that_pairs_by_content_is_believed),
        cmocka_unit_test(own_label_that_comes_back_empty_is_not_sent_again),
        cmocka_unit_test(freeing_none_is_legal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
