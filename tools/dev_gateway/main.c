#include "gateway.h"
#include "options.h"

int main(int argc, char **argv)
{
    struct gateway_config config;

    switch (options_parse(&config, argc, argv)) {
    case OPTIONS_DONE:
        return GATEWAY_STOPPED;
    case OPTIONS_BAD:
        return GATEWAY_BAD_USAGE;
    case OPTIONS_RUN:
        break;
    }
    return (int)gateway_run(&config);
}
