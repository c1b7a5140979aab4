#include "client_socket.h"

#include <errno.h>
#include <openssl/err.h>
#include <sys/socket.h>

static enum io_result plain_result(ssize_t result, size_t *done)
{
    if (result > 0) {
        *done = (size_t)result;
        return IO_DONE;
    }
    if (result < 0 && (errno == EAGAIN || errno == EINTR))
        return IO_WOULD_BLOCK;
    return IO_ENDED;
}

static enum io_result tls_result(const struct client_socket *socket, int result)
{
    if (result > 0)
        return IO_DONE;
    const int error = SSL_get_error(socket->tls, result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        return IO_WOULD_BLOCK;
    return IO_ENDED;
}

enum io_result client_socket_read(const struct client_socket *socket, uint8_t *buffer, size_t size,
                                  size_t *done)
{
    if (socket->tls == NULL)
        return plain_result(recv(socket->fd, buffer, size, MSG_DONTWAIT), done);
    ERR_clear_error();
    return tls_result(socket, SSL_read_ex(socket->tls, buffer, size, done));
}

enum io_result client_socket_write(const struct client_socket *socket, const uint8_t *bytes,
                                   size_t size, size_t *done)
{
    if (socket->tls == NULL)
        return plain_result(send(socket->fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL), done);
    ERR_clear_error();
    return tls_result(socket, SSL_write_ex(socket->tls, bytes, size, done));
}

void client_socket_finish(const struct client_socket *socket)
{
    if (socket->tls != NULL) {
        ERR_clear_error();
        (void)SSL_shutdown(socket->tls);
    }
    (void)shutdown(socket->fd, SHUT_WR);
}
