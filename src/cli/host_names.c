/* Host names, HOST[:PORT] and ADDRESS:PORT, of values.h. */
#include <stdlib.h>
#include <string.h>

#include "otoroshictl/cli/values.h"
#include "otoroshictl/codec/address.h"
#include "reason.h"

enum { HOST_NAME_MAX_BYTES = 253 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_host_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '-' ||
           c == '.' || c == '_';
}

static bool check_characters(const char *name, size_t length, struct reason *why)
{
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)name[i] >= 0x80)
            return refuse(why, "an international name is written in its ASCII form (xn--...)");
        if (!is_host_character(name[i]))
            return refuse(why, "'%c' cannot be part of a host name", name[i]);
    }
    return true;
}

static bool check_labels(const char *name, size_t length, struct reason *why)
{
    if (name[0] == '-')
        return refuse(why, "a host name does not begin with '-'");
    for (size_t i = 0; i < length; i++) {
        if (name[i] == '.' && (i == 0 || name[i - 1] == '.'))
            return refuse(why, "a host name has no empty part between dots");
    }
    return true;
}

/* Name lookup would take 10.1 for 10.0.0.1 and could only fail for 10.0.0.256. */
static bool check_numeric(const char *name, size_t length, struct reason *why)
{
    struct address address;
    size_t start = length;

    while (start > 0 && is_digit(name[start - 1]))
        start--;
    if (start == length || (start > 0 && name[start - 1] != '.'))
        return true;
    return address_parse(&address, name, length) || refuse(why, "not an IPv4 address");
}

bool value_host_name(const char *name, size_t length, struct reason *why)
{
    size_t counted = length > 0 && name[length - 1] == '.' ? length - 1 : length;

    if (counted == 0)
        return refuse(why, "the host name is missing");
    if (!check_characters(name, length, why) || !check_labels(name, length, why))
        return false;
    if (counted > HOST_NAME_MAX_BYTES)
        return refuse(why, "a host name has at most %d bytes, this one %zu", HOST_NAME_MAX_BYTES,
                      counted);
    return check_numeric(name, counted, why);
}

/* What people paste from a browser, each with what to write instead. */
static bool check_no_url(const char *text, struct reason *why)
{
    if (strchr(text, '@') != NULL)
        return refuse(why, "write HOST or HOST:PORT without user and password; "
                           "credentials go to the options of '--access-type'");
    if (strstr(text, "://") != NULL)
        return refuse(why, "write HOST or HOST:PORT without a scheme; for https and wss add "
                           "'--tls'");
    if (strpbrk(text, "/?#") != NULL)
        return refuse(why, "write HOST or HOST:PORT without a path; the path of the tunnel is "
                           "known");
    return true;
}

static bool parse_port(uint16_t *port, const char *text, unsigned least, struct reason *why)
{
    uint64_t number;

    if (!value_number(&number, text, least, UINT16_MAX))
        return refuse(why, "the port is not a number from %u to 65535", least);
    *port = (uint16_t)number;
    return true;
}

/* A host and what follows it: "" or ":port". */
struct host_parts {
    const char *name;
    size_t length;
    const char *rest;
};

static bool split_brackets(struct host_parts *parts, const char *text, struct reason *why)
{
    const char *end = strchr(text, ']');
    struct address address;

    if (end == NULL)
        return refuse(why, "']' is missing after the IPv6 address");
    parts->name = text + 1;
    parts->length = (size_t)(end - parts->name);
    parts->rest = end + 1;
    if (memchr(parts->name, ':', parts->length) == NULL ||
        !address_parse(&address, parts->name, parts->length))
        return refuse(why, "not an IPv6 address between the brackets");
    if (parts->rest[0] != '\0' && parts->rest[0] != ':')
        return refuse(why, "only ':PORT' can follow ']'");
    return true;
}

static bool split_name(struct host_parts *parts, const char *text, struct reason *why)
{
    const char *colon = strchr(text, ':');

    if (colon != NULL && strchr(colon + 1, ':') != NULL)
        return refuse(why, "an IPv6 address is written in brackets: [::1] or [::1]:8080");
    parts->name = text;
    parts->length = strcspn(text, ":");
    parts->rest = text + parts->length;
    return value_host_name(parts->name, parts->length, why);
}

static bool split_host(struct host_parts *parts, const char *text, struct reason *why)
{
    if (!check_no_url(text, why))
        return false;
    return text[0] == '[' ? split_brackets(parts, text, why) : split_name(parts, text, why);
}

enum value_outcome value_gateway_host(struct gateway_host *out, const char *text,
                                      struct reason *why)
{
    struct host_parts parts = {.name = "", .rest = ""};
    uint16_t port = 0;

    if (!split_host(&parts, text, why))
        return VALUE_REFUSED;
    if (parts.rest[0] == ':' && !parse_port(&port, parts.rest + 1, 1, why))
        return VALUE_REFUSED;

    out->port = port;
    out->text = strdup(text);
    out->name = strndup(parts.name, parts.length);
    if (out->text != NULL && out->name != NULL)
        return VALUE_STORED;
    free(out->text);
    free(out->name);
    memset(out, 0, sizeof(*out));
    return VALUE_NO_MEMORY;
}

static bool split_listen_address(struct host_parts *parts, const char *text, struct reason *why)
{
    if (strpbrk(text, "/@?#") != NULL)
        return refuse(why, "write ADDRESS:PORT alone, for example 127.0.0.1:9100");
    if (strchr(text, ':') == NULL)
        return refuse(why, "the port is missing: write ADDRESS:PORT, for example 127.0.0.1:9100");
    if (text[0] != '[')
        return split_name(parts, text, why);
    if (!split_brackets(parts, text, why))
        return false;
    return parts->rest[0] == ':' || refuse(why, "the port is missing: write [ADDRESS]:PORT");
}

enum value_outcome value_listen_address(struct listen_address *out, const char *text,
                                        struct reason *why)
{
    struct host_parts parts = {.name = "", .rest = ""};

    if (!split_listen_address(&parts, text, why) || !parse_port(&out->port, parts.rest + 1, 0, why))
        return VALUE_REFUSED;
    out->host = strndup(parts.name, parts.length);
    return out->host != NULL ? VALUE_STORED : VALUE_NO_MEMORY;
}
