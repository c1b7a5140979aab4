/* udp_tunnel against a model of the gateway, with chance as the author of what happens: clients
 * that come and go, replies lost, doubled and reordered, connections that fail, a peer that does
 * not read, and a stop at any moment. After each step what must always hold is checked.
 *
 * A failed run prints its seed. OTOROSHICTL_SIMULATION_SEED=<seed> OTOROSHICTL_SIMULATION_RUNS=1
 * runs it again; more runs take the seeds that follow. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "fake_ports.h"
#include "otoroshictl/tunnel/pairing.h"

enum {
    DEFAULT_RUNS = 2000,
    CLIENT_COUNT = 5,
    FIRST_PORT = 40001,
    EVENTS_MAX = 8192,
    LABELS_MAX = 32,            /* the gateway stops reading at so many */
    REPLIES_WITHOUT_LABEL = 16, /* wait in the gateway; further ones it drops */
    UNREAD_MAX = 2048,
    LATENCY_US = 1 * MS, /* between tool and gateway, one way */
    STOP_LIMIT_US = 2 * SECOND,
    PROBE_US = 1 * SECOND,
};

/* ---- chance --------------------------------------------------------------------------------- */

struct chance {
    uint64_t state;
};

static uint64_t chance_next(struct chance *chance)
{
    uint64_t word = chance->state += UINT64_C(0x9e3779b97f4a7c15);
    word = (word ^ (word >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    word = (word ^ (word >> 27)) * UINT64_C(0x94d049bb133111eb);
    return word ^ (word >> 31);
}

/* From `low` to `high`, both included. */
static int64_t chance_between(struct chance *chance, int64_t low, int64_t high)
{
    return low + (int64_t)(chance_next(chance) % (uint64_t)(high - low + 1));
}

static bool chance_of(struct chance *chance, unsigned percent)
{
    return chance_next(chance) % 100 < percent;
}

/* ---- what is simulated ---------------------------------------------------------------------- */

/* The payload of a datagram, and of its answer. */
struct question {
    uint32_t client;
    uint32_t number;
    int64_t asked_us;
};

enum event_kind {
    CLIENT_ASKS,
    CONNECT_ENDS, /* well or not */
    CLOSE_ENDS,
    FRAME_ARRIVES,   /* at the gateway */
    ANSWER_ARRIVES,  /* at the gateway, from the remote service */
    MESSAGE_ARRIVES, /* at the tool */
    PEER_READS_ON,
    TROUBLE, /* of one kind or another */
};

struct event {
    int64_t at_us;
    uint64_t order; /* tells those of the same time apart */
    enum event_kind kind;
    unsigned connection;
    uint32_t incarnation; /* of that connection: what concerns an earlier one is void */
    uint32_t label;       /* a client's number */
    struct question question;
};

/* The gateway's end of one WebSocket. */
struct gateway {
    uint32_t incarnation;
    enum fake_state seen;
    size_t label_count;
    uint32_t labels[LABELS_MAX];
    size_t waiting_count; /* replies that no label waits for */
    struct question waiting[REPLIES_WITHOUT_LABEL];
    size_t unread_count;
    struct question unread[UNREAD_MAX];
    uint32_t in_flight;             /* unanswered, where it pairs by content */
    uint32_t sent_of[CLIENT_COUNT]; /* unanswered of each client, at most so far: a crowd? */
    bool crowded;
    uint32_t crowded_by;
};

struct troubles {
    bool calm;     /* none at all, but reloads */
    unsigned lost; /* per cent, as all of these */
    unsigned doubled;
    bool reordered;
    unsigned dropped_by_gateway; /* of the replies while more than eight are in flight */
    unsigned connect_fails;
    bool connections; /* end, or stop reading */
    bool junk;        /* messages that are no replies */
};

struct simulation {
    struct chance chance;
    struct fake *fake;
    struct tunnel_config config;
    struct troubles troubles;
    bool exact;   /* the gateway pairs by content: the window is 0 or above 31 */
    bool healthy; /* no more trouble from here on */
    bool stopping;
    int64_t round_trip_us;

    struct gateway gateways[FAKE_CONNECTIONS_MAX];
    int64_t last_asked_us[CLIENT_COUNT]; /* 0: never */
    uint64_t answers_to[CLIENT_COUNT];
    uint64_t told[DIRECTION_COUNT][DROP_REASON_COUNT]; /* in lines of the log */
    uint32_t numbers;                                  /* of questions asked */
    uint32_t last_number;                              /* that was sent */

    uint64_t order;
    size_t event_count;
    struct event events[EVENTS_MAX];
};

/* ---- events --------------------------------------------------------------------------------- */

static struct event *add_event(struct simulation *it, enum event_kind kind, int64_t after_us)
{
    assert_true(it->event_count < EVENTS_MAX);
    struct event *const event = &it->events[it->event_count++];
    *event =
        (struct event){.at_us = it->fake->now_us + after_us, .order = it->order++, .kind = kind};
    return event;
}

static struct event *add_event_of(struct simulation *it, enum event_kind kind, int64_t after_us,
                                  unsigned connection)
{
    struct event *const event = add_event(it, kind, after_us);
    event->connection = connection;
    event->incarnation = it->gateways[connection].incarnation;
    return event;
}

static size_t next_event(const struct simulation *it)
{
    size_t next = 0;
    for (size_t i = 1; i < it->event_count; i++)
        if (it->events[i].at_us < it->events[next].at_us ||
            (it->events[i].at_us == it->events[next].at_us &&
             it->events[i].order < it->events[next].order))
            next = i;
    return next;
}

/* ---- the gateway ---------------------------------------------------------------------------- */

static void send_message(struct simulation *it, unsigned connection, uint32_t label,
                         const struct question *answer)
{
    struct event *const event = add_event_of(it, MESSAGE_ARRIVES, LATENCY_US, connection);
    event->label = label;
    event->question = *answer;
}

static uint32_t take_label(struct gateway *gateway)
{
    const uint32_t label = gateway->labels[0];
    gateway->label_count--;
    memmove(gateway->labels, gateway->labels + 1, gateway->label_count * sizeof gateway->labels[0]);
    gateway->sent_of[label]--;
    return label;
}

static void emit_waiting(struct simulation *it, unsigned connection)
{
    struct gateway *const gateway = &it->gateways[connection];
    while (gateway->waiting_count > 0 && gateway->label_count > 0) {
        const struct question answer = gateway->waiting[0];
        gateway->waiting_count--;
        memmove(gateway->waiting, gateway->waiting + 1,
                gateway->waiting_count * sizeof gateway->waiting[0]);
        send_message(it, connection, take_label(gateway), &answer);
    }
}

static void ask_remote(struct simulation *it, unsigned connection, const struct question *question)
{
    const bool lost = !it->healthy && chance_of(&it->chance, it->troubles.lost);
    const bool doubled = !it->healthy && chance_of(&it->chance, it->troubles.doubled);
    for (int copies = lost ? 0 : doubled ? 2 : 1; copies > 0; copies--) {
        int64_t after_us = it->round_trip_us;
        if (it->troubles.reordered && !it->healthy)
            after_us = chance_between(&it->chance, 1, 2 * it->round_trip_us);
        add_event_of(it, ANSWER_ARRIVES, after_us, connection)->question = *question;
    }
}

static void check_labels(const struct simulation *it, const struct gateway *gateway, uint32_t label)
{
    assert_true(gateway->label_count <= it->config.window);
    assert_false(gateway->crowded && gateway->crowded_by != label);
    if (gateway->sent_of[label] < gateway->label_count)
        assert_true(gateway->label_count <= PAIRING_WINDOW_SEVERAL);
}

/* What pairs by content has at most what was asked for. A doubled answer takes the place of another
 * one of its client, here and in the tool, and not always of the same. */
static void count_in_flight(const struct simulation *it, struct gateway *gateway, uint32_t client)
{
    gateway->sent_of[client]++;
    gateway->in_flight++;
    if (it->config.window != 0 && it->troubles.doubled == 0)
        assert_true(gateway->in_flight <= it->config.window);
}

static void count_answered(struct gateway *gateway, uint32_t client)
{
    if (gateway->sent_of[client] == 0)
        return;
    gateway->sent_of[client]--;
    gateway->in_flight--;
}

static void take_frame(struct simulation *it, unsigned connection, const struct question *question)
{
    struct gateway *const gateway = &it->gateways[connection];
    if (it->exact) {
        count_in_flight(it, gateway, question->client);
    } else {
        gateway->labels[gateway->label_count++] = question->client;
        gateway->sent_of[question->client]++;
        check_labels(it, gateway, question->client);
        if (gateway->sent_of[question->client] > PAIRING_WINDOW_SEVERAL) {
            gateway->crowded = true;
            gateway->crowded_by = question->client;
        }
    }
    ask_remote(it, connection, question);
    emit_waiting(it, connection);
}

static void read_on(struct simulation *it, unsigned connection)
{
    struct gateway *const gateway = &it->gateways[connection];
    while (gateway->unread_count > 0 && gateway->label_count < LABELS_MAX) {
        const struct question question = gateway->unread[0];
        gateway->unread_count--;
        memmove(gateway->unread, gateway->unread + 1,
                gateway->unread_count * sizeof gateway->unread[0]);
        take_frame(it, connection, &question);
    }
}

static void frame_arrives(struct simulation *it, const struct event *event)
{
    struct gateway *const gateway = &it->gateways[event->connection];
    assert_true(gateway->unread_count < UNREAD_MAX);
    gateway->unread[gateway->unread_count++] = event->question;
    read_on(it, event->connection);
}

static void answer_arrives(struct simulation *it, const struct event *event)
{
    struct gateway *const gateway = &it->gateways[event->connection];
    if (it->exact) {
        count_answered(gateway, event->question.client);
        send_message(it, event->connection, event->question.client, &event->question);
        return;
    }
    if (!it->healthy && gateway->label_count > PAIRING_WINDOW_SEVERAL &&
        chance_of(&it->chance, it->troubles.dropped_by_gateway))
        return;
    if (gateway->label_count > 0)
        send_message(it, event->connection, take_label(gateway), &event->question);
    else if (gateway->waiting_count < REPLIES_WITHOUT_LABEL)
        gateway->waiting[gateway->waiting_count++] = event->question;
    read_on(it, event->connection);
}

/* ---- what the tunnel did -------------------------------------------------------------------- */

static struct question question_of(const struct fake_record *record)
{
    struct question question;
    assert_int_equal(record->size, sizeof question);
    memcpy(&question, record->payload, sizeof question);
    return question;
}

static void see_frames(struct simulation *it)
{
    for (size_t i = 0; i < it->fake->frames.count; i++) {
        const struct fake_record *const frame = &it->fake->frames.rows[i];
        const struct question question = question_of(frame);
        assert_int_equal(frame->client.port, FIRST_PORT + question.client);
        assert_true(it->fake->now_us - question.asked_us < it->config.queue_age_us);
        assert_true(question.number > it->last_number);
        it->last_number = question.number;
        add_event_of(it, FRAME_ARRIVES, LATENCY_US, frame->connection)->question = question;
    }
    it->fake->frames.count = 0;
}

static void see_replies(struct simulation *it)
{
    const struct troubles *const troubles = &it->troubles;
    const bool right =
        it->exact || (troubles->lost == 0 && troubles->doubled == 0 && !troubles->reordered);
    for (size_t i = 0; i < it->fake->replies.count; i++) {
        const struct fake_record *const reply = &it->fake->replies.rows[i];
        const struct question answer = question_of(reply);
        const uint32_t client = (uint32_t)(reply->client.port - FIRST_PORT);
        assert_true(client < CLIENT_COUNT && it->last_asked_us[client] != 0);
        assert_true(it->fake->now_us - it->last_asked_us[client] < it->config.client_timeout_us);
        if (right)
            assert_int_equal(answer.client, client);
        it->answers_to[client]++;
    }
    it->fake->replies.count = 0;
}

/* Adds up the "Dropped <n> ... [<label>]" lines. */
static void see_reports(struct simulation *it)
{
    for (size_t i = 0; i < it->fake->report_count; i++) {
        const char *const line = it->fake->reports[i].text;
        const char *const label = strrchr(line, '[');
        if (strncmp(line, "Dropped ", 8) != 0)
            continue;
        char *end;
        const uint64_t count = strtoull(line + 8, &end, 10);
        const enum direction direction =
            strncmp(end, " datagram", 9) == 0 ? DIRECTION_OUT : DIRECTION_IN;
        int reason = 0;
        assert_non_null(label);
        while (strncmp(label + 1, drop_reason_label((enum drop_reason)reason), strlen(label) - 2) !=
                   0 ||
               strlen(drop_reason_label((enum drop_reason)reason)) != strlen(label) - 2)
            assert_true(++reason < DROP_REASON_COUNT);
        assert_true(count > 0);
        it->told[direction][reason] += count;
    }
    it->fake->report_count = 0;
}

/* No more is told than was dropped, and once stopped all of it. */
static void check_told(const struct simulation *it, const struct counters *counters)
{
    for (int direction = 0; direction < DIRECTION_COUNT; direction++)
        for (int reason = 0; reason < DROP_REASON_COUNT; reason++) {
            const uint64_t dropped = counters->direction[direction].dropped[reason];
            assert_true(it->told[direction][reason] <= dropped);
            assert_true(dropped == 0 || it->told[direction][reason] > 0);
            if (it->fake->stopped > 0)
                assert_int_equal(it->told[direction][reason], dropped);
        }
}

static void see_connections(struct simulation *it)
{
    for (unsigned i = 0; i < FAKE_CONNECTIONS_MAX; i++) {
        struct gateway *const gateway = &it->gateways[i];
        const enum fake_state state = it->fake->connections[i].state;
        if (state == gateway->seen)
            continue;
        if (state == FAKE_OPENING) {
            *gateway = (struct gateway){.incarnation = gateway->incarnation + 1};
            add_event_of(it, CONNECT_ENDS, chance_between(&it->chance, 1, 150 * MS), i);
        } else if (state == FAKE_CLOSING) {
            add_event_of(it, CLOSE_ENDS, chance_between(&it->chance, 0, 1 * SECOND), i);
        } else if (state == FAKE_FREE) {
            *gateway = (struct gateway){.incarnation = gateway->incarnation + 1};
        }
        gateway->seen = state;
    }
}

static void assert_armed_within(const struct simulation *it, int64_t most_us)
{
    assert_true(it->fake->timer_us <= it->fake->now_us + most_us);
}

/* Whatever is pending, some time is set at which the tunnel will see to it. */
static void check_timer(const struct simulation *it, const struct counters *counters)
{
    const int64_t longest_pause_us = 60 * SECOND;
    if (counters->queue_datagrams > 0)
        assert_armed_within(it, it->config.queue_age_us);
    if (counters->clients > 0)
        assert_armed_within(it, it->config.client_timeout_us);
    if (counters->connections_draining > 0)
        assert_armed_within(it, it->config.reply_timeout_us);
    if (it->stopping)
        return;
    assert_true(counters->connections_active <= 1 && counters->connections_connecting <= 1);
    if (counters->connections_active + counters->connections_connecting == 0)
        assert_armed_within(it, longest_pause_us);
}

static void see_what_happened(struct simulation *it)
{
    const struct counters counters = fake_counters(it->fake);
    see_frames(it);
    see_replies(it);
    see_connections(it);
    see_reports(it);
    check_told(it, &counters);
    it->fake->random = (uint32_t)chance_next(&it->chance);
    it->fake->refuse_open = !it->healthy && chance_of(&it->chance, it->troubles.connect_fails / 8);
    assert_true(counters.queue_datagrams <= it->config.queue_size);
    if (it->fake->stopped == 0)
        check_timer(it, &counters);
}

/* ---- what happens to the tunnel ------------------------------------------------------------- */

static void ask(struct simulation *it, uint32_t client)
{
    const struct question question = {
        .client = client, .number = ++it->numbers, .asked_us = it->fake->now_us};
    const struct address address = fake_client((uint16_t)(FIRST_PORT + client));
    it->last_asked_us[client] = it->fake->now_us;
    fake_send_from(it->fake, &address, &question, sizeof question);
}

static int64_t pause_of_client(struct simulation *it)
{
    if (chance_of(&it->chance, 5))
        return chance_between(&it->chance, 1 * SECOND, 4 * SECOND);
    return chance_between(&it->chance, 1 * MS, chance_of(&it->chance, 50) ? 20 * MS : 500 * MS);
}

static void client_asks(struct simulation *it, uint32_t client)
{
    int64_t times = chance_of(&it->chance, 70) ? 1 : chance_between(&it->chance, 2, 12);
    if (chance_of(&it->chance, 3))
        times = 45;
    for (; times > 0; times--) {
        ask(it, client);
        see_what_happened(it);
    }
    add_event(it, CLIENT_ASKS, pause_of_client(it))->label = client;
}

static void connect_ends(struct simulation *it, unsigned connection)
{
    if (!it->healthy && chance_of(&it->chance, it->troubles.connect_fails))
        fake_lose(it->fake, connection);
    else
        fake_open(it->fake, connection);
}

static void peer_reads_on(struct simulation *it, unsigned connection)
{
    if (it->fake->connections[connection].state != FAKE_OPEN)
        return;
    if (it->fake->connections[connection].refused)
        fake_writable(it->fake, connection);
    else
        it->fake->connections[connection].blocked = false;
}

static void message_arrives(struct simulation *it, const struct event *event)
{
    const enum fake_state state = it->fake->connections[event->connection].state;
    if (state == FAKE_OPEN || state == FAKE_CLOSING) {
        const struct address label = fake_client((uint16_t)(FIRST_PORT + event->label));
        fake_answer_bytes(it->fake, event->connection, &label, &event->question,
                          sizeof event->question);
    }
}

static void trouble_of_connection(struct simulation *it, unsigned connection)
{
    static const struct connection_end breach = {.kind = END_PROTOCOL_BREACH, .status = 1002};
    struct fake_connection *const fake = &it->fake->connections[connection];
    if (fake->state != FAKE_OPEN)
        return;
    switch (chance_between(&it->chance, 0, 3)) {
    case 0:
        fake_lose(it->fake, connection);
        break;
    case 1:
        fake_end(it->fake, connection, &breach);
        break;
    default:
        fake->blocked = true;
        add_event_of(it, PEER_READS_ON, chance_between(&it->chance, 1, 1 * SECOND), connection);
        break;
    }
}

static void send_junk(struct simulation *it, unsigned connection)
{
    if (it->fake->connections[connection].state == FAKE_OPEN)
        fake_message(it->fake, connection, chance_of(&it->chance, 50), "junk", 4);
}

static void make_trouble(struct simulation *it)
{
    add_event(it, TROUBLE, chance_between(&it->chance, 1, 2 * SECOND));
    const unsigned connection = (unsigned)chance_between(&it->chance, 0, 3);
    const int64_t kind = chance_between(&it->chance, 0, 5);
    if (kind == 0)
        udp_tunnel_renew(it->fake->tunnel, it->fake->now_us);
    else if (kind == 1 && it->troubles.junk)
        send_junk(it, connection);
    else if (it->troubles.connections)
        trouble_of_connection(it, connection);
    fake_settle(it->fake);
}

static bool is_void(const struct simulation *it, const struct event *event)
{
    return event->incarnation != 0 &&
           event->incarnation != it->gateways[event->connection].incarnation;
}

static void happen(struct simulation *it, const struct event *event)
{
    const bool clients_ask = !it->healthy && !it->stopping;
    switch (event->kind) {
    case CLIENT_ASKS:
        if (clients_ask)
            client_asks(it, event->label);
        break;
    case CONNECT_ENDS:
        if (it->fake->connections[event->connection].state == FAKE_OPENING)
            connect_ends(it, event->connection);
        break;
    case CLOSE_ENDS:
        fake_closed(it->fake, event->connection);
        break;
    case FRAME_ARRIVES:
        frame_arrives(it, event);
        break;
    case ANSWER_ARRIVES:
        answer_arrives(it, event);
        break;
    case MESSAGE_ARRIVES:
        message_arrives(it, event);
        break;
    case PEER_READS_ON:
        peer_reads_on(it, event->connection);
        break;
    case TROUBLE:
        if (!it->healthy)
            make_trouble(it);
        break;
    }
}

/* The timer fires when it is due, or a little later. */
static void fire_timer(struct simulation *it)
{
    struct fake *const fake = it->fake;
    if (fake->timer_us > fake->now_us)
        fake->now_us = fake->timer_us;
    for (int i = 0; fake->stopped == 0 && fake->timer_us <= fake->now_us; i++) {
        assert_true(i < FAKE_TIMER_SPINS_MAX);
        fake_fire_timer(fake);
        see_what_happened(it);
    }
}

/* Which comes next: an event (its index), or the timer (event_count), which may be late. */
static size_t choose_next(struct simulation *it)
{
    if (it->event_count == 0)
        return it->event_count;
    const size_t next = next_event(it);
    const int64_t late_us = chance_of(&it->chance, 10) ? 2 * MS : 0;
    const int64_t timer_us = it->fake->timer_us;
    const bool timer_first = timer_us != INT64_MAX && timer_us + late_us <= it->events[next].at_us;
    return timer_first ? it->event_count : next;
}

static void run_until(struct simulation *it, int64_t until_us)
{
    struct fake *const fake = it->fake;
    while (fake->stopped == 0) {
        const size_t next = choose_next(it);
        const bool timer = next == it->event_count;
        if ((timer ? fake->timer_us : it->events[next].at_us) > until_us)
            break;
        if (timer) {
            fire_timer(it);
            continue;
        }
        const struct event event = it->events[next];
        it->events[next] = it->events[--it->event_count];
        if (event.at_us > fake->now_us)
            fake->now_us = event.at_us;
        if (is_void(it, &event))
            continue;
        happen(it, &event);
        see_what_happened(it);
    }
    if (fake->now_us < until_us)
        fake->now_us = until_us;
}

/* ---- a run ---------------------------------------------------------------------------------- */

static int64_t one_of(struct chance *chance, const int64_t *values, size_t count)
{
    return values[chance_next(chance) % count];
}

#define ONE_OF(chance, ...)                          \
    one_of((chance), (const int64_t[]){__VA_ARGS__}, \
           sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

static void choose_config(struct simulation *it)
{
    struct chance *const chance = &it->chance;
    struct tunnel_config *const config = &it->config;
    *config = fake_config();
    if (chance_of(chance, 50))
        config->window = (uint32_t)ONE_OF(chance, 0, 1, 4, 8, 20, 31, 32, 64);
    it->exact = config->window == 0 || config->window > PAIRING_LABELS_MAX;
    config->queue_size = (uint32_t)ONE_OF(chance, 1, 2, 10, 100, 1024);
    config->queue_age_us = ONE_OF(chance, 50 * MS, 500 * MS, 5 * SECOND);
    config->reply_timeout_us = ONE_OF(chance, 300 * MS, 1 * SECOND, 5 * SECOND);
    config->client_timeout_us = ONE_OF(chance, 6 * SECOND, 60 * SECOND);
    config->reconnect_delay_us = ONE_OF(chance, 100 * MS, 2 * SECOND);
    config->reconnect_max_delay_us = config->reconnect_delay_us * (chance_of(chance, 50) ? 1 : 4);
}

static void choose_troubles(struct simulation *it)
{
    struct chance *const chance = &it->chance;
    struct troubles *const troubles = &it->troubles;
    troubles->calm = chance_of(chance, 20);
    if (troubles->calm)
        return;
    troubles->lost = (unsigned)ONE_OF(chance, 0, 0, 1, 10, 90);
    troubles->doubled = (unsigned)ONE_OF(chance, 0, 0, 0, 5);
    troubles->reordered = chance_of(chance, 15);
    troubles->dropped_by_gateway = (unsigned)ONE_OF(chance, 0, 20);
    troubles->connect_fails = (unsigned)ONE_OF(chance, 0, 0, 30, 80);
    troubles->connections = chance_of(chance, 50);
    troubles->junk = chance_of(chance, 30);
}

/* After any past, a gateway that works again answers every client: in the end, to the right one. */
static void check_recovery(struct simulation *it)
{
    const int64_t longest_pause_us = it->config.reconnect_max_delay_us * 6 / 5;
    it->healthy = true;
    run_until(it, it->fake->now_us + it->config.queue_age_us + 3 * it->config.reply_timeout_us +
                      longest_pause_us + 3 * SECOND);
    it->fake->refuse_open = false;
    assert_int_equal(fake_counters(it->fake).queue_datagrams, 0);
    assert_int_equal(fake_counters(it->fake).connections_active, 1);
    if (it->troubles.calm)
        assert_int_equal(fake_counters(it->fake).direction[DIRECTION_IN].passed_on,
                         fake_counters(it->fake).direction[DIRECTION_OUT].passed_on);
    if (it->troubles.doubled == 0) /* a shift by a doubled reply is for good in this mode */
        it->troubles = (struct troubles){.calm = it->troubles.calm};
    for (uint32_t client = 0; client < CLIENT_COUNT; client++) {
        const uint64_t before = it->answers_to[client];
        ask(it, client);
        see_what_happened(it);
        run_until(it, it->fake->now_us + PROBE_US);
        if (it->config.queue_age_us >= 500 * MS)
            assert_int_equal(it->answers_to[client], before + 1);
    }
}

static void check_stop(struct simulation *it)
{
    const int64_t deadline_us = it->fake->now_us + STOP_LIMIT_US;
    const struct counters before = fake_counters(it->fake);
    /* One fresh WebSocket takes so many, whosever they are. */
    const bool all_go = it->troubles.calm && before.connections_active == 1 &&
                        before.queue_datagrams <= PAIRING_WINDOW_SEVERAL &&
                        before.queue_datagrams <= it->config.window;
    it->stopping = true;
    udp_tunnel_stop(it->fake->tunnel, it->fake->now_us);
    fake_settle(it->fake);
    see_what_happened(it);
    run_until(it, deadline_us);
    assert_int_equal(it->fake->stopped, 1);
    assert_int_equal(fake_counters(it->fake).queue_datagrams, 0);
    if (all_go)
        assert_int_equal(fake_dropped(it->fake, DIRECTION_OUT, DROP_SHUTDOWN), 0);
}

static void run(uint64_t seed)
{
    struct simulation *const it = calloc(1, sizeof *it);
    assert_non_null(it);
    it->chance.state = seed;
    choose_config(it);
    choose_troubles(it);
    it->round_trip_us = chance_between(&it->chance, 100, 80 * MS);
    it->fake = fake_new(&it->config);
    fake_start(it->fake);
    see_what_happened(it);
    const uint32_t clients = (uint32_t)chance_between(&it->chance, 1, CLIENT_COUNT);
    for (uint32_t i = 0; i < clients; i++)
        add_event(it, CLIENT_ASKS, chance_between(&it->chance, 0, 1 * SECOND))->label = i;
    add_event(it, TROUBLE, chance_between(&it->chance, 0, 3 * SECOND));
    run_until(it, FAKE_START_US + chance_between(&it->chance, 1 * MS, 8 * SECOND));
    if (chance_of(&it->chance, 50))
        check_recovery(it);
    check_stop(it);
    fake_free(it->fake);
    free(it);
}

/* ---- the program ---------------------------------------------------------------------------- */

static uint64_t number_from(const char *variable, uint64_t otherwise)
{
    const char *const text = getenv(variable);
    return text != NULL && text[0] != '\0' ? strtoull(text, NULL, 0) : otherwise;
}

static uint64_t seed_under_way;
static bool under_way;

static int print_seed_of_a_failed_run(void **state)
{
    (void)state;
    if (under_way)
        print_error("The run that failed: OTOROSHICTL_SIMULATION_SEED=%llu "
                    "OTOROSHICTL_SIMULATION_RUNS=1\n",
                    (unsigned long long)seed_under_way);
    return 0;
}

static void tunnel_keeps_its_promises_whatever_happens(void **state)
{
    (void)state;
    const uint64_t first = number_from("OTOROSHICTL_SIMULATION_SEED", 1);
    const uint64_t runs = number_from("OTOROSHICTL_SIMULATION_RUNS", DEFAULT_RUNS);
    for (uint64_t i = 0; i < runs; i++) {
        seed_under_way = first + i;
        under_way = true;
        run(seed_under_way);
        under_way = false;
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(tunnel_keeps_its_promises_whatever_happens,
                                  print_seed_of_a_failed_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
