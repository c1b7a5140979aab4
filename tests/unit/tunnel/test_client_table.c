/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <string.h>

#include "otoroshictl/tunnel/client_table.h"

enum { TIMEOUT_US = 60 * 1000 * 1000, NOW_US = 1000 * 1000 };

static struct client_table *new_table(void)
{
    struct client_table *const table = client_table_new(TIMEOUT_US, 42);
    assert_non_null(table);
    return table;
}

static struct address ipv4(uint8_t last, uint16_t port)
{
    return (struct address){.ip = {10, 0, 0, last}, .port = port, .family = ADDRESS_IPV4};
}

/* One of 2^32 different addresses. */
static struct address numbered(uint32_t number)
{
    struct address address = {.family = ADDRESS_IPV6, .port = (uint16_t)(number % 7 + 1)};
    memcpy(address.ip + 4, &number, sizeof number);
    return address;
}

static struct client *touch(struct client_table *table, uint16_t port, int64_t now_us)
{
    const struct address address = ipv4(1, port);
    struct client *const client = client_table_touch(table, &address, now_us);
    assert_non_null(client);
    return client;
}

static struct client *find(struct client_table *table, uint16_t port, int64_t now_us)
{
    const struct address address = ipv4(1, port);
    return client_table_find(table, &address, now_us);
}

static void client_is_made_at_its_first_datagram(void **state)
{
    (void)state;
    struct client_table *const table = new_table();
    assert_null(find(table, 1, NOW_US));
    struct client *const client = touch(table, 1, NOW_US);
    assert_ptr_equal(find(table, 1, NOW_US), client);
    assert_int_equal(client_table_count(table), 1);
    client_table_free(table);
}

static void same_address_is_the_same_client(void **state)
{
    (void)state;
    struct client_table *const table = new_table();
    struct client *const client = touch(table, 1, NOW_US);
    assert_ptr_equal(touch(table, 1, NOW_US + 1), client);
    assert_int_equal(client_table_count(table), 1);
    client_table_free(table);
}

static void address_family_and_port_tell_clients_apart(void **state)
{
    (void)state;
    static const struct address rows[] = {
        {.ip = {10, 0, 0, 1}, .port = 1, .family = ADDRESS_IPV4},
        {.ip = {10, 0, 0, 1}, .port = 2, .family = ADDRESS_IPV4},
        {.ip = {10, 0, 0, 2}, .port = 1, .family = ADDRESS_IPV4},
        {.ip = {10, 0, 0, 1}, .port = 1, .family = ADDRESS_IPV6},
        {.ip = {10, [15] = 1}, .port = 1, .family = ADDRESS_IPV6},
    };
    struct client_table *const table = new_table();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_null(client_table_find(table, &rows[i], NOW_US));
        client_table_touch(table, &rows[i], NOW_US);
        assert_int_equal(client_table_count(table), i + 1);
    }
    client_table_free(table);
}

static void interface_is_no_part_of_the_identity_and_follows_the_last_datagram(void **state)
{
    (void)state;
    struct client_table *const table = new_table();
    struct address address = {.ip = {0xFE, 0x80, [15] = 1}, .port = 1, .family = ADDRESS_IPV6};
    address.scope_id = 2;
    struct client *const client = client_table_touch(table, &address, NOW_US);
    address.scope_id = 3;
    assert_ptr_equal(client_table_touch(table, &address, NOW_US), client);
    assert_int_equal(client->address.scope_id, 3);
    client_table_free(table);
}

static void client_has_its_frame_prefix_ready(void **state)
{
    (void)state;
    static const char expected[] = "{\"address\":\"10.0.0.1\",\"port\":40001,\"data\":\"";
    struct client_table *const table = new_table();
    const struct client *const client = touch(table, 40001, NOW_US);
    assert_int_equal(client->prefix.size, sizeof expected - 1);
    assert_memory_equal(client->prefix.text, expected, sizeof expected - 1);
    client_table_free(table);
}

static void client_is_found_within_the_timeout_only(void **state)
{
    (void)state;
    struct client_table *const table = new_table();
    touch(table, 1, NOW_US);
    assert_non_null(find(table, 1, NOW_US + TIMEOUT_US - 1));
    assert_null(find(table, 1, NOW_US + TIMEOUT_US));
    client_table_free(table);
}

static void each_datagram_starts_the_timeout_anew(void **state)
{
    (void)state;
    struct client_table *const table = new_table();
    touch(table, 1, NOW_US);
    touch(table, 1, NOW_US + TIMEOUT_US - 1);
    assert_non_null(find(table, 1, NOW_US + TIMEOUT_US));
    client_table_free(table);
}

static void client_unseen_for_longest_expires_first(void **state)
{
    (void)state;
    struct client_table *const table = new_table();
    struct client *const first = touch(table, 1, NOW_US);
    struct client *const second = touch(table, 2, NOW_US + 1);
    struct client *const third = touch(table, 3, NOW_US + 2);
    touch(table, 1, NOW_US + 3);
    static const int64_t late_us = NOW_US + 3 + TIMEOUT_US;
    assert_ptr_equal(client_table_expired(table, late_us), second);
    client_table_remove(table, second);
    assert_ptr_equal(client_table_expired(table, late_us), third);
    client_table_remove(table, third);
    assert_ptr_equal(client_table_expired(table, late_us), first);
    client_table_remove(table, first);
    assert_null(client_table_expired(table, late_us));
    client_table_free(table);
}

static void client_expires_at_the_timeout(void **state)
{
    (void)state;
    struct client_table *const table = new_table();
    struct client *const client = touch(table, 1, NOW_US);
    assert_null(client_table_expired(table, NOW_US + TIMEOUT_US - 1));
    assert_ptr_equal(client_table_expired(table, NOW_US + TIMEOUT_US), client);
    client_table_free(table);
}

