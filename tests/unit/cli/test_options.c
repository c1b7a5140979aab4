#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "command_line.h"

static struct command_line line;

static int start_clean(void **state)
{
    (void)state;
    forget_environment();
    return 0;
}

static void assert_refused(const char *named)
{
    assert_int_equal(line.outcome, PARSE_ERROR);
    assert_string_equal(line.out.text, "");
    assert_memory_equal(line.err.text, "error: ", 7);
    if (strstr(line.err.text, named) == NULL)
        fail_msg("'%s' is not in: %s", named, line.err.text);
    assert_non_null(strstr(line.err.text,
                           "\n\nUsage: otoroshictl udp-tunnel [OPTIONS] --host <HOST>\n\n"
                           "For more information, try '--help'.\n"));
    command_line_free(&line);
}

static void assert_accepted(void)
{
    if (line.outcome != PARSE_RUN)
        fail_msg("refused: %s", line.err.text);
    assert_string_equal(line.err.text, "");
    assert_string_equal(line.out.text, "");
}

static void defaults_are_those_of_the_page(void **state)
{
    (void)state;
    READ_WITH(&line, "--host=b:8080");
    assert_accepted();
    assert_int_equal(line.config.host_count, 2);
    assert_string_equal(line.config.hosts[0].text, "a");
    assert_string_equal(line.config.hosts[0].name, "a");
    assert_int_equal(line.config.hosts[0].port, 80);
    assert_int_equal(line.config.hosts[1].port, 8080);
    assert_false(line.config.tls);
    assert_string_equal(line.config.local_host, "127.0.0.1");
    assert_int_equal(line.config.local_port, 1053);
    assert_null(line.config.remote_host);
    assert_int_equal(line.config.remote_port, 0);
    assert_int_equal(line.config.connect_timeout_us, 5000000);
    assert_int_equal(line.config.keepalive_us, 15000000);
    assert_int_equal(line.config.reconnect_delay_us, 2000000);
    assert_int_equal(line.config.reconnect_max_delay_us, 2000000);
    assert_int_equal(line.config.window, 31);
    assert_int_equal(line.config.client_timeout_us, 60000000);
    assert_int_equal(line.config.reply_timeout_us, 5000000);
    assert_int_equal(line.config.queue_size, 1024);
    assert_int_equal(line.config.queue_age_us, 5000000);
    assert_int_equal(line.config.verbosity, VERBOSITY_NORMAL);
    command_line_free(&line);
}

static void values_of_the_command_line_are_stored(void **state)
{
    (void)state;
    READ(&line, "--host=[::1]", "--tls", "--local-host", "::", "--local-port=0", "--remote-host",
         "dns.internal", "--remote-port", "53", "--apikey-client-id", "id",
         "--apikey-client-secret", "s:1", "--window=31", "--keepalive", "0", "--reconnect-delay",
         "250ms", "--reconnect-max-delay=1m", "--queue-size", "1", "-v", "--tls-server-name", "b");
    assert_accepted();
    assert_int_equal(line.config.hosts[0].port, 443);
    assert_string_equal(line.config.hosts[0].text, "[::1]");
    assert_string_equal(line.config.hosts[0].name, "::1");
    assert_string_equal(line.config.local_host, "::");
    assert_int_equal(line.config.local_port, 0);
    assert_string_equal(line.config.remote_host, "dns.internal");
    assert_int_equal(line.config.remote_port, 53);
    assert_int_equal(line.config.access_type, ACCESS_APIKEY);
    assert_string_equal(line.config.apikey_client_id, "id");
    assert_string_equal(line.config.apikey_client_secret, "s:1");
    assert_int_equal(line.config.window, 31);
    assert_int_equal(line.config.keepalive_us, 0);
    assert_int_equal(line.config.reconnect_delay_us, 250000);
    assert_int_equal(line.config.reconnect_max_delay_us, 60000000);
    assert_int_equal(line.config.queue_size, 1);
    assert_int_equal(line.config.verbosity, VERBOSITY_VERBOSE);
    assert_string_equal(line.config.tls_server_name, "b");
    command_line_free(&line);
}

