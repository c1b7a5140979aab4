/* Who may open a tunnel, and what the others are told (gateway.md, Sign-in). Pure. */
#ifndef DEV_GATEWAY_ADMISSION_H
#define DEV_GATEWAY_ADMISSION_H

#include <stdbool.h>

#include "config.h"

enum { ADMISSION_GRANTED = 101 };

/* The parts of the request that count; NULL: absent. The query is decoded. */
struct admission_request {
    const char *path;
    const char *host;
    const char *authorization;
    const char *transport;
    const char *session_token;
    bool names_remote;
    bool wants_upgrade;
};

struct admission {
    unsigned status; /* ADMISSION_GRANTED or the HTTP status of the refusal */
    const char *why; /* for the refusal's body */
};

struct admission admission_decide(const struct gateway_config *config,
                                  const struct admission_request *request);

#endif
