/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "otoroshictl/ops/metrics.h"

static const struct process_facts process = {
    .version = "1.2.3",
    .libwebsockets = "4.1.6",
    .openssl = "3.0.15",
    .start_time_s = 1700000000,
    .uptime_us = INT64_C(12345678),
    .cpu_us = 2000003,
    .resident_bytes = 6291456,
};

static struct tunnel_facts new_tunnel(void)
{
    return (struct tunnel_facts){.local = "127.0.0.1:1053",
                                 .remote = "dns:53",
                                 .gateway = "gateway.test:8080",
                                 .connections = "shared"};
}

static char page[METRICS_BYTES_MAX];

static const char *prometheus(const struct tunnel_facts *tunnel)
{
    struct text text;
    text_init(&text, page, sizeof page);
    metrics_append_prometheus(&text, &process, tunnel);
    assert_false(text.cut);
    return page;
}

static void assert_has_line(const char *text, const char *line)
{
    char wanted[256];
    snprintf(wanted, sizeof wanted, "\n%s\n", line);
    if (strstr(text, wanted) == NULL)
        fail_msg("there is no line '%s'", line);
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at += strlen(part))
        count++;
    return count;
}

static void each_number_has_its_row(void **state)
{
    static const char *const rows[] = {
        "otoroshictl_received_total{direction=\"in\"} 4",
        "otoroshictl_datagrams_total{direction=\"out\"} 2",
        "otoroshictl_datagrams_total{direction=\"in\"} 5",
        "otoroshictl_bytes_total{direction=\"out\"} 3",
        "otoroshictl_bytes_total{direction=\"in\"} 6",
        "otoroshictl_dropped_total{direction=\"out\",reason=\"queue_full\"} 21",
        "otoroshictl_dropped_total{direction=\"in\",reason=\"not_json\"} 23",
        "otoroshictl_receive_overflow_total 14",
        "otoroshictl_surplus_replies_total 25",
        "otoroshictl_label_credits_total 13",
        "otoroshictl_clients 17",
        "otoroshictl_queue_datagrams 15",
        "otoroshictl_unanswered_datagrams 16",
        "otoroshictl_connections{state=\"connecting\"} 18",
        "otoroshictl_connections{state=\"active\"} 19",
        "otoroshictl_connections{state=\"idle\"} 24",
        "otoroshictl_connections{state=\"draining\"} 20",
        "otoroshictl_connects_total{result=\"ok\"} 7",
        "otoroshictl_connects_total{result=\"failed\"} 8",
        "otoroshictl_renewals_total{cause=\"reply_timeout\"} 9",
        "otoroshictl_renewals_total{cause=\"window\"} 10",
        "otoroshictl_renewals_total{cause=\"one_way\"} 11",
        "otoroshictl_renewals_total{cause=\"reload\"} 12",
        "otoroshictl_up 1",
        "otoroshictl_build_info{version=\"1.2.3\",libwebsockets=\"4.1.6\",openssl=\"3.0.15\"} 1",
        "process_start_time_seconds 1700000000",
        "process_cpu_seconds_total 2.000003",
        "process_resident_memory_bytes 6291456",
    };
    (void)state;
    struct tunnel_facts tunnel = new_tunnel();
    tunnel.counters = (struct counters){
        .direction = {[DIRECTION_OUT] = {.received = 1, .passed_on = 2, .bytes = 3},
                      [DIRECTION_IN] = {.received = 4, .passed_on = 5, .bytes = 6}},
        .connects_ok = 7,
        .connects_failed = 8,
        .renewals = {9, 10, 11, 12},
        .label_credits = 13,
        .receive_overflow = 14,
        .queue_datagrams = 15,
        .unanswered_datagrams = 16,
        .clients = 17,
        .connections_connecting = 18,
        .connections_active = 19,
        .connections_draining = 20,
        .connections_idle = 24,
        .surplus_replies = 25,
    };
    tunnel.counters.direction[DIRECTION_OUT].dropped[DROP_QUEUE_FULL] = 21;
    tunnel.counters.direction[DIRECTION_IN].dropped[DROP_NOT_JSON] = 23;
    const char *text = prometheus(&tunnel);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_has_line(text, rows[i]);
    assert_has_line(text, "otoroshictl_received_total{direction=\"out\"} 1");
}

