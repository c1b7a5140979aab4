/* Why something could not be set up at the start, for the message and the exit status. */
#ifndef OTOROSHICTL_NET_START_FAILURE_H
#define OTOROSHICTL_NET_START_FAILURE_H

enum start_failure_kind {
    START_NO_RESOURCES, /* memory, descriptors */
    START_BAD_FILE,     /* a file that was named cannot be used */
    START_CANNOT_BIND,  /* the local address */
};

struct start_failure {
    enum start_failure_kind kind;
    char text[512];
};

/* Fills it; returns -1. */
int start_failure_set(struct start_failure *failure, enum start_failure_kind kind,
                      const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
