/* The number of each row of options.def: OPTION_HOST, OPTION_TLS, ... */
#ifndef OTOROSHICTL_SRC_CLI_OPTION_IDS_H
#define OTOROSHICTL_SRC_CLI_OPTION_IDS_H

enum option_id {
#define OPTION(id, ...) OPTION_##id,
#include "options.def"
#undef OPTION
    OPTION_COUNT
};

#endif
