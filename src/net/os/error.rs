//! Names of system errors.

/// The system's name for an I/O error, as in Node's `error.code`.
pub(in crate::net) fn error_code(error: &std::io::Error) -> &'static str {
    use std::io::ErrorKind::*;
    match error.kind() {
        AddrInUse => "EADDRINUSE",
        AddrNotAvailable => "EADDRNOTAVAIL",
        PermissionDenied => "EACCES",
        ConnectionRefused => "ECONNREFUSED",
        ConnectionReset => "ECONNRESET",
        ConnectionAborted => "ECONNABORTED",
        BrokenPipe => "EPIPE",
        TimedOut => "ETIMEDOUT",
        HostUnreachable => "EHOSTUNREACH",
        NetworkUnreachable => "ENETUNREACH",
        NetworkDown => "ENETDOWN",
        NotFound => "ENOENT",
        _ => match error.raw_os_error() {
            #[cfg(unix)]
            Some(23) => "ENFILE",
            #[cfg(unix)]
            Some(24) => "EMFILE",
            _ => "EIO",
        },
    }
}
