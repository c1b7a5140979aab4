#include <string.h>

#include "otoroshictl/cli/standard_files.h"
#include "otoroshictl/commands/commands.h"

const struct command commands[] = {
    {"udp-tunnel", "ut", TUNNEL_UDP_SUMMARY, command_udp_tunnel, ARGUMENT_TUNNEL_OPTIONS,
     TUNNEL_UDP},
    {"completions", NULL, "Print the completion script of a shell", command_completions,
     ARGUMENT_SHELL, TUNNEL_UDP},
    {"help", NULL, "Print this help, or that of a command", command_help, ARGUMENT_COMMAND,
     TUNNEL_UDP},
};

const size_t command_count = sizeof(commands) / sizeof(commands[0]);

static bool is_one_of(const char *word, const char *letter, const char *name)
{
    return strcmp(word, letter) == 0 || strcmp(word, name) == 0;
}

int main(int argc, char **argv)
{
    const struct command *command;

    if (!standard_files_open())
        return EXIT_STATUS_RESOURCES;
    if (argc < 2)
        return command_missing();
    if (is_one_of(argv[1], "-h", "--help"))
        return command_help(0, NULL);
    if (is_one_of(argv[1], "-V", "--version"))
        return command_version(0, NULL);
    command = command_find(argv[1]);
    if (command == NULL)
        return command_unknown(argv[1]);
    return command->run(argc - 2, argv + 2);
}
