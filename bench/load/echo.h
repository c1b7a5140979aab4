/* The service at the far end: every datagram goes back as it came. */
#ifndef BENCH_LOAD_ECHO_H
#define BENCH_LOAD_ECHO_H

#include <stdint.h>

/* Serves 127.0.0.1:`port` (0: any) until a signal ends the process, and says on standard output
 * when it is ready. Returns -1, with errno, where it cannot. */
int echo_run(uint16_t port);

#endif
