#include "otoroshictl/net/websocket.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "otoroshictl/codec/ws_frame.h"
#include "otoroshictl/net/resolver.h"
#include "otoroshictl/net/tls.h"

#include "http_answer.h"
#include "loop_internal.h"

enum {
    CLOSE_TIMEOUT_US = 1000 * 1000, /* for the gateway to answer a close frame */
    READS_PER_TURN = 8,             /* then others have their turn */
    SEND_START_BYTES = 4096,
    KEY_CHARACTERS = 24, /* 16 random bytes in base64 */
};

/* What the library is told to ask for. It builds a request of limited size from limited parts;
 * write_request_head() puts the real one in its place and keeps only its key. */
#define PLACEHOLDER_HOST "gateway"
#define PLACEHOLDER_PATH "/otoroshictl"
#define PLACEHOLDER_LINE "GET " PLACEHOLDER_PATH " HTTP/1.1\r\n"
enum { PLACEHOLDER_HEAD_MAX_BYTES = 1024 };

enum state {
    RESOLVING,
    CONNECTING, /* TCP, TLS, upgrade */
    OPEN,
    CLOSING,   /* our close frame has been sent or waits to be */
    LINGERING, /* the caller has been told; only the peer's end of the connection is awaited */
};

struct websocket_target {
    struct loop *loop;
    const struct tunnel_config *config;
    const struct gateway_host *host;
    const struct upgrade_request *request;
    SSL_CTX *tls;
    struct lws_vhost *vhost;
    struct websocket *first; /* all of its connections */
};

struct websocket {
    struct loop_owner owner;
    struct websocket_target *target;
    struct websocket *previous;
    struct websocket *next;
    const struct websocket_events *events;
    void *context;

    enum state state;
    bool ended; /* `end` waits to be told */
    struct connection_end end;
    struct loop_timer *timer;
    int64_t deadline_us; /* of connecting */

    struct resolver_query *query;
    struct resolver_result addresses;
    size_t next_address;

    struct lws *wsi;
    bool entering;  /* within lws_client_connect_via_info() */
    bool head_sent; /* TCP, and TLS if any, are up */

    /* Receiving. */
    struct loop_watch *stream; /* a duplicate of the socket; NULL where the library reads */
    int stream_fd;
    struct ws_parser *parser;
    uint8_t *rest; /* the unread begin of a frame, between reads */
    size_t rest_size;
    size_t rest_capacity;
    uint8_t *assembly; /* of a message that the library reads */
    size_t assembly_size;

    /* Sending: ready-made frames. */
    uint8_t *send;
    size_t send_size;
    size_t send_capacity;
    bool blocked; /* the kernel takes no more for now */
};

/* ---- ends ------------------------------------------------------------------------------------ */

static void set_timer(struct websocket *websocket, int64_t after_us)
{
    loop_timer_set(websocket->timer, loop_now_us() + after_us);
}

static void set_end(struct connection_end *end, enum connection_end_kind kind, uint16_t status,
                    const char *detail, size_t detail_size)
{
    *end = (struct connection_end){.kind = kind, .status = status};
    snprintf(end->detail, sizeof end->detail, "%.*s", (int)detail_size, detail);
}

/* The caller is told from the timer, never from within a call of its own. */
static void finish(struct websocket *websocket, enum connection_end_kind kind, uint16_t status,
                   const char *detail)
{
    if (websocket->ended || websocket->state == LINGERING)
        return;
    websocket->ended = true;
    set_end(&websocket->end, kind, status, detail, strlen(detail));
    set_timer(websocket, 0);
}

/* As finish(), with what was noted while connecting. */
static void finish_failed(struct websocket *websocket)
{
    if (websocket->ended || websocket->state == LINGERING)
        return;
    websocket->ended = true;
    set_timer(websocket, 0);
}

