/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "otoroshictl/codec/base64.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* Both directions work at the end of a heap block, so that the sanitizers see a byte too many. */
static char *encode(const uint8_t *data, size_t size)
{
    const size_t length = base64_encoded_size(size);
    char *const block = malloc(length + 1);
    char *const text = calloc(1, length + 1);
    assert_non_null(block);
    assert_non_null(text);
    assert_int_equal(base64_encode(block + 1, data, size), length);
    memcpy(text, block + 1, length);
    free(block);
    return text;
}

static bool decodes(const char *text, size_t length)
{
    uint8_t *const block = malloc(base64_decoded_size_max(length) + 1);
    assert_non_null(block);
    size_t size;
    const bool valid = base64_decode(block + 1, &size, text, length);
    free(block);
    return valid;
}

static void test_vectors_of_rfc_4648_hold_both_ways(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *const plain = rows[i][0];
        char *const text = encode((const uint8_t *)plain, strlen(plain));
        assert_string_equal(text, rows[i][1]);
        free(text);

        uint8_t decoded[8];
        size_t size;
        assert_true(base64_decode(decoded, &size, rows[i][1], strlen(rows[i][1])));
        assert_int_equal(size, strlen(plain));
        assert_memory_equal(decoded, plain, size);
    }
}

static void all_sixty_four_characters_are_used(void **state)
{
    (void)state;
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t data[48];
    size_t size;
    assert_true(base64_decode(data, &size, alphabet, strlen(alphabet)));
    assert_int_equal(size, sizeof(data));
    char *const text = encode(data, size);
    assert_string_equal(text, alphabet);
    free(text);
}

static void every_size_of_payload_survives_the_round_trip(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 2, 3, 4, 5, 6, 125, 126, 127, 1400, 65505, 65506, 65507};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        const size_t size = sizes[i];
        uint8_t *const data = malloc(size + 1);
        assert_non_null(data);
        for (size_t at = 0; at < size; at++)
            data[at] = (uint8_t)(at * 167 + at / 256);
        char *const text = encode(data, size);
        const size_t length = strlen(text);
        uint8_t *const back = malloc(base64_decoded_size_max(length) + 1);
        size_t back_size;
        assert_true(base64_decode(back, &back_size, text, length));
        assert_int_equal(back_size, size);
        assert_memory_equal(back, data, size);
        free(back);
        free(text);
        free(data);
    }
}

static void text_that_is_not_strictly_base64_is_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "Z",    "Zg",   "Zg=",      "Zm8",      "Zm9vY",          "=",
        "==",   "====", "Z===",     "Zg==Zg==", "Zm8=Zm9v",       "Zg=A",
        "Z=g=", "=g==", "Zm9v====", "Zm9v\n",   "Zm9v\r\n ",      "Zm9\n",
        " Zm9", "Zm 9", "Zm9-",     "Zm9_",     "-m9v",           "Zm9vZm_v",
        "Zm9.", "Zm9*", "Zm9\x80",  "\xFFm9v",  "Zm9vZ\xC3\xA9v", "Zm9,",
        "Zm9@", "Zm9[", "Zm9`",     "Zm9{",     "Zm9:",           "Zm9\"",
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (decodes(rows[i], strlen(rows[i])))
            fail_msg("accepted: '%s'", rows[i]);
}

static void unused_bits_that_are_not_zero_are_refused(void **state)
{
    (void)state;
    assert_true(decodes("Zg==", 4));
    assert_false(decodes("Zh==", 4));
    assert_false(decodes("Zv==", 4));
    assert_true(decodes("Zm8=", 4));
    assert_false(decodes("Zm9=", 4));
    assert_false(decodes("Zm/=", 4));
}

static void bytes_outside_the_alphabet_are_refused_at_every_place(void **state)
{
    (void)state;
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int byte = 0; byte <= UINT8_MAX; byte++) {
        for (size_t place = 0; place < 8; place++) {
            char text[8];
            memset(text, 'A', sizeof(text));
            text[place] = (char)byte;
            const bool is_padding = byte == '=' && place == 7;
            const bool expected = is_padding || (byte != 0 && strchr(alphabet, byte) != NULL);
            if (decodes(text, sizeof(text)) != expected)
                fail_msg("byte 0x%02X at place %zu", (unsigned)byte, place);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors_of_rfc_4648_hold_both_ways),
        cmocka_unit_test(all_sixty_four_characters_are_used),
        cmocka_unit_test(every_size_of_payload_survives_the_round_trip),
        cmocka_unit_test(text_that_is_not_strictly_base64_is_refused),
        cmocka_unit_test(unused_bits_that_are_not_zero_are_refused),
        cmocka_unit_test(bytes_outside_the_alphabet_are_refused_at_every_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
