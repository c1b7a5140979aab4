#include "otoroshictl/tunnel/upgrade_request.h"

static void fill_credential(struct upgrade_request *request, const struct tunnel_config *config)
{
    switch (config->access_type) {
    case ACCESS_APIKEY:
        request->credential = UPGRADE_BASIC;
        request->first = config->apikey_client_id;
        request->second = config->apikey_client_secret;
        break;
    case ACCESS_BEARER:
        request->credential = UPGRADE_BEARER;
        request->first = config->bearer_token;
        break;
    case ACCESS_SESSION:
        request->credential = UPGRADE_SESSION;
        request->first = config->session_token;
        break;
    case ACCESS_PUBLIC:
        request->credential = UPGRADE_PUBLIC;
        break;
    }
}

void upgrade_request_from_config(struct upgrade_request *request,
                                 const struct tunnel_config *config,
                                 const struct gateway_host *host, const char *transport)
{
    *request = (struct upgrade_request){.transport = transport,
                                        .host_header = host->text,
                                        .remote_host = config->remote_host,
                                        .remote_port = config->remote_port};
    fill_credential(request, config);
}
