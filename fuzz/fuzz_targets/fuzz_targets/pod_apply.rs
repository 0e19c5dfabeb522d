#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::target::find("pod_apply").expect("the name of a target")(data));
