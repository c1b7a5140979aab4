#include "otoroshictl/tunnel/counters.h"

#include <inttypes.h>

enum drop_reason drop_reason_of_frame(enum frame_result result)
{
    /* Both enums begin with the rows of FRAME_ERRORS; FRAME_OK stands before them. */
    return (enum drop_reason)(result - 1);
}

const char *drop_reason_label(enum drop_reason reason)
{
    static const char *const labels[] = {
#define DROP_REASON_LABEL(name, label, text) [DROP_##name] = (label),
        DROP_REASONS(DROP_REASON_LABEL)
#undef DROP_REASON_LABEL
    };
    return labels[reason];
}

const char *drop_reason_text(enum drop_reason reason)
{
    static const char *const texts[] = {
#define DROP_REASON_TEXT(name, label, text) [DROP_##name] = (text),
        DROP_REASONS(DROP_REASON_TEXT)
#undef DROP_REASON_TEXT
    };
    return texts[reason];
}

const char *renewal_cause_label(enum renewal_cause cause)
{
    static const char *const labels[] = {
#define RENEWAL_CAUSE_LABEL(name, label) [RENEWAL_##name] = (label),
        RENEWAL_CAUSES(RENEWAL_CAUSE_LABEL)
#undef RENEWAL_CAUSE_LABEL
    };
    return labels[cause];
}

uint64_t counters_dropped(const struct direction_counters *counters)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < DROP_REASON_COUNT; i++)
        sum += counters->dropped[i];
    return sum;
}

uint64_t counters_open_connections(const struct counters *counters)
{
    return counters->connections_active + counters->connections_idle;
}

bool drop_reason_occurs(enum direction direction, enum drop_reason reason)
{
    switch (reason) {
    case DROP_OVERSIZE:
        return true;
    case DROP_EMPTY:
    case DROP_BAD_SOURCE:
    case DROP_QUEUE_FULL:
    case DROP_QUEUE_AGE:
    case DROP_SHUTDOWN:
    case DROP_NO_MEMORY:
        return direction == DIRECTION_OUT;
    default:
        return direction == DIRECTION_IN;
    }
}

const int64_t ping_bounds_us[PING_BOUND_COUNT] = {
    1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000};

void counters_add_ping(struct ping_histogram *pings, int64_t round_trip_us)
{
    size_t bucket = 0;
    while (bucket < PING_BOUND_COUNT && round_trip_us > ping_bounds_us[bucket])
        bucket++;
    pings->buckets[bucket]++;
    pings->sum_us += (uint64_t)round_trip_us;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void append_number(struct text *text, const char *name, uint64_t number)
{
    text_append(text, ",\"otoroshictl_%s\":%" PRIu64, name, number);
}

static void append_both_ways(struct text *text, const char *name, uint64_t out, uint64_t in)
{
    text_append(text, ",\"otoroshictl_%s\":{\"out\":%" PRIu64 ",\"in\":%" PRIu64 "}", name, out,
                in);
}

static void append_drops(struct text *text, const struct direction_counters *counters)
{
    const char *separator = "";
    for (size_t i = 0; i < DROP_REASON_COUNT; i++) {
        if (counters->dropped[i] == 0)
            continue;
        text_append(text, "%s\"%s\":%" PRIu64, separator, drop_reason_label((enum drop_reason)i),
                    counters->dropped[i]);
        separator = ",";
    }
}

static void append_directions(struct text *text, const struct direction_counters *out,
                              const struct direction_counters *in)
{
    /* The first member of all, and so the one without a comma. */
    text_append(text, "\"otoroshictl_received_total\":{\"out\":%" PRIu64 ",\"in\":%" PRIu64 "}",
                out->received, in->received);
    append_both_ways(text, "datagrams_total", out->passed_on, in->passed_on);
    append_both_ways(text, "bytes_total", out->bytes, in->bytes);
    text_append(text, ",\"otoroshictl_dropped_total\":{\"out\":{");
    append_drops(text, out);
    text_append(text, "},\"in\":{");
    append_drops(text, in);
    text_append(text, "}}");
}

static void append_connections(struct text *text, const struct counters *counters)
{
    text_append(text,
                ",\"otoroshictl_connections\":{\"connecting\":%" PRIu64 ",\"active\":%" PRIu64
                ",\"idle\":%" PRIu64 ",\"draining\":%" PRIu64 "}",
                counters->connections_connecting, counters->connections_active,
                counters->connections_idle, counters->connections_draining);
    text_append(text, ",\"otoroshictl_connects_total\":{\"ok\":%" PRIu64 ",\"failed\":%" PRIu64 "}",
                counters->connects_ok, counters->connects_failed);
}

static void append_renewals(struct text *text, const struct counters *counters)
{
    text_append(text, ",\"otoroshictl_renewals_total\":{");
    for (size_t i = 0; i < RENEWAL_CAUSE_COUNT; i++)
        text_append(text, "%s\"%s\":%" PRIu64, i > 0 ? "," : "",
                    renewal_cause_label((enum renewal_cause)i), counters->renewals[i]);
    text_append(text, "}");
}

/* Buckets are cumulative, as Prometheus has them. */
static void append_pings(struct text *text, const struct ping_histogram *pings)
{
    uint64_t count = 0;
    text_append(text, ",\"otoroshictl_ping_seconds\":{\"bucket\":{");
    for (size_t i = 0; i < PING_BOUND_COUNT; i++) {
        count += pings->buckets[i];
        text_append(text, "\"%g\":%" PRIu64 ",", (double)ping_bounds_us[i] / 1e6, count);
    }
    count += pings->buckets[PING_BOUND_COUNT];
    text_append(text,
                "\"+Inf\":%" PRIu64 "},\"sum\":%" PRIu64 ".%06" PRIu64 ",\"count\":%" PRIu64 "}",
                count, pings->sum_us / 1000000, pings->sum_us % 1000000, count);
}

void counters_append_json(struct text *text, const struct counters *counters)
{
    append_directions(text, &counters->direction[DIRECTION_OUT],
                      &counters->direction[DIRECTION_IN]);
    append_number(text, "receive_overflow_total", counters->receive_overflow);
    append_number(text, "queue_datagrams", counters->queue_datagrams);
    append_number(text, "unanswered_datagrams", counters->unanswered_datagrams);
    append_number(text, "surplus_replies_total", counters->surplus_replies);
    append_number(text, "label_credits_total", counters->label_credits);
    append_number(text, "clients", counters->clients);
    append_connections(text, counters);
    append_renewals(text, counters);
    append_pings(text, &counters->pings);
}