static void histogram_is_cumulative(void **state)
{
    static const char *const rows[] = {
        "otoroshictl_ping_seconds_bucket{le=\"0.001\"} 1",
        "otoroshictl_ping_seconds_bucket{le=\"0.0025\"} 1",
        "otoroshictl_ping_seconds_bucket{le=\"0.025\"} 1",
        "otoroshictl_ping_seconds_bucket{le=\"0.05\"} 2",
        "otoroshictl_ping_seconds_bucket{le=\"1\"} 2",
        "otoroshictl_ping_seconds_bucket{le=\"5\"} 2",
        "otoroshictl_ping_seconds_bucket{le=\"+Inf\"} 3",
        "otoroshictl_ping_seconds_sum 6.041000",
        "otoroshictl_ping_seconds_count 3",
    };
    (void)state;
    struct tunnel_facts tunnel = new_tunnel();
    counters_add_ping(&tunnel.counters.pings, 1000);
    counters_add_ping(&tunnel.counters.pings, 40 * 1000);
    counters_add_ping(&tunnel.counters.pings, 6 * 1000 * 1000);
    const char *text = prometheus(&tunnel);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_has_line(text, rows[i]);
    assert_int_equal(count_of(text, "\notoroshictl_ping_seconds_bucket{"), PING_BUCKET_COUNT);
}

static void drop_reasons_that_can_occur_are_there_from_the_start(void **state)
{
    (void)state;
    const struct tunnel_facts tunnel = new_tunnel();
    const char *text = prometheus(&tunnel);
    size_t rows = 0;
    for (int direction = 0; direction < DIRECTION_COUNT; direction++)
        for (int i = 0; i < DROP_REASON_COUNT; i++) {
            char row[128];
            bool wanted = drop_reason_occurs((enum direction)direction, (enum drop_reason)i);
            snprintf(
                row, sizeof row, "\notoroshictl_dropped_total{direction=\"%s\",reason=\"%s\"} ",
                direction == DIRECTION_OUT ? "out" : "in", drop_reason_label((enum drop_reason)i));
            assert_int_equal(strstr(text, row) != NULL, wanted);
            rows += wanted;
        }
    assert_int_equal(count_of(text, "\notoroshictl_dropped_total{"), rows);
}

/* So that the sum over the rows is the number of drops whatever happens. */
static void drop_of_an_unexpected_reason_is_there_too(void **state)
{
    (void)state;
    struct tunnel_facts tunnel = new_tunnel();
    tunnel.counters.direction[DIRECTION_OUT].dropped[DROP_NOT_JSON] = 3;
    assert_has_line(prometheus(&tunnel),
                    "otoroshictl_dropped_total{direction=\"out\",reason=\"not_json\"} 3");
}

