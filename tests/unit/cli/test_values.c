#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "otoroshictl/cli/values.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static void number_of_digits_alone_is_read(void **state)
{
    static const struct {
        const char *text;
        uint64_t number;
    } good[] = {{"0", 0}, {"1", 1}, {"80", 80}, {"00053", 53}, {"65535", 65535}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        uint64_t number = 99;

        assert_true(value_number(&number, good[i].text, 0, 65535));
        assert_int_equal(number, good[i].number);
    }
}

static void anything_else_is_no_number(void **state)
{
    static const char *const bad[] = {"",
                                      "80x",
                                      "+80",
                                      "-1",
                                      " 80",
                                      "80 ",
                                      "0x50",
                                      "65536",
                                      "1e3",
                                      "8 0",
                                      "1.0",
                                      "99999999999999999999999999",
                                      "18446744073709551617",
                                      "\xd9\xa3",
                                      "\t1"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        uint64_t number = 99;

        assert_false(value_number(&number, bad[i], 0, 65535));
        assert_int_equal(number, 99);
    }
}

static void number_is_held_to_its_bounds(void **state)
{
    uint64_t number;

    (void)state;
    assert_false(value_number(&number, "0", 1, 1024));
    assert_true(value_number(&number, "1", 1, 1024));
    assert_true(value_number(&number, "1024", 1, 1024));
    assert_false(value_number(&number, "1025", 1, 1024));
    assert_true(value_number(&number, "3", 0, 5));
    assert_false(value_number(&number, "9", 0, 5));
    assert_true(value_number(&number, "18446744073709551615", 0, UINT64_MAX));
    assert_false(value_number(&number, "18446744073709551616", 0, UINT64_MAX));
}

static void duration_is_read_in_its_unit(void **state)
{
    static const struct {
        const char *text;
        int64_t us;
    } good[] = {{"0", 0},
                {"0ms", 0},
                {"250ms", 250000},
                {"2s", 2000000},
                {"2", 2000000},
                {"5m", 300000000},
                {"1h", INT64_C(3600000000)},
                {"8760h", DURATION_MAX_US},
                {"31536000", DURATION_MAX_US}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        int64_t us = -1;

        assert_true(value_duration(&us, good[i].text));
        assert_int_equal(us, good[i].us);
    }
}

static void anything_else_is_no_duration(void **state)
{
    static const char *const bad[] = {"",
                                      "ms",
                                      "s",
                                      "1.5s",
                                      "-1s",
                                      "+1s",
                                      "1d",
                                      "2 s",
                                      " 2s",
                                      "2s ",
                                      "1s2s",
                                      "0x10",
                                      "1S",
                                      "1MS",
                                      "8761h",
                                      "1us",
                                      "1m30s",
                                      "31536001",
                                      "99999999999999999999h",
                                      "9223372036854775807"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        int64_t us = -1;

        assert_false(value_duration(&us, bad[i]));
        assert_int_equal(us, -1);
    }
}

static void boolean_is_one_of_four_words(void **state)
{
    static const char *const bad[] = {"", "yes", "no", "TRUE", "on", "2", "true "};
    bool value = false;

    (void)state;
    assert_true(value_boolean(&value, "true") && value);
    assert_true(value_boolean(&value, "false") && !value);
    assert_true(value_boolean(&value, "1") && value);
    assert_true(value_boolean(&value, "0") && !value);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(value_boolean(&value, bad[i]));
}

static void jwt_is_another_word_for_bearer(void **state)
{
    enum access_type type = ACCESS_PUBLIC;

    (void)state;
    assert_true(value_access_type(&type, "jwt"));
    assert_int_equal(type, ACCESS_BEARER);
    assert_true(value_access_type(&type, "bearer"));
    assert_int_equal(type, ACCESS_BEARER);
    assert_true(value_access_type(&type, "apikey"));
    assert_int_equal(type, ACCESS_APIKEY);
    assert_true(value_access_type(&type, "session"));
    assert_int_equal(type, ACCESS_SESSION);
    assert_true(value_access_type(&type, "public"));
    assert_int_equal(type, ACCESS_PUBLIC);
    assert_false(value_access_type(&type, "basic"));
    assert_false(value_access_type(&type, ""));
    assert_false(value_access_type(&type, "Bearer"));
}

