/* The commands of otoroshictl. Each takes the words after its name and returns the exit status
 * (enum exit_status); the table of them is in src/main.c. */
#ifndef OTOROSHICTL_COMMANDS_COMMANDS_H
#define OTOROSHICTL_COMMANDS_COMMANDS_H

#include <stddef.h>
#include <stdio.h>

#include "otoroshictl/cli/completions.h"

extern const struct command commands[];
extern const size_t command_count;

/* The command of this name or alias, or NULL. */
const struct command *command_find(const char *name);

int command_udp_tunnel(int argc, char **argv);
int command_completions(int argc, char **argv);

/* Without a word the help of the whole tool, else that of the command named. */
int command_help(int argc, char **argv);

/* The tool's version and those of the libraries it runs with; takes no notice of words. */
int command_version(int argc, char **argv);

/* The help of the whole tool on standard error, for a call without a command. */
int command_missing(void);

/* Tells that `word` is no command, or no option of the whole tool, and what may have been meant. */
int command_unknown(const char *word);

/* True where the only words are -h or --help. */
bool command_asks_for_help(int argc, char **argv);

#endif
