//! Texts as kernel files take them: most are short, and those need no memory of their own.

use std::fmt::{self, Write as _};

/// As long as the longest number with its sign, which most values are.
const SHORT: usize = 22;

/// A text that is kept in place while it is short.
#[derive(Clone)]
pub(crate) struct Text(Form);

#[derive(Clone)]
enum Form {
    Short { length: u8, bytes: [u8; SHORT] },
    Long(String),
}

impl Text {
    pub(crate) fn of(value: impl fmt::Display) -> Self {
        let mut text = Self(Form::Short { length: 0, bytes: [0; SHORT] });
        write!(text, "{value}").expect("a text takes whatever is written to it");
        text
    }

    pub(crate) fn as_str(&self) -> &str {
        match &self.0 {
            Form::Short { length, bytes } => {
                std::str::from_utf8(&bytes[..usize::from(*length)]).expect("only whole texts are written to it")
            }
            Form::Long(text) => text,
        }
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        match &mut self.0 {
            Form::Long(text) => text.push_str(more),
            Form::Short { length, bytes } => {
                let (start, end) = (usize::from(*length), usize::from(*length) + more.len());
                if let (Some(place), Ok(new)) = (bytes.get_mut(start..end), u8::try_from(end)) {
                    place.copy_from_slice(more.as_bytes());
                    *length = new;
                } else {
                    self.0 = Form::Long([self.as_str(), more].concat());
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Text {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Text;

    proptest! {
        #[test]
        fn it_is_what_was_written(parts in proptest::collection::vec("\\PC{0,12}", 0..5)) {
            let text = parts.iter().fold(Text::of(""), |text, part| Text::of(format_args!("{text}{part}")));
            prop_assert_eq!(text.as_str(), parts.concat());
        }
    }

    #[test]
    fn numbers_need_no_memory() {
        let count = |value: &dyn std::fmt::Display| allocation_counter::measure(|| drop(Text::of(value))).count_total;
        assert_eq!((count(&u64::MAX), count(&i64::MIN), count(&"x".repeat(22))), (0, 0, 0));
        assert_eq!(count(&"x".repeat(23)), 1);
    }
}
