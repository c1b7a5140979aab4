#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "otoroshictl/codec/base64.h"
#include "otoroshictl/codec/http_response.h"

#include "websocket_internal.h"

/* What the library is told to ask for: it builds a request of limited size from limited parts.
 * write_request_head() puts the real one in its place. */
#define PLACEHOLDER_HOST "gateway"
#define PLACEHOLDER_PATH "/otoroshictl"
#define PLACEHOLDER_LINE "GET " PLACEHOLDER_PATH " HTTP/1.1\r\n"
enum { PLACEHOLDER_HEAD_MAX_BYTES = 1024 };

static const char no_answer[] = "the connection ended before the answer was complete";
static const char no_resources[] = "out of memory or descriptors";

static void note_end(struct websocket *websocket, enum connection_end_kind kind, const char *detail)
{
    websocket_set_end(websocket, kind, 0, detail, strlen(detail));
}

static void note_tls_failure(struct websocket *websocket)
{
    char detail[sizeof websocket->end.detail];
    const struct websocket_target *target = websocket->target;
    tls_describe_failure(&websocket->handshake, tls_expected_name(target->config, target->host),
                         detail, sizeof detail);
    note_end(websocket, END_TLS, detail);
}

/* ---- the upgrade's answer -------------------------------------------------------------------- */

/* The Sec-WebSocket-Accept that belongs to the key (RFC 6455, section 4.2.2). */
static bool accept_fits(const struct websocket *websocket, const struct http_text *accept)
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char joined[WEBSOCKET_KEY_CHARACTERS + sizeof guid];
    uint8_t digest[EVP_MAX_MD_SIZE];
    char expected[2 * EVP_MAX_MD_SIZE];
    unsigned digest_size;

    int size = snprintf(joined, sizeof joined, "%s%s", websocket->key, guid);
    if (EVP_Digest(joined, (size_t)size, digest, &digest_size, EVP_sha1(), NULL) != 1)
        return false;
    size_t expected_size = base64_encode(expected, digest, digest_size);
    return accept->size == expected_size && memcmp(accept->text, expected, expected_size) == 0;
}

/* What is wrong with a 101, or NULL (RFC 6455, section 4.1, the client's checks 2 to 6). */
static const char *upgrade_fault(const struct websocket *websocket,
                                 const struct http_response *response)
{
    if (!http_has_token(&response->upgrade, "websocket"))
        return "its 101 does not say \"Upgrade: websocket\"";
    if (!http_has_token(&response->connection, "upgrade"))
        return "its 101 does not say \"Connection: Upgrade\"";
    if (!accept_fits(websocket, &response->accept))
        return "its Sec-WebSocket-Accept does not fit the request";
    if (response->extensions.size > 0 || response->subprotocol.size > 0)
        return "it chose an extension or subprotocol that was not offered";
    return NULL;
}

/* The target of a redirect goes to the log without query and fragment, which may repeat a secret.
 */
static void refused(struct websocket *websocket, const struct http_response *response)
{
    const struct http_text *location = &response->location;
    size_t size = 0;
    while (size < location->size && location->text[size] != '?' && location->text[size] != '#')
        size++;
    websocket_set_end(websocket, END_HTTP_STATUS, response->status, size > 0 ? location->text : "",
                      size);
    if (response->status == 429 || response->status == 503)
        websocket->end.retry_after_us =
            http_retry_after(&response->retry_after, (int64_t)time(NULL));
    websocket_finish_noted(websocket);
}

static void answered(struct websocket *websocket, const struct http_response *response)
{
    if (response->status < 200 && response->status != 101) /* an interim answer: wait on */
        return;
    if (response->status != 101) {
        refused(websocket, response);
        return;
    }
    const char *fault = upgrade_fault(websocket, response);
    if (fault != NULL) {
        websocket_finish(websocket, END_UPGRADE, 0, fault);
        return;
    }
    websocket->state = WEBSOCKET_OPEN;
    loop_timer_set(websocket->timer, INT64_MAX);
    lws_set_timeout(websocket->wsi, NO_PENDING_TIMEOUT, 0); /* it still waits for the answer */
    websocket->events->open(websocket->context);
}

static size_t take_answer(struct websocket *websocket, const uint8_t *data, size_t size)
{
    struct http_response response;
    size_t used;
    switch (http_response_read(&response, &used, data, size)) {
    case HTTP_WHOLE:
        answered(websocket, &response);
        break;
    case HTTP_BAD:
        websocket_finish(websocket, END_UPGRADE, 0, "its answer is not that of an HTTP server");
        break;
    case HTTP_MORE:
        break;
    }
    return used;
}

static void answer_missing(struct websocket *websocket)
{
    if (websocket->handshake.alert != SSL_AD_CLOSE_NOTIFY ||
        websocket->handshake.certificate_wanted)
        note_tls_failure(websocket);
    else
        note_end(websocket, END_UPGRADE, no_answer);
    websocket_finish_noted(websocket);
}