static void every_choice_offered_is_an_access_type(void **state)
{
    char choices[128];
    char *rest = NULL;

    (void)state;
    snprintf(choices, sizeof(choices), "%s", value_choices(VALUE_ACCESS_TYPE));
    for (char *word = strtok_r(choices, " ", &rest); word != NULL;
         word = strtok_r(NULL, " ", &rest)) {
        enum access_type type;

        assert_true(value_access_type(&type, word));
    }
    assert_null(value_choices(VALUE_TEXT));
}

static void control_characters_are_found(void **state)
{
    static const char *const with[] = {"\n",      "a\r",   "a\tb",      "\x01",
                                       "\x1b[2J", "a\x7f", "a\xc2\x80", "\xc2\x9f"};
    static const char *const without[] = {
        "", " ", "a b", "\xc3\xa9", "\xc2\xa0", "\xe2\x86\x92", "\xff", "\xc2", "\"#&'"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(with); i++)
        assert_true(value_has_control(with[i]));
    for (size_t i = 0; i < COUNT_OF(without); i++)
        assert_false(value_has_control(without[i]));
}

static void host_names_and_addresses_are_accepted(void **state)
{
    static const char *const good[] = {
        "a",         "myotoroshi.example.com", "example.com.", "10.0.0.1", "a_b-c.1a",
        "1and1.com", "xn--bcher-kva.example",  "A.B"};
    struct reason why;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++)
        assert_true(value_host_name(good[i], strlen(good[i]), &why));
}

static void what_no_host_can_be_called_is_refused_with_its_reason(void **state)
{
    static const struct {
        const char *name;
        const char *why;
    } bad[] = {{"", "missing"},
               {".", "missing"},
               {"a b", "' '"},
               {"a#b", "'#'"},
               {"a&b", "'&'"},
               {"a\"b", "'\"'"},
               {"a%20b", "'%'"},
               {"-a", "begin"},
               {".a", "empty part"},
               {"a..b", "empty part"},
               {"10.1", "IPv4"},
               {"10.0.0.256", "IPv4"},
               {"1.2.3.4.5", "IPv4"},
               {"010.0.0.1", "IPv4"},
               {"1", "IPv4"},
               {"b\xc3\xbc"
                "cher",
                "xn--"},
               {"${host}", "'$'"},
               {"*", "'*'"}};
    struct reason why;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_false(value_host_name(bad[i].name, strlen(bad[i].name), &why));
        assert_non_null(strstr(why.text, bad[i].why));
    }
}

static void host_name_has_at_most_253_bytes(void **state)
{
    char name[260];
    struct reason why;

    (void)state;
    memset(name, 'a', sizeof(name));
    for (size_t i = 60; i < 250; i += 60)
        name[i] = '.';
    assert_true(value_host_name(name, 253, &why));
    assert_false(value_host_name(name, 254, &why));
    assert_non_null(strstr(why.text, "253"));
    name[253] = '.';
    assert_true(value_host_name(name, 254, &why));
}

static void gateway_host_is_split_into_name_and_port(void **state)
{
    static const struct {
        const char *text;
        const char *name;
        uint16_t port;
    } good[] = {{"example.com", "example.com", 0},
                {"example.com:9999", "example.com", 9999},
                {"10.0.0.1:1", "10.0.0.1", 1},
                {"[::1]", "::1", 0},
                {"[::1]:8080", "::1", 8080},
                {"a:65535", "a", 65535},
                {"[::ffff:1.2.3.4]", "::ffff:1.2.3.4", 0}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        struct gateway_host host;
        struct reason why;

        assert_int_equal(value_gateway_host(&host, good[i].text, &why), VALUE_STORED);
        assert_string_equal(host.text, good[i].text);
        assert_string_equal(host.name, good[i].name);
        assert_int_equal(host.port, good[i].port);
        free(host.text);
        free(host.name);
    }
}

static void bad_gateway_host_is_refused_with_what_to_write(void **state)
{
    static const struct {
        const char *text;
        const char *why;
    } bad[] = {{"", "missing"},
               {":80", "missing"},
               {"a:", "port"},
               {"a:0", "port"},
               {"a:80x", "port"},
               {"a:65536", "port"},
               {"a:+1", "port"},
               {"::1", "[::1]"},
               {"fe80::1:8080", "brackets"},
               {"[::1", "']' is missing"},
               {"[::1]80", "':PORT'"},
               {"[::1]:", "port"},
               {"[]", "IPv6"},
               {"[1.2.3.4]", "IPv6"},
               {"[example.com]", "IPv6"},
               {"[fe80::1%eth0]", "IPv6"},
               {"https://example.com", "--tls"},
               {"ws://example.com/x", "scheme"},
               {"example.com/path", "path"},
               {"example.com?x", "path"},
               {"example.com#x", "path"},
               {"user@example.com", "user"},
               {"https://user:pass@example.com", "user"}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct gateway_host host;
        struct reason why;

        assert_int_equal(value_gateway_host(&host, bad[i].text, &why), VALUE_REFUSED);
        assert_non_null(strstr(why.text, bad[i].why));
    }
}

