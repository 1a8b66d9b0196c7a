//! libuv: JavaScript's event loop waits for a node's sockets, so that a message for an idle process
//! wakes one thread instead of two (see [`Watch`]).
//!
//! All unsafe code of the crate is here. It calls libuv's functions, which Node.js exports and
//! keeps compatible. Where they are missing, the network's thread reads, as on other systems.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::ptr::{from_ref, null, null_mut};
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use libloading::os::unix::Library;
use napi::bindgen_prelude::{FunctionRef, JsValue as _};
use napi::{Env, Result, check_status, sys};

use super::queue::Queue;
use crate::net::Watch;

/// `UV_POLL` of `uv_handle_type`.
const POLL: c_int = 8;
/// `UV_READABLE` of `uv_poll_event`.
const READABLE: c_int = 1;

/// How many fruitless wake-ups of JavaScript one fruitful wake-up pays for. Beyond that, only the
/// network's thread waits, until there is something for JavaScript again. So relaying costs
/// JavaScript nothing.
const WORTH: u32 = 8;
/// The most fruitless wake-ups that are paid for in advance.
const MAX_CREDIT: u32 = 32;

type Handle = *mut c_void;

/// libuv's functions.
struct Uv {
    handle_size: unsafe extern "C" fn(c_int) -> usize,
    poll_init: unsafe extern "C" fn(*mut c_void, Handle, c_int) -> c_int,
    poll_start:
        unsafe extern "C" fn(Handle, c_int, unsafe extern "C" fn(Handle, c_int, c_int)) -> c_int,
    poll_stop: unsafe extern "C" fn(Handle) -> c_int,
    unref: unsafe extern "C" fn(Handle),
    set_data: unsafe extern "C" fn(Handle, *mut c_void),
    get_data: unsafe extern "C" fn(Handle) -> *mut c_void,
    close: unsafe extern "C" fn(Handle, unsafe extern "C" fn(Handle)),
}

impl Uv {
    fn get() -> Option<&'static Self> {
        static UV: OnceLock<Option<Uv>> = OnceLock::new();
        UV.get_or_init(Self::load).as_ref()
    }

    fn load() -> Option<Self> {
        let program = Library::this();
        macro_rules! symbol {
            ($name:literal) => {
                // SAFETY: the field has the type that uv.h gives this function, and the program
                // that exports it is never unloaded.
                *unsafe { program.get($name) }.ok()?
            };
        }
        Some(Self {
            handle_size: symbol!("uv_handle_size"),
            poll_init: symbol!("uv_poll_init"),
            poll_start: symbol!("uv_poll_start"),
            poll_stop: symbol!("uv_poll_stop"),
            unref: symbol!("uv_unref"),
            set_data: symbol!("uv_handle_set_data"),
            get_data: symbol!("uv_handle_get_data"),
            close: symbol!("uv_close"),
        })
    }
}

/// JavaScript's event loop waits for a node's sockets until this is dropped. Not `Send`: it is
/// made, used and dropped on JavaScript's thread.
pub(super) struct Poll(Rc<Inner>);

struct Inner {
    uv: &'static Uv,
    /// The `uv_poll_t`, at a fixed address. Zeros until libuv initialises it.
    handle: Box<[Cell<u128>]>,
    watch: Arc<Watch>,
    queue: Arc<Queue>,
    env: Env,
    doorbell: Rc<Doorbell>,
    credit: Cell<u32>,
    is_started: Cell<bool>,
}

/// The function that calls JavaScript.
pub(super) type Doorbell = FunctionRef<(), ()>;

thread_local! {
    /// Set while this thread reads in place of the network's. True if the doorbell rang meanwhile.
    static VISIT: Cell<Option<bool>> = const { Cell::new(None) };
}

/// Whether JavaScript's own thread is ringing. It calls JavaScript itself once it has read.
pub(super) fn is_at_the_door() -> bool {
    let is_visiting = VISIT.get().is_some();
    if is_visiting {
        VISIT.set(Some(true));
    }
    is_visiting
}

impl Poll {
    /// Waits for nothing until [`Self::drained`]. `None` where libuv is not available.
    pub(super) fn open(
        env: Env,
        watch: Arc<Watch>,
        queue: Arc<Queue>,
        doorbell: Rc<Doorbell>,
    ) -> Option<Self> {
        let uv = Uv::get()?;
        let event_loop = env.get_uv_event_loop().ok()?.cast();
        // SAFETY: the function has no preconditions.
        let size = unsafe { (uv.handle_size)(POLL) };
        let inner = Rc::new(Inner {
            uv,
            handle: vec![Cell::new(0); size.div_ceil(size_of::<u128>())].into(),
            watch,
            queue,
            env,
            doorbell,
            credit: Cell::new(0),
            is_started: Cell::new(false),
        });
        let descriptor = inner.watch.as_fd().as_raw_fd();
        // SAFETY: the loop belongs to this environment, and this is its thread. The handle's memory
        // is large enough, aligned beyond any C type, and stays in place until libuv has closed it,
        // because `into_raw` keeps `inner` alive. The descriptor stays open as long, too.
        unsafe {
            if (uv.poll_init)(event_loop, inner.handle(), descriptor) != 0 {
                return None;
            }
            (uv.unref)(inner.handle());
            let data = Rc::into_raw(inner.clone()).cast_mut().cast();
            (uv.set_data)(inner.handle(), data);
        }
        Some(Self(inner))
    }

