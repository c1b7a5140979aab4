#include "otoroshictl/net/loop.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "loop_internal.h"

enum {
    HOOKS_MAX = 4,
    RANDOM_POOL_BYTES = 4096,
    /* The library keeps tables as large as RLIMIT_NOFILE, which may be a billion: this many, or
     * what is needed. */
    DESCRIPTORS_MAX = 4096,
    /* Holds the request head, which the library builds in its service buffer. */
    SERVICE_BUFFER_BYTES = 32 * 1024,
    HEADER_POOL_BYTES = 16 * 1024,
    /* The same signal to stop twice within this time is one. */
    ONE_WISH_US = 10 * 1000,
};

struct hook {
    loop_hook *function;
    void *context;
};

struct loop {
    struct lws_context *lws;
    struct lws_vhost *watch_vhost;
    const struct log *log;
    bool stop;
    bool failed;
    struct hook hooks[HOOKS_MAX];
    size_t hook_count;
    struct loop_watch *signal_watch;
    int signal_fd;
    loop_signal_handler *signal_handler;
    void *signal_context;
    int stop_signal; /* 0: none yet */
    int64_t stop_signal_us;
    size_t random_left;
    uint8_t random_pool[RANDOM_POOL_BYTES];
    uint8_t *scratch;
};

struct loop_timer {
    lws_sorted_usec_list_t sul; /* first: the library hands back its address */
    struct loop *loop;
    loop_timer_function *function;
    void *context;
};

struct loop_watch {
    struct loop_owner owner;
    struct lws *wsi;
    struct loop_timer writable; /* see watch_callback() */
    const struct loop_watch_events *events;
    void *context;
};

/* ---- the library's callback, handed on to the owner ------------------------------------------ */

static int dispatch(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t size)
{
    if (wsi == NULL)
        return 0;
    struct loop_owner *owner = lws_get_opaque_user_data(wsi);
    if (owner != NULL)
        return owner->callback(owner, wsi, reason, user, in, size);
    /* Released: refuse whatever it still does, above all to send the library's own request. */
    return reason == LWS_CALLBACK_RAW_RX_FILE ||
           reason == LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER;
}

static const struct lws_protocols protocols[] = {
    {.name = "otoroshictl", .callback = dispatch},
    {.name = NULL},
};

const struct lws_protocols *loop_lws_protocols(void)
{
    return protocols;
}

struct lws_context *loop_lws_context(struct loop *loop)
{
    return loop->lws;
}

uint8_t *loop_scratch(struct loop *loop)
{
    return loop->scratch;
}

void loop_release_wsi(struct lws *wsi)
{
    lws_set_opaque_user_data(wsi, NULL);
    lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
}

/* ---- watches --------------------------------------------------------------------------------- */

static int watch_callback(struct loop_owner *owner, struct lws *wsi,
                          enum lws_callback_reasons reason, void *user, void *in, size_t size)
{
    struct loop_watch *watch = (struct loop_watch *)owner;
    (void)user;
    (void)in;
    (void)size;
    switch ((int)reason) {
    case LWS_CALLBACK_RAW_RX_FILE:
        watch->events->readable(watch->context);
        return 0;
    case LWS_CALLBACK_RAW_WRITEABLE_FILE:
        /* Told from a timer: 4.1.6 stops watching for room after this callback, so that asking
         * again from within it would be forgotten. */
        loop_timer_set(&watch->writable, 0);
        return 0;
    case LWS_CALLBACK_RAW_CLOSE_FILE: {
        if (watch->wsi == NULL) /* still being made: loop_watch_new() frees */
            return 0;
        void (*gone)(void *) = watch->events->gone;
        void *context = watch->context;
        lws_set_opaque_user_data(wsi, NULL);
        loop_timer_set(&watch->writable, INT64_MAX);
        free(watch);
        gone(context);
        return 0;
    }
    default:
        return 0;
    }
}

struct loop_watch *loop_watch_new(struct loop *loop, int fd, const struct loop_watch_events *events,
                                  void *context)
{
    struct loop_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL) {
        close(fd);
        return NULL;
    }
    *watch = (struct loop_watch){
        .owner.callback = watch_callback,
        .writable = {.loop = loop, .function = events->writable, .context = context},
        .events = events,
        .context = context,
    };
    lws_adopt_desc_t adopt = {.vh = loop->watch_vhost,
                              .type = LWS_ADOPT_RAW_FILE_DESC,
                              .fd.filefd = (lws_filefd_type)(long long)fd,
                              .vh_prot_name = protocols[0].name,
                              .opaque = watch};
    watch->wsi = lws_adopt_descriptor_vhost_via_info(&adopt);
    if (watch->wsi == NULL) { /* the library has closed fd */
        free(watch);
        return NULL;
    }
    return watch;
}

