#include "otoroshictl/net/websocket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "stream.h"
#include "websocket_internal.h"

enum {
    CLOSE_TIMEOUT_US = 1000 * 1000, /* for the gateway to answer a close frame */
    READS_PER_TURN = 8,             /* then others have their turn */
    SEND_START_BYTES = 4096,
};

static const char no_close_frame[] = "the TCP connection ended without a WebSocket close frame";

/* ---- ends ------------------------------------------------------------------------------------ */

void websocket_set_timer(struct websocket *websocket, int64_t after_us)
{
    if (!websocket->ended) /* else it is set to tell so, and nothing may put that off */
        loop_timer_set(websocket->timer, loop_now_us() + after_us);
}

static void hide(char *text, const char *secret)
{
    enum { SHORTEST = 4 }; /* below it words would be torn, and nothing is protected */
    static const char mark[] = "***";
    size_t size = secret == NULL ? 0 : strlen(secret);
    char *found;
    if (size < SHORTEST)
        return;
    while ((found = strstr(text, secret)) != NULL) {
        memcpy(found, mark, sizeof mark - 1);
        memmove(found + sizeof mark - 1, found + size, strlen(found + size) + 1);
    }
}

/* What the peer says may repeat what it was sent. */
static void hide_credentials(const struct upgrade_request *request, char *text)
{
    if (request->credential != UPGRADE_BASIC)
        hide(text, request->first);
    hide(text, request->second);
}

void websocket_set_end(struct websocket *websocket, enum connection_end_kind kind, uint16_t status,
                       const char *detail, size_t detail_size)
{
    struct connection_end *end = &websocket->end;
    if (websocket->ended) /* the first reason stands */
        return;
    *end = (struct connection_end){.kind = kind, .status = status};
    snprintf(end->detail, sizeof end->detail, "%.*s", (int)detail_size, detail);
    hide_credentials(websocket->target->request, end->detail);
}

void websocket_finish_noted(struct websocket *websocket)
{
    if (websocket->ended || websocket->state == WEBSOCKET_LINGERING)
        return;
    resolver_cancel(websocket->query);
    websocket->query = NULL;
    websocket_set_timer(websocket, 0);
    websocket->ended = true;
}

void websocket_finish(struct websocket *websocket, enum connection_end_kind kind, uint16_t status,
                      const char *detail)
{
    if (websocket->ended || websocket->state == WEBSOCKET_LINGERING)
        return;
    websocket_set_end(websocket, kind, status, detail, strlen(detail));
    websocket_finish_noted(websocket);
}

void websocket_drop_connection(struct websocket *websocket)
{
    /* The library closes its descriptors in a later turn; the peer sees the end now, before it may
     * see another connection in place of this one. */
    if (websocket->stream != NULL)
        shutdown(websocket->stream_fd, SHUT_RDWR);
    loop_watch_free(websocket->stream);
    websocket->stream = NULL;
    if (websocket->wsi != NULL && websocket->library_closing)
        lws_set_opaque_user_data(websocket->wsi, NULL);
    else if (websocket->wsi != NULL)
        loop_release_wsi(websocket->wsi);
    websocket->wsi = NULL;
}

void websocket_free(struct websocket *websocket)
{
    if (websocket == NULL)
        return;
    websocket_drop_connection(websocket);
    resolver_cancel(websocket->query);
    loop_timer_free(websocket->timer);
    ws_parser_free(websocket->parser);
    if (websocket->previous != NULL)
        websocket->previous->next = websocket->next;
    else
        websocket->target->first = websocket->next;
    if (websocket->next != NULL)
        websocket->next->previous = websocket->previous;
    free(websocket->rest);
    free(websocket->send);
    free(websocket);
}

/* ---- sending --------------------------------------------------------------------------------- */

static bool send_room(struct websocket *websocket, size_t size)
{
    size_t needed = websocket->send_size + size;
    if (needed > WEBSOCKET_SEND_MAX)
        return false;
    size_t capacity = websocket->send_capacity == 0 ? SEND_START_BYTES : websocket->send_capacity;
    while (capacity < needed)
        capacity *= 2;
    if (capacity == websocket->send_capacity)
        return true;
    uint8_t *send = realloc(websocket->send, capacity);
    if (send == NULL)
        return false;
    websocket->send = send;
    websocket->send_capacity = capacity;
    return true;
}

uint8_t *websocket_reserve(struct websocket *websocket, size_t size)
{
    size_t header_size = ws_header_size(size);
    if (websocket->state != WEBSOCKET_OPEN || websocket->ended || websocket->blocked ||
        !send_room(websocket, header_size + size)) {
        websocket->blocked = websocket->blocked || websocket->send_size > 0;
        return NULL;
    }
    return websocket->send + websocket->send_size + header_size;
}

