#include "otoroshictl/net/status_server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bound_socket.h"
#include "microhttpd.h"
#include "otoroshictl/ops/status_pages.h"

enum {
    CLIENTS_MAX = 32,
    CLIENTS_WANTED = 24, /* above it the oldest goes, so that there is always room for the next */
    REQUEST_BYTES_MAX = 32 * 1024, /* a browser brings its cookies for every port of this host */
    BODY_BYTES_MAX = 64 * 1024,    /* read and thrown away, so that the answer is read */
    CLIENT_US = 10 * 1000 * 1000,  /* from accept to the last byte of the answer */
};

/* One HTTP connection. */
struct http_client {
    bool used;
    bool ended; /* shut down by us, and about to be closed by the library */
    int fd;
    int64_t since_us;
    size_t body_bytes;
};

struct status_server {
    struct loop *loop;
    const struct listen_address *listen;
    status_server_source *source;
    void *context;
    struct microhttpd http;
    struct MHD_Daemon *daemon;
    int listener; /* the daemon's, once there is one */
    int spare_fd; /* see refuse_if_stuck() */
    struct loop_watch *watch;
    struct loop_timer *timer;
    bool closed_one; /* in this turn */
    int64_t started_us;
    int64_t start_time_s;
    struct library_versions versions;
    struct http_client clients[CLIENTS_MAX];
    char page[METRICS_BYTES_MAX];
};

/* ---- connections ----------------------------------------------------------------------------- */

/* The one that is open longest, and its number in *count. */
static struct http_client *oldest_client(struct status_server *server, size_t *count)
{
    struct http_client *oldest = NULL;
    *count = 0;
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        struct http_client *client = &server->clients[i];
        if (!client->used || client->ended)
            continue;
        (*count)++;
        if (oldest == NULL || client->since_us < oldest->since_us)
            oldest = client;
    }
    return oldest;
}

/* The library has no call that closes a connection, but closes one that has come to its end. */
static void end_client(struct http_client *client)
{
    shutdown(client->fd, SHUT_RDWR);
    client->ended = true;
}

static struct http_client *free_client(struct status_server *server)
{
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        if (!server->clients[i].used)
            return &server->clients[i];
    return NULL;
}

static void client_connected(struct status_server *server, struct MHD_Connection *connection,
                             void **client_context)
{
    size_t count;
    struct http_client *client = free_client(server);
    struct http_client *oldest = oldest_client(server, &count);
    if (count >= CLIENTS_WANTED)
        end_client(oldest);
    *client_context = client;
    if (client == NULL) /* then on_request() refuses */
        return;
    *client = (struct http_client){
        .used = true,
        .since_us = loop_now_us(),
        .fd = server->http.MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)
                  ->connect_fd,
    };
}

static void on_connection(void *context, struct MHD_Connection *connection, void **client_context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct status_server *server = context;
    struct http_client *client = *client_context;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        client_connected(server, connection, client_context);
        return;
    }
    server->closed_one = true;
    if (client != NULL)
        client->used = false;
}

/* ---- requests -------------------------------------------------------------------------------- */

