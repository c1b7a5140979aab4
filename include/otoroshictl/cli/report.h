/* What the command line tells its user, on standard error. */
#ifndef OTOROSHICTL_CLI_REPORT_H
#define OTOROSHICTL_CLI_REPORT_H

#include <stdbool.h>
#include <stdio.h>

/* A word of the user's as it may be shown: without control characters, cut after 200 bytes. */
struct shown_word {
    char text[224];
};

const char *report_word(struct shown_word *shown, const char *word);

/* `error: ` and the message, the usage line, and where to read more. The message has been made
 * fit for a terminal (report_word()) and ends without a line break. */
void report_usage_error(const char *usage, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* `error: out of memory` */
void report_no_memory(void);

/* Sends out what was printed. False, and told, where it could not be written. */
bool report_flush(FILE *out);

#endif
