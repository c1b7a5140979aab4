#include "otoroshictl/cli/values.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "otoroshictl/codec/address.h"
#include "reason.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

bool refuse(struct reason *why, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(why->text, sizeof(why->text), format, arguments);
    va_end(arguments);
    return false;
}

/* Reads digits up to `*end`. False for none, or a number above `most`. */
static bool read_digits(uint64_t *out, const char *text, uint64_t most, const char **end)
{
    const char *p = text;
    uint64_t number = 0;

    for (; *p >= '0' && *p <= '9'; p++) {
        uint64_t digit = (uint64_t)(*p - '0');

        if (digit > most || number > (most - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *end = p;
    *out = number;
    return p != text;
}

bool value_number(uint64_t *out, const char *text, uint64_t least, uint64_t most)
{
    const char *end;
    uint64_t number;

    if (!read_digits(&number, text, most, &end) || *end != '\0' || number < least)
        return false;
    *out = number;
    return true;
}

struct duration_unit {
    const char *suffix;
    int64_t microseconds;
};

static const struct duration_unit duration_units[] = {
    {"", INT64_C(1000000)},       {"ms", INT64_C(1000)},          {"s", INT64_C(1000000)},
    {"m", INT64_C(60) * 1000000}, {"h", INT64_C(3600) * 1000000},
};

bool value_duration(int64_t *out_us, const char *text)
{
    uint64_t number;
    const char *end;

    if (!read_digits(&number, text, (uint64_t)DURATION_MAX_US, &end))
        return false;
    for (size_t i = 0; i < COUNT_OF(duration_units); i++) {
        int64_t unit = duration_units[i].microseconds;

        if (strcmp(end, duration_units[i].suffix) != 0)
            continue;
        if (number > (uint64_t)(DURATION_MAX_US / unit))
            return false;
        *out_us = (int64_t)number * unit;
        return true;
    }
    return false;
}

bool value_boolean(bool *out, const char *text)
{
    bool yes = strcmp(text, "true") == 0 || strcmp(text, "1") == 0;

    if (!yes && strcmp(text, "false") != 0 && strcmp(text, "0") != 0)
        return false;
    *out = yes;
    return true;
}

/* Words that stand for a value of an enumeration. */
struct choice {
    const char *name;
    int value;
};

struct choice_list {
    const struct choice *choices;
    size_t count;
    const char *names;  /* separated by a space: for completions */
    const char *refuse; /* the reason given for any other word */
};

static const struct choice access_types[] = {
    {"apikey", ACCESS_APIKEY},   {"bearer", ACCESS_BEARER}, {"jwt", ACCESS_BEARER},
    {"session", ACCESS_SESSION}, {"public", ACCESS_PUBLIC},
};

static const struct choice connections_modes[] = {
    {"shared", CONNECTIONS_SHARED},
    {"pool", CONNECTIONS_POOL},
    {"per-client", CONNECTIONS_PER_CLIENT},
};

static const struct choice_list choice_lists[] = {
    [VALUE_ACCESS_TYPE] = {access_types, COUNT_OF(access_types), "apikey bearer jwt session public",
                           "not apikey, bearer (or jwt), session or public"},
    [VALUE_CONNECTIONS] = {connections_modes, COUNT_OF(connections_modes), "shared pool per-client",
                           "not shared, pool or per-client"},
};

static const struct choice_list *choice_list_of(enum value_type type)
{
    if ((size_t)type >= COUNT_OF(choice_lists) || choice_lists[type].choices == NULL)
        return NULL;
    return &choice_lists[type];
}

static bool find_choice(int *out, const struct choice_list *list, const char *text)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(text, list->choices[i].name) == 0) {
            *out = list->choices[i].value;
            return true;
        }
    }
    return false;
}

bool value_access_type(enum access_type *out, const char *text)
{
    int value;

    if (!find_choice(&value, &choice_lists[VALUE_ACCESS_TYPE], text))
        return false;
    *out = (enum access_type)value;
    return true;
}

