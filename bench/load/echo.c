#include "echo.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BATCH = 64, DATAGRAM_BYTES = 65536, BUFFER_BYTES = 4 * 1024 * 1024 };

struct echo {
    struct mmsghdr messages[BATCH];
    struct iovec vectors[BATCH];
    struct sockaddr_in senders[BATCH];
    uint8_t bytes[BATCH][DATAGRAM_BYTES];
};

/* recvmmsg(2) has changed lengths and names; sendmmsg(2) needs them as they are. */
static void expect_datagrams(struct echo *echo)
{
    for (size_t i = 0; i < BATCH; i++) {
        echo->vectors[i] =
            (struct iovec){.iov_base = echo->bytes[i], .iov_len = sizeof(echo->bytes[i])};
        echo->messages[i].msg_hdr = (struct msghdr){.msg_name = &echo->senders[i],
                                                    .msg_namelen = sizeof(echo->senders[i]),
                                                    .msg_iov = &echo->vectors[i],
                                                    .msg_iovlen = 1};
    }
}

/* What the kernel refuses is lost, as it would be on a network. */
static void send_back(struct echo *echo, int fd, size_t count)
{
    for (size_t i = 0; i < count; i++)
        echo->vectors[i].iov_len = echo->messages[i].msg_len;
    for (size_t done = 0; done < count;) {
        const int sent = sendmmsg(fd, echo->messages + done, (unsigned)(count - done), 0);
        done += sent > 0 ? (size_t)sent : 1;
    }
}

static int serve(int fd)
{
    struct echo *echo = calloc(1, sizeof(*echo));

    if (echo == NULL)
        return -1;
    for (;;) {
        expect_datagrams(echo);
        const int received = recvmmsg(fd, echo->messages, BATCH, MSG_WAITFORONE, NULL);
        if (received > 0)
            send_back(echo, fd, (size_t)received);
        else if (errno != EINTR)
            break;
    }
    free(echo);
    return -1;
}

int echo_run(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    const int buffer_bytes = BUFFER_BYTES;
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    /* The kernel may grant less. */
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer_bytes, sizeof(buffer_bytes));
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) != 0)
        goto fail;
    printf("udp-load answers on 127.0.0.1:%u\n", (unsigned)ntohs(address.sin_port));
    fflush(stdout);
    (void)serve(fd);
fail:
    close(fd);
    return -1;
}
