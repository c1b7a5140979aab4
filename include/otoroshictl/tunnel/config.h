/* What a tunnel is told at its start: made by src/cli, never changed afterwards.
 *
 * Every field is checked: strings have no control characters, numbers are in range, the
 * credentials that the access type asks for are there, the request head fits. Strings are owned
 * by the structure (tunnel_config_free() in src/cli wipes the secrets). Times are microseconds. */
#ifndef OTOROSHICTL_TUNNEL_CONFIG_H
#define OTOROSHICTL_TUNNEL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum access_type {
    ACCESS_APIKEY,
    ACCESS_BEARER,
    ACCESS_SESSION,
    ACCESS_PUBLIC,
};

/* Which WebSocket carries what. */
enum connections_mode {
    CONNECTIONS_SHARED,     /* one for all clients */
    CONNECTIONS_POOL,       /* each for one client at a time */
    CONNECTIONS_PER_CLIENT, /* one for each client */
};

enum verbosity {
    VERBOSITY_NORMAL,
    VERBOSITY_VERBOSE,
    VERBOSITY_QUIET,
};

enum { GATEWAY_HOSTS_MAX = 16 };

/* One --host. */
struct gateway_host {
    char *text;    /* as the user wrote it: Host header and log */
    char *name;    /* without port and brackets: for name lookup and certificate */
    uint16_t port; /* the default filled in: 443 with TLS, else 80 */
};

/* ADDR:PORT to listen on. */
struct listen_address {
    char *host;    /* without brackets; NULL: not asked for */
    uint16_t port; /* 0: the kernel chooses */
};

struct tunnel_config {
    struct gateway_host hosts[GATEWAY_HOSTS_MAX];
    size_t host_count;

    bool tls;
    char *tls_ca_file; /* NULL: OpenSSL's own store */
    char *tls_cert_file;
    char *tls_key_file;
    char *tls_server_name; /* NULL: the host's name */
    bool tls_insecure;

    char *local_host;
    uint16_t local_port;  /* 0: the kernel chooses */
    char *remote_host;    /* NULL: the gateway's route knows */
    uint16_t remote_port; /* 0: likewise */

    enum access_type access_type;
    char *apikey_client_id;
    char *apikey_client_secret;
    char *bearer_token;
    char *session_token;

    int64_t connect_timeout_us;
    int64_t keepalive_us; /* 0: off */
    int64_t reconnect_delay_us;
    int64_t reconnect_max_delay_us; /* >= reconnect_delay_us */

    int64_t ping_interval_us; /* 0: no pings */
    int64_t ping_timeout_us;

    enum connections_mode connections;
    uint32_t max_connections; /* pool, per-client and one-way: WebSockets at a time */
    bool one_way;             /* replies are not expected; never with CONNECTIONS_PER_CLIENT */
    uint32_t window;          /* most unanswered datagrams on a WebSocket; 0: no limit */
    int64_t client_timeout_us;
    int64_t reply_timeout_us;
    uint32_t queue_size; /* datagrams */
    int64_t queue_age_us;

    struct listen_address metrics_listen;

    enum verbosity verbosity;
};

#endif
