#include "otoroshictl/cli/report.h"
#include "otoroshictl/commands/commands.h"

#define USAGE "Usage: otoroshictl completions <SHELL>"

static void print_help(void)
{
    printf("Print the completion script of a shell\n\n" USAGE "\n\nArguments:\n"
           "  <SHELL>  One of: %s\n\nOptions:\n"
           "  -h, --help  Print help\n\n"
           "The scripts are installed with the tool. By hand, for bash:\n"
           "  otoroshictl completions bash > "
           "~/.local/share/bash-completion/completions/otoroshictl\n",
           completions_shells());
}

int command_completions(int argc, char **argv)
{
    struct shown_word shown;

    if (command_asks_for_help(argc, argv)) {
        print_help();
    } else if (argc != 1) {
        report_usage_error(USAGE, "completions takes the name of one shell: %s",
                           completions_shells());
        return EXIT_STATUS_USAGE;
    } else if (!completions_print(stdout, argv[0], commands, command_count)) {
        report_usage_error(USAGE, "unknown shell '%s', known are: %s", report_word(&shown, argv[0]),
                           completions_shells());
        return EXIT_STATUS_USAGE;
    }
    return report_flush(stdout) ? EXIT_STATUS_OK : EXIT_STATUS_RESOURCES;
}
