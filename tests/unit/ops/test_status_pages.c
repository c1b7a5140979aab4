/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <string.h>

#include "otoroshictl/ops/status_pages.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static char page[METRICS_BYTES_MAX];

static struct status_facts new_facts(void)
{
    return (struct status_facts){
        .listen_host = "metrics.test",
        .process = {.version = "1.2.3", .libwebsockets = "4", .openssl = "3"},
        .tunnel = {.local = "l", .remote = "r", .gateway = "gateway.test:8080"},
    };
}

static struct status_answer ask(struct status_facts facts, struct status_request request,
                                size_t size)
{
    struct status_answer answer;
    memset(page, '#', sizeof page);
    text_init(&answer.body, page, size);
    status_pages_answer(&answer, &request, &facts);
    return answer;
}

static struct status_answer get(const char *path)
{
    return ask(new_facts(), (struct status_request){"GET", path, "localhost"}, sizeof page);
}

static void every_page_has_its_type(void **state)
{
    static const struct {
        const char *path;
        const char *type;
        const char *has;
    } rows[] = {
        {"/", "text/plain; charset=utf-8", "/metrics"},
        {"/metrics", "text/plain; version=0.0.4; charset=utf-8", "# TYPE otoroshictl_up gauge\n"},
        {"/status.json", "application/json", "\"otoroshictl_clients\":0"},
        {"/healthz", "text/plain; charset=utf-8", "ok\n"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct status_answer answer = get(rows[i].path);
        assert_int_equal(answer.status, 200);
        assert_string_equal(answer.content_type, rows[i].type);
        assert_non_null(strstr(page, rows[i].has));
        assert_int_equal(answer.body.used, strlen(page));
    }
}

static void unknown_path_is_not_found(void **state)
{
    static const char *const paths[] = {
        "",         "*",           "/metric", "/metrics/",        "//metrics",
        "/METRICS", "/../metrics", "/status", "http://localhost/"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        assert_int_equal(get(paths[i]).status, 404);
        assert_string_equal(page, "not found; / lists what there is\n");
    }
}

static void only_get_and_head_are_answered(void **state)
{
    static const struct {
        const char *method;
        unsigned status;
    } rows[] = {{"GET", 200},    {"HEAD", 200},    {"POST", 405}, {"PUT", 405},
                {"DELETE", 405}, {"OPTIONS", 405}, {"get", 405},  {"GETX", 405}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct status_request request = {rows[i].method, "/healthz", "localhost"};
        assert_int_equal(ask(new_facts(), request, sizeof page).status, rows[i].status);
    }
}

static void readiness_is_an_open_websocket(void **state)
{
    static const struct {
        struct counters counters;
        unsigned status;
        const char *body;
    } rows[] = {
        {{.connections_active = 1}, 200, "ready\n"},
        {{.connections_idle = 1, .connections_connecting = 1}, 200, "ready\n"},
        {{.connections_connecting = 1},
         503,
         "not ready: no WebSocket to Otoroshi (gateway.test:8080) is open; connecting, 0 failed so "
         "far\n"},
        {{.connects_failed = 7, .connections_draining = 1},
         503,
         "not ready: no WebSocket to Otoroshi (gateway.test:8080) is open; waiting for the next "
         "attempt, 7 failed so far\n"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct status_facts facts = new_facts();
        facts.tunnel.counters = rows[i].counters;
        struct status_request request = {"GET", "/readyz", "localhost"};
        assert_int_equal(ask(facts, request, sizeof page).status, rows[i].status);
        assert_string_equal(page, rows[i].body);
    }
}

static void host_is_an_address_localhost_or_the_name_listened_on(void **state)
{
    static const char *const good[] = {
        NULL,         "127.0.0.1",     "127.0.0.1:9100",   "10.1.2.3:1", "[::1]",
        "[::1]:9100", "[2001:db8::1]", "localhost",        "LOCALHOST",  "localhost:9100",
        "localhost:", "metrics.test",  "Metrics.Test:9100"};
    static const char *const bad[] = {"",
                                      ":9100",
                                      "evil.test",
                                      "evil.test:9100",
                                      "localhost.evil.test",
                                      "local",
                                      "::1",
                                      "[::1",
                                      "[::1]x",
                                      "[localhost]:80:80",
                                      "127.0.0.1.",
                                      "127.1",
                                      "127.0.0.1:80x",
                                      "127.0.0.1 evil.test",
                                      "metrics.test.",
                                      "[]",
                                      "xlocalhost",
                                      "evil.test:127.0.0.1",
                                      "2130706433"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        struct status_request request = {"GET", "/healthz", good[i]};
        assert_int_equal(ask(new_facts(), request, sizeof page).status, 200);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct status_request request = {"GET", "/metrics", bad[i]};
        struct status_answer answer = ask(new_facts(), request, sizeof page);
        assert_int_equal(answer.status, 421);
        assert_string_equal(answer.content_type, "text/plain; charset=utf-8");
        assert_null(strstr(page, "otoroshictl_"));
    }
}

static void page_that_does_not_fit_is_an_error_and_not_a_part(void **state)
{
    static const char *const paths[] = {"/metrics", "/status.json", "/"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        struct status_request request = {"GET", paths[i], "localhost"};
        assert_int_equal(ask(new_facts(), request, 64).status, 500);
        assert_string_equal(page, "the page is too large\n");
        assert_int_equal(page[64], '#');
    }
}

static void longest_page_fits(void **state)
{
    (void)state;
    struct status_facts facts = new_facts();
    memset(&facts.tunnel.counters, 0xFF, sizeof facts.tunnel.counters);
    struct status_request request = {"GET", "/metrics", "localhost"};
    assert_int_equal(ask(facts, request, sizeof page).status, 200);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_page_has_its_type),
        cmocka_unit_test(unknown_path_is_not_found),
        cmocka_unit_test(only_get_and_head_are_answered),
        cmocka_unit_test(readiness_is_an_open_websocket),
        cmocka_unit_test(host_is_an_address_localhost_or_the_name_listened_on),
        cmocka_unit_test(page_that_does_not_fit_is_an_error_and_not_a_part),
        cmocka_unit_test(longest_page_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
