#include "load.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "request.h"
#include "slot.h"

enum {
    BATCH = 64,
    EVENTS = 256,
    SWEEPS = 20, /* looks for overdue requests while one of them becomes overdue */
    SPARE_DESCRIPTORS = 16,
    NS_PER_MS = 1000000,
    NS_PER_S = 1000000000,
};

/* Requests on their way out; the filler behind their headers is shared. */
struct outgoing {
    struct mmsghdr messages[BATCH];
    struct iovec vectors[BATCH][2];
    uint8_t headers[BATCH][REQUEST_HEADER_BYTES];
    size_t count;
};

struct incoming {
    struct mmsghdr messages[BATCH];
    struct iovec vectors[BATCH];
    uint8_t *bytes; /* BATCH times incoming_bytes() */
};

struct client {
    int fd;
    uint32_t number;
    struct slot *slots;
};

struct load {
    const struct load_config *config;
    struct load_result *result;
    int epoll_fd;
    uint32_t run;
    struct client *clients;
    struct slot *slots;
    uint8_t *filler;
    size_t filler_bytes;
    struct outgoing out;
    struct incoming in;
};

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* ---- requests -------------------------------------------------------------------------------- */

static void send_requests(struct load *load, const struct client *client)
{
    struct outgoing *out = &load->out;

    for (size_t done = 0; done < out->count;) {
        const int sent =
            sendmmsg(client->fd, out->messages + done, (unsigned)(out->count - done), MSG_DONTWAIT);
        done += sent > 0 ? (size_t)sent : 1;
        load->result->refused += sent > 0 ? 0 : 1;
    }
    load->result->sent += out->count;
    out->count = 0;
}

/* Goes out with the next send_requests(), at the latest when the batch is full. */
static void start_request(struct load *load, const struct client *client, uint32_t slot,
                          int64_t now)
{
    struct outgoing *out = &load->out;
    const struct request request = {.run = load->run,
                                    .client = client->number,
                                    .slot = slot,
                                    .attempt = client->slots[slot].attempt + 1};

    slot_start(&client->slots[slot], now);
    request_write(out->headers[out->count], &request);
    if (++out->count == BATCH)
        send_requests(load, client);
}

/* Starts every request that is not in flight, or has been for too long. */
static void sweep(struct load *load, int64_t now)
{
    for (uint32_t i = 0; i < load->config->clients; i++) {
        const struct client *client = &load->clients[i];
        for (uint32_t slot = 0; slot < load->config->window; slot++) {
            const bool lost = slot_overdue(&client->slots[slot], now, load->config->patience_ns);
            load->result->lost += lost ? 1 : 0;
            if (lost || !client->slots[slot].waiting)
                start_request(load, client, slot, now);
        }
        send_requests(load, client);
    }
}

/* ---- answers --------------------------------------------------------------------------------- */

/* One more than an answer has, so that a longer one is noticed. */
static size_t incoming_bytes(const struct load *load)
{
    return REQUEST_HEADER_BYTES + load->filler_bytes + 1;
}

static bool is_whole(const struct load *load, const struct request *request, const uint8_t *bytes,
                     size_t size)
{
    return size == REQUEST_HEADER_BYTES + load->filler_bytes && request->run == load->run &&
           request->client < load->config->clients && request->slot < load->config->window &&
           memcmp(bytes + REQUEST_HEADER_BYTES, load->filler, load->filler_bytes) == 0;
}

static void take_answer(struct load *load, const struct client *client, const uint8_t *bytes,
                        size_t size, int64_t now)
{
    struct load_result *result = load->result;
    struct request request;

    if (size < REQUEST_HEADER_BYTES || !request_read(&request, bytes) ||
        !is_whole(load, &request, bytes, size)) {
        result->damaged++;
        return;
    }
    if (request.client != client->number) {
        result->wrong++;
        return;
    }
    struct slot *slot = &client->slots[request.slot];
    switch (slot_answered(slot, request.attempt)) {
    case SLOT_RIGHT:
        result->right++;
        latency_add(&result->latency, now - slot->sent_ns);
        start_request(load, client, request.slot, now);
        break;
    case SLOT_DUPLICATE:
        result->duplicate++;
        break;
    case SLOT_LATE:
        result->late++;
        break;
    }
}

/* One batch; epoll tells of what is left. A failed call has fetched an error of the socket, such as
 * ECONNREFUSED, and the requests concerned will be given up. */
static void take_answers(struct load *load, const struct client *client)
{
    const int received = recvmmsg(client->fd, load->in.messages, BATCH, MSG_DONTWAIT, NULL);
    const int64_t now = now_ns();

    for (int i = 0; i < received; i++)
        take_answer(load, client, load->in.vectors[i].iov_base, load->in.messages[i].msg_len, now);
    send_requests(load, client);
}

/* ---- the run --------------------------------------------------------------------------------- */

