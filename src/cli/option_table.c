#include "otoroshictl/cli/option_table.h"

#include <stdio.h>
#include <string.h>

#include "option_ids.h"

#define ANY_KIND   ((1U << TUNNEL_UDP) | (1U << TUNNEL_TCP))
#define UDP_ONLY   (1U << TUNNEL_UDP)
#define REPEATABLE OPTION_REPEATABLE
#define SECRET     OPTION_SECRET
#define NEEDS_TLS  OPTION_NEEDS_TLS
#define AT(field)  offsetof(struct tunnel_config, field)
#define NOWHERE    0
#define OPTION(id, long_name, short_name, value, field, low, high, udp_default, tcp_default, \
               of_kinds, with_traits, text)                                                  \
    [OPTION_##id] = {.name = (long_name),                                                    \
                     .letter = (short_name),                                                 \
                     .type = (value),                                                        \
                     .offset = (field),                                                      \
                     .least = (low),                                                         \
                     .most = (high),                                                         \
                     .defaults = {(udp_default), (tcp_default)},                             \
                     .kinds = (of_kinds),                                                    \
                     .traits = (with_traits),                                                \
                     .help = (text)},

const struct option_row option_table[] = {
#include "options.def"
};

const size_t option_table_count = OPTION_COUNT;

bool option_has_kind(const struct option_row *row, enum tunnel_kind kind)
{
    return (row->kinds & (1U << kind)) != 0;
}

bool option_takes_value(const struct option_row *row)
{
    switch (row->type) {
    case VALUE_FLAG:
    case VALUE_VERBOSE:
    case VALUE_QUIET:
    case VALUE_HELP:
        return false;
    default:
        return true;
    }
}

bool option_has_environment(const struct option_row *row)
{
    return row->type != VALUE_HELP;
}

bool option_is_text(const struct option_row *row)
{
    switch (row->type) {
    case VALUE_TEXT:
    case VALUE_FILE:
    case VALUE_CLIENT_ID:
    case VALUE_LOCAL_HOST:
    case VALUE_SERVER_NAME:
        return true;
    default:
        return false;
    }
}

const struct option_row *option_by_name(enum tunnel_kind kind, const char *name, size_t length)
{
    for (size_t i = 0; i < option_table_count; i++) {
        const struct option_row *row = &option_table[i];

        if (option_has_kind(row, kind) && strlen(row->name) == length &&
            memcmp(row->name, name, length) == 0)
            return row;
    }
    return NULL;
}

const struct option_row *option_by_letter(enum tunnel_kind kind, char letter)
{
    for (size_t i = 0; i < option_table_count; i++) {
        const struct option_row *row = &option_table[i];

        if (option_has_kind(row, kind) && row->letter != 0 && row->letter == letter)
            return row;
    }
    return NULL;
}

bool option_is_word(enum tunnel_kind kind, const char *word)
{
    if (word[0] != '-')
        return false;
    if (word[1] == '-')
        return option_by_name(kind, word + 2, strcspn(word + 2, "=")) != NULL;
    return word[1] != '\0' && word[2] == '\0' && option_by_letter(kind, word[1]) != NULL;
}

/* Appends the option's name in upper case with `_`. */
static void append_upper(struct option_label *label, size_t length, const char *name)
{
    for (; *name != '\0' && length + 1 < sizeof(label->text); name++) {
        char c = *name;

        if (c >= 'a' && c <= 'z')
            c = (char)(c - 'a' + 'A');
        if (c == '-')
            c = '_';
        label->text[length++] = c;
    }
    label->text[length] = '\0';
}

const char *option_value_name(struct option_label *label, const struct option_row *row)
{
    append_upper(label, 0, row->name);
    return label->text;
}

const char *option_usage(struct option_label *label, const struct option_row *row)
{
    struct option_label value;

    if (option_takes_value(row))
        snprintf(label->text, sizeof(label->text), "--%.40s <%.40s>", row->name,
                 option_value_name(&value, row));
    else
        snprintf(label->text, sizeof(label->text), "--%.40s", row->name);
    return label->text;
}

const char *option_environment(struct option_label *label, const struct option_row *row)
{
    static const char prefix[] = "OTOROSHICTL_";

    memcpy(label->text, prefix, sizeof(prefix) - 1);
    append_upper(label, sizeof(prefix) - 1, row->name);
    return label->text;
}
