'use strict'

const { AsyncResource } = require('node:async_hooks')
const { Duplex } = require('node:stream')
const { SmokeError, tooLarge } = require('./errors')
const { setImmediate } = require('./globals')

const HIGH_WATER_MARK = 64 * 1024
/**
 * The most bytes that wait for a paused reader: twice the sum of all windows
 * (src/proto/publish/window.rs), and so more than waiting senders can have on the way.
 */
const MAX_UNREAD = 64 * 1024 * 1024

/**
 * The byte stream of a channel. A chunk that arrives without a reader is dropped. A chunk for a
 * paused reader waits, and holds its sender back.
 */
class ChannelStream extends Duplex {
  #outbox
  #maxMessageSize
  #onReaders
  #onLost
  #pace
  #isPolled = false
  // Chunks that the reader has no room for, from #next on, and their bytes.
  #waiting = []
  #next = 0
  #unread = 0
  #hasRoom = true
  // Pipes into this stream, which listen for its errors but do not handle them.
  #pipes = 0

  /**
   * `onReaders(isRead)` is called when a reader starts, or may have stopped; `onLost(bytes)` when
   * chunks were dropped and the stream's errors have no listener. `pace.hold()` reports that chunks
   * wait from now on, `pace.read(bytes)` that some no longer wait (`null`: none does).
   */
  constructor({ outbox, maxMessageSize, allowHalfOpen, onReaders, onLost, pace }) {
    super({
      allowHalfOpen,
      readableHighWaterMark: HIGH_WATER_MARK,
      writableHighWaterMark: HIGH_WATER_MARK,
    })
    this.#outbox = outbox
    this.#maxMessageSize = maxMessageSize
    this.#onReaders = onReaders
    this.#onLost = onLost
    this.#pace = pace
    super.on('pipe', () => this.#pipes++)
    super.on('unpipe', () => this.#pipes--)
  }

  /** Whether anything listens, pipes, iterates or polls. */
  get isRead() {
    return this.listenerCount('data') > 0 || this.listenerCount('readable') > 0 || this.#isPolled
  }

  /** A chunk arrived. */
  receive(chunk) {
    if (!this.isRead || this.readableEnded || this.destroyed) return
    if (this.#unread === 0 && this.#hasRoom) {
      this.#hasRoom = this.push(chunk)
      return
    }
    if (this.#unread > 0 && this.#unread + chunk.length > MAX_UNREAD) {
      const reason = 'its reader has paused for too long'
      if (!this.lose(`${chunk.length} bytes`, reason, chunk.length)) this.#onLost(chunk.length)
      return
    }
    if (this.#unread === 0) this.#pace.hold()
    this.#waiting.push(chunk)
    this.#unread += chunk.length
  }

  /**
   * Part of the stream was lost. Destroys it with an error if errors have a listener. Returns
   * whether they do.
   */
  lose(what, reason, bytes) {
    if (!this.isRead || this.destroyed || !this.#hearsErrors) return false
    const error = new SmokeError('ERR_SMOKE_LOST', `${what} of the stream were lost: ${reason}`)
    this.destroy(Object.assign(error, { bytes }))
    return true
  }

  /** No more chunks will arrive or be sent. */
  finish() {
    if (this.destroyed) return
    this.#pushWaiting(Infinity)
    this.push(null)
    // Without a reader, the end would stay in the buffer.
    if (!this.isRead) this.resume()
  }

  // The events 'newListener' and 'removeListener' do not do: Node's streams may not emit them.
  on(event, listener) {
    super.on(event, listener)
    return this.#listened(event)
  }

  addListener(event, listener) {
    return this.on(event, listener)
  }

  prependListener(event, listener) {
    super.prependListener(event, listener)
    return this.#listened(event)
  }

  removeListener(event, listener) {
    super.removeListener(event, listener)
    return this.#unlistened()
  }

  off(event, listener) {
    return this.removeListener(event, listener)
  }

  removeAllListeners(...events) {
    super.removeAllListeners(...events)
    return this.#unlistened()
  }

  write(chunk, encoding, callback) {
    this.#checkSize(chunk, encoding)
    return super.write(chunk, this.#flushed(encoding), this.#flushed(callback))
  }

  end(chunk, encoding, callback) {
    this.#checkSize(chunk, encoding)
    return super.end(bound(chunk), bound(encoding), bound(callback))
  }

  /** A written chunk arrives as one, so its size is checked. */
  #checkSize(chunk, encoding) {
    const most = this.#maxMessageSize
    if (typeof chunk !== 'string') {
      if (chunk?.byteLength > most) throw tooLarge(most)
      // A UTF-16 unit takes at most three bytes of UTF-8.
    } else if (chunk.length * 3 > most) {
      const known = typeof encoding === 'string' ? encoding : undefined
      if (Buffer.byteLength(chunk, known) > most) throw tooLarge(most)
    }
  }

  read(size) {
    const isPolling = this.readableFlowing !== true && this.listenerCount('readable') === 0
    if (isPolling && size !== 0 && !this.#isPolled) {
      this.#isPolled = true
      this.#onReaders(true)
    }
    return super.read(size)
  }

  _read() {
    this.#hasRoom = true
    this.#pushWaiting(1)
  }

  _write(chunk, _encoding, done) {
    // An error without a listener would end the process. Then the peer's 'close' must be enough.
    this.#outbox.chunk(chunk, (error) => done(this.#hearsErrors ? error : undefined))
  }

  /** When the stream has finished, everything written has been sent. */
  _final(done) {
    this.#outbox.flush()
    done()
  }

  /** Wraps a callback of a write, so that its data is sent first. */
  #flushed(value) {
    if (typeof value !== 'function') return value
    return bound((error) => {
      this.#outbox.flush()
      value(error)
    })
  }

  get #hearsErrors() {
    return this.listenerCount('error') > this.#pipes
  }

  _destroy(error, done) {
    this.#forgetWaiting()
    done(error)
  }

  /** Gives the reader waiting chunks while it has room, and at least this many. */
  #pushWaiting(atLeast) {
    const before = this.#unread
    for (let given = 0; this.#unread > 0 && (given < atLeast || this.#hasRoom); given++) {
      const chunk = this.#waiting[this.#next]
      this.#waiting[this.#next++] = undefined
      this.#unread -= chunk.length
      this.#hasRoom = this.push(chunk)
    }
    if (this.#unread === before) return
    if (this.#unread > 0) return this.#pace.read(before - this.#unread)
    this.#forgetWaiting()
  }

  #forgetWaiting() {
    if (this.#waiting.length === 0) return
    this.#waiting = []
    this.#next = 0
    this.#unread = 0
    this.#pace.read(null)
  }

  #listened(event) {
    if (event === 'data' || event === 'readable') this.#onReaders(true)
    return this
  }

  #unlistened() {
    if (this.isRead) return this
    this.#onReaders(false)
    // Senders do not wait for a reader that stopped. One that re-pipes resumes in the same turn.
    if (this.#waiting.length > 0) setImmediate(() => this.isRead || this.#forgetWaiting())
    return this
  }
}

/** A callback bound to its caller's context. Other values stay as they are. */
function bound(value) {
  return typeof value === 'function' ? AsyncResource.bind(value, 'SMOKESIGNAL_WRITE') : value
}

module.exports = { ChannelStream }
