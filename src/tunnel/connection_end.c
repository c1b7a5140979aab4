#include "otoroshictl/tunnel/connection_end.h"

#include <stdio.h>

/* What Otoroshi means by a status, by the credentials it was given (docs/protocol.md). */
static const char *status_advice(uint16_t status, enum access_type access_type)
{
    static const char *const refused[] = {
        [ACCESS_APIKEY] = "the API key was refused",
        [ACCESS_BEARER] = "the bearer token was refused or has expired",
        [ACCESS_SESSION] = "the session token was refused",
        [ACCESS_PUBLIC] = "the gateway asks for credentials; choose an --access-type",
    };
    switch (status) {
    case 400:
        return access_type == ACCESS_APIKEY
                   ? "the gateway does not know this API key or it may not use this route; check "
                     "--apikey-client-id"
                   : "the gateway found no valid credentials, or no remote service; check "
                     "--access-type, --remote-host and --remote-port";
    case 401:
        return refused[access_type];
    case 403:
        return "these credentials may not use this route";
    case 404:
        return "no route for this host name; check --host and the route's domain in Otoroshi";
    case 429:
        return "a quota or rate limit was reached";
    case 502:
    case 503:
    case 504:
        return "the gateway or the route's target is not available";
    default:
        return "the gateway refused the WebSocket upgrade";
    }
}

/* Registered close codes (RFC 6455, section 7.4.1 and the IANA registry). */
static const char *close_meaning(uint16_t status)
{
    switch (status) {
    case 1000:
        return "normal closure";
    case 1001:
        return "going away";
    case 1002:
        return "protocol error";
    case 1003:
        return "unsupported data";
    case 1005:
        return "no code given";
    case 1007:
        return "invalid data";
    case 1008:
        return "policy violation";
    case 1009:
        return "message too big";
    case 1010:
        return "missing extension";
    case 1011:
        return "internal error";
    case 1012:
        return "service restart";
    case 1013:
        return "try again later";
    case 1014:
        return "bad gateway";
    default:
        return "private code";
    }
}

static void describe_status(const struct connection_end *end, const char *host,
                            enum access_type access_type, char *out, size_t size)
{
    if (end->status >= 300 && end->status < 400 && end->detail[0] != '\0')
        snprintf(out, size, "HTTP %u from %s: redirected to %s, which is not followed%s",
                 end->status, host, end->detail,
                 access_type == ACCESS_SESSION ? "; the session is missing or has expired, check "
                                                 "--session-token"
                                               : "; check --host, --tls and --access-type");
    else
        snprintf(out, size, "HTTP %u from %s: %s", end->status, host,
                 status_advice(end->status, access_type));
}

static void describe_close(const struct connection_end *end, const char *host, char *out,
                           size_t size)
{
    snprintf(out, size, "%s closed the connection with %u (%s)%s%s", host, end->status,
             close_meaning(end->status), end->detail[0] != '\0' ? ": " : "", end->detail);
}

void connection_end_describe(const struct connection_end *end, const char *host,
                             enum access_type access_type, char *out, size_t size)
{
    switch (end->kind) {
    case END_CLOSED_BY_US:
        snprintf(out, size, "closed");
        break;
    case END_NAME_LOOKUP:
        snprintf(out, size, "cannot look up %s: %s; check --host and the name server", host,
                 end->detail);
        break;
    case END_TCP:
        snprintf(out, size, "cannot connect to %s: %s", host, end->detail);
        break;
    case END_TLS:
        snprintf(out, size, "TLS with %s failed: %s", host, end->detail);
        break;
    case END_TIMEOUT:
        snprintf(out, size, "%s did not finish %s within --connect-timeout", host, end->detail);
        break;
    case END_HTTP_STATUS:
        describe_status(end, host, access_type, out, size);
        break;
    case END_UPGRADE:
        snprintf(out, size, "%s did not answer as a WebSocket server: %s; check --host and --tls",
                 host, end->detail);
        break;
    case END_CLOSED_BY_PEER:
        describe_close(end, host, out, size);
        break;
    case END_LOST:
        snprintf(out, size, "lost the connection to %s: %s", host, end->detail);
        break;
    case END_PROTOCOL_BREACH:
        snprintf(out, size, "%s broke the WebSocket protocol (%s), closed with %u", host,
                 end->detail, end->status);
        break;
    case END_INTERNAL:
        snprintf(out, size, "%s", end->detail);
        break;
    }
}
