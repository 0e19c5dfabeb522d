//! What a new process and its caller tell each other.

/// What a new process tells the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Message {
    /// A step of the intermediate process failed.
    StageFailed { step: u32, call: u32, errno: i32 },
    /// A step of the process failed.
    Failed { step: u32, call: u32, errno: i32 },
    /// All is done but the exec.
    Executing,
    /// All is done; the rest is behind the gate.
    Waiting,
    /// The caller's end of the terminal, which comes along.
    Terminal,
    /// The mounts are made; the caller may do what it wants.
    Paused,
    /// A filter that asks a listener is about to be installed: the descriptor to it will have this number.
    Listening { descriptor: i32 },
    /// A hook failed; the end of what it wrote comes along.
    HookFailed { step: u32, end: HookEnd },
}

/// How a hook ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HookEnd {
    /// With this status, in the form of `wait(2)`.
    Status(i32),
    /// It was killed, because its time was over.
    Late,
}

impl HookEnd {
    const LATE: i32 = -1;

    const fn number(self) -> i32 {
        match self {
            Self::Status(status) => status,
            Self::Late => Self::LATE,
        }
    }

    const fn of(number: i32) -> Self {
        if number == Self::LATE { Self::Late } else { Self::Status(number) }
    }
}

/// The size of an encoded message.
pub(crate) const MESSAGE_LENGTH: usize = 16;

/// What the caller tells a new process: one byte each.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Release {
    Mapped = 1,
    Resumed = 2,
    Devices = 3,
}

impl Message {
    /// Whether the process that says this ends.
    pub(crate) const fn is_failure(self) -> bool {
        matches!(self, Self::StageFailed { .. } | Self::Failed { .. } | Self::HookFailed { .. })
    }

    pub(crate) fn encode(self) -> [u8; MESSAGE_LENGTH] {
        let (kind, a, b, c) = match self {
            Self::StageFailed { step, call, errno } => (0_u32, step, call, errno),
            Self::Failed { step, call, errno } => (1, step, call, errno),
            Self::Executing => (3, 0, 0, 0),
            Self::Waiting => (4, 0, 0, 0),
            Self::Terminal => (5, 0, 0, 0),
            Self::Paused => (6, 0, 0, 0),
            Self::HookFailed { step, end } => (7, step, 0, end.number()),
            Self::Listening { descriptor } => (8, 0, 0, descriptor),
        };
        let mut bytes = [0; MESSAGE_LENGTH];
        let words = [kind.to_ne_bytes(), a.to_ne_bytes(), b.to_ne_bytes(), c.to_ne_bytes()];
        for (slot, byte) in bytes.iter_mut().zip(words.as_flattened()) {
            *slot = *byte;
        }
        bytes
    }

    pub(crate) fn decode(bytes: [u8; MESSAGE_LENGTH]) -> Option<Self> {
        let (words, _) = bytes.as_chunks::<4>();
        let [kind, a, b, c] = words.try_into().ok()?;
        let (step, call) = (u32::from_ne_bytes(a), u32::from_ne_bytes(b));
        let last = i32::from_ne_bytes(c);
        match u32::from_ne_bytes(kind) {
            0 => Some(Self::StageFailed { step, call, errno: last }),
            1 => Some(Self::Failed { step, call, errno: last }),
            3 => Some(Self::Executing),
            4 => Some(Self::Waiting),
            5 => Some(Self::Terminal),
            6 => Some(Self::Paused),
            8 => Some(Self::Listening { descriptor: last }),
            7 => Some(Self::HookFailed { step, end: HookEnd::of(last) }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_survives_its_way() {
        for message in [
            Message::StageFailed { step: 1, call: 2, errno: 3 },
            Message::Failed { step: u32::MAX, call: 0, errno: libc::EPERM },
            Message::Executing,
            Message::Waiting,
            Message::Terminal,
            Message::Paused,
            Message::HookFailed { step: 9, end: HookEnd::Status(0x300) },
            Message::HookFailed { step: 9, end: HookEnd::Late },
            Message::Listening { descriptor: 7 },
        ] {
            assert_eq!(Message::decode(message.encode()), Some(message));
        }
        assert_eq!(Message::decode([255; MESSAGE_LENGTH]), None);
    }
}
