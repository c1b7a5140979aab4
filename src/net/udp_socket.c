#include "otoroshictl/net/udp_socket.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bound_socket.h"

enum {
    SLOT_BYTES = 65536, /* a power of two above any UDP payload */
    BATCHES_PER_TURN = 4,
    RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024,
    CONTROL_BYTES = 128, /* CMSG_SPACE() of the drop counter and of an in6_pktinfo, with room */
};

/* One direction's arena: headers and payloads of a batch, laid out once. The payloads are mapped,
 * so that only pages that a payload has touched are resident. */
struct batch {
    struct mmsghdr headers[UDP_SOCKET_BATCH];
    struct iovec vectors[UDP_SOCKET_BATCH];
    _Alignas(struct cmsghdr) char control[UDP_SOCKET_BATCH][CONTROL_BYTES];
    union socket_address addresses[UDP_SOCKET_BATCH];
    uint8_t *payloads;
};

struct udp_socket {
    struct loop *loop;
    struct loop_watch *watch;
    const struct udp_socket_events *events;
    void *context;
    int fd;
    bool ipv6;
    bool wildcard; /* bound to every address: a reply has to name the one that was asked */
    bool reading;
    uint32_t overflow_seen;
    struct batch in;
    struct batch out;
    size_t pending;
};

/* ---- addresses ------------------------------------------------------------------------------- */

static void address_from_socket(struct address *out, const union socket_address *from)
{
    *out = (struct address){0};
    if (from->any.sa_family == AF_INET) {
        out->family = ADDRESS_IPV4;
        out->port = ntohs(from->v4.sin_port);
        memcpy(out->ip, &from->v4.sin_addr, 4);
        return;
    }
    out->port = ntohs(from->v6.sin6_port);
    if (IN6_IS_ADDR_V4MAPPED(&from->v6.sin6_addr)) {
        out->family = ADDRESS_IPV4;
        memcpy(out->ip, &from->v6.sin6_addr.s6_addr[12], 4);
        return;
    }
    out->family = ADDRESS_IPV6;
    out->scope_id = from->v6.sin6_scope_id;
    memcpy(out->ip, &from->v6.sin6_addr, 16);
}

static socklen_t address_to_socket(union socket_address *out, const struct address *address,
                                   bool ipv6_socket)
{
    *out = (union socket_address){0};
    if (!ipv6_socket) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(address->port);
        memcpy(&out->v4.sin_addr, address->ip, 4);
        return sizeof out->v4;
    }
    out->v6.sin6_family = AF_INET6;
    out->v6.sin6_port = htons(address->port);
    out->v6.sin6_scope_id = address->scope_id;
    if (address->family == ADDRESS_IPV4) {
        out->v6.sin6_addr.s6_addr[10] = 0xff;
        out->v6.sin6_addr.s6_addr[11] = 0xff;
        memcpy(&out->v6.sin6_addr.s6_addr[12], address->ip, 4);
    } else {
        memcpy(&out->v6.sin6_addr, address->ip, 16);
    }
    return sizeof out->v6;
}

/* ---- receiving ------------------------------------------------------------------------------- */

/* The kernel's count is the socket's total, modulo 2^32. */
static void note_overflow(struct udp_socket *udp, uint32_t total)
{
    if (total != udp->overflow_seen)
        udp->events->overflow(udp->context, total - udp->overflow_seen);
    udp->overflow_seen = total;
}

void udp_socket_check_overflow(struct udp_socket *udp)
{
    uint32_t memory[SK_MEMINFO_VARS];
    socklen_t size = sizeof memory;
    if (getsockopt(udp->fd, SOL_SOCKET, SO_MEMINFO, memory, &size) == 0 && size == sizeof memory)
        note_overflow(udp, memory[SK_MEMINFO_DROPS]);
}

static void read_local_v6(struct address *client, const struct in6_addr *local)
{
    if (IN6_IS_ADDR_V4MAPPED(local))
        memcpy(client->local, &local->s6_addr[12], 4);
    else if (!IN6_IS_ADDR_MULTICAST(local))
        memcpy(client->local, local, 16);
}

/* What the kernel tells beside a datagram: where it was sent to, and how many were dropped before
 * it was queued. */
static void read_control(struct udp_socket *udp, struct msghdr *header, struct address *client)
{
    for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part != NULL;
         part = CMSG_NXTHDR(header, part)) {
        if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SO_RXQ_OVFL) {
            uint32_t total;
            memcpy(&total, CMSG_DATA(part), sizeof total);
            note_overflow(udp, total);
        } else if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(part), sizeof info);
            memcpy(client->local, &info.ipi_spec_dst, 4);
        } else if (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(part), sizeof info);
            read_local_v6(client, &info.ipi6_addr);
        }
    }
}

static void reset_lengths(struct udp_socket *udp, size_t used)
{
    for (size_t i = 0; i < used; i++) {
        udp->in.headers[i].msg_hdr.msg_namelen = sizeof(union socket_address);
        udp->in.headers[i].msg_hdr.msg_controllen = CONTROL_BYTES;
    }
}

