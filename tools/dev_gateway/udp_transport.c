/* transport=udp: datagrams in JSON, paired with their clients as Otoroshi does (gateway.md). */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "json_frame.h"
#include "otoroshictl/codec/base64.h"
#include "session.h"
#include "udp_batch.h"
#include "udp_replies.h"
#include "watch.h"

enum {
    PORTS_MAX = 1024,   /* exact pairing: sockets of one WebSocket */
    DELAYED_MAX = 4096, /* replies held back by --delay */
    SOCKET_BUFFER_BYTES = 4194304,
    IN_FLIGHT_SAFE = 8,    /* Otoroshi loses nothing up to here */
    IN_FLIGHT_SHARE = 200, /* beyond, one in so many */
};

/* A UDP socket towards the remote. By position a WebSocket has one, exactly paired one a label. */
struct udp_port {
    struct udp_tunnel *tunnel;
    struct watch *watch;
    struct label label;
    size_t index; /* in its tunnel's list */
    uint64_t last_used;
};

struct udp_tunnel {
    struct gateway *gateway;
    struct session *session;
    const struct gateway_config *config;
    struct udp_scratch *scratch;
    struct sockaddr_storage remote;
    socklen_t remote_length; /* 0: no such host */
    struct label_queue labels;
    struct udp_replies waiting;
    struct udp_replies delayed;
    lws_sorted_usec_list_t delay_timer;
    struct udp_port *ports[PORTS_MAX];
    size_t port_count;
    struct udp_port *batch_port; /* whose datagrams are in the batch */
    uint64_t uses;
    uint64_t replies;
    uint64_t random;
    bool dead; /* a payload above 65,507 bytes: nothing goes either way any more */
};

static struct counters *counters_of(struct udp_tunnel *tunnel)
{
    return &tunnel->gateway->counters;
}

/* ---- replies: from the remote to the client ---- */

static void write_reply(struct udp_tunnel *tunnel, const struct label *label, const uint8_t *data,
                        size_t size)
{
    uint8_t *payload = session_frame(tunnel->session, WIRE_BINARY, json_frame_size(label, size));

    if (payload != NULL)
        json_frame_write(payload, label, data, size);
}

static bool lost_in_flight(struct udp_tunnel *tunnel)
{
    if (!tunnel->config->loses_in_flight || tunnel->labels.count <= IN_FLIGHT_SAFE ||
        fault_random(&tunnel->random) % IN_FLIGHT_SHARE != 0)
        return false;
    counters_of(tunnel)->replies_lost_in_flight++;
    return true;
}

static bool take_label(struct udp_tunnel *tunnel, struct label *label)
{
    if (!label_queue_pop(&tunnel->labels, label))
        return false;
    counters_of(tunnel)->labels_outstanding--;
    if (tunnel->labels.count < LABEL_STALL)
        session_unpause(tunnel->session, SESSION_PAUSE_LABELS);
    return true;
}

static void keep_waiting(struct udp_tunnel *tunnel, const uint8_t *data, size_t size)
{
    if (tunnel->waiting.count >= tunnel->config->reply_buffer ||
        udp_replies_push(&tunnel->waiting, NULL, data, size, 0) != 0)
        counters_of(tunnel)->replies_dropped++;
    else
        counters_of(tunnel)->replies_waiting++;
}

/* `label` is that of the socket (exact pairing), or empty (the oldest outstanding one). */
static void pair_reply(struct udp_tunnel *tunnel, const struct label *label, const uint8_t *data,
                       size_t size)
{
    struct label oldest;

    if (lost_in_flight(tunnel))
        return;
    if (label->size > 0)
        write_reply(tunnel, label, data, size);
    else if (take_label(tunnel, &oldest))
        write_reply(tunnel, &oldest, data, size);
    else
        keep_waiting(tunnel, data, size);
}

