#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "otoroshictl/ops/log.h"

#define TARGET "otoroshictl::tunnels::udp"

/* A log whose lines can be read, each write(2) by itself. */
struct bench {
    struct log log;
    int reader;
    char text[16384];
};

static struct bench bench;

static void open_log(enum log_level level, enum log_style style, bool no_color)
{
    struct log_settings settings = {.level = level, .style = style, .no_color = no_color};
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, ends), 0);
    settings.fd = ends[1];
    bench.reader = ends[0];
    log_init(&bench.log, &settings, TARGET);
}

/* What one write(2) wrote; "" for none. */
static const char *read_line(void)
{
    ssize_t size = read(bench.reader, bench.text, sizeof(bench.text) - 1);

    bench.text[size > 0 ? size : 0] = '\0';
    return bench.text;
}

static int close_log(void **state)
{
    (void)state;
    close(bench.reader);
    close(bench.log.fd);
    return 0;
}

static int open_plain(void **state)
{
    (void)state;
    open_log(LOG_LEVEL_INFO, LOG_STYLE_NEVER, false);
    return 0;
}

static void line_is_level_target_and_message_in_one_write(void **state)
{
    (void)state;
    log_write(&bench.log, LOG_LEVEL_INFO, "listening on %s \xe2\x86\x92 %d", "127.0.0.1", 53);
    assert_string_equal(read_line(), "[INFO " TARGET "] listening on 127.0.0.1 \xe2\x86\x92 53\n");
    assert_string_equal(read_line(), "");
}

static void level_is_not_padded(void **state)
{
    (void)state;
    log_write(&bench.log, LOG_LEVEL_WARN, "w");
    assert_string_equal(read_line(), "[WARN " TARGET "] w\n");
    log_write(&bench.log, LOG_LEVEL_ERROR, "e");
    assert_string_equal(read_line(), "[ERROR " TARGET "] e\n");
}

static void lines_below_the_level_are_left_out(void **state)
{
    (void)state;
    assert_false(log_enabled(&bench.log, LOG_LEVEL_DEBUG));
    log_write(&bench.log, LOG_LEVEL_DEBUG, "unseen");
    assert_string_equal(read_line(), "");
    bench.log.level = LOG_LEVEL_DEBUG;
    assert_true(log_enabled(&bench.log, LOG_LEVEL_DEBUG));
    log_write(&bench.log, LOG_LEVEL_DEBUG, "seen");
    assert_string_equal(read_line(), "[DEBUG " TARGET "] seen\n");
}

static void off_writes_not_even_errors(void **state)
{
    (void)state;
    bench.log.level = LOG_LEVEL_OFF;
    assert_false(log_enabled(&bench.log, LOG_LEVEL_ERROR));
    assert_false(log_enabled(&bench.log, LOG_LEVEL_OFF));
    log_write(&bench.log, LOG_LEVEL_ERROR, "unseen");
    assert_string_equal(read_line(), "");
}

