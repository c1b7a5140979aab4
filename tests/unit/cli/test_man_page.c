/* The man page names every option as an item of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "otoroshictl/cli/option_table.h"
#include "otoroshictl/cli/values.h"

static char page[262144];

/* docs/otoroshictl.1, from the place of this file. */
static int read_page(void **state)
{
    static const char here[] = "tests/unit/cli/test_man_page.c";
    char path[4096];
    FILE *file;
    size_t size;

    (void)state;
    snprintf(path, sizeof(path), "%.*sdocs/otoroshictl.1",
             (int)(strlen(__FILE__) - (sizeof(here) - 1)), __FILE__);
    file = fopen(path, "r");
    if (file == NULL)
        return -1;
    size = fread(page, 1, sizeof(page) - 1, file);
    page[size] = '\0';
    fclose(file);
    return 0;
}

static void every_option_is_an_item_of_the_man_page(void **state)
{
    (void)state;
    for (size_t i = 0; i < option_table_count; i++) {
        const struct option_row *row = &option_table[i];
        char item[96];
        const char *found;

        if (row->letter != 0)
            snprintf(item, sizeof(item), "\n.It Fl %c , Fl Fl %s", row->letter, row->name);
        else
            snprintf(item, sizeof(item), "\n.It Fl Fl %s", row->name);
        found = strstr(page, item);
        if (found == NULL) {
            fail_msg("--%s is not in docs/otoroshictl.1", row->name);
            return;
        }
        assert_int_equal(found[strlen(item)], option_takes_value(row) ? ' ' : '\n');
    }
}

static void defaults_of_the_man_page_are_those_of_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < option_table_count; i++) {
        const struct option_row *row = &option_table[i];
        char item[96];
        char text[64];
        char *start;
        char *end;

        /* Choices are a list of their own, with the default marked. */
        if (row->defaults[TUNNEL_UDP] == NULL || value_choices(row->type) != NULL)
            continue;
        snprintf(item, sizeof(item), "\n.It Fl Fl %s ", row->name);
        snprintf(text, sizeof(text), "\nDefault: %s", row->defaults[TUNNEL_UDP]);
        start = strstr(page, item);
        assert_non_null(start);
        end = strstr(start + 1, "\n.It ");
        assert_non_null(end);
        *end = '\0';
        if (strstr(start, text) == NULL)
            fail_msg("the default of --%s is not in docs/otoroshictl.1", row->name);
        *end = '\n';
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_is_an_item_of_the_man_page),
        cmocka_unit_test(defaults_of_the_man_page_are_those_of_the_table),
    };

    return cmocka_run_group_tests(tests, read_page, NULL);
}