static void commit_frame(struct websocket *websocket, enum ws_opcode opcode, size_t size)
{
    uint8_t mask[4];
    uint8_t *frame = websocket->send + websocket->send_size;
    loop_random(websocket->target->loop, mask, sizeof mask);
    size_t header_size = ws_header_write(frame, opcode, size, mask);
    ws_mask(frame + header_size, size, mask);
    websocket->send_size += header_size + size;
}

void websocket_commit(struct websocket *websocket, size_t size)
{
    commit_frame(websocket, WS_BINARY, size);
}

static void lost(struct websocket *websocket, const char *detail)
{
    websocket_finish(websocket, END_LOST, 0, detail);
    websocket_drop_connection(websocket);
}

bool websocket_flush(struct websocket *websocket)
{
    size_t done = 0;
    while (done < websocket->send_size && websocket->wsi != NULL) {
        ssize_t sent = stream_write(websocket->stream_fd, lws_get_ssl(websocket->wsi),
                                    websocket->send + done, websocket->send_size - done);
        if (sent < 0 && errno == EAGAIN)
            break;
        if (sent < 0) {
            lost(websocket, strerror(errno));
            return true; /* nothing of it will ever go */
        }
        done += (size_t)sent;
    }
    websocket->send_size -= done;
    if (websocket->send_size > 0) {
        memmove(websocket->send, websocket->send + done, websocket->send_size);
        websocket->blocked = true;
    }
    if (websocket->blocked && websocket->stream != NULL)
        loop_watch_want_write(websocket->stream);
    return websocket->send_size == 0;
}

static void send_control(struct websocket *websocket, enum ws_opcode opcode, const uint8_t *data,
                         size_t size)
{
    size_t header_size = ws_header_size(size);
    if (!send_room(websocket, header_size + size))
        return;
    if (size > 0)
        memcpy(websocket->send + websocket->send_size + header_size, data, size);
    commit_frame(websocket, opcode, size);
    websocket_flush(websocket);
}

void websocket_ping(struct websocket *websocket)
{
    if (websocket->state == WEBSOCKET_OPEN && !websocket->ended)
        send_control(websocket, WS_PING, NULL, 0);
}

static void send_close(struct websocket *websocket, uint16_t status)
{
    const uint8_t payload[2] = {(uint8_t)(status >> 8), (uint8_t)status};
    send_control(websocket, WS_CLOSE, payload, status == WS_STATUS_NONE ? 0 : sizeof payload);
}

void websocket_close(struct websocket *websocket)
{
    if (websocket->ended || websocket->state == WEBSOCKET_CLOSING)
        return;
    if (websocket->state != WEBSOCKET_OPEN) {
        websocket_finish(websocket, END_CLOSED_BY_US, 0, "");
        websocket_drop_connection(websocket);
        return;
    }
    websocket->state = WEBSOCKET_CLOSING;
    websocket_set_timer(websocket, CLOSE_TIMEOUT_US);
    send_close(websocket, WS_STATUS_NORMAL);
}

/* From when it has sent the request the library watches for room, and as it may not read it does
 * nothing about it but wake up again and again. It is shown this one event by hand, with reading
 * allowed meanwhile; nothing is polled in between, so it reads nothing. */
static void let_library_sleep(struct websocket *websocket)
{
    struct lws_pollfd room = {
        .fd = lws_get_socket_fd(websocket->wsi), .events = LWS_POLLOUT, .revents = LWS_POLLOUT};
    websocket->library_awake = false;
    lws_rx_flow_control(websocket->wsi, 1);
    lws_service_fd(loop_lws_context(websocket->target->loop), &room);
    if (websocket->wsi != NULL)
        lws_rx_flow_control(websocket->wsi, 0);
}

static void stream_writable(void *context)
{
    struct websocket *websocket = context;
    if (websocket->library_awake && websocket->wsi != NULL)
        let_library_sleep(websocket);
    websocket->blocked = false;
    websocket_flush(websocket);
    if (!websocket->blocked && websocket->state == WEBSOCKET_OPEN && !websocket->ended)
        websocket->events->writable(websocket->context);
}

/* ---- receiving ------------------------------------------------------------------------------- */

static void take_close(struct websocket *websocket, const struct ws_event *event)
{
    if (websocket->state == WEBSOCKET_CLOSING) {
        websocket_finish(websocket, END_CLOSED_BY_US, 0, "");
        return;
    }
    send_close(websocket, event->status);
    websocket_set_end(websocket, END_CLOSED_BY_PEER, event->status, (const char *)event->data,
                      event->size);
    websocket_finish_noted(websocket);
}

static void take_event(struct websocket *websocket, const struct ws_event *event)
{
    switch (event->kind) {
    case WS_EVENT_MESSAGE:
        websocket->events->message(websocket->context, event->opcode == WS_TEXT, event->data,
                                   event->size);
        break;
    case WS_EVENT_PING:
        if (websocket->state == WEBSOCKET_OPEN)
            send_control(websocket, WS_PONG, event->data, event->size);
        break;
    case WS_EVENT_CLOSE:
        take_close(websocket, event);
        break;
    case WS_EVENT_BREACH:
        send_close(websocket, event->status);
        websocket_finish(websocket, END_PROTOCOL_BREACH, event->status, event->why);
        break;
    case WS_EVENT_PONG:
        websocket->events->pong(websocket->context);
        break;
    case WS_EVENT_MORE:
        break;
    }
}

