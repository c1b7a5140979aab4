/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "otoroshictl/tunnel/label_line.h"

static struct address client(uint16_t port)
{
    return (struct address){.ip = {127, 0, 0, 1}, .family = ADDRESS_IPV4, .port = port};
}

static void sent(struct label_line *line, uint16_t port)
{
    const struct address address = client(port);
    label_line_sent(line, &address);
}

/* A reply with this label (0: the tool's own) is for this port (0: surplus; the same: as written).
 */
static void assert_answer(struct label_line *line, uint16_t label, uint16_t port)
{
    struct address recipient = {0};
    const struct address address = label == 0 ? label_line_own() : client(label);
    const enum label_meaning meaning = label_line_answered(line, &address, &recipient);
    if (port == 0) {
        assert_int_equal(meaning, LABEL_SURPLUS);
    } else if (meaning == LABEL_AS_WRITTEN) {
        assert_int_equal(label, port);
    } else {
        assert_int_equal(meaning, LABEL_BEFORE);
        assert_int_equal(recipient.port, port);
    }
}

static void labels_mean_what_they_say_before_the_line_is_begun(void **state)
{
    (void)state;
    struct label_line line = {0};
    sent(&line, 1);
    assert_answer(&line, 1, 1);
    assert_answer(&line, 2, 2);
    assert_int_equal(line.count, 0);
}

static void each_reply_carries_the_label_before_its_own(void **state)
{
    (void)state;
    struct label_line line = {0};
    label_line_begin(&line);
    for (uint16_t round = 0; round < 100; round++) { /* round the ring */
        const uint16_t before = round == 0 ? 0 : 3;
        sent(&line, 1);
        sent(&line, 2);
        assert_answer(&line, before, 1);
        sent(&line, 3);
        assert_answer(&line, 1, 2);
        assert_answer(&line, 2, 3);
    }
}

static void reply_that_nobody_has_asked_for_is_surplus(void **state)
{
    (void)state;
    struct label_line line = {0};
    label_line_begin(&line);
    sent(&line, 1);
    assert_answer(&line, 0, 1);
    assert_answer(&line, 1, 0);
    assert_false(line.kept);
    assert_answer(&line, 7, 7);
}

static void reply_that_waited_in_the_gateway_comes_out_at_once(void **state)
{
    (void)state;
    struct label_line line = {0};
    label_line_begin(&line);
    assert_answer(&line, 0, 0);
}

static void other_order_ends_the_line(void **state)
{
    (void)state;
    struct label_line line = {0};
    label_line_begin(&line);
    sent(&line, 1);
    sent(&line, 2);
    assert_answer(&line, 2, 2);
    assert_answer(&line, 1, 1);
    assert_true(line.begun);
    assert_false(line.kept);
}

static void line_that_is_too_long_is_given_up(void **state)
{
    (void)state;
    struct label_line line = {0};
    label_line_begin(&line);
    for (uint16_t i = 1; i < LABEL_LINE_MAX; i++)
        sent(&line, i);
    assert_true(line.kept);
    sent(&line, 99);
    assert_false(line.kept);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_mean_what_they_say_before_the_line_is_begun),
        cmocka_unit_test(each_reply_carries_the_label_before_its_own),
        cmocka_unit_test(reply_that_nobody_has_asked_for_is_surplus),
        cmocka_unit_test(reply_that_waited_in_the_gateway_comes_out_at_once),
        cmocka_unit_test(other_order_ends_the_line),
        cmocka_unit_test(line_that_is_too_long_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
