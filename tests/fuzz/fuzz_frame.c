/* The two readers of a frame against each other, and what is read or written against a round
 * trip. */
#include <stdbool.h>
#include <string.h>

#include "fuzz.h"
#include "otoroshictl/codec/base64.h"
#include "otoroshictl/codec/frame.h"

struct reading {
    struct address client;
    size_t size;
    uint8_t payload[DATAGRAM_MAX_BYTES + 3];
};

static uint8_t
    frame[FRAME_PREFIX_MAX_BYTES + (DATAGRAM_MAX_BYTES + 2) / 3 * 4 + FRAME_SUFFIX_BYTES];
static struct reading canonical;
static struct reading general;
static struct reading again;

static bool same(const struct reading *a, const struct reading *b)
{
    return address_equal(&a->client, &b->client) && a->size == b->size &&
           memcmp(a->payload, b->payload, a->size) == 0;
}

static void check_round_trip(const struct reading *reading)
{
    struct frame_prefix prefix;
    frame_prefix_init(&prefix, &reading->client);
    const size_t size = frame_write(frame, &prefix, reading->payload, reading->size);
    CHECK(size == frame_size(&prefix, reading->size));
    CHECK(size <= sizeof(frame));
    CHECK(frame_read_canonical(&again.client, again.payload, &again.size, frame, size));
    CHECK(same(reading, &again));
}

static void read_both_ways(const uint8_t *text, size_t size)
{
    const int canonical_result =
        frame_read_canonical(&canonical.client, canonical.payload, &canonical.size, text, size);
    const enum frame_result result =
        frame_read_general(&general.client, general.payload, &general.size, text, size);
    CHECK(!canonical_result || result == FRAME_OK);
    CHECK(!canonical_result || same(&canonical, &general));
    CHECK(frame_read(&again.client, again.payload, &again.size, text, size) == result);
    if (result != FRAME_OK)
        return;
    CHECK(same(&general, &again));
    CHECK(general.size <= DATAGRAM_MAX_BYTES);
    CHECK((general.client.port == 0) == (general.client.family == ADDRESS_NONE));
    if (general.client.family != ADDRESS_NONE)
        check_round_trip(&general);
}

/* The input as a client's address, port and datagram. */
static void write_and_read(const uint8_t *data, size_t size)
{
    if (size < 19 || size - 19 > DATAGRAM_MAX_BYTES)
        return;
    static struct reading written;
    const bool ipv4 = data[0] & 1;
    written.client = (struct address){.family = ipv4 ? ADDRESS_IPV4 : ADDRESS_IPV6};
    memcpy(written.client.ip, data + 1, ipv4 ? 4 : 16);
    written.client.port = (uint16_t)(data[17] << 8 | data[18] | 1);
    written.size = size - 19;
    memcpy(written.payload, data + 19, written.size);
    const bool mapped = !ipv4 && memcmp(written.client.ip, "\0\0\0\0\0\0\0\0\0\0\xFF\xFF", 12) == 0;
    if (!mapped)
        check_round_trip(&written);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > (size_t)128 * 1024)
        return 0;
    read_both_ways(data, size);
    write_and_read(data, size);
    return 0;
}
