// An object that `LD_PRELOAD` puts into a program: its constructor runs before
// any of the program's. It leaves descriptors and a lock,
// handlers for forks and, if asked, a thread.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
int preloaded_prepared;
int preloaded_children;

static void prepare(void) {
    pthread_mutex_lock(&mutex);
    preloaded_prepared++;
}
static void parent(void) { pthread_mutex_unlock(&mutex); }
static void child(void) {
    preloaded_children++;
    pthread_mutex_unlock(&mutex);
}

static void *sleep_forever(void *none) {
    prctl(PR_SET_NAME, "preloaded");
    for (;;) pause();
    return none;
}

__attribute__((constructor)) static void run(void) {
    // Fails in the program when it is executed again, as the file is locked.
    int file = open(getenv("PRELOADED_LOCK"), O_RDWR);
    flock(file, LOCK_EX | LOCK_NB);
    for (int n = 0; n < 5; n++) open("/dev/zero", O_RDONLY);
    pthread_atfork(prepare, parent, child);
    if (getenv("PRELOADED_THREAD")) {
        pthread_t thread;
        pthread_create(&thread, 0, sleep_forever, 0);
        // Its name is set by itself.
        usleep(20000);
    }
}
