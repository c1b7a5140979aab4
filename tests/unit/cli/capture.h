/* What a function prints on a descriptor, kept for the test to read. */
#ifndef OTOROSHICTL_TESTS_CAPTURE_H
#define OTOROSHICTL_TESTS_CAPTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct capture {
    FILE *stream;
    int saved;
    int memory;
    char text[65536];
};

static inline void capture_begin(struct capture *capture, FILE *stream)
{
    fflush(stream);
    capture->stream = stream;
    capture->saved = dup(fileno(stream));
    capture->memory = memfd_create("capture", MFD_CLOEXEC);
    if (capture->saved < 0 || capture->memory < 0 || dup2(capture->memory, fileno(stream)) < 0)
        abort();
}

/* The text is in capture->text. */
static inline void capture_end(struct capture *capture)
{
    ssize_t size;

    fflush(capture->stream);
    if (dup2(capture->saved, fileno(capture->stream)) < 0)
        abort();
    size = pread(capture->memory, capture->text, sizeof(capture->text) - 1, 0);
    capture->text[size > 0 ? size : 0] = '\0';
    close(capture->saved);
    close(capture->memory);
}

#endif
