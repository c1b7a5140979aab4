/* What must hold between options: parse_check() of parse.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "otoroshictl/cli/report.h"
#include "otoroshictl/codec/upgrade.h"
#include "otoroshictl/tunnel/upgrade_request.h"
#include "parse.h"

enum { CREDENTIALS_MAX = 2 };

struct access_rule {
    const char *name;
    enum option_id needs[CREDENTIALS_MAX]; /* OPTION_COUNT: none */
};

static const struct access_rule access_rules[] = {
    [ACCESS_APIKEY] = {"apikey", {OPTION_APIKEY_CLIENT_ID, OPTION_APIKEY_CLIENT_SECRET}},
    [ACCESS_BEARER] = {"bearer", {OPTION_BEARER_TOKEN, OPTION_COUNT}},
    [ACCESS_SESSION] = {"session", {OPTION_SESSION_TOKEN, OPTION_COUNT}},
    [ACCESS_PUBLIC] = {"public", {OPTION_COUNT, OPTION_COUNT}},
};

/* The missing options, a line each. */
struct missing {
    char text[1024];
    size_t length;
};

static void add_missing(struct missing *missing, const struct option_row *row,
                        const char *access_type)
{
    struct option_label usage;
    struct option_label variable;
    size_t room = sizeof(missing->text) - missing->length;
    int written;

    written = snprintf(missing->text + missing->length, room, "\n  %s (or %s)%s%s",
                       option_usage(&usage, row), option_environment(&variable, row),
                       access_type != NULL ? " for access type " : "",
                       access_type != NULL ? access_type : "");
    if (written > 0 && (size_t)written < room)
        missing->length += (size_t)written;
}

/* The credential of another access type that was given, when this one's is missing. */
static const struct access_rule *other_access(const struct parse *parse)
{
    for (size_t i = 0; i < sizeof(access_rules) / sizeof(access_rules[0]); i++) {
        if (access_rules[i].needs[0] != OPTION_COUNT &&
            parse_given(parse, access_rules[i].needs[0]))
            return &access_rules[i];
    }
    return NULL;
}

static enum parse_outcome check_missing(const struct parse *parse)
{
    const struct access_rule *rule = &access_rules[parse->config->access_type];
    const struct access_rule *other;
    struct missing missing = {.length = 0};

    if (parse->config->host_count == 0)
        add_missing(&missing, &option_table[OPTION_HOST], NULL);
    for (size_t i = 0; i < CREDENTIALS_MAX; i++) {
        if (rule->needs[i] != OPTION_COUNT && !parse_given(parse, rule->needs[i]))
            add_missing(&missing, &option_table[rule->needs[i]], rule->name);
    }
    if (missing.length == 0)
        return PARSE_RUN;
    other = parse_given(parse, OPTION_ACCESS_TYPE) ? NULL : other_access(parse);
    if (other != NULL && other != rule)
        return parse_error(parse,
                           "required options are missing:%s\n\n  tip: the credentials given "
                           "are those of '--access-type %s'",
                           missing.text, other->name);
    return parse_error(parse, "required options are missing:%s", missing.text);
}

/* RFC 6750, section 2.1 knows no spaces; mostly it is the whole header that was pasted. */
static enum parse_outcome check_token(const struct parse *parse)
{
    struct option_label label;

    if (parse->config->access_type != ACCESS_BEARER ||
        strchr(parse->config->bearer_token, ' ') == NULL)
        return PARSE_RUN;
    return parse_error(parse,
                       "invalid value for %s: a token has no spaces; leave out the word "
                       "'Bearer'",
                       parse_label(&label, parse, &option_table[OPTION_BEARER_TOKEN]));
}

/* A flag that the environment turns off was not asked for. */
static bool asks_for(const struct parse *parse, enum option_id id)
{
    const struct option_row *row = &option_table[id];

    if (!parse_given(parse, id))
        return false;
    return row->type != VALUE_FLAG || *(const bool *)((const char *)parse->config + row->offset);
}

static enum parse_outcome check_tls(const struct parse *parse)
{
    struct option_label label;

    for (enum option_id id = 0; id < OPTION_COUNT; id++) {
        const struct option_row *row = &option_table[id];

        if ((row->traits & OPTION_NEEDS_TLS) != 0 && !parse->config->tls && asks_for(parse, id))
            return parse_error(parse, "%s needs '--tls' (or OTOROSHICTL_TLS=true)",
                               parse_label(&label, parse, row));
    }
    return PARSE_RUN;
}

