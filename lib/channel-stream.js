'use strict'

const { AsyncResource } = require('node:async_hooks')
const { Duplex } = require('node:stream')
const { tooLarge } = require('./errors')

const HIGH_WATER_MARK = 64 * 1024
/** What waits for a reader that has paused, at most; further chunks are dropped. */
const MAX_UNREAD = 16 * 1024 * 1024

/** The byte stream of a channel. A chunk that comes while nobody reads is dropped. */
class ChannelStream extends Duplex {
  #outbox
  #maxMessageSize
  #onReaders
  #isPolled = false

  /** `onReaders(isRead)` is called when somebody begins to read, or may have stopped. */
  constructor({ outbox, maxMessageSize, allowHalfOpen, onReaders }) {
    super({
      allowHalfOpen,
      readableHighWaterMark: HIGH_WATER_MARK,
      writableHighWaterMark: HIGH_WATER_MARK,
    })
    this.#outbox = outbox
    this.#maxMessageSize = maxMessageSize
    this.#onReaders = onReaders
  }

  /** Whether somebody listens, pipes, iterates or polls. */
  get isRead() {
    return this.listenerCount('data') > 0 || this.listenerCount('readable') > 0 || this.#isPolled
  }

  /** A chunk came. */
  receive(chunk) {
    if (!this.isRead || this.readableEnded || this.destroyed) return
    if (this.readableLength + chunk.length <= MAX_UNREAD) this.push(chunk)
  }

  /** No chunk will come any more, and none can be sent. */
  finish() {
    if (this.destroyed) return
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
    return super.write(chunk, bound(encoding), bound(callback))
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
    // Chunks come when they come.
  }

  _write(chunk, _encoding, done) {
    this.#outbox.chunk(chunk, done)
  }

  #listened(event) {
    if (event === 'data' || event === 'readable') this.#onReaders(true)
    return this
  }

  #unlistened() {
    if (!this.isRead) this.#onReaders(false)
    return this
  }
}

/** A callback that is called in the context it was given in; other values as they are. */
function bound(value) {
  return typeof value === 'function' ? AsyncResource.bind(value, 'SMOKESIGNAL_WRITE') : value
}

module.exports = { ChannelStream }