static bool receive_batch(struct udp_socket *udp)
{
    struct datagram batch[UDP_SOCKET_BATCH];
    int count = recvmmsg(udp->fd, udp->in.headers, UDP_SOCKET_BATCH, MSG_DONTWAIT, NULL);
    if (count <= 0) /* nothing there, or an ICMP error about a client that left */
        return count < 0 && errno == ECONNREFUSED;
    for (int i = 0; i < count; i++) {
        address_from_socket(&batch[i].client, &udp->in.addresses[i]);
        batch[i].payload = udp->in.vectors[i].iov_base;
        batch[i].size = udp->in.headers[i].msg_len;
        read_control(udp, &udp->in.headers[i].msg_hdr, &batch[i].client);
    }
    reset_lengths(udp, (size_t)count);
    udp->events->datagrams(udp->context, batch, (size_t)count);
    return count == UDP_SOCKET_BATCH;
}

static void readable(void *context)
{
    struct udp_socket *udp = context;
    for (int i = 0; i < BATCHES_PER_TURN && udp->reading; i++) {
        if (receive_batch(udp))
            continue;
        if (i > 0) /* the end of a burst: what was dropped behind its last datagram */
            udp_socket_check_overflow(udp);
        return;
    }
}

/* The socket was destroyed under us (ss -K). There is no tunnel without it. */
static void gone(void *context)
{
    struct udp_socket *udp = context;
    udp->watch = NULL;
    udp->reading = false;
    log_write(loop_log(udp->loop), LOG_LEVEL_ERROR, "The local socket was closed by the system");
    loop_fail(udp->loop);
}

void udp_socket_stop_reading(struct udp_socket *udp)
{
    udp->reading = false;
    loop_watch_free(udp->watch);
    udp->watch = NULL;
}

/* ---- sending --------------------------------------------------------------------------------- */

uint8_t *udp_socket_reserve(struct udp_socket *udp)
{
    if (udp->pending == UDP_SOCKET_BATCH)
        udp_socket_flush(udp);
    return udp->out.vectors[udp->pending].iov_base;
}

static void add_control(struct msghdr *header, int level, int type, const void *data, size_t size)
{
    header->msg_controllen = CMSG_SPACE(size);
    struct cmsghdr *part = CMSG_FIRSTHDR(header);
    part->cmsg_level = level;
    part->cmsg_type = type;
    part->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(part), data, size);
}