static void listen_address_is_split_into_host_and_port(void **state)
{
    static const struct {
        const char *text;
        const char *host;
        uint16_t port;
    } good[] = {{"127.0.0.1:9100", "127.0.0.1", 9100},
                {"127.0.0.1:0", "127.0.0.1", 0},
                {"0.0.0.0:65535", "0.0.0.0", 65535},
                {"[::1]:9100", "::1", 9100},
                {"[::]:1", "::", 1},
                {"localhost:9100", "localhost", 9100}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        struct listen_address address;
        struct reason why;

        assert_int_equal(value_listen_address(&address, good[i].text, &why), VALUE_STORED);
        assert_string_equal(address.host, good[i].host);
        assert_int_equal(address.port, good[i].port);
        free(address.host);
    }
}

static void bad_listen_address_is_refused_with_what_to_write(void **state)
{
    static const struct {
        const char *text;
        const char *why;
    } bad[] = {{"", "port is missing"},
               {"9100", "port is missing"},
               {"127.0.0.1", "port is missing"},
               {"[::1]", "port is missing"},
               {":9100", "host name is missing"},
               {"127.0.0.1:", "0 to 65535"},
               {"127.0.0.1:x", "0 to 65535"},
               {"127.0.0.1:+1", "0 to 65535"},
               {"127.0.0.1:65536", "0 to 65535"},
               {"127.0.0.1:9100 ", "0 to 65535"},
               {"::1:9100", "brackets"},
               {"[::1", "']' is missing"},
               {"[::1]9100", "':PORT'"},
               {"[::1]:", "0 to 65535"},
               {"[127.0.0.1]:9100", "IPv6"},
               {"10.0.0.256:9100", "IPv4"},
               {"a b:9100", "' '"},
               {"*:9100", "'*'"},
               {"http://127.0.0.1:9100", "ADDRESS:PORT"},
               {"127.0.0.1:9100/metrics", "ADDRESS:PORT"},
               {"user@localhost:9100", "ADDRESS:PORT"}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct listen_address address;
        struct reason why;

        assert_int_equal(value_listen_address(&address, bad[i].text, &why), VALUE_REFUSED);
        assert_non_null(strstr(why.text, bad[i].why));
    }
}

static const struct option_row *row_of(const char *name)
{
    return option_by_name(TUNNEL_UDP, name, strlen(name));
}

static void local_host_is_stored_as_it_can_be_bound(void **state)
{
    static const struct {
        const char *text;
        const char *stored;
    } good[] = {{"127.0.0.1", "127.0.0.1"},
                {"::1", "::1"},
                {"::", "::"},
                {"[::1]", "::1"},
                {"localhost", "localhost"},
                {"fe80::1%eth0", "fe80::1%eth0"}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        struct tunnel_config config = {.host_count = 0};
        struct reason why;

        assert_int_equal(value_store(&config, row_of("local-host"), good[i].text, &why),
                         VALUE_STORED);
        assert_string_equal(config.local_host, good[i].stored);
        tunnel_config_free(&config);
    }
}

static void listen_address_of_the_option_is_stored(void **state)
{
    struct tunnel_config config = {.host_count = 0};
    struct reason why;

    (void)state;
    assert_int_equal(value_store(&config, row_of("metrics-listen"), "[::1]:0", &why), VALUE_STORED);
    assert_string_equal(config.metrics_listen.host, "::1");
    assert_int_equal(config.metrics_listen.port, 0);
    tunnel_config_free(&config);
    assert_null(config.metrics_listen.host);
}