static void refused_value_is_shown_with_option_and_reason(void **state)
{
    (void)state;
    READ(&line, "--local-port", "80x");
    assert_refused("error: invalid value '80x' for '--local-port <LOCAL_PORT>': "
                   "not a number from 0 to 65535\n");
    READ(&line, "--local-port=");
    assert_refused("invalid value '' for '--local-port <LOCAL_PORT>'");
}

static void refused_value_cannot_drive_the_terminal(void **state)
{
    (void)state;
    READ(&line, "--remote-host", "a\x1b[2J\xc2\x9b\xff\xe2\x86\x92");
    assert_null(strchr(line.err.text, '\x1b'));
    assert_refused("'a\\x1b[2J\\xc2\\x9b\\xff\xe2\x86\x92'");
}

static void long_refused_value_is_cut(void **state)
{
    char word[5000];

    (void)state;
    memset(word, '9', sizeof(word) - 1);
    word[sizeof(word) - 1] = '\0';
    READ(&line, "--window", word);
    assert_true(strlen(line.err.text) < 600);
    assert_refused("999...'");
}

static void unknown_option_is_answered_with_the_nearest(void **state)
{
    (void)state;
    READ(&line, "--local-prt", "1");
    assert_refused("unknown option '--local-prt', did you mean '--local-port'?");
    READ(&line, "-help");
    assert_refused("unknown option '-help', did you mean '--help'?");
    READ(&line, "--zzzzzzzzzz");
    assert_null(strstr(line.err.text, "did you mean"));
    assert_refused("unknown option '--zzzzzzzzzz'");
}

static void option_given_twice_is_refused(void **state)
{
    (void)state;
    READ_WITH(&line, "--local-port", "1", "--local-port=1");
    assert_refused("'--local-port <LOCAL_PORT>' is given more than once");
    READ_WITH(&line, "--tls", "--tls");
    assert_refused("'--tls' is given more than once");
    READ_WITH(&line, "-vv");
    assert_refused("'--verbose' is given more than once");
}

static void words_that_belong_to_no_option_are_refused(void **state)
{
    static const char *const strays[] = {"stray", "-", "--", ""};

    (void)state;
    for (size_t i = 0; i < sizeof(strays) / sizeof(strays[0]); i++) {
        READ_WITH(&line, strays[i]);
        assert_refused("unexpected argument '");
    }
}

static void missing_value_is_told(void **state)
{
    (void)state;
    READ(&line, "--host");
    assert_refused("'--host <HOST>' needs a value\n");
    READ(&line, "--host", "--tls");
    assert_refused("'--host <HOST>' needs a value, but an option follows");
    READ(&line, "--remote-host", "-v", "--tls");
    assert_refused("given as '--remote-host=...'");
}

static void value_may_look_like_an_unknown_option(void **state)
{
    (void)state;
    READ(&line, "--host", "a", "--access-type", "bearer", "--bearer-token", "--x-");
    assert_accepted();
    assert_string_equal(line.config.bearer_token, "--x-");
    command_line_free(&line);
    READ(&line, "--host", "a", "--access-type=jwt", "--bearer-token=--tls");
    assert_accepted();
    assert_string_equal(line.config.bearer_token, "--tls");
    command_line_free(&line);
}

static void flag_takes_no_value(void **state)
{
    (void)state;
    READ_WITH(&line, "--tls=true");
    assert_refused("'--tls' takes no value");
    READ_WITH(&line, "--help=x");
    assert_refused("'--help' takes no value");
}

static void verbose_and_quiet_exclude_each_other(void **state)
{
    (void)state;
    READ_WITH(&line, "-v", "--quiet");
    assert_refused("'--verbose' cannot be used with '--quiet'");
    READ_WITH(&line, "-qv");
    assert_refused("'--verbose' cannot be used with '--quiet'");
}

static void help_wins_over_later_errors_only(void **state)
{
    (void)state;
    READ(&line, "--local-port", "1", "-h", "--bad");
    assert_int_equal(line.outcome, PARSE_DONE);
    assert_string_equal(line.err.text, "");
    assert_non_null(strstr(line.out.text, "Options:\n"));
    command_line_free(&line);
    READ(&line, "--bad", "--help");
    assert_refused("unknown option '--bad'");
}