/* The second number of proc_pid_statm(5); 0 where it cannot be read. */
static uint64_t resident_bytes(void)
{
    char line[128] = "";
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL)
        return 0;
    if (fgets(line, sizeof line, file) == NULL)
        line[0] = '\0';
    fclose(file);
    const char *pages = line + strcspn(line, " ");
    return (uint64_t)strtoul(pages, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static int64_t cpu_us(void)
{
    struct timespec used = {0};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (int64_t)used.tv_sec * 1000000 + used.tv_nsec / 1000;
}

static void collect_facts(struct status_server *server, struct status_facts *facts)
{
    facts->listen_host = server->listen->host;
    facts->process = (struct process_facts){
        .version = OTOROSHICTL_VERSION,
        .libwebsockets = server->versions.libwebsockets,
        .openssl = server->versions.openssl,
        .start_time_s = server->start_time_s,
        .uptime_us = loop_now_us() - server->started_us,
        .cpu_us = cpu_us(),
        .resident_bytes = resident_bytes(),
    };
    server->source(server->context, &facts->tunnel);
}

static struct MHD_Response *make_response(const struct microhttpd *http,
                                          const struct status_answer *answer)
{
    const char *const headers[][2] = {
        {"Content-Type", answer->content_type}, {"Cache-Control", "no-store"},
        {"X-Content-Type-Options", "nosniff"},  {"Connection", "close"},
        {"Allow", STATUS_PAGES_METHODS}, /* last: for 405 alone */
    };
    size_t count = sizeof headers / sizeof headers[0];
    struct MHD_Response *response = http->MHD_create_response_from_buffer(
        answer->body.used, answer->body.out, MHD_RESPMEM_MUST_COPY);
    if (response == NULL)
        return NULL;
    if (answer->status != MHD_HTTP_METHOD_NOT_ALLOWED)
        count--;
    for (size_t i = 0; i < count; i++) {
        if (http->MHD_add_response_header(response, headers[i][0], headers[i][1]) != MHD_YES) {
            http->MHD_destroy_response(response);
            return NULL;
        }
    }
    return response;
}

static enum MHD_Result answer_request(struct status_server *server,
                                      struct MHD_Connection *connection,
                                      const struct status_request *request)
{
    struct status_facts facts;
    struct status_answer answer;
    collect_facts(server, &facts);
    text_init(&answer.body, server->page, sizeof server->page);
    status_pages_answer(&answer, request, &facts);
    struct MHD_Response *response = make_response(&server->http, &answer);
    if (response == NULL)
        return MHD_NO;
    enum MHD_Result queued = server->http.MHD_queue_response(connection, answer.status, response);
    server->http.MHD_destroy_response(response);
    return queued;
}

/* Called with the head, then with each piece of a body, then once more. MHD_NO closes.
 * NOLINTNEXTLINE(readability-function-size): the library's own signature. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *path, const char *method, const char *version,
                                  const char *body, size_t *body_size, void **request_context)
{
    struct status_server *server = context;
    struct http_client *client =
        server->http.MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)
            ->socket_context;
    (void)version;
    (void)body;
    if (client == NULL)
        return MHD_NO;
    if (*request_context == NULL) {
        *request_context = client;
        return MHD_YES;
    }
    if (*body_size > 0) {
        client->body_bytes += *body_size;
        *body_size = 0;
        return client->body_bytes <= BODY_BYTES_MAX ? MHD_YES : MHD_NO;
    }
    struct status_request request = {
        .method = method,
        .path = path,
        .host = server->http.MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Host")};
    return answer_request(server, connection, &request);
}

/* ---- on the loop ----------------------------------------------------------------------------- */

/* Ends what is overdue. Returns when the next one will be. */
static int64_t end_overdue(struct status_server *server, int64_t now_us)
{
    size_t count;
    for (;;) {
        struct http_client *oldest = oldest_client(server, &count);
        if (oldest == NULL)
            return INT64_MAX;
        if (now_us < oldest->since_us + CLIENT_US)
            return oldest->since_us + CLIENT_US;
        end_client(oldest);
    }
}

static bool has_clients(const struct status_server *server)
{
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        if (server->clients[i].used)
            return true;
    return false;
}

/* Without a descriptor the library cannot accept, and without a connection of its own it goes on
 * trying: the loop would spin. So the client is turned away with the descriptor kept for this. */
static void refuse_if_stuck(struct status_server *server)
{
    int probe = dup(server->listener);
    bool out_of_descriptors = probe < 0;
    if (out_of_descriptors) {
        close(server->spare_fd);
        probe = accept(server->listener, NULL, NULL);
    }
    if (probe >= 0)
        close(probe);
    if (out_of_descriptors)
        server->spare_fd = dup(server->listener);
}

static void serve(void *context)
{
    struct status_server *server = context;
    MHD_UNSIGNED_LONG_LONG timeout_ms;
    int64_t now_us = loop_now_us();
    server->closed_one = false;
    server->http.MHD_run(server->daemon);
    int64_t wake_us = end_overdue(server, now_us);
    if (server->http.MHD_get_timeout(server->daemon, &timeout_ms) == MHD_YES && timeout_ms == 0)
        wake_us = now_us; /* it has taken events that it has not yet worked on */
    if (server->closed_one)
        wake_us = now_us; /* at its limit it listens again in the next turn only */
    else if (!has_clients(server))
        refuse_if_stuck(server);
    loop_timer_set(server->timer, wake_us);
}

static void watch_gone(void *context)
{
    struct status_server *server = context;
    server->watch = NULL;
    log_write(loop_log(server->loop), LOG_LEVEL_ERROR, "The status page was closed by the system");
}

/* ---- life ------------------------------------------------------------------------------------ */

/* A port that was just given up may be taken again. */
static void prepare(int fd, const struct addrinfo *address, void *context)
{
    const int on = 1;
    (void)address;
    (void)context;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
}

static int open_listener(struct status_server *server, struct start_failure *failure)
{
    const struct local_address local = {server->listen->host, server->listen->port};
    server->listener = bound_socket_open(&local, SOCK_STREAM, prepare, NULL, failure);
    if (server->listener < 0)
        return -1;
    if (listen(server->listener, SOMAXCONN) != 0) /* another has bound it in the same way */
        return start_failure_set(failure, START_CANNOT_BIND, "%s", strerror(errno));
    return 0;
}

static int start_daemon(struct status_server *server)
{
    server->daemon = server->http.MHD_start_daemon(
        MHD_USE_EPOLL, 0, NULL, NULL, on_request, server, MHD_OPTION_LISTEN_SOCKET,
        server->listener, MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CLIENTS_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)REQUEST_BYTES_MAX, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
    server->spare_fd = dup(server->listener);
    return server->daemon != NULL && server->spare_fd >= 0 ? 0 : -1;
}

static int watch_daemon(struct status_server *server)
{
    static const struct loop_watch_events events = {.readable = serve, .gone = watch_gone};
    int fd =
        dup(server->http.MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd);
    server->timer = loop_timer_new(server->loop, serve, server);
    if (fd >= 0)
        server->watch = loop_watch_new(server->loop, fd, &events, server);
    return server->watch != NULL && server->timer != NULL ? 0 : -1;
}

static struct status_server *server_new(struct loop *loop, const struct listen_address *listen,
                                        status_server_source *source, void *context)
{
    struct status_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return NULL;
    server->loop = loop;
    server->listen = listen;
    server->source = source;
    server->context = context;
    server->listener = -1;
    server->spare_fd = -1;
    server->started_us = loop_now_us();
    server->start_time_s = (int64_t)time(NULL);
    loop_versions(&server->versions);
    return server;
}

struct status_server *status_server_start(struct loop *loop, const struct listen_address *listen,
                                          status_server_source *source, void *context,
                                          struct start_failure *failure)
{
    char name[64];
    struct status_server *server = server_new(loop, listen, source, context);
    start_failure_set(failure, START_NO_RESOURCES, "out of memory or descriptors");
    if (server == NULL || microhttpd_load(&server->http, failure) != 0 ||
        open_listener(server, failure) != 0)
        goto fail;
    if (start_daemon(server) != 0 || watch_daemon(server) != 0) {
        start_failure_set(failure, START_NO_RESOURCES, "no memory or descriptor for HTTP");
        goto fail;
    }
    bound_socket_name(server->listener, name, sizeof name);
    log_write(loop_log(loop), LOG_LEVEL_INFO, "Status page on http://%s/", name);
    return server;

fail:
    status_server_free(server);
    return NULL;
}

static void close_if_open(int fd)
{
    if (fd >= 0)
        close(fd);
}

void status_server_free(struct status_server *server)
{
    if (server == NULL)
        return;
    loop_watch_free(server->watch);
    loop_timer_free(server->timer);
    if (server->daemon != NULL)
        server->http.MHD_stop_daemon(server->daemon); /* closes the listener */
    else
        close_if_open(server->listener);
    close_if_open(server->spare_fd);
    free(server);
}