static void keep_rest(struct websocket *websocket, const uint8_t *data, size_t size)
{
    if (size > websocket->rest_capacity) {
        uint8_t *rest = realloc(websocket->rest, size);
        if (rest == NULL) {
            websocket_finish(websocket, END_INTERNAL, 0, "out of memory");
            return;
        }
        websocket->rest = rest;
        websocket->rest_capacity = size;
    }
    if (size > 0)
        memcpy(websocket->rest, data, size);
    websocket->rest_size = size;
}

static void consume(struct websocket *websocket, const uint8_t *data, size_t size)
{
    while (websocket->state == WEBSOCKET_UPGRADING && !websocket->ended) {
        size_t used = websocket->take_answer(websocket, data, size);
        data += used;
        size -= used;
        if (used == 0)
            break;
    }
    while (websocket->state != WEBSOCKET_UPGRADING && !websocket->ended) {
        struct ws_event event;
        size_t used = ws_parser_next(websocket->parser, data, size, &event);
        data += used;
        size -= used;
        if (event.kind == WS_EVENT_MORE)
            break;
        take_event(websocket, &event);
    }
    keep_rest(websocket, data, websocket->ended ? 0 : size);
}

static ssize_t read_stream(struct websocket *websocket, uint8_t *out, size_t size)
{
    if (websocket->wsi == NULL) /* the library has seen the end before us */
        return 0;
    return stream_read(websocket->stream_fd, lws_get_ssl(websocket->wsi), out, size);
}

static void stream_ended(struct websocket *websocket, ssize_t got)
{
    if (websocket->state == WEBSOCKET_UPGRADING)
        websocket->answer_missing(websocket);
    if (websocket->state == WEBSOCKET_CLOSING)
        websocket_finish(websocket, END_CLOSED_BY_US, 0, "");
    lost(websocket, got < 0 ? strerror(errno) : no_close_frame);
}

/* Reads and throws away, so that the peer's end is seen. */
static void read_lingering(struct websocket *websocket)
{
    uint8_t *scratch = loop_scratch(websocket->target->loop);
    ssize_t got = read_stream(websocket, scratch, LOOP_SCRATCH_BYTES);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        websocket_free(websocket);
}

void websocket_stream_readable(void *context)
{
    struct websocket *websocket = context;
    uint8_t *scratch = loop_scratch(websocket->target->loop);

    if (websocket->state == WEBSOCKET_LINGERING) {
        read_lingering(websocket);
        return;
    }
    for (int i = 0; i < READS_PER_TURN && !websocket->ended; i++) {
        size_t rest = websocket->rest_size;
        ssize_t got = read_stream(websocket, scratch + rest, LOOP_SCRATCH_BYTES - rest);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (got <= 0) {
            stream_ended(websocket, got);
            return;
        }
        if (rest > 0)
            memcpy(scratch, websocket->rest, rest);
        consume(websocket, scratch, rest + (size_t)got);
        if (websocket->wsi == NULL)
            return;
        /* A short read has emptied the socket, unless TLS holds back a record. */
        if ((size_t)got < LOOP_SCRATCH_BYTES - rest && lws_get_ssl(websocket->wsi) == NULL)
            return;
    }
}

static void stream_gone(void *context)
{
    struct websocket *websocket = context;
    websocket->stream = NULL;
    if (websocket->state == WEBSOCKET_LINGERING)
        websocket_free(websocket);
    else
        stream_ended(websocket, 0);
}

const struct loop_watch_events websocket_stream_events = {
    .readable = websocket_stream_readable, .writable = stream_writable, .gone = stream_gone};

void websocket_connection_gone(struct websocket *websocket)
{
    if (websocket->state == WEBSOCKET_LINGERING) {
        websocket_set_timer(websocket, 0);
        return;
    }
    stream_ended(websocket, 0);
}

void websocket_tell_end(struct websocket *websocket)
{
    enum connection_end_kind kind = websocket->end.kind;
    bool lingers = websocket->stream != NULL && websocket->wsi != NULL &&
                   (kind == END_CLOSED_BY_PEER || kind == END_PROTOCOL_BREACH);
    const struct websocket_events *events = websocket->events;
    void *context = websocket->context;
    struct connection_end end = websocket->end;

    if (lingers) {
        websocket->state = WEBSOCKET_LINGERING;
        websocket->ended = false;
        websocket_set_timer(websocket, CLOSE_TIMEOUT_US);
    } else {
        websocket_free(websocket);
    }
    events->closed(context, &end);
}
