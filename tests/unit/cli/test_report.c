#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture.h"
#include "otoroshictl/cli/report.h"

static void word_is_shown_without_control_characters(void **state)
{
    struct shown_word shown;

    (void)state;
    assert_string_equal(report_word(&shown, "a\nb"), "a\\x0ab");
    assert_string_equal(report_word(&shown, ""), "");
}

static void long_word_is_cut(void **state)
{
    struct shown_word shown;
    char word[300];

    (void)state;
    memset(word, 'a', sizeof(word));
    word[200] = '\0';
    assert_string_equal(report_word(&shown, word), word);
    word[200] = 'a';
    word[201] = '\0';
    report_word(&shown, word);
    assert_int_equal(strlen(shown.text), 203);
    assert_string_equal(shown.text + 200, "...");
    memset(word, '\n', 200);
    assert_true(strlen(report_word(&shown, word)) <= 203);
}

static void output_that_cannot_be_written_is_told(void **state)
{
    static struct capture err;
    FILE *full = fopen("/dev/full", "w");
    bool written;

    (void)state;
    assert_non_null(full);
    fputs("help", full);
    capture_begin(&err, stderr);
    written = report_flush(full);
    capture_end(&err);
    fclose(full);
    assert_false(written);
    assert_string_equal(err.text,
                        "error: the output could not be written: No space left on device\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(word_is_shown_without_control_characters),
        cmocka_unit_test(long_word_is_cut),
        cmocka_unit_test(output_that_cannot_be_written_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
