//! Gives the shared library its soname and the crate its build facts; writes nothing into the source tree.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libmaxstorage.so.0");
    }
    for (name, source) in [("MAXSTORAGE_BUILD_TARGET", "TARGET"), ("MAXSTORAGE_BUILD_PROFILE", "PROFILE")] {
        println!("cargo:rustc-env={name}={}", std::env::var(source).unwrap_or_default());
    }
}
