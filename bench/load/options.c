#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "request.h"

enum { CLIENTS_MAX = 20000, WINDOW_MAX = 1024, DURATION_MAX_MS = 3600000, NS_PER_MS = 1000000 };

/* ROW(name, value's name, smallest, largest, default, help); --port and --echo have no default. */
#define OPTIONS(ROW)                                                                             \
    ROW(echo, "PORT", 0, UINT16_MAX, -1, "answer on this port of 127.0.0.1; 0: any")             \
    ROW(port, "PORT", 1, UINT16_MAX, -1, "put the load on this port of 127.0.0.1")               \
    ROW(sockets, "N", 1, CLIENTS_MAX, 4, "clients, each with a socket of its own (4)")           \
    ROW(window, "N", 1, WINDOW_MAX, 4, "requests in flight of each (4)")                         \
    ROW(payload, "BYTES", REQUEST_HEADER_BYTES, REQUEST_MAX_BYTES, 64, "size of a request (64)") \
    ROW(duration, "MS", 1, DURATION_MAX_MS, 2000, "how long to count (2000)")                    \
    ROW(warmup, "MS", 0, DURATION_MAX_MS, 0, "how long to send before counting (0)")             \
    ROW(patience, "MS", 20, DURATION_MAX_MS, 1000, "when a request is given up (1000)")          \
    ROW(pid, "PID", 1, INT32_MAX, -1, "tell the processor time and memory of this process")

enum option_row {
#define OPTION_ID(name, ...) OPTION_##name,
    OPTIONS(OPTION_ID)
#undef OPTION_ID
        OPTION_COUNT
};

static const struct row {
    const char *name;
    const char *value_name;
    long long smallest;
    long long largest;
    long long otherwise;
    const char *help;
} rows[] = {
#define OPTION_ROW(name, ...) {#name, __VA_ARGS__},
    OPTIONS(OPTION_ROW)
#undef OPTION_ROW
};

static void print_help(void)
{
    puts("Puts a load on a UDP port and prints what came back as one JSON object, or answers.\n\n"
         "Usage: udp-load --port PORT [OPTION]...\n"
         "       udp-load --echo PORT\n");
    for (size_t i = 0; i < OPTION_COUNT; i++)
        printf("  --%-8s %-6s %s\n", rows[i].name, rows[i].value_name, rows[i].help);
    printf("  -h, --help        this text\n");
}

static enum options_outcome bad_usage(const char *what, const char *name)
{
    fprintf(stderr, "udp-load: %s%s (see --help)\n", what, name);
    return OPTIONS_BAD;
}

static bool parse_number(long long *out, const char *text, const struct row *row)
{
    char *end = NULL;

    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    *out = strtoll(text, &end, 10);
    return errno == 0 && *end == '\0' && *out >= row->smallest && *out <= row->largest;
}

static enum options_outcome take_words(long long *values, int argc, char **argv)
{
    struct option table[OPTION_COUNT + 2] = {{0}};
    int id = 0;

    for (int i = 0; i < OPTION_COUNT; i++)
        table[i] = (struct option){.name = rows[i].name, .has_arg = required_argument, .val = i};
    table[OPTION_COUNT] = (struct option){.name = "help", .val = 'h'};
    while ((id = getopt_long(argc, argv, "h", table, NULL)) != -1) {
        if (id == 'h') {
            print_help();
            return OPTIONS_DONE;
        }
        if (id == '?')
            return OPTIONS_BAD;
        if (!parse_number(&values[id], optarg, &rows[id]))
            return bad_usage("bad value of --", rows[id].name);
    }
    return optind < argc ? bad_usage("unexpected argument ", argv[optind]) : OPTIONS_RUN;
}

enum options_outcome options_parse(struct options *options, int argc, char **argv)
{
    long long values[OPTION_COUNT];

    for (size_t i = 0; i < OPTION_COUNT; i++)
        values[i] = rows[i].otherwise;
    const enum options_outcome outcome = take_words(values, argc, argv);
    if (outcome != OPTIONS_RUN)
        return outcome;
    if ((values[OPTION_echo] < 0) == (values[OPTION_port] < 0))
        return bad_usage("either --echo or --port is needed", "");
    *options =
        (struct options){.echo = values[OPTION_echo] >= 0,
                         .echo_port = (uint16_t)values[OPTION_echo],
                         .load = {.port = (uint16_t)values[OPTION_port],
                                  .clients = (uint32_t)values[OPTION_sockets],
                                  .window = (uint32_t)values[OPTION_window],
                                  .payload_bytes = (uint32_t)values[OPTION_payload],
                                  .warm_up_ns = values[OPTION_warmup] * NS_PER_MS,
                                  .duration_ns = values[OPTION_duration] * NS_PER_MS,
                                  .patience_ns = values[OPTION_patience] * NS_PER_MS,
                                  .pid = values[OPTION_pid] > 0 ? (pid_t)values[OPTION_pid] : 0}};
    return OPTIONS_RUN;
}
