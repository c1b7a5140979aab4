#include "otoroshictl/cli/options.h"

#include <stdlib.h>
#include <string.h>

#include "environment.h"
#include "otoroshictl/cli/report.h"
#include "otoroshictl/cli/suggest.h"
#include "otoroshictl/cli/values.h"
#include "parse.h"
#include "secrets.h"

enum {
    HTTP_PORT = 80,
    HTTPS_PORT = 443,
};

/* The words being read. */
struct words {
    int argc;
    char **argv;
    int next;
    const struct secrets *secrets;
};

bool parse_given(const struct parse *parse, enum option_id id)
{
    return parse->sources[id] == SOURCE_COMMAND_LINE || parse->sources[id] == SOURCE_ENVIRONMENT;
}

static enum option_id id_of(const struct option_row *row)
{
    return (enum option_id)(row - option_table);
}

const char *parse_label(struct option_label *label, const struct parse *parse,
                        const struct option_row *row)
{
    struct option_label name;

    if (parse->sources[id_of(row)] == SOURCE_ENVIRONMENT)
        snprintf(label->text, sizeof(label->text), "the environment variable '%.60s'",
                 option_environment(&name, row));
    else
        snprintf(label->text, sizeof(label->text), "'%.90s'", option_usage(&name, row));
    return label->text;
}

/* A secret is not shown, nor a host with what may be a password before its `@`. */
static bool may_show(const struct option_row *row, const char *value)
{
    if ((row->traits & OPTION_SECRET) != 0)
        return false;
    return row->type != VALUE_GATEWAY_HOST || strchr(value, '@') == NULL;
}

static enum parse_outcome report_refused(const struct parse *parse, const struct option_row *row,
                                         const char *value, const struct reason *why)
{
    struct option_label label;
    struct shown_word shown;

    parse_label(&label, parse, row);
    if (!may_show(row, value))
        return parse_error(parse, "invalid value for %s: %s", label.text, why->text);
    return parse_error(parse, "invalid value '%s' for %s: %s", report_word(&shown, value),
                       label.text, why->text);
}

static enum parse_outcome store(struct parse *parse, const struct option_row *row,
                                const char *value, enum option_source source)
{
    struct reason why;

    parse->sources[id_of(row)] = source;
    switch (value_store(parse->config, row, value, &why)) {
    case VALUE_STORED:
        return PARSE_RUN;
    case VALUE_REFUSED:
        return report_refused(parse, row, value, &why);
    default:
        report_no_memory();
        return PARSE_RESOURCES;
    }
}

static enum parse_outcome print_help(const struct parse *parse)
{
    options_print_help(stdout, parse->kind);
    return report_flush(stdout) ? PARSE_DONE : PARSE_RESOURCES;
}

/* True for -v where -q was given, and the other way. */
static bool contradicts(const struct parse *parse, const struct option_row *row)
{
    if (row->type == VALUE_VERBOSE)
        return parse->config->verbosity == VERBOSITY_QUIET;
    return row->type == VALUE_QUIET && parse->config->verbosity == VERBOSITY_VERBOSE;
}

static enum parse_outcome store_word(struct parse *parse, const struct option_row *row,
                                     const char *value)
{
    struct option_label label;

    if (row->type == VALUE_HELP)
        return print_help(parse);
    if (parse->sources[id_of(row)] != SOURCE_NONE && (row->traits & OPTION_REPEATABLE) == 0)
        return parse_error(parse, "'%s' is given more than once", option_usage(&label, row));
    if (contradicts(parse, row))
        return parse_error(parse, "'--verbose' cannot be used with '--quiet'");
    return store(parse, row, value, SOURCE_COMMAND_LINE);
}

/* The name without dashes, as in the table, or NULL. */
static const char *nearest_option(enum tunnel_kind kind, const char *word)
{
    const char *candidates[OPTION_COUNT];
    size_t count = 0;

    for (size_t i = 0; i < option_table_count; i++) {
        if (option_has_kind(&option_table[i], kind))
            candidates[count++] = option_table[i].name;
    }
    return suggest_nearest(word + strspn(word, "-"), candidates, count);
}

