//! Decimal numbers of any length.

use std::cmp::Ordering;

/// `digits * 10^exponent`, with the digits from the highest and no zeros before them.
#[derive(Debug, Clone, Default)]
pub(super) struct Decimal {
    negative: bool,
    digits: Vec<u8>,
    exponent: i32,
}

/// Compares `value * 10^scale`; `None` where that needs more than 128 bits.
pub(super) fn compare_small((a, x): (i64, i32), (b, y): (i64, i32)) -> Option<Ordering> {
    if x == y || a.signum() != b.signum() {
        return Some(if x == y { a.cmp(&b) } else { a.signum().cmp(&b.signum()) });
    }
    let low = x.min(y);
    let widen = |value: i64, scale: i32| {
        let power = u32::try_from(scale - low).ok()?;
        10i128.checked_pow(power)?.checked_mul(i128::from(value))
    };
    Some(widen(a, x)?.cmp(&widen(b, y)?))
}

impl Decimal {
    pub(super) fn from_i64(value: i64, exponent: i32) -> Self {
        let digits = value.unsigned_abs().to_string().bytes().map(|byte| byte - b'0').collect();
        Self { negative: value < 0, digits, exponent }.trimmed_front()
    }

    /// From the ASCII digits before and after the point.
    pub(super) fn from_text(negative: bool, whole: &[u8], fraction: &[u8], exponent: i32) -> Self {
        let digits = whole.iter().chain(fraction).map(|byte| byte - b'0').collect();
        let places = i32::try_from(fraction.len()).unwrap_or(i32::MAX);
        Self { negative, digits, exponent: exponent.saturating_sub(places) }.trimmed_front()
    }

    fn trimmed_front(mut self) -> Self {
        let zeros = self.digits.iter().take_while(|digit| **digit == 0).count();
        self.digits.drain(..zeros);
        if self.digits.is_empty() {
            self = Self::default();
        }
        self
    }