static void missing_options_are_all_named(void **state)
{
    (void)state;
    READ(&line, "--tls");
    assert_non_null(strstr(line.err.text, "--host <HOST> (or OTOROSHICTL_HOST)"));
    assert_non_null(strstr(line.err.text, "--apikey-client-id <APIKEY_CLIENT_ID>"));
    assert_refused("OTOROSHICTL_APIKEY_CLIENT_SECRET");
    READ(&line, "--host", "a", "--access-type", "session");
    assert_null(strstr(line.err.text, "--host <HOST> ("));
    assert_refused("--session-token <SESSION_TOKEN> (or OTOROSHICTL_SESSION_TOKEN)");
    READ(&line, "--host", "a", "--apikey-client-id", "i");
    assert_null(strstr(line.err.text, "--apikey-client-id"));
    assert_refused("--apikey-client-secret");
}

static void credentials_of_another_type_are_pointed_at(void **state)
{
    (void)state;
    READ(&line, "--host", "a", "--bearer-token", "t");
    assert_refused("'--access-type bearer'");
}

static void token_with_a_space_is_refused_where_it_is_used(void **state)
{
    (void)state;
    READ(&line, "--host", "a", "--access-type", "bearer", "--bearer-token", "Bearer x1y2z3");
    assert_null(strstr(line.err.text, "x1y2z3"));
    assert_refused("'--bearer-token <BEARER_TOKEN>'");
    READ_WITH(&line, "--bearer-token", "not used");
    assert_accepted();
    command_line_free(&line);
}

static void tls_options_need_tls(void **state)
{
    (void)state;
    READ_WITH(&line, "--tls-insecure");
    assert_refused("'--tls-insecure' needs '--tls'");
    READ_WITH(&line, "--tls-ca-file=/etc/hosts");
    assert_refused("'--tls-ca-file <TLS_CA_FILE>' needs '--tls'");
    setenv("OTOROSHICTL_TLS_INSECURE", "false", 1);
    READ_WITH(&line, "--local-port", "1");
    assert_accepted();
    command_line_free(&line);
    setenv("OTOROSHICTL_TLS_INSECURE", "1", 1);
    READ_WITH(&line, "--local-port", "1");
    assert_refused("'OTOROSHICTL_TLS_INSECURE' needs '--tls'");
}

static void certificate_and_key_need_each_other(void **state)
{
    (void)state;
    READ_WITH(&line, "--tls", "--tls-cert-file", "/etc/hosts");
    assert_refused("'--tls-cert-file <TLS_CERT_FILE>' needs '--tls-key-file <TLS_KEY_FILE>'");
    READ_WITH(&line, "--tls", "--tls-key-file", "/etc/hosts");
    assert_refused("'--tls-key-file <TLS_KEY_FILE>' needs '--tls-cert-file <TLS_CERT_FILE>'");
    READ_WITH(&line, "--tls", "--tls-key-file", "/etc/hosts", "--tls-cert-file", "/etc/hosts");
    assert_accepted();
    command_line_free(&line);
}

static void unreadable_file_is_told_with_the_cause(void **state)
{
    char fifo[] = "/tmp/otoroshictl-options-XXXXXX";
    char path[64];

    (void)state;
    READ_WITH(&line, "--tls", "--tls-ca-file", "/nonexistent/ca.pem");
    assert_refused("cannot read '/nonexistent/ca.pem' of '--tls-ca-file <TLS_CA_FILE>': "
                   "No such file or directory");
    READ_WITH(&line, "--tls", "--tls-ca-file", "/etc");
    assert_refused("Is a directory");
    assert_non_null(mkdtemp(fifo));
    snprintf(path, sizeof(path), "%s/ca", fifo);
    assert_int_equal(mkfifo(path, 0600), 0);
    READ_WITH(&line, "--tls", "--tls-ca-file", path);
    assert_accepted(); /* without waiting for a writer */
    command_line_free(&line);
    unlink(path);
    rmdir(fifo);
}

