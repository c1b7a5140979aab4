/* A command line read by options_parse(), with what it printed. */
#ifndef OTOROSHICTL_TESTS_COMMAND_LINE_H
#define OTOROSHICTL_TESTS_COMMAND_LINE_H

#include <stdlib.h>
#include <string.h>

#include "capture.h"
#include "otoroshictl/cli/option_table.h"
#include "otoroshictl/cli/options.h"

enum { WORDS_MAX = 48 };

struct command_line {
    char *argv[WORDS_MAX + 1];
    int argc;
    struct tunnel_config config;
    enum parse_outcome outcome;
    struct capture out;
    struct capture err;
};

static inline void command_line_read(struct command_line *line, enum tunnel_kind kind,
                                     const char *const *words)
{
    line->argc = 0;
    for (; *words != NULL && line->argc < WORDS_MAX; words++)
        line->argv[line->argc++] = strdup(*words);
    line->argv[line->argc] = NULL;
    capture_begin(&line->out, stdout);
    capture_begin(&line->err, stderr);
    line->outcome = options_parse(&line->config, kind, line->argc, line->argv);
    capture_end(&line->err);
    capture_end(&line->out);
}

/* Legal once more after itself. */
static inline void command_line_free(struct command_line *line)
{
    tunnel_config_free(&line->config);
    for (int i = 0; i < line->argc; i++)
        free(line->argv[i]);
    line->argc = 0;
}

/* READ(&line, "--host", "a") */
#define READ(line, ...) \
    command_line_read((line), TUNNEL_UDP, (const char *const[]){__VA_ARGS__, NULL})

/* A complete command line, to which a test adds what it is about. */
#define READ_WITH(line, ...) READ((line), "--host", "a", "--access-type", "public", __VA_ARGS__)

static inline void forget_environment(void)
{
    for (size_t i = 0; i < option_table_count; i++) {
        struct option_label label;

        unsetenv(option_environment(&label, &option_table[i]));
    }
}

#endif
