/* Which page answers which HTTP request, and what it says. Pure: the server is in src/net. */
#ifndef OTOROSHICTL_OPS_STATUS_PAGES_H
#define OTOROSHICTL_OPS_STATUS_PAGES_H

#include "otoroshictl/codec/text.h"
#include "otoroshictl/ops/metrics.h"

struct status_request {
    const char *method;
    const char *path; /* without a query */
    const char *host; /* the Host header, or NULL */
};

struct status_facts {
    const char *listen_host; /* as --metrics-listen has it, without brackets */
    struct process_facts process;
    struct tunnel_facts tunnel;
};

struct status_answer {
    unsigned status; /* HTTP */
    const char *content_type;
    struct text body;
};

/* The methods that every page knows, for the Allow header of a 405. */
#define STATUS_PAGES_METHODS "GET, HEAD"

/* Fills `answer`, whose body is an empty text of the caller's; METRICS_BYTES_MAX is enough. A page
 * that does not fit becomes a 500. The Host header has to be an IP address, `localhost` or
 * listen_host: a web site whose name is made to point here (DNS rebinding) is not answered. */
void status_pages_answer(struct status_answer *answer, const struct status_request *request,
                         const struct status_facts *facts);

#endif
