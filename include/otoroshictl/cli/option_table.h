/* The rows of options.def as data: what the parser, the help text and the completions share. */
#ifndef OTOROSHICTL_CLI_OPTION_TABLE_H
#define OTOROSHICTL_CLI_OPTION_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "otoroshictl/cli/options.h"

/* How a value is read, checked and stored. */
enum value_type {
    VALUE_FLAG,         /* bool */
    VALUE_PORT,         /* uint16_t */
    VALUE_COUNT,        /* uint32_t */
    VALUE_DURATION,     /* int64_t, microseconds */
    VALUE_TEXT,         /* char *, anything but nothing */
    VALUE_FILE,         /* char *, a file that can be read */
    VALUE_CLIENT_ID,    /* char *, no colon */
    VALUE_GATEWAY_HOST, /* struct gateway_host in hosts[] */
    VALUE_LOCAL_HOST,   /* char *, address or name to bind */
    VALUE_LISTEN,       /* struct listen_address */
    VALUE_SERVER_NAME,  /* char *, address or name to verify */
    VALUE_ACCESS_TYPE,  /* enum access_type */
    VALUE_CONNECTIONS,  /* enum connections_mode */
    VALUE_VERBOSE,      /* enum verbosity */
    VALUE_QUIET,        /* enum verbosity */
    VALUE_HELP,         /* nothing */
};

enum option_trait {
    OPTION_REPEATABLE = 1 << 0,
    OPTION_SECRET = 1 << 1,    /* never shown, wiped from argv and the environment */
    OPTION_NEEDS_TLS = 1 << 2, /* an error without --tls */
};

/* Longest duration that is accepted: a year. Sums of a clock and a few of them cannot overflow. */
#define DURATION_MAX_US (INT64_C(8760) * 3600 * 1000 * 1000)

/* Longest TCP_KEEPIDLE and TCP_KEEPINTVL (tcp(7)): the kernel's MAX_TCP_KEEPIDLE, in seconds. */
#define KEEPALIVE_MAX_US (INT64_C(32767) * 1000 * 1000)

/* Each WebSocket takes two descriptors, and the library keeps tables for as many. */
enum { MAX_CONNECTIONS_MAX = 16384 };

struct option_row {
    const char *name; /* long name without dashes */
    char letter;      /* short name, 0: none */
    enum value_type type;
    size_t offset; /* of its field in struct tunnel_config */
    int64_t least; /* of numbers */
    int64_t most;
    const char *defaults[2]; /* by enum tunnel_kind; NULL: none */
    unsigned kinds;          /* bit 1 << enum tunnel_kind */
    unsigned traits;         /* enum option_trait */
    const char *help;
};

/* Room for the longest "--name <VALUE>" and the longest name of an environment variable. */
enum { OPTION_LABEL_SIZE = 96 };

struct option_label {
    char text[OPTION_LABEL_SIZE];
};

/* Every row, in the order of options.def. */
extern const struct option_row option_table[];
extern const size_t option_table_count;

bool option_has_kind(const struct option_row *row, enum tunnel_kind kind);

/* False for flags and --help. */
bool option_takes_value(const struct option_row *row);

/* False for --help, which no environment variable can ask for. */
bool option_has_environment(const struct option_row *row);

/* True where the field is a string of its own, to be freed. */
bool option_is_text(const struct option_row *row);

/* The row of the long name `name` of exactly `length` bytes, or NULL. */
const struct option_row *option_by_name(enum tunnel_kind kind, const char *name, size_t length);

const struct option_row *option_by_letter(enum tunnel_kind kind, char letter);

/* True for `--name`, `--name=..` and `-x` of a known option: never the value of the option before
 * it. A value that looks like one is given as `--option=value`. */
bool option_is_word(enum tunnel_kind kind, const char *word);

/* "LOCAL_PORT", "--local-port <LOCAL_PORT>" or "--tls", "OTOROSHICTL_LOCAL_PORT". Each returns
 * label->text. */
const char *option_value_name(struct option_label *label, const struct option_row *row);
const char *option_usage(struct option_label *label, const struct option_row *row);
const char *option_environment(struct option_label *label, const struct option_row *row);

#endif
