#include <getopt.h>
#include <stdlib.h>

#include "cmocka_all.h"
#include "options.h"

static enum options_outcome parse(struct gateway_config *config, char *name, char *value)
{
    char program[] = "otoroshi-dev-gateway";
    char *argv[] = {program, name, value, NULL};

    optind = 0;
    return options_parse(config, value != NULL ? 3 : 2, argv);
}

static void faults_hit_the_replies_they_name(void **state)
{
    static const struct {
        const char *text;
        uint64_t hits;
        uint64_t misses;
    } rows[] = {{"3", 3, 6}, {"1,7", 7, 8}, {"every:4", 8, 9}, {"every:1", 1, 0}};
    struct fault_schedule schedule;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_true(fault_schedule_parse(&schedule, rows[i].text));
        assert_true(fault_schedule_hits(&schedule, rows[i].hits));
        if (rows[i].misses > 0)
            assert_false(fault_schedule_hits(&schedule, rows[i].misses));
    }
}

static void a_fault_that_is_not_given_hits_nothing(void **state)
{
    const struct fault_schedule none = {0};

    (void)state;
    for (uint64_t number = 1; number < 100; number++)
        assert_false(fault_schedule_hits(&none, number));
}

static void the_same_seed_gives_the_same_numbers(void **state)
{
    uint64_t one = 7;
    uint64_t other = 7;

    (void)state;
    for (int i = 0; i < 10; i++)
        assert_true(fault_random(&one) == fault_random(&other));
}

static void endpoints_are_parsed_strictly(void **state)
{
    static const char *const bad[] = {"",     "x",     ":1",     "x:",    "x:65536",
                                      "x:+1", "x:0x5", "::1:53", "[]:53", "x:1 "};
    struct endpoint endpoint;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(endpoint_parse(&endpoint, bad[i]));
    assert_true(endpoint_parse(&endpoint, "[::1]:53"));
    assert_string_equal(endpoint.host, "::1");
    assert_int_equal(endpoint.port, 53);
}

static void bad_values_are_refused(void **state)
{
    static char *const rows[][2] = {
        {"--status", "42"},       {"--status", "429x"},       {"--close-after", "0"},
        {"--close-after", "1:5"}, {"--drop-reply", "1,,x"},   {"--drop-reply", "every:0"},
        {"--pairing", "both"},    {"--apikey", "no-colon"},   {"--delay", "-1"},
        {"--remote", "host:0"},   {"--tls-cert", "only.pem"}, {"--nonsense", NULL},
    };
    struct gateway_config config;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(parse(&config, rows[i][0], rows[i][1]), OPTIONS_BAD);
}

static void values_arrive_in_the_configuration(void **state)
{
    struct gateway_config config;

    (void)state;
    assert_int_equal(parse(&config, "--status", "429:3"), OPTIONS_RUN);
    assert_int_equal(config.forced_status, 429);
    assert_string_equal(config.forced_detail, "3");
    assert_int_equal(config.reply_buffer, 16);
    assert_int_equal(parse(&config, "--close-after", "5:1001"), OPTIONS_RUN);
    assert_int_equal(config.close_after, 5);
    assert_int_equal(config.close_code, 1001);
}

static void api_key_may_come_from_the_environment(void **state)
{
    struct gateway_config config;

    (void)state;
    setenv(OPTIONS_APIKEY_VARIABLE, "env:secret", 1);
    assert_int_equal(parse(&config, "--reflect", NULL), OPTIONS_RUN);
    assert_string_equal(config.apikey, "env:secret");
    assert_int_equal(parse(&config, "--apikey", "word:secret"), OPTIONS_RUN);
    assert_string_equal(config.apikey, "word:secret");
    setenv(OPTIONS_APIKEY_VARIABLE, "no-colon", 1);
    assert_int_equal(parse(&config, "--reflect", NULL), OPTIONS_BAD);
    setenv(OPTIONS_APIKEY_VARIABLE, "", 1);
    assert_int_equal(parse(&config, "--reflect", NULL), OPTIONS_RUN);
    assert_null(config.apikey);
    unsetenv(OPTIONS_APIKEY_VARIABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_hit_the_replies_they_name),
        cmocka_unit_test(a_fault_that_is_not_given_hits_nothing),
        cmocka_unit_test(the_same_seed_gives_the_same_numbers),
        cmocka_unit_test(endpoints_are_parsed_strictly),
        cmocka_unit_test(bad_values_are_refused),
        cmocka_unit_test(values_arrive_in_the_configuration),
        cmocka_unit_test(api_key_may_come_from_the_environment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