static void peer_cannot_forge_a_line_or_drive_the_terminal(void **state)
{
    static const char *const cases[][2] = {
        {"a\n[INFO forged] b", "a\\x0a[INFO forged] b"},
        {"\r\t\x01\x7f", "\\x0d\\x09\\x01\\x7f"},
        {"\x1b[2J", "\\x1b[2J"},
        {"\xc2\x9b"
         "2J",
         "\\xc2\\x9b2J"}, /* U+009B, CSI */
        {"\x9b"
         "2J",
         "\\x9b2J"},                         /* CSI of an 8-bit terminal */
        {"\xc0\x8a", "\\xc0\\x8a"},          /* overlong line feed */
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"}, /* surrogate */
        {"\xe2\x86", "\\xe2\\x86"},          /* cut short */
        {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
        {"\xff", "\\xff"},
        {"\xc2\xa0\xc3\xa9 'quoted' \\", "\xc2\xa0\xc3\xa9 'quoted' \\"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char expected[128];

        snprintf(expected, sizeof(expected), "[INFO " TARGET "] %s\n", cases[i][1]);
        log_write(&bench.log, LOG_LEVEL_INFO, "%s", cases[i][0]);
        assert_string_equal(read_line(), expected);
    }
}

static void long_message_is_cut_between_characters(void **state)
{
    static const size_t prefix = sizeof("[INFO " TARGET "] ") - 1;
    char message[4097];

    (void)state;
    memset(message, 'a', sizeof(message) - 1);
    message[4096] = '\0';
    log_write(&bench.log, LOG_LEVEL_INFO, "%s", message);
    assert_int_equal(strlen(read_line()), prefix + 3584 + 1);
    message[3584] = '\0';
    log_write(&bench.log, LOG_LEVEL_INFO, "%s", message);
    assert_int_equal(strlen(read_line()), prefix + 3584 + 1);
    memcpy(message + 3582,
           "\xe2\x86\x92"
           "b",
           5);
    log_write(&bench.log, LOG_LEVEL_INFO, "%s", message);
    assert_int_equal(strlen(read_line()), prefix + 3582 + 1);
    assert_null(strchr(bench.text, '\\'));
}

/* 4,096 is PIPE_BUF: what a pipe takes without blocking. */
static void message_of_escapes_alone_is_cut_between_two_of_them(void **state)
{
    static const size_t prefix = sizeof("[INFO " TARGET "] ") - 1;
    char message[2049];

    (void)state;
    memset(message, '\x1b', sizeof(message) - 1);
    message[2048] = '\0';
    log_write(&bench.log, LOG_LEVEL_INFO, "%s", message);
    const size_t escapes = (4096 - prefix - 2) / 4;
    assert_int_equal(strlen(read_line()), prefix + 4 * escapes + 1);
}

static void message_that_cannot_be_formatted_is_empty(void **state)
{
    (void)state;
    log_write(&bench.log, LOG_LEVEL_INFO, "%ls", L"\x110000");
    assert_string_equal(read_line(), "[INFO " TARGET "] \n");
}

static void colours_are_given_always_or_on_a_terminal(void **state)
{
    (void)state;
    open_log(LOG_LEVEL_DEBUG, LOG_STYLE_ALWAYS, false);
    assert_true(bench.log.coloured);
    log_write(&bench.log, LOG_LEVEL_INFO, "m");
    assert_string_equal(read_line(), "[\x1b[32mINFO\x1b[0m " TARGET "] m\n");
    close_log(state);
    open_log(LOG_LEVEL_DEBUG, LOG_STYLE_AUTO, false);
    assert_false(bench.log.coloured);
    close_log(state);
    open_log(LOG_LEVEL_DEBUG, LOG_STYLE_ALWAYS, true);
    assert_false(bench.log.coloured);
}

static void terminal_is_coloured_unless_told_otherwise(void **state)
{
    struct log_settings settings = {.level = LOG_LEVEL_INFO, .style = LOG_STYLE_AUTO};
    struct log log;

    (void)state;
    settings.fd = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(settings.fd >= 0);
    log_init(&log, &settings, TARGET);
    assert_true(log.coloured);
    settings.style = LOG_STYLE_NEVER;
    log_init(&log, &settings, TARGET);
    assert_false(log.coloured);
    settings.style = LOG_STYLE_AUTO;
    settings.no_color = true;
    log_init(&log, &settings, TARGET);
    assert_false(log.coloured);
    close(settings.fd);
}

static void failing_output_is_ignored_and_errno_kept(void **state)
{
    static const char *const full = "/dev/full";
    struct log log = {.level = LOG_LEVEL_INFO, .target = TARGET};

    (void)state;
    log.fd = open(full, O_WRONLY);
    assert_true(log.fd >= 0);
    errno = EDOM;
    log_write(&log, LOG_LEVEL_INFO, "lost");
    assert_int_equal(errno, EDOM);
    close(log.fd);
    log_write(&log, LOG_LEVEL_INFO, "lost");
    assert_int_equal(errno, EDOM);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_plain, close_log)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(line_is_level_target_and_message_in_one_write),
        TEST(level_is_not_padded),
        TEST(lines_below_the_level_are_left_out),
        TEST(off_writes_not_even_errors),
        TEST(peer_cannot_forge_a_line_or_drive_the_terminal),
        TEST(long_message_is_cut_between_characters),
        TEST(message_of_escapes_alone_is_cut_between_two_of_them),
        TEST(message_that_cannot_be_formatted_is_empty),
        cmocka_unit_test_teardown(colours_are_given_always_or_on_a_terminal, close_log),
        cmocka_unit_test(terminal_is_coloured_unless_told_otherwise),
        cmocka_unit_test(failing_output_is_ignored_and_errno_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
