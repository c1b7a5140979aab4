/* The command line: options.def -> struct tunnel_config, help texts and completions.
 *
 * The one place that reads argv, the environment and files of secrets. Precedence: command line,
 * then environment (OTOROSHICTL_ + name in upper case with _), then default. */
#ifndef OTOROSHICTL_CLI_OPTIONS_H
#define OTOROSHICTL_CLI_OPTIONS_H

#include <stdio.h>

#include "otoroshictl/ops/log.h"
#include "otoroshictl/tunnel/config.h"

enum exit_status {
    EXIT_STATUS_OK = 0,
    EXIT_STATUS_FAILED = 1,    /* --check failed */
    EXIT_STATUS_USAGE = 2,     /* usage, bad value, missing credential, unreadable file */
    EXIT_STATUS_BIND = 3,      /* the local address could not be bound */
    EXIT_STATUS_RESOURCES = 4, /* memory, descriptors, internal error */
};

/* Which tunnel a command line is for; options.def says which option belongs to which. */
enum tunnel_kind {
    TUNNEL_UDP,
    TUNNEL_TCP,
};

/* What each kind's command does, in one line. */
#define TUNNEL_UDP_SUMMARY "Tunnel UDP traffic through an otoroshi cluster"
#define TUNNEL_TCP_SUMMARY "Tunnel TCP traffic through an otoroshi cluster"

enum parse_outcome {
    PARSE_RUN,       /* *config is complete */
    PARSE_DONE,      /* help was asked for and printed: exit 0 */
    PARSE_ERROR,     /* told on standard error: exit 2 */
    PARSE_RESOURCES, /* out of memory or a full disk, told on standard error: exit 4 */
};

/* Reads `argv[0..argc)`, the words after the command's name. Secrets given as words or in the
 * environment are overwritten there once copied, whatever the outcome; http_proxy and socks_proxy,
 * which libwebsockets would follow, are removed from it. Help goes to standard output, errors to
 * standard error with the usage line, and a warning for each variable that looks like an option's
 * and is none. On PARSE_RUN the caller frees with tunnel_config_free(). */
enum parse_outcome options_parse(struct tunnel_config *config, enum tunnel_kind kind, int argc,
                                 char **argv);

/* Frees the strings, the secrets after wiping them. All zero is legal. */
void tunnel_config_free(struct tunnel_config *config);

/* Log settings from the verbosity and the environment (OTOROSHICTL, OTOROSHICTL_LOG_STYLE,
 * NO_COLOR, TERM). What is not understood there is told on standard error and ignored. */
void options_log_settings(struct log_settings *settings, enum verbosity verbosity);

/* "Usage: otoroshictl udp-tunnel [OPTIONS] --host <HOST>" */
const char *options_usage(enum tunnel_kind kind);

/* What the command does, its usage, and a line per option. */
void options_print_help(FILE *out, enum tunnel_kind kind);

#endif
