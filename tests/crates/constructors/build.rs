//! Compiles the constructors in C, for both places where they are linked.

fn main() {
    println!("cargo::rerun-if-changed=src/early.c");
    println!("cargo::rerun-if-changed=src/late.c");
    // In the library, as any crate with C code has it.
    cc::Build::new().file("src/early.c").compile("constructors");
    // At the very end of the linker's command line: after zygote.
    let late = cc::Build::new().file("src/late.c").compile_intermediates();
    for object in late {
        println!("cargo::metadata=late={}", object.display());
    }
}
