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

static bool push_text(struct send_queue *queue, const char *text)
{
    return send_queue_push(queue, NULL, (const uint8_t *)text, strlen(text), 0);
}

static void assert_head(const struct send_queue *queue, const char *text)
{
    const struct queued_datagram *const head = send_queue_head(queue);
    assert_non_null(head);
    assert_int_equal(head->size, strlen(text));
    assert_memory_equal(head->payload, text, strlen(text));
}

static void new_queue_is_empty(void **state)
{
    (void)state;
    struct send_queue *const queue = send_queue_new(1);
    assert_int_equal(send_queue_count(queue), 0);
    assert_null(send_queue_head(queue));
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
    send_queue_pop(queue);
    assert_head(queue, "two");
    send_queue_pop(queue);
    assert_head(queue, "three");
    send_queue_pop(queue);
    assert_null(send_queue_head(queue));
    send_queue_free(queue);
}

static void order_holds_when_the_ring_wraps(void **state)
{
    (void)state;
    struct send_queue *const queue = send_queue_new(3);
    char text[2] = {0};
    push_text(queue, "@"); /* one always stays, so that the ring never starts anew */
    for (char letter = 'A'; letter <= 'Z'; letter++) {
        text[0] = letter;
        assert_true(push_text(queue, text));
        text[0] = (char)(letter - 1);
        assert_head(queue, text);
        send_queue_pop(queue);
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
    }
}

static void client_and_time_are_kept(void **state)
{
    (void)state;
    struct send_queue *const queue = send_queue_new(2);
    struct client client = {0};
    send_queue_push(queue, &client, (const uint8_t *)"x", 1, 1234567);
    assert_ptr_equal(send_queue_head(queue)->client, &client);
    assert_int_equal(send_queue_head(queue)->received_us, 1234567);
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
    send_queue_push(queue, NULL, payload, 1, 0); /* so that slots take turns */
    for (size_t i = 0; i < COUNT(sizes); i++) {
        assert_true(send_queue_push(queue, NULL, payload, sizes[i], 0));
        send_queue_pop(queue);
        assert_int_equal(send_queue_head(queue)->size, sizes[i]);
        assert_memory_equal(send_queue_head(queue)->payload, payload, sizes[i]);
    }
    free(payload);
    send_queue_free(queue);
}

static void queue_in_steady_use_keeps_its_buffer(void **state)
{
    (void)state;
    struct send_queue *const queue = send_queue_new(4);
    push_text(queue, "one");
    const uint8_t *const buffer = send_queue_head(queue)->payload;
    send_queue_pop(queue);
    push_text(queue, "two");
    assert_ptr_equal(send_queue_head(queue)->payload, buffer);
    send_queue_free(queue);
}

static void large_buffer_is_given_back(void **state)
{
    (void)state;
    static const uint8_t payload[4096];
    struct send_queue *const queue = send_queue_new(1);
    send_queue_push(queue, NULL, payload, sizeof payload, 0);
    send_queue_pop(queue);
    push_text(queue, "small");
    assert_true(send_queue_head(queue)->capacity < sizeof payload);
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
        cmocka_unit_test(new_queue_is_empty),
        cmocka_unit_test(datagrams_come_out_in_the_order_they_went_in),
        cmocka_unit_test(order_holds_when_the_ring_wraps),
        cmocka_unit_test(full_queue_takes_none_and_keeps_what_it_has),
        cmocka_unit_test(client_and_time_are_kept),
        cmocka_unit_test(payload_is_copied),
        cmocka_unit_test(payload_of_any_size_is_carried),
        cmocka_unit_test(queue_in_steady_use_keeps_its_buffer),
        cmocka_unit_test(large_buffer_is_given_back),
        cmocka_unit_test(freeing_none_is_legal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
