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

static void dropped_rows_are_those_of_their_direction(void **state)
{
    (void)state;
    int both = 0;
    for (int i = 0; i < DROP_REASON_COUNT; i++) {
        const bool out = drop_reason_occurs(DIRECTION_OUT, (enum drop_reason)i);
        const bool in = drop_reason_occurs(DIRECTION_IN, (enum drop_reason)i);
        assert_true(out || in);
        both += out && in;
    }
    assert_int_equal(both, 1);
    assert_true(drop_reason_occurs(DIRECTION_OUT, DROP_QUEUE_AGE));
    assert_true(drop_reason_occurs(DIRECTION_IN, DROP_NOT_JSON));
    assert_true(drop_reason_occurs(DIRECTION_IN, DROP_SEND_FAILED));
}

static void idle_connections_are_open_too(void **state)
{
    (void)state;
    const struct counters none = {.connections_connecting = 1, .connections_draining = 1};
    const struct counters some = {.connections_active = 2, .connections_idle = 3};
    assert_int_equal(counters_open_connections(&none), 0);
    assert_int_equal(counters_open_connections(&some), 5);
}

static void ping_counts_in_the_first_bucket_that_holds_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < PING_BOUND_COUNT; i++) {
        struct ping_histogram pings = {0};
        counters_add_ping(&pings, ping_bounds_us[i]);
        counters_add_ping(&pings, ping_bounds_us[i] + 1);
        assert_int_equal(pings.buckets[i], 1);
        assert_int_equal(pings.buckets[i + 1], 1);
        assert_int_equal(pings.sum_us, 2 * ping_bounds_us[i] + 1);
        assert_true(i == 0 || ping_bounds_us[i] > ping_bounds_us[i - 1]);
    }
}

static void json_of_a_new_tunnel_has_every_name(void **state)
{
    (void)state;
    const struct counters counters = {0};
    char buffer[JSON_BYTES];
    struct text text;
    text_init(&text, buffer, sizeof buffer);
    counters_append_json(&text, &counters);
    assert_string_equal(
        buffer,
        "\"otoroshictl_received_total\":{\"out\":0,\"in\":0},"
        "\"otoroshictl_datagrams_total\":{\"out\":0,\"in\":0},"
        "\"otoroshictl_bytes_total\":{\"out\":0,\"in\":0},"
        "\"otoroshictl_dropped_total\":{\"out\":{},\"in\":{}},"
        "\"otoroshictl_receive_overflow_total\":0,\"otoroshictl_queue_datagrams\":0,"
        "\"otoroshictl_unanswered_datagrams\":0,\"otoroshictl_surplus_replies_total\":0,"
        "\"otoroshictl_label_credits_total\":0,\"otoroshictl_clients\":0,"
        "\"otoroshictl_connections\":{\"connecting\":0,\"active\":0,\"idle\":0,\"draining\":0},"
        "\"otoroshictl_connects_total\":{\"ok\":0,\"failed\":0},"
        "\"otoroshictl_renewals_total\":{\"reply_timeout\":0,\"window\":0,\"one_way\":0,"
        "\"reload\":0},\"otoroshictl_ping_seconds\":{\"bucket\":{\"0.001\":0,\"0.0025\":0,"
        "\"0.005\":0,\"0.01\":0,\"0.025\":0,\"0.05\":0,\"0.1\":0,\"0.25\":0,\"0.5\":0,\"1\":0,"
        "\"2.5\":0,\"5\":0,\"+Inf\":0},\"sum\":0.000000,\"count\":0}");
    assert_int_equal(text.used, strlen(buffer));
    assert_false(text.cut);
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
        .connections_idle = 24,
        .surplus_replies = 25,
    };
    counters.direction[DIRECTION_OUT].dropped[DROP_QUEUE_FULL] = 21;
    counters.direction[DIRECTION_OUT].dropped[DROP_SHUTDOWN] = 22;
    counters.direction[DIRECTION_IN].dropped[DROP_NOT_JSON] = 23;
    counters_add_ping(&counters.pings, 1000);
    counters_add_ping(&counters.pings, 40 * 1000);
    counters_add_ping(&counters.pings, 6 * 1000 * 1000);
    char buffer[JSON_BYTES];
    struct text text;
    text_init(&text, buffer, sizeof buffer);
    counters_append_json(&text, &counters);
    assert_string_equal(
        buffer,
        "\"otoroshictl_received_total\":{\"out\":1,\"in\":4},"
        "\"otoroshictl_datagrams_total\":{\"out\":2,\"in\":5},"
        "\"otoroshictl_bytes_total\":{\"out\":3,\"in\":6},"
        "\"otoroshictl_dropped_total\":{\"out\":{\"queue_full\":21,\"shutdown\":22},"
        "\"in\":{\"not_json\":23}},"
        "\"otoroshictl_receive_overflow_total\":14,\"otoroshictl_queue_datagrams\":15,"
        "\"otoroshictl_unanswered_datagrams\":16,\"otoroshictl_surplus_replies_total\":25,"
        "\"otoroshictl_label_credits_total\":13,\"otoroshictl_clients\":17,"
        "\"otoroshictl_connections\":{\"connecting\":18,\"active\":19,\"idle\":24,"
        "\"draining\":20},"
        "\"otoroshictl_connects_total\":{\"ok\":7,\"failed\":8},"
        "\"otoroshictl_renewals_total\":{\"reply_timeout\":9,\"window\":10,\"one_way\":11,"
        "\"reload\":12},\"otoroshictl_ping_seconds\":{\"bucket\":{\"0.001\":1,\"0.0025\":1,"
        "\"0.005\":1,\"0.01\":1,\"0.025\":1,\"0.05\":2,\"0.1\":2,\"0.25\":2,\"0.5\":2,\"1\":2,"
        "\"2.5\":2,\"5\":2,\"+Inf\":3},\"sum\":6.041000,\"count\":3}");
}

