/* Each allocation of the room fails in turn: what was promised for that case happens, nothing
 * leaks, and the tunnel goes on. Linked with --wrap for the functions of the heap. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "fake_ports.h"
#include "otoroshictl/tunnel/client_table.h"
#include "otoroshictl/tunnel/send_queue.h"

enum { NEVER = -1, ALWAYS = -2, NOW_US = 1 };

static int failing_allocation = NEVER; /* counted down: 0 is the next one */

static bool this_one_fails(void)
{
    if (failing_allocation == ALWAYS)
        return true;
    return failing_allocation != NEVER && failing_allocation-- == 0;
}

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size)
{
    return this_one_fails() ? NULL : __real_calloc(count, size);
}

void *__real_realloc(void *block, size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_realloc(void *block, size_t size)
{
    return this_one_fails() ? NULL : __real_realloc(block, size);
}

static int no_failure(void **state)
{
    (void)state;
    failing_allocation = NEVER;
    return 0;
}

static struct address numbered(uint32_t number)
{
    struct address address = {.family = ADDRESS_IPV6, .port = 1};
    memcpy(address.ip, &number, sizeof number);
    return address;
}

static void table_is_not_made(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        failing_allocation = i;
        assert_null(client_table_new(1, 1));
    }
}

static void client_is_not_made(void **state)
{
    (void)state;
    const struct address address = numbered(1);
    struct client_table *const table = client_table_new(1, 1);
    failing_allocation = 0;
    assert_null(client_table_touch(table, &address, NOW_US));
    assert_int_equal(client_table_count(table), 0);
    assert_non_null(client_table_touch(table, &address, NOW_US));
    client_table_free(table);
}

/* Only speed is lost. */
static void table_that_cannot_grow_still_finds_everybody(void **state)
{
    (void)state;
    enum { MANY = 64 + 10 };
    struct client_table *const table = client_table_new(1, 1);
    for (uint32_t i = 0; i < MANY; i++) {
        const struct address address = numbered(i);
        failing_allocation = i < 64 ? NEVER : 1; /* the client, then the buckets */
        assert_non_null(client_table_touch(table, &address, NOW_US));
    }
    for (uint32_t i = 0; i < MANY; i++) {
        const struct address address = numbered(i);
        assert_non_null(client_table_find(table, &address, NOW_US));
    }
    client_table_free(table);
}

static void queue_is_not_made(void **state)
{
    (void)state;
    failing_allocation = 0;
    assert_null(send_queue_new(1));
}

static void datagram_is_not_queued_and_nothing_has_changed(void **state)
{
    (void)state;
    struct send_queue *const queue = send_queue_new(2);
    struct lane lane = {0};
    send_queue_push(queue, &lane, NULL, (const uint8_t *)"one", 3, 0);
    failing_allocation = 0;
    assert_false(send_queue_push(queue, &lane, NULL, (const uint8_t *)"two", 3, 0));
    assert_int_equal(send_queue_count(queue), 1);
    assert_memory_equal(send_queue_oldest(queue)->payload, "one", 3);
    send_queue_free(queue);
}

static void tunnel_is_not_made(void **state)
{
    (void)state;
    const struct tunnel_config config = fake_config();
    struct fake *const fake = fake_new(&config);
    for (int i = 0; i < 7; i++) {
        failing_allocation = i;
        assert_null(udp_tunnel_new(&fake->config, &fake->ports));
    }
    fake_free(fake);
}

static void datagram_of_a_new_client_is_dropped_and_counted(void **state)
{
    (void)state;
    const struct tunnel_config config = fake_config();
    struct fake *const fake = fake_connected(&config);
    failing_allocation = ALWAYS;
    fake_send(fake, 1, "question");
    failing_allocation = NEVER;
    assert_int_equal(fake_dropped(fake, DIRECTION_OUT, DROP_NO_MEMORY), 1);
    fake_send(fake, 1, "question");
    assert_int_equal(fake->frames.count, 1);
    fake_free(fake);
}

static void datagram_that_cannot_be_queued_is_dropped_and_counted(void **state)
{
    (void)state;
    const struct tunnel_config config = fake_config();
    struct fake *const fake = fake_started(&config);
    failing_allocation = 1; /* the client, then the place in the queue */
    fake_send(fake, 1, "question");
    failing_allocation = NEVER;
    assert_int_equal(fake_dropped(fake, DIRECTION_OUT, DROP_NO_MEMORY), 1);
    assert_int_equal(fake_counters(fake).queue_datagrams, 0);
    fake_advance(fake, config.client_timeout_us);
    assert_int_equal(fake_counters(fake).clients, 0);
    fake_free(fake);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(table_is_not_made, no_failure),
        cmocka_unit_test_teardown(client_is_not_made, no_failure),
        cmocka_unit_test_teardown(table_that_cannot_grow_still_finds_everybody, no_failure),
        cmocka_unit_test_teardown(queue_is_not_made, no_failure),
        cmocka_unit_test_teardown(datagram_is_not_queued_and_nothing_has_changed, no_failure),
        cmocka_unit_test_teardown(tunnel_is_not_made, no_failure),
        cmocka_unit_test_teardown(datagram_of_a_new_client_is_dropped_and_counted, no_failure),
        cmocka_unit_test_teardown(datagram_that_cannot_be_queued_is_dropped_and_counted,
                                  no_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
