//! Image layers on disk: apply, stack, mount with overlay, and diff.