/* What follows `=` is not shown: it may be the secret of a mistyped option. */
static enum parse_outcome report_unknown(const struct parse *parse, const char *word)
{
    char *name = strndup(word, strcspn(word, "="));
    struct shown_word shown;
    const char *nearest;

    if (name == NULL) {
        report_no_memory();
        return PARSE_RESOURCES;
    }
    report_word(&shown, name);
    nearest = nearest_option(parse->kind, name);
    free(name);
    if (nearest == NULL)
        return parse_error(parse, "unknown option '%s'", shown.text);
    return parse_error(parse, "unknown option '%s', did you mean '--%s'?", shown.text, nearest);
}

/* The value of the option at words->next - 1, from behind `=` or from the next word. */
static const char *take_value(struct words *words, enum tunnel_kind kind, const char *inline_value)
{
    int index = words->next - 1;

    if (inline_value == NULL) {
        index = words->next;
        if (index >= words->argc || option_is_word(kind, words->argv[index]))
            return NULL;
        inline_value = words->argv[index];
        words->next++;
    }
    return words->secrets->words[index] != NULL ? words->secrets->words[index] : inline_value;
}

static enum parse_outcome report_no_value(const struct parse *parse, const struct words *words,
                                          const struct option_row *row)
{
    struct option_label label;

    option_usage(&label, row);
    if (words->next < words->argc)
        return parse_error(parse,
                           "'%s' needs a value, but an option follows; a value like that is "
                           "given as '--%s=...'",
                           label.text, row->name);
    return parse_error(parse, "'%s' needs a value", label.text);
}

static enum parse_outcome read_long(struct parse *parse, struct words *words, const char *word)
{
    size_t length = strcspn(word + 2, "=");
    const struct option_row *row = option_by_name(parse->kind, word + 2, length);
    const char *inline_value = word[2 + length] == '=' ? word + 2 + length + 1 : NULL;
    const char *value;

    if (row == NULL)
        return report_unknown(parse, word);
    if (!option_takes_value(row)) {
        if (inline_value != NULL)
            return parse_error(parse, "'--%s' takes no value", row->name);
        return store_word(parse, row, "true");
    }
    value = take_value(words, parse->kind, inline_value);
    if (value == NULL)
        return report_no_value(parse, words, row);
    return store_word(parse, row, value);
}

/* One or several letters: -v, -qh. */
static enum parse_outcome read_letters(struct parse *parse, const char *word)
{
    enum parse_outcome outcome = PARSE_RUN;

    for (const char *p = word + 1; *p != '\0'; p++) {
        if (option_by_letter(parse->kind, *p) == NULL)
            return report_unknown(parse, word);
    }
    for (const char *p = word + 1; *p != '\0' && outcome == PARSE_RUN; p++)
        outcome = store_word(parse, option_by_letter(parse->kind, *p), "true");
    return outcome;
}

/* A word after a secret may be a part of it that was not quoted: it is not shown. */
static enum parse_outcome report_positional(const struct parse *parse, const struct words *words)
{
    int index = words->next - 1;
    struct shown_word shown;

    if (index > 0 && words->secrets->words[index - 1] != NULL)
        return parse_error(parse, "unexpected word after a secret; quote a value with spaces");
    return parse_error(parse, "unexpected argument '%s'", report_word(&shown, words->argv[index]));
}

static enum parse_outcome read_words(struct parse *parse, struct words *words)
{
    enum parse_outcome outcome = PARSE_RUN;

    while (words->next < words->argc && outcome == PARSE_RUN) {
        const char *word = words->argv[words->next++];

        if (word[0] != '-' || word[1] == '\0' || strcmp(word, "--") == 0)
            outcome = report_positional(parse, words);
        else if (word[1] == '-')
            outcome = read_long(parse, words, word);
        else
            outcome = read_letters(parse, word);
    }
    return outcome;
}

/* -v on the command line counts against OTOROSHICTL_QUIET as well. */
static bool decided_by_words(const struct parse *parse, const struct option_row *row)
{
    if (row->type == VALUE_VERBOSE || row->type == VALUE_QUIET)
        return parse->sources[OPTION_VERBOSE] == SOURCE_COMMAND_LINE ||
               parse->sources[OPTION_QUIET] == SOURCE_COMMAND_LINE;
    return parse->sources[id_of(row)] == SOURCE_COMMAND_LINE;
}

