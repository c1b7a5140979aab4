/* udp_tunnel against a model of the gateway, with chance as the author of what happens: clients
 * that come and go, replies lost, doubled, late, mangled and reordered, a service that pushes,
 * connections that fail, a peer that does not read, and a stop at any moment. In each mode, after
 * each step, what must always hold is checked.
 *
 * A failed run prints its seed. OTOROSHICTL_SIMULATION_SEED=<seed> OTOROSHICTL_SIMULATION_RUNS=1
 * runs it again; more runs take the seeds that follow. OTOROSHICTL_SIMULATION_MODE=<name> leaves
 * the other modes out, OTOROSHICTL_SIMULATION_TRACE=1 tells what happens. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "fake_ports.h"
#include "model_gateway.h"
#include "otoroshictl/tunnel/pairing.h"

enum {
    DEFAULT_RUNS = 1000, /* of each mode */
    CLIENT_COUNT = 160,  /* addresses */
    ACTORS_MAX = 10,     /* who ask from them */
    FIRST_PORT = 40001,
    EVENTS_MAX = 16384,
    BATCH_MAX = 64,
    LATENCY_US = 1 * MS, /* between tool and gateway, one way */
    STOP_LIMIT_US = 2 * SECOND,
    CLOSE_LIMIT_US = 1 * SECOND,
    CONNECT_LIMIT_US = 150 * MS,
    PROBE_US = 1 * SECOND,
    SLACK_US = 10 * MS, /* of timers */
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

enum event_kind {
    CLIENT_ASKS,
    CONNECT_ENDS, /* well or not */
    CLOSE_ENDS,
    FRAME_ARRIVES,   /* at the gateway */
    ANSWER_ARRIVES,  /* at the gateway, from the remote service */
    PUSH_ARRIVES,    /* likewise, and more of its kind follow */
    MESSAGE_ARRIVES, /* at the tool */
    PONG_ARRIVES,    /* at the tool */
    PEER_READS_ON,
    TROUBLE, /* of one kind or another */
};

struct event {
    int64_t at_us;
    uint64_t order; /* tells those of the same time apart */
    enum event_kind kind;
    unsigned connection;
    uint32_t incarnation; /* of that connection, 0: of none; what concerns an earlier one is void */
    uint32_t number;      /* an actor; pushes that follow */
    int64_t gap_us;       /* between pushes */
    struct address label; /* of a message */
    struct gateway_frame frame;
};

/* One WebSocket, as somebody sees it who stands before the tool's door. */
struct line {
    uint32_t incarnation;
    enum fake_state seen;
    struct gateway_end gateway;
    uint32_t asker; /* whose datagram the gateway has taken last */
    bool crowded;   /* had more than eight labels of this one: */
    uint32_t crowded_by;
    bool deaf; /* its pings are not answered */

    bool held; /* has carried a datagram; the last one was of: */
    uint32_t holder;
    uint32_t holder_epoch;
    uint32_t carried;    /* datagrams */
    uint32_t credits;    /* that the gateway has taken */
    uint32_t in_flight;  /* between gateway and service */
    uint32_t unanswered; /* datagrams less messages, never below none */
    uint32_t labels;     /* frames and pings less messages, likewise */
    int64_t waiting_since_us;
    int64_t progress_us; /* the last message, or when the window became full */
    int64_t sign_us;     /* of life: when it was opened, a message, a pong */
    int64_t ping_us;     /* the one without a pong; 0: none */
    bool unclean;        /* has been at some time */
    int64_t sent_us;     /* the last datagram */
    bool silent;         /* has had no reply for 250 ms while something was unanswered */
    bool reloaded;       /* a reload has come since it was begun */
    bool stale;          /* since it was open */
    uint32_t doubled;    /* answers that came twice */
    bool pushing;
    bool burst;          /* its client has had more than a few unanswered */
    int64_t reads_on_us; /* a peer that does not read, from then on */
};

/* An address from which somebody asks. */
struct local_client {
    int64_t asked_us; /* last; 0: never */
    uint32_t epoch;   /* rises when it may have been forgotten meanwhile */
    uint32_t asked;   /* number of its last datagram */
    int64_t since_us; /* at the earliest, that what waits has come */
    uint32_t sent;    /* number of its last datagram that was sent */
    uint32_t carried; /* likewise, that the gateway has taken */
    uint32_t answered;
    uint64_t answers; /* pushes do not count */
    unsigned line;    /* that carried its last datagram */
    uint32_t incarnation;
};

struct troubles {
    bool calm;     /* none at all, but reloads */
    unsigned lost; /* per cent, as all of these */
    unsigned doubled;
    unsigned late;
    bool reordered;
    unsigned dropped_by_gateway; /* of the replies while more than eight are in flight */
    unsigned connect_fails;
    unsigned mangled; /* messages */
    unsigned failing; /* deliveries to local clients */
    unsigned deaf;    /* WebSockets whose pings are not answered */
    bool connections; /* end, or stop reading */
};

struct simulation;

/* What holds in one mode and not in all. */
struct mode {
    const char *name;
    enum connections_mode connections;
    bool one_way;
    bool by_holder; /* a message goes to the client that holds its WebSocket, whatever its label */
    bool one_order; /* datagrams go in the order in which they came, whosever they are */
    uint32_t credits; /* label credits ahead */
    /* A datagram was sent on a line, which does not know it yet. */
    void (*check_datagram)(const struct simulation *it, const struct line *line,
                           const struct question *question);
    /* The gateway has taken a frame. */
    void (*check_labels)(const struct simulation *it, const struct line *line);
    /* The tool closes a WebSocket that was open. */
    void (*check_closing)(const struct simulation *it, const struct line *line);
};

struct simulation {
    struct chance chance;
    const struct mode *mode;
    struct fake *fake;
    struct tunnel_config config;
    struct gateway_hooks hooks;
    struct troubles troubles;
    bool exact;   /* the gateway pairs by content: the window is 0 or above 31 */
    bool healthy; /* no more trouble from here on */
    bool stopping;
    int64_t round_trip_us;
    unsigned pushes;  /* per cent of the questions that start some */
    unsigned churn;   /* per cent of the questions that come from a new address */
    int64_t hurry_us; /* most between two questions of an actor, mostly */

    uint32_t actor_count;
    uint32_t actors[ACTORS_MAX]; /* the clients they are */
    uint32_t next_client;
    struct local_client clients[CLIENT_COUNT];
    struct line lines[FAKE_CONNECTIONS_MAX];

    uint32_t numbers;     /* of questions asked */
    uint32_t last_number; /* that was sent */
    uint64_t carried;     /* datagrams sent */
    uint64_t credits;
    uint64_t messages; /* taken to the tool */
    uint64_t mangled;  /* of these */
    uint64_t breaches;
    uint64_t replies; /* handed out by the tool */
    uint64_t answers; /* of these, that are no pushes */
    uint64_t pongs;
    uint64_t surplus_least;
    uint64_t surplus_most;
    uint64_t told[DIRECTION_COUNT][DROP_REASON_COUNT]; /* in lines of the log */

    uint64_t order;
    size_t event_count;
    struct event events[EVENTS_MAX]; /* a heap, the next one first */
};

static bool tracing;

