#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "otoroshictl/cli/standard_files.h"

/* What a child found that has closed these descriptors (bits) and called the function. */
enum {
    FAILED = 1,
    SOCKET_IN_PLACE = 2, /* what is opened next has one of the three numbers */
    OUTPUT_ACCEPTED = 4, /* a write to what was closed succeeded */
    CHANGED = 8,         /* a descriptor that was open is another file now */
};

static int found_by_child(unsigned closed)
{
    char byte = 'x';
    int found = 0;

    for (int fd = 0; fd <= 2; fd++) {
        if (dup2(open("/dev/zero", O_RDWR), fd) != fd)
            return FAILED;
    }
    for (int fd = 0; fd < 32; fd++) {
        if (fd > 2 || (closed & (1U << fd)) != 0)
            close(fd);
    }
    if (!standard_files_open())
        return FAILED;
    if (open("/dev/null", O_RDWR) <= 2)
        found |= SOCKET_IN_PLACE;
    for (int fd = 0; fd <= 2; fd++) {
        const bool was_closed = (closed & (1U << fd)) != 0;

        if (was_closed && fd != 0 && write(fd, &byte, 1) != -1)
            found |= OUTPUT_ACCEPTED;
        if (!was_closed && read(fd, &byte, 1) != 1)
            found |= CHANGED;
    }
    return found;
}

static void whatever_is_closed_no_later_file_takes_its_place(void **state)
{
    (void)state;
    for (unsigned closed = 0; closed < 8; closed++) {
        int status = -1;
        const pid_t child = fork();

        assert_true(child >= 0);
        if (child == 0)
            _exit(found_by_child(closed));
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_is_closed_no_later_file_takes_its_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