    pub(super) fn signum(&self) -> i32 {
        match (self.digits.is_empty(), self.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }

    pub(super) fn is_negative(&self) -> bool {
        self.negative
    }

    pub(super) fn negated(mut self) -> Self {
        self.negative = !self.negative && !self.digits.is_empty();
        self
    }

    /// The same number with a lower or equal exponent.
    fn lowered(&self, exponent: i32) -> Vec<u8> {
        let mut digits = self.digits.clone();
        if !digits.is_empty() {
            let zeros = usize::try_from(self.exponent - exponent).unwrap_or(0);
            digits.extend(std::iter::repeat_n(0, zeros));
        }
        digits
    }

    pub(super) fn plus(&self, other: &Self) -> Self {
        if self.digits.is_empty() {
            return other.clone();
        }
        if other.digits.is_empty() {
            return self.clone();
        }
        let exponent = self.exponent.min(other.exponent);
        let (a, b) = (self.lowered(exponent), other.lowered(exponent));
        let (negative, digits) = if self.negative == other.negative {
            (self.negative, add(&a, &b))
        } else {
            match compare_digits(&a, &b) {
                Ordering::Less => (other.negative, subtract(&b, &a)),
                _ => (self.negative, subtract(&a, &b)),
            }
        };
        Self { negative, digits, exponent }.trimmed_front()
    }

    pub(super) fn compare(&self, other: &Self) -> Ordering {
        match self.signum().cmp(&other.signum()) {
            Ordering::Equal => {}
            unequal => return unequal,
        }
        let exponent = self.exponent.min(other.exponent);
        let size = compare_digits(&self.lowered(exponent), &other.lowered(exponent));
        if self.negative { size.reverse() } else { size }
    }

    /// Multiplied by `2^power`, which is at most `2^60`.
    pub(super) fn times_power_of_two(mut self, power: u32) -> Self {
        let mut carry = 0u128;
        for digit in self.digits.iter_mut().rev() {
            let product = (u128::from(*digit) << power) + carry;
            *digit = (product % 10) as u8;
            carry = product / 10;
        }
        while carry > 0 {
            self.digits.insert(0, (carry % 10) as u8);
            carry /= 10;
        }
        self
    }

    /// The nearest number away from zero that is a multiple of `10^exponent`.
    pub(super) fn rounded_away(mut self, exponent: i32) -> Self {
        let Ok(cut) = usize::try_from(i64::from(exponent) - i64::from(self.exponent)) else { return self };
        if cut == 0 || self.digits.is_empty() {
            return self;
        }
        let kept = self.digits.len().saturating_sub(cut);
        let inexact = self.digits[kept..].iter().any(|digit| *digit != 0);
        self.digits.truncate(kept);
        self.exponent = exponent;
        if inexact {
            self.digits = add(&self.digits, &[1]);
        }
        self.trimmed_front()
    }

    /// All trailing zeros moved into the exponent.
    pub(super) fn trimmed_back(mut self) -> Self {
        while self.digits.last() == Some(&0) {
            self.digits.pop();
            self.exponent += 1;
        }
        self
    }

    /// The digits as they stand, with the exponent lowered to the next multiple of three.
    pub(super) fn in_thousands(mut self) -> (String, i32) {
        self = self.trimmed_back();
        while self.exponent % 3 != 0 {
            self.digits.push(0);
            self.exponent -= 1;
        }
        (self.text(), self.exponent)
    }

    fn text(&self) -> String {
        let sign = self.negative.then_some('-');
        sign.into_iter().chain(self.digits.iter().map(|digit| char::from(b'0' + digit))).collect()
    }

    /// It has no fraction.
    pub(super) fn is_whole(&self) -> bool {
        self.clone().trimmed_back().exponent >= 0
    }

    /// A whole number with all factors of 1024 taken out, and how many they are.
    pub(super) fn in_powers_of_1024(&self) -> (String, u32) {
        let mut number = Self { negative: self.negative, digits: self.clone().trimmed_back().lowered(0), exponent: 0 };
        let mut times = 0;
        while let Some(quotient) = divide_by_1024(&number.digits) {
            number.digits = quotient;
            times += 1;
        }
        (number.text(), times)
    }

    /// As units of `10^scale`, when it is a multiple of that and fits.
    pub(super) fn to_i64(&self, scale: i32) -> Option<i64> {
        let number = self.clone().trimmed_back();
        if number.digits.is_empty() {
            return Some(0);
        }
        let zeros = u32::try_from(number.exponent.checked_sub(scale)?).ok()?;
        if zeros > 18 || number.digits.len() > 19 {
            return None;
        }
        let size = number.digits.iter().fold(0i128, |value, digit| value * 10 + i128::from(*digit));
        let size = size * 10i128.pow(zeros);
        i64::try_from(if number.negative { -size } else { size }).ok()
    }

    /// As a 64-bit number and its scale, when it fits.
    pub(super) fn to_small(&self) -> Option<(i64, i32)> {
        let number = self.clone().trimmed_back();
        Some((number.to_i64(number.exponent)?, number.exponent))
    }

    pub(super) fn to_f64(&self) -> f64 {
        if self.digits.is_empty() {
            return 0.0;
        }
        format!("{}e{}", self.text(), self.exponent).parse().unwrap_or(f64::NAN)
    }
}

fn compare_digits(a: &[u8], b: &[u8]) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

fn add(a: &[u8], b: &[u8]) -> Vec<u8> {
    let length = a.len().max(b.len());
    let mut digits = Vec::with_capacity(length + 1);
    let mut carry = 0;
    let at = |digits: &[u8], from_end: usize| digits.len().checked_sub(from_end + 1).map_or(0, |index| digits[index]);
    for from_end in 0..length {
        let sum = at(a, from_end) + at(b, from_end) + carry;
        digits.push(sum % 10);
        carry = sum / 10;
    }
    if carry > 0 {
        digits.push(carry);
    }
    digits.reverse();
    digits
}

/// `a - b` where `a` is at least `b`.
fn subtract(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut digits = a.to_vec();
    let mut borrow = 0;
    let offset = a.len() - b.len();
    for index in (0..a.len()).rev() {
        let other = index.checked_sub(offset).map_or(0, |index| b[index]) + borrow;
        borrow = u8::from(digits[index] < other);
        digits[index] = digits[index] + 10 * borrow - other;
    }
    let zeros = digits.iter().take_while(|digit| **digit == 0).count();
    digits.split_off(zeros)
}

/// The quotient, when there is no rest.
fn divide_by_1024(digits: &[u8]) -> Option<Vec<u8>> {
    let mut rest = 0u32;
    let mut quotient = Vec::with_capacity(digits.len());
    for digit in digits {
        rest = rest * 10 + u32::from(*digit);
        quotient.push(u8::try_from(rest / 1024).unwrap_or(0));
        rest %= 1024;
    }
    let zeros = quotient.iter().take_while(|digit| **digit == 0).count();
    let quotient = quotient.split_off(zeros);
    (rest == 0 && !quotient.is_empty()).then_some(quotient)
}
