// Somebody else's program, which loads a library with zygote in it: it must not
// be forked by that, nor executed again. With a word before the library's path it
// is loaded into a name space of its own.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>

int main(int argc, char **argv) {
    int status;
    const char *path = argv[argc - 1];
    void *plugin = argc > 2 ? dlmopen(LM_ID_NEWLM, path, RTLD_NOW) : dlopen(path, RTLD_NOW);
    if (!plugin) return puts(dlerror()), 1;
    if (waitpid(-1, &status, __WALL | WNOHANG) != -1 || errno != ECHILD)
        return puts("loading the library has made a process"), 1;
    int (*spawns)(void) = (int (*)(void))dlsym(plugin, "plugin_spawns");
    if (!spawns || spawns()) return puts("the spawn was not refused"), 1;
    if (waitpid(-1, &status, __WALL | WNOHANG) != -1 || errno != ECHILD)
        return puts("the refused spawn has made a process"), 1;
    return 0;
}