static enum parse_outcome check_client_certificate(const struct parse *parse)
{
    bool certificate = parse_given(parse, OPTION_TLS_CERT_FILE);
    enum option_id given = certificate ? OPTION_TLS_CERT_FILE : OPTION_TLS_KEY_FILE;
    enum option_id lacking = certificate ? OPTION_TLS_KEY_FILE : OPTION_TLS_CERT_FILE;
    struct option_label label;
    struct option_label usage;
    struct option_label variable;

    if (certificate == parse_given(parse, OPTION_TLS_KEY_FILE))
        return PARSE_RUN;
    return parse_error(parse, "%s needs '%s' (or %s)",
                       parse_label(&label, parse, &option_table[given]),
                       option_usage(&usage, &option_table[lacking]),
                       option_environment(&variable, &option_table[lacking]));
}

static enum parse_outcome check_delays(const struct parse *parse)
{
    const struct tunnel_config *config = parse->config;
    struct option_label label;

    if (config->reconnect_max_delay_us >= config->reconnect_delay_us)
        return PARSE_RUN;
    return parse_error(parse, "%s must not be less than '--reconnect-delay'",
                       parse_label(&label, parse, &option_table[OPTION_RECONNECT_MAX_DELAY]));
}

/* A client with a WebSocket of its own has one so that it is answered. */
static enum parse_outcome check_one_way(const struct parse *parse)
{
    struct option_label label;

    if (!parse->config->one_way || parse->config->connections != CONNECTIONS_PER_CLIENT)
        return PARSE_RUN;
    return parse_error(parse,
                       "%s cannot be used with '--connections per-client': there replies are "
                       "expected, which one-way discards",
                       parse_label(&label, parse, &option_table[OPTION_ONE_WAY]));
}

/* 0, or why the file cannot be read (errno). Opened without waiting for a FIFO's writer. */
static int file_error(const char *path)
{
    struct stat status;
    int error = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return errno;
    if (fstat(fd, &status) != 0)
        error = errno;
    else if (S_ISDIR(status.st_mode))
        error = EISDIR;
    close(fd);
    return error;
}

static enum parse_outcome check_files(const struct parse *parse)
{
    for (enum option_id id = 0; id < OPTION_COUNT; id++) {
        const struct option_row *row = &option_table[id];
        struct option_label label;
        struct shown_word path;
        const char *value;
        int error;

        if (row->type != VALUE_FILE || !parse_given(parse, id))
            continue;
        value = *(char *const *)((const char *)parse->config + row->offset);
        error = file_error(value);
        if (error != 0)
            return parse_error(parse, "cannot read '%s' of %s: %s", report_word(&path, value),
                               parse_label(&label, parse, row), strerror(error));
    }
    return PARSE_RUN;
}

/* The option that takes most of the head, to be named when it is too long. */
static const struct option_row *longest_part(const struct parse *parse)
{
    static const enum option_id candidates[] = {OPTION_REMOTE_HOST, OPTION_APIKEY_CLIENT_ID,
                                                OPTION_APIKEY_CLIENT_SECRET, OPTION_BEARER_TOKEN,
                                                OPTION_SESSION_TOKEN};
    enum option_id longest = OPTION_REMOTE_HOST;
    size_t most = 0;

    for (size_t i = 0; i < sizeof(candidates) / sizeof(candidates[0]); i++) {
        const struct option_row *row = &option_table[candidates[i]];
        const char *text = *(char *const *)((const char *)parse->config + row->offset);

        if (text != NULL && strlen(text) > most) {
            most = strlen(text);
            longest = candidates[i];
        }
    }
    return &option_table[longest];
}

static size_t head_size(const struct parse *parse, const struct gateway_host *host)
{
    struct upgrade_request request;

    upgrade_request_from_config(&request, parse->config, host,
                                parse->kind == TUNNEL_TCP ? "tcp" : "udp");
    return upgrade_size(&request);
}

static enum parse_outcome check_head(const struct parse *parse)
{
    for (size_t i = 0; i < parse->config->host_count; i++) {
        size_t size = head_size(parse, &parse->config->hosts[i]);
        struct option_label label;

        if (size > UPGRADE_HEAD_MAX_BYTES)
            return parse_error(parse,
                               "%s is too long: the request to Otoroshi would have a head of "
                               "%zu bytes, the limit is %d",
                               parse_label(&label, parse, longest_part(parse)), size,
                               UPGRADE_HEAD_MAX_BYTES);
    }
    return PARSE_RUN;
}

enum parse_outcome parse_check(const struct parse *parse)
{
    static enum parse_outcome (*const checks[])(const struct parse *) = {
        check_missing, check_token,   check_tls,   check_client_certificate,
        check_delays,  check_one_way, check_files, check_head};

    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        enum parse_outcome outcome = checks[i](parse);

        if (outcome != PARSE_RUN)
            return outcome;
    }
    return PARSE_RUN;
}
