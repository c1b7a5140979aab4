#include "otoroshictl/codec/address.h"

#include <arpa/inet.h>
#include <string.h>

enum { IPV6_GROUPS = 8, IPV4_MAPPED_PREFIX_BYTES = 12 };

static const uint8_t ipv4_mapped_prefix[IPV4_MAPPED_PREFIX_BYTES] = {[10] = 0xFF, [11] = 0xFF};

static bool is_ipv4_mapped(const uint8_t ip[16])
{
    return memcmp(ip, ipv4_mapped_prefix, sizeof(ipv4_mapped_prefix)) == 0;
}

static char *write_decimal(char *out, unsigned octet)
{
    if (octet >= 100)
        *out++ = (char)('0' + octet / 100);
    if (octet >= 10)
        *out++ = (char)('0' + octet / 10 % 10);
    *out++ = (char)('0' + octet % 10);
    return out;
}

static char *write_ipv4(char *out, const uint8_t ip[4])
{
    for (int i = 0; i < 4; i++) {
        if (i > 0)
            *out++ = '.';
        out = write_decimal(out, ip[i]);
    }
    return out;
}

static unsigned group_at(const uint8_t ip[16], size_t index)
{
    return (unsigned)ip[2 * index] << 8 | ip[2 * index + 1];
}

/* Four bits a digit, lower case, no leading zeros (RFC 5952, sections 4.1 and 4.3). */
static char *write_group(char *out, unsigned group)
{
    bool started = false;
    for (int shift = 12; shift >= 0; shift -= 4) {
        const unsigned digit = group >> shift & 0xF;
        started = started || digit != 0 || shift == 0;
        if (started)
            *out++ = "0123456789abcdef"[digit];
    }
    return out;
}

static size_t zero_groups_from(const uint8_t ip[16], size_t index)
{
    size_t count = 0;
    while (index + count < IPV6_GROUPS && group_at(ip, index + count) == 0)
        count++;
    return count;
}

struct zero_run {
    size_t start;
    size_t groups;
};

/* What "::" stands for: the first of the longest runs of zero groups, never a single group
 * (RFC 5952, section 4.2). */
static struct zero_run longest_zero_run(const uint8_t ip[16])
{
    struct zero_run longest = {.start = IPV6_GROUPS, .groups = 1};
    for (size_t i = 0; i < IPV6_GROUPS; i++) {
        const size_t groups = zero_groups_from(ip, i);
        if (groups > longest.groups)
            longest = (struct zero_run){.start = i, .groups = groups};
    }
    return longest;
}

/* Not inet_ntop: glibc's writes ::102:304 as ::1.2.3.4, which RFC 5952, section 5, keeps for
 * prefixes known to hold an IPv4 address. */
static char *write_ipv6(char *out, const uint8_t ip[16])
{
    const struct zero_run run = longest_zero_run(ip);
    bool separate = false;
    for (size_t i = 0; i < IPV6_GROUPS;) {
        if (i == run.start) {
            *out++ = ':';
            *out++ = ':';
            separate = false;
            i += run.groups;
            continue;
        }
        if (separate)
            *out++ = ':';
        out = write_group(out, group_at(ip, i++));
        separate = true;
    }
    return out;
}

static char *write_ip(char *out, const struct address *address)
{
    if (address->family == ADDRESS_IPV4)
        return write_ipv4(out, address->ip);
    if (!is_ipv4_mapped(address->ip))
        return write_ipv6(out, address->ip);
    return write_ipv4(stpcpy(out, "::ffff:"), address->ip + IPV4_MAPPED_PREFIX_BYTES);
}

size_t address_format(const struct address *address, char text[ADDRESS_TEXT_SIZE])
{
    char *const end = write_ip(text, address);
    *end = '\0';
    return (size_t)(end - text);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* One to three digits without a leading zero, up to 255. Returns what follows, or NULL. */
static const char *read_octet(uint8_t *octet, const char *text, const char *end)
{
    const char *at = text;
    unsigned value = 0;
    while (at < end && is_digit(*at) && at - text < 3)
        value = value * 10 + (unsigned)(*at++ - '0');
    const bool leading_zero = at - text > 1 && *text == '0';
    if (at == text || leading_zero || value > UINT8_MAX)
        return NULL;
    *octet = (uint8_t)value;
    return at;
}

static bool parse_ipv4(uint8_t ip[4], const char *text, const char *end)
{
    for (int i = 0; i < 4; i++) {
        if (i > 0 && (text == end || *text++ != '.'))
            return false;
        text = read_octet(&ip[i], text, end);
        if (text == NULL)
            return false;
    }
    return text == end;
}

static bool parse_ipv6(uint8_t ip[16], const char *text, size_t length)
{
    char terminated[ADDRESS_TEXT_SIZE];
    if (length >= sizeof(terminated) || memchr(text, '\0', length) != NULL)
        return false;
    memcpy(terminated, text, length);
    terminated[length] = '\0';
    return inet_pton(AF_INET6, terminated, ip) == 1;
}

bool address_parse(struct address *out, const char *text, size_t length)
{
    *out = (struct address){.family = ADDRESS_IPV4};
    if (parse_ipv4(out->ip, text, text + length))
        return true;
    *out = (struct address){.family = ADDRESS_IPV6};
    if (!parse_ipv6(out->ip, text, length))
        return false;
    if (is_ipv4_mapped(out->ip)) {
        struct address ipv4 = {.family = ADDRESS_IPV4};
        memcpy(ipv4.ip, out->ip + IPV4_MAPPED_PREFIX_BYTES, 4);
        *out = ipv4;
    }
    return true;
}

bool address_equal(const struct address *a, const struct address *b)
{
    return a->family == b->family && a->port == b->port && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}