static void values_are_checked_as_their_option_asks(void **state)
{
    static const struct {
        const char *option;
        const char *text;
        const char *why;
    } bad[] = {{"local-host", "", "missing"},
               {"local-host", "fe80::1%", "zone"},
               {"local-host", "127.0.0.1:53", "IPv6"},
               {"local-host", "a%b", "'%'"},
               {"local-host", "[localhost]", "'['"},
               {"local-host", "10.0.0.1%eth0", "'%'"},
               {"tls-server-name", "a b", "' '"},
               {"tls-server-name", "::1%eth0", "IPv6"},
               {"local-port", "65536", "0 to 65535"},
               {"remote-port", "0", "1 to 65535"},
               {"window", "1025", "0 to 1024"},
               {"queue-size", "0", "1 to 1048576"},
               {"connect-timeout", "0", "more than 0"},
               {"reconnect-delay", "0ms", "more than 0"},
               {"queue-age", "5 s", "250ms"},
               {"keepalive", "32768", "at most 32767s"},
               {"keepalive", "10h", "at most 32767s"},
               {"remote-host", "", "empty"},
               {"remote-host", "a\nb", "control"},
               {"bearer-token", "", "empty"},
               {"apikey-client-id", "a:b", "':'"},
               {"apikey-client-id", "", "empty"},
               {"tls-ca-file", "", "empty"},
               {"access-type", "basic", "apikey, bearer (or jwt), session or public"},
               {"tls", "yes", "true"},
               {"verbose", "2", "true"}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct tunnel_config config = {.host_count = 0};
        struct reason why;

        assert_int_equal(value_store(&config, row_of(bad[i].option), bad[i].text, &why),
                         VALUE_REFUSED);
        assert_non_null(strstr(why.text, bad[i].why));
        tunnel_config_free(&config);
    }
}

static void keepalive_alone_may_be_zero(void **state)
{
    struct tunnel_config config = {.keepalive_us = 5};
    struct reason why;

    (void)state;
    assert_int_equal(value_store(&config, row_of("keepalive"), "0", &why), VALUE_STORED);
    assert_int_equal(config.keepalive_us, 0);
}

static void keepalive_is_at_most_what_the_kernel_takes(void **state)
{
    struct tunnel_config config = {.keepalive_us = 5};
    struct reason why;

    (void)state;
    assert_int_equal(value_store(&config, row_of("keepalive"), "32767", &why), VALUE_STORED);
    assert_int_equal(config.keepalive_us, INT64_C(32767000000));
}

static void server_name_may_be_an_address(void **state)
{
    struct tunnel_config config = {.host_count = 0};
    struct reason why;

    (void)state;
    assert_int_equal(value_store(&config, row_of("tls-server-name"), "::1", &why), VALUE_STORED);
    assert_string_equal(config.tls_server_name, "::1");
    tunnel_config_free(&config);
}

static void hosts_are_added_up_to_the_limit(void **state)
{
    struct tunnel_config config = {.host_count = 0};
    struct reason why;

    (void)state;
    for (size_t i = 0; i < GATEWAY_HOSTS_MAX; i++)
        assert_int_equal(value_store(&config, row_of("host"), "a", &why), VALUE_STORED);
    assert_int_equal(value_store(&config, row_of("host"), "a", &why), VALUE_REFUSED);
    assert_non_null(strstr(why.text, "16"));
    tunnel_config_free(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(number_of_digits_alone_is_read),
        cmocka_unit_test(anything_else_is_no_number),
        cmocka_unit_test(number_is_held_to_its_bounds),
        cmocka_unit_test(duration_is_read_in_its_unit),
        cmocka_unit_test(anything_else_is_no_duration),
        cmocka_unit_test(boolean_is_one_of_four_words),
        cmocka_unit_test(jwt_is_another_word_for_bearer),
        cmocka_unit_test(every_choice_offered_is_an_access_type),
        cmocka_unit_test(control_characters_are_found),
        cmocka_unit_test(host_names_and_addresses_are_accepted),
        cmocka_unit_test(what_no_host_can_be_called_is_refused_with_its_reason),
        cmocka_unit_test(host_name_has_at_most_253_bytes),
        cmocka_unit_test(gateway_host_is_split_into_name_and_port),
        cmocka_unit_test(bad_gateway_host_is_refused_with_what_to_write),
        cmocka_unit_test(listen_address_is_split_into_host_and_port),
        cmocka_unit_test(bad_listen_address_is_refused_with_what_to_write),
        cmocka_unit_test(listen_address_of_the_option_is_stored),
        cmocka_unit_test(local_host_is_stored_as_it_can_be_bound),
        cmocka_unit_test(values_are_checked_as_their_option_asks),
        cmocka_unit_test(keepalive_alone_may_be_zero),
        cmocka_unit_test(keepalive_is_at_most_what_the_kernel_takes),
        cmocka_unit_test(server_name_may_be_an_address),
        cmocka_unit_test(hosts_are_added_up_to_the_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
