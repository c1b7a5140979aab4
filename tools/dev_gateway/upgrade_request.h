/* The HTTP side: what an upgrade asks for, read from the library, and the refusal's answer. */
#ifndef DEV_GATEWAY_UPGRADE_REQUEST_H
#define DEV_GATEWAY_UPGRADE_REQUEST_H

#include <libwebsockets.h>
#include <stdbool.h>

#include "admission.h"
#include "config.h"
#include "endpoint.h"

enum { UPGRADE_FIELD_MAX = 16384 };

struct upgrade_request {
    struct endpoint remote; /* --remote, else the query's; host "": neither */
    bool is_tcp;
};

/* The tunnel that is asked for. Valid while the library holds the request's headers. */
void upgrade_request_read(struct upgrade_request *request, struct lws *wsi,
                          const struct gateway_config *config);

/* Decides on the request that the library holds. */
struct admission upgrade_request_admit(struct lws *wsi, const struct gateway_config *config,
                                       bool wants_upgrade);

/* Writes the whole answer of a refusal; the caller hangs up (returns -1 to the library). */
void upgrade_request_refuse(struct lws *wsi, const struct gateway_config *config,
                            const struct admission *admission);

#endif
