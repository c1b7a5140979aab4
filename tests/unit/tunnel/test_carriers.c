/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <string.h>

#include "otoroshictl/tunnel/carriers.h"
#include "otoroshictl/tunnel/client_table.h"

enum { MS = 1000, SECOND = 1000 * MS, NOW_US = 1000 * SECOND, CLIENTS = 8 };

/* A table of connections and the clients that want them. */
struct scene {
    struct tunnel_config config;
    struct carriers carriers;
    struct client clients[CLIENTS];
};

static struct scene *scene_of(struct scene *scene, enum connections_mode mode, unsigned max)
{
    memset(scene, 0, sizeof *scene);
    scene->config = (struct tunnel_config){
        .connections = mode, .max_connections = max, .window = 31, .reply_timeout_us = 5 * SECOND};
    assert_true(carriers_init(&scene->carriers, &scene->config));
    for (size_t i = 0; i < CLIENTS; i++) {
        scene->clients[i].lane.client = &scene->clients[i];
        scene->clients[i].last_seen_us = NOW_US + (int64_t)i;
    }
    return scene;
}

static struct lane *lane(struct scene *scene, size_t client)
{
    return &scene->clients[client].lane;
}

static struct connection *at(struct scene *scene, unsigned index)
{
    return &scene->carriers.connections[index];
}

static void set(struct scene *scene, unsigned index, enum connection_state state, int64_t now_us)
{
    carriers_set_state(&scene->carriers, at(scene, index), state, now_us);
}

/* Connections 0 to count - 1 are idle, the first for longest. */
static void have_idle(struct scene *scene, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        set(scene, i, CONNECTION_IDLE, NOW_US + i);
}

/* The client has it, with something unanswered. */
static struct connection *busy(struct scene *scene, size_t client)
{
    /* So late that all have rested. */
    struct connection *connection =
        carriers_connection_of(&scene->carriers, lane(scene, client), NOW_US + SECOND);
    assert_non_null(connection);
    connection->asked_us = NOW_US;
    connection->pairing.unanswered = 1;
    return connection;
}

static void free_ones_are_taken_from_the_first_on(void **state)
{
    (void)state;
    struct scene scene;
    scene_of(&scene, CONNECTIONS_POOL, 3);
    assert_int_equal(carriers_first(&scene.carriers, CONNECTION_FREE)->index, 0);
    set(&scene, 0, CONNECTION_OPENING, NOW_US);
    assert_int_equal(carriers_first(&scene.carriers, CONNECTION_FREE)->index, 1);
    set(&scene, 0, CONNECTION_FREE, NOW_US);
    assert_int_equal(carriers_first(&scene.carriers, CONNECTION_FREE)->index, 0);
    assert_int_equal(carriers_count(&scene.carriers, CONNECTION_FREE), 3);
    carriers_free(&scene.carriers);
}

static void most_connections_are_those_of_the_option_but_for_shared(void **state)
{
    (void)state;
    static const struct {
        enum connections_mode mode;
        bool one_way;
        unsigned max;
    } rows[] = {{CONNECTIONS_SHARED, false, CARRIERS_SHARED_MAX},
                {CONNECTIONS_SHARED, true, 7},
                {CONNECTIONS_POOL, false, 7},
                {CONNECTIONS_POOL, true, 7},
                {CONNECTIONS_PER_CLIENT, false, 7}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct tunnel_config config = {
            .connections = rows[i].mode, .one_way = rows[i].one_way, .max_connections = 7};
        assert_int_equal(carriers_max(&config), rows[i].max);
    }
}

static void client_keeps_its_connection_while_it_is_not_handed_on(void **state)
{
    (void)state;
    struct scene scene;
    scene_of(&scene, CONNECTIONS_POOL, 4);
    have_idle(&scene, 2);
    struct connection *const first = busy(&scene, 0);
    first->pairing.unanswered = 0;
    carriers_settle(&scene.carriers, first, NOW_US + 5);
    assert_int_equal(first->state, CONNECTION_IDLE);
    assert_ptr_equal(carriers_connection_of(&scene.carriers, lane(&scene, 0), NOW_US + 6), first);
    assert_int_equal(first->state, CONNECTION_ACTIVE);
    carriers_free(&scene.carriers);
}

