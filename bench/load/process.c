#include "process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_BYTES = 4096, FIELDS_BEFORE_UTIME = 11 /* after the name */ };

static bool read_proc(char *text, pid_t pid, const char *name)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%ld/%s", (long)pid, name);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    const size_t size = fread(text, 1, TEXT_BYTES - 1, file);
    text[size] = '\0';
    fclose(file);
    return size > 0;
}

/* The name is in parentheses and may itself have some. */
static bool read_cpu_us(int64_t *out, const char *stat)
{
    const char *field = strrchr(stat, ')');

    for (int i = 0; field != NULL && i <= FIELDS_BEFORE_UTIME; i++)
        field = strchr(field + 1, ' ');
    if (field == NULL)
        return false;
    char *end = NULL;
    const unsigned long long user = strtoull(field, &end, 10);
    const unsigned long long ticks = user + strtoull(end, NULL, 10);
    *out = (int64_t)(ticks * 1000000 / (unsigned long long)sysconf(_SC_CLK_TCK));
    return true;
}

static uint64_t read_kib(const char *status, const char *key)
{
    const char *line = strstr(status, key);

    return line != NULL ? strtoull(line + strlen(key), NULL, 10) : 0;
}

bool process_usage_read(struct process_usage *out, pid_t pid)
{
    char text[TEXT_BYTES];

    if (!read_proc(text, pid, "stat") || !read_cpu_us(&out->cpu_us, text) ||
        !read_proc(text, pid, "status"))
        return false;
    out->rss_kib = read_kib(text, "\nVmRSS:");
    out->peak_kib = read_kib(text, "\nVmHWM:");
    return true;
}
