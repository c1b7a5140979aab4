#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "otoroshictl/cli/suggest.h"

static const char *const words[] = {"--host", "--tls", "--local-port", "--local-host", "-v"};

static const char *nearest(const char *word)
{
    return suggest_nearest(word, words, sizeof(words) / sizeof(words[0]));
}

static void each_kind_of_slip_finds_the_word(void **state)
{
    (void)state;
    assert_string_equal(nearest("--hos"), "--host");
    assert_string_equal(nearest("--hosst"), "--host");
    assert_string_equal(nearest("--hist"), "--host");
    assert_string_equal(nearest("--tsl"), "--tls");
    assert_string_equal(nearest("-host"), "--host");
    assert_string_equal(nearest("--local_port"), "--local-port");
    assert_string_equal(nearest("--localport"), "--local-port");
}

static void nearest_of_several_wins(void **state)
{
    (void)state;
    assert_string_equal(nearest("--local-pot"), "--local-port");
    assert_string_equal(nearest("--local-hot"), "--local-host");
}

static void word_far_from_all_has_no_neighbour(void **state)
{
    (void)state;
    assert_null(nearest("--zzzzzzzzzz"));
    assert_null(nearest(""));
    assert_null(nearest("xy"));
    assert_null(suggest_nearest("--host", words, 0));
}

static void very_long_words_have_no_neighbour(void **state)
{
    static const char *const candidates[] = {
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    char word[80];

    (void)state;
    memset(word, 'a', 64);
    word[64] = '\0';
    assert_ptr_equal(suggest_nearest(word, candidates, 2), candidates[0]);
    assert_null(suggest_nearest(word, candidates + 1, 1));
    memset(word, 'a', 65);
    word[65] = '\0';
    assert_null(suggest_nearest(word, candidates, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_of_slip_finds_the_word),
        cmocka_unit_test(nearest_of_several_wins),
        cmocka_unit_test(word_far_from_all_has_no_neighbour),
        cmocka_unit_test(very_long_words_have_no_neighbour),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
