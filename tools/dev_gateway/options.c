#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char program[] = "otoroshi-dev-gateway";

enum { DEFAULT_REPLY_BUFFER = 16, STATUS_MIN = 200, STATUS_MAX = 599, CLOSE_CODE_MAX = 4999 };

static bool set_text(const char **out, const char *value)
{
    *out = value;
    return *value != '\0';
}

static bool set_listen(struct gateway_config *config, const char *value)
{
    return endpoint_parse(&config->listen, value);
}

static bool set_remote(struct gateway_config *config, const char *value)
{
    return endpoint_parse(&config->remote, value) && config->remote.port != 0;
}

static bool set_tls_cert(struct gateway_config *config, const char *value)
{
    return set_text(&config->tls_cert_file, value);
}

static bool set_tls_key(struct gateway_config *config, const char *value)
{
    return set_text(&config->tls_key_file, value);
}

static bool set_tls_client_ca(struct gateway_config *config, const char *value)
{
    return set_text(&config->tls_client_ca_file, value);
}

static bool set_apikey(struct gateway_config *config, const char *value)
{
    return set_text(&config->apikey, value) && strchr(value, ':') != NULL;
}

static bool set_bearer(struct gateway_config *config, const char *value)
{
    return set_text(&config->bearer_token, value);
}

static bool set_session(struct gateway_config *config, const char *value)
{
    return set_text(&config->session_token, value);
}

static bool set_required_host(struct gateway_config *config, const char *value)
{
    return set_text(&config->required_host, value);
}

static bool set_status(struct gateway_config *config, const char *value)
{
    char digits[4] = "";
    uint64_t status = 0;

    if (strlen(value) < 3)
        return false;
    memcpy(digits, value, 3);
    if (!parse_number(&status, digits, STATUS_MAX) || status < STATUS_MIN)
        return false;
    config->forced_status = (unsigned)status;
    if (value[3] == ':')
        config->forced_detail = value + 4;
    return value[3] == ':' || value[3] == '\0';
}

static bool set_pairing(struct gateway_config *config, const char *value)
{
    config->pairing = strcmp(value, "exact") == 0 ? PAIRING_EXACT : PAIRING_POSITION;
    return config->pairing == PAIRING_EXACT || strcmp(value, "position") == 0;
}

static bool set_reflect(struct gateway_config *config, const char *value)
{
    (void)value;
    config->reflect = true;
    return true;
}

static bool set_buffer(struct gateway_config *config, const char *value)
{
    uint64_t count = 0;

    if (!parse_number(&count, value, 1000000))
        return false;
    config->reply_buffer = (size_t)count;
    return true;
}

static bool set_drop_reply(struct gateway_config *config, const char *value)
{
    return fault_schedule_parse(&config->drop_reply, value);
}

static bool set_duplicate_reply(struct gateway_config *config, const char *value)
{
    return fault_schedule_parse(&config->duplicate_reply, value);
}

static bool set_close_after(struct gateway_config *config, const char *value)
{
    char number[24] = "";
    const size_t length = strcspn(value, ":");
    uint64_t code = config->close_code;

    if (length >= sizeof(number))
        return false;
    memcpy(number, value, length);
    if (value[length] == ':' &&
        (!parse_number(&code, value + length + 1, CLOSE_CODE_MAX) || code < 1000))
        return false;
    config->close_code = (uint16_t)code;
    return parse_number(&config->close_after, number, UINT32_MAX) && config->close_after > 0;
}

static bool set_stop_reading_after(struct gateway_config *config, const char *value)
{
    return parse_number(&config->stop_reading_after, value, UINT32_MAX) &&
           config->stop_reading_after > 0;
}

static bool set_delay(struct gateway_config *config, const char *value)
{
    uint64_t milliseconds = 0;

    if (!parse_number(&milliseconds, value, 3600000))
        return false;
    config->delay_us = (int64_t)milliseconds * 1000;
    return true;
}

static bool set_no_stall(struct gateway_config *config, const char *value)
{
    (void)value;
    config->stall_disabled = true;
    return true;
}

static bool set_drop_in_flight(struct gateway_config *config, const char *value)
{
    (void)value;
    config->loses_in_flight = true;
    return true;
}

static bool set_seed(struct gateway_config *config, const char *value)
{
    return parse_number(&config->seed, value, UINT32_MAX);
}

static bool set_idle_timeout(struct gateway_config *config, const char *value)
{
    uint64_t milliseconds = 0;

    if (!parse_number(&milliseconds, value, 86400000) || milliseconds == 0)
        return false;
    config->idle_timeout_us = (int64_t)milliseconds * 1000;
    return true;
}