static void longest_pause_is_not_below_the_pause(void **state)
{
    (void)state;
    READ_WITH(&line, "--reconnect-max-delay", "1s");
    assert_refused("'--reconnect-max-delay <RECONNECT_MAX_DELAY>' must not be less than "
                   "'--reconnect-delay'");
    READ_WITH(&line, "--reconnect-delay", "7s");
    assert_accepted();
    assert_int_equal(line.config.reconnect_max_delay_us, 7000000);
    command_line_free(&line);
}

/* `size` times `c`. */
static const char *repeated(char c, size_t size)
{
    static char text[32768];

    memset(text, c, size);
    text[size] = '\0';
    return text;
}

static void request_head_has_a_limit(void **state)
{
    static const char *const tokens[][2] = {{"bearer", "--bearer-token"},
                                            {"session", "--session-token"}};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        READ(&line, "--host", "a", "--access-type", tokens[i][0], tokens[i][1],
             repeated('t', 8192));
        assert_accepted();
        command_line_free(&line);
        READ(&line, "--host", "a", "--access-type", tokens[i][0], tokens[i][1],
             repeated('t', 17000));
        assert_null(strstr(line.err.text, "tttt"));
        assert_refused(tokens[i][1]);
    }
    READ(&line, "--host", "a", "--apikey-client-id", "i", "--apikey-client-secret",
         repeated('s', 13000));
    assert_refused("'--apikey-client-secret <APIKEY_CLIENT_SECRET>' is too long");
    /* Percent-encoding makes three bytes of each. */
    READ_WITH(&line, "--remote-host", repeated('&', 6000));
    assert_refused("'--remote-host <REMOTE_HOST>' is too long");
}

static void request_head_of_exactly_the_limit_is_accepted(void **state)
{
    size_t size = 16384;

    (void)state;
    do {
        command_line_free(&line);
        READ(&line, "--host", "a", "--access-type", "bearer", "--bearer-token",
             repeated('t', --size));
    } while (line.outcome != PARSE_RUN);
    assert_in_range(size, 16000, 16300);
    command_line_free(&line);
    READ(&line, "--host", "a", "--access-type", "bearer", "--bearer-token",
         repeated('t', size + 1));
    assert_refused("head of 16385 bytes, the limit is 16384");
}

static void longest_host_name_is_accepted(void **state)
{
    char host[254];

    (void)state;
    memset(host, 'h', 253);
    host[253] = '\0';
    for (size_t i = 60; i < 250; i += 60)
        host[i] = '.';
    READ(&line, "--host", host, "--access-type", "public");
    assert_accepted();
    assert_string_equal(line.config.hosts[0].name, host);
    command_line_free(&line);
}

static void too_many_hosts_are_refused(void **state)
{
    (void)state;
    READ(&line, "--host=a", "--host=a", "--host=a", "--host=a", "--host=a", "--host=a", "--host=a",
         "--host=a", "--host=a", "--host=a", "--host=a", "--host=a", "--host=a", "--host=a",
         "--host=a", "--host=a", "--host=a");
    assert_refused("at most 16 hosts");
}

static void host_with_a_password_is_not_shown(void **state)
{
    (void)state;
    READ(&line, "--host", "https://user:x1y2z3@a");
    assert_null(strstr(line.err.text, "x1y2z3"));
    assert_refused("invalid value for '--host <HOST>': write HOST or HOST:PORT without user");
}

/* The environment */

static void every_option_can_be_a_variable(void **state)
{
    (void)state;
    setenv("OTOROSHICTL_HOST", "env.test:1", 1);
    setenv("OTOROSHICTL_TLS", "true", 1);
    setenv("OTOROSHICTL_WINDOW", "3", 1);
    setenv("OTOROSHICTL_QUIET", "1", 1);
    setenv("OTOROSHICTL_ACCESS_TYPE", "public", 1);
    command_line_read(&line, TUNNEL_UDP, (const char *const[]){NULL});
    assert_accepted();
    assert_int_equal(line.config.host_count, 1);
    assert_string_equal(line.config.hosts[0].name, "env.test");
    assert_true(line.config.tls);
    assert_int_equal(line.config.window, 3);
    assert_int_equal(line.config.verbosity, VERBOSITY_QUIET);
    command_line_free(&line);
}