static void release_delayed(lws_sorted_usec_list_t *timer)
{
    struct udp_tunnel *tunnel = lws_container_of(timer, struct udp_tunnel, delay_timer);
    const int64_t now_us = lws_now_usecs();

    while (tunnel->delayed.first != NULL && tunnel->delayed.first->due_us <= now_us) {
        struct udp_reply *reply = udp_replies_pop(&tunnel->delayed);
        pair_reply(tunnel, &reply->label, reply->data, reply->size);
        free(reply);
    }
    if (tunnel->delayed.first != NULL)
        lws_sul_schedule(tunnel->gateway->context, 0, timer, release_delayed,
                         tunnel->delayed.first->due_us - now_us);
    session_flush(tunnel->session);
}

static void delay_reply(struct udp_tunnel *tunnel, const struct label *label, const uint8_t *data,
                        size_t size)
{
    const int64_t due_us = lws_now_usecs() + tunnel->config->delay_us;

    if (tunnel->delayed.count == DELAYED_MAX ||
        udp_replies_push(&tunnel->delayed, label, data, size, due_us) != 0) {
        counters_of(tunnel)->replies_dropped++;
        return;
    }
    if (tunnel->delayed.count == 1)
        lws_sul_schedule(tunnel->gateway->context, 0, &tunnel->delay_timer, release_delayed,
                         tunnel->config->delay_us);
}

static void pass_reply(struct udp_tunnel *tunnel, const struct label *label, const uint8_t *data,
                       size_t size)
{
    if (tunnel->config->delay_us > 0)
        delay_reply(tunnel, label, data, size);
    else
        pair_reply(tunnel, label, data, size);
}

static void take_reply(struct udp_port *port, const uint8_t *data, size_t size)
{
    struct udp_tunnel *tunnel = port->tunnel;

    tunnel->replies++;
    counters_of(tunnel)->replies_received++;
    if (fault_schedule_hits(&tunnel->config->drop_reply, tunnel->replies)) {
        counters_of(tunnel)->replies_dropped_fault++;
        return;
    }
    pass_reply(tunnel, &port->label, data, size);
    if (fault_schedule_hits(&tunnel->config->duplicate_reply, tunnel->replies)) {
        counters_of(tunnel)->replies_doubled_fault++;
        pass_reply(tunnel, &port->label, data, size);
    }
}

static void port_readable(void *owner)
{
    struct udp_port *port = owner;
    struct udp_tunnel *tunnel = port->tunnel;
    struct udp_scratch *scratch = tunnel->scratch;

    if (session_output_full(tunnel->session)) {
        watch_pause(port->watch);
        return;
    }
    const size_t count = udp_batch_receive(scratch, watch_fd(port->watch));
    if (count > 0)
        session_touch(tunnel->session);
    for (size_t i = 0; i < count; i++)
        take_reply(port, scratch->in_bytes[i], scratch->in[i].msg_len);
    session_flush(tunnel->session);
}

static void udp_output_room(void *transport)
{
    struct udp_tunnel *tunnel = transport;

    for (size_t i = 0; i < tunnel->port_count; i++)
        watch_resume(tunnel->ports[i]->watch);
}

/* ---- sockets ---- */

static void send_batch(struct udp_tunnel *tunnel)
{
    if (tunnel->batch_port == NULL)
        return;
    const struct udp_sent outcome =
        udp_batch_send(tunnel->scratch, watch_fd(tunnel->batch_port->watch));
    counters_of(tunnel)->datagrams_sent += outcome.sent;
    counters_of(tunnel)->datagrams_not_sent += outcome.refused;
    tunnel->batch_port = NULL;
}

static void port_close(struct udp_port *port)
{
    struct udp_tunnel *tunnel = port->tunnel;

    if (tunnel->batch_port == port)
        send_batch(tunnel);
    watch_close(port->watch);
    tunnel->port_count--;
    tunnel->ports[port->index] = tunnel->ports[tunnel->port_count];
    tunnel->ports[port->index]->index = port->index;
    counters_of(tunnel)->udp_sockets_open--;
    free(port);
}

static void close_all_ports(struct udp_tunnel *tunnel)
{
    while (tunnel->port_count > 0)
        port_close(tunnel->ports[tunnel->port_count - 1]);
}

static void port_hangup(void *owner)
{
    struct udp_port *port = owner;

    port->watch = NULL;
    port_close(port);
}

static const struct watch_events port_events = {
    .readable = port_readable,
    .hangup = port_hangup,
};

