#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "latency.h"

static void nothing_measured_has_no_latency(void **state)
{
    const struct latency latency = {0};

    (void)state;
    assert_int_equal(latency_quantile_ns(&latency, 0.99), 0);
}

static void a_quantile_is_what_that_share_did_not_pass(void **state)
{
    struct latency latency = {0};

    (void)state;
    for (int64_t ns = 1; ns <= 100; ns++)
        latency_add(&latency, ns);
    assert_int_equal(latency_quantile_ns(&latency, 0), 1);
    assert_int_equal(latency_quantile_ns(&latency, 0.5), 50);
    assert_int_equal(latency_quantile_ns(&latency, 0.99), 99);
    assert_int_equal(latency_quantile_ns(&latency, 1), 100);
}

static void every_time_is_exact_to_a_64th(void **state)
{
    (void)state;
    for (int64_t ns = 1; ns < INT64_C(8000000000000); ns += ns / 3 + 1) {
        struct latency latency = {0};
        latency_add(&latency, ns);
        latency_add(&latency, INT64_C(8700000000000));
        const int64_t told = latency_quantile_ns(&latency, 0.5);
        assert_true(told >= ns);
        assert_true(told - ns <= ns / LATENCY_STEPS);
    }
}

static void times_beyond_the_range_are_counted_at_its_ends(void **state)
{
    struct latency latency = {0};

    (void)state;
    latency_add(&latency, -5);
    assert_int_equal(latency_quantile_ns(&latency, 1), 0);
    latency_add(&latency, INT64_MAX);
    assert_int_equal(latency.max_ns, INT64_MAX);
    assert_int_equal(latency.buckets[LATENCY_BUCKETS - 1], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_measured_has_no_latency),
        cmocka_unit_test(a_quantile_is_what_that_share_did_not_pass),
        cmocka_unit_test(every_time_is_exact_to_a_64th),
        cmocka_unit_test(times_beyond_the_range_are_counted_at_its_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
