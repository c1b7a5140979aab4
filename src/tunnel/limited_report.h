/* Lines that repeat: the first is written, then at most one a minute, with a count. */
#ifndef OTOROSHICTL_SRC_TUNNEL_LIMITED_REPORT_H
#define OTOROSHICTL_SRC_TUNNEL_LIMITED_REPORT_H

#include <stdbool.h>
#include <stdint.h>

enum { LIMITED_REPORT_INTERVAL_US = 60 * 1000 * 1000 };

/* All zero at the start. */
struct limited_report {
    int64_t last_us; /* 0: never written */
    uint64_t unwritten;
};

/* True where the line is to be written now; *held_back is then how many were not since the last. */
static inline bool limited_report_due(struct limited_report *report, int64_t now_us,
                                      uint64_t *held_back)
{
    if (report->last_us != 0 && now_us - report->last_us < LIMITED_REPORT_INTERVAL_US) {
        report->unwritten++;
        return false;
    }
    *held_back = report->unwritten;
    *report = (struct limited_report){.last_us = now_us};
    return true;
}

#endif
