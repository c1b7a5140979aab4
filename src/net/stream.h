/* Reading and writing a connected socket, through TLS where `ssl` is not NULL. Never blocks. */
#ifndef OTOROSHICTL_SRC_NET_STREAM_H
#define OTOROSHICTL_SRC_NET_STREAM_H

#include <openssl/ssl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Like recv(2): bytes read, 0 at the end of the stream (with TLS also where the connection was cut
 * without close_notify), -1 with errno, EAGAIN where nothing is there. */
ssize_t stream_read(int fd, SSL *ssl, uint8_t *out, size_t size);

/* Like send(2): bytes written, -1 with errno, EAGAIN where none can be taken now. After EAGAIN the
 * same bytes are to be offered again, wherever they have moved. */
ssize_t stream_write(int fd, SSL *ssl, const uint8_t *data, size_t size);

#endif
