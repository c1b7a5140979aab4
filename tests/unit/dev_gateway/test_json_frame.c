#include <string.h>

#include "cmocka_all.h"
#include "json_frame.h"

static bool read_text(struct label *label, uint8_t *payload, size_t *size, const char *text)
{
    return json_frame_read(label, payload, size, text, strlen(text));
}

static void what_closes_the_websocket_is_refused(void **state)
{
    static const char *const rows[] = {
        "",
        "{",
        "[]",
        "5",
        "{\"address\":\"a\",\"port\":\"5\",\"data\":\"eA==\"}",
        "{\"address\":\"a\",\"port\":5.5,\"data\":\"eA==\"}",
        "{\"address\":\"a\",\"port\":1e20,\"data\":\"eA==\"}",
        "{\"address\":\"a\",\"data\":\"eA==\"}",
        "{\"port\":5,\"data\":\"eA==\"}",
        "{\"address\":null,\"port\":5,\"data\":\"eA==\"}",
        "{\"Address\":\"a\",\"port\":5,\"data\":\"eA==\"}",
        "{\"address\":\"a\",\"port\":5,\"data\":\"e!==\"}",
        "{\"address\":\"a\",\"port\":5,\"data\":\"eA\"}",
        "{\"address\":\"a\",\"port\":5,\"data\":\"eA==\"}x",
    };
    struct label label;
    uint8_t payload[64];
    size_t size = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_false(read_text(&label, payload, &size, rows[i]));
}

static void unknown_keys_order_and_white_space_do_not_matter(void **state)
{
    struct label label;
    uint8_t payload[64];
    size_t size = 0;

    (void)state;
    assert_true(read_text(&label, payload, &size,
                          " {\"x\":[{}],\"data\":\"eA==\",\"port\":7,\"address\":\"a\\\"b\"} \n"));
    assert_int_equal(size, 1);
    assert_int_equal(payload[0], 'x');
    assert_string_equal(label.text, "{\"port\":7,\"address\":\"a\\\"b\",\"data\":\"");
}

static void empty_or_missing_data_is_an_empty_payload(void **state)
{
    static const char *const rows[] = {
        "{\"address\":\"a\",\"port\":1,\"data\":\"\"}",
        "{\"address\":\"a\",\"port\":1}",
        "{\"address\":\"a\",\"port\":1,\"data\":null}",
    };
    struct label label;
    uint8_t payload[64];
    size_t size = 1;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_true(read_text(&label, payload, &size, rows[i]));
        assert_int_equal(size, 0);
    }
}

static void replies_have_otoroshis_key_order_and_no_spaces(void **state)
{
    static const char expected[] = "{\"port\":40001,\"address\":\"127.0.0.1\",\"data\":\"aGk=\"}";
    struct label label;
    uint8_t reply[128];

    (void)state;
    assert_true(label_set(&label, "\"127.0.0.1\"", 40001));
    assert_int_equal(json_frame_size(&label, 2), strlen(expected));
    json_frame_write(reply, &label, (const uint8_t *)"hi", 2);
    assert_memory_equal(reply, expected, strlen(expected));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_closes_the_websocket_is_refused),
        cmocka_unit_test(unknown_keys_order_and_white_space_do_not_matter),
        cmocka_unit_test(empty_or_missing_data_is_an_empty_payload),
        cmocka_unit_test(replies_have_otoroshis_key_order_and_no_spaces),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
