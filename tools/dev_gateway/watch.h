/* Events of one descriptor of ours in the library's loop (adopted as LWS_ADOPT_RAW_FILE_DESC).
 * Reading and writing stay with the owner. Level-triggered: what is not read is told again. */
#ifndef DEV_GATEWAY_WATCH_H
#define DEV_GATEWAY_WATCH_H

#include <libwebsockets.h>

/* The protocol that watches belong to; its callback is watch_callback(). */
#define WATCH_PROTOCOL "dev-gateway-watch"

struct watch_events {
    void (*readable)(void *owner);
    void (*writable)(void *owner); /* may be NULL */
    /* The descriptor hung up (POLLHUP) and is closed right after this call; the watch is gone. */
    void (*hangup)(void *owner);
};

struct watch;

/* Owns the descriptor from here on, also where it fails (NULL). Reading is on. */
struct watch *watch_open(struct lws_vhost *vhost, int fd, const struct watch_events *events,
                         void *owner);

/* No event comes any more; the descriptor is closed on the loop's next turn. NULL is legal. */
void watch_close(struct watch *watch);

int watch_fd(const struct watch *watch);

/* Hang-ups are reported all the same while reading is paused. */
void watch_pause(struct watch *watch);
void watch_resume(struct watch *watch);

/* One `writable` event as soon as the descriptor takes bytes. */
void watch_want_write(struct watch *watch);

int watch_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                   size_t size);

#endif
