#include "watch.h"

#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

struct watch {
    struct lws *wsi;
    const struct watch_events *events; /* NULL once closed by the owner */
    void *owner;
    int fd;
    bool in_writable; /* the library forgets a request made inside the callback: made anew later */
    bool wants_write;
    lws_sorted_usec_list_t rearm;
};

struct watch *watch_open(struct lws_vhost *vhost, int fd, const struct watch_events *events,
                         void *owner)
{
    struct watch *watch = calloc(1, sizeof(*watch));
    const lws_sock_file_fd_type descriptor = {.filefd = fd};

    if (watch == NULL)
        goto fail_descriptor;
    watch->wsi = lws_adopt_descriptor_vhost(vhost, LWS_ADOPT_RAW_FILE_DESC, descriptor,
                                            WATCH_PROTOCOL, NULL);
    if (watch->wsi == NULL)
        goto fail_watch;
    watch->events = events;
    watch->owner = owner;
    watch->fd = fd;
    lws_set_opaque_user_data(watch->wsi, watch);
    return watch;

fail_watch:
    free(watch);
fail_descriptor:
    close(fd);
    return NULL;
}

void watch_close(struct watch *watch)
{
    if (watch == NULL)
        return;
    watch->events = NULL;
    lws_sul_cancel(&watch->rearm);
    lws_rx_flow_control(watch->wsi, 0);
    lws_set_timeout(watch->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
}

int watch_fd(const struct watch *watch)
{
    return watch->fd;
}

void watch_pause(struct watch *watch)
{
    lws_rx_flow_control(watch->wsi, 0);
}

void watch_resume(struct watch *watch)
{
    lws_rx_flow_control(watch->wsi, 1);
}

void watch_want_write(struct watch *watch)
{
    if (watch->in_writable)
        watch->wants_write = true;
    else
        lws_callback_on_writable(watch->wsi);
}

static void rearm(lws_sorted_usec_list_t *timer)
{
    struct watch *watch = lws_container_of(timer, struct watch, rearm);

    lws_callback_on_writable(watch->wsi);
}

static void tell_writable(struct watch *watch)
{
    if (watch->events == NULL || watch->events->writable == NULL)
        return;
    watch->wants_write = false;
    watch->in_writable = true;
    watch->events->writable(watch->owner);
    watch->in_writable = false;
    if (watch->wants_write && watch->events != NULL)
        lws_sul_schedule(lws_get_context(watch->wsi), 0, &watch->rearm, rearm, 1);
}

static void closed_by_library(struct watch *watch)
{
    lws_sul_cancel(&watch->rearm);
    if (watch->events != NULL)
        watch->events->hangup(watch->owner);
    free(watch);
}

int watch_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                   size_t size)
{
    struct watch *watch = lws_get_opaque_user_data(wsi);

    (void)user;
    (void)in;
    (void)size;
    if (watch == NULL)
        return 0;
    switch (reason) {
    case LWS_CALLBACK_RAW_RX_FILE:
        if (watch->events != NULL)
            watch->events->readable(watch->owner);
        break;
    case LWS_CALLBACK_RAW_WRITEABLE_FILE:
        tell_writable(watch);
        break;
    case LWS_CALLBACK_RAW_CLOSE_FILE:
        lws_set_opaque_user_data(wsi, NULL);
        closed_by_library(watch);
        break;
    default:
        break;
    }
    return 0;
}