static void drop_connection(struct websocket *websocket)
{
    loop_watch_free(websocket->stream);
    websocket->stream = NULL;
    if (websocket->wsi != NULL)
        loop_release_wsi(websocket->wsi);
    websocket->wsi = NULL;
}

void websocket_free(struct websocket *websocket)
{
    if (websocket == NULL)
        return;
    drop_connection(websocket);
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
    free(websocket->assembly);
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
    if (websocket->state != OPEN || websocket->ended || websocket->blocked ||
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
    finish(websocket, END_LOST, 0, detail);
    drop_connection(websocket);
}

void websocket_flush(struct websocket *websocket)
{
    if (websocket->send_size == 0 || websocket->wsi == NULL)
        return;
    if (lws_partial_buffered(websocket->wsi)) {
        lws_callback_on_writable(websocket->wsi);
        return;
    }
    /* LWS_WRITE_HTTP on an upgraded connection: the bytes go out as they are, in one write. What
     * the kernel does not take, the library copies and sends when it can. */
    int sent = lws_write(websocket->wsi, websocket->send, websocket->send_size, LWS_WRITE_HTTP);
    websocket->send_size = 0;
    if (sent < 0) {
        lost(websocket, "the connection failed while sending");
        return;
    }
    if (lws_partial_buffered(websocket->wsi)) {
        websocket->blocked = true;
        lws_callback_on_writable(websocket->wsi);
    } else if (websocket->blocked) { /* there was no room in the send buffer; now there is */
        lws_callback_on_writable(websocket->wsi);
    }
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

static void send_close(struct websocket *websocket, uint16_t status)
{
    const uint8_t payload[2] = {(uint8_t)(status >> 8), (uint8_t)status};
    send_control(websocket, WS_CLOSE, payload, status == WS_STATUS_NONE ? 0 : sizeof payload);
}

void websocket_close(struct websocket *websocket)
{
    if (websocket->ended || websocket->state == CLOSING)
        return;
    if (websocket->state != OPEN) {
        finish(websocket, END_CLOSED_BY_US, 0, "");
        drop_connection(websocket);
        return;
    }
    websocket->state = CLOSING;
    set_timer(websocket, CLOSE_TIMEOUT_US);
    send_close(websocket, WS_STATUS_NORMAL);
}

static void on_writable(struct websocket *websocket)
{
    if (websocket->wsi == NULL || lws_partial_buffered(websocket->wsi))
        return;
    bool was_blocked = websocket->blocked;
    websocket->blocked = false;
    websocket_flush(websocket); /* control frames that came while it was blocked */
    if (was_blocked && !websocket->blocked && websocket->state == OPEN && !websocket->ended)
        websocket->events->writable(websocket->context);
}

/* ---- receiving ------------------------------------------------------------------------------- */

/* The caller is told at once that the connection is of no more use; what is left of it waits for
 * the peer's end, so that our close frame is not overtaken by a reset. */
static void linger(struct websocket *websocket, enum connection_end_kind kind, uint16_t status,
                   const char *detail, size_t detail_size)
{
    if (websocket->ended)
        return;
    websocket->ended = true;
    set_end(&websocket->end, kind, status, detail, detail_size);
    set_timer(websocket, 0);
}

static void take_close(struct websocket *websocket, const struct ws_event *event)
{
    if (websocket->state == CLOSING) {
        finish(websocket, END_CLOSED_BY_US, 0, "");
        return;
    }
    send_close(websocket, event->status);
    linger(websocket, END_CLOSED_BY_PEER, event->status, (const char *)event->data, event->size);
}

static void take_event(struct websocket *websocket, const struct ws_event *event)
{
    switch (event->kind) {
    case WS_EVENT_MESSAGE:
        websocket->events->message(websocket->context, event->opcode == WS_TEXT, event->data,
                                   event->size);
        break;
    case WS_EVENT_PING:
        if (websocket->state == OPEN)
            send_control(websocket, WS_PONG, event->data, event->size);
        break;
    case WS_EVENT_CLOSE:
        take_close(websocket, event);
        break;
    case WS_EVENT_BREACH:
        send_close(websocket, event->status);
        linger(websocket, END_PROTOCOL_BREACH, event->status, event->why, strlen(event->why));
        break;
    case WS_EVENT_PONG:
    case WS_EVENT_MORE:
        break;
    }
}

static void keep_rest(struct websocket *websocket, const uint8_t *data, size_t size)
{
    if (size > websocket->rest_capacity) {
        uint8_t *rest = realloc(websocket->rest, size);
        if (rest == NULL) {
            finish(websocket, END_INTERNAL, 0, "out of memory");
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
    while (!websocket->ended) {
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

/* Like recv(2): bytes read, 0 at the end of the stream, -1 with EAGAIN or an error. */
static ssize_t read_stream(struct websocket *websocket, uint8_t *out, size_t size)
{
    SSL *ssl = lws_get_ssl(websocket->wsi);
    if (ssl == NULL)
        return recv(websocket->stream_fd, out, size, MSG_DONTWAIT);
    size_t got;
    ERR_clear_error();
    if (SSL_read_ex(ssl, out, size, &got) == 1)
        return (ssize_t)got;
    switch (SSL_get_error(ssl, 0)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        if (errno != 0)
            return -1;
        return 0;
    default: /* among them a connection cut without close_notify */
        return 0;
    }
}

static void stream_ended(struct websocket *websocket, ssize_t got)
{
    if (websocket->state == LINGERING) {
        websocket_free(websocket);
        return;
    }
    if (websocket->state == CLOSING)
        finish(websocket, END_CLOSED_BY_US, 0, "");
    lost(websocket,
         got < 0 ? strerror(errno) : "the TCP connection ended without a WebSocket close frame");
}

/* Reads and throws away, so that the peer's end is seen. */
static void read_lingering(struct websocket *websocket)
{
    uint8_t *scratch = loop_scratch(websocket->target->loop);
    ssize_t got = read_stream(websocket, scratch, LOOP_SCRATCH_BYTES);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        websocket_free(websocket);
}

static void stream_readable(void *context)
{
    struct websocket *websocket = context;
    uint8_t *scratch = loop_scratch(websocket->target->loop);

    if (websocket->state == LINGERING) {
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
    /* Bytes that OpenSSL holds do not make the socket readable. */
    if (!websocket->ended && lws_get_ssl(websocket->wsi) != NULL &&
        SSL_pending(lws_get_ssl(websocket->wsi)) > 0)
        set_timer(websocket, 0);
}

static void stream_gone(void *context)
{
    struct websocket *websocket = context;
    websocket->stream = NULL;
    if (websocket->state == LINGERING)
        websocket_free(websocket);
    else
        lost(websocket, "the TCP connection was reset");
}

/* The library's way, for a connection whose first bytes it already had. */
static void take_from_library(struct websocket *websocket, const uint8_t *data, size_t size)
{
    if (websocket->ended)
        return;
    if (lws_is_first_fragment(websocket->wsi))
        websocket->assembly_size = 0;
    if (websocket->assembly_size + size > WEBSOCKET_MESSAGE_MAX) {
        send_close(websocket, WS_STATUS_TOO_BIG);
        linger(websocket, END_PROTOCOL_BREACH, WS_STATUS_TOO_BIG, "message above the limit", 23);
        return;
    }
    memcpy(websocket->assembly + websocket->assembly_size, data, size);
    websocket->assembly_size += size;
    if (lws_remaining_packet_payload(websocket->wsi) == 0 && lws_is_final_fragment(websocket->wsi))
        websocket->events->message(websocket->context, !lws_frame_is_binary(websocket->wsi),
                                   websocket->assembly, websocket->assembly_size);
}

static void library_close(struct websocket *websocket, const uint8_t *payload, size_t size)
{
    uint16_t status = size >= 2 ? (uint16_t)(payload[0] << 8 | payload[1]) : WS_STATUS_NONE;
    if (websocket->state == CLOSING)
        finish(websocket, END_CLOSED_BY_US, 0, "");
    else
        linger(websocket, END_CLOSED_BY_PEER, status,
               size > 2 ? (const char *)payload + 2 : "", size > 2 ? size - 2 : 0);
}

/* ---- the upgrade ----------------------------------------------------------------------------- */

/* Replaces what the library has written up to *end by the real request head. */
static int write_request_head(struct websocket *websocket, char **end, size_t room)
{
    static const char line[] = PLACEHOLDER_LINE;
    static const char key_header[] = "Sec-WebSocket-Key: ";
    char key[KEY_CHARACTERS + 1];
    const size_t line_size = sizeof line - 1;
    char *start = *end - line_size;

    while (memcmp(start, line, line_size) != 0) {
        if (*end - start >= PLACEHOLDER_HEAD_MAX_BYTES)
            return -1;
        start--;
    }
    const char *found = memmem(start, (size_t)(*end - start), key_header, sizeof key_header - 1);
    if (found == NULL)
        return -1;
    memcpy(key, found + sizeof key_header - 1, KEY_CHARACTERS);
    key[KEY_CHARACTERS] = '\0';

    size_t size = upgrade_write(start, (size_t)(*end - start) + room, websocket->target->request,
                                key);
    if (size < 2)
        return -1;
    *end = start + size - 2; /* the library adds the empty line */
    return 0;
}

static void set_keepalive(int fd, int64_t keepalive_us)
{
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (keepalive_us == 0)
        return;
    /* Probes begin after the interval and go on for less than another. */
    int idle_s = (int)(keepalive_us / 1000000) > 0 ? (int)(keepalive_us / 1000000) : 1;
    int interval_s = idle_s / 5 > 0 ? idle_s / 5 : 1;
    int count = 4;
    unsigned timeout_ms = (unsigned)(keepalive_us / 1000 / 10 * 18);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
}

/* True where bytes behind the 101 answer are already in the library's hands. While any are, it
 * would not let an external event loop sleep; asking for that is the one public way to know. */
static bool library_holds_bytes(struct websocket *websocket)
{
    return lws_service_adjust_timeout(loop_lws_context(websocket->target->loop), 1, 0) == 0;
}

/* From here on received bytes are read by stream_readable(). */
static int take_over_reading(struct websocket *websocket)
{
    static const struct loop_watch_events events = {.readable = stream_readable,
                                                    .gone = stream_gone};
    int fd = dup(lws_get_socket_fd(websocket->wsi));
    if (fd < 0)
        return -1;
    websocket->stream_fd = fd;
    websocket->stream = loop_watch_new(websocket->target->loop, fd, &events, websocket);
    if (websocket->stream == NULL)
        return -1;
    lws_rx_flow_control(websocket->wsi, 0);
    return 0;
}

static int established(struct websocket *websocket)
{
    set_keepalive(lws_get_socket_fd(websocket->wsi), websocket->target->config->keepalive_us);
    if (library_holds_bytes(websocket)) {
        websocket->assembly = malloc(WEBSOCKET_MESSAGE_MAX);
        if (websocket->assembly == NULL)
            return -1;
    } else if (take_over_reading(websocket) != 0) {
        return -1;
    }
    websocket->state = OPEN;
    loop_timer_set(websocket->timer, INT64_MAX);
    websocket->events->open(websocket->context);
    return 0;
}

/* ---- connecting ------------------------------------------------------------------------------ */

/* Which step is under way, for the message. */
static const char *current_step(const struct websocket *websocket)
{
    if (websocket->state == RESOLVING)
        return "the name lookup";
    if (websocket->head_sent)
        return "the WebSocket upgrade";
    if (websocket->wsi != NULL && lws_get_ssl(websocket->wsi) != NULL)
        return "the TLS handshake";
    return "the TCP connection";
}

static void try_next_address(struct websocket *websocket);

/* One address has failed, with the reason in websocket->end. */
static void address_failed(struct websocket *websocket)
{
    bool more = websocket->next_address < websocket->addresses.count;
    if (websocket->end.kind == END_TCP && more)
        set_timer(websocket, 0);
    else
        finish_failed(websocket);
}

/* The library has used up the error number; a UDP connect(2), which sends nothing, still tells
 * whether there is a route at all. Where there is one, what failed early was refused. */
static const char *tcp_failure(const struct websocket *websocket)
{
    const char *address = websocket->addresses.addresses[websocket->next_address - 1];
    const char *reason = "connection refused; is the gateway running there?";
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
                             .ai_socktype = SOCK_DGRAM};
    struct addrinfo *list;
    if (getaddrinfo(address, "9", &hints, &list) != 0)
        return reason;
    int fd = socket(list->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, list->ai_addr, list->ai_addrlen) != 0)
        reason = strerror(errno);
    if (fd >= 0)
        close(fd);
    freeaddrinfo(list);
    return reason;
}

static void note_http_failure(struct websocket *websocket, struct lws *wsi, const char *text)
{
    struct http_answer answer;
    http_answer_read(&answer, wsi);
    if (answer.status == 0 || answer.status == 101) {
        if (strncmp(text, "HS: ", 4) == 0)
            text += 4;
        set_end(&websocket->end, END_UPGRADE, 0, text, strlen(text));
        return;
    }
    set_end(&websocket->end, END_HTTP_STATUS, answer.status, answer.location,
            strlen(answer.location));
    websocket->end.retry_after_us = answer.retry_after_us;
}

static void note_failure(struct websocket *websocket, struct lws *wsi, const char *text,
                         size_t size)
{
    char detail[sizeof websocket->end.detail];
    if (websocket->head_sent) {
        snprintf(detail, sizeof detail, "%.*s", (int)size, text);
        note_http_failure(websocket, wsi, detail);
        return;
    }
    if (lws_get_ssl(wsi) != NULL) {
        const struct websocket_target *target = websocket->target;
        tls_describe_failure(lws_get_ssl(wsi), tls_expected_name(target->config, target->host),
                             detail, sizeof detail);
        set_end(&websocket->end, END_TLS, 0, detail, sizeof detail);
        return;
    }
    const char *reason = tcp_failure(websocket);
    set_end(&websocket->end, END_TCP, 0, reason, strlen(reason));
}

/* The library's handle is gone: the one event that always comes. */
static void wsi_destroyed(struct websocket *websocket)
{
    websocket->wsi = NULL;
    if (websocket->state == CONNECTING) {
        if (websocket->end.detail[0] == '\0' && websocket->end.status == 0) {
            const char *reason = "the connection ended before the answer was complete";
            set_end(&websocket->end, END_UPGRADE, 0, reason, strlen(reason));
        }
        if (!websocket->entering && !websocket->ended)
            address_failed(websocket);
        return;
    }
    if (websocket->state == LINGERING) {
        if (websocket->stream == NULL)
            set_timer(websocket, 0);
        return;
    }
    if (websocket->state == CLOSING)
        finish(websocket, END_CLOSED_BY_US, 0, "");
    lost(websocket, "the TCP connection ended without a WebSocket close frame");
}

/* The library noticed a hang-up. What had arrived before it is still read. */
static void library_closed(struct websocket *websocket)
{
    if (websocket->stream != NULL && !websocket->ended &&
        (websocket->state == OPEN || websocket->state == CLOSING))
        stream_readable(websocket);
}

/* The library's own callback decides where verification failed; it may only be overruled by
 * --tls-insecure. */
static int verify(const struct websocket *websocket, X509_STORE_CTX *store, bool verified)
{
    if (verified)
        return 0;
    if (!websocket->target->config->tls_insecure)
        return 1;
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 0;
}

static int library_callback(struct loop_owner *owner, struct lws *wsi,
                            enum lws_callback_reasons reason, void *user, void *in, size_t size)
{
    struct websocket *websocket = (struct websocket *)owner;
    switch ((int)reason) {
    case LWS_CALLBACK_OPENSSL_PERFORM_SERVER_CERT_VERIFICATION:
        return verify(websocket, user, size != 0);
    case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
        websocket->head_sent = true;
        return write_request_head(websocket, in, size);
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        note_failure(websocket, wsi, in != NULL ? in : "", in != NULL ? size : 0);
        return 0;
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        return established(websocket);
    case LWS_CALLBACK_CLIENT_RECEIVE:
        take_from_library(websocket, in, size);
        return 0;
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        library_close(websocket, in, size);
        return 0;
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        on_writable(websocket);
        return 0;
    case LWS_CALLBACK_CLIENT_CLOSED:
        library_closed(websocket);
        return 0;
    case LWS_CALLBACK_WSI_DESTROY:
        if (wsi == websocket->wsi || websocket->wsi == NULL)
            wsi_destroyed(websocket);
        return 0;
    default:
        return 0;
    }
}

static void connect_to(struct websocket *websocket, const char *address)
{
    const struct websocket_target *target = websocket->target;
    struct lws_client_connect_info info = {
        .context = loop_lws_context(target->loop),
        .vhost = target->vhost,
        .address = address,
        .port = target->host->port,
        .path = PLACEHOLDER_PATH,
        .host = PLACEHOLDER_HOST,
        .protocol = NULL,
        .local_protocol_name = loop_lws_protocols()[0].name,
        .alpn = "http/1.1",
        .opaque_user_data = &websocket->owner,
        .pwsi = &websocket->wsi,
        /* The name is verified by what tls_context_new() has set, not by the library. */
        .ssl_connection = LCCSCF_HTTP_NO_FOLLOW_REDIRECT |
                          (target->tls != NULL
                               ? LCCSCF_USE_SSL | LCCSCF_SKIP_SERVER_CERT_HOSTNAME_CHECK
                               : 0),
    };
    websocket->head_sent = false;
    set_end(&websocket->end, END_TCP, 0, "", 0);
    websocket->entering = true;
    struct lws *wsi = lws_client_connect_via_info(&info);
    websocket->entering = false;
    if (wsi == NULL) {
        websocket->wsi = NULL;
        if (websocket->end.detail[0] == '\0') {
            const char *reason = tcp_failure(websocket);
            set_end(&websocket->end, END_TCP, 0, reason, strlen(reason));
        }
        address_failed(websocket);
    }
}

/* Each address but the last gets its part of the time that is left. */
static void try_next_address(struct websocket *websocket)
{
    size_t left = websocket->addresses.count - websocket->next_address;
    int64_t share_us = (websocket->deadline_us - loop_now_us()) / (int64_t)left;
    set_timer(websocket, share_us);
    connect_to(websocket, websocket->addresses.addresses[websocket->next_address++]);
}

static void resolved(void *context, const struct resolver_result *result)
{
    struct websocket *websocket = context;
    websocket->query = NULL;
    if (result->count == 0) {
        finish(websocket, END_NAME_LOOKUP, 0, result->error);
        return;
    }
    websocket->addresses = *result;
    websocket->state = CONNECTING;
    try_next_address(websocket);
}

static void connect_timer(struct websocket *websocket)
{
    bool more = websocket->next_address < websocket->addresses.count;
    if (more && loop_now_us() < websocket->deadline_us) {
        drop_connection(websocket);
        try_next_address(websocket);
        return;
    }
    finish(websocket, END_TIMEOUT, 0, current_step(websocket));
}

static void tell_end(struct websocket *websocket)
{
    enum connection_end_kind kind = websocket->end.kind;
    bool lingers = websocket->stream != NULL && websocket->wsi != NULL &&
                   (kind == END_CLOSED_BY_PEER || kind == END_PROTOCOL_BREACH);
    const struct websocket_events *events = websocket->events;
    void *context = websocket->context;
    struct connection_end end = websocket->end;

    if (lingers) {
        websocket->state = LINGERING;
        websocket->ended = false;
        set_timer(websocket, CLOSE_TIMEOUT_US);
    } else {
        websocket_free(websocket);
    }
    events->closed(context, &end);
}

static void timer_fired(void *context)
{
    struct websocket *websocket = context;
    if (websocket->ended)
        tell_end(websocket);
    else if (websocket->state == LINGERING)
        websocket_free(websocket);
    else if (websocket->state == CLOSING)
        finish(websocket, END_CLOSED_BY_US, 0, "");
    else if (websocket->state == OPEN)
        stream_readable(websocket);
    else
        connect_timer(websocket);
}

struct websocket *websocket_open(struct websocket_target *target,
                                 const struct websocket_events *events, void *context)
{
    struct websocket *websocket = calloc(1, sizeof *websocket);
    if (websocket == NULL)
        return NULL;
    websocket->owner.callback = library_callback;
    websocket->target = target;
    websocket->events = events;
    websocket->context = context;
    websocket->state = RESOLVING;
    websocket->next = target->first;
    if (target->first != NULL)
        target->first->previous = websocket;
    target->first = websocket;

    websocket->deadline_us = loop_now_us() + target->config->connect_timeout_us;
    websocket->timer = loop_timer_new(target->loop, timer_fired, websocket);
    websocket->parser = ws_parser_new(WEBSOCKET_MESSAGE_MAX);
    websocket->query = resolver_start(target->loop, target->host->name, resolved, websocket);
    if (websocket->timer == NULL || websocket->parser == NULL || websocket->query == NULL) {
        websocket_free(websocket);
        return NULL;
    }
    loop_timer_set(websocket->timer, websocket->deadline_us);
    return websocket;
}

/* ---- targets --------------------------------------------------------------------------------- */

static int prepare_tls(struct websocket_target *target, char *error, size_t error_size)
{
    if (!target->config->tls)
        return 0;
    target->tls = tls_context_new(target->config, target->host, error, error_size);
    return target->tls == NULL ? -1 : 0;
}

struct websocket_target *websocket_target_new(struct loop *loop, const struct tunnel_config *config,
                                              const struct gateway_host *host,
                                              const struct upgrade_request *request, char *error,
                                              size_t error_size)
{
    struct websocket_target *target = calloc(1, sizeof *target);
    if (target == NULL) {
        snprintf(error, error_size, "out of memory");
        return NULL;
    }
    target->loop = loop;
    target->config = config;
    target->host = host;
    target->request = request;
    if (prepare_tls(target, error, error_size) != 0)
        goto fail_target;

    struct lws_context_creation_info info = {.port = CONTEXT_PORT_NO_LISTEN,
                                             .protocols = loop_lws_protocols(),
                                             .vhost_name = host->text,
                                             .provided_client_ssl_ctx = target->tls,
                                             .timeout_secs = 24 * 3600,
                                             .connect_timeout_secs = 24 * 3600};
    target->vhost = lws_create_vhost(loop_lws_context(loop), &info);
    if (target->vhost == NULL) {
        snprintf(error, error_size, "cannot set up a connection to %s", host->text);
        goto fail_tls;
    }
    return target;

fail_tls:
    SSL_CTX_free(target->tls);
fail_target:
    free(target);
    return NULL;
}

void websocket_target_free(struct websocket_target *target)
{
    if (target == NULL)
        return;
    while (target->first != NULL)
        websocket_free(target->first);
    /* The vhost goes with the loop, and uses the context until then: the library took no
     * reference, so ours is given up only after it. */
    lws_vhost_destroy(target->vhost);
    SSL_CTX_free(target->tls);
    free(target);
}
