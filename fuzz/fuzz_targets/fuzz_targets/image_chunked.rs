#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::target::find("image_chunked").expect("the name of a target")(data));
