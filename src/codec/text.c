#include "otoroshictl/codec/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "otoroshictl/codec/utf8.h"

enum { UTF8_SEQUENCE_MAX = 4 };

void text_init(struct text *text, char *out, size_t size)
{
    *text = (struct text){.out = out, .size = size};
    out[0] = '\0';
}

void text_append(struct text *text, const char *format, ...)
{
    va_list arguments;
    size_t room = text->size - text->used - 1;
    va_start(arguments, format);
    int length = vsnprintf(text->out + text->used, room + 1, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length > room) {
        text->cut = true;
        text->used = text->size - 1;
        return;
    }
    text->used += (size_t)length;
}

/* Bytes of the UTF-8 character at `string`, or 0 where there is none. */
static size_t character_length(const char *string)
{
    size_t available = strnlen(string, UTF8_SEQUENCE_MAX);
    for (size_t length = 1; length <= available; length++)
        if (utf8_valid((const uint8_t *)string, length))
            return length;
    return 0;
}

static void append_character(struct text *text, const char *character, size_t length)
{
    if (length == 0)
        text_append(text, "\xEF\xBF\xBD");
    else if (character[0] == '"' || character[0] == '\\')
        text_append(text, "\\%c", character[0]);
    else if ((unsigned char)character[0] < 0x20)
        text_append(text, "\\u%04x", (unsigned)character[0]);
    else
        text_append(text, "%.*s", (int)length, character);
}

void text_append_json_string(struct text *text, const char *string)
{
    text_append(text, "\"");
    while (*string != '\0') {
        size_t length = character_length(string);
        append_character(text, string, length);
        string += length != 0 ? length : 1;
    }
    text_append(text, "\"");
}
