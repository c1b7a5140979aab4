/* A head reads the same whatever follows it, is not whole a byte earlier, and every text of it lies
 * inside it. */
#include <stdbool.h>
#include <string.h>

#include "fuzz.h"
#include "otoroshictl/codec/http_response.h"

enum { TEXTS = 7, NOW_S = 784111777 };

struct reading {
    enum http_result result;
    uint16_t status;
    size_t used;
    size_t at[TEXTS]; /* from the begin of the head */
    size_t size[TEXTS];
};

static void check_text(struct reading *reading, size_t i, const struct http_text *text,
                       const uint8_t *data)
{
    reading->size[i] = text->size;
    if (text->text == NULL) {
        CHECK(text->size == 0);
        reading->at[i] = SIZE_MAX;
        return;
    }
    const char *const begin = (const char *)data;
    CHECK(text->text > begin);
    reading->at[i] = (size_t)(text->text - begin);
    CHECK(reading->at[i] + text->size + 4 <= reading->used);
    CHECK(memchr(text->text, '\0', text->size) == NULL);
    http_has_token(text, "upgrade");
    CHECK(http_retry_after(text, NOW_S) >= 0);
}

static struct reading read_head(const uint8_t *data, size_t size)
{
    struct http_response response;
    struct reading reading = {0};
    reading.result = http_response_read(&response, &reading.used, data, size);
    CHECK(reading.used <= size && reading.used <= HTTP_RESPONSE_MAX_BYTES);
    CHECK((reading.used > 0) == (reading.result == HTTP_WHOLE));
    if (reading.result != HTTP_WHOLE)
        return reading;
    reading.status = response.status;
    CHECK(response.status >= 100 && response.status <= 999);
    const struct http_text *const texts[TEXTS] = {
        &response.upgrade,     &response.connection, &response.accept,     &response.extensions,
        &response.subprotocol, &response.location,   &response.retry_after};
    for (size_t i = 0; i < TEXTS; i++)
        check_text(&reading, i, texts[i], data);
    return reading;
}

static bool same(const struct reading *a, const struct reading *b)
{
    return a->result == b->result && a->status == b->status && a->used == b->used &&
           memcmp(a->at, b->at, sizeof a->at) == 0 && memcmp(a->size, b->size, sizeof a->size) == 0;
}

/* In a heap block of its size. */
static struct reading read_copy(const uint8_t *data, size_t size, const char *behind)
{
    const size_t more = strlen(behind);
    uint8_t *const copy = malloc(size + more == 0 ? 1 : size + more);
    CHECK(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    memcpy(copy + size, behind, more);
    const struct reading reading = read_head(copy, size + more);
    free(copy);
    return reading;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const behind[] = {"", "x", "\r\n\r\n", "\r\nupgrade: other\r\n\r\n"};
    const struct reading whole = read_copy(data, size, "");
    /* What is not whole yet may still become anything. */
    for (size_t i = 0; whole.result != HTTP_MORE && i < sizeof behind / sizeof behind[0]; i++) {
        const size_t upto = whole.result == HTTP_WHOLE ? whole.used : size;
        const struct reading again = read_copy(data, upto, behind[i]);
        CHECK(same(&whole, &again));
    }
    if (whole.result == HTTP_WHOLE)
        CHECK(read_copy(data, whole.used - 1, "").result == HTTP_MORE);
    else if (whole.result == HTTP_MORE && size > 0)
        CHECK(read_copy(data, size - 1, "").result == HTTP_MORE);
    return 0;
}
