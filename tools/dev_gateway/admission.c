#include "admission.h"

#include <string.h>
#include <strings.h>

#include "otoroshictl/codec/base64.h"

static const char tunnel_path[] = "/.well-known/otoroshi/tunnel";

enum { AUTHORIZATION_MAX = 16384 };

static struct admission refuse(unsigned status, const char *why)
{
    return (struct admission){.status = status, .why = why};
}

static const struct admission granted = {.status = ADMISSION_GRANTED, .why = ""};

/* What follows "Basic " or "Bearer ", NULL where the header is of another kind. */
static const char *after_scheme(const char *authorization, const char *scheme)
{
    const size_t length = strlen(scheme);

    if (authorization == NULL || strncasecmp(authorization, scheme, length) != 0 ||
        authorization[length] != ' ')
        return NULL;
    return authorization + length + 1;
}

static struct admission check_apikey(const char *expected, const char *text)
{
    uint8_t given[AUTHORIZATION_MAX];
    size_t size = 0;
    const size_t length = strlen(text);
    const char *colon = strchr(expected, ':');

    if (length > sizeof(given) || !base64_decode(given, &size, text, length))
        return refuse(400, "the API key is not base64");
    const size_t id_size = (size_t)(colon - expected) + 1;
    if (size < id_size || memcmp(given, expected, id_size) != 0)
        return refuse(400, "unknown API key");
    if (size != strlen(expected) || memcmp(given, expected, size) != 0)
        return refuse(401, "wrong API key secret");
    return granted;
}

static struct admission check_authorization(const struct gateway_config *config,
                                            const char *authorization)
{
    const char *basic = after_scheme(authorization, "Basic");
    const char *bearer = after_scheme(authorization, "Bearer");

    if (basic != NULL && config->apikey != NULL)
        return check_apikey(config->apikey, basic);
    if (bearer != NULL && config->bearer_token != NULL)
        return strcmp(bearer, config->bearer_token) == 0 ? granted
                                                         : refuse(401, "bad or expired token");
    return refuse(400, "no API key");
}

static struct admission check_credentials(const struct gateway_config *config,
                                          const struct admission_request *request)
{
    const bool wants_header = config->apikey != NULL || config->bearer_token != NULL;

    if (!wants_header && config->session_token == NULL)
        return granted;
    if (config->session_token != NULL && request->session_token != NULL &&
        strcmp(request->session_token, config->session_token) == 0)
        return granted;
    if (wants_header && (request->authorization != NULL || config->session_token == NULL))
        return check_authorization(config, request->authorization);
    return refuse(303, "session missing or expired");
}

static bool host_matches(const char *host, const char *required)
{
    const size_t length = strlen(required);

    if (host == NULL || strncasecmp(host, required, length) != 0)
        return false;
    return host[length] == '\0' || host[length] == ':';
}

static bool transport_is_known(const char *transport)
{
    return transport != NULL && (strcmp(transport, "udp") == 0 || strcmp(transport, "tcp") == 0);
}

struct admission admission_decide(const struct gateway_config *config,
                                  const struct admission_request *request)
{
    if (config->forced_status != 0)
        return refuse(config->forced_status, "as --status says");
    if (config->required_host != NULL && !host_matches(request->host, config->required_host))
        return refuse(404, "no route for this host");
    if (request->path == NULL || strcmp(request->path, tunnel_path) != 0)
        return refuse(404, "not found");
    const struct admission credentials = check_credentials(config, request);
    if (credentials.status != ADMISSION_GRANTED)
        return credentials;
    if (!request->wants_upgrade)
        return refuse(400, "not a WebSocket upgrade");
    if (!config->reflect && !transport_is_known(request->transport))
        return refuse(400, "transport is neither udp nor tcp");
    if (!config->reflect && config->remote.host[0] == '\0' && !request->names_remote)
        return refuse(400, "neither the query nor --remote names the remote");
    return granted;
}
