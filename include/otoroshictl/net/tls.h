/* The client's side of TLS: what is trusted, and whose certificate must be shown.
 *
 * TLS 1.2 at least. The trust store is --tls-ca-file alone where given, else OpenSSL's own
 * (SSL_CERT_FILE, SSL_CERT_DIR). The name to verify is set here, with no limit on its length, and
 * is sent as SNI unless it is an IP address (RFC 6066, section 3). */
#ifndef OTOROSHICTL_NET_TLS_H
#define OTOROSHICTL_NET_TLS_H

#include <openssl/ssl.h>
#include <stddef.h>

#include "otoroshictl/net/start_failure.h"
#include "otoroshictl/tunnel/config.h"

/* What a handshake leaves behind for the message about its failure. */
struct tls_handshake {
    bool begun;
    bool certificate_wanted;     /* and we had none */
    long verify_error;           /* X509_V_ERR_*, or X509_V_OK */
    unsigned long library_error; /* newest of OpenSSL's queue, or 0 */
    int alert;                   /* the peer's last (SSL_AD_*); SSL_AD_CLOSE_NOTIFY, 0, if none */
};

/* Where the notes of `ssl`'s handshake go; NULL where it is not known. */
struct tls_handshake_finder {
    struct tls_handshake *(*find)(void *context, const SSL *ssl);
    void *context;
};

/* For connections to `host`. NULL with the reason in *failure (a file that cannot be read, a key
 * that does not fit its certificate). `config`, `host` and `finder` outlive the context, which is
 * the caller's: SSL_CTX_free(). */
SSL_CTX *tls_context_new(const struct tunnel_config *config, const struct gateway_host *host,
                         const struct tls_handshake_finder *finder, struct start_failure *failure);

/* The name that the certificate must show and that is sent as SNI. */
const char *tls_expected_name(const struct tunnel_config *config, const struct gateway_host *host);

/* Words for the reason why a handshake failed: the check of the certificate that failed, with what
 * to do about it, else OpenSSL's error. */
void tls_describe_failure(const struct tls_handshake *handshake, const char *name, char *out,
                          size_t size);

#endif