const char *value_choices(enum value_type type)
{
    const struct choice_list *list = choice_list_of(type);

    return list != NULL ? list->names : NULL;
}

bool value_has_control(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;

    for (; *p != '\0'; p++) {
        if (*p < 0x20 || *p == 0x7F)
            return true;
        if (p[0] == 0xC2 && p[1] >= 0x80 && p[1] < 0xA0)
            return true;
    }
    return false;
}

static enum value_outcome outcome_of(bool accepted)
{
    return accepted ? VALUE_STORED : VALUE_REFUSED;
}

static void *field_of(struct tunnel_config *config, const struct option_row *row)
{
    return (char *)config + row->offset;
}

static enum value_outcome store_copy(char **field, const char *text)
{
    *field = strdup(text);
    return *field != NULL ? VALUE_STORED : VALUE_NO_MEMORY;
}

static bool read_flag(bool *out, const char *text, struct reason *why)
{
    return value_boolean(out, text) || refuse(why, "not true, false, 1 or 0");
}

static enum value_outcome set_flag(struct tunnel_config *config, const struct option_row *row,
                                   const char *text, struct reason *why)
{
    return outcome_of(read_flag(field_of(config, row), text, why));
}

static enum value_outcome set_verbosity(struct tunnel_config *config, const struct option_row *row,
                                        const char *text, struct reason *why)
{
    enum verbosity *field = field_of(config, row);
    bool wanted = false;

    if (!read_flag(&wanted, text, why))
        return VALUE_REFUSED;
    if (wanted)
        *field = row->type == VALUE_QUIET ? VERBOSITY_QUIET : VERBOSITY_VERBOSE;
    return VALUE_STORED;
}

static bool read_number(uint64_t *number, const struct option_row *row, const char *text,
                        struct reason *why)
{
    return value_number(number, text, (uint64_t)row->least, (uint64_t)row->most) ||
           refuse(why, "not a number from %lld to %lld", (long long)row->least,
                  (long long)row->most);
}

static enum value_outcome set_port(struct tunnel_config *config, const struct option_row *row,
                                   const char *text, struct reason *why)
{
    uint16_t *field = field_of(config, row);
    uint64_t number = 0;

    if (!read_number(&number, row, text, why))
        return VALUE_REFUSED;
    *field = (uint16_t)number;
    return VALUE_STORED;
}

static enum value_outcome set_count(struct tunnel_config *config, const struct option_row *row,
                                    const char *text, struct reason *why)
{
    uint32_t *field = field_of(config, row);
    uint64_t number = 0;

    if (!read_number(&number, row, text, why))
        return VALUE_REFUSED;
    *field = (uint32_t)number;
    return VALUE_STORED;
}

static enum value_outcome set_duration(struct tunnel_config *config, const struct option_row *row,
                                       const char *text, struct reason *why)
{
    int64_t *field = field_of(config, row);
    int64_t duration_us;

    if (!value_duration(&duration_us, text))
        return outcome_of(
            refuse(why, "not a duration such as 250ms, 2s, 5m or 1h (at most 8760h)"));
    if (duration_us < row->least)
        return outcome_of(refuse(why, "must be more than 0"));
    if (duration_us > row->most)
        return outcome_of(refuse(why, "at most %llds", (long long)(row->most / 1000000)));
    *field = duration_us;
    return VALUE_STORED;
}

static enum value_outcome set_text(struct tunnel_config *config, const struct option_row *row,
                                   const char *text, struct reason *why)
{
    if (text[0] == '\0')
        return outcome_of(refuse(why, "must not be empty"));
    return store_copy(field_of(config, row), text);
}

/* RFC 7617, section 2: the server would cut the id at its first colon. */
static enum value_outcome set_client_id(struct tunnel_config *config, const struct option_row *row,
                                        const char *text, struct reason *why)
{
    if (strchr(text, ':') != NULL)
        return outcome_of(refuse(why, "a client ID cannot contain ':'"));
    return set_text(config, row, text, why);
}