/* A reply comes from the address that was asked, or its client would not take it. */
static void set_source(const struct udp_socket *udp, struct msghdr *header, char *control,
                       const struct address *client)
{
    static const uint8_t unknown[16];
    header->msg_control = NULL;
    header->msg_controllen = 0;
    if (!udp->wildcard || memcmp(client->local, unknown, sizeof unknown) == 0)
        return;
    header->msg_control = control;
    if (!udp->ipv6) {
        struct in_pktinfo info = {0};
        memcpy(&info.ipi_spec_dst, client->local, 4);
        add_control(header, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
        return;
    }
    struct in6_pktinfo info = {.ipi6_ifindex = client->scope_id};
    if (client->family == ADDRESS_IPV4) {
        info.ipi6_addr.s6_addr[10] = 0xff;
        info.ipi6_addr.s6_addr[11] = 0xff;
        memcpy(&info.ipi6_addr.s6_addr[12], client->local, 4);
    } else {
        memcpy(&info.ipi6_addr, client->local, 16);
    }
    add_control(header, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
}

void udp_socket_commit(struct udp_socket *udp, const struct address *client, size_t size)
{
    size_t slot = udp->pending++;
    udp->out.vectors[slot].iov_len = size;
    udp->out.headers[slot].msg_hdr.msg_namelen =
        address_to_socket(&udp->out.addresses[slot], client, udp->ipv6);
    set_source(udp, &udp->out.headers[slot].msg_hdr, udp->out.control[slot], client);
}

void udp_socket_flush(struct udp_socket *udp)
{
    size_t done = 0;
    size_t failed = 0;
    uint64_t bytes = 0;

    if (udp->pending == 0)
        return;
    while (done < udp->pending) {
        int sent = sendmmsg(udp->fd, udp->out.headers + done, (unsigned)(udp->pending - done), 0);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0) { /* this one cannot go (EPERM, ENOBUFS, ...); the others may */
            log_write(loop_log(udp->loop), LOG_LEVEL_DEBUG, "Cannot send to a local client: %s",
                      strerror(errno));
            failed++;
            done++;
            continue;
        }
        for (int i = 0; i < sent; i++)
            bytes += udp->out.vectors[done + (size_t)i].iov_len;
        done += (size_t)sent;
    }
    udp->pending = 0;
    udp->events->delivered(udp->context, done - failed, bytes, failed);
}

/* ---- life ------------------------------------------------------------------------------------ */

static int batch_init(struct batch *batch)
{
    void *payloads = mmap(NULL, (size_t)UDP_SOCKET_BATCH * SLOT_BYTES, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (payloads == MAP_FAILED)
        return -1;
    batch->payloads = payloads;
    for (size_t i = 0; i < UDP_SOCKET_BATCH; i++) {
        batch->vectors[i] =
            (struct iovec){.iov_base = batch->payloads + i * SLOT_BYTES, .iov_len = SLOT_BYTES};
        batch->headers[i].msg_hdr = (struct msghdr){.msg_name = &batch->addresses[i],
                                                    .msg_namelen = sizeof(union socket_address),
                                                    .msg_iov = &batch->vectors[i],
                                                    .msg_iovlen = 1};
    }
    return 0;
}

static void batch_fini(struct batch *batch)
{
    if (batch->payloads != NULL)
        munmap(batch->payloads, (size_t)UDP_SOCKET_BATCH * SLOT_BYTES);
}

/* As large as the kernel allows: with CAP_NET_ADMIN what is wanted, else net.core.rmem_max. */
static void enlarge_receive_buffer(const struct udp_socket *udp)
{
    const int wanted = RECEIVE_BUFFER_BYTES;
    int got = 0;
    socklen_t size = sizeof got;
    if (setsockopt(udp->fd, SOL_SOCKET, SO_RCVBUFFORCE, &wanted, sizeof wanted) != 0)
        setsockopt(udp->fd, SOL_SOCKET, SO_RCVBUF, &wanted, sizeof wanted);
    /* The kernel tells twice what it was asked for: its bookkeeping is in it. */
    if (getsockopt(udp->fd, SOL_SOCKET, SO_RCVBUF, &got, &size) == 0 && got / 2 < wanted)
        log_write(loop_log(udp->loop), LOG_LEVEL_INFO,
                  "The receive buffer of the local socket is %d KiB, not %d KiB; a larger "
                  "net.core.rmem_max loses fewer datagrams in bursts",
                  got / 2 / 1024, wanted / 1024);
}

static bool is_wildcard(const struct addrinfo *address)
{
    union socket_address bound = {0};
    memcpy(&bound, address->ai_addr,
           address->ai_addrlen < sizeof bound ? address->ai_addrlen : sizeof bound);
    return address->ai_family == AF_INET6 ? IN6_IS_ADDR_UNSPECIFIED(&bound.v6.sin6_addr)
                                          : bound.v4.sin_addr.s_addr == htonl(INADDR_ANY);
}

static void prepare(int fd, const struct addrinfo *address, void *context)
{
    struct udp_socket *udp = context;
    const int on = 1;
    udp->ipv6 = address->ai_family == AF_INET6;
    udp->wildcard = is_wildcard(address);
    setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof on);
    if (udp->wildcard)
        setsockopt(fd, udp->ipv6 ? IPPROTO_IPV6 : IPPROTO_IP,
                   udp->ipv6 ? IPV6_RECVPKTINFO : IP_PKTINFO, &on, sizeof on);
}

static int start_reading(struct udp_socket *udp)
{
    static const struct loop_watch_events events = {.readable = readable, .gone = gone};
    for (size_t i = 0; i < UDP_SOCKET_BATCH; i++) {
        udp->in.headers[i].msg_hdr.msg_control = udp->in.control[i];
        udp->in.headers[i].msg_hdr.msg_controllen = CONTROL_BYTES;
    }
    int watched_fd = dup(udp->fd);
    if (watched_fd < 0)
        return -1;
    udp->watch = loop_watch_new(udp->loop, watched_fd, &events, udp);
    udp->reading = udp->watch != NULL;
    return udp->reading ? 0 : -1;
}

struct udp_socket *udp_socket_open(struct loop *loop, const char *host, uint16_t port,
                                   const struct udp_socket_events *events, void *context,
                                   struct start_failure *failure)
{
    struct udp_socket *udp = calloc(1, sizeof *udp);
    if (udp == NULL) {
        start_failure_set(failure, START_NO_RESOURCES, "out of memory");
        return NULL;
    }
    udp->loop = loop;
    udp->events = events;
    udp->context = context;
    udp->fd =
        bound_socket_open(&(struct local_address){host, port}, SOCK_DGRAM, prepare, udp, failure);
    if (udp->fd < 0)
        goto fail;
    enlarge_receive_buffer(udp);
    if (batch_init(&udp->in) != 0 || batch_init(&udp->out) != 0 || start_reading(udp) != 0) {
        start_failure_set(failure, START_NO_RESOURCES, "out of memory or descriptors");
        goto fail;
    }
    return udp;

fail:
    udp_socket_free(udp);
    return NULL;
}

void udp_socket_free(struct udp_socket *udp)
{
    if (udp == NULL)
        return;
    loop_watch_free(udp->watch);
    batch_fini(&udp->in);
    batch_fini(&udp->out);
    if (udp->fd >= 0)
        close(udp->fd);
    free(udp);
}

void udp_socket_name(const struct udp_socket *udp, char *out, size_t size)
{
    bound_socket_name(udp->fd, out, size);
}