/* ---- the upgrade's request ------------------------------------------------------------------- */

static void make_key(struct websocket *websocket)
{
    uint8_t random[16];
    loop_random(websocket->target->loop, random, sizeof random);
    websocket->key[base64_encode(websocket->key, random, sizeof random)] = '\0';
}

/* Replaces what the library has written up to *end by the real request head. */
static int write_request_head(struct websocket *websocket, char **end, size_t room)
{
    static const char line[] = PLACEHOLDER_LINE;
    const size_t line_size = sizeof line - 1;
    char *start = *end - line_size;

    while (memcmp(start, line, line_size) != 0) {
        if (*end - start >= PLACEHOLDER_HEAD_MAX_BYTES)
            return -1;
        start--;
    }
    make_key(websocket);
    size_t size = upgrade_write(start, (size_t)(*end - start) + room, websocket->target->request,
                                websocket->key);
    if (size < 2)
        return -1;
    *end = start + size - 2; /* the library adds the empty line */
    return 0;
}

enum { TCP_KEEPALIVE_MAX_S = 32767 }; /* the kernel's MAX_TCP_KEEPIDLE and MAX_TCP_KEEPINTVL */

static int clamp(int64_t value, int low, int high)
{
    return value < low ? low : value > high ? high : (int)value;
}

static void set_keepalive(int fd, int64_t keepalive_us)
{
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (keepalive_us == 0)
        return;
    /* Probes begin after the interval and go on for less than another. */
    int idle_s = clamp(keepalive_us / 1000000, 1, TCP_KEEPALIVE_MAX_S);
    int interval_s = clamp(idle_s / 5, 1, TCP_KEEPALIVE_MAX_S);
    int count = 4;
    int timeout_ms = clamp(keepalive_us / 10000 * 18, 1, INT_MAX);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
}

/* From here on what the gateway sends is read by us (websocket.c), the answer included, so that
 * the first frames are not in other hands however they come; and what we send is written by us. */
static int take_over(struct websocket *websocket)
{
    int fd = dup(lws_get_socket_fd(websocket->wsi));
    if (fd < 0)
        return -1;
    websocket->stream_fd = fd;
    websocket->stream =
        loop_watch_new(websocket->target->loop, fd, &websocket_stream_events, websocket);
    if (websocket->stream == NULL)
        return -1;
    lws_rx_flow_control(websocket->wsi, 0);
    websocket->library_awake = true;
    loop_watch_want_write(websocket->stream);
    return 0;
}

/* TCP, and TLS if any, are up, and the library is about to send its request. */
static int upgrade(struct websocket *websocket, char **head_end, size_t room)
{
    if (websocket->ended) /* given up in this very turn of the loop */
        return -1;
    note_end(websocket, END_INTERNAL, no_resources);
    set_keepalive(lws_get_socket_fd(websocket->wsi), websocket->target->config->keepalive_us);
    if (write_request_head(websocket, head_end, room) != 0 || take_over(websocket) != 0)
        return -1;
    note_end(websocket, END_UPGRADE, no_answer);
    websocket->state = WEBSOCKET_UPGRADING;
    return 0;
}

/* ---- connecting ------------------------------------------------------------------------------ */

/* Which step is under way, for the message. */
static const char *current_step(const struct websocket *websocket)
{
    if (websocket->state == WEBSOCKET_RESOLVING)
        return "the name lookup";
    if (websocket->state == WEBSOCKET_UPGRADING)
        return "the WebSocket upgrade";
    if (websocket->handshake.begun)
        return "the TLS handshake";
    return "the TCP connection";
}

static size_t addresses_left(const struct websocket *websocket)
{
    return websocket->addresses.count - websocket->next_address;
}