static void wait_for_answers(struct load *load, int64_t until)
{
    struct epoll_event events[EVENTS];
    const int64_t left_ms = (until - now_ns() + NS_PER_MS - 1) / NS_PER_MS;
    const int ready = epoll_wait(load->epoll_fd, events, EVENTS, left_ms > 0 ? (int)left_ms : 0);

    for (int i = 0; i < ready; i++)
        take_answers(load, events[i].data.ptr);
}

static void run_until(struct load *load, int64_t end)
{
    const int64_t interval = load->config->patience_ns / SWEEPS;
    int64_t next_sweep = now_ns();

    for (int64_t now = next_sweep; now < end; now = now_ns()) {
        if (now >= next_sweep) {
            sweep(load, now);
            next_sweep = now + interval;
        }
        wait_for_answers(load, next_sweep < end ? next_sweep : end);
    }
}

static void measure(struct load *load)
{
    struct load_result *result = load->result;
    struct process_usage before = {0};

    run_until(load, now_ns() + load->config->warm_up_ns);
    memset(result, 0, sizeof(*result));
    const int64_t began = now_ns();
    const bool known = load->config->pid != 0 && process_usage_read(&before, load->config->pid);
    run_until(load, began + load->config->duration_ns);
    result->measured_ns = now_ns() - began;
    if (known && process_usage_read(&result->used, load->config->pid))
        result->used.cpu_us -= before.cpu_us;
}

/* ---- setting up ------------------------------------------------------------------------------ */

static void prepare_batches(struct load *load)
{
    for (size_t i = 0; i < BATCH; i++) {
        load->out.vectors[i][0] =
            (struct iovec){.iov_base = load->out.headers[i], .iov_len = REQUEST_HEADER_BYTES};
        load->out.vectors[i][1] =
            (struct iovec){.iov_base = load->filler, .iov_len = load->filler_bytes};
        load->out.messages[i].msg_hdr =
            (struct msghdr){.msg_iov = load->out.vectors[i], .msg_iovlen = 2};
        load->in.vectors[i] = (struct iovec){.iov_base = load->in.bytes + i * incoming_bytes(load),
                                             .iov_len = incoming_bytes(load)};
        load->in.messages[i].msg_hdr =
            (struct msghdr){.msg_iov = &load->in.vectors[i], .msg_iovlen = 1};
    }
}

static int open_client(struct load *load, uint32_t number)
{
    const struct sockaddr_in target = {.sin_family = AF_INET,
                                       .sin_port = htons(load->config->port),
                                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct client *client = &load->clients[number];
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};

    client->number = number;
    client->slots = load->slots + (size_t)number * load->config->window;
    client->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (client->fd < 0)
        return -1;
    if (connect(client->fd, (const struct sockaddr *)&target, sizeof(target)) != 0 ||
        epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, client->fd, &event) != 0) {
        close(client->fd);
        return -1;
    }
    return 0;
}

/* Each client has a descriptor; the limit is often a thousand, and may be raised. */
static void allow_descriptors(uint32_t clients)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > clients + SPARE_DESCRIPTORS)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static void free_load(struct load *load)
{
    free(load->in.bytes);
    free(load->filler);
    free(load->slots);
    free(load->clients);
    free(load);
}

static struct load *new_load(const struct load_config *config, struct load_result *result)
{
    struct load *load = calloc(1, sizeof(*load));

    if (load == NULL)
        return NULL;
    load->config = config;
    load->result = result;
    load->filler_bytes = config->payload_bytes - REQUEST_HEADER_BYTES;
    load->clients = calloc(config->clients, sizeof(*load->clients));
    load->slots = calloc((size_t)config->clients * config->window, sizeof(*load->slots));
    load->filler = calloc(1, load->filler_bytes + 1);
    load->in.bytes = calloc(BATCH, incoming_bytes(load));
    if (load->clients == NULL || load->slots == NULL || load->filler == NULL ||
        load->in.bytes == NULL ||
        getrandom(&load->run, sizeof(load->run), 0) != (ssize_t)sizeof(load->run)) {
        free_load(load);
        return NULL;
    }
    request_fill(load->filler, load->filler_bytes, load->run);
    prepare_batches(load);
    return load;
}

int load_run(const struct load_config *config, struct load_result *result)
{
    struct load *load = new_load(config, result);
    uint32_t opened = 0;
    int status = -1;

    if (load == NULL)
        return -1;
    allow_descriptors(config->clients);
    load->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (load->epoll_fd < 0)
        goto free_memory;
    while (opened < config->clients && open_client(load, opened) == 0)
        opened++;
    if (opened < config->clients)
        goto close_clients;
    measure(load);
    status = 0;
close_clients:
    while (opened > 0)
        close(load->clients[--opened].fd);
    close(load->epoll_fd);
free_memory:
    free_load(load);
    return status;
}
