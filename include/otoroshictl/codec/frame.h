/* The JSON object that carries one datagram over the UDP tunnel's WebSocket.
 *
 *     {"address":"127.0.0.1","port":40001,"data":"<base64>"}
 *
 * Pure functions over bytes: no I/O, no allocation for frames in the shape that Otoroshi writes.
 * The only module that knows cJSON (for frames in any other shape). */
#ifndef OTOROSHICTL_CODEC_FRAME_H
#define OTOROSHICTL_CODEC_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "otoroshictl/codec/address.h"

enum {
    /* Largest UDP payload over IPv4: 65,535 - 8 (UDP) - 20 (IP). */
    DATAGRAM_MAX_BYTES = 65507,
    /* {"address":"<45 characters>","port":65535,"data":" with room to spare */
    FRAME_PREFIX_MAX_BYTES = 88,
    FRAME_SUFFIX_BYTES = 2,
};

/* The part of a frame before the base64: made once per client, reused for each datagram. */
struct frame_prefix {
    uint8_t size;
    char text[FRAME_PREFIX_MAX_BYTES - 1];
};

void frame_prefix_init(struct frame_prefix *prefix, const struct address *client);

/* Bytes that frame_write() will write for a payload of this size. */
size_t frame_size(const struct frame_prefix *prefix, size_t payload_size);

/* Writes the whole object; returns frame_size(). Any payload size up to DATAGRAM_MAX_BYTES. */
size_t frame_write(uint8_t *out, const struct frame_prefix *prefix, const uint8_t *payload,
                   size_t payload_size);

/* Why a frame was refused. The names are the metric's `reason` label; the text is for people. */
#define FRAME_ERRORS(ROW)                                                           \
    ROW(NOT_JSON, "not_json", "is not valid JSON")                                  \
    ROW(NOT_AN_OBJECT, "not_an_object", "is not a JSON object")                     \
    ROW(TRAILING_BYTES, "trailing_bytes", "has bytes after the object")             \
    ROW(DUPLICATE_KEY, "duplicate_key", "names a key twice")                        \
    ROW(MISSING_KEY, "missing_key", "lacks address, port or data")                  \
    ROW(WRONG_TYPE, "wrong_type", "has address, port or data of the wrong type")    \
    ROW(BAD_ADDRESS, "bad_address", "has an address that is not an IP literal")     \
    ROW(BAD_PORT, "bad_port", "has a port outside 1..65535 or not a plain integer") \
    ROW(BAD_BASE64, "bad_base64", "has data that is not standard base64")           \
    ROW(OVERSIZE, "oversize", "has more data than a UDP datagram holds")

enum frame_result {
    FRAME_OK,
#define FRAME_ERROR_ENUM(name, label, text) FRAME_##name,
    FRAME_ERRORS(FRAME_ERROR_ENUM)
#undef FRAME_ERROR_ENUM
};

/* Reads one object. Keys in any order, unknown keys ignored, white space allowed; everything else
 * as strict as RFC 8259 (UTF-8 checked, no \u0000, numbers by the grammar, nothing after the
 * object). Keys are case-sensitive. The label that Otoroshi makes of a ping, "localhost" with port
 * 0, gives ADDRESS_NONE. On FRAME_OK `client` has address and port, and the payload's
 * `*payload_size` bytes (0 is legal) are in `payload`, which must hold DATAGRAM_MAX_BYTES + 3.
 * `text` may hold anything, is not modified, and must not be larger than 128 KiB. So that memory
 * and stack stay bounded, more than 256 values (nested ones included) and numbers of more than 63
 * characters count as NOT_JSON, and so does a lack of memory. */
enum frame_result frame_read(struct address *client, uint8_t *payload, size_t *payload_size,
                             const uint8_t *text, size_t size);

/* The two ways in which frame_read() reads, apart so that a fuzz target can compare them.
 * frame_read_canonical() knows exactly two shapes, without white space, escapes or unknown keys:
 * address, port, data (ours) and port, address, data (Otoroshi's). It returns 1 where it read the
 * frame, 0 where it must be left to frame_read_general(). Whatever it reads, the general one
 * reads to the same result. */
int frame_read_canonical(struct address *client, uint8_t *payload, size_t *payload_size,
                         const uint8_t *text, size_t size);
enum frame_result frame_read_general(struct address *client, uint8_t *payload, size_t *payload_size,
                                     const uint8_t *text, size_t size);

#endif