static void longest_idle_is_handed_on_first(void **state)
{
    (void)state;
    struct scene scene;
    scene_of(&scene, CONNECTIONS_POOL, 4);
    have_idle(&scene, 3);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(busy(&scene, i)->index, i);
    static const unsigned answered[] = {1, 2, 0};
    for (unsigned i = 0; i < 3; i++) {
        at(&scene, answered[i])->pairing.unanswered = 0;
        carriers_settle(&scene.carriers, at(&scene, answered[i]), NOW_US + i);
    }
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(busy(&scene, 3 + i)->index, answered[i]);
    assert_null(lane(&scene, 1)->connection); /* it has been taken over */
    assert_ptr_equal(at(&scene, 1)->lane, lane(&scene, 3));
    carriers_free(&scene.carriers);
}

static void connection_with_something_unanswered_or_queued_is_not_handed_on(void **state)
{
    (void)state;
    struct scene scene;
    scene_of(&scene, CONNECTIONS_POOL, 1);
    have_idle(&scene, 1);
    struct connection *const only = busy(&scene, 0);
    carriers_settle(&scene.carriers, only, NOW_US);
    assert_null(carriers_connection_of(&scene.carriers, lane(&scene, 1), NOW_US));
    only->pairing.unanswered = 0;
    lane(&scene, 0)->queued = 1;
    carriers_settle(&scene.carriers, only, NOW_US);
    assert_null(carriers_connection_of(&scene.carriers, lane(&scene, 1), NOW_US));
    lane(&scene, 0)->queued = 0;
    carriers_settle(&scene.carriers, only, NOW_US);
    assert_null(
        carriers_connection_of(&scene.carriers, lane(&scene, 1), NOW_US + CARRIERS_REST_US - 1));
    assert_int_equal(carriers_rested_at(&scene.carriers), NOW_US + CARRIERS_REST_US);
    assert_ptr_equal(
        carriers_connection_of(&scene.carriers, lane(&scene, 1), NOW_US + CARRIERS_REST_US), only);
    carriers_free(&scene.carriers);
}

static void surplus_reply_begins_the_rest_anew(void **state)
{
    (void)state;
    struct scene scene;
    scene_of(&scene, CONNECTIONS_POOL, 1);
    have_idle(&scene, 1);
    struct connection *const only = busy(&scene, 0);
    only->pairing.unanswered = 0;
    carriers_settle(&scene.carriers, only, NOW_US);
    carriers_rest_again(&scene.carriers, only, NOW_US + 4 * MS);
    assert_null(carriers_connection_of(&scene.carriers, lane(&scene, 1), NOW_US + 8 * MS));
    /* Its own client need not wait. */
    assert_ptr_equal(carriers_connection_of(&scene.carriers, lane(&scene, 0), NOW_US + 8 * MS),
                     only);
    carriers_free(&scene.carriers);
}

static void clients_own_connection_is_never_handed_on(void **state)
{
    (void)state;
    struct scene scene;
    scene_of(&scene, CONNECTIONS_PER_CLIENT, 4);
    have_idle(&scene, 1);
    struct connection *const own = busy(&scene, 0);
    own->pairing.unanswered = 0;
    carriers_settle(&scene.carriers, own, NOW_US);
    assert_int_equal(own->state, CONNECTION_ACTIVE);
    assert_null(carriers_connection_of(&scene.carriers, lane(&scene, 1), NOW_US));
    carriers_free(&scene.carriers);
}

static void who_has_waited_longest_is_served_first(void **state)
{
    (void)state;
    struct scene scene;
    struct connection *replaced;
    scene_of(&scene, CONNECTIONS_POOL, 4);
    for (size_t i = 0; i < 3; i++)
        carriers_want(&scene.carriers, lane(&scene, i));
    carriers_want(&scene.carriers, lane(&scene, 0)); /* once is enough */
    assert_int_equal(scene.carriers.waiting, 3);
    have_idle(&scene, 2);
    /* A newcomer does not overtake. */
    assert_null(carriers_connection_of(&scene.carriers, lane(&scene, 5), NOW_US));
    for (size_t i = 0; i < 2; i++) {
        struct connection *const got = carriers_serve(&scene.carriers, &replaced, NOW_US);
        assert_ptr_equal(got->lane, lane(&scene, i));
        assert_null(replaced);
    }
    assert_null(carriers_serve(&scene.carriers, &replaced, NOW_US));
    carriers_want_no_more(&scene.carriers, lane(&scene, 2));
    assert_int_equal(scene.carriers.waiting, 0);
    carriers_free(&scene.carriers);
}

