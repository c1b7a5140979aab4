/* Where secrets must not be left, and what happens when memory for their copies runs out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "command_line.h"

#define SECRET "Zx9-canary"

static struct command_line line;

/* Copies until the failing one; below 0: none fails. */
static int copies_left = -1;

/* These take the place of libc's in this program. */
char *strdup(const char *text)
{
    return strndup(text, strlen(text));
}

char *strndup(const char *text, size_t size)
{
    size_t length = strnlen(text, size);
    char *copy;

    if (copies_left == 0)
        return NULL;
    if (copies_left > 0)
        copies_left--;
    copy = malloc(length + 1);
    if (copy == NULL)
        return NULL;
    memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

static int start_clean(void **state)
{
    (void)state;
    copies_left = -1;
    forget_environment();
    return 0;
}

static void assert_not_in_words(void)
{
    for (int i = 0; i < line.argc; i++)
        assert_null(strstr(line.argv[i], SECRET));
}

static void secrets_are_overwritten_in_the_words(void **state)
{
    (void)state;
    READ(&line, "--host", "a", "--access-type", "bearer", "--bearer-token", SECRET,
         ("--session-token=" SECRET), "--apikey-client-secret", SECRET, "--remote-host", "visible");
    assert_int_equal(line.outcome, PARSE_RUN);
    assert_not_in_words();
    assert_string_equal(line.argv[5], "xxxxxxxxxx");
    assert_string_equal(line.argv[6], "--session-token=xxxxxxxxxx");
    assert_string_equal(line.argv[10], "visible");
    assert_string_equal(line.config.bearer_token, SECRET);
    assert_string_equal(line.config.session_token, SECRET);
    assert_string_equal(line.config.apikey_client_secret, SECRET);
    command_line_free(&line);
}

static void secrets_are_overwritten_before_an_error_is_told(void **state)
{
    static const char *const lines[][8] = {
        {"--local-port", "x", "--bearer-token", SECRET},
        {"-h", "--bearer-token", SECRET},
        {"--bearer-token", SECRET, "--bearer-token", SECRET},
        {"stray", ("--session-token=" SECRET)},
        {"--apikey-client-secret", (SECRET "\n")},
        {"--unknown", "--apikey-client-secret", SECRET},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        command_line_read(&line, TUNNEL_UDP, lines[i]);
        assert_int_not_equal(line.outcome, PARSE_RUN);
        assert_not_in_words();
        assert_null(strstr(line.err.text, SECRET));
        command_line_free(&line);
    }
}

static void errors_do_not_show_what_may_be_part_of_a_secret(void **state)
{
    (void)state;
    READ(&line, "--apikey-client-secret", "my", SECRET);
    assert_null(strstr(line.err.text, SECRET));
    assert_non_null(strstr(line.err.text, "quote"));
    command_line_free(&line);
    READ(&line, "--bearer-tokn=" SECRET);
    assert_null(strstr(line.err.text, SECRET));
    assert_non_null(strstr(line.err.text, "'--bearer-tokn', did you mean '--bearer-token'?"));
    command_line_free(&line);
}

static void secret_option_without_value_is_no_danger(void **state)
{
    (void)state;
    READ(&line, "--bearer-token");
    assert_int_equal(line.outcome, PARSE_ERROR);
    command_line_free(&line);
    READ(&line, "--bearer-token", "--tls");
    assert_int_equal(line.outcome, PARSE_ERROR);
    assert_string_equal(line.argv[1], "--tls");
    command_line_free(&line);
    READ(&line, "--bearer-token=");
    assert_int_equal(line.outcome, PARSE_ERROR);
    assert_non_null(strstr(line.err.text, "must not be empty"));
    command_line_free(&line);
}

static void secrets_are_taken_out_of_the_environment(void **state)
{
    char variable[] = "OTOROSHICTL_BEARER_TOKEN=" SECRET;

    (void)state;
    putenv(variable);
    READ(&line, "--host", "a", "--access-type", "bearer");
    assert_int_equal(line.outcome, PARSE_RUN);
    assert_string_equal(line.config.bearer_token, SECRET);
    assert_string_equal(variable, "OTOROSHICTL_BEARER_TOKEN=xxxxxxxxxx");
    assert_null(getenv("OTOROSHICTL_BEARER_TOKEN"));
    command_line_free(&line);
}

static void refused_secret_of_the_environment_is_not_shown(void **state)
{
    (void)state;
    setenv("OTOROSHICTL_APIKEY_CLIENT_SECRET", SECRET "\n", 1);
    READ(&line, "--host", "a");
    assert_null(strstr(line.err.text, SECRET));
    assert_non_null(
        strstr(line.err.text,
               "invalid value for the environment variable 'OTOROSHICTL_APIKEY_CLIENT_SECRET'"));
    command_line_free(&line);
}

static void out_of_memory_is_told_and_leaves_no_secret(void **state)
{
    static const char *const words[] = {"--host",
                                        "a",
                                        "--apikey-client-id",
                                        "i",
                                        "--apikey-client-secret",
                                        SECRET,
                                        "--tls-server-name",
                                        "b",
                                        "--local-host",
                                        "::1",
                                        "--tls",
                                        NULL};
    int failing = 0;

    (void)state;
    for (;; failing++) {
        char variable[] = "OTOROSHICTL_BEARER_TOKEN=" SECRET;

        putenv(variable);
        line.argc = 0;
        for (const char *const *word = words; *word != NULL; word++)
            line.argv[line.argc++] = strdup(*word);
        copies_left = failing;
        capture_begin(&line.err, stderr);
        line.outcome = options_parse(&line.config, TUNNEL_UDP, line.argc, line.argv);
        capture_end(&line.err);
        copies_left = -1;
        assert_not_in_words();
        assert_null(getenv("OTOROSHICTL_BEARER_TOKEN"));
        assert_null(strstr(variable, SECRET));
        command_line_free(&line);
        if (line.outcome == PARSE_RUN)
            break;
        assert_int_equal(line.outcome, PARSE_RESOURCES);
        assert_string_equal(line.err.text, "error: out of memory\n");
    }
    assert_int_equal(failing, 9); /* two secrets taken, seven values stored */
}

static void out_of_memory_in_a_suggestion_is_told(void **state)
{
    char word[] = "--hots";
    char *argv[] = {word, NULL};

    (void)state;
    copies_left = 0;
    capture_begin(&line.err, stderr);
    line.outcome = options_parse(&line.config, TUNNEL_UDP, 1, argv);
    capture_end(&line.err);
    assert_int_equal(line.outcome, PARSE_RESOURCES);
    assert_string_equal(line.err.text, "error: out of memory\n");
}

#define TEST(name) cmocka_unit_test_setup(name, start_clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(secrets_are_overwritten_in_the_words),
        TEST(secrets_are_overwritten_before_an_error_is_told),
        TEST(errors_do_not_show_what_may_be_part_of_a_secret),
        TEST(secret_option_without_value_is_no_danger),
        TEST(secrets_are_taken_out_of_the_environment),
        TEST(refused_secret_of_the_environment_is_not_shown),
        TEST(out_of_memory_is_told_and_leaves_no_secret),
        TEST(out_of_memory_in_a_suggestion_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
