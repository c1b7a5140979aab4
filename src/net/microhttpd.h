/* libmicrohttpd, loaded when --metrics-listen asks for it and not with the program: it brings
 * GnuTLS and what that stands on, which would be 2.5 MB of resident memory for everybody. */
#ifndef OTOROSHICTL_SRC_NET_MICROHTTPD_H
#define OTOROSHICTL_SRC_NET_MICROHTTPD_H

#include <microhttpd.h>

#include "otoroshictl/net/start_failure.h"

#define MICROHTTPD_FUNCTIONS(ROW)        \
    ROW(MHD_start_daemon)                \
    ROW(MHD_stop_daemon)                 \
    ROW(MHD_get_daemon_info)             \
    ROW(MHD_get_connection_info)         \
    ROW(MHD_get_timeout)                 \
    ROW(MHD_run)                         \
    ROW(MHD_lookup_connection_value)     \
    ROW(MHD_create_response_from_buffer) \
    ROW(MHD_add_response_header)         \
    ROW(MHD_queue_response)              \
    ROW(MHD_destroy_response)

/* Each function under its own name. */
struct microhttpd {
#define MICROHTTPD_FIELD(name) __typeof__(name) *(name);
    MICROHTTPD_FUNCTIONS(MICROHTTPD_FIELD)
#undef MICROHTTPD_FIELD
};

/* Stays loaded to the end of the process. -1 with the reason in *failure. */
int microhttpd_load(struct microhttpd *library, struct start_failure *failure);

#endif
