#include "endpoint.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>

bool parse_number(uint64_t *out, const char *text, uint64_t max)
{
    uint64_t value = 0;

    if (text == NULL || *text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        const uint64_t digit = (uint64_t)(*text - '0');
        if (value > (max - digit) / 10 || digit > max)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

static bool set_host(struct endpoint *out, const char *host, size_t length)
{
    if (length >= 2 && host[0] == '[' && host[length - 1] == ']') {
        host++;
        length -= 2;
    }
    if (length == 0 || length >= sizeof(out->host))
        return false;
    memcpy(out->host, host, length);
    out->host[length] = '\0';
    return true;
}

static bool set_port(struct endpoint *out, const char *port)
{
    uint64_t number = 0;

    if (!parse_number(&number, port, UINT16_MAX))
        return false;
    out->port = (uint16_t)number;
    return true;
}

bool endpoint_parse(struct endpoint *out, const char *text)
{
    const char *colon = strrchr(text, ':');

    if (colon == NULL)
        return false;
    const size_t host_length = (size_t)(colon - text);
    if (memchr(text, ':', host_length) != NULL && text[0] != '[')
        return false;
    return set_host(out, text, host_length) && set_port(out, colon + 1);
}

bool endpoint_set(struct endpoint *out, const char *host, const char *port)
{
    return set_host(out, host, strlen(host)) && set_port(out, port) && out->port != 0;
}

void endpoint_format(const struct endpoint *endpoint, char text[ENDPOINT_TEXT_SIZE])
{
    const bool ipv6 = strchr(endpoint->host, ':') != NULL;

    snprintf(text, ENDPOINT_TEXT_SIZE, "%s%s%s:%u", ipv6 ? "[" : "", endpoint->host,
             ipv6 ? "]" : "", (unsigned)endpoint->port);
}

/* The first IPv4 address, else the first: the JVM's default order. */
static const struct addrinfo *prefer_ipv4(const struct addrinfo *found)
{
    for (const struct addrinfo *entry = found; entry != NULL; entry = entry->ai_next) {
        if (entry->ai_family == AF_INET)
            return entry;
    }
    return found;
}

bool endpoint_resolve(const struct endpoint *endpoint, int socket_type,
                      struct sockaddr_storage *address, socklen_t *length, const char **why)
{
    const struct addrinfo hints = {.ai_socktype = socket_type, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char port[8];

    snprintf(port, sizeof(port), "%u", (unsigned)endpoint->port);
    const int error = getaddrinfo(endpoint->host, port, &hints, &found);
    if (error != 0) {
        *why = gai_strerror(error);
        return false;
    }
    const struct addrinfo *chosen = prefer_ipv4(found);
    memcpy(address, chosen->ai_addr, chosen->ai_addrlen);
    *length = chosen->ai_addrlen;
    freeaddrinfo(found);
    return true;
}
