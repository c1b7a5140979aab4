#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "otoroshictl/cli/option_table.h"
#include "otoroshictl/cli/options.h"

struct help {
    char *text;
    size_t size;
};

static void make_help(struct help *help, enum tunnel_kind kind)
{
    FILE *out = open_memstream(&help->text, &help->size);

    assert_non_null(out);
    options_print_help(out, kind);
    fclose(out);
}

/* The column of the explanation in the line that begins with `start`, and where it is. */
static const char *find_line(const struct help *help, const char *start)
{
    char wanted[128];
    const char *found;

    snprintf(wanted, sizeof(wanted), "\n%.100s  ", start);
    found = strstr(help->text, wanted);
    return found != NULL ? found + 1 : NULL;
}

static void help_begins_as_the_first_otoroshictl_did(void **state)
{
    static const char expected[] = "Tunnel UDP traffic through an otoroshi cluster\n"
                                   "\n"
                                   "Usage: otoroshictl udp-tunnel [OPTIONS] --host <HOST>\n"
                                   "\n"
                                   "Options:\n"
                                   "      --host <HOST>  ";
    struct help help;

    (void)state;
    make_help(&help, TUNNEL_UDP);
    assert_int_equal(strncmp(help.text, expected, sizeof(expected) - 1), 0);
    free(help.text);
}

static void options_of_the_first_otoroshictl_come_in_its_order(void **state)
{
    static const char *const lines[] = {"      --host <HOST>",
                                        "      --tls",
                                        "      --local-host <LOCAL_HOST>",
                                        "      --local-port <LOCAL_PORT>",
                                        "      --remote-host <REMOTE_HOST>",
                                        "      --remote-port <REMOTE_PORT>",
                                        "      --access-type <ACCESS_TYPE>",
                                        "      --apikey-client-id <APIKEY_CLIENT_ID>",
                                        "      --apikey-client-secret <APIKEY_CLIENT_SECRET>",
                                        "      --bearer-token <BEARER_TOKEN>",
                                        "      --session-token <SESSION_TOKEN>",
                                        "  -h, --help"};
    struct help help;
    const char *previous;

    (void)state;
    make_help(&help, TUNNEL_UDP);
    previous = help.text;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        const char *line = find_line(&help, lines[i]);

        assert_non_null(line);
        assert_true(line > previous);
        previous = line;
    }
    free(help.text);
}

static void every_option_has_a_line_with_its_default(void **state)
{
    struct help help;

    (void)state;
    make_help(&help, TUNNEL_UDP);
    for (size_t i = 0; i < option_table_count; i++) {
        const struct option_row *row = &option_table[i];
        struct option_label label;
        char start[128];
        char end[64];
        const char *line;
        const char *line_end;

        if (row->letter != 0)
            snprintf(start, sizeof(start), "  -%c, %s", row->letter, option_usage(&label, row));
        else
            snprintf(start, sizeof(start), "      %s", option_usage(&label, row));
        line = find_line(&help, start);
        assert_non_null(line);
        line_end = strchr(line, '\n');
        if (row->defaults[TUNNEL_UDP] == NULL)
            continue;
        snprintf(end, sizeof(end), " [default: %s]", row->defaults[TUNNEL_UDP]);
        assert_memory_equal(line_end - strlen(end), end, strlen(end));
    }
    free(help.text);
}

static void explanations_stand_in_one_column(void **state)
{
    struct help help;
    const char *longest;
    size_t column;

    (void)state;
    make_help(&help, TUNNEL_UDP);
    longest = find_line(&help, "      --apikey-client-secret <APIKEY_CLIENT_SECRET>");
    column = strlen("      --apikey-client-secret <APIKEY_CLIENT_SECRET>  ");
    assert_memory_equal(longest + column, "API key client secret", 21);
    assert_memory_equal(find_line(&help, "      --local-port <LOCAL_PORT>") + column,
                        "Local port to listen on [default: 1053]\n", 40);
    assert_memory_equal(find_line(&help, "  -h, --help") + column, "Print help\n", 11);
    free(help.text);
}

static void tcp_tunnel_has_its_own_default_and_options(void **state)
{
    struct help help;

    (void)state;
    make_help(&help, TUNNEL_TCP);
    assert_non_null(strstr(help.text, "otoroshictl tcp-tunnel [OPTIONS]"));
    assert_non_null(strstr(help.text, "Local port to listen on [default: 2222]"));
    assert_null(strstr(help.text, "--queue-age"));
    free(help.text);
}

static void environment_is_mentioned_once(void **state)
{
    struct help help;
    const char *found;

    (void)state;
    make_help(&help, TUNNEL_UDP);
    found = strstr(help.text, "OTOROSHICTL_LOCAL_PORT");
    assert_non_null(found);
    assert_null(strstr(found + 1, "OTOROSHICTL_LOCAL_PORT"));
    free(help.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help_begins_as_the_first_otoroshictl_did),
        cmocka_unit_test(options_of_the_first_otoroshictl_come_in_its_order),
        cmocka_unit_test(every_option_has_a_line_with_its_default),
        cmocka_unit_test(explanations_stand_in_one_column),
        cmocka_unit_test(tcp_tunnel_has_its_own_default_and_options),
        cmocka_unit_test(environment_is_mentioned_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