static void next_expiry_is_the_oldest_clients(void **state)
{
    (void)state;
    struct client_table *const table = new_table();
    assert_int_equal(client_table_next_expiry(table), INT64_MAX);
    touch(table, 1, NOW_US);
    touch(table, 2, NOW_US + 10);
    assert_int_equal(client_table_next_expiry(table), NOW_US + TIMEOUT_US);
    touch(table, 1, NOW_US + 20);
    assert_int_equal(client_table_next_expiry(table), NOW_US + 10 + TIMEOUT_US);
    client_table_free(table);
}

static void client_with_queued_datagrams_is_passed_over(void **state)
{
    (void)state;
    struct client_table *const table = new_table();
    struct client *const waiting = touch(table, 1, NOW_US);
    struct client *const idle = touch(table, 2, NOW_US);
    waiting->queued = 1;
    assert_ptr_equal(client_table_expired(table, NOW_US + TIMEOUT_US), idle);
    client_table_free(table);
}

static void table_of_waiting_clients_has_none_expired(void **state)
{
    (void)state;
    struct client_table *const table = new_table();
    for (uint16_t port = 1; port <= 3; port++)
        touch(table, port, NOW_US)->queued = 1;
    assert_null(client_table_expired(table, NOW_US + TIMEOUT_US));
    client_table_free(table);
}

static void client_that_waited_expires_later(void **state)
{
    (void)state;
    struct client_table *const table = new_table();
    struct client *const client = touch(table, 1, NOW_US);
    client->queued = 1;
    client_table_expired(table, NOW_US + TIMEOUT_US);
    client->queued = 0;
    const int64_t next_us = client_table_next_expiry(table);
    assert_in_range(next_us, NOW_US + TIMEOUT_US, NOW_US + 2 * TIMEOUT_US);
    assert_ptr_equal(client_table_expired(table, next_us), client);
    client_table_free(table);
}

static void removed_client_is_unknown(void **state)
{
    (void)state;
    struct client_table *const table = new_table();
    client_table_remove(table, touch(table, 1, NOW_US));
    assert_null(find(table, 1, NOW_US));
    assert_int_equal(client_table_count(table), 0);
    assert_int_equal(client_table_next_expiry(table), INT64_MAX);
    client_table_free(table);
}

static void many_clients_are_all_found_while_the_table_grows_and_shrinks(void **state)
{
    (void)state;
    enum { MANY = 5000 };
    static struct client *clients[MANY];
    struct client_table *const table = new_table();
    for (uint32_t i = 0; i < MANY; i++) {
        const struct address address = numbered(i);
        clients[i] = client_table_touch(table, &address, NOW_US);
    }
    assert_int_equal(client_table_count(table), MANY);
    for (uint32_t i = 0; i < MANY; i++) {
        const struct address address = numbered(i);
        assert_ptr_equal(client_table_find(table, &address, NOW_US), clients[i]);
    }
    for (uint32_t i = 0; i < MANY; i++) {
        const uint32_t each = i * 2999 % MANY;
        const struct address address = numbered(each);
        assert_ptr_equal(client_table_find(table, &address, NOW_US), clients[each]);
        client_table_remove(table, clients[each]);
        assert_null(client_table_find(table, &address, NOW_US));
    }
    assert_int_equal(client_table_count(table), 0);
    client_table_free(table);
}

static struct client_table *crowded_table(uint32_t clients)
{
    struct client_table *const table = new_table();
    for (uint32_t i = 0; i < clients; i++) {
        const struct address address = numbered(i);
        assert_non_null(client_table_touch(table, &address, NOW_US + i));
    }
    return table;
}

static void client_above_the_limit_makes_the_oldest_go(void **state)
{
    (void)state;
    struct client_table *const table = crowded_table(CLIENTS_MAX);
    static const int64_t now_us = NOW_US + CLIENTS_MAX;
    assert_null(client_table_expired(table, now_us));
    const struct address newcomer = numbered(CLIENTS_MAX);
    const struct address oldest = numbered(0);
    client_table_touch(table, &newcomer, now_us);
    struct client *const expired = client_table_expired(table, now_us);
    assert_ptr_equal(expired, client_table_find(table, &oldest, now_us));
    client_table_remove(table, expired);
    assert_null(client_table_expired(table, now_us));
    client_table_free(table);
}

static void freeing_none_is_legal(void **state)
{
    (void)state;
    client_table_free(NULL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(client_is_made_at_its_first_datagram),
        cmocka_unit_test(same_address_is_the_same_client),
        cmocka_unit_test(address_family_and_port_tell_clients_apart),
        cmocka_unit_test(interface_is_no_part_of_the_identity_and_follows_the_last_datagram),
        cmocka_unit_test(client_has_its_frame_prefix_ready),
        cmocka_unit_test(client_is_found_within_the_timeout_only),
        cmocka_unit_test(each_datagram_starts_the_timeout_anew),
        cmocka_unit_test(client_unseen_for_longest_expires_first),
        cmocka_unit_test(client_expires_at_the_timeout),
        cmocka_unit_test(next_expiry_is_the_oldest_clients),
        cmocka_unit_test(client_with_queued_datagrams_is_passed_over),
        cmocka_unit_test(table_of_waiting_clients_has_none_expired),
        cmocka_unit_test(client_that_waited_expires_later),
        cmocka_unit_test(removed_client_is_unknown),
        cmocka_unit_test(many_clients_are_all_found_while_the_table_grows_and_shrinks),
        cmocka_unit_test(client_above_the_limit_makes_the_oldest_go),
        cmocka_unit_test(freeing_none_is_legal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
