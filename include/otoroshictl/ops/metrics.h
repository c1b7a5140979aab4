/* What a running tool tells of itself, as Prometheus text and as JSON. Pure: no I/O, no clock. */
#ifndef OTOROSHICTL_OPS_METRICS_H
#define OTOROSHICTL_OPS_METRICS_H

#include <stdint.h>

#include "otoroshictl/codec/text.h"
#include "otoroshictl/tunnel/counters.h"

/* Room for either form with the largest numbers and the longest names. */
enum { METRICS_BYTES_MAX = 16 * 1024 };

struct process_facts {
    const char *version; /* of the tool, and of the libraries in use */
    const char *libwebsockets;
    const char *openssl;
    int64_t start_time_s; /* since 1970, UTC */
    int64_t uptime_us;
    int64_t cpu_us;
    uint64_t resident_bytes;
};

/* No secret is among them. */
struct tunnel_facts {
    struct counters counters;
    char local[64];          /* "127.0.0.1:1053" */
    char remote[320];        /* as the log has it */
    const char *gateway;     /* the first --host */
    const char *connections; /* "shared"; NULL where the tunnel has no such modes */
};

/* Text format 0.0.4. */
void metrics_append_prometheus(struct text *text, const struct process_facts *process,
                               const struct tunnel_facts *tunnel);

/* One JSON object: what it is and how it stands, then the counters under their Prometheus names. */
void metrics_append_json(struct text *text, const struct process_facts *process,
                         const struct tunnel_facts *tunnel);

#endif
