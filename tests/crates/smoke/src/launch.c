// Executes a program with no arguments at all, not even its name, and with room
// for as many descriptors as the first argument says (`-`: as many as before).
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv) {
    char *none[] = {0};
    if (argc != 3) return 2;
    if (strcmp(argv[1], "-")) {
        struct rlimit limit;
        limit.rlim_cur = limit.rlim_max = strtoul(argv[1], 0, 10);
        if (setrlimit(RLIMIT_NOFILE, &limit)) return perror("setrlimit"), 2;
    }
    execve(argv[2], none, environ);
    return perror("execve"), 2;
}
