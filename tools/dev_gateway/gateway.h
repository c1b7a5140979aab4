/* The running gateway: the library's context, the listener, the signals, the loop. */
#ifndef DEV_GATEWAY_GATEWAY_H
#define DEV_GATEWAY_GATEWAY_H

#include <libwebsockets.h>
#include <stdbool.h>

#include "config.h"
#include "counters.h"

struct session;
struct watch;
struct udp_scratch;

/* What every part of the gateway shares; one thread, so nothing is locked. */
struct gateway {
    const struct gateway_config *config;
    struct counters counters;
    struct lws_context *context;
    struct lws_vhost *vhost;
    struct watch *listener;
    struct watch *signals;
    struct session *sessions;        /* those that are open */
    struct session *ended;           /* freed between two turns of the loop */
    struct udp_scratch *udp_scratch; /* made by the first UDP tunnel */
    bool stopping;
};

enum gateway_exit {
    GATEWAY_STOPPED = 0,
    GATEWAY_BAD_USAGE = 2,   /* also: a certificate that cannot be read */
    GATEWAY_BIND_FAILED = 3, /* the reason is on standard error */
    GATEWAY_NO_RESOURCES = 4,
};

/* Runs until SIGTERM or SIGINT. Prints the ready line and the counters on standard output. */
enum gateway_exit gateway_run(const struct gateway_config *config);

#endif
