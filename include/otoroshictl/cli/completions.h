/* Completion scripts for bash, zsh and fish, made from options.def and the table of commands. */
#ifndef OTOROSHICTL_CLI_COMPLETIONS_H
#define OTOROSHICTL_CLI_COMPLETIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "otoroshictl/cli/options.h"

/* What follows a command's name. */
enum command_argument {
    ARGUMENT_TUNNEL_OPTIONS, /* those of its tunnel_kind */
    ARGUMENT_SHELL,          /* one of completions_shells() */
    ARGUMENT_COMMAND,        /* the name of a command */
};

struct command {
    const char *name;
    const char *alias; /* NULL: none */
    const char *summary;
    /* Takes the words after the command's name; returns the exit status. */
    int (*run)(int argc, char **argv);
    enum command_argument argument;
    enum tunnel_kind tunnel_kind; /* with ARGUMENT_TUNNEL_OPTIONS */
};

/* "bash zsh fish" */
const char *completions_shells(void);

/* False where the shell is not known; then nothing is written. */
bool completions_print(FILE *out, const char *shell, const struct command *commands, size_t count);

#endif
