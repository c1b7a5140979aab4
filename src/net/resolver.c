#include "otoroshictl/net/resolver.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* Shared by the loop and the thread; whoever lets go last frees it. The thread writes `result`,
 * then signals `done_fd`; the loop reads `result` only after that. */
struct job {
    pthread_mutex_t lock;
    int references;
    int done_fd; /* the thread's own copy of the eventfd */
    struct resolver_result result;
    char name[];
};

struct resolver_query {
    struct job *job;
    struct loop_watch *watch;
    resolver_callback *callback;
    void *context;
};

static void job_release(struct job *job)
{
    pthread_mutex_lock(&job->lock);
    int left = --job->references;
    pthread_mutex_unlock(&job->lock);
    if (left > 0)
        return;
    pthread_mutex_destroy(&job->lock);
    close(job->done_fd);
    free(job);
}

static void collect(struct resolver_result *result, const struct addrinfo *list)
{
    for (; list != NULL && result->count < RESOLVER_ADDRESSES_MAX; list = list->ai_next) {
        char *text = result->addresses[result->count];
        if (getnameinfo(list->ai_addr, list->ai_addrlen, text, RESOLVER_TEXT_SIZE, NULL, 0,
                        NI_NUMERICHOST) == 0)
            result->count++;
    }
    if (result->count == 0)
        result->error = "the name has no address";
}

static void look_up(struct job *job)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int status = getaddrinfo(job->name, NULL, &hints, &list);
    if (status != 0) {
        job->result.error = gai_strerror(status);
        return;
    }
    collect(&job->result, list);
    freeaddrinfo(list);
}

static void *thread_main(void *argument)
{
    struct job *job = argument;
    look_up(job);
    uint64_t one = 1;
    if (write(job->done_fd, &one, sizeof one) != sizeof one)
        job->result.count = 0; /* cannot happen: the counter starts at zero */
    job_release(job);
    return NULL;
}

static int start_thread(struct job *job)
{
    pthread_t thread;
    pthread_attr_t attributes;
    sigset_t all;
    sigset_t before;

    if (pthread_attr_init(&attributes) != 0)
        return -1;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int status = pthread_create(&thread, &attributes, thread_main, job);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return status == 0 ? 0 : -1;
}

static struct job *job_new(const char *name)
{
    size_t size = strlen(name) + 1;
    struct job *job = calloc(1, sizeof *job + size);
    if (job == NULL)
        return NULL;
    memcpy(job->name, name, size);
    job->references = 1;
    job->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (job->done_fd < 0) {
        free(job);
        return NULL;
    }
    pthread_mutex_init(&job->lock, NULL);
    return job;
}

static void finished(void *context)
{
    struct resolver_query *query = context;
    struct job *job = query->job;
    loop_watch_free(query->watch);
    query->callback(query->context, &job->result);
    free(query);
    job_release(job);
}

static void watch_gone(void *context)
{
    static const struct resolver_result failed = {.error = "the lookup was cut off"};
    struct resolver_query *query = context;
    query->callback(query->context, &failed);
    job_release(query->job);
    free(query);
}

/* A literal is done at once; the callback still comes from the loop. */
static bool is_literal(const char *name)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST};
    struct addrinfo *list = NULL;
    bool literal = getaddrinfo(name, NULL, &hints, &list) == 0;
    if (literal)
        freeaddrinfo(list);
    return literal;
}

static int begin(struct job *job)
{
    if (!is_literal(job->name)) {
        job->references = 2;
        int status = start_thread(job);
        if (status != 0)
            job->references = 1;
        return status;
    }
    look_up(job);
    uint64_t one = 1;
    return write(job->done_fd, &one, sizeof one) == sizeof one ? 0 : -1;
}

struct resolver_query *resolver_start(struct loop *loop, const char *name,
                                      resolver_callback *callback, void *context)
{
    static const struct loop_watch_events events = {.readable = finished, .gone = watch_gone};
    struct resolver_query *query = calloc(1, sizeof *query);
    if (query == NULL)
        return NULL;
    query->callback = callback;
    query->context = context;
    query->job = job_new(name);
    if (query->job == NULL)
        goto fail_query;
    int watched_fd = dup(query->job->done_fd);
    if (watched_fd < 0)
        goto fail_job;
    query->watch = loop_watch_new(loop, watched_fd, &events, query);
    if (query->watch == NULL)
        goto fail_job;
    if (begin(query->job) != 0)
        goto fail_watch;
    return query;

fail_watch:
    loop_watch_free(query->watch);
fail_job:
    job_release(query->job);
fail_query:
    free(query);
    return NULL;
}

void resolver_cancel(struct resolver_query *query)
{
    if (query == NULL)
        return;
    loop_watch_free(query->watch);
    job_release(query->job);
    free(query);
}
