#include "otoroshictl/net/udp_ports.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "otoroshictl/net/udp_socket.h"
#include "otoroshictl/net/websocket.h"
#include "otoroshictl/tunnel/udp_tunnel.h"
#include "otoroshictl/tunnel/upgrade_request.h"

enum { COUNTERS_TEXT_BYTES = 4096 };

/* What a WebSocket's events find their way back by. */
struct connection_slot {
    struct udp_ports *ports;
    unsigned index;
    struct websocket *websocket;
};

struct udp_ports {
    struct loop *loop;
    const struct log *log;
    const struct tunnel_config *config;
    struct upgrade_request requests[GATEWAY_HOSTS_MAX];
    struct websocket_target *targets[GATEWAY_HOSTS_MAX];
    struct connection_slot *slots;
    struct udp_socket *socket;
    struct loop_timer *timer;
    struct tunnel_ports ports;
    struct udp_tunnel *tunnel;
};

/* ---- from the WebSockets to the tunnel ------------------------------------------------------- */

static void on_open(void *context)
{
    struct connection_slot *slot = context;
    udp_tunnel_on_open(slot->ports->tunnel, slot->index, loop_now_us());
}

static void on_message(void *context, bool text, const uint8_t *data, size_t size)
{
    struct connection_slot *slot = context;
    udp_tunnel_on_message(slot->ports->tunnel, slot->index, text, data, size, loop_now_us());
}

static void on_writable(void *context)
{
    struct connection_slot *slot = context;
    udp_tunnel_on_writable(slot->ports->tunnel, slot->index, loop_now_us());
}

static void on_pong(void *context)
{
    struct connection_slot *slot = context;
    udp_tunnel_on_pong(slot->ports->tunnel, slot->index, loop_now_us());
}

static void on_closed(void *context, const struct connection_end *end)
{
    struct connection_slot *slot = context;
    slot->websocket = NULL;
    udp_tunnel_on_closed(slot->ports->tunnel, slot->index, end, loop_now_us());
}

static const struct websocket_events websocket_events = {.open = on_open,
                                                         .message = on_message,
                                                         .pong = on_pong,
                                                         .writable = on_writable,
                                                         .closed = on_closed};

/* ---- what the tunnel asks for ---------------------------------------------------------------- */

static bool port_open(void *net, unsigned connection, size_t host)
{
    struct udp_ports *ports = net;
    struct connection_slot *slot = &ports->slots[connection];
    slot->websocket = websocket_open(ports->targets[host], &websocket_events, slot);
    return slot->websocket != NULL;
}

static void port_close(void *net, unsigned connection)
{
    struct udp_ports *ports = net;
    websocket_close(ports->slots[connection].websocket);
}

static uint8_t *port_reserve(void *net, unsigned connection, size_t size)
{
    struct udp_ports *ports = net;
    return websocket_reserve(ports->slots[connection].websocket, size);
}

static void port_commit(void *net, unsigned connection, size_t size)
{
    struct udp_ports *ports = net;
    websocket_commit(ports->slots[connection].websocket, size);
}

static bool port_flush(void *net, unsigned connection)
{
    struct udp_ports *ports = net;
    return websocket_flush(ports->slots[connection].websocket);
}

static void port_ping(void *net, unsigned connection)
{
    struct udp_ports *ports = net;
    websocket_ping(ports->slots[connection].websocket);
}

static uint8_t *port_reply_reserve(void *net)
{
    struct udp_ports *ports = net;
    return udp_socket_reserve(ports->socket);
}

static void port_reply_commit(void *net, const struct address *client, size_t size)
{
    struct udp_ports *ports = net;
    udp_socket_commit(ports->socket, client, size);
}

static void port_set_timer(void *net, int64_t at_us)
{
    struct udp_ports *ports = net;
    loop_timer_set(ports->timer, at_us);
}

static void port_stopped(void *net)
{
    struct udp_ports *ports = net;
    loop_stop(ports->loop);
}