static bool check_name(const char *text, size_t length, struct reason *why)
{
    struct address address;

    if (memchr(text, ':', length) == NULL)
        return value_host_name(text, length, why);
    return address_parse(&address, text, length) || refuse(why, "not an IPv6 address");
}

static enum value_outcome set_server_name(struct tunnel_config *config,
                                          const struct option_row *row, const char *text,
                                          struct reason *why)
{
    if (!check_name(text, strlen(text), why))
        return VALUE_REFUSED;
    return store_copy(field_of(config, row), text);
}

/* Brackets are no part of an address to bind; a link-local one needs its zone (fe80::1%eth0). */
static enum value_outcome set_local_host(struct tunnel_config *config, const struct option_row *row,
                                         const char *text, struct reason *why)
{
    char **field = field_of(config, row);
    size_t length = strlen(text);
    const char *zone;

    if (text[0] == '[' && text[length - 1] == ']' && strchr(text, ':') != NULL) {
        text++;
        length -= 2;
    }
    zone = memchr(text, ':', length) != NULL ? memchr(text, '%', length) : NULL;
    if (!check_name(text, zone != NULL ? (size_t)(zone - text) : length, why))
        return VALUE_REFUSED;
    if (zone != NULL && zone + 1 == text + length)
        return outcome_of(refuse(why, "the zone after '%%' is missing"));
    *field = strndup(text, length);
    return *field != NULL ? VALUE_STORED : VALUE_NO_MEMORY;
}

static enum value_outcome set_choice(struct tunnel_config *config, const struct option_row *row,
                                     const char *text, struct reason *why)
{
    const struct choice_list *list = &choice_lists[row->type];
    int value;

    if (!find_choice(&value, list, text))
        return outcome_of(refuse(why, "%s", list->refuse));
    if (row->type == VALUE_ACCESS_TYPE)
        *(enum access_type *)field_of(config, row) = (enum access_type)value;
    else
        *(enum connections_mode *)field_of(config, row) = (enum connections_mode)value;
    return VALUE_STORED;
}

static enum value_outcome set_gateway_host(struct tunnel_config *config,
                                           const struct option_row *row, const char *text,
                                           struct reason *why)
{
    enum value_outcome outcome;

    (void)row;
    if (config->host_count == GATEWAY_HOSTS_MAX)
        return outcome_of(refuse(why, "at most %d hosts can be given", GATEWAY_HOSTS_MAX));
    outcome = value_gateway_host(&config->hosts[config->host_count], text, why);
    if (outcome == VALUE_STORED)
        config->host_count++;
    return outcome;
}

static enum value_outcome set_listen_address(struct tunnel_config *config,
                                             const struct option_row *row, const char *text,
                                             struct reason *why)
{
    return value_listen_address(field_of(config, row), text, why);
}

typedef enum value_outcome value_setter(struct tunnel_config *config, const struct option_row *row,
                                        const char *text, struct reason *why);

static value_setter *const setters[] = {
    [VALUE_FLAG] = set_flag,
    [VALUE_PORT] = set_port,
    [VALUE_COUNT] = set_count,
    [VALUE_DURATION] = set_duration,
    [VALUE_TEXT] = set_text,
    [VALUE_FILE] = set_text,
    [VALUE_CLIENT_ID] = set_client_id,
    [VALUE_GATEWAY_HOST] = set_gateway_host,
    [VALUE_LOCAL_HOST] = set_local_host,
    [VALUE_LISTEN] = set_listen_address,
    [VALUE_SERVER_NAME] = set_server_name,
    [VALUE_ACCESS_TYPE] = set_choice,
    [VALUE_CONNECTIONS] = set_choice,
    [VALUE_VERBOSE] = set_verbosity,
    [VALUE_QUIET] = set_verbosity,
};

enum value_outcome value_store(struct tunnel_config *config, const struct option_row *row,
                               const char *text, struct reason *why)
{
    if (value_has_control(text))
        return outcome_of(refuse(why, "control characters are not allowed"));
    return setters[row->type](config, row, text, why);
}
