#include "otoroshictl/net/start_failure.h"

#include <stdarg.h>
#include <stdio.h>

int start_failure_set(struct start_failure *failure, enum start_failure_kind kind,
                      const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    failure->kind = kind;
    vsnprintf(failure->text, sizeof failure->text, format, arguments);
    va_end(arguments);
    return -1;
}