static void command_line_wins_over_the_environment(void **state)
{
    (void)state;
    setenv("OTOROSHICTL_HOST", "env.test", 1);
    setenv("OTOROSHICTL_LOCAL_PORT", "7", 1);
    setenv("OTOROSHICTL_REMOTE_PORT", "wrong but not asked", 1);
    setenv("OTOROSHICTL_QUIET", "true", 1);
    READ_WITH(&line, "--local-port", "8", "--remote-port", "9", "-v");
    assert_accepted();
    assert_int_equal(line.config.host_count, 1);
    assert_string_equal(line.config.hosts[0].name, "a");
    assert_int_equal(line.config.local_port, 8);
    assert_int_equal(line.config.remote_port, 9);
    assert_int_equal(line.config.verbosity, VERBOSITY_VERBOSE);
    command_line_free(&line);
}

static void empty_variable_counts_as_unset(void **state)
{
    (void)state;
    setenv("OTOROSHICTL_LOCAL_PORT", "", 1);
    setenv("OTOROSHICTL_TLS", "", 1);
    READ_WITH(&line, "--remote-port", "9");
    assert_accepted();
    assert_int_equal(line.config.local_port, 1053);
    assert_false(line.config.tls);
    command_line_free(&line);
}

static void bad_variable_is_refused_by_its_name(void **state)
{
    (void)state;
    setenv("OTOROSHICTL_LOCAL_PORT", "80x", 1);
    READ_WITH(&line, "--remote-port", "9");
    assert_refused("invalid value '80x' for the environment variable 'OTOROSHICTL_LOCAL_PORT': "
                   "not a number from 0 to 65535");
    start_clean(NULL);
    setenv("OTOROSHICTL_TLS", "yes", 1);
    READ_WITH(&line, "--remote-port", "9");
    assert_refused("'OTOROSHICTL_TLS'");
}

static void variables_that_exclude_each_other_are_refused(void **state)
{
    (void)state;
    setenv("OTOROSHICTL_VERBOSE", "1", 1);
    setenv("OTOROSHICTL_QUIET", "1", 1);
    READ_WITH(&line, "--remote-port", "9");
    assert_refused("OTOROSHICTL_VERBOSE cannot be used with OTOROSHICTL_QUIET");
    setenv("OTOROSHICTL_QUIET", "0", 1);
    READ_WITH(&line, "--remote-port", "9");
    assert_accepted();
    assert_int_equal(line.config.verbosity, VERBOSITY_VERBOSE);
    command_line_free(&line);
}

static void help_has_no_variable(void **state)
{
    (void)state;
    setenv("OTOROSHICTL_HELP", "true", 1);
    READ_WITH(&line, "--remote-port", "9");
    assert_accepted();
    command_line_free(&line);
}

static void variable_that_is_no_option_is_told_with_the_nearest(void **state)
{
    static const struct {
        const char *name;
        const char *told;
    } rows[] = {
        {"OTOROSHICTL_BEARER_TOKN", ", did you mean 'OTOROSHICTL_BEARER_TOKEN'?"},
        {"OTOROSHICTL_LOCALPORT", ", did you mean 'OTOROSHICTL_LOCAL_PORT'?"},
        {"OTOROSHICTL_local_port", ""},
        {"OTOROSHICTL_COLOUR_OF_THE_LOG", ""},
        {"OTOROSHICTL_", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char told[256];

        setenv(rows[i].name, "x1y2z3", 1);
        READ_WITH(&line, "--remote-port", "9");
        unsetenv(rows[i].name);
        assert_int_equal(line.outcome, PARSE_RUN);
        snprintf(told, sizeof(told),
                 "warning: the environment variable '%s' is of no option and ignored%s\n",
                 rows[i].name, rows[i].told);
        assert_string_equal(line.err.text, told);
        command_line_free(&line);
    }
}

static void variables_that_are_not_for_options_are_left_alone(void **state)
{
    static const char *const names[] = {"OTOROSHICTL_LOG_STYLE", "OTOROSHICTL_TEST_SLOWDOWN",
                                        "OTOROSHICTL_TEST", "OTOROSHICTL", "OTOROSHICTLX_LOCAL"};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        setenv(names[i], "auto", 1);
        READ_WITH(&line, "--remote-port", "9");
        unsetenv(names[i]);
        assert_accepted();
        command_line_free(&line);
    }
}

