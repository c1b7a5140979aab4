#include "otoroshictl/tunnel/label_line.h"

struct address label_line_own(void)
{
    return (struct address){.family = ADDRESS_IPV4, .port = 1}; /* 0.0.0.0:1 */
}

static void append(struct label_line *line, const struct address *label)
{
    if (line->count == LABEL_LINE_MAX) { /* the window forbids it */
        line->kept = false;
        return;
    }
    line->labels[(line->first + line->count) % LABEL_LINE_MAX] = *label;
    line->count++;
}

void label_line_begin(struct label_line *line)
{
    const struct address own = label_line_own();
    line->begun = true;
    line->kept = true;
    append(line, &own);
}

void label_line_sent(struct label_line *line, const struct address *client)
{
    if (line->kept)
        append(line, client);
}

enum label_meaning label_line_answered(struct label_line *line, const struct address *label,
                                       struct address *client)
{
    if (!line->kept)
        return LABEL_AS_WRITTEN;
    if (line->count == 0 || (label != NULL && !address_equal(label, &line->labels[line->first]))) {
        line->kept = false; /* this gateway does not pair by position */
        return LABEL_AS_WRITTEN;
    }
    line->first = (uint8_t)((line->first + 1) % LABEL_LINE_MAX);
    line->count--;
    if (line->count == 0) {
        line->kept = false;
        return LABEL_SURPLUS;
    }
    *client = line->labels[line->first];
    return LABEL_BEFORE;
}
