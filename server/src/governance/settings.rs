//! What `serve` is told about governance, and the names of properties.

use super::slots::Over;

/// The property behind "Storage API Switch" of the tenant. Off by default, as on the service.
pub const STORAGE_API_SWITCH: &str = "storage_api_switch";
/// Names that SET TENANT PROPERTY takes.
pub const TENANT_PROPERTIES: [&str; 1] = [STORAGE_API_SWITCH];

/// The project property that makes reads need Download.
pub const DOWNLOAD_CONTROL: &str = "odps.security.enabledownloadprivilege";
/// The project property that names the quota of requests that name none.
pub const DEFAULT_QUOTA: &str = "odps.storage.default.quota";

/// The project property that encrypts new files: true or false.
pub const ENCRYPTION: &str = "odps.storage.encryption";
/// The project property that disables the key: enabled or disabled.
pub const ENCRYPTION_KEY: &str = "odps.storage.encryption.key";

/// Options of `serve`.
#[derive(Clone, Debug, clap::Args)]
pub struct Settings {
    /// What happens to a request beyond the slots of its quota: 429 SlotExceeded, wait for a slot, or nothing.
    #[arg(long, value_enum, default_value = "refuse")]
    pub over_slots: Over,
    /// Check table rights on every read and write, not only when a session is created or refreshed.
    #[arg(long)]
    pub check_each_read: bool,
    /// Read and written bytes of pay-as-you-go that cost nothing each month; 1 TB is 2^40.
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 40)]
    pub free_bytes: u64,
    /// Where a month of metering begins: hours east of UTC.
    #[arg(long, value_name = "HOURS", default_value_t = 8, allow_negative_numbers = true,
          value_parser = clap::value_parser!(i8).range(-12..=14))]
    pub billing_zone: i8,
}
