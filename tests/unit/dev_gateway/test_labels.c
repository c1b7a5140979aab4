#include <string.h>

#include "cmocka_all.h"
#include "labels.h"

static struct label numbered(int32_t port)
{
    struct label label;

    assert_true(label_set(&label, "\"10.0.0.1\"", port));
    return label;
}

static void the_oldest_label_comes_out_first(void **state)
{
    struct label_queue queue = {0};
    struct label label;

    (void)state;
    for (int32_t port = 0; port < 100; port++) {
        const struct label pushed = numbered(port);
        assert_int_equal(label_queue_push(&queue, &pushed), 0);
        if (port % 3 == 0)
            assert_true(label_queue_pop(&queue, &label));
    }
    assert_int_equal(queue.count, 66);
    for (int32_t port = 34; port < 100; port++) {
        const struct label expected = numbered(port);
        assert_true(label_queue_pop(&queue, &label));
        assert_true(label_equal(&label, &expected));
    }
    assert_false(label_queue_pop(&queue, &label));
    label_queue_fini(&queue);
}

static void a_label_is_the_start_of_a_reply(void **state)
{
    const struct label label = numbered(40001);

    (void)state;
    assert_string_equal(label.text, "{\"port\":40001,\"address\":\"10.0.0.1\",\"data\":\"");
    assert_int_equal(label.size, 43);
}

static void control_frames_leave_port_0_of_localhost(void **state)
{
    struct label label;

    (void)state;
    label_set_control(&label);
    assert_string_equal(label.text, "{\"port\":0,\"address\":\"localhost\",\"data\":\"");
}

static void an_address_that_does_not_fit_is_refused(void **state)
{
    char address[2 * LABEL_TEXT_MAX];
    struct label label;

    (void)state;
    memset(address, 'x', sizeof(address));
    address[sizeof(address) - 1] = '\0';
    assert_false(label_set(&label, address, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_oldest_label_comes_out_first),
        cmocka_unit_test(a_label_is_the_start_of_a_reply),
        cmocka_unit_test(control_frames_leave_port_0_of_localhost),
        cmocka_unit_test(an_address_that_does_not_fit_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