static void json_of_the_largest_numbers_fits_into_4_kib(void **state)
{
    (void)state;
    struct counters counters;
    char buffer[JSON_BYTES];
    struct text text;
    memset(&counters, 0xFF, sizeof counters);
    text_init(&text, buffer, sizeof buffer);
    counters_append_json(&text, &counters);
    assert_false(text.cut);
    assert_int_equal(buffer[text.used - 1], '}');
}

/* Where a log message is cut (ops/log.h). */
static void json_of_a_tunnel_that_had_everything_fits_a_log_line(void **state)
{
    (void)state;
    enum { LOG_MESSAGE_BYTES = 2048 };
    static const uint64_t many = 9999999;
    struct counters counters;
    for (size_t i = 0; i < sizeof counters / sizeof many; i++)
        memcpy((char *)&counters + i * sizeof many, &many, sizeof many);
    char buffer[JSON_BYTES];
    struct text text;
    text_init(&text, buffer, sizeof buffer);
    for (int direction = 0; direction < DIRECTION_COUNT; direction++)
        for (int i = 0; i < DROP_REASON_COUNT; i++)
            if (!drop_reason_occurs((enum direction)direction, (enum drop_reason)i))
                counters.direction[direction].dropped[i] = 0;
    counters_append_json(&text, &counters);
    assert_true(text.used + sizeof "Counters: {}" <= LOG_MESSAGE_BYTES);
}

static void json_is_cut_at_its_size(void **state)
{
    (void)state;
    const struct counters counters = {0};
    char whole[JSON_BYTES];
    struct text text;
    text_init(&text, whole, sizeof whole);
    counters_append_json(&text, &counters);
    const size_t length = text.used;
    for (size_t size = 1; size <= length; size++) {
        char buffer[JSON_BYTES];
        memset(buffer, '#', sizeof buffer);
        text_init(&text, buffer, size);
        counters_append_json(&text, &counters);
        assert_true(text.cut);
        assert_int_equal(text.used, size - 1);
        assert_memory_equal(buffer, whole, size - 1);
        assert_int_equal(buffer[size - 1], '\0');
        assert_int_equal(buffer[size], '#');
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(frame_errors_become_drop_reasons_of_the_same_name),
        cmocka_unit_test(labels_are_fit_for_a_metric_and_differ),
        cmocka_unit_test(renewal_causes_have_the_documented_labels),
        cmocka_unit_test(dropped_is_the_sum_over_the_reasons),
        cmocka_unit_test(dropped_rows_are_those_of_their_direction),
        cmocka_unit_test(idle_connections_are_open_too),
        cmocka_unit_test(ping_counts_in_the_first_bucket_that_holds_it),
        cmocka_unit_test(json_of_a_new_tunnel_has_every_name),
        cmocka_unit_test(json_has_each_number_in_its_place),
        cmocka_unit_test(json_of_the_largest_numbers_fits_into_4_kib),
        cmocka_unit_test(json_of_a_tunnel_that_had_everything_fits_a_log_line),
        cmocka_unit_test(json_is_cut_at_its_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
