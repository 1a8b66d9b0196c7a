'use strict'

const { AsyncResource } = require('node:async_hooks')
const { Duplex } = require('node:stream')
const { SmokeError, tooLarge } = require('./errors')
const { setImmediate } = require('./globals')

const HIGH_WATER_MARK = 64 * 1024
/**
 * What waits for a reader that has paused, at most. Senders that are waited for have no more on its
 * way: all their windows together (src/proto/publish/window.rs), twice.
 */
const MAX_UNREAD = 64 * 1024 * 1024

/**
 * The byte stream of a channel. A chunk that comes while nobody reads is dropped; one that comes
 * while the reader has paused waits, and holds its sender back.
 */
class ChannelStream extends Duplex {
  #outbox
  #maxMessageSize
  #onReaders
  #onLost
  #pace
  #isPolled = false
  // What the reader has no room for, from #next on, and its bytes.
  #waiting = []
  #next = 0
  #unread = 0
  #hasRoom = true
  // Whoever pipes into this stream listens for its errors, but does nothing about them.
  #pipes = 0

  /**
   * `onReaders(isRead)` is called when somebody begins to read, or may have stopped; `onLost(bytes)`
   * when chunks were dropped and nobody hears the stream's errors. `pace.hold()` says that chunks
   * wait from now on, `pace.read(bytes)` that some of them no longer do (`null`: none does).
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

  /** Whether somebody listens, pipes, iterates or polls. */
  get isRead() {
    return this.listenerCount('data') > 0 || this.listenerCount('readable') > 0 || this.#isPolled
  }

  /** A chunk came. */
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
   * Some of the stream cannot be had any more. Destroys it with an error if somebody hears that;
   * returns whether that is so.
   */
  lose(what, reason, bytes) {
    if (!this.isRead || this.destroyed || !this.#hearsErrors) return false
    const error = new SmokeError('ERR_SMOKE_LOST', `${what} of the stream were lost: ${reason}`)
    this.destroy(Object.assign(error, { bytes }))
    return true
  }

  /** No chunk will come any more, and none can be sent. */
  finish() {
    if (this.destroyed) return
    this.#pushWaiting(Infinity)
    this.push(null)
    // Nobody would take the end from the buffer.
    if (!this.isRead) this.resume()
  }

  // Not by the events 'newListener' and 'removeListener': Node's streams do not always emit them.
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

  /** A chunk that is written arrives as one. */
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
    // An error that nobody hears would end the process: 'close' of the peer has to do for those.
    this.#outbox.chunk(chunk, (error) => done(this.#hearsErrors ? error : undefined))
  }

  /** Whatever was written has left when the stream has finished. */
  _final(done) {
    this.#outbox.flush()
    done()
  }

  /** A callback of a write: so it has then, too. */
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

  /** Gives the reader what waits for it while it has room, and this many chunks in any case. */
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
    // Who stops reading is not waited for; who pipes elsewhere reads on in the same turn.
    if (this.#waiting.length > 0) setImmediate(() => this.isRead || this.#forgetWaiting())
    return this
  }
}

/** A callback that is called in the context it was given in; other values as they are. */
function bound(value) {
  return typeof value === 'function' ? AsyncResource.bind(value, 'SMOKESIGNAL_WRITE') : value
}

module.exports = { ChannelStream }
