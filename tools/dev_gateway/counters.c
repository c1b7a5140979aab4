#include "counters.h"

#include <inttypes.h>

static void print_refused(const struct counters *counters, FILE *stream)
{
    const char *separator = "";

    for (int status = 0; status < COUNTERS_STATUS_MAX; status++) {
        if (counters->refused[status] == 0)
            continue;
        fprintf(stream, "%s\"%d\":%" PRIu64, separator, status, counters->refused[status]);
        separator = ",";
    }
}

void counters_print(const struct counters *counters, FILE *stream)
{
    fputc('{', stream);
#define COUNTERS_PRINT(name) fprintf(stream, "\"" #name "\":%" PRIu64 ",", counters->name);
    COUNTERS(COUNTERS_PRINT)
#undef COUNTERS_PRINT
    fputs("\"refused\":{", stream);
    print_refused(counters, stream);
    fputs("}}\n", stream);
    fflush(stream);
}