void loop_watch_free(struct loop_watch *watch)
{
    if (watch == NULL)
        return;
    loop_timer_set(&watch->writable, INT64_MAX);
    loop_release_wsi(watch->wsi);
    free(watch);
}

void loop_watch_want_write(struct loop_watch *watch)
{
    lws_callback_on_writable(watch->wsi);
}

/* ---- timers ---------------------------------------------------------------------------------- */

static void run_hooks(struct loop *loop)
{
    for (size_t i = 0; i < loop->hook_count; i++)
        loop->hooks[i].function(loop->hooks[i].context);
}

/* The library goes from its timers straight to sleep, without returning to loop_run(). */
static void timer_fired(lws_sorted_usec_list_t *sul)
{
    struct loop_timer *timer = (struct loop_timer *)sul;
    struct loop *loop = timer->loop;
    timer->function(timer->context); /* which may free the timer */
    run_hooks(loop);
}

struct loop_timer *loop_timer_new(struct loop *loop, loop_timer_function *function, void *context)
{
    struct loop_timer *timer = calloc(1, sizeof *timer);
    if (timer == NULL)
        return NULL;
    timer->loop = loop;
    timer->function = function;
    timer->context = context;
    return timer;
}

void loop_timer_free(struct loop_timer *timer)
{
    if (timer == NULL)
        return;
    loop_timer_set(timer, INT64_MAX);
    free(timer);
}

void loop_timer_set(struct loop_timer *timer, int64_t at_us)
{
    int64_t delay_us = LWS_SET_TIMER_USEC_CANCEL;
    if (at_us != INT64_MAX) {
        delay_us = at_us - loop_now_us();
        if (delay_us < 1)
            delay_us = 1;
    }
    lws_sul_schedule(timer->loop->lws, 0, &timer->sul, timer_fired, delay_us);
}

/* ---- signals --------------------------------------------------------------------------------- */

static void loop_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGUSR1);
}

static void signal_readable(void *context)
{
    struct loop *loop = context;
    struct signalfd_siginfo info;
    while (read(loop->signal_fd, &info, sizeof info) == sizeof info) {
        int number = (int)info.ssi_signo;
        bool stop = number == SIGINT || number == SIGTERM;
        /* timeout(1) signals the process, and then its group: that is one wish. */
        if (stop && number == loop->stop_signal &&
            loop_now_us() < loop->stop_signal_us + ONE_WISH_US)
            continue;
        if (stop && loop->stop_signal != 0)
            _exit(128 + number);
        if (stop) {
            loop->stop_signal = number;
            loop->stop_signal_us = loop_now_us();
        }
        loop->signal_handler(loop->signal_context, number);
    }
}

static void signal_watch_gone(void *context)
{
    struct loop *loop = context;
    loop->signal_watch = NULL;
    loop_fail(loop);
}

int loop_on_signal(struct loop *loop, loop_signal_handler *handler, void *context)
{
    static const struct loop_watch_events events = {.readable = signal_readable,
                                                    .gone = signal_watch_gone};
    sigset_t set;
    loop_signals(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
    loop->signal_handler = handler;
    loop->signal_context = context;
    loop->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (loop->signal_fd < 0)
        return -1;
    loop->signal_watch = loop_watch_new(loop, loop->signal_fd, &events, loop);
    return loop->signal_watch == NULL ? -1 : 0;
}

/* ---- life ------------------------------------------------------------------------------------ */

/* The library has one log function per process and gives it no context. */
static const struct log *library_log;

static void library_line(int level, const char *line)
{
    (void)level;
    int length = (int)strcspn(line, "\n");
    log_write(library_log, LOG_LEVEL_DEBUG, "libwebsockets: %.*s", length, line);
}

static void direct_library_log(const struct log *log)
{
    library_log = log;
    lws_set_log_level(log_enabled(log, LOG_LEVEL_DEBUG) ? LLL_ERR | LLL_WARN : 0, library_line);
}

/* Between what is needed and what the library's tables may cost. */
static void limit_descriptors(const struct log *log, unsigned needed)
{
    struct rlimit limit;
    rlim_t wanted = needed > DESCRIPTORS_MAX ? needed : DESCRIPTORS_MAX;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    if (limit.rlim_max < wanted)
        wanted = limit.rlim_max;
    if (limit.rlim_cur > wanted || limit.rlim_cur < needed)
        limit.rlim_cur = wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < needed)
        log_write(log, LOG_LEVEL_WARN,
                  "Up to %u descriptors may be needed, the limit is %llu; raise it (ulimit -n, "
                  "LimitNOFILE=) or lower --max-connections",
                  needed, (unsigned long long)limit.rlim_cur);
}

