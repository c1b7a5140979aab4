/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdlib.h>
#include <string.h>

#include "otoroshictl/tunnel/client_table.h"
#include "otoroshictl/tunnel/send_queue.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* Where one lane will do. */
static struct lane lane;

static int new_lane(void **state)
{
    (void)state;
    lane = (struct lane){0};
    return 0;
}

static bool push_text(struct send_queue *queue, const char *text)
{
    return send_queue_push(queue, &lane, NULL, (const uint8_t *)text, strlen(text), 0);
}

static void assert_head(const struct send_queue *queue, const char *text)
{
    const struct queued_datagram *const head = send_queue_oldest(queue);
    assert_non_null(head);
    assert_int_equal(head->size, strlen(text));
    assert_memory_equal(head->payload, text, strlen(text));
}

static void new_queue_is_empty(void **state)
{
    (void)state;
    struct send_queue *const queue = send_queue_new(1);
    assert_int_equal(send_queue_count(queue), 0);
    assert_null(send_queue_oldest(queue));
    assert_false(send_queue_full(queue));
    send_queue_free(queue);
}

static void datagrams_come_out_in_the_order_they_went_in(void **state)
{
    (void)state;
    struct send_queue *const queue = send_queue_new(3);
    push_text(queue, "one");
    push_text(queue, "two");
    push_text(queue, "three");
    assert_head(queue, "one");
    send_queue_pop(queue, &lane);
    assert_head(queue, "two");
    send_queue_pop(queue, &lane);
    assert_head(queue, "three");
    send_queue_pop(queue, &lane);
    assert_null(send_queue_oldest(queue));
    send_queue_free(queue);
}

static void order_holds_when_slots_are_used_again(void **state)
{
    (void)state;
    struct send_queue *const queue = send_queue_new(3);
    char text[2] = {0};
    push_text(queue, "@"); /* one always stays, so that slots take turns */
    for (char letter = 'A'; letter <= 'Z'; letter++) {
        text[0] = letter;
        assert_true(push_text(queue, text));
        text[0] = (char)(letter - 1);
        assert_head(queue, text);
        send_queue_pop(queue, &lane);
        assert_int_equal(send_queue_count(queue), 1);
    }
    send_queue_free(queue);
}

static void full_queue_takes_none_and_keeps_what_it_has(void **state)
{
    (void)state;
    static const size_t capacities[] = {1, 2, 7, 1024};
    for (size_t i = 0; i < COUNT(capacities); i++) {
        struct send_queue *const queue = send_queue_new(capacities[i]);
        push_text(queue, "first");
        while (send_queue_count(queue) < capacities[i]) {
            assert_false(send_queue_full(queue));
            assert_true(push_text(queue, "more"));
        }
        assert_true(send_queue_full(queue));
        assert_false(push_text(queue, "too many"));
        assert_int_equal(send_queue_count(queue), capacities[i]);
        assert_head(queue, "first");
        send_queue_free(queue);
        lane = (struct lane){0};
    }
}

static void client_and_time_are_kept(void **state)
{
    (void)state;
    struct send_queue *const queue = send_queue_new(2);
    struct client client = {0};
    send_queue_push(queue, &lane, &client, (const uint8_t *)"x", 1, 1234567);
    assert_ptr_equal(send_queue_oldest(queue)->client, &client);
    assert_int_equal(send_queue_oldest(queue)->received_us, 1234567);
    send_queue_free(queue);
}

static void payload_is_copied(void **state)
{
    (void)state;
    struct send_queue *const queue = send_queue_new(2);
    char text[] = "before";
    push_text(queue, text);
    memcpy(text, "after!", 6);
    assert_head(queue, "before");
    send_queue_free(queue);
}