static void up_means_a_websocket_is_open(void **state)
{
    static const struct {
        struct counters counters;
        const char *row;
    } rows[] = {
        {{.connections_connecting = 1}, "otoroshictl_up 0"},
        {{.connections_draining = 1}, "otoroshictl_up 0"},
        {{.connections_idle = 1}, "otoroshictl_up 1"},
        {{.connections_active = 2}, "otoroshictl_up 1"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct tunnel_facts tunnel = new_tunnel();
        tunnel.counters = rows[i].counters;
        assert_has_line(prometheus(&tunnel), rows[i].row);
    }
}

/* Each sample stands right behind the HELP and TYPE of its own metric. */
static void every_sample_has_its_head(void **state)
{
    (void)state;
    const struct tunnel_facts tunnel = new_tunnel();
    char *rest = NULL;
    char name[128] = "";
    size_t heads = 0;
    prometheus(&tunnel);
    for (char *line = strtok_r(page, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        if (strncmp(line, "# HELP ", 7) == 0) {
            snprintf(name, sizeof name, "%.*s", (int)strcspn(line + 7, " "), line + 7);
            assert_true(strlen(line) > 7 + strlen(name) + 2);
            heads++;
        } else if (strncmp(line, "# TYPE ", 7) == 0) {
            assert_memory_equal(line + 7, name, strlen(name));
        } else {
            assert_memory_equal(line, name, strlen(name));
            assert_true(isdigit((unsigned char)line[strlen(line) - 1]));
        }
    }
    assert_int_equal(heads, 19);
}

static void largest_numbers_fit(void **state)
{
    (void)state;
    struct tunnel_facts tunnel = new_tunnel();
    memset(&tunnel.counters, 0xFF, sizeof tunnel.counters);
    memset(tunnel.local, 'l', sizeof tunnel.local - 1);
    memset(tunnel.remote, '\x01', sizeof tunnel.remote - 1);
    prometheus(&tunnel);

    char name[300];
    struct text text;
    memset(name, 'g', sizeof name);
    name[sizeof name - 1] = '\0';
    tunnel.gateway = name;
    text_init(&text, page, sizeof page);
    metrics_append_json(&text, &process, &tunnel);
    assert_false(text.cut);
}

static void page_is_cut_at_its_size_and_says_so(void **state)
{
    (void)state;
    const struct tunnel_facts tunnel = new_tunnel();
    const size_t whole = strlen(prometheus(&tunnel));
    for (size_t size = 1; size <= whole; size++) {
        struct text text;
        page[size] = '#';
        text_init(&text, page, size);
        metrics_append_prometheus(&text, &process, &tunnel);
        assert_true(text.cut);
        assert_int_equal(strlen(page), size - 1);
        assert_int_equal(page[size], '#');
    }
}

static void json_tells_the_tunnel_and_then_the_counters(void **state)
{
    static const char head[] =
        "{\"version\":\"1.2.3\",\"state\":\"connecting\",\"uptime_seconds\":12.345,"
        "\"local\":\"127.0.0.1:1053\",\"remote\":\"a\\\"b\",\"gateway\":\"gateway.test:8080\","
        "\"connections_mode\":\"shared\",\"otoroshictl_received_total\":{\"out\":0,\"in\":0},";
    (void)state;
    struct tunnel_facts tunnel = new_tunnel();
    struct text text;
    strcpy(tunnel.remote, "a\"b");
    text_init(&text, page, sizeof page);
    metrics_append_json(&text, &process, &tunnel);
    assert_memory_equal(page, head, strlen(head));
    assert_string_equal(page + text.used - 3, "}}\n");
}

static void json_says_up_and_leaves_out_what_the_tunnel_has_not(void **state)
{
    (void)state;
    struct tunnel_facts tunnel = new_tunnel();
    struct text text;
    tunnel.counters.connections_idle = 1;
    tunnel.connections = NULL;
    text_init(&text, page, sizeof page);
    metrics_append_json(&text, &process, &tunnel);
    assert_non_null(strstr(page, "\"state\":\"up\""));
    assert_null(strstr(page, "connections_mode"));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_number_has_its_row),
        cmocka_unit_test(histogram_is_cumulative),
        cmocka_unit_test(drop_reasons_that_can_occur_are_there_from_the_start),
        cmocka_unit_test(drop_of_an_unexpected_reason_is_there_too),
        cmocka_unit_test(up_means_a_websocket_is_open),
        cmocka_unit_test(every_sample_has_its_head),
        cmocka_unit_test(largest_numbers_fit),
        cmocka_unit_test(page_is_cut_at_its_size_and_says_so),
        cmocka_unit_test(json_tells_the_tunnel_and_then_the_counters),
        cmocka_unit_test(json_says_up_and_leaves_out_what_the_tunnel_has_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