static void trace(const struct simulation *it, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void trace(const struct simulation *it, const char *format, ...)
{
    if (!tracing)
        return;
    va_list arguments;
    fprintf(stderr, "%12.6f  ", (double)(it->fake->now_us - FAKE_START_US) / SECOND);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

static unsigned index_of(const struct simulation *it, const struct line *line)
{
    return (unsigned)(line - it->lines);
}

static enum fake_state state_of(const struct simulation *it, const struct line *line)
{
    return it->fake->connections[index_of(it, line)].state;
}

static struct address address_of(uint32_t client)
{
    return fake_client((uint16_t)(FIRST_PORT + client));
}

static uint32_t client_of(const struct address *address)
{
    assert_true(address->port >= FIRST_PORT && address->port < FIRST_PORT + CLIENT_COUNT);
    return (uint32_t)(address->port - FIRST_PORT);
}

static bool is_limited(const struct simulation *it)
{
    return it->mode->one_way || it->mode->connections != CONNECTIONS_SHARED;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* The client is known to the tool for sure, and is who it was when it used the line. */
static bool is_still_holder(const struct simulation *it, const struct line *line)
{
    const struct local_client *const client = &it->clients[line->holder];
    return line->held && client->epoch == line->holder_epoch &&
           it->fake->now_us - client->asked_us < it->config.client_timeout_us;
}

/* The line that carried the client's last datagram. */
static bool is_current(const struct simulation *it, const struct line *line)
{
    const struct local_client *const client = &it->clients[line->holder];
    return line->held && client->line == index_of(it, line) &&
           client->incarnation == line->incarnation;
}

/* ---- events --------------------------------------------------------------------------------- */

static bool is_before(const struct event *a, const struct event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void push_event(struct simulation *it, const struct event *event)
{
    assert_true(it->event_count < EVENTS_MAX);
    size_t at = it->event_count++;
    for (; at > 0 && is_before(event, &it->events[(at - 1) / 2]); at = (at - 1) / 2)
        it->events[at] = it->events[(at - 1) / 2];
    it->events[at] = *event;
}

static struct event pop_event(struct simulation *it)
{
    const struct event first = it->events[0];
    const struct event last = it->events[--it->event_count];
    size_t at = 0;
    for (size_t child = 1; child < it->event_count; child = 2 * at + 1) {
        if (child + 1 < it->event_count && is_before(&it->events[child + 1], &it->events[child]))
            child++;
        if (!is_before(&it->events[child], &last))
            break;
        it->events[at] = it->events[child];
        at = child;
    }
    it->events[at] = last;
    return first;
}

static struct event make_event(struct simulation *it, enum event_kind kind, int64_t after_us)
{
    return (struct event){.at_us = it->fake->now_us + after_us, .order = it->order++, .kind = kind};
}

static struct event make_event_of(struct simulation *it, enum event_kind kind, int64_t after_us,
                                  unsigned connection)
{
    struct event event = make_event(it, kind, after_us);
    event.connection = connection;
    event.incarnation = it->lines[connection].incarnation;
    return event;
}

static void add_event(struct simulation *it, enum event_kind kind, int64_t after_us,
                      uint32_t number)
{
    struct event event = make_event(it, kind, after_us);
    event.number = number;
    push_event(it, &event);
}

static void add_event_of(struct simulation *it, enum event_kind kind, int64_t after_us,
                         unsigned connection)
{
    const struct event event = make_event_of(it, kind, after_us, connection);
    push_event(it, &event);
}

/* ---- the gateway and the service ------------------------------------------------------------ */

/* Labels of this client in the gateway's queue. */
static size_t labels_of(const struct gateway_end *gateway, const struct address *client)
{
    size_t count = 0;
    for (size_t i = 0; i < gateway->label_count; i++)
        count += address_equal(&gateway->labels[i], client) ? 1 : 0;
    return count;
}

static void note_crowd(struct line *line, const struct address *label)
{
    if (label->family == ADDRESS_NONE || label->port < FIRST_PORT ||
        labels_of(&line->gateway, label) <= PAIRING_WINDOW_SEVERAL + line->credits)
        return;
    line->crowded = true;
    line->crowded_by = label->port - FIRST_PORT;
}

static void gateway_took(void *context, unsigned connection, const struct gateway_frame *frame)
{
    struct simulation *const it = context;
    struct line *const line = &it->lines[connection];
    line->credits += frame->kind == GATEWAY_CREDIT ? 1 : 0;
    if (!it->exact) {
        assert_true(line->gateway.label_count <= PAIRING_LABELS_MAX);
        it->mode->check_labels(it, line);
        note_crowd(line, &frame->label);
    }
    if (frame->kind != GATEWAY_DATAGRAM)
        return;
    /* What the one before has asked is answered when the next one's datagram comes. */
    if (it->mode->by_holder && line->gateway.datagrams > 0 && line->asker != frame->question.client)
        assert_true(line->gateway.messages >= line->gateway.datagrams);
    line->asker = frame->question.client;
    it->clients[frame->question.client].carried = frame->question.number;
}

static int64_t delay_of_answer(struct simulation *it)
{
    if (!it->healthy && chance_of(&it->chance, it->troubles.late))
        return chance_between(&it->chance, it->round_trip_us, 2 * it->config.reply_timeout_us);
    if (!it->healthy && it->troubles.reordered)
        return chance_between(&it->chance, 1, 2 * it->round_trip_us);
    return it->round_trip_us;
}

static void start_pushes(struct simulation *it, unsigned connection,
                         const struct question *question)
{
    struct event event = make_event_of(it, PUSH_ARRIVES, it->round_trip_us, connection);
    it->lines[connection].pushing = true;
    event.number = (uint32_t)chance_between(&it->chance, 0, 60);
    event.gap_us = chance_of(&it->chance, 50) ? 1 * MS : chance_between(&it->chance, 200, 30 * MS);
    event.frame.question = *question;
    event.frame.question.pushed = 1;
    push_event(it, &event);
}

static void ask_service(void *context, unsigned connection, const struct question *question)
{
    struct simulation *const it = context;
    const bool lost = !it->healthy && chance_of(&it->chance, it->troubles.lost);
    const bool doubled = !it->healthy && !lost && chance_of(&it->chance, it->troubles.doubled);
    if (doubled)
        it->lines[connection].doubled++;
    for (int copies = lost ? 0 : doubled ? 2 : 1; copies > 0; copies--) {
        struct event event = make_event_of(it, ANSWER_ARRIVES, delay_of_answer(it), connection);
        event.frame.question = *question;
        it->lines[connection].in_flight++;
        push_event(it, &event);
    }
    if (!it->lines[connection].pushing && chance_of(&it->chance, it->pushes))
        start_pushes(it, connection, question);
}

static void gateway_sends(void *context, unsigned connection, const struct address *label,
                          const struct question *answer)
{
    struct simulation *const it = context;
    struct event event = make_event_of(it, MESSAGE_ARRIVES, LATENCY_US, connection);
    event.label = *label;
    event.frame.question = *answer;
    push_event(it, &event);
}

static void gateway_pongs(void *context, unsigned connection)
{
    struct simulation *const it = context;
    if (!it->lines[connection].deaf)
        add_event_of(it, PONG_ARRIVES, LATENCY_US, connection);
}

static void frame_arrives(struct simulation *it, const struct event *event)
{
    gateway_frame_arrives(&it->lines[event->connection].gateway, &it->hooks, event->connection,
                          &event->frame);
}

/* Where many are in flight the gateway drops some. */
static bool is_dropped(struct simulation *it, uint32_t in_flight)
{
    return !it->exact && !it->healthy && in_flight > PAIRING_WINDOW_SEVERAL &&
           chance_of(&it->chance, it->troubles.dropped_by_gateway);
}

static void gateway_answers(struct simulation *it, const struct event *event)
{
    const struct address asker = address_of(event->frame.question.client);
    gateway_answer_arrives(&it->lines[event->connection].gateway, &it->hooks, event->connection,
                           &asker, &event->frame.question);
}

static void answer_arrives(struct simulation *it, const struct event *event)
{
    if (!is_dropped(it, it->lines[event->connection].in_flight--))
        gateway_answers(it, event);
}

/* Where all is well the tool sees to it that no pushed datagram lacks a label for long. Pushes take
 * the labels of questions, too: the answers to many of these, come all at once, may find too few.
 */
static void push_arrives(struct simulation *it, const struct event *event)
{
    struct line *const line = &it->lines[event->connection];
    const uint64_t before = line->gateway.overflowed;
    const bool looked_after = it->troubles.calm && event->gap_us >= 1 * MS && !it->stopping &&
                              !line->burst && !line->reloaded && !line->unclean &&
                              is_current(it, line) && is_still_holder(it, line) &&
                              state_of(it, line) == FAKE_OPEN;
    gateway_answers(it, event);
    if (looked_after)
        assert_int_equal(line->gateway.overflowed, before);
    line->pushing = event->number > 0;
    if (event->number == 0)
        return;
    struct event next = make_event_of(it, PUSH_ARRIVES, event->gap_us, event->connection);
    next.number = event->number - 1;
    next.gap_us = event->gap_us;
    next.frame = event->frame;
    push_event(it, &next);
}

/* ---- what must hold in the modes ------------------------------------------------------------ */

static void any_datagram(const struct simulation *it, const struct line *line,
                         const struct question *question)
{
    (void)it;
    (void)line;
    (void)question;
}

static void any_closing(const struct simulation *it, const struct line *line)
{
    (void)it;
    (void)line;
}

/* While another client waits, and is not forgotten, no more than eight. Where the tunnel has put a
 * label of its own into the line, the oldest has been answered already. */
static bool several_wait(const struct simulation *it, const struct line *line)
{
    const struct gateway_end *const gateway = &line->gateway;
    const struct address *const last = &gateway->labels[gateway->label_count - 1];
    for (size_t i = line->credits; i < gateway->label_count; i++) {
        const struct local_client *const client = &it->clients[client_of(&gateway->labels[i])];
        if (!address_equal(&gateway->labels[i], last) &&
            it->fake->now_us - client->asked_us < it->config.client_timeout_us)
            return true;
    }
    return false;
}

static void check_shared_labels(const struct simulation *it, const struct line *line)
{
    const struct gateway_end *const gateway = &line->gateway;
    const struct address *const last = &gateway->labels[gateway->label_count - 1];
    assert_true(line->credits <= 1);
    assert_true(gateway->label_count <= it->config.window + line->credits);
    if (last->port < FIRST_PORT) /* the tunnel's own */
        return;
    if (several_wait(it, line))
        assert_true(gateway->label_count <= PAIRING_WINDOW_SEVERAL + line->credits);
    /* Behind more than eight of one client, no other's. */
    assert_false(line->crowded && line->crowded_by != client_of(last));
}

static uint32_t pool_window(const struct simulation *it)
{
    return it->exact ? it->config.window : smaller(it->config.window, PAIRING_WINDOW_SEVERAL);
}

static void check_pool_datagram(const struct simulation *it, const struct line *line,
                                const struct question *question)
{
    if (line->held && line->holder != question->client)
        assert_int_equal(line->unanswered, 0);
    if (pool_window(it) != 0)
        assert_true(line->unanswered < pool_window(it));
}

static void check_pool_labels(const struct simulation *it, const struct line *line)
{
    assert_true(line->gateway.label_count <= pool_window(it) + PAIRING_CREDITS_POOL);
}

static void check_pool_closing(const struct simulation *it, const struct line *line)
{
    /* Where others wait, to have been silent is enough. */
    assert_true(line->unanswered == 0 || it->stopping || line->unclean || line->reloaded ||
                line->silent || it->fake->now_us >= line->progress_us + PAIRING_FULL_US);
}

static bool is_given_up(const struct simulation *it, const struct line *line)
{
    return line->ping_us != 0 && it->fake->now_us >= line->ping_us + it->config.ping_timeout_us;
}

/* What has not been answered in the reply timeout keeps nobody from making room. */
static bool waits_no_more(const struct simulation *it, const struct line *line)
{
    return line->unanswered == 0 || it->fake->now_us >= line->sent_us + it->config.reply_timeout_us;
}

static void check_per_client_datagram(const struct simulation *it, const struct line *line,
                                      const struct question *question)
{
    const struct local_client *const client = &it->clients[question->client];
    const struct line *const old = &it->lines[client->line];
    if (line->held)
        assert_int_equal(line->holder, question->client);
    if (it->config.window != 0)
        assert_true(line->unanswered < it->config.window);
    if (client->incarnation == 0 || old == line || old->incarnation != client->incarnation)
        return;
    /* If it has ended, or is being closed, this was judged when it began. */
    if (old->seen != FAKE_OPEN || state_of(it, old) == FAKE_FREE)
        return;
    assert_true(old->unclean || old->reloaded || it->stopping || is_given_up(it, old) ||
                !is_still_holder(it, old) || waits_no_more(it, old));
}

static void any_labels(const struct simulation *it, const struct line *line)
{
    (void)it;
    (void)line;
}

static size_t connections_taken(const struct simulation *it)
{
    return it->fake->connections_max - fake_in_state(it->fake, FAKE_FREE);
}

/* Nobody else's has been quiet for longer. */
static bool is_quietest(const struct simulation *it, const struct line *line)
{
    const struct local_client *const client = &it->clients[line->holder];
    for (unsigned i = 0; i < it->fake->connections_max; i++) {
        const struct line *const other = &it->lines[i];
        if (other == line || state_of(it, other) != FAKE_OPEN || !is_current(it, other) ||
            !is_still_holder(it, other) || other->unanswered > 0 || other->unclean ||
            it->clients[other->holder].asked != it->clients[other->holder].sent)
            continue;
        if (it->clients[other->holder].asked_us < client->asked_us &&
            other->progress_us < line->progress_us)
            return false;
    }
    return true;
}

static void check_per_client_closing(const struct simulation *it, const struct line *line)
{
    const bool not_needed = it->stopping || !line->held || !is_current(it, line);
    const bool replaced = line->reloaded || line->unclean || !is_still_holder(it, line);
    const bool makes_room = connections_taken(it) == it->config.max_connections &&
                            waits_no_more(it, line) &&
                            fake_counters(it->fake).queue_datagrams > 0 && is_quietest(it, line);
    assert_true(not_needed || replaced || is_given_up(it, line) || makes_room);
}

/* None for a gateway that pairs by content, if so told. */
static uint32_t one_way_window(const struct simulation *it)
{
    return it->config.window == 0 ? UINT32_MAX : it->config.window;
}

static void check_one_way_datagram(const struct simulation *it, const struct line *line,
                                   const struct question *question)
{
    (void)question;
    assert_true(line->carried < one_way_window(it));
}

static void check_one_way_closing(const struct simulation *it, const struct line *line)
{
    /* One that was kept ahead, and is not needed, has carried nothing. */
    assert_true(it->stopping || line->reloaded || line->carried == one_way_window(it) ||
                line->carried == 0);
}

static const struct mode modes[] = {
    {.name = "shared",
     .connections = CONNECTIONS_SHARED,
     .one_order = true,
     .check_datagram = any_datagram,
     .check_labels = check_shared_labels,
     .check_closing = any_closing},
    {.name = "pool",
     .connections = CONNECTIONS_POOL,
     .by_holder = true,
     .credits = PAIRING_CREDITS_POOL,
     .check_datagram = check_pool_datagram,
     .check_labels = check_pool_labels,
     .check_closing = check_pool_closing},
    {.name = "per-client",
     .connections = CONNECTIONS_PER_CLIENT,
     .by_holder = true,
     .credits = PAIRING_CREDITS_CLIENT,
     .check_datagram = check_per_client_datagram,
     .check_labels = any_labels,
     .check_closing = check_per_client_closing},
    {.name = "one-way",
     .connections = CONNECTIONS_SHARED,
     .one_way = true,
     .one_order = true,
     .check_datagram = check_one_way_datagram,
     .check_labels = any_labels,
     .check_closing = check_one_way_closing},
    {.name = "one-way-pool",
     .connections = CONNECTIONS_POOL,
     .one_way = true,
     .check_datagram = check_one_way_datagram,
     .check_labels = any_labels,
     .check_closing = check_one_way_closing},
};

enum { MODE_COUNT = sizeof modes / sizeof modes[0] };

/* ---- when a WebSocket is unclean ------------------------------------------------------------ */

static bool is_full(const struct simulation *it, const struct line *line)
{
    const bool per_client = it->mode->connections == CONNECTIONS_PER_CLIENT;
    const uint32_t window = per_client ? it->config.window : pool_window(it);
    if (per_client && !it->exact && line->labels >= PAIRING_LABELS_MAX - 1)
        return true;
    return window != 0 && line->unanswered >= window;
}

/* A client with a WebSocket of its own moves on where something has waited for a label for so
 * long. */
static bool has_waited(const struct simulation *it, const struct line *line)
{
    const struct local_client *const client = &it->clients[line->holder];
    return it->mode->connections == CONNECTIONS_PER_CLIENT && line->held &&
           client->asked != client->sent && it->fake->now_us >= client->since_us + PAIRING_FULL_US;
}

/* Before each step: what the tool may find in it. */
static void note_unclean(struct simulation *it)
{
    const int64_t now_us = it->fake->now_us;
    for (unsigned i = 0; i < it->fake->connections_max; i++) {
        struct line *const line = &it->lines[i];
        if (line->seen != FAKE_OPEN || line->unclean)
            continue;
        if (line->unanswered > 0 && now_us >= line->progress_us + PAIRING_FULL_US)
            line->silent = true;
        const bool stuck = is_full(it, line) &&
                           (now_us >= line->progress_us + PAIRING_FULL_US || has_waited(it, line));
        const bool overdue = it->mode->connections == CONNECTIONS_POOL && line->unanswered > 0 &&
                             now_us >= line->waiting_since_us + it->config.reply_timeout_us;
        line->unclean = stuck || overdue;
        if (line->unclean)
            trace(it, "     %u is %s", i, stuck ? "stuck" : "overdue");
    }
}

/* ---- what the tunnel did -------------------------------------------------------------------- */

static struct question question_of(const struct fake_record *record)
{
    struct question question;
    assert_int_equal(record->size, sizeof question);
    memcpy(&question, record->payload, sizeof question);
    return question;
}

static void note_frame(struct simulation *it, struct line *line)
{
    const bool was_full = is_full(it, line);
    line->labels++;
    if (!was_full)
        line->progress_us = is_full(it, line) ? it->fake->now_us : line->progress_us;
}

static void see_datagram(struct simulation *it, struct line *line, const struct question *question)
{
    struct local_client *const client = &it->clients[question->client];
    assert_true(it->fake->now_us - question->asked_us < it->config.queue_age_us);
    assert_true(question->number > client->sent);
    if (it->mode->one_order)
        assert_true(question->number > it->last_number);
    it->mode->check_datagram(it, line, question);

    it->last_number = client->sent = question->number;
    client->since_us = question->asked_us;
    client->line = index_of(it, line);
    client->incarnation = line->incarnation;
    if (line->unanswered == 0)
        line->waiting_since_us = line->progress_us = it->fake->now_us;
    line->sent_us = it->fake->now_us;
    line->unanswered++;
    line->burst |= line->unanswered > 4;
    line->carried++;
    line->held = true;
    line->holder = question->client;
    line->holder_epoch = client->epoch;
    it->carried++;
}

static void see_ping(struct simulation *it, struct line *line)
{
    const int64_t now_us = it->fake->now_us;
    assert_true(it->config.ping_interval_us > 0);
    assert_true(now_us - line->sign_us >= it->config.ping_interval_us);
    if (line->ping_us == 0)
        line->ping_us = now_us;
}

/* Those that have just stopped reading. What was left of the last write goes when they read on. */
static void see_stalls(struct simulation *it)
{
    for (unsigned i = 0; i < it->fake->connections_max; i++) {
        struct line *const line = &it->lines[i];
        if (!it->fake->connections[i].blocked || line->reads_on_us > it->fake->now_us)
            continue;
        const int64_t after_us = chance_between(&it->chance, 1, 1 * SECOND);
        line->reads_on_us = it->fake->now_us + after_us;
        add_event_of(it, PEER_READS_ON, after_us, i);
    }
}

static void see_frames(struct simulation *it)
{
    for (size_t i = 0; i < it->fake->frames.count; i++) {
        const struct fake_record *const record = &it->fake->frames.rows[i];
        struct line *const line = &it->lines[record->connection];
        struct event event = make_event_of(it, FRAME_ARRIVES, LATENCY_US, record->connection);
        assert_int_equal(line->seen, FAKE_OPEN);
        event.frame = (struct gateway_frame){.label = record->client};
        if (record->kind == FAKE_DATAGRAM) {
            event.frame.kind = GATEWAY_DATAGRAM;
            event.frame.question = question_of(record);
            assert_int_equal(client_of(&record->client), event.frame.question.client);
            trace(it, "  -> %u: %u of client %u", record->connection, event.frame.question.number,
                  event.frame.question.client);
            see_datagram(it, line, &event.frame.question);
        } else if (record->kind == FAKE_CREDIT) {
            event.frame.kind = GATEWAY_CREDIT;
            trace(it, "  -> %u: credit", record->connection);
            assert_false(it->mode->one_way);
            it->credits++;
        } else {
            event.frame.kind = GATEWAY_PING;
            trace(it, "  -> %u: ping", record->connection);
            see_ping(it, line);
        }
        note_frame(it, line);
        if (line->reads_on_us > it->fake->now_us)
            event.at_us += line->reads_on_us - it->fake->now_us;
        push_event(it, &event);
    }
    it->fake->frames.count = 0;
}

static bool routes_all_right(const struct simulation *it)
{
    const struct troubles *const troubles = &it->troubles;
    return it->exact || (troubles->lost == 0 && troubles->doubled == 0 && troubles->late == 0 &&
                         !troubles->reordered);
}

/* Replies of one message, or of none. */
static void see_replies(struct simulation *it)
{
    for (size_t i = 0; i < it->fake->replies.count; i++) {
        const struct fake_record *const reply = &it->fake->replies.rows[i];
        const struct question answer = question_of(reply);
        struct local_client *const client = &it->clients[client_of(&reply->client)];
        trace(it, "  => client %u: answer to %u of client %u", client_of(&reply->client),
              answer.number, answer.client);
        assert_false(it->mode->one_way);
        assert_true(client->asked_us != 0);
        /* What it has in the queue keeps it known. */
        assert_true(it->fake->now_us - client->asked_us <
                    it->config.client_timeout_us + it->config.queue_age_us);
        if (!it->mode->by_holder && routes_all_right(it))
            assert_int_equal(answer.client, client_of(&reply->client));
        it->replies++;
        if (answer.pushed != 0)
            continue;
        it->answers++;
        client->answers++;
        if (answer.client == client_of(&reply->client))
            client->answered = answer.number;
    }
    it->fake->replies.count = 0;
}

/* Adds up the "Dropped <n> ... [<label>]" lines. */
static void see_reports(struct simulation *it)
{
    for (size_t i = 0; i < it->fake->report_count; i++) {
        const char *const line = it->fake->reports[i].text;
        const char *const label = strrchr(line, '[');
        trace(it, "  \"%s\"", line);
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

static void begin_line(struct simulation *it, struct line *line, uint32_t incarnation)
{
    line->incarnation = incarnation;
    line->seen = FAKE_OPENING;
    gateway_begin(&line->gateway, it->exact);
    line->deaf = !it->healthy && chance_of(&it->chance, it->troubles.deaf);
    line->held = line->unclean = line->silent = line->reloaded = line->stale = false;
    line->pushing = line->burst = line->crowded = false;
    line->carried = line->credits = line->in_flight = line->doubled = 0;
    line->unanswered = line->labels = 0;
    line->waiting_since_us = line->progress_us = line->sign_us = line->ping_us = 0;
    line->reads_on_us = 0;
    add_event_of(it, CONNECT_ENDS, chance_between(&it->chance, 1, CONNECT_LIMIT_US),
                 index_of(it, line));
}

static void see_connections(struct simulation *it)
{
    static const char *const names[] = {"free", "opening", "open", "closing"};
    for (unsigned i = 0; i < it->fake->connections_max; i++) {
        struct line *const line = &it->lines[i];
        const enum fake_state state = it->fake->connections[i].state;
        if (line->incarnation != it->fake->incarnations[i]) {
            trace(it, "     %u is begun", i);
            begin_line(it, line, it->fake->incarnations[i]);
        }
        if (state == line->seen)
            continue;
        trace(it, "     %u is %s", i, names[state]);
        if (state == FAKE_CLOSING) {
            if (line->seen == FAKE_OPEN)
                it->mode->check_closing(it, line);
            add_event_of(it, CLOSE_ENDS,
                         chance_between(&it->chance, 2 * LATENCY_US, CLOSE_LIMIT_US), i);
        }
        line->seen = state;
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
    for (unsigned i = 0; i < it->fake->connections_max; i++)
        if (it->mode->connections == CONNECTIONS_POOL && !it->mode->one_way &&
            state_of(it, &it->lines[i]) == FAKE_OPEN && it->lines[i].unanswered > 0 &&
            !it->lines[i].unclean && !it->stopping)
            assert_armed_within(it, it->config.reply_timeout_us);
    if (!it->stopping && connections_taken(it) == 0)
        assert_armed_within(it, longest_pause_us);
}

static void check_connections(const struct simulation *it, const struct counters *counters)
{
    const size_t open = fake_in_state(it->fake, FAKE_OPEN);
    assert_int_equal(counters->connections_connecting, fake_in_state(it->fake, FAKE_OPENING));
    if (is_limited(it)) {
        assert_true(connections_taken(it) <= it->config.max_connections);
        assert_int_equal(counters->connections_active + counters->connections_idle +
                             counters->connections_draining,
                         open);
    } else if (!it->stopping) {
        assert_true(counters->connections_active <= 1 && counters->connections_connecting <= 1);
    }
}

static void check_counters(const struct simulation *it, const struct counters *counters)
{
    const struct direction_counters *const out = &counters->direction[DIRECTION_OUT];
    const struct direction_counters *const in = &counters->direction[DIRECTION_IN];
    uint64_t pings = 0;
    for (size_t i = 0; i < PING_BUCKET_COUNT; i++)
        pings += counters->pings.buckets[i];
    assert_int_equal(out->received, it->numbers);
    assert_int_equal(out->passed_on, it->carried);
    assert_int_equal(in->received, it->messages + it->breaches);
    assert_int_equal(in->passed_on + in->dropped[DROP_SEND_FAILED], it->replies);
    assert_int_equal(counters->label_credits, it->credits);
    assert_int_equal(pings, it->pongs);
    assert_true(counters->queue_datagrams <= it->config.queue_size);
    if (it->mode->one_way) {
        assert_int_equal(it->replies, 0);
        assert_true(in->dropped[DROP_ONE_WAY] >= it->messages - it->mangled);
    }
    if (it->mode->connections == CONNECTIONS_POOL && !it->mode->one_way) {
        assert_true(counters->surplus_replies <= it->surplus_most);
        assert_true(counters->surplus_replies >= it->surplus_least);
    } else {
        assert_int_equal(counters->surplus_replies, 0);
    }
}

static bool is_looked_after(const struct simulation *it, const struct line *line)
{
    return state_of(it, line) == FAKE_OPEN && !it->fake->connections[index_of(it, line)].blocked &&
           !it->stopping && !line->unclean && !line->reloaded && is_current(it, line) &&
           is_still_holder(it, line);
}

/* So many labels are ahead of what is asked, as long as there is room for them. */
static void check_credits(const struct simulation *it, const struct line *line)
{
    if (it->exact || it->troubles.mangled > 0 || !is_looked_after(it, line))
        return;
    if (it->mode->connections == CONNECTIONS_POOL)
        assert_true(line->labels >= line->unanswered + PAIRING_CREDITS_POOL);
    else
        assert_true(line->labels >= PAIRING_CREDITS_CLIENT);
}

static void check_pings(const struct simulation *it, const struct line *line)
{
    const int64_t now_us = it->fake->now_us;
    const int64_t since_us = line->ping_us > line->sign_us ? line->ping_us : line->sign_us;
    if (it->config.ping_interval_us == 0 || it->stopping || line->unclean ||
        state_of(it, line) != FAKE_OPEN || (line->held && !is_current(it, line)) || line->reloaded)
        return;
    if (line->ping_us != 0)
        assert_true(now_us < since_us + it->config.ping_timeout_us + SLACK_US);
    else if (it->exact || line->labels < PAIRING_PING_LABELS_MAX)
        assert_true(now_us < since_us + it->config.ping_interval_us + SLACK_US);
    else
        return;
    assert_armed_within(it, line->ping_us != 0 ? it->config.ping_timeout_us
                                               : it->config.ping_interval_us);
}

static void check_lines(const struct simulation *it)
{
    for (unsigned i = 0; i < it->fake->connections_max; i++) {
        const struct line *const line = &it->lines[i];
        if (it->mode->credits > 0)
            check_credits(it, line);
        if (it->mode->connections == CONNECTIONS_PER_CLIENT)
            check_pings(it, line);
        /* What is left of its last frames goes first. */
        if (it->mode->one_way && state_of(it, line) == FAKE_OPEN &&
            !it->fake->connections[i].blocked)
            assert_true(line->carried < one_way_window(it));
    }
}

static void see_what_happened(struct simulation *it)
{
    const struct counters counters = fake_counters(it->fake);
    see_stalls(it);
    see_frames(it);
    see_replies(it);
    see_connections(it);
    see_reports(it);
    check_told(it, &counters);
    check_counters(it, &counters);
    it->fake->random = (uint32_t)chance_next(&it->chance);
    it->fake->refuse_open = !it->healthy && chance_of(&it->chance, it->troubles.connect_fails / 8);
    if (it->fake->stopped > 0)
        return;
    check_connections(it, &counters);
    check_lines(it);
    check_timer(it, &counters);
}

/* ---- what happens to the tunnel ------------------------------------------------------------- */

static struct datagram ask_later(struct simulation *it, uint32_t client, struct question *question)
{
    struct local_client *const from = &it->clients[client];
    *question =
        (struct question){.client = client, .number = ++it->numbers, .asked_us = it->fake->now_us};
    if (it->fake->now_us - from->asked_us >= it->config.client_timeout_us)
        from->epoch++;
    if (from->asked == from->sent)
        from->since_us = it->fake->now_us;
    from->asked = question->number;
    from->asked_us = it->fake->now_us;
    trace(it, "client %u asks %u", client, question->number);
    return (struct datagram){.client = address_of(client),
                             .payload = (const uint8_t *)question,
                             .size = sizeof *question};
}

static void ask(struct simulation *it, uint32_t client)
{
    struct question question;
    const struct datagram datagram = ask_later(it, client, &question);
    udp_tunnel_on_datagrams(it->fake->tunnel, &datagram, 1, it->fake->now_us);
    fake_settle(it->fake);
}

/* The client that this actor asks as: now and then a new one. */
static uint32_t client_of_actor(struct simulation *it, uint32_t actor)
{
    if (chance_of(&it->chance, it->churn)) {
        it->actors[actor] = it->next_client;
        it->next_client = (it->next_client + 1) % CLIENT_COUNT;
    }
    return it->actors[actor];
}

/* All that was in the socket: read at once. */
static void ask_in_a_batch(struct simulation *it, size_t count)
{
    struct question questions[BATCH_MAX];
    struct datagram batch[BATCH_MAX];
    for (size_t i = 0; i < count; i++) {
        const uint32_t actor = (uint32_t)chance_between(&it->chance, 0, it->actor_count - 1);
        batch[i] = ask_later(it, client_of_actor(it, actor), &questions[i]);
    }
    udp_tunnel_on_datagrams(it->fake->tunnel, batch, count, it->fake->now_us);
    fake_settle(it->fake);
}

static int64_t pause_of_actor(struct simulation *it)
{
    if (chance_of(&it->chance, 5))
        return chance_between(&it->chance, 1 * SECOND, 4 * SECOND);
    return chance_between(&it->chance, 1 * MS, chance_of(&it->chance, 50) ? 20 * MS : it->hurry_us);
}

static void actor_asks(struct simulation *it, uint32_t actor)
{
    int64_t times = chance_of(&it->chance, 70) ? 1 : chance_between(&it->chance, 2, 12);
    if (chance_of(&it->chance, 3))
        times = 45;
    if (chance_of(&it->chance, 20)) {
        ask_in_a_batch(it, (size_t)times);
    } else {
        for (; times > 0; times--) {
            ask(it, client_of_actor(it, actor));
            see_what_happened(it);
        }
    }
    add_event(it, CLIENT_ASKS, pause_of_actor(it), actor);
}

static void connect_ends(struct simulation *it, unsigned connection)
{
    struct line *const line = &it->lines[connection];
    if (it->fake->connections[connection].state != FAKE_OPENING)
        return;
    if (!it->healthy && chance_of(&it->chance, it->troubles.connect_fails)) {
        fake_lose(it->fake, connection);
        return;
    }
    trace(it, "     %u is up", connection);
    line->seen = FAKE_OPEN;
    line->sign_us = it->fake->now_us;
    fake_open(it->fake, connection);
}

static void peer_reads_on(struct simulation *it, unsigned connection)
{
    if (it->fake->connections[connection].state != FAKE_OPEN)
        return;
    trace(it, "     %u reads on", connection);
    it->lines[connection].reads_on_us = 0;
    if (it->fake->connections[connection].refused)
        fake_writable(it->fake, connection);
    else
        it->fake->connections[connection].blocked = false;
}

static void hand_over_message(struct simulation *it, const struct event *event, bool mangled)
{
    const struct question *const answer = &event->frame.question;
    if (mangled && chance_of(&it->chance, 50)) {
        fake_message(it->fake, event->connection, true, "text", 4);
    } else if (mangled) {
        fake_message(it->fake, event->connection, false, "junk", 4);
    } else if (event->label.family == ADDRESS_NONE) {
        char frame[256] = "{\"port\":0,\"address\":\"localhost\",\"data\":\"";
        size_t used = strlen(frame);
        used += base64_encode(frame + used, (const uint8_t *)answer, sizeof *answer);
        memcpy(frame + used, "\"}", 2);
        fake_message(it->fake, event->connection, false, frame, used + 2);
    } else {
        fake_answer_bytes(it->fake, event->connection, &event->label, answer, sizeof *answer);
    }
}

/* Where a message belongs to whoever holds its WebSocket: it went there and nowhere else. In a pool
 * an answer that came twice may be late: after its WebSocket was handed on, which shows only now
 * where the next one has sent nothing yet. */
static void check_delivery(const struct simulation *it, struct line *line, bool surplus,
                           bool expected, const struct question *answer)
{
    const bool late = it->mode->connections == CONNECTIONS_POOL && line->doubled > 0;
    const struct fake_records *const replies = &it->fake->replies;
    assert_true(replies->count <= 1);
    if (expected && !(late && surplus))
        assert_int_equal(replies->count, 1);
    if (replies->count == 0) {
        line->held = line->held && !(late && surplus); /* by somebody who is forgotten */
        return;
    }
    const uint32_t client = client_of(&replies->rows[0].client);
    assert_true((line->held && client == line->holder) || (late && surplus));
    assert_true(client == answer->client || late);
    line->holder = client;
}

static void message_arrives(struct simulation *it, const struct event *event)
{
    struct line *const line = &it->lines[event->connection];
    const enum fake_state state = state_of(it, line);
    if (state != FAKE_OPEN && state != FAKE_CLOSING)
        return;
    const bool mangled = !it->healthy && chance_of(&it->chance, it->troubles.mangled);
    const bool surplus = line->unanswered == 0;
    const bool expected = state == FAKE_OPEN && !mangled && is_still_holder(it, line) &&
                          (is_current(it, line) || !surplus);
    trace(it, "  <- %u: %s%s to %u of client %u", event->connection, mangled ? "mangled " : "",
          event->frame.question.pushed ? "push" : "answer", event->frame.question.number,
          event->frame.question.client);
    it->messages++;
    it->mangled += mangled ? 1 : 0;
    line->unclean |= mangled; /* the tool counts on an answer for it still */
    it->surplus_most += surplus || it->troubles.mangled > 0 ? 1 : 0;
    it->surplus_least += surplus && state == FAKE_OPEN && it->troubles.mangled == 0 ? 1 : 0;
    line->unanswered -= line->unanswered > 0 ? 1 : 0;
    line->labels -= line->labels > 0 ? 1 : 0;
    line->progress_us = line->sign_us = it->fake->now_us;
    it->fake->failing_deliveries =
        !it->healthy && chance_of(&it->chance, it->troubles.failing) ? 1 : 0;
    hand_over_message(it, event, mangled);
    it->fake->failing_deliveries = 0;
    if (it->mode->by_holder && !it->mode->one_way)
        check_delivery(it, line, surplus, expected, &event->frame.question);
}

static void pong_arrives(struct simulation *it, unsigned connection)
{
    struct line *const line = &it->lines[connection];
    if (state_of(it, line) != FAKE_OPEN)
        return;
    trace(it, "  <- %u: pong", connection);
    it->pongs++;
    line->ping_us = 0;
    line->sign_us = it->fake->now_us;
    fake_pong(it->fake, connection);
}

static void trouble_of_connection(struct simulation *it, unsigned connection)
{
    static const struct connection_end breach = {.kind = END_PROTOCOL_BREACH, .status = 1002};
    struct fake_connection *const fake = &it->fake->connections[connection];
    if (fake->state != FAKE_OPEN)
        return;
    switch (chance_between(&it->chance, 0, 3)) {
    case 0:
        trace(it, "     %u is lost", connection);
        fake_lose(it->fake, connection);
        break;
    case 1:
        trace(it, "     %u ends by a breach", connection);
        it->breaches++;
        fake_end(it->fake, connection, &breach);
        break;
    default:
        trace(it, "     %u does not read", connection);
        if (chance_of(&it->chance, 50))
            fake->blocked = true;
        else
            fake->stalls = true; /* in the middle of the next frames */
        break;
    }
}

static void reload(struct simulation *it)
{
    trace(it, "reload");
    for (unsigned i = 0; i < it->fake->connections_max; i++) {
        it->lines[i].reloaded = true;
        it->lines[i].stale |= it->lines[i].seen == FAKE_OPEN;
    }
    udp_tunnel_renew(it->fake->tunnel, it->fake->now_us);
    fake_settle(it->fake);
}

static void make_trouble(struct simulation *it)
{
    const unsigned highest = smaller(it->fake->connections_max, 4) - 1;
    add_event(it, TROUBLE, chance_between(&it->chance, 1, 2 * SECOND), 0);
    const unsigned connection = (unsigned)chance_between(&it->chance, 0, highest);
    if (chance_of(&it->chance, 15))
        reload(it);
    else if (it->troubles.connections)
        trouble_of_connection(it, connection);
}

static bool is_void(const struct simulation *it, const struct event *event)
{
    return event->incarnation != 0 &&
           (event->incarnation != it->lines[event->connection].incarnation ||
            it->lines[event->connection].seen == FAKE_FREE);
}

static void happen(struct simulation *it, const struct event *event)
{
    const bool clients_ask = !it->healthy && !it->stopping;
    switch (event->kind) {
    case CLIENT_ASKS:
        if (clients_ask)
            actor_asks(it, event->number);
        break;
    case CONNECT_ENDS:
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
    case PUSH_ARRIVES:
        push_arrives(it, event);
        break;
    case MESSAGE_ARRIVES:
        message_arrives(it, event);
        break;
    case PONG_ARRIVES:
        pong_arrives(it, event->connection);
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
        note_unclean(it);
        fake_fire_timer(fake);
        see_what_happened(it);
    }
}

/* Which comes next: an event, or the timer, which may be late. */
static bool timer_is_next(struct simulation *it)
{
    if (it->event_count == 0)
        return true;
    const int64_t late_us = chance_of(&it->chance, 10) ? 2 * MS : 0;
    const int64_t timer_us = it->fake->timer_us;
    return timer_us != INT64_MAX && timer_us + late_us <= it->events[0].at_us;
}

static void run_until(struct simulation *it, int64_t until_us)
{
    struct fake *const fake = it->fake;
    while (fake->stopped == 0) {
        const bool timer = timer_is_next(it);
        if ((timer ? fake->timer_us : it->events[0].at_us) > until_us)
            break;
        if (timer) {
            fire_timer(it);
            continue;
        }
        const struct event event = pop_event(it);
        if (event.at_us > fake->now_us)
            fake->now_us = event.at_us;
        if (is_void(it, &event))
            continue;
        note_unclean(it);
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
    config->connections = it->mode->connections;
    config->one_way = it->mode->one_way;
    config->max_connections = (uint32_t)ONE_OF(chance, 1, 2, 3, 4, 8, 8, 20);
    if (chance_of(chance, 50))
        config->window = (uint32_t)ONE_OF(chance, 0, 1, 4, 8, 20, 31, 32, 64);
    it->exact = config->window == 0 || config->window > PAIRING_LABELS_MAX;
    config->queue_size = (uint32_t)ONE_OF(chance, 1, 2, 10, 100, 1024);
    config->queue_age_us = ONE_OF(chance, 50 * MS, 500 * MS, 5 * SECOND);
    config->reply_timeout_us = ONE_OF(chance, 300 * MS, 1 * SECOND, 5 * SECOND);
    config->client_timeout_us = ONE_OF(chance, 6 * SECOND, 60 * SECOND);
    if (it->mode->by_holder && chance_of(chance, 30))
        config->client_timeout_us = 700 * MS;
    config->reconnect_delay_us = ONE_OF(chance, 100 * MS, 2 * SECOND);
    config->reconnect_max_delay_us = config->reconnect_delay_us * (chance_of(chance, 50) ? 1 : 4);
    config->ping_interval_us = ONE_OF(chance, 0, 100 * MS, 500 * MS, 20 * SECOND);
    config->ping_timeout_us = ONE_OF(chance, 20 * MS, 700 * MS, 5 * SECOND);
}

static void choose_troubles(struct simulation *it)
{
    struct chance *const chance = &it->chance;
    struct troubles *const troubles = &it->troubles;
    troubles->calm = chance_of(chance, 20);
    if (troubles->calm)
        return;
    troubles->lost = (unsigned)ONE_OF(chance, 0, 0, 1, 10, 90);
    troubles->doubled = (unsigned)ONE_OF(chance, 0, 0, 0, 5, 30);
    troubles->late = (unsigned)ONE_OF(chance, 0, 0, 0, 5);
    troubles->reordered = chance_of(chance, 15);
    troubles->dropped_by_gateway = (unsigned)ONE_OF(chance, 0, 20);
    troubles->connect_fails = (unsigned)ONE_OF(chance, 0, 0, 30, 80);
    troubles->mangled = (unsigned)ONE_OF(chance, 0, 0, 0, 5);
    troubles->failing = (unsigned)ONE_OF(chance, 0, 0, 10);
    troubles->deaf = (unsigned)ONE_OF(chance, 0, 0, 30);
    troubles->connections = chance_of(chance, 50);
}

static void choose_traffic(struct simulation *it)
{
    struct chance *const chance = &it->chance;
    it->round_trip_us = chance_between(chance, 100, 80 * MS);
    it->actor_count = (uint32_t)ONE_OF(chance, 1, 2, 3, 5, ACTORS_MAX);
    it->next_client = it->actor_count;
    it->churn = (unsigned)ONE_OF(chance, 0, 0, 10, 100);
    it->hurry_us = ONE_OF(chance, 40 * MS, 500 * MS);
    if (it->mode->connections == CONNECTIONS_PER_CLIENT)
        it->pushes = (unsigned)ONE_OF(chance, 0, 2, 30);
    for (uint32_t i = 0; i < it->actor_count; i++) {
        it->actors[i] = i;
        add_event(it, CLIENT_ASKS, chance_between(chance, 0, 1 * SECOND), i);
    }
    add_event(it, TROUBLE, chance_between(chance, 0, 3 * SECOND), 0);
}

/* With room for few, a WebSocket has to be closed before the next is opened. */
static int64_t time_for_a_probe(const struct simulation *it)
{
    return is_limited(it) ? PROBE_US + CLOSE_LIMIT_US + CONNECT_LIMIT_US : PROBE_US;
}

static void probe(struct simulation *it, uint32_t client)
{
    const struct local_client *const asker = &it->clients[client];
    const int64_t patience_us = time_for_a_probe(it);
    const uint64_t before = asker->answers;
    ask(it, client);
    const uint32_t number = it->numbers;
    see_what_happened(it);
    run_until(it, it->fake->now_us + patience_us);
    /* What a mangled message that was one too many has used up, is not known. */
    if (it->troubles.mangled > 0 && it->troubles.doubled > 0)
        return;
    if (it->config.queue_age_us < (is_limited(it) ? patience_us : patience_us / 2))
        return;
    if (it->mode->one_way)
        assert_int_equal(asker->carried, number);
    else if (it->mode->by_holder)
        assert_int_equal(asker->answered, number);
    else if (it->troubles.doubled > 0) /* one too many may come, which is then noticed */
        assert_true(asker->answers > before);
    else
        assert_int_equal(asker->answers, before + 1);
}

/* In a calm run nothing has gone astray but where a client was forgotten, or had pushes taken for
 * its answers. */
static void check_all_answered(const struct simulation *it)
{
    if (it->troubles.calm && it->pushes == 0 && !it->mode->one_way &&
        it->config.client_timeout_us >= 6 * SECOND)
        assert_int_equal(it->answers, it->carried);
}

/* After any past, a gateway that works again answers every client: in the end, to the right one.
 * Where each has a WebSocket of its own and there are not enough, a client that was not answered
 * keeps its own until it is forgotten. */
static void check_recovery(struct simulation *it)
{
    const int64_t longest_pause_us = it->config.reconnect_max_delay_us * 6 / 5;
    const int64_t forgetting_us =
        it->mode->connections == CONNECTIONS_PER_CLIENT ? it->config.client_timeout_us : 0;
    trace(it, "all is well from here on");
    it->healthy = true;
    it->fake->refuse_open = false;
    for (unsigned i = 0; i < it->fake->connections_max; i++)
        it->fake->connections[i].stalls = false;
    run_until(it, it->fake->now_us + it->config.queue_age_us + 3 * it->config.reply_timeout_us +
                      longest_pause_us + forgetting_us + 3 * SECOND);
    assert_int_equal(fake_counters(it->fake).queue_datagrams, 0);
    assert_true(fake_in_state(it->fake, FAKE_OPEN) > 0);
    if (!is_limited(it))
        assert_int_equal(fake_counters(it->fake).connections_active, 1);
    /* A reload was remembered until it could be done. */
    for (unsigned i = 0; i < it->fake->connections_max; i++)
        assert_false(state_of(it, &it->lines[i]) == FAKE_OPEN && it->lines[i].stale);
    check_all_answered(it);
    if (it->troubles.doubled == 0) /* a shift by a doubled reply is for good in shared mode */
        it->troubles = (struct troubles){.calm = it->troubles.calm};
    for (uint32_t i = 0; i < it->actor_count; i++)
        probe(it, it->actors[i]);
}

static void check_stop(struct simulation *it)
{
    const int64_t deadline_us = it->fake->now_us + STOP_LIMIT_US;
    const struct counters before = fake_counters(it->fake);
    /* One fresh WebSocket takes so many, whosever they are. */
    const bool all_go = it->mode->connections == CONNECTIONS_SHARED && it->troubles.calm &&
                        !it->mode->one_way && before.connections_active == 1 &&
                        before.queue_datagrams <= PAIRING_WINDOW_SEVERAL &&
                        before.queue_datagrams <= it->config.window;
    trace(it, "stop");
    it->stopping = true;
    note_unclean(it);
    udp_tunnel_stop(it->fake->tunnel, it->fake->now_us);
    fake_settle(it->fake);
    see_what_happened(it);
    run_until(it, deadline_us);
    assert_int_equal(it->fake->stopped, 1);
    assert_int_equal(fake_counters(it->fake).queue_datagrams, 0);
    if (all_go)
        assert_int_equal(fake_dropped(it->fake, DIRECTION_OUT, DROP_SHUTDOWN), 0);
}

static void trace_choices(const struct simulation *it)
{
    const struct tunnel_config *const config = &it->config;
    const struct troubles *const troubles = &it->troubles;
    trace(it,
          "window %u, connections %u, queue %u, ms: age %d, reply timeout %d, client timeout %d, "
          "pings %d/%d, round trip %d",
          config->window, config->max_connections, config->queue_size,
          (int)(config->queue_age_us / MS), (int)(config->reply_timeout_us / MS),
          (int)(config->client_timeout_us / MS), (int)(config->ping_interval_us / MS),
          (int)(config->ping_timeout_us / MS), (int)(it->round_trip_us / MS));
    trace(it,
          "%%: lost %u, doubled %u, late %u, dropped %u, failed connects %u, mangled %u, "
          "failing %u, deaf %u, pushes %u, churn %u; reordered %d, connections %d, calm %d",
          troubles->lost, troubles->doubled, troubles->late, troubles->dropped_by_gateway,
          troubles->connect_fails, troubles->mangled, troubles->failing, troubles->deaf, it->pushes,
          it->churn, troubles->reordered, troubles->connections, troubles->calm);
}

static void run(const struct mode *mode, uint64_t seed)
{
    struct simulation *const it = calloc(1, sizeof *it);
    assert_non_null(it);
    it->mode = mode;
    it->chance.state = seed;
    it->hooks = (struct gateway_hooks){.context = it,
                                       .took = gateway_took,
                                       .to_service = ask_service,
                                       .message = gateway_sends,
                                       .pong = gateway_pongs};
    choose_config(it);
    choose_troubles(it);
    it->fake = fake_new(&it->config);
    choose_traffic(it);
    trace_choices(it);
    fake_start(it->fake);
    see_what_happened(it);
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
    const struct mode *const mode = *state;
    if (under_way)
        print_error("The run that failed: OTOROSHICTL_SIMULATION_MODE=%s "
                    "OTOROSHICTL_SIMULATION_SEED=%llu OTOROSHICTL_SIMULATION_RUNS=1\n",
                    mode->name, (unsigned long long)seed_under_way);
    under_way = false;
    return 0;
}

static void tunnel_keeps_its_promises_whatever_happens(void **state)
{
    const struct mode *const mode = *state;
    const char *const wanted = getenv("OTOROSHICTL_SIMULATION_MODE");
    const uint64_t first = number_from("OTOROSHICTL_SIMULATION_SEED", 1);
    const uint64_t runs = number_from("OTOROSHICTL_SIMULATION_RUNS", DEFAULT_RUNS);
    if (wanted != NULL && strcmp(wanted, mode->name) != 0)
        skip();
    for (uint64_t i = 0; i < runs; i++) {
        seed_under_way = first + i;
        under_way = true;
        run(mode, seed_under_way);
        under_way = false;
    }
}

int main(void)
{
    struct CMUnitTest tests[MODE_COUNT];
    tracing = getenv("OTOROSHICTL_SIMULATION_TRACE") != NULL;
    for (size_t i = 0; i < MODE_COUNT; i++)
        tests[i] = (struct CMUnitTest){.name = modes[i].name,
                                       .test_func = tunnel_keeps_its_promises_whatever_happens,
                                       .teardown_func = print_seed_of_a_failed_run,
                                       .initial_state = (void *)&modes[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
