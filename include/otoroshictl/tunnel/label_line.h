/* The labels that wait in the gateway for one shared WebSocket, in its order, so that a doubled
 * reply is noticed.
 *
 * A doubled reply takes the label of the next question and leaves nothing unanswered, so that
 * every later reply is one place off without a sign of it. A label of the tool's own, put into the
 * line while it is empty, brings the sign: all replies then carry the label before their own, and
 * one that comes while nothing is asked is one too many. A gateway that pairs by content never
 * uses that label, which shows as well. Pure. */
#ifndef OTOROSHICTL_TUNNEL_LABEL_LINE_H
#define OTOROSHICTL_TUNNEL_LABEL_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "otoroshictl/codec/address.h"

enum { LABEL_LINE_MAX = 32 };

/* All zero at the start. */
struct label_line {
    bool begun; /* the tool's own label has been sent */
    bool kept;  /* since then all labels are known */
    uint8_t first;
    uint8_t count;
    struct address labels[LABEL_LINE_MAX]; /* a ring */
};

enum label_meaning {
    LABEL_AS_WRITTEN, /* the reply is for whom its label names */
    LABEL_BEFORE,     /* it is for the next in line */
    LABEL_SURPLUS,    /* nobody has asked for it */
};

/* The tool's own label: no client has it. */
struct address label_line_own(void);

/* That label was sent; nothing was unanswered. */
void label_line_begin(struct label_line *line);
/* A datagram of this client was sent. */
void label_line_sent(struct label_line *line, const struct address *client);
/* A reply came. *client is set for LABEL_BEFORE. */
/* For a message whose label cannot be read, `label` is NULL. */
enum label_meaning label_line_answered(struct label_line *line, const struct address *label,
                                       struct address *client);

#endif
