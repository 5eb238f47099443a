//! Credentials that the host supplies.

use std::ffi::{c_char, c_void};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use zeroize::Zeroizing;

use super::args::{Context, borrow, text};
use super::callbacks::call_host;
use super::error::ms_error;
use super::gate::gate;
use super::live;
use super::options::ms_options;
use super::status::{MS_OK, ms_status};
use crate::error::{Error, Kind, Result};
use crate::options::{Grant, Provider, Who};

/// What a credentials provider fills in: the form of an answer. It belongs to the library and exists during the call of the
/// provider only.
pub struct ms_credentials {
    filled: Mutex<Filled>,
}

#[derive(Default)]
struct Filled {
    who: Option<Who>,
    expires: Option<SystemTime>,
    message: Option<String>,
}

/// Supplies credentials: fills `out_credentials` and returns MS_OK, or returns a failure, for example MS_UNAVAILABLE to be asked again
/// under the retry options. It is called from a thread of the library, may block for credentials.timeout_ms, must not throw, and must
/// call nothing of the library but ms_credentials_set_access_key and its siblings. A client calls it from one thread at a time.
pub type ms_credentials_provider =
    Option<unsafe extern "C" fn(context: *mut c_void, out_credentials: *mut ms_credentials) -> ms_status>;

/// Told once that a context is not used any more. Called from any thread; must not throw and must not call the library.
pub type ms_release_callback = Option<unsafe extern "C" fn(context: *mut c_void)>;

/// Has credentials supplied by a function of the host, in place of the identity options. It is called when a client first needs
/// credentials, ahead of their expiry, and once more when the service refuses them; never by ms_client_open. If it fails, the former
/// credentials serve until they expire. Copies of the options and clients opened with them share the function.
/// @param[in] options the options.
/// @param[in] callback supplies credentials; NULL goes back to the identity options.
/// @param[in] context handed to each call; may be NULL.
/// @param[in] release called with the context once nothing can call the function any more, also if this call fails; may be NULL. Not
/// called in a child made by fork.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL; MS_BUSY.
/// Thread: one call at a time. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_options_set_credentials_provider(
    options: *mut ms_options,
    callback: ms_credentials_provider,
    context: *mut c_void,
    release: ms_release_callback,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let host = Host { context: Context(context), release, pid: std::process::id() };
            let options = borrow(options, "options")?;
            let provider = callback.map(|callback| Provider::new(move || host.ask(callback)));
            options.change(|options| {
                options.set_provider(provider);
                Ok(())
            })
        })
    }
}

/// Fills in an AccessKey.
/// @param[in] credentials what the provider was given.
/// @param[in] access_key_id copied.
/// @param[in] access_key_secret copied; the copy is wiped when it is not needed any more.
/// @param[in] security_token the STS token of a temporary AccessKey, copied and wiped; NULL for none.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL or bad UTF-8.
/// Thread: one call at a time, inside the provider. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_credentials_set_access_key(
    credentials: *mut ms_credentials,
    access_key_id: *const c_char,
    access_key_secret: *const c_char,
    security_token: *const c_char,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let credentials = borrow(credentials, "credentials")?;
            let id = text(access_key_id, "access_key_id")?.to_owned();
            let secret = Zeroizing::new(text(access_key_secret, "access_key_secret")?.to_owned());
            let token = if security_token.is_null() { "" } else { text(security_token, "security_token")? };
            let token = (!token.is_empty()).then(|| Zeroizing::new(token.to_owned()));
            credentials.lock().who = Some(Who::Key { id, secret, token });
            Ok(())
        })
    }
}

/// Fills in a bearer token, in place of an AccessKey.
/// @param[in] credentials what the provider was given.
/// @param[in] bearer_token copied; the copy is wiped when it is not needed any more.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL or bad UTF-8.
/// Thread: one call at a time, inside the provider. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_credentials_set_bearer_token(
    credentials: *mut ms_credentials,
    bearer_token: *const c_char,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let credentials = borrow(credentials, "credentials")?;
            let token = Zeroizing::new(text(bearer_token, "bearer_token")?.to_owned());
            credentials.lock().who = Some(Who::Bearer(token));
            Ok(())
        })
    }
}

/// Says when the credentials end. They are renewed ahead of that: 15 minutes, or a quarter of what is left of their life if that is less.
/// @param[in] credentials what the provider was given.
/// @param[in] unix_ms milliseconds since 1970 in UTC; 0 or less for not known.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL.
/// Thread: one call at a time, inside the provider. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_credentials_set_expiry_ms(
    credentials: *mut ms_credentials,
    unix_ms: i64,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let since = u64::try_from(unix_ms).ok().filter(|ms| *ms > 0).map(Duration::from_millis);
            borrow(credentials, "credentials")?.lock().expires = since.map(|since| SystemTime::UNIX_EPOCH + since);
            Ok(())
        })
    }
}

/// Says in a sentence why there are no credentials. It becomes part of the message of the call that needed them, and of the log: it must
/// hold no secret.
/// @param[in] credentials what the provider was given.
/// @param[in] message copied.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL or bad UTF-8.
/// Thread: one call at a time, inside the provider. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_credentials_set_error(
    credentials: *mut ms_credentials,
    message: *const c_char,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let credentials = borrow(credentials, "credentials")?;
            let message = text(message, "message")?.split_whitespace().collect::<Vec<_>>().join(" ");
            credentials.lock().message = Some(message);
            Ok(())
        })
    }
}

impl ms_credentials {
    fn lock(&self) -> MutexGuard<'_, Filled> {
        self.filled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The host's side of a provider.
struct Host {
    context: Context,
    release: ms_release_callback,
    pid: u32,
}

impl Host {
    fn ask(&self, callback: unsafe extern "C" fn(*mut c_void, *mut ms_credentials) -> ms_status) -> Result<Grant> {
        let form = ms_credentials { filled: Mutex::default() };
        let place = (&raw const form).cast_mut();
        let _loan = live::lend(place);
        // SAFETY: the host promises that its function can be called with its context from any thread until the context is released,
        // which the drop of this value does. The form outlives the call and is used through shared references only.
        let status =
            call_host("a credentials provider", || unsafe { callback(self.context.0, place) }).ok_or_else(|| {
                Error::new(Kind::Unavailable, "the host has ended its callbacks, its credentials provider too")
            })?;
        let filled = form.filled.into_inner().unwrap_or_else(PoisonError::into_inner);
        match (status, filled.who) {
            (MS_OK, Some(who)) => Ok(Grant { who, expires: filled.expires }),
            (MS_OK, None) => {
                Err(Error::new(Kind::Unauthenticated, "the credentials provider returned MS_OK and set no credentials"))
            }
            (status, _) => {
                let kind = Kind::ALL.iter().copied().find(|kind| *kind as ms_status == status);
                let unknown = if (400..500).contains(&status) { Kind::Unavailable } else { Kind::Unauthenticated };
                let why = filled.message.unwrap_or_else(|| format!("it returned {status}"));
                Err(Error::new(kind.unwrap_or(unknown), format!("the credentials provider failed: {why}")))
            }
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let (Some(release), true) = (self.release, self.pid == std::process::id()) {
            // SAFETY: the host promises that this may be called once, from any thread.
            call_host("a release callback", || unsafe { release(self.context.0) });
        }
    }
}
