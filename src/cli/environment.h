/* Environment variables that are no option's, but must not be left as they are. */
#ifndef OTOROSHICTL_SRC_CLI_ENVIRONMENT_H
#define OTOROSHICTL_SRC_CLI_ENVIRONMENT_H

#include "otoroshictl/cli/options.h"

/* A line on standard error for each variable that looks like an option of ours and is none, with
 * the nearest that is one. Its value is not shown: it may be a secret. */
void environment_warn_of_unknown(enum tunnel_kind kind);

/* Removes what libwebsockets would take as an order. */
void environment_forget_proxies(void);

#endif
