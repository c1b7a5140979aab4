#include "otoroshictl/ops/log.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "otoroshictl/ops/escape.h"

enum {
    MESSAGE_MAX_BYTES = 3584,
    PREFIX_MAX_BYTES = 128,
    /* A pipe that polls as writable takes this much without blocking. A message of more than
     * a thousand escaped bytes, each of which takes four, is cut by it. */
    LINE_MAX_BYTES = PIPE_BUF,
};

struct level_name {
    const char *name;
    const char *colour; /* as env_logger has them: an SGR sequence */
};

static const struct level_name level_names[] = {
    [LOG_LEVEL_OFF] = {"OFF", ""},
    [LOG_LEVEL_ERROR] = {"ERROR", "\x1b[1m\x1b[31m"},
    [LOG_LEVEL_WARN] = {"WARN", "\x1b[33m"},
    [LOG_LEVEL_INFO] = {"INFO", "\x1b[32m"},
    [LOG_LEVEL_DEBUG] = {"DEBUG", "\x1b[34m"},
};

static bool wants_colour(const struct log_settings *settings)
{
    if (settings->no_color || settings->style == LOG_STYLE_NEVER)
        return false;
    return settings->style == LOG_STYLE_ALWAYS || isatty(settings->fd) == 1;
}

void log_init(struct log *log, const struct log_settings *settings, const char *target)
{
    log->fd = settings->fd;
    log->level = settings->level;
    log->coloured = wants_colour(settings);
    log->target = target;
}

bool log_enabled(const struct log *log, enum log_level level)
{
    return level != LOG_LEVEL_OFF && level <= log->level;
}

/* Writes "[LEVEL target] ". Returns its length. */
static size_t write_prefix(const struct log *log, enum log_level level, char out[PREFIX_MAX_BYTES])
{
    const struct level_name *name = &level_names[level];
    const char *on = log->coloured ? name->colour : "";
    const char *off = log->coloured ? "\x1b[0m" : "";
    int length =
        snprintf(out, PREFIX_MAX_BYTES, "[%s%s%s %.64s] ", on, name->name, off, log->target);

    return length < 0 ? 0 : (size_t)length;
}

/* The length of the formatted message, cut between two characters. */
static size_t message_length(const char *message, int formatted)
{
    size_t length;

    if (formatted < 0)
        return 0;
    length = (size_t)formatted;
    if (length <= MESSAGE_MAX_BYTES)
        return length;
    length = MESSAGE_MAX_BYTES;
    while (length > 0 && ((unsigned char)message[length] & 0xC0U) == 0x80U)
        length--;
    return length;
}

/* A log that cannot be written must not stop the tunnel, and there is nowhere to tell it: a line
 * for which a full pipe or a stopped terminal has no room is lost. */
static void write_line(int fd, const char *line, size_t length)
{
    struct pollfd room = {.fd = fd, .events = POLLOUT};
    if (poll(&room, 1, 0) != 1 || (room.revents & POLLOUT) == 0)
        return;
    while (write(fd, line, length) < 0 && errno == EINTR)
        ;
}

void log_vwrite(const struct log *log, enum log_level level, const char *format, va_list arguments)
{
    char message[MESSAGE_MAX_BYTES + 2]; /* the first byte cut away tells where a character ends */
    char line[LINE_MAX_BYTES];
    int saved_errno = errno;
    size_t length;
    int formatted;

    if (!log_enabled(log, level))
        return;
    formatted = vsnprintf(message, sizeof(message), format, arguments);
    length = write_prefix(log, level, line);
    length += escape_text(line + length, sizeof(line) - length - 1, message,
                          message_length(message, formatted));
    line[length++] = '\n';
    write_line(log->fd, line, length);
    errno = saved_errno;
}

void log_write(const struct log *log, enum log_level level, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    log_vwrite(log, level, format, arguments);
    va_end(arguments);
}
