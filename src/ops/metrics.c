#include "otoroshictl/ops/metrics.h"

#include <inttypes.h>
#include <stddef.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const char *const direction_labels[DIRECTION_COUNT] = {
    [DIRECTION_OUT] = "out",
    [DIRECTION_IN] = "in",
};

/* A metric whose value is a uint64_t at `offset` of a struct. */
struct metric {
    const char *name;
    const char *type;
    const char *help;
    size_t offset;
};

static uint64_t value_of(const void *structure, size_t offset)
{
    return *(const uint64_t *)(const void *)((const char *)structure + offset);
}

static void append_head(struct text *text, const char *name, const char *type, const char *help)
{
    text_append(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* ---- datagrams, by direction ----------------------------------------------------------------- */

static const struct metric direction_metrics[] = {
    {"otoroshictl_received_total", "counter",
     "Datagrams taken from the local socket or from a WebSocket.",
     offsetof(struct direction_counters, received)},
    {"otoroshictl_datagrams_total", "counter", "Datagrams passed on.",
     offsetof(struct direction_counters, passed_on)},
    {"otoroshictl_bytes_total", "counter", "Payload bytes passed on.",
     offsetof(struct direction_counters, bytes)},
};

static void append_directions(struct text *text, const struct counters *counters)
{
    for (size_t i = 0; i < COUNT_OF(direction_metrics); i++) {
        const struct metric *metric = &direction_metrics[i];
        append_head(text, metric->name, metric->type, metric->help);
        for (int direction = 0; direction < DIRECTION_COUNT; direction++)
            text_append(text, "%s{direction=\"%s\"} %" PRIu64 "\n", metric->name,
                        direction_labels[direction],
                        value_of(&counters->direction[direction], metric->offset));
    }
}

/* Zeros too: the rate of a row that appears with its first drop would not show that drop. */
static void append_drops(struct text *text, const struct counters *counters)
{
    append_head(text, "otoroshictl_dropped_total", "counter", "Datagrams dropped, by reason.");
    for (int direction = 0; direction < DIRECTION_COUNT; direction++)
        for (int i = 0; i < DROP_REASON_COUNT; i++) {
            enum drop_reason reason = (enum drop_reason)i;
            uint64_t count = counters->direction[direction].dropped[reason];
            if (count == 0 && !drop_reason_occurs((enum direction)direction, reason))
                continue;
            text_append(text,
                        "otoroshictl_dropped_total{direction=\"%s\",reason=\"%s\"} %" PRIu64 "\n",
                        direction_labels[direction], drop_reason_label(reason), count);
        }
}

/* ---- what has no label ----------------------------------------------------------------------- */

static const struct metric plain_metrics[] = {
    {"otoroshictl_receive_overflow_total", "counter",
     "Datagrams that the kernel dropped before the tool could read them.",
     offsetof(struct counters, receive_overflow)},
    {"otoroshictl_surplus_replies_total", "counter",
     "Replies beyond the datagrams that asked, on pooled WebSockets.",
     offsetof(struct counters, surplus_replies)},
    {"otoroshictl_label_credits_total", "counter", "Label credits sent to the gateway.",
     offsetof(struct counters, label_credits)},
    {"otoroshictl_clients", "gauge", "Local clients known now.",
     offsetof(struct counters, clients)},
    {"otoroshictl_queue_datagrams", "gauge", "Datagrams that wait in the queue now.",
     offsetof(struct counters, queue_datagrams)},
    {"otoroshictl_unanswered_datagrams", "gauge", "Datagrams that wait for an answer now.",
     offsetof(struct counters, unanswered_datagrams)},
};

static void append_plain(struct text *text, const struct counters *counters)
{
    for (size_t i = 0; i < COUNT_OF(plain_metrics); i++) {
        const struct metric *metric = &plain_metrics[i];
        append_head(text, metric->name, metric->type, metric->help);
        text_append(text, "%s %" PRIu64 "\n", metric->name, value_of(counters, metric->offset));
    }
}

/* ---- WebSockets ------------------------------------------------------------------------------ */

/* One row of a metric with one label. */
struct row {
    const char *label;
    uint64_t value;
};

static void append_rows(struct text *text, const char *name, const char *key,
                        const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        text_append(text, "%s{%s=\"%s\"} %" PRIu64 "\n", name, key, rows[i].label, rows[i].value);
}

static void append_connections(struct text *text, const struct counters *counters)
{
    const struct row states[] = {{"connecting", counters->connections_connecting},
                                 {"active", counters->connections_active},
                                 {"idle", counters->connections_idle},
                                 {"draining", counters->connections_draining}};
    const struct row results[] = {{"ok", counters->connects_ok},
                                  {"failed", counters->connects_failed}};
    append_head(text, "otoroshictl_up", "gauge", "1 while at least one WebSocket is open, else 0.");
    text_append(text, "otoroshictl_up %d\n", counters_open_connections(counters) > 0);
    append_head(text, "otoroshictl_connections", "gauge", "WebSockets now, by state.");
    append_rows(text, "otoroshictl_connections", "state", states, COUNT_OF(states));
    append_head(text, "otoroshictl_connects_total", "counter", "Attempts to open a WebSocket.");
    append_rows(text, "otoroshictl_connects_total", "result", results, COUNT_OF(results));
}

static void append_renewals(struct text *text, const struct counters *counters)
{
    append_head(text, "otoroshictl_renewals_total", "counter",
                "WebSockets replaced by a fresh one, by cause.");
    for (size_t i = 0; i < RENEWAL_CAUSE_COUNT; i++)
        text_append(text, "otoroshictl_renewals_total{cause=\"%s\"} %" PRIu64 "\n",
                    renewal_cause_label((enum renewal_cause)i), counters->renewals[i]);
}

static void append_seconds(struct text *text, const char *name, uint64_t us)
{
    text_append(text, "%s %" PRIu64 ".%06" PRIu64 "\n", name, us / 1000000, us % 1000000);
}

static void append_pings(struct text *text, const struct ping_histogram *pings)
{
    uint64_t count = 0;
    append_head(text, "otoroshictl_ping_seconds", "histogram", "Round trips of WebSocket pings.");
    for (size_t i = 0; i < PING_BOUND_COUNT; i++) {
        count += pings->buckets[i];
        text_append(text, "otoroshictl_ping_seconds_bucket{le=\"%g\"} %" PRIu64 "\n",
                    (double)ping_bounds_us[i] / 1e6, count);
    }
    count += pings->buckets[PING_BOUND_COUNT];
    text_append(text, "otoroshictl_ping_seconds_bucket{le=\"+Inf\"} %" PRIu64 "\n", count);
    append_seconds(text, "otoroshictl_ping_seconds_sum", pings->sum_us);
    text_append(text, "otoroshictl_ping_seconds_count %" PRIu64 "\n", count);
}

/* ---- the process ----------------------------------------------------------------------------- */

/* The last three under the names that every exporter has for them. */
static void append_process(struct text *text, const struct process_facts *process)
{
    append_head(text, "otoroshictl_build_info", "gauge", "Always 1; the labels tell the versions.");
    text_append(text,
                "otoroshictl_build_info{version=\"%s\",libwebsockets=\"%s\",openssl=\"%s\"} 1\n",
                process->version, process->libwebsockets, process->openssl);
    append_head(text, "process_start_time_seconds", "gauge", "Start of the process, Unix time.");
    text_append(text, "process_start_time_seconds %" PRId64 "\n", process->start_time_s);
    append_head(text, "process_cpu_seconds_total", "counter", "Processor time used.");
    append_seconds(text, "process_cpu_seconds_total", (uint64_t)process->cpu_us);
    append_head(text, "process_resident_memory_bytes", "gauge", "Resident memory.");
    text_append(text, "process_resident_memory_bytes %" PRIu64 "\n", process->resident_bytes);
}

void metrics_append_prometheus(struct text *text, const struct process_facts *process,
                               const struct tunnel_facts *tunnel)
{
    const struct counters *counters = &tunnel->counters;
    append_directions(text, counters);
    append_drops(text, counters);
    append_plain(text, counters);
    append_connections(text, counters);
    append_renewals(text, counters);
    append_pings(text, &counters->pings);
    append_process(text, process);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void append_string(struct text *text, const char *name, const char *value)
{
    text_append(text, "\"%s\":", name);
    text_append_json_string(text, value);
    text_append(text, ",");
}

void metrics_append_json(struct text *text, const struct process_facts *process,
                         const struct tunnel_facts *tunnel)
{
    bool up = counters_open_connections(&tunnel->counters) > 0;
    text_append(text, "{");
    append_string(text, "version", process->version);
    append_string(text, "state", up ? "up" : "connecting");
    text_append(text, "\"uptime_seconds\":%" PRId64 ".%03" PRId64 ",", process->uptime_us / 1000000,
                process->uptime_us / 1000 % 1000);
    append_string(text, "local", tunnel->local);
    append_string(text, "remote", tunnel->remote);
    append_string(text, "gateway", tunnel->gateway);
    if (tunnel->connections != NULL)
        append_string(text, "connections_mode", tunnel->connections);
    counters_append_json(text, &tunnel->counters);
    text_append(text, "}\n");
}
