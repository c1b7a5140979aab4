#include "request.h"

static const uint32_t magic = 0x6f746f62; /* "otob" */

static void write_number(uint8_t *out, uint32_t number)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(number >> (24 - 8 * i));
}

static uint32_t read_number(const uint8_t *bytes)
{
    uint32_t number = 0;

    for (int i = 0; i < 4; i++)
        number = number << 8 | bytes[i];
    return number;
}

void request_write(uint8_t *out, const struct request *request)
{
    write_number(out, magic);
    write_number(out + 4, request->run);
    write_number(out + 8, request->client);
    write_number(out + 12, request->slot);
    write_number(out + 16, request->attempt);
}

bool request_read(struct request *out, const uint8_t *bytes)
{
    out->run = read_number(bytes + 4);
    out->client = read_number(bytes + 8);
    out->slot = read_number(bytes + 12);
    out->attempt = read_number(bytes + 16);
    return read_number(bytes) == magic;
}

void request_fill(uint8_t *out, size_t size, uint32_t run)
{
    uint32_t state = run | 1; /* xorshift32 never leaves zero */

    for (size_t i = 0; i < size; i++) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        out[i] = (uint8_t)(state >> 24);
    }
}
