#include "session.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "byte_queue.h"
#include "client_socket.h"
#include "watch.h"

enum {
    READ_BYTES = 131072,
    TLS_READS_A_TURN = 16,
    OUTPUT_HIGH_WATER = 1048576,
    OUTPUT_LOW_WATER = 262144,
    CLOSE_STATUS_BYTES = 2,
    STATUS_CUT = 1006, /* --close-after N:1006: no close frame */
};
static const int64_t linger_us = 2 * (int64_t)LWS_USEC_PER_SEC;
static const int64_t stuck_us = 60 * (int64_t)LWS_USEC_PER_SEC;

enum session_state {
    STATE_OPEN,
    STATE_CLOSING,  /* the close frame is queued; nothing from the client counts */
    STATE_FINISHED, /* it is sent; waits for the client's end of file, `linger_us` at most */
    STATE_LEAKED,   /* the client left while stalled */
    STATE_ENDED,    /* on the list of those to be freed */
};

struct session {
    struct gateway *gateway;
    struct lws *wsi;
    struct watch *watch;
    struct client_socket socket;
    const struct transport_ops *ops;
    void *transport;
    struct wire_reader reader;
    struct byte_queue input;
    struct byte_queue output;
    lws_sorted_usec_list_t timer;
    int64_t last_activity_us;
    int64_t idle_timeout_us;
    uint64_t frames;
    size_t input_needed;
    enum session_state state;
    unsigned pauses;
    int leaked_fd;
    struct session *next; /* of the gateway's list, or of those that have ended */
    struct session *previous;
};

static void session_readable(void *owner);
static void session_writable(void *owner);
static void session_hangup(void *owner);

static const struct watch_events session_events = {
    .readable = session_readable,
    .writable = session_writable,
    .hangup = session_hangup,
};

struct gateway *session_gateway(const struct session *session)
{
    return session->gateway;
}

void session_touch(struct session *session)
{
    session->last_activity_us = lws_now_usecs();
}

/* ---- ending ---- */

static void close_transport(struct session *session)
{
    void *transport = session->transport;

    session->transport = NULL;
    if (transport != NULL)
        session->ops->close(transport);
}

