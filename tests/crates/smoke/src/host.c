// Somebody else's program, which loads a library with zygote in it: it must not
// be forked by that, nor executed again.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>

int main(int argc, char **argv) {
    int status;
    void *plugin = dlopen(argv[argc - 1], RTLD_NOW);
    if (!plugin) return puts(dlerror()), 1;
    if (waitpid(-1, &status, __WALL | WNOHANG) != -1 || errno != ECHILD)
        return puts("loading the library has made a process"), 1;
    int (*spawns)(void) = (int (*)(void))dlsym(plugin, "plugin_spawns");
    if (!spawns || spawns()) return puts("the spawn was not refused"), 1;
    if (waitpid(-1, &status, __WALL | WNOHANG) != -1 || errno != ECHILD)
        return puts("the refused spawn has made a process"), 1;
    return 0;
}
