/* Whatever is decoded is encoded to the same text again, so every payload has one text; whatever
 * is encoded is decoded to the same bytes again. */
#include <string.h>

#include "fuzz.h"
#include "otoroshictl/codec/base64.h"

static void decode_then_encode(const uint8_t *data, size_t size)
{
    uint8_t *const decoded = malloc(base64_decoded_size_max(size) + 1);
    char *const encoded = malloc(size + 1);
    size_t decoded_size;
    CHECK(decoded != NULL && encoded != NULL);
    if (base64_decode(decoded, &decoded_size, (const char *)data, size)) {
        CHECK(decoded_size <= base64_decoded_size_max(size));
        CHECK(base64_encoded_size(decoded_size) == size);
        CHECK(base64_encode(encoded, decoded, decoded_size) == size);
        CHECK(memcmp(encoded, data, size) == 0);
    }
    free(encoded);
    free(decoded);
}

static void encode_then_decode(const uint8_t *data, size_t size)
{
    const size_t length = base64_encoded_size(size);
    char *const encoded = malloc(length + 1);
    CHECK(encoded != NULL);
    CHECK(base64_encode(encoded, data, size) == length);
    uint8_t *const decoded = malloc(base64_decoded_size_max(length) + 1);
    size_t decoded_size;
    CHECK(decoded != NULL);
    CHECK(base64_decode(decoded, &decoded_size, encoded, length));
    CHECK(decoded_size == size);
    CHECK(memcmp(decoded, data, size) == 0);
    free(decoded);
    free(encoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode_then_encode(data, size);
    encode_then_decode(data, size);
    return 0;
}
