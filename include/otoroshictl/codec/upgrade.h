/* The HTTP/1.1 request that opens a tunnel's WebSocket (RFC 6455, section 4.1).
 *
 * Nothing that a user gives can split the head: the query is percent-encoded (RFC 3986, section
 * 2.1, all but unreserved characters), and values with control characters are refused before
 * they get here. */
#ifndef OTOROSHICTL_CODEC_UPGRADE_H
#define OTOROSHICTL_CODEC_UPGRADE_H

#include <stddef.h>
#include <stdint.h>

/* Largest request head, as servers commonly accept it. */
enum { UPGRADE_HEAD_MAX_BYTES = 16384 };

enum upgrade_credential {
    UPGRADE_PUBLIC,  /* nothing */
    UPGRADE_BASIC,   /* Authorization: Basic base64(first ":" second) */
    UPGRADE_BEARER,  /* Authorization: Bearer <first> */
    UPGRADE_SESSION, /* query parameter pappsToken=<first> */
};

struct upgrade_request {
    const char *transport;   /* "udp" or "tcp" */
    const char *host_header; /* "name", "name:port", "[::1]:port": the Host header as it is sent */
    const char *remote_host; /* NULL or "": no remoteHost parameter */
    uint16_t remote_port;    /* 0: no remotePort parameter */
    enum upgrade_credential credential;
    const char *first;          /* client id, bearer token or session token; NULL counts as "" */
    const char *second;         /* client secret; NULL counts as "" */
    const char *const *headers; /* further "Name: value" lines, may be NULL */
    size_t header_count;
};

/* Writes the whole head, from "GET " to the empty line, not NUL-terminated:
 *
 *     GET /.well-known/otoroshi/tunnel?transport=udp&remoteHost=..&remotePort=..&pappsToken=..
 *     Host, Upgrade: websocket, Connection: Upgrade, Sec-WebSocket-Key, Sec-WebSocket-Version: 13,
 *     User-Agent: otoroshictl/<version>, Authorization, further headers
 *
 * `key` is the Sec-WebSocket-Key (24 characters of base64). Returns the number of bytes, or 0
 * where the head would pass `capacity`; then `out` holds part of it and may hold a secret. */
size_t upgrade_write(char *out, size_t capacity, const struct upgrade_request *request,
                     const char *key);

/* Bytes that upgrade_write() would write with a key of 24 characters, however many. */
size_t upgrade_size(const struct upgrade_request *request);

#endif
