/* The command line of udp-load. */
#ifndef BENCH_LOAD_OPTIONS_H
#define BENCH_LOAD_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "load.h"

struct options {
    bool echo; /* answer on `echo_port`, and put no load on anything */
    uint16_t echo_port;
    struct load_config load;
};

enum options_outcome {
    OPTIONS_RUN,
    OPTIONS_DONE, /* the help was asked for, and printed */
    OPTIONS_BAD,  /* told on standard error */
};

enum options_outcome options_parse(struct options *options, int argc, char **argv);

#endif
