/* What the command line asks for. Filled in once by options.c, read-only afterwards. */
#ifndef DEV_GATEWAY_CONFIG_H
#define DEV_GATEWAY_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "endpoint.h"
#include "faults.h"

enum pairing {
    PAIRING_POSITION, /* one UDP socket a WebSocket, each reply takes the oldest label */
    PAIRING_EXACT,    /* one UDP socket a label: no reply ever reaches another client */
};

struct gateway_config {
    struct endpoint listen;
    struct endpoint remote; /* host "" : the query names it */
    const char *tls_cert_file;
    const char *tls_key_file;
    const char *tls_client_ca_file;
    const char *apikey; /* "ID:SECRET" */
    const char *bearer_token;
    const char *session_token;
    const char *required_host;
    unsigned forced_status;    /* 0: decide by the request */
    const char *forced_detail; /* Retry-After, or Location where the status is 3xx; or NULL */
    enum pairing pairing;
    bool reflect;
    bool stall_disabled;
    bool loses_in_flight;
    size_t reply_buffer; /* replies that wait for a label */
    struct fault_schedule drop_reply;
    struct fault_schedule duplicate_reply;
    uint64_t close_after; /* frames; 0: never */
    uint16_t close_code;
    uint64_t stop_reading_after; /* frames; 0: never */
    uint64_t seed;
    int64_t delay_us;
    int64_t idle_timeout_us; /* 0: 60 s (TCP), 3,600 s (UDP) */
};

#endif
