#include "reports.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "otoroshictl/tunnel/reconnect.h"

void reports_line(const struct reports *reports, enum report_level level, const char *format, ...)
{
    char message[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    reports->ports->report(reports->ports->net, level, message);
}

/* ---- drops ---------------------------------------------------------------------------------- */

static void tell_drops(const struct reports *reports, enum direction direction,
                       enum drop_reason reason, uint64_t count)
{
    bool out = direction == DIRECTION_OUT;
    reports_line(reports, REPORT_WARN, "Dropped %" PRIu64 " %s%s: %s %s [%s]", count,
                 out ? "datagram" : "repl",
                 out ? (count == 1 ? " from a local client" : "s from local clients")
                     : (count == 1 ? "y from the gateway" : "ies from the gateway"),
                 count == 1 ? "it" : "each", drop_reason_text(reason), drop_reason_label(reason));
}

/* What cannot be mended by watching: an application that sends what cannot be carried. */
static bool told_once(enum direction direction, enum drop_reason reason)
{
    return direction == DIRECTION_OUT && (reason == DROP_EMPTY || reason == DROP_OVERSIZE);
}

int64_t reports_drop(struct reports *reports, enum direction direction, enum drop_reason reason,
                     int64_t now_us)
{
    uint64_t held_back;
    struct limited_report *last = &reports->drops[direction][reason];
    if (last->last_us != 0 && told_once(direction, reason))
        return INT64_MAX;
    if (!limited_report_due(last, now_us, &held_back))
        return last->last_us + LIMITED_REPORT_INTERVAL_US;
    tell_drops(reports, direction, reason, held_back + 1);
    return INT64_MAX;
}

/* When the line is due; INT64_MAX where there is none, or it has been written now. */
static int64_t tell_held_back(struct reports *reports, enum direction direction,
                              enum drop_reason reason, int64_t least_us, int64_t now_us)
{
    struct limited_report *last = &reports->drops[direction][reason];
    uint64_t count = last->unwritten;
    if (count == 0)
        return INT64_MAX;
    if (now_us < last->last_us + least_us)
        return last->last_us + least_us;
    *last = (struct limited_report){.last_us = now_us};
    tell_drops(reports, direction, reason, count);
    return INT64_MAX;
}

int64_t reports_held_back(struct reports *reports, int64_t least_us, int64_t now_us)
{
    int64_t next_us = INT64_MAX;
    for (int direction = 0; direction < DIRECTION_COUNT; direction++)
        for (int reason = 0; reason < DROP_REASON_COUNT; reason++) {
            int64_t due_us = tell_held_back(reports, (enum direction)direction,
                                            (enum drop_reason)reason, least_us, now_us);
            if (due_us < next_us)
                next_us = due_us;
        }
    return next_us;
}

/* ---- missing replies, lost datagrams -------------------------------------------------------- */

void reports_misrouting(struct reports *reports, const char *what, int64_t now_us)
{
    uint64_t held_back;
    if (limited_report_due(&reports->unclean, now_us, &held_back))
        reports_line(reports, REPORT_WARN,
                     "%s while several clients share one WebSocket, so that answers may have "
                     "reached the wrong client; the WebSocket is renewed. --connections pool or "
                     "--connections per-client keep clients apart",
                     what);
}

void reports_no_reply(struct reports *reports, int64_t now_us)
{
    uint64_t held_back;
    if (limited_report_due(&reports->unclean, now_us, &held_back))
        reports_line(reports, REPORT_WARN,
                     "No reply has come through the tunnel yet; check --remote-host and "
                     "--remote-port, or, if the remote service never answers (syslog, traps, "
                     "statsd), use --one-way");
}

void reports_crowd(struct reports *reports, int64_t now_us)
{
    uint64_t held_back;
    if (limited_report_due(&reports->crowd, now_us, &held_back))
        reports_line(reports, REPORT_WARN,
                     "More clients are active than --max-connections (%u): each takes over from "
                     "the one that has been quiet longest, which comes from another source port "
                     "afterwards",
                     (unsigned)reports->config->max_connections);
}

void reports_overflow(struct reports *reports, uint64_t count, uint64_t total, int64_t now_us)
{
    uint64_t held_back;
    if (limited_report_due(&reports->overflow, now_us, &held_back))
        reports_line(reports, REPORT_WARN,
                     "The kernel dropped %" PRIu64 " datagrams (%" PRIu64 " in all) that came "
                     "faster than they could be read; a larger net.core.rmem_max helps",
                     count, total);
}

/* ---- failures ------------------------------------------------------------------------------- */

/* "2s", "0.75s", "3600s". */
static void format_pause(int64_t pause_us, char *out, size_t size)
{
    int hundredths = (int)(pause_us / 10000 % 100);
    if (hundredths == 0)
        snprintf(out, size, "%" PRId64 "s", pause_us / 1000000);
    else
        snprintf(out, size, "%" PRId64 ".%0*ds", pause_us / 1000000, hundredths % 10 == 0 ? 1 : 2,
                 hundredths % 10 == 0 ? hundredths / 10 : hundredths);
}

bool reports_failing(const struct reports *reports, size_t host)
{
    const struct host_report *report = &reports->hosts[host];
    return report->failures[report->last].limit.unwritten > 0;
}

void reports_further_failure(struct reports *reports, size_t host)
{
    struct host_report *report = &reports->hosts[host];
    report->failures[report->last].limit.unwritten++;
}

/* The one remembered with this text, or the next one to be forgotten, which gets it. */
static struct failure_report *failure_of(struct host_report *report, const char *text)
{
    for (size_t i = 0; i < FAILURES_REMEMBERED; i++) {
        if (strcmp(text, report->failures[i].text) == 0) {
            report->last = i;
            return &report->failures[i];
        }
    }
    report->last = (report->last + 1) % FAILURES_REMEMBERED;
    struct failure_report *failure = &report->failures[report->last];
    *failure = (struct failure_report){0};
    snprintf(failure->text, sizeof failure->text, "%s", text);
    return failure;
}

void reports_failure(struct reports *reports, const struct connection_end *end, size_t host,
                     int64_t lifetime_us, int64_t pause_us, int64_t now_us)
{
    char cause[sizeof reports->hosts[0].failures[0].text];
    uint64_t held_back;
    connection_end_describe(end, reports->config->hosts[host].text, reports->config->access_type,
                            cause, sizeof cause);
    struct failure_report *failure = failure_of(&reports->hosts[host], cause);
    if (lifetime_us >= RECONNECT_LASTED_US)
        failure->limit = (struct limited_report){0};
    if (!limited_report_due(&failure->limit, now_us, &held_back))
        return;
    char again[64] = "";
    if (held_back > 0)
        snprintf(again, sizeof again, " (failed so %" PRIu64 " times)", held_back + 1);
    char pause[32];
    format_pause(pause_us, pause, sizeof pause);
    bool at_once = pause_us < RECONNECT_AT_ONCE_US;
    reports_line(reports, REPORT_ERROR, "WebSocket tunnel error: %s%s; retrying %s%s", cause, again,
                 at_once ? "at once" : "in ", at_once ? "" : pause);
}
