/* Completion scripts for bash, zsh and fish, made from options.def and the table of commands. */
#ifndef OTOROSHICTL_CLI_COMPLETIONS_H
#define OTOROSHICTL_CLI_COMPLETIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct command_name {
    const char *name;
    const char *alias;   /* NULL: none */
    const char *summary;
    int tunnel_kind;     /* enum tunnel_kind, or -1 for a command without tunnel options */
};

/* False where the shell is not known; then nothing is written. */
bool completions_print(FILE *out, const char *shell, const struct command_name *commands,
                       size_t count);

#endif
