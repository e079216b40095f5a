// A constructor in C code that stands after zygote's. Linked after the C
// library, so what it does stands in the other file.
void constructors_late(void);

__attribute__((constructor)) static void run(void) {
    constructors_late();
}
