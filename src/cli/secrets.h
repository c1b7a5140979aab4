/* Secrets taken out of the places where other processes could read them: argv shows in
 * /proc/PID/cmdline and the environment in /proc/PID/environ. */
#ifndef OTOROSHICTL_SRC_CLI_SECRETS_H
#define OTOROSHICTL_SRC_CLI_SECRETS_H

#include <stdbool.h>

#include "option_ids.h"
#include "otoroshictl/cli/options.h"

struct secrets {
    char **words; /* at the index of its word in argv a copy of the secret's value, else NULL */
    int word_count;
    char *environment[OPTION_COUNT];
};

/* Copies every secret, then overwrites it in argv and removes it from the environment. Where
 * memory runs out the rest is overwritten all the same and false returned. The caller frees in
 * either case. */
bool secrets_take(struct secrets *secrets, enum tunnel_kind kind, int argc, char **argv);

/* Wipes the copies. */
void secrets_free(struct secrets *secrets);

#endif
