/* The JSON object of one datagram, read the way Otoroshi reads it. Pure. */
#ifndef DEV_GATEWAY_JSON_FRAME_H
#define DEV_GATEWAY_JSON_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "labels.h"

/* {"address":string,"port":integer,"data":base64}, keys in any order, unknown keys ignored,
 * nothing but white space behind it. `data` missing or not a string counts as empty. False for
 * whatever closes the WebSocket: bad JSON, bad base64, address or port missing or of another
 * type. `payload` has room for base64_decoded_size_max(size) bytes. */
bool json_frame_read(struct label *label, uint8_t *payload, size_t *payload_size, const char *text,
                     size_t size);

/* Bytes of a reply, and the reply itself: {"port":..,"address":..,"data":".."}. */
size_t json_frame_size(const struct label *label, size_t payload_size);
void json_frame_write(uint8_t *out, const struct label *label, const uint8_t *payload,
                      size_t payload_size);

#endif
