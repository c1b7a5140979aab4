#include "otoroshictl/net/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

static const char *library_reason(unsigned long error)
{
    const char *reason = ERR_reason_error_string(error);
    return reason != NULL ? reason : "unknown reason";
}

static int fail(struct start_failure *failure, const char *what, const char *file)
{
    unsigned long code = ERR_peek_error();
    const char *reason = library_reason(code);
    if (ERR_GET_REASON(code) == PEM_R_BAD_PASSWORD_READ)
        reason = "it is encrypted; take the pass phrase off it, nobody can type it in here";
    start_failure_set(failure, START_BAD_FILE, "%s '%s': %s", what, file, reason);
    ERR_clear_error();
    return -1;
}

static int load_trust(SSL_CTX *context, const struct tunnel_config *config,
                      struct start_failure *failure)
{
    if (config->tls_ca_file == NULL)
        return SSL_CTX_set_default_verify_paths(context) == 1
                   ? 0
                   : fail(failure, "cannot load the system's CA certificates", "");
    if (SSL_CTX_load_verify_locations(context, config->tls_ca_file, NULL) != 1)
        return fail(failure, "cannot load CA certificates from", config->tls_ca_file);
    return 0;
}

/* In place of OpenSSL's, which would ask on the terminal and wait. */
static int no_pass_phrase(char *out, int size, int writing, void *context)
{
    (void)out;
    (void)size;
    (void)writing;
    (void)context;
    return 0;
}

static int load_identity(SSL_CTX *context, const struct tunnel_config *config,
                         struct start_failure *failure)
{
    if (config->tls_cert_file == NULL)
        return 0;
    SSL_CTX_set_default_passwd_cb(context, no_pass_phrase);
    if (SSL_CTX_use_certificate_chain_file(context, config->tls_cert_file) != 1)
        return fail(failure, "cannot load the client certificate from", config->tls_cert_file);
    if (SSL_CTX_use_PrivateKey_file(context, config->tls_key_file, SSL_FILETYPE_PEM) != 1)
        return fail(failure, "cannot load the client key from", config->tls_key_file);
    if (SSL_CTX_check_private_key(context) != 1)
        return fail(failure, "the client key does not fit the certificate", config->tls_key_file);
    return 0;
}

static int require_name(SSL_CTX *context, const char *name)
{
    X509_VERIFY_PARAM *parameters = SSL_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (X509_VERIFY_PARAM_set1_ip_asc(parameters, name) == 1)
        return 0;
    return X509_VERIFY_PARAM_set1_host(parameters, name, 0) == 1 ? 0 : -1;
}

const char *tls_expected_name(const struct tunnel_config *config, const struct gateway_host *host)
{
    return config->tls_server_name != NULL ? config->tls_server_name : host->name;
}

static bool is_ip_literal(const char *name)
{
    unsigned char ip[16];
    return inet_pton(AF_INET, name, ip) == 1 || inet_pton(AF_INET6, name, ip) == 1;
}

/* Where a context keeps its finder and the name to send. OpenSSL numbers such places for the whole
 * process. */
static int finder_slot = -1;
static int name_slot = -1;

/* OpenSSL calls this at the steps of a handshake. Before the first message the server name is
 * set, which libwebsockets would cut at 127 bytes and would send for an IP address too; after a
 * failure the reason is noted, since libwebsockets throws it away. */
static void handshake_step(const SSL *handshake, int where, int result)
{
    SSL *ssl = (SSL *)handshake;
    const SSL_CTX *context = SSL_get_SSL_CTX(ssl);
    const struct tls_handshake_finder *finder = SSL_CTX_get_ex_data(context, finder_slot);
    struct tls_handshake *notes = finder->find(finder->context, ssl);

    if ((where & SSL_CB_HANDSHAKE_START) != 0) {
        SSL_set_tlsext_host_name(ssl, SSL_CTX_get_ex_data(context, name_slot));
        if (notes != NULL)
            notes->begun = true;
    }
    if ((where & SSL_CB_CONNECT_EXIT) == SSL_CB_CONNECT_EXIT && result <= 0 && notes != NULL) {
        notes->verify_error = SSL_get_verify_result(ssl);
        notes->library_error = ERR_peek_last_error();
    }
    /* With TLS 1.3 a server may refuse the client's certificate after the handshake is done here.
     */
    if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT && notes != NULL)
        notes->alert = result & 0xff;
}

