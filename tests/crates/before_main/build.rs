//! Links a constructor after everything else, so that it stands after zygote's.

fn main() {
    println!("cargo::rerun-if-changed=src/late.c");
    for object in cc::Build::new().file("src/late.c").compile_intermediates() {
        println!("cargo::rustc-link-arg-bins={}", object.display());
    }
}