static void fresh_one_replaces_the_unclean_one(void **state)
{
    (void)state;
    struct scene scene;
    struct connection *replaced;
    scene_of(&scene, CONNECTIONS_POOL, 4);
    have_idle(&scene, 1);
    struct connection *const unclean = busy(&scene, 0);
    carriers_want_fresh(&scene.carriers, lane(&scene, 0), RENEWAL_REPLY_TIMEOUT);
    /* Until there is one it goes on as it is. */
    assert_ptr_equal(carriers_connection_of(&scene.carriers, lane(&scene, 0), NOW_US), unclean);
    set(&scene, 1, CONNECTION_IDLE, NOW_US);
    struct connection *const fresh = carriers_serve(&scene.carriers, &replaced, NOW_US);
    assert_ptr_equal(fresh, at(&scene, 1));
    assert_ptr_equal(replaced, unclean);
    assert_int_equal(lane(&scene, 0)->cause, RENEWAL_REPLY_TIMEOUT);
    carriers_set_state(&scene.carriers, replaced, CONNECTION_DRAINING, NOW_US);
    assert_ptr_equal(lane(&scene, 0)->connection, fresh);
    assert_ptr_equal(unclean->lane, lane(&scene, 0)); /* late replies are its client's */
    assert_int_equal(lane(&scene, 0)->references, 2);
    carriers_free(&scene.carriers);
}

static void lost_connection_leaves_its_lane_without(void **state)
{
    (void)state;
    struct scene scene;
    scene_of(&scene, CONNECTIONS_PER_CLIENT, 4);
    have_idle(&scene, 1);
    struct connection *const own = busy(&scene, 0);
    carriers_set_state(&scene.carriers, own, CONNECTION_FREE, NOW_US);
    assert_null(lane(&scene, 0)->connection);
    assert_null(own->lane);
    assert_int_equal(own->pairing.unanswered, 0);
    assert_int_equal(lane(&scene, 0)->references, 0);
    carriers_free(&scene.carriers);
}