static void port_report(void *net, enum report_level level, const char *message)
{
    static const enum log_level levels[] = {
        [REPORT_ERROR] = LOG_LEVEL_ERROR,
        [REPORT_WARN] = LOG_LEVEL_WARN,
        [REPORT_INFO] = LOG_LEVEL_INFO,
        [REPORT_DEBUG] = LOG_LEVEL_DEBUG,
    };
    const struct udp_ports *ports = net;
    log_write(ports->log, levels[level], "%s", message);
}

static uint32_t port_random(void *net)
{
    struct udp_ports *ports = net;
    uint32_t number;
    loop_random(ports->loop, &number, sizeof number);
    return number;
}

/* ---- from the local socket, the timer and the loop ------------------------------------------- */

static void on_datagrams(void *context, const struct datagram *batch, size_t count)
{
    struct udp_ports *ports = context;
    udp_tunnel_on_datagrams(ports->tunnel, batch, count, loop_now_us());
}

static void on_delivered(void *context, size_t sent, uint64_t sent_bytes, size_t failed)
{
    struct udp_ports *ports = context;
    udp_tunnel_on_delivered(ports->tunnel, sent, sent_bytes, failed, loop_now_us());
}

static void on_overflow(void *context, uint64_t count)
{
    struct udp_ports *ports = context;
    udp_tunnel_on_overflow(ports->tunnel, count, loop_now_us());
}

static void on_timer(void *context)
{
    struct udp_ports *ports = context;
    udp_tunnel_on_timer(ports->tunnel, loop_now_us());
}

static void before_sleep(void *context)
{
    struct udp_ports *ports = context;
    udp_tunnel_before_sleep(ports->tunnel, loop_now_us());
    udp_socket_flush(ports->socket);
}

static void read_counters(struct udp_ports *ports, struct counters *counters)
{
    udp_socket_flush(ports->socket); /* so that the sums hold */
    udp_socket_check_overflow(ports->socket);
    udp_tunnel_counters(ports->tunnel, counters);
}

static void log_counters(struct udp_ports *ports)
{
    char buffer[COUNTERS_TEXT_BYTES];
    struct text text;
    struct counters counters;
    read_counters(ports, &counters);
    text_init(&text, buffer, sizeof buffer);
    counters_append_json(&text, &counters);
    log_write(ports->log, LOG_LEVEL_INFO, "Counters: {%s}", buffer);
}

static void on_signal(void *context, int signal_number)
{
    struct udp_ports *ports = context;
    switch (signal_number) {
    case SIGUSR1:
        log_counters(ports);
        break;
    case SIGHUP:
        udp_tunnel_renew(ports->tunnel, loop_now_us());
        break;
    default:
        udp_socket_stop_reading(ports->socket);
        udp_tunnel_stop(ports->tunnel, loop_now_us());
        break;
    }
}

unsigned udp_ports_descriptors(const struct tunnel_config *config)
{
    /* A WebSocket takes two, and its socket may linger for a second. */
    enum { EACH = 3, OTHERS = 128 };
    return EACH * udp_tunnel_connections_max(config) + OTHERS;
}

/* ---- life ------------------------------------------------------------------------------------ */

static int make_targets(struct udp_ports *ports, struct start_failure *failure)
{
    const struct tunnel_config *config = ports->config;
    for (size_t i = 0; i < config->host_count; i++) {
        upgrade_request_from_config(&ports->requests[i], config, &config->hosts[i], "udp");
        ports->targets[i] = websocket_target_new(ports->loop, config, &config->hosts[i],
                                                 &ports->requests[i], failure);
        if (ports->targets[i] == NULL)
            return -1;
    }
    return 0;
}

static void describe_remote(const struct tunnel_config *config, char *out, size_t size)
{
    const char *host = config->remote_host != NULL ? config->remote_host : "";
    bool bare_ipv6 = strchr(host, ':') != NULL && host[0] != '[';
    if (config->remote_port != 0)
        snprintf(out, size, bare_ipv6 ? "[%s]:%u" : "%s:%u", host, config->remote_port);
    else
        snprintf(out, size, "%s", host[0] != '\0' ? host : "(defined in otoroshi target)");
}

