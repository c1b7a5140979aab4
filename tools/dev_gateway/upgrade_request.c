#include "upgrade_request.h"

#include <stdio.h>
#include <string.h>

enum { ANSWER_MAX = 4096 };

static const char login_page[] = "/privateapps/generic/login";
static const char other_host[] = "http://elsewhere.example/.well-known/otoroshi/tunnel";

/* Copies the value of a query parameter; NULL where it is absent or does not fit. The library
 * stops at a fragment that the buffer does not hold, so that has to be a large one. */
static const char *query_value(struct lws *wsi, const char *name, char *value, size_t size)
{
    const size_t length = strlen(name);
    char fragment[UPGRADE_FIELD_MAX];

    for (int i = 0; lws_hdr_copy_fragment(wsi, fragment, (int)sizeof(fragment),
                                          WSI_TOKEN_HTTP_URI_ARGS, i) >= 0;
         i++) {
        if (strncmp(fragment, name, length) != 0 || fragment[length] != '=')
            continue;
        const int copied = snprintf(value, size, "%s", fragment + length + 1);
        return copied >= 0 && (size_t)copied < size ? value : NULL;
    }
    return NULL;
}

static const char *header_value(struct lws *wsi, enum lws_token_indexes token, char *value,
                                int size)
{
    return lws_hdr_copy(wsi, value, size, token) > 0 ? value : NULL;
}

static void read_query_remote(struct endpoint *remote, struct lws *wsi)
{
    char host[ENDPOINT_HOST_SIZE + sizeof("[]")];
    char port[sizeof("65535")];
    const char *host_value = query_value(wsi, "remoteHost", host, sizeof(host));
    const char *port_value = query_value(wsi, "remotePort", port, sizeof(port));

    if (host_value == NULL || port_value == NULL || !endpoint_set(remote, host_value, port_value))
        memset(remote, 0, sizeof(*remote));
}

void upgrade_request_read(struct upgrade_request *request, struct lws *wsi,
                          const struct gateway_config *config)
{
    char value[sizeof("tcp")];
    const char *transport = query_value(wsi, "transport", value, sizeof(value));

    memset(request, 0, sizeof(*request));
    request->is_tcp = transport != NULL && strcmp(transport, "tcp") == 0;
    if (config->remote.host[0] != '\0')
        request->remote = config->remote;
    else
        read_query_remote(&request->remote, wsi);
}

struct admission upgrade_request_admit(struct lws *wsi, const struct gateway_config *config,
                                       bool wants_upgrade)
{
    char path[UPGRADE_FIELD_MAX];
    char host[UPGRADE_FIELD_MAX];
    char authorization[UPGRADE_FIELD_MAX];
    char transport[UPGRADE_FIELD_MAX];
    char token[UPGRADE_FIELD_MAX];
    struct endpoint remote = {0};

    read_query_remote(&remote, wsi);
    const struct admission_request request = {
        .path = header_value(wsi, WSI_TOKEN_GET_URI, path, UPGRADE_FIELD_MAX),
        .host = header_value(wsi, WSI_TOKEN_HOST, host, UPGRADE_FIELD_MAX),
        .authorization =
            header_value(wsi, WSI_TOKEN_HTTP_AUTHORIZATION, authorization, UPGRADE_FIELD_MAX),
        .transport = query_value(wsi, "transport", transport, UPGRADE_FIELD_MAX),
        .session_token = query_value(wsi, "pappsToken", token, UPGRADE_FIELD_MAX),
        .names_remote = remote.host[0] != '\0',
        .wants_upgrade = wants_upgrade,
    };
    return admission_decide(config, &request);
}

static const char *reason_phrase(unsigned status)
{
    static const struct {
        unsigned status;
        const char *phrase;
    } phrases[] = {
        {200, "OK"},          {301, "Moved Permanently"},   {302, "Found"},
        {303, "See Other"},   {307, "Temporary Redirect"},  {308, "Permanent Redirect"},
        {400, "Bad Request"}, {401, "Unauthorized"},        {403, "Forbidden"},
        {404, "Not Found"},   {429, "Too Many Requests"},   {500, "Internal Server Error"},
        {502, "Bad Gateway"}, {503, "Service Unavailable"}, {504, "Gateway Timeout"},
    };

    for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++) {
        if (phrases[i].status == status)
            return phrases[i].phrase;
    }
    return "Refused";
}

static void extra_header(char *out, size_t size, const struct gateway_config *config,
                         unsigned status)
{
    const char *detail = config->forced_status != 0 ? config->forced_detail : NULL;

    out[0] = '\0';
    if (status >= 300 && status < 400)
        snprintf(out, size, "Location: %s\r\n",
                 detail != NULL ? detail : (config->forced_status != 0 ? other_host : login_page));
    else if (detail != NULL)
        snprintf(out, size, "Retry-After: %s\r\n", detail);
}

void upgrade_request_refuse(struct lws *wsi, const struct gateway_config *config,
                            const struct admission *admission)
{
    unsigned char buffer[LWS_PRE + ANSWER_MAX];
    char header[1024];
    char body[512];

    snprintf(body, sizeof(body), "{\"Otoroshi-Error\":\"%s\"}", admission->why);
    extra_header(header, sizeof(header), config, admission->status);
    const int size =
        snprintf((char *)buffer + LWS_PRE, ANSWER_MAX,
                 "HTTP/1.1 %u %s\r\nContent-Type: application/json\r\n"
                 "Content-Length: %zu\r\nConnection: close\r\n%s\r\n%s",
                 admission->status, reason_phrase(admission->status), strlen(body), header, body);
    (void)lws_write(wsi, buffer + LWS_PRE, (size_t)size, LWS_WRITE_HTTP_FINAL);
}
