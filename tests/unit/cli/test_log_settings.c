#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture.h"
#include "otoroshictl/cli/options.h"

static struct capture err;
static struct log_settings settings;

static int start_clean(void **state)
{
    (void)state;
    unsetenv("OTOROSHICTL");
    unsetenv("OTOROSHICTL_LOG_STYLE");
    unsetenv("NO_COLOR");
    unsetenv("TERM");
    return 0;
}

static void read_settings(enum verbosity verbosity)
{
    capture_begin(&err, stderr);
    options_log_settings(&settings, verbosity);
    capture_end(&err);
}

static void information_in_automatic_colours_is_the_default(void **state)
{
    (void)state;
    read_settings(VERBOSITY_NORMAL);
    assert_int_equal(settings.fd, STDERR_FILENO);
    assert_int_equal(settings.level, LOG_LEVEL_INFO);
    assert_int_equal(settings.style, LOG_STYLE_AUTO);
    assert_false(settings.no_color);
    assert_string_equal(err.text, "");
}

static void variable_sets_the_level(void **state)
{
    static const struct {
        const char *text;
        enum log_level level;
    } cases[] = {{"off", LOG_LEVEL_OFF},     {"error", LOG_LEVEL_ERROR}, {"warn", LOG_LEVEL_WARN},
                 {"info", LOG_LEVEL_INFO},   {"debug", LOG_LEVEL_DEBUG}, {"trace", LOG_LEVEL_DEBUG},
                 {"DEBUG", LOG_LEVEL_DEBUG}, {"", LOG_LEVEL_INFO}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        setenv("OTOROSHICTL", cases[i].text, 1);
        read_settings(VERBOSITY_NORMAL);
        assert_int_equal(settings.level, cases[i].level);
        assert_string_equal(err.text, "");
    }
}

static void verbosity_wins_over_the_variable(void **state)
{
    (void)state;
    setenv("OTOROSHICTL", "error", 1);
    read_settings(VERBOSITY_VERBOSE);
    assert_int_equal(settings.level, LOG_LEVEL_DEBUG);
    setenv("OTOROSHICTL", "trace", 1);
    read_settings(VERBOSITY_QUIET);
    assert_int_equal(settings.level, LOG_LEVEL_WARN);
}

static void level_that_is_not_understood_is_told_and_ignored(void **state)
{
    (void)state;
    setenv("OTOROSHICTL", "loud\x1b[2J", 1);
    read_settings(VERBOSITY_NORMAL);
    assert_int_equal(settings.level, LOG_LEVEL_INFO);
    assert_string_equal(err.text, "warning: 'loud\\x1b[2J' in OTOROSHICTL is not understood and "
                                  "ignored; known are: off error warn info debug trace\n");
}

static void style_is_one_of_three(void **state)
{
    (void)state;
    setenv("OTOROSHICTL_LOG_STYLE", "always", 1);
    read_settings(VERBOSITY_NORMAL);
    assert_int_equal(settings.style, LOG_STYLE_ALWAYS);
    setenv("OTOROSHICTL_LOG_STYLE", "never", 1);
    read_settings(VERBOSITY_NORMAL);
    assert_int_equal(settings.style, LOG_STYLE_NEVER);
    setenv("OTOROSHICTL_LOG_STYLE", "rainbow", 1);
    read_settings(VERBOSITY_NORMAL);
    assert_int_equal(settings.style, LOG_STYLE_AUTO);
    assert_non_null(strstr(err.text, "OTOROSHICTL_LOG_STYLE"));
}

static void no_color_counts_when_not_empty(void **state)
{
    (void)state;
    setenv("NO_COLOR", "", 1);
    read_settings(VERBOSITY_NORMAL);
    assert_false(settings.no_color);
    setenv("NO_COLOR", "0", 1);
    read_settings(VERBOSITY_NORMAL);
    assert_true(settings.no_color);
}

static void dumb_terminal_has_no_automatic_colours(void **state)
{
    (void)state;
    setenv("TERM", "dumb", 1);
    read_settings(VERBOSITY_NORMAL);
    assert_int_equal(settings.style, LOG_STYLE_NEVER);
    setenv("OTOROSHICTL_LOG_STYLE", "always", 1);
    read_settings(VERBOSITY_NORMAL);
    assert_int_equal(settings.style, LOG_STYLE_ALWAYS);
}

#define TEST(name) cmocka_unit_test_setup(name, start_clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(information_in_automatic_colours_is_the_default),
        TEST(variable_sets_the_level),
        TEST(verbosity_wins_over_the_variable),
        TEST(level_that_is_not_understood_is_told_and_ignored),
        TEST(style_is_one_of_three),
        TEST(no_color_counts_when_not_empty),
        TEST(dumb_terminal_has_no_automatic_colours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
