/* The strict readers of option values: total, no errno, nothing read beyond the text. */
#ifndef OTOROSHICTL_CLI_VALUES_H
#define OTOROSHICTL_CLI_VALUES_H

#include <stdbool.h>
#include <stdint.h>

#include "otoroshictl/cli/option_table.h"
#include "otoroshictl/tunnel/config.h"

/* Why a value was refused, to follow "invalid value '..' for '..': ". */
struct reason {
    char text[256];
};

enum value_outcome {
    VALUE_STORED,
    VALUE_REFUSED,
    VALUE_NO_MEMORY,
};

/* Decimal digits only, least..most. */
bool value_number(uint64_t *out, const char *text, uint64_t least, uint64_t most);

/* Whole number and unit: `250ms`, `2s`, `5m`, `1h`; without a unit seconds. In microseconds, 0 to
 * DURATION_MAX_US. */
bool value_duration(int64_t *out_us, const char *text);

/* `true`, `1`, `false`, `0`. */
bool value_boolean(bool *out, const char *text);

/* `apikey`, `bearer`, `jwt` (= bearer), `session`, `public`. */
bool value_access_type(enum access_type *out, const char *text);

/* C0, DEL, or C1 as UTF-8 writes it. */
bool value_has_control(const char *text);

/* Letters, digits, `-`, `.`, `_`, at most 253 bytes without a last dot, no empty label; a name
 * whose last label is a number must be an IPv4 address, as nothing else can be. */
bool value_host_name(const char *name, size_t length, struct reason *why);

/* `NAME`, `NAME:PORT`, `[IPV6]`, `[IPV6]:PORT`. Without a port out->port is 0. The caller frees
 * text and name when VALUE_STORED. */
enum value_outcome value_gateway_host(struct gateway_host *out, const char *text,
                                      struct reason *why);

/* `ADDRESS:PORT`, `[IPV6]:PORT`, `NAME:PORT`; the port may be 0. The caller frees host when
 * VALUE_STORED. */
enum value_outcome value_listen_address(struct listen_address *out, const char *text,
                                        struct reason *why);

/* The words a value is chosen from, separated by spaces, or NULL where it is free. */
const char *value_choices(enum value_type type);

/* Checks `text` as the row asks and stores it in the row's field. A flag's text is a boolean. A
 * text field that was set before is not freed. */
enum value_outcome value_store(struct tunnel_config *config, const struct option_row *row,
                               const char *text, struct reason *why);

#endif
