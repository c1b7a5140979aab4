#include "udp_batch.h"

#include <stdlib.h>
#include <string.h>

struct udp_scratch *udp_scratch_new(void)
{
    return calloc(1, sizeof(struct udp_scratch));
}

uint8_t *udp_batch_room(struct udp_scratch *scratch, size_t size)
{
    if (scratch->out_count == UDP_BATCH || sizeof(scratch->arena) - scratch->arena_used < size)
        return NULL;
    return scratch->arena + scratch->arena_used;
}

void udp_batch_add(struct udp_scratch *scratch, const struct sockaddr_storage *remote,
                   socklen_t remote_length, size_t size)
{
    struct iovec *data = &scratch->out_data[scratch->out_count];
    struct msghdr *header = &scratch->out[scratch->out_count].msg_hdr;

    data->iov_base = scratch->arena + scratch->arena_used;
    data->iov_len = size;
    memset(header, 0, sizeof(*header));
    header->msg_name = (void *)remote;
    header->msg_namelen = remote_length;
    header->msg_iov = data;
    header->msg_iovlen = 1;
    scratch->arena_used += size;
    scratch->out_count++;
}

struct udp_sent udp_batch_send(struct udp_scratch *scratch, int fd)
{
    struct udp_sent outcome = {0};

    while (outcome.sent + outcome.refused < scratch->out_count) {
        const size_t next = (size_t)(outcome.sent + outcome.refused);
        const int sent =
            sendmmsg(fd, scratch->out + next, (unsigned)(scratch->out_count - next), MSG_DONTWAIT);
        if (sent > 0)
            outcome.sent += (uint64_t)sent;
        else
            outcome.refused++;
    }
    scratch->out_count = 0;
    scratch->arena_used = 0;
    return outcome;
}

size_t udp_batch_receive(struct udp_scratch *scratch, int fd)
{
    for (size_t i = 0; i < UDP_BATCH; i++) {
        scratch->in_data[i].iov_base = scratch->in_bytes[i];
        scratch->in_data[i].iov_len = sizeof(scratch->in_bytes[i]);
        memset(&scratch->in[i], 0, sizeof(scratch->in[i]));
        scratch->in[i].msg_hdr.msg_iov = &scratch->in_data[i];
        scratch->in[i].msg_hdr.msg_iovlen = 1;
    }
    const int received = recvmmsg(fd, scratch->in, UDP_BATCH, MSG_DONTWAIT, NULL);
    return received > 0 ? (size_t)received : 0;
}
