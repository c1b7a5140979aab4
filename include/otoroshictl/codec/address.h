/* Client addresses as the wire names them: an IP literal and a port.
 *
 * An IPv4 client seen through a dual-stack socket (::ffff:a.b.c.d) is an IPv4 address here;
 * the socket that owns the mapping undoes it in src/net. */
#ifndef OTOROSHICTL_CODEC_ADDRESS_H
#define OTOROSHICTL_CODEC_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum address_family {
    ADDRESS_NONE = 0,
    ADDRESS_IPV4 = 4,
    ADDRESS_IPV6 = 6,
};

struct address {
    uint8_t ip[16]; /* network order; IPv4 uses the first four bytes, the rest is zero */
    uint16_t port;  /* host order */
    uint8_t family; /* enum address_family */
    /* Not part of the identity; what a reply to it needs: */
    uint8_t local[16]; /* the address it sent to, where the socket has many; else zero */
    uint32_t scope_id; /* IPv6 link-local interface, else 0 */
};

/* Room for the longest literal and its terminating NUL. */
enum { ADDRESS_TEXT_SIZE = 46 };

/* Writes the IP alone, IPv6 as RFC 5952 without brackets or zone. Returns its length. */
size_t address_format(const struct address *address, char text[ADDRESS_TEXT_SIZE]);

/* Reads an IP literal of exactly `length` bytes: dotted quad without leading zeros, or RFC 4291
 * text. IPv4-mapped IPv6 becomes IPv4. Zones, brackets, names and embedded NULs are refused.
 * Leaves all else 0. */
bool address_parse(struct address *out, const char *text, size_t length);

/* Same family, IP and port; nothing else is compared. */
bool address_equal(const struct address *a, const struct address *b);

#endif