static void payload_of_any_size_is_carried(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 511, 512, 513, 1024, 2048, 2049, 1472, 9000, 65507, 3, 65507};
    struct send_queue *const queue = send_queue_new(2);
    uint8_t *const payload = malloc(DATAGRAM_MAX_BYTES);
    assert_non_null(payload);
    for (size_t i = 0; i < DATAGRAM_MAX_BYTES; i++)
        payload[i] = (uint8_t)(i * 31);
    send_queue_push(queue, &lane, NULL, payload, 1, 0); /* so that slots take turns */
    for (size_t i = 0; i < COUNT(sizes); i++) {
        assert_true(send_queue_push(queue, &lane, NULL, payload, sizes[i], 0));
        send_queue_pop(queue, &lane);
        assert_int_equal(send_queue_oldest(queue)->size, sizes[i]);
        assert_memory_equal(send_queue_oldest(queue)->payload, payload, sizes[i]);
    }
    free(payload);
    send_queue_free(queue);
}

static void queue_in_steady_use_keeps_its_buffer(void **state)
{
    (void)state;
    struct send_queue *const queue = send_queue_new(4);
    push_text(queue, "one");
    const uint8_t *const buffer = send_queue_oldest(queue)->payload;
    send_queue_pop(queue, &lane);
    push_text(queue, "two");
    assert_ptr_equal(send_queue_oldest(queue)->payload, buffer);
    send_queue_free(queue);
}

static void large_buffer_is_given_back(void **state)
{
    (void)state;
    static const uint8_t payload[4096];
    struct send_queue *const queue = send_queue_new(1);
    send_queue_push(queue, &lane, NULL, payload, sizeof payload, 0);
    send_queue_pop(queue, &lane);
    push_text(queue, "small");
    assert_true(send_queue_oldest(queue)->capacity < sizeof payload);
    send_queue_free(queue);
}

static void lanes_keep_their_own_order_and_the_common_one(void **state)
{
    (void)state;
    struct send_queue *const queue = send_queue_new(5);
    struct lane other = {0};
    send_queue_push(queue, &lane, NULL, (const uint8_t *)"a1", 2, 1);
    send_queue_push(queue, &other, NULL, (const uint8_t *)"b1", 2, 2);
    send_queue_push(queue, &lane, NULL, (const uint8_t *)"a2", 2, 3);
    send_queue_push(queue, &other, NULL, (const uint8_t *)"b2", 2, 4);
    assert_int_equal(lane.queued, 2);
    assert_head(queue, "a1");
    send_queue_pop(queue, &other); /* from the middle */
    assert_int_equal(other.queued, 1);
    assert_memory_equal(other.first->payload, "b2", 2);
    assert_head(queue, "a1");
    send_queue_pop(queue, &lane);
    assert_head(queue, "a2");
    assert_ptr_equal(send_queue_oldest(queue)->lane, &lane);
    send_queue_push(queue, &other, NULL, (const uint8_t *)"b3", 2, 5);
    send_queue_pop(queue, &lane);
    assert_null(lane.first);
    assert_head(queue, "b2");
    send_queue_pop(queue, &other);
    assert_head(queue, "b3");
    send_queue_pop(queue, &other);
    assert_null(send_queue_oldest(queue));
    assert_int_equal(send_queue_count(queue), 0);
    send_queue_free(queue);
}

static void freeing_none_is_legal(void **state)
{
    (void)state;
    send_queue_free(NULL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(new_queue_is_empty, new_lane),
        cmocka_unit_test_setup(datagrams_come_out_in_the_order_they_went_in, new_lane),
        cmocka_unit_test_setup(order_holds_when_slots_are_used_again, new_lane),
        cmocka_unit_test_setup(full_queue_takes_none_and_keeps_what_it_has, new_lane),
        cmocka_unit_test_setup(client_and_time_are_kept, new_lane),
        cmocka_unit_test_setup(payload_is_copied, new_lane),
        cmocka_unit_test_setup(payload_of_any_size_is_carried, new_lane),
        cmocka_unit_test_setup(queue_in_steady_use_keeps_its_buffer, new_lane),
        cmocka_unit_test_setup(large_buffer_is_given_back, new_lane),
        cmocka_unit_test_setup(lanes_keep_their_own_order_and_the_common_one, new_lane),
        cmocka_unit_test_setup(freeing_none_is_legal, new_lane),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