    /// JavaScript has drained everything and is idle.
    pub(super) fn drained(&self) {
        let credit = self.0.credit.get() + WORTH;
        self.0.credit.set(credit.min(MAX_CREDIT));
        self.0.start();
    }
}

impl Drop for Poll {
    fn drop(&mut self) {
        self.0.watch.resign();
        // SAFETY: the handle was initialised and is not closing: only this closes it, once.
        unsafe { (self.0.uv.close)(self.0.handle(), closed) };
    }
}

impl Inner {
    fn handle(&self) -> Handle {
        from_ref::<[_]>(&self.handle).cast::<c_void>().cast_mut()
    }

    fn start(&self) {
        if !self.is_started.get() {
            // SAFETY: the handle is initialised and not closing, because `Poll` or a callback is
            // alive.
            let outcome = unsafe { (self.uv.poll_start)(self.handle(), READABLE, readable) };
            self.is_started.set(outcome == 0);
        }
        self.watch.attend(self.is_started.get());
    }

    fn stop(&self) {
        // SAFETY: as for `start`.
        unsafe { (self.uv.poll_stop)(self.handle()) };
        self.is_started.set(false);
        self.watch.resign();
    }

    fn visit(&self) {
        VISIT.set(Some(false));
        let found_some = self.watch.visit();
        if VISIT.take() == Some(true) {
            // JavaScript attends again once it has drained.
            return self.ring();
        }
        if self.queue.is_awake() {
            // JavaScript is draining already, and attends again once it is done.
            return;
        }
        let credit = self.credit.get().saturating_sub(u32::from(found_some));
        self.credit.set(credit);
        if credit > 0 {
            self.watch.attend(true);
        } else {
            self.stop();
        }
    }

    /// Calls JavaScript.
    fn ring(&self) {
        let env = self.env.raw();
        let mut scope = null_mut();
        // SAFETY: this is JavaScript's thread, called by its event loop. The environment is alive,
        // because its end drops all `Poll`s.
        if unsafe { sys::napi_open_handle_scope(env, &mut scope) } != sys::Status::napi_ok {
            return;
        }
        if let Err(error) = self.call() {
            tracing::error!(%error, "cannot call JavaScript");
        }
        // SAFETY: the scope was opened above, and no value in it is used any more.
        unsafe { sys::napi_close_handle_scope(env, scope) };
    }

    fn call(&self) -> Result<()> {
        let env = self.env.raw();
        let doorbell = self.doorbell.borrow_back(&self.env)?.raw();
        let (mut this, mut error) = (null_mut(), null_mut());
        // SAFETY: as for `ring`; the values belong to the scope that it has opened. Unlike a plain
        // call, this one also runs JavaScript's work for the end of a tick.
        unsafe {
            check_status!(sys::napi_get_global(env, &mut this))?;
            let outcome =
                sys::napi_make_callback(env, null_mut(), this, doorbell, 0, null(), null_mut());
            if outcome != sys::Status::napi_pending_exception {
                return check_status!(outcome);
            }
            check_status!(sys::napi_get_and_clear_last_exception(env, &mut error))?;
            check_status!(sys::napi_fatal_exception(env, error))
        }
    }
}

/// Called by libuv, on JavaScript's thread.
unsafe extern "C" fn readable(handle: Handle, status: c_int, _events: c_int) {
    let uv = Uv::get().map(|uv| uv.get_data);
    let Some(get_data) = uv else { return };
    // SAFETY: the data were set in `open` and are released in `closed`; libuv does not call this
    // after that.
    let inner = unsafe { &*get_data(handle).cast::<Inner>() };
    if status == 0 {
        inner.visit();
    } else {
        inner.stop();
    }
}

/// libuv calls this when it has released the handle.
unsafe extern "C" fn closed(handle: Handle) {
    if let Some(uv) = Uv::get() {
        // SAFETY: the data come from `into_raw`, and only this function takes them back.
        drop(unsafe { Rc::from_raw((uv.get_data)(handle).cast::<Inner>()) });
    }
}