/* One address has failed, with the reason in websocket->end. */
static void address_failed(struct websocket *websocket)
{
    if (websocket->end.kind == END_TCP && addresses_left(websocket) > 0)
        websocket_set_timer(websocket, 0);
    else
        websocket_finish_noted(websocket);
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

/* The library gives up, or has noticed the end of a connection that is ours already. What had
 * arrived before that is still read. */
static void library_failed(struct websocket *websocket)
{
    websocket->library_closing = true;
    if (websocket->stream != NULL) {
        if (!websocket->ended && websocket->state != WEBSOCKET_LINGERING)
            websocket_stream_readable(websocket);
        return;
    }
    if (websocket->end.kind == END_INTERNAL)
        return;
    if (websocket->handshake.begun)
        note_tls_failure(websocket);
    else
        note_end(websocket, END_TCP, tcp_failure(websocket));
}

/* The library's handle is gone: the one event that always comes. */
static void wsi_destroyed(struct websocket *websocket)
{
    websocket->wsi = NULL;
    websocket->library_closing = false;
    if (websocket->state != WEBSOCKET_CONNECTING)
        websocket_connection_gone(websocket);
    else if (!websocket->entering && !websocket->ended)
        address_failed(websocket);
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
        return upgrade(websocket, in, size);
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        library_failed(websocket);
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
    /* All zero: never a ping, which would use up a label at the gateway, never a hang-up. Given
     * here, since a context takes zeros for its own default of five minutes. */
    static const lws_retry_bo_t no_pings;
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
        .retry_and_idle_policy = &no_pings,
        /* The name is verified by what tls_context_new() has set, not by the library. */
        .ssl_connection =
            LCCSCF_HTTP_NO_FOLLOW_REDIRECT |
            (target->tls != NULL ? LCCSCF_USE_SSL | LCCSCF_SKIP_SERVER_CERT_HOSTNAME_CHECK : 0),
    };
    websocket->state = WEBSOCKET_CONNECTING;
    websocket->handshake = (struct tls_handshake){0};
    websocket->rest_size = 0; /* of an answer that another address began */
    note_end(websocket, END_TCP, "");
    websocket->entering = true;
    struct lws *wsi = lws_client_connect_via_info(&info);
    websocket->entering = false;
    if (wsi == NULL) {
        websocket->wsi = NULL;
        if (websocket->end.detail[0] == '\0')
            note_end(websocket, END_TCP, tcp_failure(websocket));
        address_failed(websocket);
    }
}

/* Each address but the last gets its part of the time that is left. */
static void try_next_address(struct websocket *websocket)
{
    int64_t left_us = websocket->deadline_us - loop_now_us();
    int64_t share_us = left_us / (int64_t)addresses_left(websocket);
    websocket_set_timer(websocket, share_us);
    connect_to(websocket, websocket->addresses.addresses[websocket->next_address++]);
}

static void resolved(void *context, const struct resolver_result *result)
{
    struct websocket *websocket = context;
    websocket->query = NULL;
    if (result->count == 0) {
        websocket_finish(websocket, END_NAME_LOOKUP, 0, result->error);
        return;
    }
    websocket->addresses = *result;
    try_next_address(websocket);
}

static void connect_timer(struct websocket *websocket)
{
    if (addresses_left(websocket) > 0 && loop_now_us() < websocket->deadline_us) {
        websocket_drop_connection(websocket);
        try_next_address(websocket);
        return;
    }
    websocket_finish(websocket, END_TIMEOUT, 0, current_step(websocket));
}

static void timer_fired(void *context)
{
    struct websocket *websocket = context;
    if (websocket->ended)
        websocket_tell_end(websocket);
    else if (websocket->state == WEBSOCKET_LINGERING)
        websocket_free(websocket);
    else if (websocket->state == WEBSOCKET_CLOSING)
        websocket_finish(websocket, END_CLOSED_BY_US, 0, "");
    else if (websocket->state != WEBSOCKET_OPEN)
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
    websocket->state = WEBSOCKET_RESOLVING;
    websocket->take_answer = take_answer;
    websocket->answer_missing = answer_missing;
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

/* Which connection a handshake belongs to: OpenSSL knows only its own objects, and the library's
 * way from them to its `struct lws` is private. There are few connections. */
static struct tls_handshake *find_handshake(void *context, const SSL *ssl)
{
    const struct websocket_target *target = context;
    for (struct websocket *websocket = target->first; websocket != NULL;
         websocket = websocket->next)
        if (websocket->wsi != NULL && lws_get_ssl(websocket->wsi) == ssl)
            return &websocket->handshake;
    return NULL;
}

static int prepare_tls(struct websocket_target *target, struct start_failure *failure)
{
    if (!target->config->tls)
        return 0;
    target->finder = (struct tls_handshake_finder){find_handshake, target};
    target->tls = tls_context_new(target->config, target->host, &target->finder, failure);
    return target->tls == NULL ? -1 : 0;
}

struct websocket_target *websocket_target_new(struct loop *loop, const struct tunnel_config *config,
                                              const struct gateway_host *host,
                                              const struct upgrade_request *request,
                                              struct start_failure *failure)
{
    struct websocket_target *target = calloc(1, sizeof *target);
    if (target == NULL) {
        start_failure_set(failure, START_NO_RESOURCES, "out of memory");
        return NULL;
    }
    target->loop = loop;
    target->config = config;
    target->host = host;
    target->request = request;
    if (prepare_tls(target, failure) != 0)
        goto fail_target;

    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .protocols = loop_lws_protocols(),
        .vhost_name = host->text,
        .provided_client_ssl_ctx = target->tls,
        .options = target->tls != NULL ? LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT : 0,
        .timeout_secs = LOOP_LIBRARY_TIMEOUT_S,
        .connect_timeout_secs = LOOP_LIBRARY_TIMEOUT_S};
    target->vhost = lws_create_vhost(loop_lws_context(loop), &info);
    if (target->vhost == NULL) {
        start_failure_set(failure, START_NO_RESOURCES, "cannot set up a connection to %s",
                          host->text);
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
