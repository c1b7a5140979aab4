/* Reading from and writing to a client, with or without TLS. Never blocks. */
#ifndef DEV_GATEWAY_CLIENT_SOCKET_H
#define DEV_GATEWAY_CLIENT_SOCKET_H

#include <openssl/ssl.h>
#include <stddef.h>
#include <stdint.h>

struct client_socket {
    int fd;
    SSL *tls; /* NULL without TLS; the library's */
};

enum io_result {
    IO_DONE,        /* *done bytes, at least one */
    IO_WOULD_BLOCK, /* nothing now */
    IO_ENDED,       /* end of file or broken */
};

enum io_result client_socket_read(const struct client_socket *socket, uint8_t *buffer, size_t size,
                                  size_t *done);
enum io_result client_socket_write(const struct client_socket *socket, const uint8_t *bytes,
                                   size_t size, size_t *done);

/* Nothing more will be written: close_notify, then FIN. */
void client_socket_finish(const struct client_socket *socket);

#endif
