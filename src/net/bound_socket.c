#include "bound_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "otoroshictl/codec/address.h"

static int bind_one(const struct addrinfo *address, bound_socket_prepare *prepare, void *context)
{
    const int off = 0;
    int fd = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if (address->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    prepare(fd, address, context);
    if (bind(fd, address->ai_addr, address->ai_addrlen) == 0)
        return fd;
    int reason = errno;
    close(fd);
    errno = reason;
    return -1;
}

static enum start_failure_kind kind_of_errno(int reason)
{
    bool resources = reason == EMFILE || reason == ENFILE || reason == ENOMEM || reason == ENOBUFS;
    return resources ? START_NO_RESOURCES : START_CANNOT_BIND;
}

int bound_socket_open(const struct local_address *local, int type, bound_socket_prepare *prepare,
                      void *context, struct start_failure *failure)
{
    char service[8];
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = type};
    struct addrinfo *list = NULL;
    snprintf(service, sizeof service, "%u", local->port);
    int status = getaddrinfo(local->host, service, &hints, &list);
    if (status != 0)
        return start_failure_set(failure,
                                 status == EAI_MEMORY ? START_NO_RESOURCES : START_CANNOT_BIND,
                                 "%s", gai_strerror(status));
    int fd = -1;
    for (const struct addrinfo *one = list; one != NULL && fd < 0; one = one->ai_next)
        fd = bind_one(one, prepare, context);
    if (fd < 0)
        start_failure_set(failure, kind_of_errno(errno), "%s", strerror(errno));
    freeaddrinfo(list);
    return fd;
}

void bound_socket_name(int fd, char *out, size_t size)
{
    union socket_address bound = {0};
    socklen_t length = sizeof bound;
    char host[ADDRESS_TEXT_SIZE];
    getsockname(fd, &bound.any, &length);
    bool v6 = bound.any.sa_family == AF_INET6;
    const void *ip = v6 ? (const void *)&bound.v6.sin6_addr : (const void *)&bound.v4.sin_addr;
    inet_ntop(bound.any.sa_family, ip, host, sizeof host);
    unsigned port = ntohs(v6 ? bound.v6.sin6_port : bound.v4.sin_port);
    snprintf(out, size, v6 ? "[%s]:%u" : "%s:%u", host, port);
}