static void drop_connection(struct session *session)
{
    if (session->wsi != NULL) {
        lws_set_opaque_user_data(session->wsi, NULL);
        lws_set_timeout(session->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
    }
    session->wsi = NULL;
    session->socket.tls = NULL;
    watch_close(session->watch);
    session->watch = NULL;
}

static void count_unpaused(struct session *session)
{
    if ((session->pauses & SESSION_PAUSE_LABELS) != 0)
        session->gateway->counters.stalled_now--;
    session->pauses = 0;
}

static void list_add(struct session *session)
{
    struct gateway *gateway = session->gateway;

    session->next = gateway->sessions;
    if (session->next != NULL)
        session->next->previous = session;
    gateway->sessions = session;
}

static void list_remove(struct session *session)
{
    if (session->next != NULL)
        session->next->previous = session->previous;
    if (session->previous != NULL)
        session->previous->next = session->next;
    else
        session->gateway->sessions = session->next;
}

static void session_end(struct session *session)
{
    struct gateway *gateway = session->gateway;

    if (session->state == STATE_ENDED)
        return;
    if (session->state == STATE_LEAKED)
        gateway->counters.websockets_leaked--;
    session->state = STATE_ENDED;
    lws_sul_cancel(&session->timer);
    close_transport(session);
    count_unpaused(session);
    drop_connection(session);
    gateway->counters.websockets_open--;
    list_remove(session);
    session->next = gateway->ended;
    gateway->ended = session;
}

static void session_free(struct session *session)
{
    if (session->leaked_fd >= 0)
        close(session->leaked_fd);
    wire_reader_fini(&session->reader);
    byte_queue_fini(&session->input);
    byte_queue_fini(&session->output);
    free(session);
}

void session_sweep(struct gateway *gateway)
{
    while (gateway->ended != NULL) {
        struct session *session = gateway->ended;
        gateway->ended = session->next;
        session_free(session);
    }
}

void session_end_all(struct gateway *gateway)
{
    while (gateway->sessions != NULL)
        session_end(gateway->sessions);
    session_sweep(gateway);
}

void session_abort(struct session *session)
{
    session_end(session);
}

/* The client has gone and the gateway, which does not read, has not noticed: its sockets stay. */
static void leak(struct session *session)
{
    session->state = STATE_LEAKED;
    session->gateway->counters.websockets_leaked++;
    session->leaked_fd = fcntl(session->socket.fd, F_DUPFD_CLOEXEC, 0);
    drop_connection(session);
}

static void client_left(struct session *session)
{
    const unsigned deaf = SESSION_PAUSE_LABELS | SESSION_PAUSE_FAULT;

    if (session->state == STATE_OPEN && (session->pauses & deaf) != 0)
        leak(session);
    else if (session->state != STATE_LEAKED)
        session_end(session);
}

static void session_hangup(void *owner)
{
    struct session *session = owner;

    session->watch = NULL;
    client_left(session);
}

void session_connection_closed(struct session *session)
{
    session->wsi = NULL;
    session->socket.tls = NULL;
    client_left(session);
}

/* ---- time ---- */

static void start_timer(struct session *session, int64_t after_us);

static void session_timer(lws_sorted_usec_list_t *timer)
{
    struct session *session = lws_container_of(timer, struct session, timer);
    const int64_t idle_us = lws_now_usecs() - session->last_activity_us;

    if (idle_us < session->idle_timeout_us)
        start_timer(session, session->idle_timeout_us - idle_us);
    else if (session->state == STATE_OPEN)
        session_close(session, WIRE_STATUS_NORMAL);
    else
        session_end(session);
}

static void start_timer(struct session *session, int64_t after_us)
{
    lws_sul_schedule(session->gateway->context, 0, &session->timer, session_timer, after_us);
}

static void set_idle_timeout(struct session *session, int64_t timeout_us)
{
    session->idle_timeout_us = timeout_us;
    session_touch(session);
    start_timer(session, timeout_us);
}

/* ---- output ---- */

static uint8_t *add_frame(struct session *session, enum wire_opcode opcode, size_t size)
{
    const size_t header_size = wire_header_size(size);
    uint8_t *frame = byte_queue_reserve(&session->output, header_size + size);

    if (frame == NULL)
        return NULL;
    wire_header_write(frame, opcode, size);
    byte_queue_commit(&session->output, header_size + size);
    return frame + header_size;
}

uint8_t *session_frame(struct session *session, enum wire_opcode opcode, size_t size)
{
    if (session->state != STATE_OPEN && session->state != STATE_LEAKED)
        return NULL;
    session->gateway->counters.frames_sent++;
    session->gateway->counters.bytes_sent += size;
    return add_frame(session, opcode, size);
}

bool session_output_full(const struct session *session)
{
    return byte_queue_size(&session->output) >= OUTPUT_HIGH_WATER;
}

static void output_drained(struct session *session)
{
    if (session->state == STATE_CLOSING && byte_queue_size(&session->output) == 0) {
        session->state = STATE_FINISHED;
        client_socket_finish(&session->socket);
        set_idle_timeout(session, linger_us);
        return;
    }
    if (session->state != STATE_OPEN || byte_queue_size(&session->output) > OUTPUT_LOW_WATER)
        return;
    session_unpause(session, SESSION_PAUSE_OUTPUT);
    if (session->ops->output_room != NULL)
        session->ops->output_room(session->transport);
}

static enum io_result write_queued(struct session *session)
{
    while (byte_queue_size(&session->output) > 0) {
        size_t done = 0;
        const enum io_result result =
            client_socket_write(&session->socket, byte_queue_front(&session->output),
                                byte_queue_size(&session->output), &done);
        if (result != IO_DONE)
            return result;
        byte_queue_consume(&session->output, done);
        session_touch(session);
    }
    return IO_DONE;
}

void session_flush(struct session *session)
{
    if (session->state == STATE_LEAKED && byte_queue_size(&session->output) > 0) {
        session_end(session); /* a late reply revives the gateway, which finds the client gone */
        return;
    }
    if (session->state != STATE_OPEN && session->state != STATE_CLOSING)
        return;
    const enum io_result result = write_queued(session);
    if (result == IO_ENDED) {
        client_left(session);
        return;
    }
    if (result == IO_WOULD_BLOCK)
        watch_want_write(session->watch);
    output_drained(session);
}

void session_close(struct session *session, uint16_t status)
{
    if (session->state != STATE_OPEN)
        return;
    close_transport(session);
    count_unpaused(session);
    uint8_t *payload = add_frame(session, WIRE_CLOSE, CLOSE_STATUS_BYTES);
    if (payload == NULL) {
        session_end(session);
        return;
    }
    payload[0] = (uint8_t)(status >> 8);
    payload[1] = (uint8_t)status;
    session->state = STATE_CLOSING;
    set_idle_timeout(session, stuck_us);
    watch_resume(session->watch);
    session_flush(session);
}

/* ---- input ---- */

void session_pause(struct session *session, enum session_pause reason)
{
    if (session->state != STATE_OPEN)
        return;
    if (reason == SESSION_PAUSE_LABELS && (session->pauses & SESSION_PAUSE_LABELS) == 0) {
        session->gateway->counters.stalled_now++;
        session->gateway->counters.stalled_total++;
    }
    session->pauses |= reason;
    watch_pause(session->watch);
}

/* Reading goes on in the next `writable` event: what is already here has no event of its own. */
void session_unpause(struct session *session, enum session_pause reason)
{
    if ((session->pauses & reason) == 0)
        return;
    session->pauses &= ~(unsigned)reason;
    if (reason == SESSION_PAUSE_LABELS)
        session->gateway->counters.stalled_now--;
    if (session->pauses == 0 && session->watch != NULL) {
        watch_resume(session->watch);
        watch_want_write(session->watch);
    }
}

static void answer_close(struct session *session, const struct wire_event *event)
{
    uint16_t status = WIRE_STATUS_NORMAL;

    if (event->size >= CLOSE_STATUS_BYTES)
        status = (uint16_t)(event->data[0] << 8 | event->data[1]);
    if (event->size == 1 || status < WIRE_STATUS_NORMAL)
        status = WIRE_STATUS_PROTOCOL_ERROR;
    session_close(session, status);
}

static void answer_ping(struct session *session, const struct wire_event *event)
{
    uint8_t *payload = add_frame(session, WIRE_PONG, event->size);

    if (payload != NULL && event->size > 0)
        memcpy(payload, event->data, event->size);
}

static void take_control(struct session *session, const struct wire_event *event)
{
    if (event->opcode == WIRE_CLOSE) {
        answer_close(session, event);
        return;
    }
    session->gateway->counters.pings_received++;
    if (event->opcode == WIRE_PING)
        answer_ping(session, event);
    if (session->ops->control != NULL)
        session->ops->control(session->transport);
}

static void inject_faults(struct session *session)
{
    const struct gateway_config *config = session->gateway->config;

    if (config->stop_reading_after > 0 && session->frames >= config->stop_reading_after)
        session_pause(session, SESSION_PAUSE_FAULT);
    if (config->close_after == 0 || session->frames != config->close_after)
        return;
    if (config->close_code == STATUS_CUT)
        session_abort(session);
    else
        session_close(session, config->close_code);
}

static void take_message(struct session *session, const struct wire_event *event)
{
    struct counters *counters = &session->gateway->counters;

    session->frames++;
    counters->frames_received++;
    counters->bytes_received += event->size;
    session->ops->message(session->transport, event->opcode, event->data, event->size);
    if (session->state == STATE_OPEN)
        inject_faults(session);
}

static void take_breach(struct session *session, const struct wire_event *event)
{
    session->gateway->counters.protocol_breaches++;
    session_close(session, event->status);
}

static void take_event(struct session *session, const struct wire_event *event)
{
    switch (event->kind) {
    case WIRE_KIND_MESSAGE:
        take_message(session, event);
        break;
    case WIRE_KIND_CONTROL:
        take_control(session, event);
        break;
    case WIRE_KIND_BREACH:
        take_breach(session, event);
        break;
    case WIRE_KIND_MORE:
    case WIRE_KIND_NOTHING:
        break;
    }
}

static void bound_output(struct session *session)
{
    if (!session_output_full(session))
        return;
    session_flush(session);
    if (session->state == STATE_OPEN && session_output_full(session))
        session_pause(session, SESSION_PAUSE_OUTPUT);
}

/* Processes whole frames until they run out or something pauses the session. */
static void deliver_input(struct session *session)
{
    while (session->state == STATE_OPEN && session->pauses == 0 &&
           byte_queue_size(&session->input) > 0) {
        struct wire_event event;
        const size_t used = wire_read(&session->reader, byte_queue_front(&session->input),
                                      byte_queue_size(&session->input), &event);
        if (event.kind == WIRE_KIND_MORE) {
            session->input_needed = event.size;
            break;
        }
        take_event(session, &event);
        byte_queue_consume(&session->input, used);
        bound_output(session);
    }
}

static size_t room_wanted(const struct session *session)
{
    const size_t have = byte_queue_size(&session->input);

    if (session->input_needed > have + READ_BYTES)
        return session->input_needed - have;
    return READ_BYTES;
}

/* One read, and the frames that became whole by it. */
static enum io_result read_once(struct session *session)
{
    const size_t room = room_wanted(session);
    uint8_t *buffer = byte_queue_reserve(&session->input, room);
    size_t done = 0;

    if (buffer == NULL)
        return IO_ENDED;
    const enum io_result result = client_socket_read(&session->socket, buffer, room, &done);
    if (result != IO_DONE)
        return result;
    if (session->state != STATE_OPEN)
        return IO_DONE; /* closing: read only to reach the end of file */
    session_touch(session);
    byte_queue_commit(&session->input, done);
    session->input_needed = 0;
    deliver_input(session);
    return IO_DONE;
}

static bool wants_input(const struct session *session)
{
    if (session->state == STATE_OPEN)
        return session->pauses == 0;
    return session->state == STATE_CLOSING || session->state == STATE_FINISHED;
}

/* TLS may hold bytes that poll() does not know of: read until it has none, or come back later. */
static enum io_result read_turn(struct session *session)
{
    enum io_result result = IO_DONE;
    const int reads = session->socket.tls != NULL ? TLS_READS_A_TURN : 1;

    for (int i = 0; i < reads && result == IO_DONE && wants_input(session); i++)
        result = read_once(session);
    if (result == IO_DONE && reads > 1 && wants_input(session))
        watch_want_write(session->watch);
    return result;
}

static void session_readable(void *owner)
{
    struct session *session = owner;
    enum io_result result = IO_WOULD_BLOCK;

    if (wants_input(session))
        result = read_turn(session);
    if (session->transport != NULL && session->ops->batch_end != NULL)
        session->ops->batch_end(session->transport);
    if (result == IO_ENDED)
        client_left(session);
    else
        session_flush(session);
}

static void session_writable(void *owner)
{
    struct session *session = owner;

    session_flush(session);
    if (session->state != STATE_OPEN || session->pauses != 0)
        return;
    deliver_input(session);
    session_readable(session);
}

/* ---- beginning ---- */

static int take_over_socket(struct session *session, struct lws *wsi)
{
    const int fd = fcntl(lws_get_socket_fd(wsi), F_DUPFD_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    session->watch = watch_open(session->gateway->vhost, fd, &session_events, session);
    if (session->watch == NULL)
        return -1;
    session->socket.fd = fd;
    session->socket.tls = lws_get_ssl(wsi);
    if (session->socket.tls != NULL)
        SSL_set_mode(session->socket.tls,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    lws_rx_flow_control(wsi, 0);
    session->wsi = wsi;
    return 0;
}

struct session *session_new(struct gateway *gateway, struct lws *wsi,
                            const struct transport_ops *ops, const struct endpoint *remote)
{
    const int64_t idle_us = gateway->config->idle_timeout_us;
    struct session *session = calloc(1, sizeof(*session));

    if (session == NULL)
        return NULL;
    session->gateway = gateway;
    session->ops = ops;
    session->leaked_fd = -1;
    if (take_over_socket(session, wsi) != 0)
        goto fail_session;
    session->transport = ops->open(session, remote);
    if (session->transport == NULL)
        goto fail_watch;
    gateway->counters.websockets_opened++;
    gateway->counters.websockets_open++;
    list_add(session);
    set_idle_timeout(session, idle_us > 0 ? idle_us : ops->idle_timeout_us);
    return session;

fail_watch:
    watch_close(session->watch);
fail_session:
    session_free(session);
    return NULL;
}
