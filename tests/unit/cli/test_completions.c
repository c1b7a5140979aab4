#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "otoroshictl/cli/completions.h"
#include "otoroshictl/cli/option_table.h"

static const struct command table[] = {
    {"udp-tunnel", "ut", "Tunnel's UDP [traffic]: all", NULL, ARGUMENT_TUNNEL_OPTIONS, TUNNEL_UDP},
    {"tcp-tunnel", NULL, "Tunnel TCP", NULL, ARGUMENT_TUNNEL_OPTIONS, TUNNEL_TCP},
    {"completions", NULL, "Print completions", NULL, ARGUMENT_SHELL, TUNNEL_UDP},
    {"help", NULL, "Print help", NULL, ARGUMENT_COMMAND, TUNNEL_UDP},
};

struct script {
    char *text;
    size_t size;
    bool known;
};

static void make_script(struct script *script, const char *shell)
{
    FILE *out = open_memstream(&script->text, &script->size);

    assert_non_null(out);
    script->known = completions_print(out, shell, table, sizeof(table) / sizeof(table[0]));
    fclose(out);
}

static void unknown_shell_writes_nothing(void **state)
{
    struct script script;

    (void)state;
    make_script(&script, "ksh");
    assert_false(script.known);
    assert_int_equal(script.size, 0);
    free(script.text);
}

static void every_shell_named_knows_every_option_and_command(void **state)
{
    char shells[64];
    char *rest = NULL;

    (void)state;
    snprintf(shells, sizeof(shells), "%s", completions_shells());
    for (char *shell = strtok_r(shells, " ", &rest); shell != NULL;
         shell = strtok_r(NULL, " ", &rest)) {
        const char *dashes = strcmp(shell, "fish") == 0 ? " -l " : "--";
        struct script script;

        make_script(&script, shell);
        assert_true(script.known);
        for (size_t row = 0; row < option_table_count; row++) {
            char wanted[64];

            snprintf(wanted, sizeof(wanted), "%s%s", dashes, option_table[row].name);
            assert_non_null(strstr(script.text, wanted));
        }
        for (size_t row = 0; row < sizeof(table) / sizeof(table[0]); row++)
            assert_non_null(strstr(script.text, table[row].name));
        assert_non_null(strstr(script.text, "apikey bearer jwt session public"));
        free(script.text);
    }
}

static void shells_take_texts_with_quotes_literally(void **state)
{
    struct script script;

    (void)state;
    make_script(&script, "zsh");
    assert_non_null(strstr(script.text, "'udp-tunnel:Tunnel'\\''s UDP \\[traffic\\]\\: all'"));
    free(script.text);
    make_script(&script, "fish");
    assert_non_null(strstr(script.text, "'Tunnel\\'s UDP [traffic]: all'"));
    free(script.text);
}

/* What bash would complete the words with, as one line. */
static void complete_in_bash(char *answer, size_t size, const char *words)
{
    char path[] = "/tmp/otoroshictl-completions-XXXXXX";
    char command[1024];
    struct script script;
    int fd = mkstemp(path);
    FILE *pipe;

    assert_true(fd >= 0);
    make_script(&script, "bash");
    assert_int_equal(write(fd, script.text, script.size), script.size);
    close(fd);
    free(script.text);
    snprintf(command, sizeof(command),
             "bash -c 'source %s; COMP_WORDS=(otoroshictl %s); "
             "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _otoroshictl; echo \"${COMPREPLY[*]}\"'",
             path, words);
    pipe = popen(command, "r"); /* NOLINT(cert-env33-c): the shell is what is tested */
    assert_non_null(pipe);
    assert_non_null(fgets(answer, (int)size, pipe));
    assert_int_equal(pclose(pipe), 0);
    answer[strcspn(answer, "\n")] = '\0';
    unlink(path);
}

static void bash_completes_commands_options_and_values(void **state)
{
    static const char *const cases[][2] = {
        {"ud", "udp-tunnel"},
        {"ut --access-t", "--access-type"},
        {"ut --access-type p", "public"},
        {"ut --access-type = b", "bearer"},
        {"ut --access-type =", "apikey bearer jwt session public"},
        {"ut --tls-ca-file /etc/passw", "/etc/passwd"},
        {"ut --host \"\"", ""},
        {"tcp-tunnel --window", ""},
        {"completions z", "zsh"},
        {"help tcp", "tcp-tunnel"},
        {"--vers", "--version"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char answer[4096];

        complete_in_bash(answer, sizeof(answer), cases[i][0]);
        if (strcmp(cases[i][0], "ut --tls-ca-file /etc/passw") == 0)
            assert_non_null(strstr(answer, cases[i][1]));
        else
            assert_string_equal(answer, cases[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_shell_writes_nothing),
        cmocka_unit_test(every_shell_named_knows_every_option_and_command),
        cmocka_unit_test(shells_take_texts_with_quotes_literally),
        cmocka_unit_test(bash_completes_commands_options_and_values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
