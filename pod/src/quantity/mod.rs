//! Amounts of resources, exact as in Kubernetes: `100m`, `1.5Gi`, `12e6`.
//!
//! Source: `k8s.io/apimachinery/pkg/api/resource`. A parsed quantity prints as it was written; the result of
//! arithmetic prints in canonical form.

mod decimal;
mod parse;
mod print;
mod text;

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use decimal::Decimal;
pub use parse::ParseQuantityError;
use text::Text;

/// How a quantity was written and is to be printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Format {
    /// Powers of ten as `e3`, or nothing said.
    #[default]
    DecimalExponent,
    /// `m`, `k`, `M`, `G` ...
    DecimalSi,
    /// `Ki`, `Mi`, `Gi` ...
    BinarySi,
}

#[derive(Debug, Clone)]
enum Amount {
    /// `value * 10^scale`.
    Small {
        value: i64,
        scale: i32,
    },
    Big(Box<Decimal>),
}

/// An exact amount, at most as fine as a billionth when it was parsed.
///
/// Two quantities are equal when their amounts are, however they are written.
#[derive(Debug, Clone)]
pub struct Quantity {
    amount: Amount,
    format: Format,
    /// How it was written, until arithmetic changes it.
    text: Text,
}

impl Default for Quantity {
    fn default() -> Self {
        Self::from_parts(0, 0, Format::DecimalExponent)
    }
}

impl Quantity {
    fn from_parts(value: i64, scale: i32, format: Format) -> Self {
        Self { amount: Amount::Small { value, scale }, format, text: Text::Canonical }
    }

    /// A whole number, to be printed in this format.
    pub fn from_units(units: i64, format: Format) -> Self {
        Self::from_parts(units, 0, format)
    }

    /// A number of thousandths, as CPU time is counted.
    pub fn from_millis(millis: i64) -> Self {
        Self::from_parts(millis, -3, Format::DecimalSi)
    }

    /// How it was written.
    pub fn format(&self) -> Format {
        self.format
    }

    /// -1, 0 or 1.
    pub fn signum(&self) -> i32 {
        match &self.amount {
            Amount::Small { value, .. } => value.signum() as i32,
            Amount::Big(decimal) => decimal.signum(),
        }
    }

    /// The amount is zero.
    pub fn is_zero(&self) -> bool {
        self.signum() == 0
    }

    fn decimal(&self) -> Decimal {
        match &self.amount {
            Amount::Small { value, scale } => Decimal::from_i64(*value, *scale),
            Amount::Big(decimal) => (**decimal).clone(),
        }
    }

    /// The amount in whole units, rounded away from zero; `None` when it does not fit.
    pub fn value(&self) -> Option<i64> {
        self.scaled(0)
    }

    /// The amount in thousandths, rounded away from zero; `None` when it does not fit.
    pub fn milli_value(&self) -> Option<i64> {
        self.scaled(-3)
    }

    /// The amount in units of `10^scale`, rounded away from zero; `None` when it does not fit.
    pub fn scaled(&self, scale: i32) -> Option<i64> {
        if let Amount::Small { value, scale: own } = self.amount {
            let shift = own - scale;
            if let Ok(power) = u32::try_from(shift)
                && let Some(factor) = 10i64.checked_pow(power)
                && let Some(value) = value.checked_mul(factor)
            {
                return Some(value);
            }
            if let Ok(power) = u32::try_from(-shift)
                && let Some(divisor) = 10i64.checked_pow(power)
            {
                let rest = value % divisor;
                return Some(value / divisor + rest.signum());
            }
        }
        self.decimal().rounded_away(scale).to_i64(scale)
    }

    /// The amount as a floating-point number.
    pub fn to_f64(&self) -> f64 {
        self.decimal().to_f64()
    }

    /// The sum; it has the format of `self` unless that is zero.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let format = if self.is_zero() { other.format } else { self.format };
        if let (Amount::Small { value: a, scale: x }, Amount::Small { value: b, scale: y }) =
            (&self.amount, &other.amount)
            && x == y
            && let Some(sum) = a.checked_add(*b)
        {
            return Self::from_parts(sum, *x, format);
        }
        Self::from_decimal(self.decimal().plus(&other.decimal()), format)
    }

    /// The difference; it has the format of `self` unless that is zero.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        let format = if self.is_zero() { other.format } else { self.format };
        Self::from_decimal(self.decimal().plus(&other.decimal().negated()), format)
    }

    /// The nearest multiple of `10^scale` away from zero, in canonical form.
    #[must_use]
    pub fn rounded_up(&self, scale: i32) -> Self {
        Self::from_decimal(self.decimal().rounded_away(scale), self.format)
    }

    /// The amount with the other sign.
    #[must_use]
    pub fn negated(&self) -> Self {
        Self::from_decimal(self.decimal().negated(), self.format)
    }

    /// The larger of two; `self` when they are equal.
    #[must_use]
    pub fn max_of<'a>(&'a self, other: &'a Self) -> &'a Self {
        if other > self { other } else { self }
    }

    fn from_decimal(decimal: Decimal, format: Format) -> Self {
        let amount = match decimal.to_small() {
            Some((value, scale)) => Amount::Small { value, scale },
            None => Amount::Big(Box::new(decimal)),
        };
        Self { amount, format, text: Text::Canonical }
    }

    /// The canonical form, whatever was written.
    pub fn canonical(&self) -> String {
        print::canonical(&self.decimal(), self.format)
    }
}

impl FromStr for Quantity {
    type Err = ParseQuantityError;

    fn from_str(text: &str) -> Result<Self, ParseQuantityError> {
        parse::parse(text)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text.written() {
            Some(text) => f.write_str(text),
            None => f.write_str(&self.canonical()),
        }
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.amount, &other.amount) {
            (Amount::Small { value: a, scale: x }, Amount::Small { value: b, scale: y }) => {
                decimal::compare_small((*a, *x), (*b, *y)).unwrap_or_else(|| self.decimal().compare(&other.decimal()))
            }
            _ => self.decimal().compare(&other.decimal()),
        }
    }
}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Quantity {}
