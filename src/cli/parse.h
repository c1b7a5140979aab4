/* What reading a command line knows so far; shared by options.c and checks.c. */
#ifndef OTOROSHICTL_SRC_CLI_PARSE_H
#define OTOROSHICTL_SRC_CLI_PARSE_H

#include "option_ids.h"
#include "otoroshictl/cli/option_table.h"
#include "otoroshictl/cli/options.h"

enum option_source {
    SOURCE_NONE,
    SOURCE_COMMAND_LINE,
    SOURCE_ENVIRONMENT,
    SOURCE_DEFAULT,
};

struct parse {
    struct tunnel_config *config;
    enum tunnel_kind kind;
    enum option_source sources[OPTION_COUNT];
};

/* Reports a usage error of the tunnel's command; PARSE_ERROR. */
#define parse_error(parse, ...) \
    (report_usage_error(options_usage((parse)->kind), __VA_ARGS__), PARSE_ERROR)

/* True for an option the user gave, on the command line or in the environment. */
bool parse_given(const struct parse *parse, enum option_id id);

/* The option as the user gave it: "'--local-port <LOCAL_PORT>'", or "the environment variable
 * 'OTOROSHICTL_LOCAL_PORT'". */
const char *parse_label(struct option_label *label, const struct parse *parse,
                        const struct option_row *row);

/* What must hold between options, once all have been read. PARSE_RUN where it does. */
enum parse_outcome parse_check(const struct parse *parse);

#endif
