#include "otoroshictl/commands/commands.h"

#include "otoroshictl/cli/options.h"
#include "otoroshictl/net/loop.h"
#include "otoroshictl/net/status_server.h"
#include "otoroshictl/net/udp_ports.h"
#include "otoroshictl/ops/log.h"

/* What a command line asks for, running. */
struct session {
    const struct tunnel_config *config;
    const struct log *log;
    struct loop *loop;
    struct status_server *status; /* NULL without --metrics-listen */
    struct udp_ports *ports;
};

static void tell_facts(void *context, struct tunnel_facts *facts)
{
    const struct session *session = context;
    udp_ports_facts(session->ports, facts);
}

static int failed_to_start(const struct log *log, const struct start_failure *failure)
{
    static const int statuses[] = {
        [START_NO_RESOURCES] = EXIT_STATUS_RESOURCES,
        [START_BAD_FILE] = EXIT_STATUS_USAGE,
        [START_CANNOT_BIND] = EXIT_STATUS_BIND,
    };
    if (failure->kind != START_CANNOT_BIND)
        log_write(log, LOG_LEVEL_ERROR, "Cannot start the tunnel: %s", failure->text);
    return statuses[failure->kind];
}

/* Before the tunnel, which begins to connect as soon as it is there. */
static int start_status(struct session *session)
{
    struct start_failure failure;
    const struct listen_address *where = &session->config->metrics_listen;
    if (where->host == NULL)
        return EXIT_STATUS_OK;
    session->status = status_server_start(session->loop, where, tell_facts, session, &failure);
    if (session->status != NULL)
        return EXIT_STATUS_OK;
    if (failure.kind == START_CANNOT_BIND)
        log_write(session->log, LOG_LEVEL_ERROR,
                  "Cannot listen on TCP %s port %u: %s; choose another with --metrics-listen",
                  where->host, where->port, failure.text);
    return failed_to_start(session->log, &failure);
}

static int start_tunnel(struct session *session)
{
    struct start_failure failure;
    const struct tunnel_config *config = session->config;
    session->ports = udp_ports_start(session->loop, config, session->log, &failure);
    if (session->ports != NULL)
        return EXIT_STATUS_OK;
    if (failure.kind == START_CANNOT_BIND)
        log_write(session->log, LOG_LEVEL_ERROR,
                  "Cannot listen on UDP %s port %u: %s; choose another with --local-host or "
                  "--local-port",
                  config->local_host, config->local_port, failure.text);
    return failed_to_start(session->log, &failure);
}

static int start(struct session *session)
{
    struct start_failure failure;
    session->loop = loop_new(session->log, udp_ports_descriptors(session->config));
    if (session->loop == NULL) {
        start_failure_set(&failure, START_NO_RESOURCES, "out of memory or descriptors");
        return failed_to_start(session->log, &failure);
    }
    int status = start_status(session);
    return status == EXIT_STATUS_OK ? start_tunnel(session) : status;
}

static int run_loop(struct loop *loop, const struct log *log)
{
    if (loop_run(loop) == 0)
        return EXIT_STATUS_OK;
    log_write(log, LOG_LEVEL_ERROR, "The event loop failed; the tunnel ends");
    return EXIT_STATUS_RESOURCES;
}

static int run(const struct tunnel_config *config, const struct log *log)
{
    struct session session = {.config = config, .log = log};
    int status = start(&session);
    if (status == EXIT_STATUS_OK)
        status = run_loop(session.loop, log);
    status_server_free(session.status);
    udp_ports_free(session.ports);
    loop_free(session.loop);
    return status;
}

int command_udp_tunnel(int argc, char **argv)
{
    struct tunnel_config config;
    struct log_settings settings;
    struct log log;

    switch (options_parse(&config, TUNNEL_UDP, argc, argv)) {
    case PARSE_DONE:
        return EXIT_STATUS_OK;
    case PARSE_ERROR:
        return EXIT_STATUS_USAGE;
    case PARSE_RESOURCES:
        return EXIT_STATUS_RESOURCES;
    case PARSE_RUN:
        break;
    }
    options_log_settings(&settings, config.verbosity);
    log_init(&log, &settings, "otoroshictl::tunnels::udp");
    int status = run(&config, &log);
    tunnel_config_free(&config);
    return status;
}
