/* Standard input, output and error are there, whatever the caller has closed. */
#ifndef OTOROSHICTL_CLI_STANDARD_FILES_H
#define OTOROSHICTL_CLI_STANDARD_FILES_H

#include <stdbool.h>

/* Opens /dev/null on each of the descriptors 0, 1 and 2 that is closed, so that no socket opened
 * later gets its number and what is meant for standard error. It is opened the wrong way round
 * (as gnulib's stdopen() does): to read a closed input or write a closed output still fails. To be
 * called before anything is opened. False where /dev/null cannot be opened. */
bool standard_files_open(void);

#endif
