/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <string.h>

#include "otoroshictl/tunnel/counters.h"

enum { JSON_BYTES = 4096 };

static void frame_errors_become_drop_reasons_of_the_same_name(void **state)
{
    (void)state;
#define ASSERT_SAME(name, label, text)                                 \
    assert_int_equal(drop_reason_of_frame(FRAME_##name), DROP_##name); \
    assert_string_equal(drop_reason_label(DROP_##name), label);        \
    assert_string_equal(drop_reason_text(DROP_##name), text);
    FRAME_ERRORS(ASSERT_SAME)
#undef ASSERT_SAME
}

static void labels_are_fit_for_a_metric_and_differ(void **state)
{
    (void)state;
    for (int i = 0; i < DROP_REASON_COUNT; i++) {
        const char *const label = drop_reason_label((enum drop_reason)i);
        assert_true(label[0] != '\0');
        assert_int_equal(strspn(label, "abcdefghijklmnopqrstuvwxyz0123456789_"), strlen(label));
        assert_true(drop_reason_text((enum drop_reason)i)[0] != '\0');
        for (int j = 0; j < i; j++)
            assert_string_not_equal(label, drop_reason_label((enum drop_reason)j));
    }
}

static void renewal_causes_have_the_documented_labels(void **state)
{
    (void)state;
    assert_string_equal(renewal_cause_label(RENEWAL_REPLY_TIMEOUT), "reply_timeout");
    assert_string_equal(renewal_cause_label(RENEWAL_WINDOW), "window");
    assert_string_equal(renewal_cause_label(RENEWAL_ONE_WAY), "one_way");
    assert_string_equal(renewal_cause_label(RENEWAL_RELOAD), "reload");
}

static void dropped_is_the_sum_over_the_reasons(void **state)
{
    (void)state;
    struct direction_counters counters = {.received = 1000, .passed_on = 500};
    uint64_t sum = 0;
    assert_int_equal(counters_dropped(&counters), 0);
    for (uint64_t i = 0; i < DROP_REASON_COUNT; i++) {
        counters.dropped[i] = i + 1;
        sum += i + 1;
        assert_int_equal(counters_dropped(&counters), sum);
    }
}

static void json_of_a_new_tunnel_has_every_name(void **state)
{
    (void)state;
    const struct counters counters = {0};
    char text[JSON_BYTES];
    const size_t length = counters_write_json(&counters, text, sizeof text);
    assert_string_equal(
        text, "{\"received_total\":{\"out\":0,\"in\":0},\"datagrams_total\":{\"out\":0,\"in\":0},"
              "\"bytes_total\":{\"out\":0,\"in\":0},\"dropped_total\":{\"out\":{},\"in\":{}},"
              "\"receive_overflow_total\":0,\"queue_datagrams\":0,\"unanswered_datagrams\":0,"
              "\"clients\":0,\"connections\":{\"connecting\":0,\"active\":0,\"draining\":0},"
              "\"connects_total\":{\"ok\":0,\"failed\":0},\"renewals_total\":{\"reply_timeout\":0,"
              "\"window\":0,\"one_way\":0,\"reload\":0},\"label_credits_total\":0}");
    assert_int_equal(length, strlen(text));
}

static void json_has_each_number_in_its_place(void **state)
{
    (void)state;
    struct counters counters = {
        .direction = {[DIRECTION_OUT] = {.received = 1, .passed_on = 2, .bytes = 3},
                      [DIRECTION_IN] = {.received = 4, .passed_on = 5, .bytes = 6}},
        .connects_ok = 7,
        .connects_failed = 8,
        .renewals = {9, 10, 11, 12},
        .label_credits = 13,
        .receive_overflow = 14,
        .queue_datagrams = 15,
        .unanswered_datagrams = 16,
        .clients = 17,
        .connections_connecting = 18,
        .connections_active = 19,
        .connections_draining = 20,
    };
    counters.direction[DIRECTION_OUT].dropped[DROP_QUEUE_FULL] = 21;
    counters.direction[DIRECTION_OUT].dropped[DROP_SHUTDOWN] = 22;
    counters.direction[DIRECTION_IN].dropped[DROP_NOT_JSON] = 23;
    char text[JSON_BYTES];
    counters_write_json(&counters, text, sizeof text);
    assert_string_equal(
        text,
        "{\"received_total\":{\"out\":1,\"in\":4},\"datagrams_total\":{\"out\":2,\"in\":5},"
        "\"bytes_total\":{\"out\":3,\"in\":6},"
        "\"dropped_total\":{\"out\":{\"queue_full\":21,\"shutdown\":22},\"in\":{\"not_json\":23}},"
        "\"receive_overflow_total\":14,\"queue_datagrams\":15,\"unanswered_datagrams\":16,"
        "\"clients\":17,\"connections\":{\"connecting\":18,\"active\":19,\"draining\":20},"
        "\"connects_total\":{\"ok\":7,\"failed\":8},\"renewals_total\":{\"reply_timeout\":9,"
        "\"window\":10,\"one_way\":11,\"reload\":12},\"label_credits_total\":13}");
}

static void json_of_the_largest_numbers_fits_into_4_kib(void **state)
{
    (void)state;
    struct counters counters;
    char text[JSON_BYTES];
    memset(&counters, 0xFF, sizeof counters);
    const size_t length = counters_write_json(&counters, text, sizeof text);
    assert_true(length < sizeof text - 1);
    assert_int_equal(text[length - 1], '}');
}

static void json_is_cut_at_its_size(void **state)
{
    (void)state;
    const struct counters counters = {0};
    char whole[JSON_BYTES];
    const size_t length = counters_write_json(&counters, whole, sizeof whole);
    for (size_t size = 1; size <= length; size++) {
        char text[JSON_BYTES];
        memset(text, '#', sizeof text);
        assert_int_equal(counters_write_json(&counters, text, size), size - 1);
        assert_memory_equal(text, whole, size - 1);
        assert_int_equal(text[size - 1], '\0');
        assert_int_equal(text[size], '#');
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(frame_errors_become_drop_reasons_of_the_same_name),
        cmocka_unit_test(labels_are_fit_for_a_metric_and_differ),
        cmocka_unit_test(renewal_causes_have_the_documented_labels),
        cmocka_unit_test(dropped_is_the_sum_over_the_reasons),
        cmocka_unit_test(json_of_a_new_tunnel_has_every_name),
        cmocka_unit_test(json_has_each_number_in_its_place),
        cmocka_unit_test(json_of_the_largest_numbers_fits_into_4_kib),
        cmocka_unit_test(json_is_cut_at_its_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
