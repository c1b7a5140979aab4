#include "otoroshictl/commands/commands.h"

#include <stdio.h>

#include "otoroshictl/cli/options.h"
#include "otoroshictl/net/loop.h"
#include "otoroshictl/net/udp_ports.h"
#include "otoroshictl/ops/log.h"

static void log_start_failure(const struct log *log, enum udp_ports_result result,
                              const struct tunnel_config *config, const char *error)
{
    if (result == UDP_PORTS_CANNOT_BIND)
        log_write(log, LOG_LEVEL_ERROR,
                  "Cannot listen on UDP %s port %u: %s; choose another with --local-host or "
                  "--local-port",
                  config->local_host, config->local_port, error);
    else
        log_write(log, LOG_LEVEL_ERROR, "Cannot start the tunnel: %s", error);
}

static int run(const struct tunnel_config *config, const struct log *log)
{
    static const int statuses[] = {
        [UDP_PORTS_OK] = EXIT_STATUS_OK,
        [UDP_PORTS_BAD_FILE] = EXIT_STATUS_USAGE,
        [UDP_PORTS_CANNOT_BIND] = EXIT_STATUS_BIND,
        [UDP_PORTS_NO_RESOURCES] = EXIT_STATUS_RESOURCES,
    };
    char error[512] = "out of memory or descriptors";
    struct udp_ports *ports = NULL;
    enum udp_ports_result result = UDP_PORTS_NO_RESOURCES;
    struct loop *loop = loop_new(log);

    if (loop != NULL)
        result = udp_ports_start(&ports, loop, config, log, error, sizeof error);
    if (result == UDP_PORTS_OK)
        loop_run(loop);
    else
        log_start_failure(log, result, config, error);
    udp_ports_free(ports);
    loop_free(loop);
    return statuses[result];
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