static void missing_connections_are_those_waited_for_and_the_spare(void **state)
{
    (void)state;
    static const struct {
        enum connections_mode mode;
        bool one_way;
        bool stopping;
        unsigned idle, opening, active, waiting;
        unsigned missing;
    } rows[] = {
        {CONNECTIONS_POOL, false, false, 0, 0, 0, 0, 1}, /* the spare one */
        {CONNECTIONS_POOL, false, false, 1, 0, 0, 0, 0},
        {CONNECTIONS_POOL, false, false, 0, 1, 2, 0, 0},
        {CONNECTIONS_POOL, false, false, 0, 0, 2, 3, 4},
        {CONNECTIONS_POOL, false, false, 0, 2, 2, 3, 2},
        {CONNECTIONS_POOL, false, true, 0, 0, 2, 3, 3},
        {CONNECTIONS_PER_CLIENT, false, false, 0, 0, 0, 0, 1}, /* so that it is known to be up */
        {CONNECTIONS_PER_CLIENT, false, false, 0, 0, 0, 2, 2},
        {CONNECTIONS_PER_CLIENT, false, false, 0, 0, 1, 0, 0},
        {CONNECTIONS_PER_CLIENT, false, true, 0, 0, 0, 0, 0},
        {CONNECTIONS_SHARED, true, false, 0, 0, 1, 0, 1}, /* the next one */
        {CONNECTIONS_SHARED, true, false, 1, 0, 1, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct scene scene;
        unsigned used = 0;
        scene_of(&scene, rows[i].mode, 8);
        carriers_free(&scene.carriers);
        scene.config.one_way = rows[i].one_way;
        assert_true(carriers_init(&scene.carriers, &scene.config));
        scene.carriers.stopping = rows[i].stopping;
        for (unsigned j = 0; j < rows[i].active; j++) {
            set(&scene, used++, CONNECTION_IDLE, NOW_US);
            busy(&scene, CLIENTS - 1 - j);
        }
        for (unsigned j = 0; j < rows[i].idle; j++)
            set(&scene, used++, CONNECTION_IDLE, NOW_US);
        for (unsigned j = 0; j < rows[i].opening; j++)
            set(&scene, used++, CONNECTION_OPENING, NOW_US);
        for (unsigned j = 0; j < rows[i].waiting; j++)
            carriers_want(&scene.carriers, lane(&scene, j));
        assert_int_equal(carriers_missing(&scene.carriers), rows[i].missing);
        carriers_free(&scene.carriers);
    }
}

static void one_way_asks_for_as_many_as_the_queue_fills(void **state)
{
    (void)state;
    static const struct {
        uint32_t queued, window;
        unsigned missing; /* with the next one */
    } rows[] = {{0, 31, 2}, {1, 31, 2}, {31, 31, 2}, {32, 31, 3}, {310, 31, 11}, {310, 0, 2}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct scene scene;
        scene_of(&scene, CONNECTIONS_SHARED, 64);
        carriers_free(&scene.carriers);
        scene.config.one_way = true;
        scene.config.window = rows[i].window;
        assert_true(carriers_init(&scene.carriers, &scene.config));
        scene.carriers.common.queued = rows[i].queued;
        carriers_want(&scene.carriers, &scene.carriers.common);
        assert_int_equal(carriers_missing(&scene.carriers), rows[i].missing);
        carriers_free(&scene.carriers);
    }
}

static void stale_ones_count_as_missing(void **state)
{
    (void)state;
    struct scene scene;
    scene_of(&scene, CONNECTIONS_POOL, 4);
    have_idle(&scene, 1);
    at(&scene, 0)->stale = true;
    scene.carriers.stale_idle = 1;
    assert_int_equal(carriers_missing(&scene.carriers), 1);
    set(&scene, 0, CONNECTION_CLOSING, NOW_US);
    assert_int_equal(scene.carriers.stale_idle, 0);
    carriers_free(&scene.carriers);
}

static void lane_yields_after_its_turn_where_others_wait_and_none_can_be_opened(void **state)
{
    (void)state;
    struct scene scene;
    scene_of(&scene, CONNECTIONS_POOL, 1);
    have_idle(&scene, 1);
    struct connection *const only = busy(&scene, 0);
    only->turn = PAIRING_WINDOW_SEVERAL;
    assert_false(carriers_must_yield(&scene.carriers, only));
    carriers_want(&scene.carriers, lane(&scene, 1));
    assert_false(carriers_must_yield(&scene.carriers, only));
    scene.carriers.no_more = true;
    assert_true(carriers_must_yield(&scene.carriers, only));
    only->turn--;
    assert_false(carriers_must_yield(&scene.carriers, only));

    lane(&scene, 0)->queued = 1;
    carriers_yield(&scene.carriers, only);
    assert_null(lane(&scene, 0)->connection);
    assert_ptr_equal(only->lane, lane(&scene, 0)); /* what it has asked is still answered */
    only->pairing.unanswered = 0;
    carriers_settle(&scene.carriers, only, NOW_US);
    struct connection *replaced;
    carriers_serve(&scene.carriers, &replaced, NOW_US + CARRIERS_REST_US);
    assert_ptr_equal(only->lane, lane(&scene, 1));
    assert_true(lane(&scene, 0)->waits);
    carriers_free(&scene.carriers);
}

static void at_the_maximum_what_drains_goes_first_but_not_at_once(void **state)
{
    (void)state;
    struct scene scene;
    scene_of(&scene, CONNECTIONS_POOL, 2);
    have_idle(&scene, 2);
    busy(&scene, 0);
    busy(&scene, 1);
    set(&scene, 0, CONNECTION_DRAINING, NOW_US);
    assert_null(carriers_make_room(&scene.carriers, NOW_US + SECOND)); /* nobody waits */
    carriers_want(&scene.carriers, lane(&scene, 2));
    assert_null(carriers_make_room(&scene.carriers, NOW_US + CARRIERS_DRAIN_LEAST_US - 1));
    assert_ptr_equal(carriers_make_room(&scene.carriers, NOW_US + CARRIERS_DRAIN_LEAST_US),
                     at(&scene, 0));
    set(&scene, 0, CONNECTION_CLOSING, NOW_US);
    assert_null(carriers_make_room(&scene.carriers, NOW_US + SECOND)); /* room is on its way */
    carriers_free(&scene.carriers);
}

static void at_the_maximum_an_unclean_connection_makes_room_for_its_fresh_one(void **state)
{
    (void)state;
    struct scene scene;
    scene_of(&scene, CONNECTIONS_POOL, 1);
    have_idle(&scene, 1);
    busy(&scene, 0);
    carriers_want_fresh(&scene.carriers, lane(&scene, 0), RENEWAL_REPLY_TIMEOUT);
    assert_ptr_equal(carriers_make_room(&scene.carriers, NOW_US), at(&scene, 0));
    carriers_free(&scene.carriers);
}

static void at_the_maximum_the_quietest_client_with_nothing_unanswered_makes_room(void **state)
{
    (void)state;
    struct scene scene;
    scene_of(&scene, CONNECTIONS_PER_CLIENT, 3);
    have_idle(&scene, 3);
    for (size_t i = 0; i < 3; i++)
        busy(&scene, i);
    carriers_want(&scene.carriers, lane(&scene, 3));
    assert_null(carriers_make_room(&scene.carriers, NOW_US)); /* all are waited on */
    at(&scene, 1)->pairing.unanswered = 0;
    at(&scene, 2)->pairing.unanswered = 0;
    assert_ptr_equal(carriers_make_room(&scene.carriers, NOW_US), at(&scene, 1));
    scene.clients[1].last_seen_us = NOW_US + SECOND;
    assert_ptr_equal(carriers_make_room(&scene.carriers, NOW_US), at(&scene, 2));
    lane(&scene, 2)->queued = 1;
    assert_ptr_equal(carriers_make_room(&scene.carriers, NOW_US), at(&scene, 1));
    /* What has not been answered in the reply timeout is not waited for. */
    assert_ptr_equal(carriers_make_room(&scene.carriers, NOW_US + 10LL * SECOND), at(&scene, 0));
    carriers_free(&scene.carriers);
}

static void pool_is_never_thinned_by_force(void **state)
{
    (void)state;
    struct scene scene;
    scene_of(&scene, CONNECTIONS_POOL, 1);
    have_idle(&scene, 1);
    busy(&scene, 0);
    carriers_want(&scene.carriers, lane(&scene, 1));
    assert_null(carriers_make_room(&scene.carriers, NOW_US + SECOND));
    carriers_free(&scene.carriers);
}

static void idle_ones_beyond_the_spare_are_superfluous_in_time(void **state)
{
    (void)state;
    struct scene scene;
    scene_of(&scene, CONNECTIONS_POOL, 4);
    have_idle(&scene, 2);
    assert_null(carriers_superfluous(&scene.carriers, SECOND, NOW_US + SECOND - 1));
    assert_ptr_equal(carriers_superfluous(&scene.carriers, SECOND, NOW_US + SECOND), at(&scene, 0));
    set(&scene, 0, CONNECTION_CLOSING, NOW_US);
    assert_null(carriers_superfluous(&scene.carriers, SECOND, NOW_US + 60LL * SECOND));
    carriers_free(&scene.carriers);
}

static void forgotten_client_leaves_nothing_behind(void **state)
{
    (void)state;
    struct scene scene;
    scene_of(&scene, CONNECTIONS_POOL, 4);
    have_idle(&scene, 3);
    busy(&scene, 0);
    set(&scene, 0, CONNECTION_DRAINING, NOW_US);
    busy(&scene, 0);
    carriers_want_fresh(&scene.carriers, lane(&scene, 0), RENEWAL_WINDOW);
    carriers_forget(&scene.carriers, lane(&scene, 0));
    assert_null(at(&scene, 0)->lane);
    assert_null(at(&scene, 1)->lane);
    assert_int_equal(lane(&scene, 0)->references, 0);
    assert_int_equal(scene.carriers.waiting, 0);
    /* The one that is still waited on can be handed on later. */
    at(&scene, 1)->pairing.unanswered = 0;
    carriers_settle(&scene.carriers, at(&scene, 1), NOW_US);
    assert_int_equal(at(&scene, 1)->state, CONNECTION_IDLE);
    carriers_free(&scene.carriers);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(free_ones_are_taken_from_the_first_on),
        cmocka_unit_test(most_connections_are_those_of_the_option_but_for_shared),
        cmocka_unit_test(client_keeps_its_connection_while_it_is_not_handed_on),
        cmocka_unit_test(longest_idle_is_handed_on_first),
        cmocka_unit_test(connection_with_something_unanswered_or_queued_is_not_handed_on),
        cmocka_unit_test(surplus_reply_begins_the_rest_anew),
        cmocka_unit_test(clients_own_connection_is_never_handed_on),
        cmocka_unit_test(who_has_waited_longest_is_served_first),
        cmocka_unit_test(fresh_one_replaces_the_unclean_one),
        cmocka_unit_test(lost_connection_leaves_its_lane_without),
        cmocka_unit_test(missing_connections_are_those_waited_for_and_the_spare),
        cmocka_unit_test(one_way_asks_for_as_many_as_the_queue_fills),
        cmocka_unit_test(stale_ones_count_as_missing),
        cmocka_unit_test(lane_yields_after_its_turn_where_others_wait_and_none_can_be_opened),
        cmocka_unit_test(at_the_maximum_what_drains_goes_first_but_not_at_once),
        cmocka_unit_test(at_the_maximum_an_unclean_connection_makes_room_for_its_fresh_one),
        cmocka_unit_test(at_the_maximum_the_quietest_client_with_nothing_unanswered_makes_room),
        cmocka_unit_test(pool_is_never_thinned_by_force),
        cmocka_unit_test(idle_ones_beyond_the_spare_are_superfluous_in_time),
        cmocka_unit_test(forgotten_client_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
