#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "slot.h"

static void the_answer_to_the_outstanding_attempt_is_right_once(void **state)
{
    struct slot slot = {0};

    (void)state;
    slot_start(&slot, 1);
    assert_int_equal(slot_answered(&slot, slot.attempt), SLOT_RIGHT);
    assert_false(slot.waiting);
    assert_int_equal(slot_answered(&slot, slot.attempt), SLOT_DUPLICATE);
}

static void a_second_answer_is_a_duplicate_after_the_next_attempt_too(void **state)
{
    struct slot slot = {0};

    (void)state;
    slot_start(&slot, 1);
    const uint32_t first = slot.attempt;
    assert_int_equal(slot_answered(&slot, first), SLOT_RIGHT);
    slot_start(&slot, 2);
    assert_int_equal(slot_answered(&slot, first), SLOT_DUPLICATE);
    assert_true(slot.waiting);
}

static void an_answer_after_giving_up_is_late_and_then_a_duplicate(void **state)
{
    struct slot slot = {0};

    (void)state;
    slot_start(&slot, 1);
    const uint32_t given_up = slot.attempt;
    slot_start(&slot, 2);
    slot_start(&slot, 3);
    assert_int_equal(slot_answered(&slot, given_up), SLOT_LATE);
    assert_int_equal(slot_answered(&slot, given_up), SLOT_DUPLICATE);
    assert_int_equal(slot_answered(&slot, slot.attempt), SLOT_RIGHT);
}

static void what_is_more_than_64_attempts_old_is_late(void **state)
{
    struct slot slot = {0};

    (void)state;
    slot_start(&slot, 1);
    const uint32_t old = slot.attempt;
    assert_int_equal(slot_answered(&slot, old), SLOT_RIGHT);
    for (int i = 0; i < 64; i++)
        slot_start(&slot, 2);
    assert_int_equal(slot_answered(&slot, old), SLOT_DUPLICATE);
    slot_start(&slot, 3);
    assert_int_equal(slot_answered(&slot, old), SLOT_LATE);
}

static void attempts_go_round(void **state)
{
    struct slot slot = {.attempt = UINT32_MAX - 1};

    (void)state;
    slot_start(&slot, 1);
    slot_start(&slot, 2);
    assert_int_equal(slot.attempt, 0);
    assert_int_equal(slot_answered(&slot, UINT32_MAX), SLOT_LATE);
    assert_int_equal(slot_answered(&slot, 0), SLOT_RIGHT);
}

static void only_an_outstanding_attempt_is_overdue(void **state)
{
    struct slot slot = {0};

    (void)state;
    assert_false(slot_overdue(&slot, 100, 10));
    slot_start(&slot, 100);
    assert_false(slot_overdue(&slot, 109, 10));
    assert_true(slot_overdue(&slot, 110, 10));
    assert_int_equal(slot_answered(&slot, slot.attempt), SLOT_RIGHT);
    assert_false(slot_overdue(&slot, 110, 10));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_answer_to_the_outstanding_attempt_is_right_once),
        cmocka_unit_test(a_second_answer_is_a_duplicate_after_the_next_attempt_too),
        cmocka_unit_test(an_answer_after_giving_up_is_late_and_then_a_duplicate),
        cmocka_unit_test(what_is_more_than_64_attempts_old_is_late),
        cmocka_unit_test(attempts_go_round),
        cmocka_unit_test(only_an_outstanding_attempt_is_overdue),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
