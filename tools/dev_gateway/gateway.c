#include "gateway.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "session.h"
#include "transport.h"
#include "upgrade_request.h"
#include "watch.h"

enum {
    HEADERS_MAX_BYTES = 32768,
    SERVICE_BUFFER_BYTES = 32768,
    LIBRARY_READ_BYTES = 1024, /* the upgrade only: afterwards sessions read for themselves */
    BACKLOG = 4096,
    ACCEPTS_A_TURN = 64,
    DESCRIPTORS_MAX = 65536,
};

/* ---- WebSocket upgrades ---- */

/* The library's memory for one connection. */
struct connection {
    struct upgrade_request request;
    struct session *session;
};

static struct gateway *gateway_of(struct lws *wsi)
{
    return lws_context_user(lws_get_context(wsi));
}

/* 0: upgrade. -1: answered, hang up. */
static int admit(struct lws *wsi, bool wants_upgrade)
{
    struct gateway *gateway = gateway_of(wsi);
    const struct admission admission = upgrade_request_admit(wsi, gateway->config, wants_upgrade);

    if (admission.status == ADMISSION_GRANTED)
        return 0;
    if (admission.status < COUNTERS_STATUS_MAX)
        gateway->counters.refused[admission.status]++;
    upgrade_request_refuse(wsi, gateway->config, &admission);
    return -1;
}

static const struct transport_ops *choose_transport(const struct gateway *gateway,
                                                    const struct upgrade_request *request)
{
    if (gateway->config->reflect)
        return &reflect_transport;
    return request->is_tcp ? &tcp_transport : &udp_transport;
}

static int begin_session(struct lws *wsi, struct connection *connection)
{
    struct gateway *gateway = gateway_of(wsi);

    connection->session = session_new(gateway, wsi, choose_transport(gateway, &connection->request),
                                      &connection->request.remote);
    lws_set_opaque_user_data(wsi, connection->session);
    return connection->session != NULL ? 0 : -1;
}

static int end_session(struct lws *wsi)
{
    struct session *session = lws_get_opaque_user_data(wsi);

    if (session != NULL)
        session_connection_closed(session);
    return 0;
}

static int tunnel_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                           size_t size)
{
    switch (reason) {
    case LWS_CALLBACK_HTTP:
        return admit(wsi, false);
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
        return admit(wsi, strcasecmp(in, "websocket") == 0);
    case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
        upgrade_request_read(&((struct connection *)user)->request, wsi, gateway_of(wsi)->config);
        return 0;
    case LWS_CALLBACK_ESTABLISHED:
        return begin_session(wsi, user);
    case LWS_CALLBACK_CLOSED:
        return end_session(wsi);
    case LWS_CALLBACK_OPENSSL_PERFORM_CLIENT_CERT_VERIFICATION:
        /* `size` is what OpenSSL makes of the certificate; 0 from here would overrule it. */
        return size == 0;
    default:
        return 0;
    }
}

static const struct lws_protocols protocols[] = {
    {.name = "otoroshi-tunnel",
     .callback = tunnel_callback,
     .per_session_data_size = sizeof(struct connection),
     .rx_buffer_size = LIBRARY_READ_BYTES},
    {.name = WATCH_PROTOCOL, .callback = watch_callback},
    {.name = NULL},
};

/* ---- listener ---- */

static void adopt_client(struct gateway *gateway, int fd)
{
    const int one = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    (void)lws_adopt_socket_vhost(gateway->vhost, fd); /* closes it where it fails */
}

static void listener_readable(void *owner)
{
    struct gateway *gateway = owner;

    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        const int fd =
            accept4(watch_fd(gateway->listener), NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        adopt_client(gateway, fd);
    }
}

static void listener_hangup(void *owner)
{
    struct gateway *gateway = owner;

    gateway->listener = NULL;
    gateway->stopping = true;
}

static const struct watch_events listener_events = {
    .readable = listener_readable,
    .hangup = listener_hangup,
};

/* A listening socket, or -1 with the reason in *why. */
static int listen_on(const struct endpoint *endpoint, const char **why)
{
    struct sockaddr_storage address;
    socklen_t length = 0;
    const int one = 1;

    if (!endpoint_resolve(endpoint, SOCK_STREAM, &address, &length, why))
        return -1;
    const int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        goto fail;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, (const struct sockaddr *)&address, length) != 0 || listen(fd, BACKLOG) != 0)
        goto fail_socket;
    return fd;

fail_socket:
    *why = strerror(errno);
    close(fd);
    return -1;
