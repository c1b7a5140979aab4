/* transport=tcp: one TCP connection to the target, raw bytes in binary frames both ways. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "byte_queue.h"
#include "session.h"
#include "watch.h"

enum { FRAME_MAX_BYTES = 131072 };

static const int64_t refused_after_us = 50000;

struct tcp_tunnel {
    struct gateway *gateway;
    struct session *session;
    struct watch *target; /* NULL once it has ended */
    bool connected;
    struct byte_queue to_target; /* what the target has not taken: one message at most */
    lws_sorted_usec_list_t refused_timer;
    uint8_t from_target[FRAME_MAX_BYTES];
};

static void close_target(struct tcp_tunnel *tunnel)
{
    if (tunnel->target == NULL)
        return;
    watch_close(tunnel->target);
    tunnel->target = NULL;
    tunnel->gateway->counters.tcp_sockets_open--;
}

static void tell_refused(lws_sorted_usec_list_t *timer)
{
    struct tcp_tunnel *tunnel = lws_container_of(timer, struct tcp_tunnel, refused_timer);

    session_close(tunnel->session, WIRE_STATUS_NORMAL);
}

static void target_refused(struct tcp_tunnel *tunnel)
{
    close_target(tunnel);
    tunnel->gateway->counters.tcp_refused++;
    lws_sul_schedule(tunnel->gateway->context, 0, &tunnel->refused_timer, tell_refused,
                     refused_after_us);
}

static void target_ended(struct tcp_tunnel *tunnel)
{
    close_target(tunnel);
    session_close(tunnel->session, WIRE_STATUS_NORMAL);
}

static void target_gone(struct tcp_tunnel *tunnel)
{
    if (tunnel->connected)
        target_ended(tunnel);
    else
        target_refused(tunnel);
}

static void target_hangup(void *owner)
{
    struct tcp_tunnel *tunnel = owner;

    tunnel->target = NULL;
    tunnel->gateway->counters.tcp_sockets_open--;
    target_gone(tunnel);
}

/* ---- from the target to the client ---- */

static void pass_to_client(struct tcp_tunnel *tunnel, size_t size)
{
    uint8_t *payload = session_frame(tunnel->session, WIRE_BINARY, size);

    if (payload != NULL)
        memcpy(payload, tunnel->from_target, size);
    session_touch(tunnel->session);
    session_flush(tunnel->session);
}

static void target_readable(void *owner)
{
    struct tcp_tunnel *tunnel = owner;

    if (session_output_full(tunnel->session)) {
        watch_pause(tunnel->target);
        return;
    }
    const ssize_t size = recv(watch_fd(tunnel->target), tunnel->from_target,
                              sizeof(tunnel->from_target), MSG_DONTWAIT);
    if (size > 0)
        pass_to_client(tunnel, (size_t)size);
    else if (size == 0 || (errno != EAGAIN && errno != EINTR))
        target_gone(tunnel);
}

static void tcp_output_room(void *transport)
{
    struct tcp_tunnel *tunnel = transport;

    if (tunnel->target != NULL)
        watch_resume(tunnel->target);
}

/* ---- from the client to the target ---- */

/* 0, or -1 where the connection is broken. */
static int write_to_target(struct tcp_tunnel *tunnel)
{
    while (byte_queue_size(&tunnel->to_target) > 0) {
        const ssize_t sent = send(watch_fd(tunnel->target), byte_queue_front(&tunnel->to_target),
                                  byte_queue_size(&tunnel->to_target), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR)) {
            session_pause(tunnel->session, SESSION_PAUSE_TARGET);
            watch_want_write(tunnel->target);
            return 0;
        }
        if (sent < 0)
            return -1;
        byte_queue_consume(&tunnel->to_target, (size_t)sent);
    }
    session_unpause(tunnel->session, SESSION_PAUSE_TARGET);
    return 0;
}

static bool finish_connecting(struct tcp_tunnel *tunnel)
{
    int error = 0;
    socklen_t length = sizeof(error);

    if (getsockopt(watch_fd(tunnel->target), SOL_SOCKET, SO_ERROR, &error, &length) != 0 ||
        error != 0)
        return false;
    tunnel->connected = true;
    return true;
}

static void target_writable(void *owner)
{
    struct tcp_tunnel *tunnel = owner;

    if (!tunnel->connected && !finish_connecting(tunnel)) {
        target_refused(tunnel);
        return;
    }
    if (write_to_target(tunnel) != 0)
        target_ended(tunnel);
}

static void tcp_message(void *transport, enum wire_opcode opcode, uint8_t *data, size_t size)
{
    struct tcp_tunnel *tunnel = transport;

    if (opcode != WIRE_BINARY || size == 0 || tunnel->target == NULL)
        return;
    if (byte_queue_append(&tunnel->to_target, data, size) != 0) {
        session_abort(tunnel->session);
        return;
    }
    if (!tunnel->connected)
        session_pause(tunnel->session, SESSION_PAUSE_TARGET);
    else if (write_to_target(tunnel) != 0)
        target_ended(tunnel);
}

/* ---- beginning and end ---- */

static const struct watch_events target_events = {
    .readable = target_readable,
    .writable = target_writable,
    .hangup = target_hangup,
};

/* A socket that is connecting. -1: refused already. */
static int start_connecting(const struct endpoint *remote)
{
    struct sockaddr_storage address;
    socklen_t length = 0;
    const char *why = NULL;
    const int one = 1;

    if (!endpoint_resolve(remote, SOCK_STREAM, &address, &length, &why)) {
        fprintf(stderr, "otoroshi-dev-gateway: %s: %s\n", remote->host, why);
        return -1;
    }
    const int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(fd, (const struct sockaddr *)&address, length) != 0 && errno != EINPROGRESS) {
        close(fd);
        return -1;
    }
    return fd;
}

static void tcp_close(void *transport)
{
    struct tcp_tunnel *tunnel = transport;

    close_target(tunnel);
    lws_sul_cancel(&tunnel->refused_timer);
    byte_queue_fini(&tunnel->to_target);
    free(tunnel);
}

static void *tcp_open(struct session *session, const struct endpoint *remote)
{
    struct tcp_tunnel *tunnel = calloc(1, sizeof(*tunnel));

    if (tunnel == NULL)
        return NULL;
    tunnel->gateway = session_gateway(session);
    tunnel->session = session;
    const int fd = start_connecting(remote);
    if (fd < 0) {
        target_refused(tunnel);
        return tunnel;
    }
    tunnel->target = watch_open(tunnel->gateway->vhost, fd, &target_events, tunnel);
    if (tunnel->target == NULL) {
        free(tunnel);
        return NULL;
    }
    tunnel->gateway->counters.tcp_sockets_open++;
    watch_want_write(tunnel->target);
    return tunnel;
}

const struct transport_ops tcp_transport = {
    .idle_timeout_us = 60 * (int64_t)LWS_USEC_PER_SEC,
    .open = tcp_open,
    .message = tcp_message,
    .output_room = tcp_output_room,
    .close = tcp_close,
};
