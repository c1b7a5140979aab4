/* The log: lines on standard error, `[LEVEL target] message`.
 *
 * Text by default, coloured only on a terminal (NO_COLOR and OTOROSHICTL_LOG_STYLE are read by
 * src/cli and given here). A line is one write(2), so that lines of several processes do not mix;
 * a failing or closed standard error is ignored. Control characters in a message are written as
 * \xNN, so that nothing a peer sends can forge a line or drive a terminal. */
#ifndef OTOROSHICTL_OPS_LOG_H
#define OTOROSHICTL_OPS_LOG_H

#include <stdarg.h>
#include <stdbool.h>

enum log_level {
    LOG_LEVEL_OFF, /* as a setting: nothing is written */
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARN,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG,
};

enum log_style {
    LOG_STYLE_AUTO, /* colour on a terminal */
    LOG_STYLE_ALWAYS,
    LOG_STYLE_NEVER,
};

struct log_settings {
    int fd;               /* where lines go: STDERR_FILENO */
    enum log_level level; /* the least urgent level that is written */
    enum log_style style;
    bool no_color; /* NO_COLOR is set and not empty (no-color.org) */
};

struct log {
    int fd;
    enum log_level level;
    bool coloured;
    const char *target; /* "otoroshictl::tunnels::udp" */
};

void log_init(struct log *log, const struct log_settings *settings, const char *target);

/* True where a line of `level` (never LOG_LEVEL_OFF) would be written. */
bool log_enabled(const struct log *log, enum log_level level);

/* A message longer than 3.5 KiB is cut. errno is kept. */
void log_write(const struct log *log, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void log_vwrite(const struct log *log, enum log_level level, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

#endif
