//! Links a constructor in C after everything else.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if let Ok(object) = std::env::var("DEP_CONSTRUCTORS_LATE_LATE") {
        println!("cargo::rustc-link-arg-bins={object}");
    }
}