static struct lws_context *create_context(void)
{
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .protocols = protocols,
        .options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_EXPLICIT_VHOSTS,
        .pt_serv_buf_size = SERVICE_BUFFER_BYTES,
        .max_http_header_data = HEADER_POOL_BYTES,
        .timeout_secs = LOOP_LIBRARY_TIMEOUT_S,
        .connect_timeout_secs = LOOP_LIBRARY_TIMEOUT_S,
    };
    return lws_create_context(&info);
}

static struct lws_vhost *create_watch_vhost(struct lws_context *lws)
{
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN, .protocols = protocols, .vhost_name = "watch"};
    return lws_create_vhost(lws, &info);
}

struct loop *loop_new(const struct log *log, unsigned descriptors)
{
    struct loop *loop = calloc(1, sizeof *loop);
    if (loop == NULL)
        return NULL;
    loop->log = log;
    signal(SIGPIPE, SIG_IGN);
    direct_library_log(log);
    limit_descriptors(log, descriptors);
    loop->scratch = malloc(LOOP_SCRATCH_BYTES);
    loop->lws = create_context();
    if (loop->scratch != NULL && loop->lws != NULL)
        loop->watch_vhost = create_watch_vhost(loop->lws);
    if (loop->watch_vhost == NULL) {
        loop_free(loop);
        return NULL;
    }
    return loop;
}

void loop_free(struct loop *loop)
{
    if (loop == NULL)
        return;
    loop_watch_free(loop->signal_watch);
    if (loop->lws != NULL)
        lws_context_destroy(loop->lws);
    free(loop->scratch);
    free(loop);
}

const struct log *loop_log(const struct loop *loop)
{
    return loop->log;
}

int loop_add_hook(struct loop *loop, loop_hook *hook, void *context)
{
    if (loop->hook_count == HOOKS_MAX)
        return -1;
    loop->hooks[loop->hook_count++] = (struct hook){hook, context};
    return 0;
}

int loop_run(struct loop *loop)
{
    while (!loop->stop) {
        if (lws_service(loop->lws, 0) < 0)
            return -1;
        run_hooks(loop);
    }
    return loop->failed ? -1 : 0;
}

void loop_fail(struct loop *loop)
{
    loop->failed = true;
    loop_stop(loop);
}

void loop_stop(struct loop *loop)
{
    loop->stop = true;
    lws_cancel_service(loop->lws);
}

/* ---- clock, random numbers, versions --------------------------------------------------------- */

int64_t loop_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void refill_random(struct loop *loop)
{
    size_t have = 0;
    while (have < sizeof loop->random_pool) {
        ssize_t got = getrandom(loop->random_pool + have, sizeof loop->random_pool - have, 0);
        if (got < 0 && errno != EINTR)
            abort(); /* no kernel that runs this lacks it; predictable masks are no option */
        if (got > 0)
            have += (size_t)got;
    }
    loop->random_left = sizeof loop->random_pool;
}

void loop_random(struct loop *loop, void *out, size_t size)
{
    if (size > loop->random_left)
        refill_random(loop);
    loop->random_left -= size;
    memcpy(out, loop->random_pool + loop->random_left, size);
}

void loop_versions(struct library_versions *versions)
{
    const char *library = lws_get_library_version();
    /* "4.1.6-" in Debian: the part behind the dash is a git revision, empty there. */
    snprintf(versions->libwebsockets, sizeof versions->libwebsockets, "%.*s",
             (int)strcspn(library, "-"), library);
    snprintf(versions->openssl, sizeof versions->openssl, "%s",
             OpenSSL_version(OPENSSL_VERSION_STRING));
}
