#include "otoroshictl/commands/commands.h"

#include <stdio.h>

#include "otoroshictl/cli/options.h"
#include "otoroshictl/net/loop.h"
#include "otoroshictl/net/udp_ports.h"
#include "otoroshictl/ops/log.h"

static int failed_to_start(const struct log *log, const struct start_failure *failure,
                           const struct tunnel_config *config)
{
    static const int statuses[] = {
        [START_NO_RESOURCES] = EXIT_STATUS_RESOURCES,
        [START_BAD_FILE] = EXIT_STATUS_USAGE,
        [START_CANNOT_BIND] = EXIT_STATUS_BIND,
    };
    if (failure->kind == START_CANNOT_BIND)
        log_write(log, LOG_LEVEL_ERROR,
                  "Cannot listen on UDP %s port %u: %s; choose another with --local-host or "
                  "--local-port",
                  config->local_host, config->local_port, failure->text);
    else
        log_write(log, LOG_LEVEL_ERROR, "Cannot start the tunnel: %s", failure->text);
    return statuses[failure->kind];
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
    struct start_failure failure;
    struct udp_ports *ports = NULL;
    struct loop *loop = loop_new(log, udp_ports_descriptors(config));

    start_failure_set(&failure, START_NO_RESOURCES, "out of memory or descriptors");
    if (loop != NULL)
        ports = udp_ports_start(loop, config, log, &failure);
    int status = ports != NULL ? run_loop(loop, log) : failed_to_start(log, &failure, config);
    udp_ports_free(ports);
    loop_free(loop);
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
