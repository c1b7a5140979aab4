#include "microhttpd.h"

#include <dlfcn.h>

int microhttpd_load(struct microhttpd *library, struct start_failure *failure)
{
    void *handle = dlopen(MICROHTTPD_SONAME, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (handle == NULL)
        goto fail;
        /* The cast is POSIX's own (dlsym()): ISO C has none from an object to a function. */
#define MICROHTTPD_LOAD(name)                          \
    *(void **)(&library->name) = dlsym(handle, #name); \
    if (library->name == NULL)                         \
        goto fail;
    MICROHTTPD_FUNCTIONS(MICROHTTPD_LOAD)
#undef MICROHTTPD_LOAD
    return 0;

fail:
    return start_failure_set(failure, START_NO_RESOURCES,
                             "--metrics-listen needs libmicrohttpd: %s", dlerror());
}
