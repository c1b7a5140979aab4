/* help, --version, and what is said where no command, or an unknown one, is given. */
#include <string.h>

#include "otoroshictl/cli/report.h"
#include "otoroshictl/cli/suggest.h"
#include "otoroshictl/commands/commands.h"
#include "otoroshictl/net/loop.h"

#define TOOL_USAGE "Usage: otoroshictl <COMMAND>"
#define HELP_USAGE "Usage: otoroshictl help [COMMAND]"

enum {
    COMMAND_COLUMN = 13,
    WORDS_MAX = 32,
};

static const char *const tool_options[] = {"-h", "--help", "-V", "--version"};

static void print_tool_help(FILE *out)
{
    fputs("Tunnels to services behind an otoroshi cluster\n\n" TOOL_USAGE "\n\nCommands:\n", out);
    for (size_t i = 0; i < command_count; i++) {
        const struct command *command = &commands[i];

        fprintf(out, "  %-*s%s", COMMAND_COLUMN, command->name, command->summary);
        if (command->alias != NULL)
            fprintf(out, " [alias: %s]", command->alias);
        fputc('\n', out);
    }
    fputs("\nOptions:\n"
          "  -h, --help     Print help\n"
          "  -V, --version  Print version\n"
          "\n'otoroshictl help COMMAND' tells the options of a command.\n",
          out);
}

static int printed(void)
{
    return report_flush(stdout) ? EXIT_STATUS_OK : EXIT_STATUS_RESOURCES;
}

int command_missing(void)
{
    print_tool_help(stderr);
    return EXIT_STATUS_USAGE;
}

int command_version(int argc, char **argv)
{
    struct library_versions versions;

    (void)argc;
    (void)argv;
    loop_versions(&versions);
    printf("otoroshictl %s (libwebsockets %s, OpenSSL %s)\n", OTOROSHICTL_VERSION,
           versions.libwebsockets, versions.openssl);
    return printed();
}

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < command_count; i++) {
        const struct command *command = &commands[i];

        if (strcmp(name, command->name) == 0 ||
            (command->alias != NULL && strcmp(name, command->alias) == 0))
            return command;
    }
    return NULL;
}

static const char *nearest_word(const char *word)
{
    const char *words[WORDS_MAX];
    size_t count = 0;

    if (word[0] == '-')
        return suggest_nearest(word, tool_options, sizeof(tool_options) / sizeof(tool_options[0]));
    for (size_t i = 0; i < command_count && count + 2 <= WORDS_MAX; i++) {
        words[count++] = commands[i].name;
        if (commands[i].alias != NULL)
            words[count++] = commands[i].alias;
    }
    return suggest_nearest(word, words, count);
}

int command_unknown(const char *word)
{
    const char *what = word[0] == '-' ? "option" : "command";
    const char *nearest = nearest_word(word);
    struct shown_word shown;

    report_word(&shown, word);
    if (nearest != NULL)
        report_usage_error(TOOL_USAGE, "unknown %s '%s', did you mean '%s'?", what, shown.text,
                           nearest);
    else
        report_usage_error(TOOL_USAGE, "unknown %s '%s'", what, shown.text);
    return EXIT_STATUS_USAGE;
}

bool command_asks_for_help(int argc, char **argv)
{
    return argc > 0 && (strcmp(argv[0], "-h") == 0 || strcmp(argv[0], "--help") == 0);
}

static int print_own_help(void)
{
    fputs("Print the help of the tool, or of one of its commands\n\n" HELP_USAGE "\n\nOptions:\n"
          "  -h, --help  Print help\n",
          stdout);
    return printed();
}

int command_help(int argc, char **argv)
{
    char option[] = "-h";
    char *words[] = {option, NULL};
    const struct command *command;

    if (argc == 0) {
        print_tool_help(stdout);
        return printed();
    }
    if (command_asks_for_help(argc, argv))
        return print_own_help();
    if (argc > 1) {
        report_usage_error(HELP_USAGE, "help takes the name of one command");
        return EXIT_STATUS_USAGE;
    }
    command = command_find(argv[0]);
    if (command == NULL)
        return command_unknown(argv[0]);
    return command->run(1, words);
}
