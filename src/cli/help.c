/* options_usage() and options_print_help() of options.h, laid out as clap does it. */
#include <string.h>

#include "otoroshictl/cli/option_table.h"
#include "otoroshictl/cli/options.h"

enum { COLUMN_GAP = 2 };

struct tunnel_words {
    const char *summary;
    const char *usage;
};

static const struct tunnel_words tunnel_words[] = {
    [TUNNEL_UDP] = {TUNNEL_UDP_SUMMARY, "Usage: otoroshictl udp-tunnel [OPTIONS] --host <HOST>"},
    [TUNNEL_TCP] = {TUNNEL_TCP_SUMMARY, "Usage: otoroshictl tcp-tunnel [OPTIONS] --host <HOST>"},
};

const char *options_usage(enum tunnel_kind kind)
{
    return tunnel_words[kind].usage;
}

static size_t widest_usage(enum tunnel_kind kind)
{
    size_t widest = 0;

    for (size_t i = 0; i < option_table_count; i++) {
        struct option_label label;
        size_t width;

        if (!option_has_kind(&option_table[i], kind))
            continue;
        width = strlen(option_usage(&label, &option_table[i]));
        widest = width > widest ? width : widest;
    }
    return widest;
}

static void print_option(FILE *out, const struct option_row *row, enum tunnel_kind kind,
                         size_t width)
{
    const char *default_value = row->defaults[kind];
    struct option_label label;

    if (row->letter != 0)
        fprintf(out, "  -%c, ", row->letter);
    else
        fputs("      ", out);
    fprintf(out, "%-*s%s", (int)(width + COLUMN_GAP), option_usage(&label, row), row->help);
    if (default_value != NULL)
        fprintf(out, " [default: %s]", default_value);
    fputc('\n', out);
}

void options_print_help(FILE *out, enum tunnel_kind kind)
{
    size_t width = widest_usage(kind);

    fprintf(out, "%s\n\n%s\n\nOptions:\n", tunnel_words[kind].summary, options_usage(kind));
    for (size_t i = 0; i < option_table_count; i++) {
        if (option_has_kind(&option_table[i], kind))
            print_option(out, &option_table[i], kind, width);
    }
    fputs(
        "\nDurations are written 250ms, 2s, 5m, 1h; a bare number is seconds.\n"
        "An option can also be given as an environment variable: OTOROSHICTL_ and its name, as in\n"
        "OTOROSHICTL_LOCAL_PORT. The command line wins.\n",
        out);
}