/* OpenSSL calls this where the server asks for a certificate and none was given. */
static int certificate_wanted(SSL *ssl, X509 **certificate, EVP_PKEY **key)
{
    const struct tls_handshake_finder *finder =
        SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), finder_slot);
    struct tls_handshake *notes = finder->find(finder->context, ssl);
    (void)certificate;
    (void)key;
    if (notes != NULL)
        notes->certificate_wanted = true;
    return 0;
}

static void follow_handshakes(SSL_CTX *context, const struct tls_handshake_finder *finder,
                              const char *name)
{
    if (finder_slot < 0) {
        finder_slot = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
        name_slot = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    }
    SSL_CTX_set_ex_data(context, finder_slot, (void *)finder);
    SSL_CTX_set_ex_data(context, name_slot, is_ip_literal(name) ? NULL : (char *)name);
    SSL_CTX_set_info_callback(context, handshake_step);
    SSL_CTX_set_client_cert_cb(context, certificate_wanted);
}

SSL_CTX *tls_context_new(const struct tunnel_config *config, const struct gateway_host *host,
                         const struct tls_handshake_finder *finder, struct start_failure *failure)
{
    const char *name = tls_expected_name(config, host);
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context == NULL) {
        start_failure_set(failure, START_NO_RESOURCES, "cannot set up TLS: %s",
                          library_reason(ERR_peek_error()));
        return NULL;
    }
    SSL_CTX_set_verify(context, config->tls_insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    /* What was not written is kept, and offered again from another place. */
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (load_trust(context, config, failure) != 0 || load_identity(context, config, failure) != 0)
        goto fail_context;
    if (!config->tls_insecure && require_name(context, name) != 0) {
        start_failure_set(failure, START_NO_RESOURCES, "cannot verify the name '%s'", name);
        goto fail_context;
    }
    follow_handshakes(context, finder, name);
    return context;

fail_context:
    SSL_CTX_free(context);
    return NULL;
}

static const char *verify_advice(long verify_error)
{
    switch (verify_error) {
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        return "; for a private CA give its certificate with --tls-ca-file";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return "; where it is right, give the certificate's name with --tls-server-name";
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return "; check the gateway's certificate and this machine's clock";
    default:
        return "";
    }
}

static const char *alert_advice(int alert)
{
    switch (alert) {
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_CERTIFICATE_REQUIRED:
        return "; it wants a client certificate that it accepts, see --tls-cert-file";
    case SSL_AD_PROTOCOL_VERSION:
        return "; it offers no version of TLS from 1.2 on";
    case SSL_AD_UNRECOGNIZED_NAME:
        return "; it does not know this name, see --host and --tls-server-name";
    default:
        return "";
    }
}

void tls_describe_failure(const struct tls_handshake *handshake, const char *name, char *out,
                          size_t size)
{
    long verify_error = handshake->verify_error;
    unsigned long library_error = handshake->library_error;
    if (verify_error != X509_V_OK)
        snprintf(out, size, "the certificate for %s was not accepted: %s%s", name,
                 X509_verify_cert_error_string(verify_error), verify_advice(verify_error));
    else if (handshake->certificate_wanted)
        snprintf(out, size,
                 "the gateway wants a client certificate; give one with --tls-cert-file and "
                 "--tls-key-file");
    else if (handshake->alert != SSL_AD_CLOSE_NOTIFY)
        snprintf(out, size, "the gateway refused it with the alert \"%s\"%s",
                 SSL_alert_desc_string_long(handshake->alert), alert_advice(handshake->alert));
    else if (library_error == 0)
        snprintf(out, size, "the gateway closed the connection during the handshake");
    else if (ERR_GET_REASON(library_error) == SSL_R_WRONG_VERSION_NUMBER)
        snprintf(out, size,
                 "the gateway does not speak TLS on this port; check the port and --tls");
    else if (ERR_GET_REASON(library_error) == SSL_R_UNSUPPORTED_PROTOCOL ||
             ERR_GET_REASON(library_error) == SSL_R_TLSV1_ALERT_PROTOCOL_VERSION)
        snprintf(out, size, "%s: the gateway offers no version of TLS from 1.2 on",
                 library_reason(library_error));
    else
        snprintf(out, size, "%s", library_reason(library_error));
}
