//! How a quantity was written.

/// So many bytes need no allocation; few quantities are longer.
const SHORT_MAX: usize = 22;

/// The text that is printed.
#[derive(Debug, Clone)]
pub(super) enum Text {
    /// The canonical form: the amount comes from arithmetic, or what was written is not kept.
    Canonical,
    Short {
        length: u8,
        bytes: [u8; SHORT_MAX],
    },
    Long(Box<str>),
}

impl Text {
    pub(super) fn new(text: &str) -> Self {
        let mut bytes = [0; SHORT_MAX];
        match (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(start), Ok(length)) => {
                start.copy_from_slice(text.as_bytes());
                Self::Short { length, bytes }
            }
            _ => Self::Long(text.into()),
        }
    }

    /// What was written, where that is to be printed.
    pub(super) fn written(&self) -> Option<&str> {
        match self {
            Self::Canonical => None,
            Self::Short { length, bytes } => {
                Some(std::str::from_utf8(&bytes[..usize::from(*length)]).expect("it was copied from a text"))
            }
            Self::Long(text) => Some(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_any_length_are_kept() {
        for length in [0, 1, SHORT_MAX - 1, SHORT_MAX, SHORT_MAX + 1, 300] {
            let text = "1".repeat(length);
            assert_eq!(Text::new(&text).written(), Some(&*text));
        }
    }
}
