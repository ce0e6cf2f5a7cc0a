//! A new file in `sql/` has to be embedded, which the macro that embeds them cannot tell cargo.

fn main() {
    println!("cargo::rerun-if-changed=../../sql");
}
