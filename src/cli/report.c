#include "otoroshictl/cli/report.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "otoroshictl/ops/escape.h"

enum { WORD_MAX_BYTES = 200 };

const char *report_word(struct shown_word *shown, const char *word)
{
    size_t length = strlen(word);
    bool cut = length > WORD_MAX_BYTES;
    size_t written;

    written = escape_text(shown->text, WORD_MAX_BYTES + 1, word, cut ? WORD_MAX_BYTES : length);
    if (cut)
        memcpy(shown->text + written, "...", sizeof("..."));
    return shown->text;
}

void report_usage_error(const char *usage, const char *format, ...)
{
    va_list arguments;

    fputs("error: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n\n%s\n\nFor more information, try '--help'.\n", usage);
}

void report_no_memory(void)
{
    fputs("error: out of memory\n", stderr);
}

bool report_flush(FILE *out)
{
    if (fflush(out) == 0 && !ferror(out))
        return true;
    fprintf(stderr, "error: the output could not be written: %s\n", strerror(errno));
    return false;
}
