/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "otoroshictl/tunnel/reconnect.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

enum { SECOND = 1000 * 1000 };

static const struct reconnect_policy fixed = {.delay_us = 2 * SECOND, .max_delay_us = 2 * SECOND};
static const struct reconnect_policy growing = {.delay_us = 2 * SECOND,
                                                .max_delay_us = 30 * SECOND};

/* Where in its range the jitter falls. */
static const uint32_t LOWEST = 0;
static const uint32_t MIDDLE = UINT32_MAX / 2 + 1;
static const uint32_t HIGHEST = UINT32_MAX;

static void assert_about(int64_t pause_us, int64_t expected_us)
{
    assert_in_range(pause_us, expected_us - 2, expected_us + 2);
}

static int64_t failed_pause(struct reconnect *state, const struct reconnect_policy *policy,
                            uint32_t random)
{
    const struct reconnect_event failed = {.random = random};
    return reconnect_pause(state, policy, &failed);
}

static void connection_that_lasted_is_made_anew_at_once(void **state)
{
    (void)state;
    static const uint32_t randoms[] = {0, 1, 249999, 250000, 123456789, UINT32_MAX};
    for (size_t i = 0; i < COUNT(randoms); i++) {
        struct reconnect reconnect = {0};
        const struct reconnect_event lost = {.lifetime_us = 5 * SECOND, .random = randoms[i]};
        assert_in_range(reconnect_pause(&reconnect, &fixed, &lost), 0, 249999);
    }
}

static void jitter_at_once_depends_on_chance(void **state)
{
    (void)state;
    struct reconnect reconnect = {0};
    const struct reconnect_event one = {.lifetime_us = 5 * SECOND, .random = 1};
    const struct reconnect_event two = {.lifetime_us = 5 * SECOND, .random = 200000};
    assert_int_not_equal(reconnect_pause(&reconnect, &fixed, &one),
                         reconnect_pause(&reconnect, &fixed, &two));
}

static void failed_attempt_and_short_life_wait_for_the_delay(void **state)
{
    (void)state;
    static const int64_t lifetimes_us[] = {0, 1, 5 * SECOND - 1};
    for (size_t i = 0; i < COUNT(lifetimes_us); i++) {
        struct reconnect reconnect = {0};
        const struct reconnect_event event = {.lifetime_us = lifetimes_us[i], .random = MIDDLE};
        assert_int_equal(reconnect_pause(&reconnect, &fixed, &event), 2 * SECOND);
    }
}

static void delay_stays_where_no_larger_maximum_is_set(void **state)
{
    (void)state;
    struct reconnect reconnect = {0};
    for (int i = 0; i < 100; i++)
        assert_int_equal(failed_pause(&reconnect, &fixed, (uint32_t)i * 40000000u), 2 * SECOND);
}

static void pause_doubles_up_to_the_maximum(void **state)
{
    (void)state;
    static const int64_t expected_s[] = {2, 4, 8, 16, 30, 30, 30};
    struct reconnect reconnect = {0};
    for (size_t i = 0; i < COUNT(expected_s); i++)
        assert_about(failed_pause(&reconnect, &growing, MIDDLE), expected_s[i] * SECOND);
}

static void growing_pause_has_a_fifth_of_jitter_either_way(void **state)
{
    (void)state;
    struct reconnect low = {0};
    struct reconnect high = {0};
    assert_about(failed_pause(&low, &growing, LOWEST), 1600 * 1000);
    assert_about(failed_pause(&high, &growing, HIGHEST), 2400 * 1000);
}

static void jitter_does_not_add_up(void **state)
{
    (void)state;
    struct reconnect reconnect = {0};
    failed_pause(&reconnect, &growing, HIGHEST);
    failed_pause(&reconnect, &growing, HIGHEST);
    assert_about(failed_pause(&reconnect, &growing, MIDDLE), 8 * SECOND);
}

static void connection_that_lasted_resets_the_pause(void **state)
{
    (void)state;
    struct reconnect reconnect = {0};
    const struct reconnect_event lost = {.lifetime_us = 5 * SECOND};
    failed_pause(&reconnect, &growing, MIDDLE);
    failed_pause(&reconnect, &growing, MIDDLE);
    reconnect_pause(&reconnect, &growing, &lost);
    assert_about(failed_pause(&reconnect, &growing, MIDDLE), 2 * SECOND);
}

static void short_life_does_not_reset_the_pause(void **state)
{
    (void)state;
    struct reconnect reconnect = {0};
    const struct reconnect_event lost = {.lifetime_us = 4 * SECOND, .random = MIDDLE};
    failed_pause(&reconnect, &growing, MIDDLE);
    assert_about(reconnect_pause(&reconnect, &growing, &lost), 4 * SECOND);
}

static void largest_durations_do_not_overflow(void **state)
{
    (void)state;
    const struct reconnect_policy huge = {.delay_us = INT64_MAX / 4, .max_delay_us = INT64_MAX / 2};
    struct reconnect reconnect = {0};
    for (int i = 0; i < 4; i++)
        assert_true(failed_pause(&reconnect, &huge, LOWEST) > INT64_MAX / 8);
}

static void retry_after_is_honoured_up_to_a_minute(void **state)
{
    (void)state;
    static const struct {
        int64_t lifetime_us;
        int64_t retry_after_us;
        int64_t expected_us;
    } rows[] = {
        {0, 10 * SECOND, 10 * SECOND},
        {0, 60 * SECOND, 60 * SECOND},
        {0, 61 * SECOND, 60 * SECOND},
        {0, INT64_MAX, 60 * SECOND},
        {0, 1 * SECOND, 2 * SECOND},
        {0, 0, 2 * SECOND},
        {5 * SECOND, 10 * SECOND, 10 * SECOND},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct reconnect reconnect = {0};
        const struct reconnect_event event = {.lifetime_us = rows[i].lifetime_us,
                                              .retry_after_us = rows[i].retry_after_us};
        assert_int_equal(reconnect_pause(&reconnect, &fixed, &event), rows[i].expected_us);
    }
}

static void retry_after_is_a_floor_of_a_growing_pause(void **state)
{
    (void)state;
    struct reconnect reconnect = {0};
    const struct reconnect_event event = {.retry_after_us = 20 * SECOND, .random = MIDDLE};
    assert_int_equal(reconnect_pause(&reconnect, &growing, &event), 20 * SECOND);
    assert_about(failed_pause(&reconnect, &growing, MIDDLE), 4 * SECOND);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(connection_that_lasted_is_made_anew_at_once),
        cmocka_unit_test(jitter_at_once_depends_on_chance),
        cmocka_unit_test(failed_attempt_and_short_life_wait_for_the_delay),
        cmocka_unit_test(delay_stays_where_no_larger_maximum_is_set),
        cmocka_unit_test(pause_doubles_up_to_the_maximum),
        cmocka_unit_test(growing_pause_has_a_fifth_of_jitter_either_way),
        cmocka_unit_test(jitter_does_not_add_up),
        cmocka_unit_test(connection_that_lasted_resets_the_pause),
        cmocka_unit_test(short_life_does_not_reset_the_pause),
        cmocka_unit_test(largest_durations_do_not_overflow),
        cmocka_unit_test(retry_after_is_honoured_up_to_a_minute),
        cmocka_unit_test(retry_after_is_a_floor_of_a_growing_pause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
