#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::target::find("overlay_whiteouts").expect("the name of a target")(data));
