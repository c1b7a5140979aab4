#include "environment.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "option_ids.h"
#include "otoroshictl/cli/option_table.h"
#include "otoroshictl/cli/report.h"
#include "otoroshictl/cli/suggest.h"

/* Known, and no option's; the second one stands for all names that begin so. */
#define PREFIX       "OTOROSHICTL_"
#define STYLE_SUFFIX "LOG_STYLE"
#define TEST_SUFFIX  "TEST"

/* The option's long name that the variable would be of: "LOCAL_PORT" -> "local-port". Names are
 * cut where no option's can be as long. */
static const char *option_name(struct option_label *label, const char *suffix, size_t length)
{
    size_t used = 0;

    for (; used < length && used + 1 < sizeof(label->text); used++) {
        int letter = (unsigned char)suffix[used];

        /* A lower-case letter or a dash is none of a variable's name. */
        label->text[used] = (char)(letter == '_' ? '-' : isupper(letter) ? tolower(letter) : '?');
    }
    label->text[used] = '\0';
    return label->text;
}

static bool is_known(const char *suffix, size_t length)
{
    struct option_label name;

    if (strncmp(suffix, TEST_SUFFIX, strlen(TEST_SUFFIX)) == 0 ||
        (length == strlen(STYLE_SUFFIX) && strncmp(suffix, STYLE_SUFFIX, length) == 0))
        return true;
    option_name(&name, suffix, length);
    for (size_t i = 0; i < option_table_count; i++) {
        if (strcmp(option_table[i].name, name.text) == 0)
            return true;
    }
    return false;
}

/* The option that may have been meant, or NULL. */
static const struct option_row *nearest_option(enum tunnel_kind kind, const char *name)
{
    const char *candidates[OPTION_COUNT];
    size_t count = 0;
    const char *nearest;

    for (size_t i = 0; i < option_table_count; i++) {
        if (option_has_kind(&option_table[i], kind) && option_has_environment(&option_table[i]))
            candidates[count++] = option_table[i].name;
    }
    nearest = suggest_nearest(name, candidates, count);
    return nearest != NULL ? option_by_name(kind, nearest, strlen(nearest)) : NULL;
}

static void warn_of(enum tunnel_kind kind, const char *suffix, size_t length)
{
    struct option_label label;
    const struct option_row *nearest = nearest_option(kind, option_name(&label, suffix, length));
    char variable[OPTION_LABEL_SIZE];
    struct shown_word shown;

    snprintf(variable, sizeof(variable), PREFIX "%.*s", (int)length, suffix);
    fprintf(stderr, "warning: the environment variable '%s' is of no option and ignored",
            report_word(&shown, variable));
    if (nearest != NULL)
        fprintf(stderr, ", did you mean '%s'?", option_environment(&label, nearest));
    fputc('\n', stderr);
}

void environment_warn_of_unknown(enum tunnel_kind kind)
{
    for (char **variable = environ; variable != NULL && *variable != NULL; variable++) {
        const char *suffix = *variable + strlen(PREFIX);
        size_t length;

        if (strncmp(*variable, PREFIX, strlen(PREFIX)) != 0)
            continue;
        length = strcspn(suffix, "=");
        if (!is_known(suffix, length))
            warn_of(kind, suffix, length);
    }
}

/* It would send every connection there, without regard to NO_PROXY, and the gateway would be
 * blamed where the proxy fails. */
void environment_forget_proxies(void)
{
    unsetenv("http_proxy");
    unsetenv("socks_proxy");
}
