/* What a request says of itself, so that its answer can be told from any other: 20 bytes in front
 * of a filler that is the same in all requests of a run. */
#ifndef BENCH_LOAD_REQUEST_H
#define BENCH_LOAD_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    REQUEST_HEADER_BYTES = 20,
    REQUEST_MAX_BYTES = 65507,
};

struct request {
    uint32_t run; /* a stray answer to another run of the generator has another */
    uint32_t client;
    uint32_t slot;
    uint32_t attempt; /* of this slot; goes round after 2^32 */
};

/* Writes REQUEST_HEADER_BYTES. */
void request_write(uint8_t *out, const struct request *request);

/* Reads REQUEST_HEADER_BYTES; false where the magic number is another. */
bool request_read(struct request *out, const uint8_t *bytes);

/* `size` bytes that depend on the run, so that a damaged answer is noticed. */
void request_fill(uint8_t *out, size_t size, uint32_t run);

#endif
