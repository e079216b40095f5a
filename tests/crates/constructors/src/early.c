// A constructor in C code of a library. Where it stands in the init array is
// the linker's choice.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

int constructors_c_count;
int constructors_c_pid;
int constructors_late_count;
int constructors_late_pid;

__attribute__((constructor)) static void run(void) {
    constructors_c_count++;
    constructors_c_pid = getpid();
}

static void *sleep_forever(void *none) {
    prctl(PR_SET_NAME, "made-in-c");
    for (;;) pause();
    return none;
}

static int is_template(void) {
    static const char title[] = "zygote: template";
    char text[sizeof title] = "";
    int fd = open("/proc/self/cmdline", O_RDONLY);
    if (fd < 0) return 0;
    ssize_t length = read(fd, text, sizeof title - 1);
    close(fd);
    return length > 0 && !strcmp(text, title);
}

// What the constructor in the other file does.
void constructors_late(void) {
    constructors_late_count++;
    constructors_late_pid = getpid();
    const char *what = getenv("CONSTRUCTORS");
    if (!what) return;
    if (!strcmp(what, "thread-late")) {
        pthread_t thread;
        pthread_create(&thread, 0, sleep_forever, 0);
        // Its name is set by itself.
        usleep(20000);
    }
    if (!strcmp(what, "abort") && is_template()) abort();
}

// For a child that sends no signal at its end; -1 when there is none.
int constructors_wait(void) {
    int status;
    return waitpid(-1, &status, __WALL) < 0 ? -1 : status;
}
