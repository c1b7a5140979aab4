/* Many datagrams a system call, in memory that all UDP tunnels of the gateway share (one thread:
 * what is collected is sent before another tunnel has its turn). */
#ifndef DEV_GATEWAY_UDP_BATCH_H
#define DEV_GATEWAY_UDP_BATCH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
    UDP_BATCH = 64,
    UDP_RECEIVE_BYTES = 65536,
    UDP_DATAGRAM_MAX_BYTES = 65507,
    UDP_ARENA_BYTES = 2097152,
};

struct udp_scratch {
    /* sending */
    struct mmsghdr out[UDP_BATCH];
    struct iovec out_data[UDP_BATCH];
    size_t out_count;
    size_t arena_used;
    uint8_t arena[UDP_ARENA_BYTES];
    /* receiving */
    struct mmsghdr in[UDP_BATCH];
    struct iovec in_data[UDP_BATCH];
    uint8_t in_bytes[UDP_BATCH][UDP_RECEIVE_BYTES];
};

struct udp_sent {
    uint64_t sent;
    uint64_t refused;
};

struct udp_scratch *udp_scratch_new(void);

/* The unused end of the arena, at least `size` bytes (at most UDP_ARENA_BYTES / 2), or NULL where
 * the batch has to be sent first. */
uint8_t *udp_batch_room(struct udp_scratch *scratch, size_t size);

/* The first `size` bytes of the room are a datagram to `remote`, which stays valid until sent. */
void udp_batch_add(struct udp_scratch *scratch, const struct sockaddr_storage *remote,
                   socklen_t remote_length, size_t size);

/* Sends what was collected; a datagram the kernel refuses is skipped. */
struct udp_sent udp_batch_send(struct udp_scratch *scratch, int fd);

/* Receives what is there, UDP_BATCH datagrams at most; in_data[i].iov_base and in[i].msg_len
 * have them. Errors of the socket (ECONNREFUSED) count as nothing received. */
size_t udp_batch_receive(struct udp_scratch *scratch, int fd);

#endif