void udp_ports_facts(struct udp_ports *ports, struct tunnel_facts *facts)
{
    static const char *const modes[] = {
        [CONNECTIONS_SHARED] = "shared",
        [CONNECTIONS_POOL] = "pool",
        [CONNECTIONS_PER_CLIENT] = "per-client",
    };
    read_counters(ports, &facts->counters);
    udp_socket_name(ports->socket, facts->local, sizeof facts->local);
    describe_remote(ports->config, facts->remote, sizeof facts->remote);
    facts->gateway = ports->config->hosts[0].text;
    facts->connections = modes[ports->config->connections];
}

static void announce(const struct udp_ports *ports)
{
    char local[64];
    char remote[320];
    udp_socket_name(ports->socket, local, sizeof local);
    describe_remote(ports->config, remote, sizeof remote);
    log_write(ports->log, LOG_LEVEL_INFO, "UDP tunnel listening on %s → %s via Otoroshi (%s)",
              local, remote, ports->config->hosts[0].text);
    if (ports->config->tls_insecure)
        log_write(ports->log, LOG_LEVEL_WARN,
                  "The gateway's certificate is not verified (--tls-insecure): anybody on the way "
                  "can read and change what this tunnel carries, credentials too");
    log_write(ports->log, LOG_LEVEL_INFO, "UDP tunnel ready, waiting for datagrams ...");
}

static void fill_ports(struct udp_ports *ports)
{
    ports->ports = (struct tunnel_ports){.net = ports,
                                         .open = port_open,
                                         .close = port_close,
                                         .reserve = port_reserve,
                                         .commit = port_commit,
                                         .flush = port_flush,
                                         .ping = port_ping,
                                         .reply_reserve = port_reply_reserve,
                                         .reply_commit = port_reply_commit,
                                         .set_timer = port_set_timer,
                                         .stopped = port_stopped,
                                         .report = port_report,
                                         .random = port_random};
    for (unsigned i = 0; i < udp_tunnel_connections_max(ports->config); i++)
        ports->slots[i] = (struct connection_slot){.ports = ports, .index = i};
}

static struct udp_ports *ports_new(struct loop *loop, const struct tunnel_config *config,
                                   const struct log *log)
{
    struct udp_ports *ports = calloc(1, sizeof *ports);
    if (ports == NULL)
        return NULL;
    ports->loop = loop;
    ports->log = log;
    ports->config = config;
    ports->slots = calloc(udp_tunnel_connections_max(config), sizeof *ports->slots);
    if (ports->slots == NULL) {
        free(ports);
        return NULL;
    }
    fill_ports(ports);
    ports->timer = loop_timer_new(loop, on_timer, ports);
    ports->tunnel = udp_tunnel_new(config, &ports->ports);
    if (ports->timer == NULL || ports->tunnel == NULL) {
        udp_ports_free(ports);
        return NULL;
    }
    return ports;
}

struct udp_ports *udp_ports_start(struct loop *loop, const struct tunnel_config *config,
                                  const struct log *log, struct start_failure *failure)
{
    static const struct udp_socket_events socket_events = {
        .datagrams = on_datagrams, .delivered = on_delivered, .overflow = on_overflow};
    struct udp_ports *ports = ports_new(loop, config, log);
    start_failure_set(failure, START_NO_RESOURCES, "out of memory or descriptors");
    if (ports == NULL)
        return NULL;
    if (make_targets(ports, failure) != 0)
        goto fail;
    ports->socket = udp_socket_open(loop, config->local_host, config->local_port, &socket_events,
                                    ports, failure);
    if (ports->socket == NULL)
        goto fail;
    if (loop_on_signal(loop, on_signal, ports) != 0 ||
        loop_add_hook(loop, before_sleep, ports) != 0)
        goto fail;
    announce(ports);
    udp_tunnel_start(ports->tunnel, loop_now_us());
    return ports;

fail:
    udp_ports_free(ports);
    return NULL;
}

void udp_ports_free(struct udp_ports *ports)
{
    if (ports == NULL)
        return;
    udp_socket_free(ports->socket);
    for (size_t i = 0; i < GATEWAY_HOSTS_MAX; i++)
        websocket_target_free(ports->targets[i]);
    udp_tunnel_free(ports->tunnel);
    loop_timer_free(ports->timer);
    free(ports->slots);
    free(ports);
}
