extern void late(void);

__attribute__((constructor)) static void call(void) { late(); }