static void variable_that_is_no_option_cannot_drive_the_terminal(void **state)
{
    (void)state;
    setenv("OTOROSHICTL_\x1b[2J", "1", 1);
    READ_WITH(&line, "--remote-port", "9");
    unsetenv("OTOROSHICTL_\x1b[2J");
    assert_null(strchr(line.err.text, '\x1b'));
    assert_non_null(strstr(line.err.text, "'OTOROSHICTL_\\x1b[2J'"));
    command_line_free(&line);
}

static void proxies_that_libwebsockets_would_follow_are_forgotten(void **state)
{
    (void)state;
    setenv("http_proxy", "http://127.0.0.1:9", 1);
    setenv("socks_proxy", "127.0.0.1:9", 1);
    READ_WITH(&line, "--remote-port", "9");
    assert_accepted();
    assert_null(getenv("http_proxy"));
    assert_null(getenv("socks_proxy"));
    command_line_free(&line);
}

static void option_of_another_tunnel_is_unknown(void **state)
{
    (void)state;
    command_line_read(&line, TUNNEL_TCP,
                      (const char *const[]){"--host", "a", "--access-type", "public", NULL});
    assert_accepted();
    assert_int_equal(line.config.local_port, 2222);
    command_line_free(&line);
    command_line_read(&line, TUNNEL_TCP, (const char *const[]){"--queue-age", "1s", NULL});
    assert_int_equal(line.outcome, PARSE_ERROR);
    assert_non_null(strstr(line.err.text, "unknown option '--queue-age'"));
    command_line_free(&line);
}

static void empty_configuration_can_be_freed(void **state)
{
    struct tunnel_config config = {.host_count = 0};

    (void)state;
    tunnel_config_free(&config);
    tunnel_config_free(&config);
}

#define TEST(name) cmocka_unit_test_setup(name, start_clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(defaults_are_those_of_the_page),
        TEST(values_of_the_command_line_are_stored),
        TEST(refused_value_is_shown_with_option_and_reason),
        TEST(refused_value_cannot_drive_the_terminal),
        TEST(long_refused_value_is_cut),
        TEST(unknown_option_is_answered_with_the_nearest),
        TEST(option_given_twice_is_refused),
        TEST(words_that_belong_to_no_option_are_refused),
        TEST(missing_value_is_told),
        TEST(value_may_look_like_an_unknown_option),
        TEST(flag_takes_no_value),
        TEST(verbose_and_quiet_exclude_each_other),
        TEST(help_wins_over_later_errors_only),
        TEST(missing_options_are_all_named),
        TEST(credentials_of_another_type_are_pointed_at),
        TEST(token_with_a_space_is_refused_where_it_is_used),
        TEST(tls_options_need_tls),
        TEST(certificate_and_key_need_each_other),
        TEST(unreadable_file_is_told_with_the_cause),
        TEST(longest_pause_is_not_below_the_pause),
        TEST(request_head_has_a_limit),
        TEST(request_head_of_exactly_the_limit_is_accepted),
        TEST(longest_host_name_is_accepted),
        TEST(too_many_hosts_are_refused),
        TEST(host_with_a_password_is_not_shown),
        TEST(every_option_can_be_a_variable),
        TEST(command_line_wins_over_the_environment),
        TEST(empty_variable_counts_as_unset),
        TEST(bad_variable_is_refused_by_its_name),
        TEST(variables_that_exclude_each_other_are_refused),
        TEST(help_has_no_variable),
        TEST(variable_that_is_no_option_is_told_with_the_nearest),
        TEST(variables_that_are_not_for_options_are_left_alone),
        TEST(variable_that_is_no_option_cannot_drive_the_terminal),
        TEST(proxies_that_libwebsockets_would_follow_are_forgotten),
        TEST(option_of_another_tunnel_is_unknown),
        TEST(empty_configuration_can_be_freed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
