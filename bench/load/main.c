/* udp-load: puts a load on a UDP port and tells which answers reached the client that asked; or is
 * the service that answers. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "echo.h"
#include "load.h"
#include "options.h"

enum { EXIT_STATUS_FAILED = 1, EXIT_STATUS_USAGE = 2 };

static double microseconds(int64_t ns)
{
    return (double)ns / 1e3;
}

static void print_result(const struct load_config *config, const struct load_result *result)
{
    const double seconds = (double)result->measured_ns / 1e9;

    printf("{\"sockets\":%" PRIu32 ",\"window\":%" PRIu32 ",\"payload_bytes\":%" PRIu32
           ",\"seconds\":%.3f",
           config->clients, config->window, config->payload_bytes, seconds);
#define PRINT_COUNT(name) printf(",\"" #name "\":%" PRIu64, result->name);
    LOAD_COUNTS(PRINT_COUNT)
#undef PRINT_COUNT
    printf(",\"right_per_s\":%.1f,\"wrong_per_s\":%.1f", (double)result->right / seconds,
           (double)result->wrong / seconds);
    printf(",\"latency_us\":{\"p50\":%.1f,\"p99\":%.1f,\"p99_9\":%.1f,\"max\":%.1f}",
           microseconds(latency_quantile_ns(&result->latency, 0.5)),
           microseconds(latency_quantile_ns(&result->latency, 0.99)),
           microseconds(latency_quantile_ns(&result->latency, 0.999)),
           microseconds(result->latency.max_ns));
    if (config->pid != 0)
        printf(",\"process\":{\"cpu_us\":%" PRId64 ",\"rss_kib\":%" PRIu64 ",\"peak_kib\":%" PRIu64
               "}",
               result->used.cpu_us, result->used.rss_kib, result->used.peak_kib);
    puts("}");
}

int main(int argc, char **argv)
{
    struct options options;
    static struct load_result result;

    switch (options_parse(&options, argc, argv)) {
    case OPTIONS_DONE:
        return 0;
    case OPTIONS_BAD:
        return EXIT_STATUS_USAGE;
    case OPTIONS_RUN:
        break;
    }
    if (options.echo ? echo_run(options.echo_port) != 0 : load_run(&options.load, &result) != 0) {
        fprintf(stderr, "udp-load: %s\n", strerror(errno));
        return EXIT_STATUS_FAILED;
    }
    print_result(&options.load, &result);
    return 0;
}
