#include "stream.h"

#include <errno.h>
#include <openssl/err.h>
#include <sys/socket.h>

/* What a failed SSL_read_ex() or SSL_write_ex() means: -1 with errno, or 0 for an orderly end. */
static ssize_t tls_outcome(const SSL *ssl)
{
    int saved = errno;
    switch (SSL_get_error(ssl, 0)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_SYSCALL:
        errno = saved;
        return saved != 0 ? -1 : 0;
    default:
        return 0;
    }
}

ssize_t stream_read(int fd, SSL *ssl, uint8_t *out, size_t size)
{
    size_t got;
    if (ssl == NULL)
        return recv(fd, out, size, MSG_DONTWAIT);
    ERR_clear_error();
    errno = 0;
    return SSL_read_ex(ssl, out, size, &got) == 1 ? (ssize_t)got : tls_outcome(ssl);
}

ssize_t stream_write(int fd, SSL *ssl, const uint8_t *data, size_t size)
{
    size_t sent;
    if (ssl == NULL) {
        ssize_t result = send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (result < 0 && errno == EINTR)
            errno = EAGAIN;
        return result;
    }
    ERR_clear_error();
    errno = 0;
    if (SSL_write_ex(ssl, data, size, &sent) == 1)
        return (ssize_t)sent;
    if (tls_outcome(ssl) == 0)
        errno = EPIPE;
    return -1;
}