/* Bound to the wildcard address and a port of its own, like Otoroshi's. -1: see errno. */
static int open_socket(sa_family_t family)
{
    const int buffer_bytes = SOCKET_BUFFER_BYTES;
    const struct sockaddr_storage wildcard = {.ss_family = family};
    const socklen_t length =
        family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    const int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer_bytes, sizeof(buffer_bytes));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof(buffer_bytes));
    if (bind(fd, (const struct sockaddr *)&wildcard, length) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static struct udp_port *port_open(struct udp_tunnel *tunnel)
{
    struct udp_port *port = calloc(1, sizeof(*port));
    const int fd = open_socket(tunnel->remote.ss_family);

    if (port == NULL || fd < 0)
        goto fail;
    port->tunnel = tunnel;
    port->watch = watch_open(tunnel->gateway->vhost, fd, &port_events, port);
    if (port->watch == NULL)
        goto fail_port;
    port->index = tunnel->port_count;
    tunnel->ports[port->index] = port;
    tunnel->port_count++;
    counters_of(tunnel)->udp_sockets_open++;
    return port;

fail:
    if (fd >= 0)
        close(fd);
fail_port:
    free(port);
    return NULL;
}

static void close_oldest_port(struct udp_tunnel *tunnel)
{
    struct udp_port *oldest = tunnel->ports[0];

    for (size_t i = 1; i < tunnel->port_count; i++) {
        if (tunnel->ports[i]->last_used < oldest->last_used)
            oldest = tunnel->ports[i];
    }
    port_close(oldest);
}

static struct udp_port *port_of_label(struct udp_tunnel *tunnel, const struct label *label)
{
    for (size_t i = 0; i < tunnel->port_count; i++) {
        if (label_equal(&tunnel->ports[i]->label, label))
            return tunnel->ports[i];
    }
    if (tunnel->port_count == PORTS_MAX)
        close_oldest_port(tunnel);
    struct udp_port *port = port_open(tunnel);
    if (port != NULL)
        port->label = *label;
    return port;
}

/* ---- requests: from the client to the remote ---- */

static void pair_waiting(struct udp_tunnel *tunnel)
{
    struct label label;

    if (tunnel->waiting.count == 0 || !take_label(tunnel, &label))
        return;
    struct udp_reply *reply = udp_replies_pop(&tunnel->waiting);
    counters_of(tunnel)->replies_waiting--;
    write_reply(tunnel, &label, reply->data, reply->size);
    free(reply);
}

static void put_label(struct udp_tunnel *tunnel, const struct label *label)
{
    struct counters *counters = counters_of(tunnel);

    if (tunnel->config->pairing == PAIRING_EXACT || tunnel->dead ||
        label_queue_push(&tunnel->labels, label) != 0)
        return;
    counters->labels_outstanding++;
    pair_waiting(tunnel);
    if (tunnel->labels.count > counters->labels_outstanding_max)
        counters->labels_outstanding_max = tunnel->labels.count;
    if (tunnel->labels.count >= LABEL_STALL && !tunnel->config->stall_disabled)
        session_pause(tunnel->session, SESSION_PAUSE_LABELS);
}

static void udp_control(void *transport)
{
    struct label label;

    label_set_control(&label);
    put_label(transport, &label);
}

/* Otoroshi's UDP side ends, its WebSocket does not. */
static void die_silently(struct udp_tunnel *tunnel)
{
    tunnel->dead = true;
    close_all_ports(tunnel);
    counters_of(tunnel)->datagrams_not_sent++;
}

static struct udp_port *port_for(struct udp_tunnel *tunnel, const struct label *label)
{
    if (tunnel->dead || tunnel->remote_length == 0)
        return NULL;
    if (tunnel->config->pairing == PAIRING_EXACT)
        return port_of_label(tunnel, label);
    return tunnel->port_count > 0 ? tunnel->ports[0] : NULL;
}

static void send_datagram(struct udp_tunnel *tunnel, const struct label *label, size_t size)
{
    struct udp_port *port = port_for(tunnel, label);

    if (port == NULL) {
        counters_of(tunnel)->datagrams_not_sent++;
        return;
    }
    tunnel->uses++;
    port->last_used = tunnel->uses;
    udp_batch_add(tunnel->scratch, &tunnel->remote, tunnel->remote_length, size);
    tunnel->batch_port = port;
}

/* Room to decode the payload of a frame of this size. A batch is for one socket: exact pairing
 * sends what is collected first. */
static uint8_t *decode_room(struct udp_tunnel *tunnel, size_t frame_size)
{
    uint8_t *room = NULL;

    if (tunnel->config->pairing == PAIRING_POSITION)
        room = udp_batch_room(tunnel->scratch, base64_decoded_size_max(frame_size));
    if (room != NULL)
        return room;
    send_batch(tunnel);
    return udp_batch_room(tunnel->scratch, base64_decoded_size_max(frame_size));
}

static void take_frame(struct udp_tunnel *tunnel, const uint8_t *data, size_t size)
{
    struct label label;
    size_t payload_size = 0;
    uint8_t *payload = decode_room(tunnel, size);

    if (!json_frame_read(&label, payload, &payload_size, (const char *)data, size)) {
        counters_of(tunnel)->malformed_frames++;
        session_close(tunnel->session, WIRE_STATUS_NORMAL);
        return;
    }
    put_label(tunnel, &label);
    if (payload_size == 0)
        counters_of(tunnel)->labels_credit++;
    else if (payload_size > UDP_DATAGRAM_MAX_BYTES)
        die_silently(tunnel);
    else
        send_datagram(tunnel, &label, payload_size);
}

static void udp_message(void *transport, enum wire_opcode opcode, uint8_t *data, size_t size)
{
    if (opcode == WIRE_TEXT)
        udp_control(transport);
    else
        take_frame(transport, data, size);
}

static void udp_batch_end(void *transport)
{
    send_batch(transport);
}

/* ---- beginning and end ---- */

static void find_remote(struct udp_tunnel *tunnel, const struct endpoint *remote)
{
    const char *why = NULL;

    if (!endpoint_resolve(remote, SOCK_DGRAM, &tunnel->remote, &tunnel->remote_length, &why)) {
        fprintf(stderr, "otoroshi-dev-gateway: %s: %s\n", remote->host, why);
        tunnel->remote_length = 0;
    }
}

static bool make_scratch(struct gateway *gateway)
{
    if (gateway->udp_scratch == NULL)
        gateway->udp_scratch = udp_scratch_new();
    return gateway->udp_scratch != NULL;
}

static void udp_close(void *transport)
{
    struct udp_tunnel *tunnel = transport;

    send_batch(tunnel);
    close_all_ports(tunnel);
    lws_sul_cancel(&tunnel->delay_timer);
    counters_of(tunnel)->labels_outstanding -= tunnel->labels.count;
    counters_of(tunnel)->replies_waiting -= tunnel->waiting.count;
    label_queue_fini(&tunnel->labels);
    udp_replies_fini(&tunnel->waiting);
    udp_replies_fini(&tunnel->delayed);
    free(tunnel);
}

static void *udp_open(struct session *session, const struct endpoint *remote)
{
    struct gateway *gateway = session_gateway(session);
    struct udp_tunnel *tunnel = NULL;

    if (!make_scratch(gateway))
        return NULL;
    tunnel = calloc(1, sizeof(*tunnel));
    if (tunnel == NULL)
        return NULL;
    tunnel->gateway = gateway;
    tunnel->session = session;
    tunnel->config = gateway->config;
    tunnel->scratch = gateway->udp_scratch;
    tunnel->random = tunnel->config->seed + gateway->counters.websockets_opened;
    find_remote(tunnel, remote);
    if (tunnel->config->pairing == PAIRING_POSITION && tunnel->remote_length > 0 &&
        port_open(tunnel) == NULL) {
        udp_close(tunnel);
        return NULL;
    }
    return tunnel;
}

const struct transport_ops udp_transport = {
    .idle_timeout_us = 3600 * (int64_t)LWS_USEC_PER_SEC,
    .open = udp_open,
    .message = udp_message,
    .control = udp_control,
    .batch_end = udp_batch_end,
    .output_room = udp_output_room,
    .close = udp_close,
};
