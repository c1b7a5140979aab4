#include "otoroshictl/cli/standard_files.h"

#include <fcntl.h>
#include <unistd.h>

bool standard_files_open(void)
{
    static const int wrong_way[] = {
        [STDIN_FILENO] = O_WRONLY, [STDOUT_FILENO] = O_RDONLY, [STDERR_FILENO] = O_RDONLY};

    /* The lowest free number is given, so those below are open by then. */
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", wrong_way[fd]) != fd)
            return false;
    }
    return true;
}
