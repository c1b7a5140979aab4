#include "otoroshictl/tunnel/counters.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

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

static const int64_t ping_bounds_us[] = {
#define PING_BOUND(us) (us),
    PING_BUCKETS_US(PING_BOUND)
#undef PING_BOUND
};

void counters_add_ping(struct ping_histogram *pings, int64_t round_trip_us)
{
    size_t bucket = 0;
    while (bucket < PING_BUCKET_COUNT - 1 && round_trip_us > ping_bounds_us[bucket])
        bucket++;
    pings->buckets[bucket]++;
    pings->sum_us += (uint64_t)round_trip_us;
}

/* A bounded text that is only ever appended to. */
struct text {
    char *out;
    size_t size;
    size_t used;
};

static void append(struct text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void append(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text->out + text->used, text->size - text->used, format, arguments);
    va_end(arguments);
    size_t room = text->size - text->used - 1;
    if (length > 0)
        text->used += (size_t)length < room ? (size_t)length : room;
}

static void append_both_ways(struct text *text, const char *name, uint64_t out, uint64_t in)
{
    append(text, "\"%s\":{\"out\":%" PRIu64 ",\"in\":%" PRIu64 "},", name, out, in);
}

static void append_drops(struct text *text, const char *name,
                         const struct direction_counters *counters)
{
    const char *separator = "";
    append(text, "\"%s\":{", name);
    for (size_t i = 0; i < DROP_REASON_COUNT; i++) {
        if (counters->dropped[i] == 0)
            continue;
        append(text, "%s\"%s\":%" PRIu64, separator, drop_reason_label((enum drop_reason)i),
               counters->dropped[i]);
        separator = ",";
    }
    append(text, "}");
}

static void append_renewals(struct text *text, const struct counters *counters)
{
    append(text, "\"renewals_total\":{");
    for (size_t i = 0; i < RENEWAL_CAUSE_COUNT; i++)
        append(text, "%s\"%s\":%" PRIu64, i > 0 ? "," : "",
               renewal_cause_label((enum renewal_cause)i), counters->renewals[i]);
    append(text, "},");
}

size_t counters_write_json(const struct counters *counters, char *out, size_t size)
{
    const struct direction_counters *away = &counters->direction[DIRECTION_OUT];
    const struct direction_counters *back = &counters->direction[DIRECTION_IN];
    struct text text = {.out = out, .size = size};

    append(&text, "{");
    append_both_ways(&text, "received_total", away->received, back->received);
    append_both_ways(&text, "datagrams_total", away->passed_on, back->passed_on);
    append_both_ways(&text, "bytes_total", away->bytes, back->bytes);
    append(&text, "\"dropped_total\":{");
    append_drops(&text, "out", away);
    append(&text, ",");
    append_drops(&text, "in", back);
    append(&text, "},");
    append(&text, "\"receive_overflow_total\":%" PRIu64 ",", counters->receive_overflow);
    append(&text, "\"queue_datagrams\":%" PRIu64 ",", counters->queue_datagrams);
    append(&text, "\"unanswered_datagrams\":%" PRIu64 ",", counters->unanswered_datagrams);
    append(&text, "\"clients\":%" PRIu64 ",", counters->clients);
    append(&text,
           "\"connections\":{\"connecting\":%" PRIu64 ",\"active\":%" PRIu64
           ",\"draining\":%" PRIu64 "},",
           counters->connections_connecting, counters->connections_active,
           counters->connections_draining);
    append(&text, "\"connects_total\":{\"ok\":%" PRIu64 ",\"failed\":%" PRIu64 "},",
           counters->connects_ok, counters->connects_failed);
    append_renewals(&text, counters);
    append(&text, "\"label_credits_total\":%" PRIu64 "}", counters->label_credits);
    return text.used;
}
