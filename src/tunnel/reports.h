/* What the tunnel tells its user: each kind of line at the first, then at most once a minute. */
#ifndef OTOROSHICTL_SRC_TUNNEL_REPORTS_H
#define OTOROSHICTL_SRC_TUNNEL_REPORTS_H

#include <stdbool.h>
#include <stdint.h>

#include "limited_report.h"
#include "otoroshictl/tunnel/udp_tunnel.h"

/* The last failures of different kinds with one gateway host: where causes take turns, each is
 * told once, too. */
enum { FAILURES_REMEMBERED = 4 };

struct failure_report {
    struct limited_report limit;
    char text[480];
};

struct host_report {
    size_t last; /* the one that was told or counted last */
    struct failure_report failures[FAILURES_REMEMBERED];
};

/* Zero but for the first two before use. */
struct reports {
    const struct tunnel_config *config;
    const struct tunnel_ports *ports;
    struct limited_report drops[DIRECTION_COUNT][DROP_REASON_COUNT];
    struct limited_report unclean;
    struct limited_report overflow;
    struct limited_report crowd;
    struct host_report hosts[GATEWAY_HOSTS_MAX];
};

void reports_line(const struct reports *reports, enum report_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A datagram was dropped. Returns when reports_held_back() is to be called for it; INT64_MAX where
 * it was told. */
int64_t reports_drop(struct reports *reports, enum direction direction, enum drop_reason reason,
                     int64_t now_us);

/* Tells of drops that were held back, where the last line is at least `least_us` old. Returns when
 * to call again; INT64_MAX where all are told. */
int64_t reports_held_back(struct reports *reports, int64_t least_us, int64_t now_us);

/* `what` went wrong with replies on a WebSocket that several clients share. */
void reports_misrouting(struct reports *reports, const char *what, int64_t now_us);
/* Replies are missing, and none has ever come. */
void reports_no_reply(struct reports *reports, int64_t now_us);

/* More clients are active than may have a connection of their own. */
void reports_crowd(struct reports *reports, int64_t now_us);

/* The kernel dropped `count` datagrams, `total` in all. */
void reports_overflow(struct reports *reports, uint64_t count, uint64_t total, int64_t now_us);

/* A connection failed or was lost after `lifetime_us` (0: was never up). A connection that was
 * good for a while begins a new story; one that is closed at once each time does not. */
void reports_failure(struct reports *reports, const struct connection_end *end, size_t host,
                     int64_t lifetime_us, int64_t pause_us, int64_t now_us);
/* One more connection of this host failed with the last one told: it is counted only. */
void reports_further_failure(struct reports *reports, size_t host);
/* True while the same failure of this host goes on. */
bool reports_failing(const struct reports *reports, size_t host);

#endif