fail:
    *why = strerror(errno);
    return -1;
}

static void print_ready(int fd)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof(address);
    struct endpoint bound = {0};
    char port[8];
    char text[ENDPOINT_TEXT_SIZE];

    if (getsockname(fd, (struct sockaddr *)&address, &length) != 0 ||
        getnameinfo((struct sockaddr *)&address, length, bound.host, sizeof(bound.host), port,
                    sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0 ||
        !endpoint_set(&bound, bound.host, port))
        return;
    endpoint_format(&bound, text);
    printf("otoroshi-dev-gateway listening on %s\n", text);
    fflush(stdout);
}

/* ---- signals ---- */

static void signals_readable(void *owner)
{
    struct gateway *gateway = owner;
    struct signalfd_siginfo info;

    while (read(watch_fd(gateway->signals), &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGUSR1)
            counters_print(&gateway->counters, stdout);
        else
            gateway->stopping = true;
    }
}

static void signals_hangup(void *owner)
{
    struct gateway *gateway = owner;

    gateway->signals = NULL;
}

static const struct watch_events signals_events = {
    .readable = signals_readable,
    .hangup = signals_hangup,
};

static int watch_signals(struct gateway *gateway)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    const int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0)
        return -1;
    gateway->signals = watch_open(gateway->vhost, fd, &signals_events, gateway);
    return gateway->signals != NULL ? 0 : -1;
}

/* ---- life ---- */

static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max < DESCRIPTORS_MAX ? limit.rlim_max : DESCRIPTORS_MAX;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static int make_context(struct gateway *gateway)
{
    static const lws_retry_bo_t no_pings = {0}; /* no validity check: 0 s to hang-up is never */
    const struct gateway_config *config = gateway->config;
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .protocols = protocols,
        .user = gateway,
        .options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS,
        .pt_serv_buf_size = SERVICE_BUFFER_BYTES,
        .max_http_header_data2 = HEADERS_MAX_BYTES,
        .retry_and_idle_policy = &no_pings,
        .vhost_name = "otoroshi",
        .alpn = "http/1.1",
    };

    if (config->tls_cert_file != NULL) {
        info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
        info.ssl_cert_filepath = config->tls_cert_file;
        info.ssl_private_key_filepath = config->tls_key_file;
    }
    if (config->tls_client_ca_file != NULL) {
        info.options |= LWS_SERVER_OPTION_REQUIRE_VALID_OPENSSL_CLIENT_CERT;
        info.ssl_ca_filepath = config->tls_client_ca_file;
    }
    gateway->context = lws_create_context(&info);
    if (gateway->context == NULL)
        return -1;
    gateway->vhost = lws_create_vhost(gateway->context, &info);
    return gateway->vhost != NULL ? 0 : -1;
}

static void destroy(struct gateway *gateway)
{
    session_end_all(gateway);
    watch_close(gateway->listener);
    watch_close(gateway->signals);
    if (gateway->context != NULL)
        lws_context_destroy(gateway->context);
    free(gateway->udp_scratch);
}

static void serve(struct gateway *gateway)
{
    while (!gateway->stopping && lws_service(gateway->context, 0) >= 0)
        session_sweep(gateway);
}

enum gateway_exit gateway_run(const struct gateway_config *config)
{
    struct gateway gateway = {.config = config};
    enum gateway_exit outcome = GATEWAY_NO_RESOURCES;
    const char *why = NULL;
    const int fd = listen_on(&config->listen, &why);

    if (fd < 0) {
        char text[ENDPOINT_TEXT_SIZE];
        endpoint_format(&config->listen, text);
        fprintf(stderr, "otoroshi-dev-gateway: cannot listen on %s: %s\n", text, why);
        return GATEWAY_BIND_FAILED;
    }
    lws_set_log_level(LLL_ERR, NULL);
    raise_descriptor_limit();
    if (make_context(&gateway) != 0) {
        close(fd);
        outcome = config->tls_cert_file != NULL ? GATEWAY_BAD_USAGE : GATEWAY_NO_RESOURCES;
        goto done;
    }
    gateway.listener = watch_open(gateway.vhost, fd, &listener_events, &gateway);
    if (gateway.listener == NULL || watch_signals(&gateway) != 0)
        goto done;
    print_ready(fd);
    serve(&gateway);
    counters_print(&gateway.counters, stdout);
    outcome = GATEWAY_STOPPED;
done:
    destroy(&gateway);
    return outcome;
}
