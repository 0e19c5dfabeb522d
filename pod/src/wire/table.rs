//! The macro that makes types from tables of fields.

/// Makes a struct of public fields from each table.
///
/// A line reads `rust_name: Type = "wireName" [protobuf numbers] Presence,`; the lines are sorted by wire name.
/// A table with an API version is a kind: it has `api_version`, `kind` and `metadata`.
macro_rules! records {
    ($(
        $(#[$meta:meta])*
        $name:ident $(= $api_version:literal)? {
            $( $(#[$field_meta:meta])* $field:ident: $type:ty = $wire:literal [$($number:literal),+] $presence:ident, )*
        }
    )*) => { $(
        $(#[$meta])*
        #[derive(Clone, Default, PartialEq)]
        pub struct $name {
            $(
                $(#[$field_meta])*
                #[doc = concat!("`", $wire, "`")]
                pub $field: $type,
            )*
            /// Fields that the kind does not have, written back as they were.
            pub unknown: $crate::wire::raw::Unknown,
        }

        const _: () = {
            use $crate::wire::record::{FieldInfo, Presence, Record, Shape, Value, by_number, start};

            #[expect(non_camel_case_types, reason = "the variants count the fields under their own names")]
            enum Index { $($field),* }

            static SHAPE: Shape = Shape {
                name: stringify!($name),
                fields: &[$(FieldInfo {
                    name: $wire,
                    numbers: &[$($number),+],
                    presence: Presence::$presence,
                    element: <$type as Value>::element,
                }),*],
                starts: &[$(start($wire)),*],
                by_number: by_number(&[$(&[$($number),+]),*]),
            };

            impl Record for $name {
                fn of_type() -> &'static Shape {
                    &SHAPE
                }
                fn shape(&self) -> &'static Shape {
                    &SHAPE
                }
                fn field(&self, index: usize) -> &dyn Value {
                    match index {
                        $(index if index == Index::$field as usize => &self.$field,)*
                        _ => panic!("{} has no field {index}", SHAPE.name),
                    }
                }
                fn field_mut(&mut self, index: usize) -> &mut dyn Value {
                    match index {
                        $(index if index == Index::$field as usize => &mut self.$field,)*
                        _ => panic!("{} has no field {index}", SHAPE.name),
                    }
                }
                fn unknown(&self) -> &$crate::wire::raw::Unknown {
                    &self.unknown
                }
                fn unknown_mut(&mut self) -> &mut $crate::wire::raw::Unknown {
                    &mut self.unknown
                }
            }

            impl std::fmt::Debug for $name {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    $crate::wire::record::debug(self, f)
                }
            }
            $(
                impl $crate::kinds::Kind for $name {
                    const API_VERSION: &'static str = $api_version;
                    const KIND: &'static str = stringify!($name);

                    fn metadata(&self) -> &$crate::kinds::ObjectMeta {
                        &self.metadata
                    }
                    fn metadata_mut(&mut self) -> &mut $crate::kinds::ObjectMeta {
                        &mut self.metadata
                    }
                    fn named(&self) -> [Option<&str>; 2] {
                        [self.api_version.as_deref(), self.kind.as_deref()]
                    }
                    fn set_named(&mut self) {
                        self.api_version = Some(Self::API_VERSION.to_owned());
                        self.kind = Some(Self::KIND.to_owned());
                    }
                }
            )?
        };
    )* };
}
pub(crate) use records;
