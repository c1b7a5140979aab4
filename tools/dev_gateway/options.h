/* The command line. */
#ifndef DEV_GATEWAY_OPTIONS_H
#define DEV_GATEWAY_OPTIONS_H

#include "config.h"

enum options_outcome {
    OPTIONS_RUN,
    OPTIONS_DONE, /* --help or --version has been printed */
    OPTIONS_BAD,  /* the error and the usage line are on standard error */
};

/* Holds ID:SECRET where --apikey is not given. */
#define OPTIONS_APIKEY_VARIABLE "OTOROSHI_DEV_GATEWAY_APIKEY"

/* Strings in *config point into argv or the environment. */
enum options_outcome options_parse(struct gateway_config *config, int argc, char **argv);

#endif
