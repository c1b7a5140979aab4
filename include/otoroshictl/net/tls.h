/* The client's side of TLS: what is trusted, and whose certificate must be shown.
 *
 * TLS 1.2 at least. The trust store is --tls-ca-file alone where given, else OpenSSL's own
 * (SSL_CERT_FILE, SSL_CERT_DIR). The name to verify is set here, with no limit on its length, and
 * is sent as SNI unless it is an IP address (RFC 6066, section 3). */
#ifndef OTOROSHICTL_NET_TLS_H
#define OTOROSHICTL_NET_TLS_H

#include <openssl/ssl.h>
#include <stddef.h>

#include "otoroshictl/tunnel/config.h"

/* For connections to `host`. NULL with the reason in `error` (a file that cannot be read, a key
 * that does not fit its certificate). The context is the caller's: SSL_CTX_free(). */
SSL_CTX *tls_context_new(const struct tunnel_config *config, const struct gateway_host *host,
                         char *error, size_t error_size);

/* The name that the certificate must show and that is sent as SNI. */
const char *tls_expected_name(const struct tunnel_config *config, const struct gateway_host *host);

/* Words for the reason why the handshake of `ssl` (made from tls_context_new()) failed: the check
 * of the certificate that failed, with what to do about it, else OpenSSL's error. */
void tls_describe_failure(const SSL *ssl, const char *name, char *out, size_t size);

#endif
