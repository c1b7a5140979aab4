/* options_log_settings() of options.h: the variables that env_logger reads in the first
 * otoroshictl. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "otoroshictl/cli/options.h"
#include "otoroshictl/cli/report.h"

struct word_value {
    const char *word;
    int value;
};

static const struct word_value level_words[] = {
    {"off", LOG_LEVEL_OFF},
    {"error", LOG_LEVEL_ERROR},
    {"warn", LOG_LEVEL_WARN},
    {"info", LOG_LEVEL_INFO},
    {"debug", LOG_LEVEL_DEBUG},
    {"trace", LOG_LEVEL_DEBUG},
    {NULL, 0},
};

static const struct word_value style_words[] = {
    {"auto", LOG_STYLE_AUTO},
    {"always", LOG_STYLE_ALWAYS},
    {"never", LOG_STYLE_NEVER},
    {NULL, 0},
};

/* What the variable says, or `otherwise` where it is unset, empty or not one of the words. */
static int read_variable(const char *variable, const struct word_value *words, int otherwise)
{
    const char *text = getenv(variable);
    struct shown_word shown;

    if (text == NULL || text[0] == '\0')
        return otherwise;
    for (const struct word_value *known = words; known->word != NULL; known++) {
        if (strcasecmp(text, known->word) == 0)
            return known->value;
    }
    fprintf(stderr, "warning: '%s' in %s is not understood and ignored; known are:",
            report_word(&shown, text), variable);
    for (const struct word_value *known = words; known->word != NULL; known++)
        fprintf(stderr, " %s", known->word);
    fputc('\n', stderr);
    return otherwise;
}

static enum log_level choose_level(enum verbosity verbosity)
{
    switch (verbosity) {
    case VERBOSITY_VERBOSE:
        return LOG_LEVEL_DEBUG;
    case VERBOSITY_QUIET:
        return LOG_LEVEL_WARN;
    default:
        return (enum log_level)read_variable("OTOROSHICTL", level_words, LOG_LEVEL_INFO);
    }
}

void options_log_settings(struct log_settings *settings, enum verbosity verbosity)
{
    const char *no_color = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");

    settings->fd = STDERR_FILENO;
    settings->level = choose_level(verbosity);
    settings->style =
        (enum log_style)read_variable("OTOROSHICTL_LOG_STYLE", style_words, LOG_STYLE_AUTO);
    settings->no_color = no_color != NULL && no_color[0] != '\0';
    if (settings->style == LOG_STYLE_AUTO && terminal != NULL && strcmp(terminal, "dumb") == 0)
        settings->style = LOG_STYLE_NEVER;
}