/* ROW(name, value's name or NULL for a flag, setter, help) */
#define OPTIONS(ROW)                                                                              \
    ROW("listen", "HOST:PORT", set_listen, "address to listen on (127.0.0.1:8080); port 0: any")  \
    ROW("tls-cert", "FILE", set_tls_cert, "serve TLS with this certificate (PEM)")                \
    ROW("tls-key", "FILE", set_tls_key, "and this key")                                           \
    ROW("tls-client-ca", "FILE", set_tls_client_ca, "ask clients for a certificate of this CA")   \
    ROW("remote", "HOST:PORT", set_remote, "forward here, whatever the query says")               \
    ROW("apikey", "ID:SECRET", set_apikey, "admit this API key (or " OPTIONS_APIKEY_VARIABLE ")") \
    ROW("bearer", "TOKEN", set_bearer, "admit this bearer token")                                 \
    ROW("session", "TOKEN", set_session, "admit this session token (pappsToken)")                 \
    ROW("require-host", "NAME", set_required_host, "404 for any other Host")                      \
    ROW("status", "CODE[:DETAIL]", set_status,                                                    \
        "answer every request thus (Retry-After, Location)")                                      \
    ROW("pairing", "position|exact", set_pairing, "as Otoroshi (default), or an ideal gateway")   \
    ROW("reflect", NULL, set_reflect, "return every message unchanged, without a remote")         \
    ROW("buffer", "N", set_buffer, "replies that may wait for a label (16)")                      \
    ROW("drop-reply", "N[,N...]|every:N", set_drop_reply, "lose these replies of each WebSocket") \
    ROW("duplicate-reply", "N[,N...]|every:N", set_duplicate_reply, "double these replies")       \
    ROW("close-after", "N[:CODE]", set_close_after, "close after N frames (1000; 1006: hang up)") \
    ROW("stop-reading-after", "N", set_stop_reading_after, "go deaf after N frames")              \
    ROW("delay", "MS", set_delay, "hold every UDP reply back")                                    \
    ROW("no-stall", NULL, set_no_stall, "go on reading at 32 outstanding labels")                 \
    ROW("drop-in-flight", NULL, set_drop_in_flight, "lose some replies above 8 outstanding")      \
    ROW("seed", "N", set_seed, "seed of --drop-in-flight (0)")                                    \
    ROW("idle-timeout", "MS", set_idle_timeout, "instead of 60 s (TCP) and 3,600 s (UDP)")

static const struct option_row {
    const char *name;
    const char *value_name;
    bool (*set)(struct gateway_config *config, const char *value);
    const char *help;
} rows[] = {
#define OPTION_ROW(name, value_name, set, help) {name, value_name, set, help},
    OPTIONS(OPTION_ROW)
#undef OPTION_ROW
};

enum { ROW_COUNT = sizeof(rows) / sizeof(rows[0]), FIRST_ROW = 256 };

static void print_help(void)
{
    printf("Stands in for Otoroshi's tunnel endpoint in demos, tests and benchmarks.\n\n"
           "Usage: %s [OPTION]...\n\n",
           program);
    for (size_t i = 0; i < ROW_COUNT; i++) {
        char left[64];
        snprintf(left, sizeof(left), "--%s %s", rows[i].name,
                 rows[i].value_name != NULL ? rows[i].value_name : "");
        printf("  %-36s %s\n", left, rows[i].help);
    }
    printf("  %-36s %s\n  %-36s %s\n", "-h, --help", "this text", "-V, --version", "the version");
}

static enum options_outcome bad_usage(const char *what, const char *name)
{
    fprintf(stderr, "%s: %s%s\nUsage: %s [OPTION]... (see --help)\n", program, what, name, program);
    return OPTIONS_BAD;
}

static void fill_getopt(struct option *table)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        table[i] =
            (struct option){.name = rows[i].name,
                            .has_arg = rows[i].value_name != NULL ? required_argument : no_argument,
                            .val = FIRST_ROW + (int)i};
    }
    table[ROW_COUNT] = (struct option){.name = "help", .val = 'h'};
    table[ROW_COUNT + 1] = (struct option){.name = "version", .val = 'V'};
}

static enum options_outcome take_option(struct gateway_config *config, int value)
{
    switch (value) {
    case 'h':
        print_help();
        return OPTIONS_DONE;
    case 'V':
        printf("%s %s\n", program, OTOROSHICTL_VERSION);
        return OPTIONS_DONE;
    case '?':
        return bad_usage("bad command line", "");
    default:
        break;
    }
    const struct option_row *row = &rows[value - FIRST_ROW];
    if (!row->set(config, optarg))
        return bad_usage("bad value of --", row->name);
    return OPTIONS_RUN;
}

/* The environment is for the process's owner alone to read, arguments are for everybody. */
static enum options_outcome read_environment(struct gateway_config *config)
{
    const char *apikey = getenv(OPTIONS_APIKEY_VARIABLE);

    if (config->apikey != NULL || apikey == NULL || apikey[0] == '\0')
        return OPTIONS_RUN;
    return set_apikey(config, apikey) ? OPTIONS_RUN
                                      : bad_usage("bad value of ", OPTIONS_APIKEY_VARIABLE);
}

static enum options_outcome check_together(const struct gateway_config *config)
{
    if ((config->tls_cert_file == NULL) != (config->tls_key_file == NULL))
        return bad_usage("--tls-cert and --tls-key go together", "");
    if (config->tls_client_ca_file != NULL && config->tls_cert_file == NULL)
        return bad_usage("--tls-client-ca needs --tls-cert", "");
    return OPTIONS_RUN;
}

enum options_outcome options_parse(struct gateway_config *config, int argc, char **argv)
{
    struct option table[ROW_COUNT + 3] = {{0}};
    enum options_outcome outcome = OPTIONS_RUN;
    int value = 0;

    memset(config, 0, sizeof(*config));
    config->listen = (struct endpoint){.host = "127.0.0.1", .port = 8080};
    config->reply_buffer = DEFAULT_REPLY_BUFFER;
    config->close_code = 1000;
    fill_getopt(table);
    while (outcome == OPTIONS_RUN && (value = getopt_long(argc, argv, "hV", table, NULL)) != -1)
        outcome = take_option(config, value);
    if (outcome != OPTIONS_RUN)
        return outcome;
    if (optind < argc)
        return bad_usage("unexpected argument ", argv[optind]);
    outcome = read_environment(config);
    return outcome == OPTIONS_RUN ? check_together(config) : outcome;
}