static enum parse_outcome read_variable(struct parse *parse, const struct option_row *row,
                                        const char *value)
{
    enum verbosity before = parse->config->verbosity;
    enum parse_outcome outcome = store(parse, row, value, SOURCE_ENVIRONMENT);

    if (outcome == PARSE_RUN && before != VERBOSITY_NORMAL && before != parse->config->verbosity)
        return parse_error(parse, "OTOROSHICTL_VERBOSE cannot be used with OTOROSHICTL_QUIET");
    return outcome;
}

static enum parse_outcome read_environment(struct parse *parse, const struct secrets *secrets)
{
    enum parse_outcome outcome = PARSE_RUN;

    for (size_t i = 0; i < option_table_count && outcome == PARSE_RUN; i++) {
        const struct option_row *row = &option_table[i];
        struct option_label name;
        const char *value = secrets->environment[i];

        if (!option_has_kind(row, parse->kind) || !option_has_environment(row) ||
            decided_by_words(parse, row))
            continue;
        if (value == NULL)
            value = getenv(option_environment(&name, row));
        if (value != NULL && value[0] != '\0')
            outcome = read_variable(parse, row, value);
    }
    return outcome;
}

static enum parse_outcome fill_defaults(struct parse *parse)
{
    enum parse_outcome outcome = PARSE_RUN;

    for (size_t i = 0; i < option_table_count && outcome == PARSE_RUN; i++) {
        const char *value = option_table[i].defaults[parse->kind];

        if (parse->sources[i] == SOURCE_NONE && value != NULL)
            outcome = store(parse, &option_table[i], value, SOURCE_DEFAULT);
    }
    return outcome;
}

/* Defaults that follow from other options. */
static void fill_derived(struct parse *parse)
{
    struct tunnel_config *config = parse->config;

    for (size_t i = 0; i < config->host_count; i++) {
        if (config->hosts[i].port == 0)
            config->hosts[i].port = config->tls ? HTTPS_PORT : HTTP_PORT;
    }
    if (!parse_given(parse, OPTION_RECONNECT_MAX_DELAY))
        config->reconnect_max_delay_us = config->reconnect_delay_us;
}

static enum parse_outcome read_all(struct parse *parse, struct words *words)
{
    enum parse_outcome outcome = read_words(parse, words);

    if (outcome == PARSE_RUN) {
        environment_warn_of_unknown(parse->kind);
        outcome = read_environment(parse, words->secrets);
    }
    if (outcome == PARSE_RUN)
        outcome = fill_defaults(parse);
    if (outcome != PARSE_RUN)
        return outcome;
    fill_derived(parse);
    return parse_check(parse);
}

enum parse_outcome options_parse(struct tunnel_config *config, enum tunnel_kind kind, int argc,
                                 char **argv)
{
    struct parse parse = {.config = config, .kind = kind};
    struct secrets secrets;
    struct words words = {.argc = argc, .argv = argv, .secrets = &secrets};
    enum parse_outcome outcome = PARSE_RESOURCES;

    memset(config, 0, sizeof(*config));
    if (secrets_take(&secrets, kind, argc, argv))
        outcome = read_all(&parse, &words);
    else
        report_no_memory();
    secrets_free(&secrets);
    environment_forget_proxies();
    if (outcome != PARSE_RUN)
        tunnel_config_free(config);
    return outcome;
}

void tunnel_config_free(struct tunnel_config *config)
{
    for (size_t i = 0; i < option_table_count; i++) {
        const struct option_row *row = &option_table[i];
        char *text;

        if (!option_is_text(row))
            continue;
        text = *(char **)((char *)config + row->offset);
        if (text != NULL && (row->traits & OPTION_SECRET) != 0)
            explicit_bzero(text, strlen(text));
        free(text);
    }
    for (size_t i = 0; i < config->host_count; i++) {
        free(config->hosts[i].text);
        free(config->hosts[i].name);
    }
    free(config->metrics_listen.host);
    memset(config, 0, sizeof(*config));
}
