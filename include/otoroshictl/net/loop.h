/* The event loop: libwebsockets' own, with timers, watched descriptors and signals on it.
 *
 * One thread. Callbacks run inside loop_run(); none is called before the function that set it up
 * has returned. */
#ifndef OTOROSHICTL_NET_LOOP_H
#define OTOROSHICTL_NET_LOOP_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#include "otoroshictl/ops/log.h"

struct loop;

/* `descriptors`: how many the process may come to need; the soft limit is raised to that where it
 * can be, else there is a warning. NULL when out of memory or descriptors. Ignores SIGPIPE. The
 * library's own log goes to `log` at debug level. */
struct loop *loop_new(const struct log *log, unsigned descriptors);
void loop_free(struct loop *loop);

/* The log given to loop_new(). */
const struct log *loop_log(const struct loop *loop);

/* Runs until loop_stop(); returns 0 at the end of the turn in which that was called, -1 after
 * loop_fail() or where the library's loop fails. */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop);
void loop_fail(struct loop *loop);

/* Microseconds of a clock that never jumps and counts suspended time (CLOCK_BOOTTIME). */
int64_t loop_now_us(void);

/* Uniformly distributed bytes from the kernel's generator, bought in bulk. */
void loop_random(struct loop *loop, void *out, size_t size);

/* "4.1.6", "3.0.15": the versions in use, not those built with. */
struct library_versions {
    char libwebsockets[32];
    char openssl[32];
};
void loop_versions(struct library_versions *versions);

/* ---- timers: one-shot; owned by the caller, loop_timer_free() cancels ---- */
struct loop_timer;
typedef void loop_timer_function(void *context);
struct loop_timer *loop_timer_new(struct loop *loop, loop_timer_function *function, void *context);
void loop_timer_free(struct loop_timer *timer);
/* INT64_MAX cancels; a time in the past fires in the next turn. Replaces the time before. */
void loop_timer_set(struct loop_timer *timer, int64_t at_us);

/* ---- descriptors: told when readable, and when writable once each time that was asked ---- */
struct loop_watch;
struct loop_watch_events {
    void (*readable)(void *context);
    void (*writable)(void *context);
    /* The descriptor hung up or failed; it is closed and the watch is gone after this. Never NULL.
     */
    void (*gone)(void *context);
};
/* Takes ownership of `fd`, which is closed with the watch. NULL (and fd closed) on failure. */
struct loop_watch *loop_watch_new(struct loop *loop, int fd, const struct loop_watch_events *events,
                                  void *context);
void loop_watch_want_write(struct loop_watch *watch);
/* Legal from within its own callbacks. */
void loop_watch_free(struct loop_watch *watch);

/* ---- hooks ---- */
/* Called once before the loop sleeps. At most four. */
typedef void loop_hook(void *context);
int loop_add_hook(struct loop *loop, loop_hook *hook, void *context);

/* One handler for SIGINT, SIGTERM, SIGHUP and SIGUSR1, which are blocked from here on: before the
 * first thread, after whatever may block at the start. A second SIGINT or SIGTERM, but for
 * the same one within 10 ms, exits at once with 128 + its number. */
typedef void loop_signal_handler(void *context, int signal_number);
int loop_on_signal(struct loop *loop, loop_signal_handler *handler, void *context);

#endif
